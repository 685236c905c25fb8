//! Garbage collection: what stays and what goes.

use std::fs;
use std::time::Duration;

use larder_store::json::Value;
use larder_store::plan::PlanDigest;
use larder_store::{
    Content, FileSetDigest, GcOptions, ObjectDigest, RefEntry, RefKind, Root, Roots, Store, StoreError,
};

use crate::support::{files, image, package, point, store};

fn gc(store: &Store) -> larder_store::GcReport {
    store.gc(GcOptions::default()).expect("gc")
}

fn has(store: &Store, content: &[u8]) -> bool {
    store.has_object(&ObjectDigest::of(content))
}

fn cache(store: &Store, kind: RefKind, key: &str, fileset: FileSetDigest) {
    let entry = RefEntry { version: "1".to_owned(), fileset, at: 0, action: "convert".to_owned() };
    store.refs().set(kind, key, entry).expect("set");
}

fn cached(store: &Store, kind: RefKind, key: &str) -> bool {
    store.refs().get(kind, key).expect("get").is_some()
}

/// A view's needs aren't synced. What a loss of power made of them stopped every collection once its image was gone.
#[test]
fn a_view_whose_needs_were_damaged_goes() {
    let (_folder, store) = store();
    let (kept, gone) = ("ab".repeat(32), "cd".repeat(32));
    for (key, text) in [(&kept, "\0\0\0\0"), (&gone, "fileset blake3:12")] {
        store.write_view_roots(key, &Roots::new()).expect("roots");
        fs::write(store.views_dir().join(key).join("roots"), text).expect("damage");
    }
    store.write_container_roots("running", &Roots::from([Root::View(kept.clone())])).expect("roots");
    assert_eq!(gc(&store).views, [gone]);
    assert!(store.views_dir().join(kept).exists(), "a container uses it");
}

/// What a collection had to leave of a view, because it belongs to other users, was in the way of the next one of that view.
#[test]
fn a_view_goes_though_some_of_it_was_left_before() {
    let (_folder, store) = store();
    let key = "ab".repeat(32);
    let left = store.views_dir().join(format!(".new-gc-{key}"));
    for view in [&left, &store.views_dir().join(&key)] {
        fs::create_dir_all(view.join("stubs")).expect("view");
    }
    assert_eq!(gc(&store).views, [key]);
    assert!(left.exists(), "it is the view makers' to remove");
}

/// What a package can be made again from is no part of it, and stays as long as the package does.
#[test]
fn what_is_kept_with_a_package_goes_with_it() {
    let (_folder, store) = store();
    let ingest = store.begin().expect("begin");
    let a = package(&ingest, "a", &[("a", b"a")]).expect("a");
    let kept = package(&ingest, "kept", &[("recipe", b"recipe")]).expect("kept");
    ingest.keep_with(&a, &kept).expect("statement");
    let statement = store.statements(&a).expect("statements");
    assert_eq!(statement.len(), 1);
    let image = image(&ingest, "web", "1", &[a]).expect("image");
    ingest.commit().expect("commit");
    point(&store, "web", "1", image).expect("ref");
    assert_eq!(gc(&store).filesets.len(), 0);
    assert!(has(&store, b"recipe"));
    assert_eq!(store.kept(&a).expect("kept"), [kept]);
    // A statement that can't be read keeps nothing, and stands in nobody's way.
    let hex = a.hex();
    let folder = store.root().join("statements").join(&hex[..2]).join(&hex[2..]);
    let file = fs::read_dir(folder).expect("statements").next().expect("one").expect("entry").path();
    let text = fs::read(&file).expect("a statement");
    fs::remove_file(&file).expect("gone");
    fs::write(&file, b"{}").expect("damage");
    assert_eq!(store.kept(&a).expect("none"), []);
    fs::write(&file, text).expect("as it was");
    assert_eq!(store.kept(&a).expect("kept"), [kept]);
    fs::remove_file(&file).expect("gone");
    let report = gc(&store);
    assert_eq!((report.filesets.len(), report.objects), (1, 1));
    assert!(!has(&store, b"recipe") && has(&store, b"a"));
}

