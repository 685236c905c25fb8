//! What a check finds, and how it is mended.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use larder_store::{Content, FileSetDigest, FsckOptions, FsckReport, ObjectDigest, ProblemKind, Store};

use crate::support::{image, package, point, store};

fn check(store: &Store, deep: bool) -> FsckReport {
    store.fsck(FsckOptions { deep, progress: None }).expect("fsck")
}

fn overwrite(path: &Path, bytes: &[u8]) {
    fs::remove_file(path).expect("remove");
    fs::write(path, bytes).expect("write");
}

fn record_path(store: &Store, folder: &str, hex: &str) -> PathBuf {
    store.root().join(folder).join(&hex[..2]).join(&hex[2..])
}

/// Two packages that share a file, and an image of each.
fn example(store: &Store) -> (FileSetDigest, FileSetDigest) {
    let ingest = store.begin().expect("begin");
    let a = package(&ingest, "a", &[("a", b"only in a"), ("s", b"shared")]).expect("a");
    let b = package(&ingest, "b", &[("s", b"shared")]).expect("b");
    let (one, two) = (image(&ingest, "one", "1", &[a]).expect("one"), image(&ingest, "two", "2", &[b]).expect("two"));
    ingest.commit().expect("commit");
    point(store, "one", "1", one).expect("ref");
    point(store, "two", "2", two).expect("ref");
    (a, b)
}

#[test]
fn a_whole_store_has_no_problems() {
    let (_folder, store) = store();
    example(&store);
    let seen = AtomicU64::new(0);
    let progress = |done: u64, total: u64| {
        assert!(done <= total);
        seen.fetch_max(done, Ordering::Relaxed);
    };
    let report = store.fsck(FsckOptions { deep: true, progress: Some(&progress) }).expect("fsck");
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    let checked = report.checked;
    assert_eq!((checked.filesets, checked.objects, checked.refs), (4, 2, 2));
    assert_eq!(checked.hashed_bytes, seen.into_inner());
    assert_eq!(checked.hashed_bytes, 15);
}

#[test]
fn a_changed_object_is_found_by_a_deep_check_with_all_who_need_it() {
    let (_folder, store) = store();
    example(&store);
    let digest = ObjectDigest::of(b"shared");
    overwrite(&store.object_path(&digest), b"SHARED");
    assert!(check(&store, false).problems.is_empty(), "its size is right");
    let report = check(&store, true);
    let [problem] = &report.problems[..] else { panic!("{:?}", report.problems) };
    assert!(matches!(problem.kind, ProblemKind::Damaged(Content::Object(bad)) if bad == digest));
    let names: Vec<_> = problem.filesets.values().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.len(), 4);
    assert!(names.contains(&"debian.org/a") && names.contains(&"debian.org/b"));
    let images: Vec<_> = problem.images.iter().map(|(name, version)| format!("{name}@{version}")).collect();
    assert_eq!(images, ["example.com/one@1", "example.com/two@2"]);

    assert!(store.discard_damaged(&Content::Object(digest)).expect("discard"));
    assert!(!store.discard_damaged(&Content::Object(digest)).expect("nothing there"));
    assert!(matches!(check(&store, false).problems[0].kind, ProblemKind::Missing(Content::Object(_))));
    example(&store);
    assert!(check(&store, true).problems.is_empty());
    assert!(!store.discard_damaged(&Content::Object(digest)).expect("a good one stays"));
    assert!(store.has_object(&digest));
}

/// A loss of power left names and lengths of contents, and zeros in their place. The next build of the same took them for
/// whole, and made an image with them.
#[test]
fn writing_a_damaged_object_again_mends_it() {
    let (_folder, store) = store();
    example(&store);
    let large = vec![7; 400_000];
    store.begin().expect("begin").write_bytes(&large).expect("write");
    for content in [&b"shared"[..], &large] {
        for damage in [vec![0; content.len()], vec![0; content.len() - 1], Vec::new()] {
            overwrite(&store.object_path(&ObjectDigest::of(content)), &damage);
            let ingest = store.begin().expect("begin");
            ingest.write_object(&mut &content[..], u64::MAX).expect("write");
            ingest.commit().expect("commit");
            assert!(check(&store, true).problems.is_empty(), "{} of {} bytes", damage.len(), content.len());
        }
    }
}

#[test]
fn a_cut_or_missing_object_is_found_by_any_check() {
    let (_folder, store) = store();
    example(&store);
    overwrite(&store.object_path(&ObjectDigest::of(b"only in a")), b"only");
    fs::remove_file(store.object_path(&ObjectDigest::of(b"shared"))).expect("remove");
    let report = check(&store, false);
    let mut kinds: Vec<_> =
        report.problems.iter().map(|problem| (problem.kind.to_string(), problem.images.len())).collect();
    kinds.sort();
    let mut expected = [
        (format!("object {} is damaged", ObjectDigest::of(b"only in a")), 1),
        (format!("object {} is missing", ObjectDigest::of(b"shared")), 2),
    ];
    expected.sort();
    assert_eq!(kinds, expected);
}

#[test]
fn damaged_and_missing_records_and_trees_are_found() {
    let (_folder, store) = store();
    let (a, b) = example(&store);
    let tree = store.fileset(&a).expect("record").tree;
    overwrite(&record_path(&store, "trees", &tree.hex()), b"\x83");
    fs::remove_file(record_path(&store, "filesets", &b.hex())).expect("remove");
    let report = check(&store, true);
    let found: Vec<_> = report.problems.iter().map(|problem| (problem.kind.content(), problem.images.len())).collect();
    assert_eq!(found, [(Some(Content::FileSet(b)), 1), (Some(Content::Tree(tree)), 1)]);
    assert!(store.discard_damaged(&Content::Tree(tree)).expect("discard"));
    example(&store);
    assert!(check(&store, true).problems.is_empty());
}

#[test]
fn damaged_names_statements_and_strays_are_found() {
    let (_folder, store) = store();
    let (a, _) = example(&store);
    store.begin().expect("begin").write_statement(&a, "origin", &larder_store::json::Value::Null).expect("statement");
    let statement = fs::read_dir(record_path(&store, "statements", &a.hex()))
        .expect("list")
        .next()
        .expect("one")
        .expect("one")
        .path();
    overwrite(&statement, b"{}");
    overwrite(&store.root().join("refs/image/example.com@one.ref"), b"{}");
    fs::write(store.objects_dir().join("notes.txt"), "").expect("write");
    fs::create_dir_all(store.containers_dir().join("c1")).expect("folder");
    fs::write(store.containers_dir().join("c1/roots"), format!("fileset {}\n", FileSetDigest::from_bytes([5; 32])))
        .expect("write");
    let report = check(&store, true);
    let kinds: Vec<_> = report
        .problems
        .iter()
        .map(|problem| match problem.kind {
            ProblemKind::Missing(_) => "missing",
            ProblemKind::Stray => "stray",
            ProblemKind::Text { .. } => "text",
            _ => "other",
        })
        .collect();
    assert_eq!(kinds, ["missing", "stray", "text", "text"], "{:?}", report.problems);
}
