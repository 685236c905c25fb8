//! Several processes and threads at once.

use std::os::unix::fs::MetadataExt;
use std::process::Stdio;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use larder_store::{FsckOptions, GcOptions, ObjectDigest, RefKind, Store, StoreError};

use crate::support::{CHILD_STORE, child, image, package, point, store};

const ROUNDS: usize = 15;

/// Writes the same packages as everybody else and an image of its own, again and again.
fn build(store: &Store, who: &str) {
    for round in 0..ROUNDS {
        let ingest = store.begin().expect("begin");
        let big = vec![round as u8; 300_000];
        let shared = package(&ingest, "shared", &[("big", &big), ("small", b"small")]).expect("shared");
        let own = package(&ingest, "own", &[("file", who.as_bytes())]).expect("own");
        let version = (round + 1).to_string();
        let built = image(&ingest, who, &version, &[shared, own]).expect("image");
        let lease = ingest.commit_leased().expect("commit");
        point(store, who, &version, built).expect("ref");
        point(store, "everybodys", &format!("{who}-{version}"), built).expect("ref");
        drop(lease);
    }
}

/// Runs in a process of its own.
#[test]
#[ignore = "a part that other tests run in a process of its own"]
fn child_builds_beside_others() {
    let Some(root) = std::env::var_os(CHILD_STORE) else { return };
    build(&Store::open(root.as_ref()).expect("store"), &format!("process{}", std::process::id()));
}

#[test]
fn builders_and_a_collector_share_a_store() {
    let (_folder, store) = store();
    let root = store.root().to_owned();
    let finished = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let store = Store::open(&root).expect("store");
            while !finished.load(Ordering::Relaxed) {
                match store.gc(GcOptions { patience: Duration::from_millis(200), ..GcOptions::default() }) {
                    Ok(_) | Err(StoreError::Busy { .. }) => {}
                    Err(e) => panic!("{e}"),
                }
            }
        });
        let processes: Vec<_> = (0..2)
            .map(|_| {
                let mut command = child("together::child_builds_beside_others", &root);
                command.stdout(Stdio::null()).spawn().expect("spawn")
            })
            .collect();
        let threads: Vec<_> = (0..2)
            .map(|i| {
                let root = &root;
                scope.spawn(move || build(&Store::open(root).expect("store"), &format!("thread{i}")))
            })
            .collect();
        let threads: Vec<bool> = threads.into_iter().map(|thread| thread.join().is_ok()).collect();
        let processes: Vec<_> =
            processes.into_iter().map(|mut process| process.wait().expect("wait").success()).collect();
        finished.store(true, Ordering::Relaxed);
        assert_eq!((threads, processes), (vec![true; 2], vec![true; 2]));
    });
    let images = store.refs().list(RefKind::Image).expect("list");
    let counts: Vec<_> =
        images.iter().map(|(name, record)| (name.starts_with("example.com/every"), record.entries.len())).collect();
    assert_eq!(counts.len(), 5);
    for (everybodys, count) in counts {
        assert_eq!(count, if everybodys { 4 * ROUNDS } else { ROUNDS }, "no change of a ref was lost");
    }
    let report = store.fsck(FsckOptions { deep: true, progress: None }).expect("fsck");
    assert!(report.problems.is_empty(), "{:?}", report.problems);
}

#[test]
fn several_create_a_store_at_once() {
    let folder = tempfile::tempdir().expect("folder");
    for n in 0..20 {
        let root = folder.path().join(n.to_string());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| Store::open(&root).expect("store").begin().expect("begin").commit().expect("commit"));
            }
        });
    }
}

/// Whoever comes second finds the name taken, or the object there: it is written once, under one name.
#[test]
fn ingests_of_one_object_at_once_are_one_object() {
    const WRITERS: usize = 16;
    let (_folder, store) = store();
    let root = store.root();
    let start = Barrier::new(WRITERS);
    for (round, size) in [1, 5_000, 131_072, 400_000].into_iter().cycle().take(40).enumerate() {
        let mut content = vec![round as u8; size];
        content[..1].copy_from_slice(&[round as u8 + 100]);
        let digests: Vec<_> = std::thread::scope(|scope| {
            let write = || {
                let store = Store::open(root).expect("store");
                let ingest = store.begin().expect("begin");
                start.wait();
                let written = ingest.write_object(&mut &content[..], u64::MAX).expect("write");
                ingest.commit().expect("commit");
                written
            };
            let writers: Vec<_> = (0..WRITERS).map(|_| scope.spawn(write)).collect();
            writers.into_iter().map(|writer| writer.join().expect("a writer")).collect()
        });
        assert!(digests.iter().all(|written| *written == (ObjectDigest::of(&content), size as u64)));
        let metadata = store.object_path(&digests[0].0).metadata().expect("the object");
        assert_eq!((metadata.nlink(), metadata.len()), (1, size as u64));
    }
    let report = store.fsck(FsckOptions { deep: true, progress: None }).expect("fsck");
    assert_eq!((report.problems.len(), report.checked.objects), (0, 40));
    assert_eq!(std::fs::read_dir(root.join("tmp")).expect("tmp").count(), 0, "nothing is left on its way");
}