#[test]
fn the_whole_history_of_an_image_stays_until_it_is_dropped() {
    let (_folder, store) = store();
    let ingest = store.begin().expect("begin");
    let a = package(&ingest, "a", &[("a", b"a only"), ("b", b"both")]).expect("a");
    let b = package(&ingest, "b", &[("b", b"both"), ("c", b"b only")]).expect("b");
    let unused = package(&ingest, "c", &[("c", b"unused")]).expect("c");
    let first = image(&ingest, "web", "1", &[a]).expect("image");
    let second = image(&ingest, "web", "2", &[b]).expect("image");
    ingest.write_statement(&unused, "origin", &Value::Null).expect("statement");
    ingest.write_statement(&a, "origin", &Value::Null).expect("statement");
    ingest.commit().expect("commit");
    point(&store, "web", "1", first).expect("ref");
    point(&store, "web", "2", second).expect("ref");
    cache(&store, RefKind::Conversion, "deb-1/aa", a);
    cache(&store, RefKind::Conversion, "deb-1/cc", unused);

    let plan = store.gc(GcOptions { dry_run: true, ..GcOptions::default() }).expect("dry run");
    assert!(has(&store, b"unused") && store.has_fileset(&unused) && cached(&store, RefKind::Conversion, "deb-1/cc"));
    let report = gc(&store);
    assert_eq!(report, plan);
    assert_eq!((report.filesets.len(), report.trees, report.objects, report.kept_objects), (1, 1, 1, 3));
    assert_eq!(report.filesets[0].named, Some(("debian.org/c".to_owned(), "1.0".to_owned())));
    assert!(!has(&store, b"unused") && !store.has_fileset(&unused));
    assert!(!cached(&store, RefKind::Conversion, "deb-1/cc") && cached(&store, RefKind::Conversion, "deb-1/aa"));
    assert!(store.statements(&unused).expect("statements").is_empty());
    assert_eq!(store.statements(&a).expect("statements").len(), 1);

    store.refs().forget_earlier(RefKind::Image, "example.com/web", 1).expect("forget");
    let report = gc(&store);
    assert_eq!((report.filesets.len(), report.objects), (2, 1));
    // The image goes before the package that it imports.
    assert_eq!(report.filesets[0].fileset, first);
    assert!(!has(&store, b"a only") && has(&store, b"both") && has(&store, b"b only"));
    assert!(store.fsck(larder_store::FsckOptions { deep: true, progress: None }).expect("fsck").problems.is_empty());

    store.refs().remove(RefKind::Image, "example.com/web").expect("remove");
    assert_eq!(gc(&store).kept_objects, 0);
    assert!(store.filesets().expect("list").is_empty());
}

#[test]
fn containers_keep_what_they_wrote_down() {
    let (_folder, store) = store();
    let ingest = store.begin().expect("begin");
    let kept = files(&ingest, "kept", b"by a container").expect("files");
    ingest.write_bytes(b"an output of a composer").expect("object");
    ingest.write_bytes(b"nobody's").expect("object");
    ingest.commit().expect("commit");
    let object = Content::Object(ObjectDigest::of(b"an output of a composer"));
    let roots: Roots =
        [Root::Content(Content::FileSet(kept)), Root::Content(object), Root::View("used".to_owned())].into();
    store.write_container_roots("c1", &roots).expect("roots");
    for view in ["used", "unused", ".new-1"] {
        fs::create_dir_all(store.views_dir().join(view).join("erofs")).expect("view");
    }
    let report = gc(&store);
    assert_eq!((report.objects, report.views), (1, vec!["unused".to_owned()]));
    assert!(has(&store, b"by a container") && has(&store, b"an output of a composer"));
    assert!(store.views_dir().join("used").exists() && store.views_dir().join(".new-1").exists());

    fs::write(store.containers_dir().join("c1/roots"), "nonsense\n").expect("write");
    assert!(matches!(store.gc(GcOptions::default()), Err(StoreError::Text { .. })), "it can't know what c1 needs");
    fs::remove_dir_all(store.containers_dir().join("c1")).expect("remove");
    assert_eq!(gc(&store).kept_objects, 0);
}

