//! Collection beside everything else: what was reported done, or begun under a lease, is there afterwards.

use super::check;
use std::fs;
use std::time::Duration;

use super::world::{WEB, World, build, entry, gc, is_there, write};
use crate::{Content, FileSetDigest, GcOptions, ObjectDigest, RefKind, Root, Store, StoreError};

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
        match store.gc(GcOptions { patience: Duration::from_millis(25), ..GcOptions::default() }) {
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

/// A look at what would go takes nothing, and so keeps nobody from removing what is damaged.
pub(super) fn a_look_beside_a_repair(world: &World) {
    let store = world.store();
    build(&store, "1").expect("build");
    let damaged = ObjectDigest::of(b"nobody's");
    fs::create_dir_all(store.object_path(&damaged).parent().expect("a folder")).expect("folder");
    fs::write(store.object_path(&damaged), "damaged").expect("damage");
    let options = |keep_newer| GcOptions { dry_run: true, keep_newer, ..GcOptions::default() };
    let look = world.process("look", move |store| store.gc(options(Duration::ZERO)).expect("look").objects);
    let new = world.process("new", move |store| store.gc(options(Duration::from_secs(600))).expect("look").objects);
    let repaired =
        world.process("repair", move |store| store.discard_damaged(&Content::Object(damaged)).expect("repair"));
    assert!(look.end() <= 1 && new.end() <= 1);
    assert!(repaired.end());
    world.is_whole();
}

#[test]
fn a_look_stands_in_nobodys_way() {
    check(a_look_beside_a_repair);
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

/// An object that nothing needs, found by a writer just when it is taken away. Few enough points for every order there is.
pub(super) fn one_object(world: &World) {
    let store = world.store();
    let ingest = store.begin().expect("begin");
    let object = ingest.write_bytes(b"content").expect("write");
    ingest.commit().expect("commit");
    world.watch(&["gc.lock", "objects", "containers"]);
    let kept = world.process("write", move |store| {
        let ingest = store.begin().expect("begin");
        ingest.write_bytes(b"content").expect("write");
        let lease = ingest.commit_leased().expect("commit");
        store.write_container_roots("c", &[Root::Content(Content::Object(object))].into()).expect("roots");
        drop(lease);
    });
    let impatient = GcOptions { patience: Duration::from_millis(20), ..GcOptions::default() };
    let collected = world.process("gc", move |store| store.gc(impatient).is_ok());
    kept.end();
    collected.end();
    assert!(world.store().has_object(&object));
    world.is_whole();
}

#[test]
fn an_object_found_is_not_taken_in_any_order() {
    super::check_all(one_object);
}

/// A view that nobody needs goes, while a maker of views sweeps and the needs of another are written down.
fn views(world: &World) {
    let store = world.store();
    let image = build(&store, "1").expect("build");
    let unneeded = store.views_dir().join("00".repeat(32));
    fs::create_dir_all(unneeded.join("stubs")).expect("folders");
    fs::write(unneeded.join("stubs/file"), "").expect("file");
    let noted = world.process("compose", move |store| {
        let needs = [Root::Content(Content::FileSet(image))].into();
        store.write_view_roots(&image.hex(), &needs).expect("roots");
    });
    // As `larder-runtime` does, which holds no lock that a collection takes.
    let swept = world.process("sweep", |store| {
        for entry in crate::store::list(&store.views_dir()).expect("list") {
            if entry.file_name().as_encoded_bytes().starts_with(b".new-") {
                crate::store::step("remove", &entry.path());
                _ = fs::remove_dir_all(entry.path());
            }
        }
    });
    let collected = world.process("gc", gc);
    noted.end();
    swept.end();
    collected.end();
    gc(&world.store());
    let left = crate::store::list(&world.store().views_dir()).expect("list");
    assert_eq!(left.iter().map(|entry| entry.file_name()).collect::<Vec<_>>(), [image.hex().as_str()]);
    world.is_whole();
}

#[test]
fn views_go_beside_those_who_make_them() {
    check(views);
}
