//! Collection beside everything else: what was reported done, or begun under a lease, is there afterwards.

use super::check;
use super::world::{WEB, World, build, entry, gc, is_there, write};
use crate::{Content, FileSetDigest, GcOptions, RefKind, Root, Store, StoreError};

/// A build from nothing.
pub(super) fn beside_a_build(world: &World) {
    let _ = world.store();
    let built = world.process("build", |store| build(store, "1").expect("build"));
    let collected = world.process("gc", gc);
    let built = built.end();
    collected.end();
    is_there(&world.store(), built);
    world.is_whole();
}

#[test]
fn what_a_build_reported_is_there_after_a_collection() {
    check(beside_a_build);
}

/// The classical race: content is rubbish, and just when it is about to be taken away, somebody finds it there and needs it.
pub(super) fn beside_a_build_of_rubbish(world: &World) {
    let old = build(&world.store(), "1").expect("build");
    world.store().refs().remove(RefKind::Image, WEB).expect("remove");
    let built = world.process("build", |store| build(store, "1").expect("build"));
    let collected = world.process("gc", gc);
    assert_eq!(built.end(), old);
    collected.end();
    is_there(&world.store(), old);
    world.is_whole();
}

#[test]
fn what_a_build_found_is_there_after_a_collection() {
    check(beside_a_build_of_rubbish);
}

/// The same, and the name is only being removed.
pub(super) fn beside_a_removal_and_a_build(world: &World) {
    build(&world.store(), "1").expect("build");
    let removed = world.process("remove", |store| store.refs().remove(RefKind::Image, WEB).expect("remove"));
    let built = world.process("build", |store| build(store, "1").expect("build"));
    let collected = world.process("gc", gc);
    assert!(removed.end(), "it was there");
    let built = built.end();
    collected.end();
    // Who came last decides whether the name is there.
    if let Some(record) = world.store().refs().get(RefKind::Image, WEB).expect("ref") {
        assert_eq!((record.entries.len(), record.current_entry().fileset), (1, built));
        is_there(&world.store(), built);
    }
    world.is_whole();
}

#[test]
fn a_name_needs_what_it_stands_for_whoever_removes_it_meanwhile() {
    check(beside_a_removal_and_a_build);
}

/// A container's start: what it needs is written down under a lease, and looked up afterwards.
fn start(store: &Store, image: FileSetDigest) -> bool {
    let lease = store.lease().expect("lease");
    let is_there = store.has_fileset(&image);
    if is_there {
        store.write_container_roots("c", &[Root::Content(Content::FileSet(image))].into()).expect("roots");
    }
    drop(lease);
    is_there
}

pub(super) fn beside_a_start(world: &World) {
    let image = build(&world.store(), "1").expect("build");
    let started = world.process("run", move |store| start(store, image));
    let removed = world.process("remove", |store| store.refs().remove(RefKind::Image, WEB).expect("remove"));
    let collected = world.process("gc", gc);
    removed.end();
    collected.end();
    if started.end() {
        is_there(&world.store(), image);
    }
    world.is_whole();
}

#[test]
fn what_a_started_container_needs_is_there() {
    check(beside_a_start);
}

/// Content without a name, that a later command goes on from under a lease.
fn commit_and_set(store: &Store) -> FileSetDigest {
    let ingest = store.begin().expect("begin");
    let written = write(&ingest, "files", &[("a", b"a")], &[]).expect("write");
    let lease = ingest.commit_leased().expect("commit");
    store.refs().set(RefKind::Image, WEB, entry("1", written)).expect("set");
    drop(lease);
    written
}

pub(super) fn beside_a_name_given_later(world: &World) {
    let _ = world.store();
    let set = world.process("set", commit_and_set);
    let collected = world.process("gc", gc);
    let written = set.end();
    collected.end();
    is_there(&world.store(), written);
    world.is_whole();
}

#[test]
fn a_lease_keeps_what_no_name_needs_yet() {
    check(beside_a_name_given_later);
}

/// Without a lease in between, the name may find nothing; then it says so, and never stands for what isn't there.
fn beside_a_name_given_too_late(world: &World) {
    let _ = world.store();
    let set = world.process("set", |store| {
        let ingest = store.begin().expect("begin");
        let written = write(&ingest, "files", &[("a", b"a")], &[]).expect("write");
        ingest.commit().expect("commit");
        (written, store.refs().set(RefKind::Image, WEB, entry("1", written)))
    });
    let collected = world.process("gc", gc);
    match set.end() {
        (written, Ok(())) => is_there(&world.store(), written),
        (_, Err(StoreError::Missing { .. })) => {}
        (_, Err(error)) => panic!("{error}"),
    }
    collected.end();
    world.is_whole();
}

#[test]
fn a_name_never_stands_for_what_is_gone() {
    check(beside_a_name_given_too_late);
}

/// Somebody holds a lease all the time: the collection gives up after its patience, and nobody waits for ever.
fn beside_leases_without_end(world: &World) {
    build(&world.store(), "1").expect("build");
    let hold = |store: &Store| {
        for _ in 0..3 {
            let first = store.lease().expect("lease");
            let second = store.lease().expect("a second one");
            drop(first);
            drop(second);
        }
    };
    let (one, two) = (world.process("one", hold), world.process("two", hold));
    let impatient = world.process("gc", |store| {
        match store.gc(GcOptions { patience: std::time::Duration::from_millis(25), ..GcOptions::default() }) {
            Ok(_) | Err(StoreError::Busy { .. }) => {}
            Err(error) => panic!("gc: {error}"),
        }
    });
    let look = world.process("dry", |store| store.gc(GcOptions { dry_run: true, ..GcOptions::default() }).map(drop));
    one.end();
    two.end();
    impatient.end();
    look.end().expect("a look needs no patience with others that look");
    world.is_whole();
}

#[test]
fn nobody_waits_for_ever() {
    check(beside_leases_without_end);
}

/// All that takes a lock, at once: whatever the order, all of it ends.
fn all_at_once(world: &World) {
    build(&world.store(), "1").expect("build");
    let built = world.process("build", |store| build(store, "2").expect("build"));
    let rolled_back = world.process("rollback", |store| store.refs().rollback(RefKind::Image, WEB).map(drop));
    let collected = world.process("gc", gc);
    let checked = world.process("fsck", |store| store.fsck(crate::FsckOptions::default()).expect("fsck"));
    let built = built.end();
    if let Err(error) = rolled_back.end() {
        assert!(matches!(error, StoreError::NoEarlier { .. }), "{error}");
    }
    collected.end();
    let report = checked.end();
    assert!(report.problems.is_empty(), "a false alarm: {:?}", report.problems);
    is_there(&world.store(), built);
    world.is_whole();
}

#[test]
fn everything_at_once_ends_and_nothing_is_lost() {
    check(all_at_once);
}