#[test]
fn what_composers_made_stays_with_its_image() {
    let (_folder, store) = store();
    let ingest = store.begin().expect("begin");
    let web = image(&ingest, "web", "1", &[]).expect("image");
    let made = files(&ingest, "composed", b"passwd").expect("composed");
    let stale = files(&ingest, "stale", b"old passwd").expect("composed");
    ingest.commit().expect("commit");
    point(&store, "web", "1", web).expect("ref");
    let key = PlanDigest::of(&store.fileset(&web).expect("record")).hex();
    cache(&store, RefKind::Composed, &key, made);
    cache(&store, RefKind::Composed, &"0".repeat(64), stale);
    for fileset in [made, stale] {
        fs::create_dir_all(store.views_dir().join(fileset.hex())).expect("view");
    }
    let report = gc(&store);
    assert_eq!(report.views, [stale.hex()]);
    assert!(has(&store, b"passwd") && !has(&store, b"old passwd"));
    assert!(cached(&store, RefKind::Composed, &key) && !cached(&store, RefKind::Composed, &"0".repeat(64)));
}

#[test]
fn what_is_new_may_be_kept() {
    let (_folder, store) = store();
    let ingest = store.begin().expect("begin");
    files(&ingest, "new", b"new").expect("files");
    ingest.write_bytes(b"loose").expect("object");
    drop(ingest);
    // A record cut short, as a loss of power leaves it.
    let hex = "ab".repeat(32);
    fs::create_dir_all(store.root().join("filesets/ab")).expect("folder");
    fs::write(store.root().join("filesets/ab").join(&hex[2..]), "").expect("write");
    let report = store.gc(GcOptions { keep_newer: Duration::from_secs(3600), ..GcOptions::default() }).expect("gc");
    assert_eq!((report.filesets.len(), report.objects), (1, 0));
    assert_eq!((gc(&store).objects, store.filesets().expect("list").len()), (2, 0));
}

#[test]
fn it_stops_before_it_makes_damage_worse() {
    let (_folder, store) = store();
    let ingest = store.begin().expect("begin");
    let a = package(&ingest, "a", &[("a", b"content")]).expect("a");
    let web = image(&ingest, "web", "1", &[a]).expect("image");
    ingest.commit().expect("commit");
    point(&store, "web", "1", web).expect("ref");
    fs::remove_file(store.root().join("filesets").join(&a.hex()[..2]).join(&a.hex()[2..])).expect("remove");
    assert!(matches!(store.gc(GcOptions::default()), Err(StoreError::Missing { .. })));
    assert!(has(&store, b"content"));
}

#[test]
fn it_waits_for_those_who_write_and_then_says_so() {
    let (_folder, store) = store();
    let options = GcOptions { patience: Duration::from_millis(30), ..GcOptions::default() };
    let ingest = store.begin().expect("begin");
    assert!(matches!(store.gc(options.clone()), Err(StoreError::Busy { .. })));
    let lease = ingest.commit_leased().expect("commit");
    assert!(matches!(store.gc(options.clone()), Err(StoreError::Busy { .. })));
    drop(lease);
    store.gc(options).expect("gc");
}

#[test]
fn leftovers_under_temporary_names_go() {
    let (_folder, store) = store();
    fs::write(store.root().join("tmp/1-2-3"), "half a file").expect("write");
    fs::create_dir_all(store.root().join("tmp/1-2-4/erofs")).expect("half a view");
    gc(&store);
    assert_eq!(fs::read_dir(store.root().join("tmp")).expect("list").count(), 0);
}
