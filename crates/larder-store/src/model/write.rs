//! Several write the same at once: it is written once, whole, and all of them succeed.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::check;
use super::world::{World, build, gc, is_there, write};
use crate::{Content, ObjectDigest, Store};

fn files(store: &Store) -> usize {
    ["objects", "trees", "filesets"]
        .iter()
        .map(|kind| crate::store::digests(&store.path(kind)).expect("list").len())
        .sum()
}

/// Two builds of one image.
fn the_same(world: &World) {
    let _ = world.store();
    let one = world.process("one", |store| build(store, "1").expect("build"));
    let two = world.process("two", |store| build(store, "1").expect("build"));
    let built = one.end();
    assert_eq!(two.end(), built);
    let store = world.store();
    is_there(&store, built);
    assert_eq!(files(&store), 3 + 2 + 2, "each is written once");
    world.is_whole();
}

#[test]
fn two_builds_of_one_image_are_one() {
    check(the_same);
}

/// Two write one object: few enough points for every order there is.
pub(super) fn one_object(world: &World) {
    let _ = world.store();
    world.watch(&["objects"]);
    let one = |store: &Store| {
        let ingest = store.begin().expect("begin");
        let digest = ingest.write_bytes(b"content").expect("write");
        ingest.commit().expect("commit");
        digest
    };
    let (first, second) = (world.process("one", one), world.process("two", one));
    let digest = first.end();
    assert_eq!(second.end(), digest);
    let metadata = world.store().object_path(&digest).metadata().expect("the object");
    assert_eq!((metadata.nlink(), metadata.len()), (1, 7));
    world.is_whole();
}

#[test]
fn two_writers_of_one_object_leave_one() {
    super::check_all(one_object);
}

/// What a loss of power left: a name with other bytes. Both find that and write it again, and a third removes what it finds bad.
pub(super) fn over_damage(world: &World) {
    let store = world.store();
    let built = build(&store, "1").expect("build");
    let object = ObjectDigest::of(b"a");
    fs::remove_file(store.object_path(&object)).expect("remove");
    fs::write(store.object_path(&object), b"0").expect("damage");
    // The file itself matters too: another of the same bytes isn't synced when the first build has long been reported.
    let file = move |store: &Store| store.object_path(&object).metadata().expect("the object").ino();
    let again = move |store: &Store| {
        assert_eq!(build(store, "1").expect("build"), built);
        file(store)
    };
    let (one, two) = (world.process("one", again), world.process("two", again));
    let files = [one.end(), two.end()];
    assert_eq!(files, [file(&world.store()); 2], "nobody replaces what was synced");
    is_there(&world.store(), built);
    world.is_whole();
}

#[test]
fn what_is_damaged_is_written_again_by_whoever_finds_it() {
    check(over_damage);
}

pub(super) fn beside_a_repair(world: &World) {
    let store = world.store();
    let built = build(&store, "1").expect("build");
    let object = ObjectDigest::of(b"a");
    fs::remove_file(store.object_path(&object)).expect("remove");
    fs::write(store.object_path(&object), b"0").expect("damage");
    let repaired =
        world.process("repair", move |store| store.discard_damaged(&Content::Object(object)).expect("discard"));
    let one = world.process("build", |store| build(store, "1").expect("build"));
    assert_eq!(one.end(), built);
    repaired.end();
    is_there(&world.store(), built);
    world.is_whole();
}

#[test]
fn a_repair_takes_nothing_away_that_is_good() {
    check(beside_a_repair);
}

/// Statements that a loss of power damaged, and that two say again.
pub(super) fn statements(world: &World) {
    let store = world.store();
    let built = build(&store, "1").expect("build");
    let file = move |store: &Store| {
        let mut files = crate::store::list(&store.statements_dir(&built)).expect("list");
        assert_eq!(files.len(), 1, "what was reported done is there");
        files.remove(0).path()
    };
    let say = move |store: &Store| {
        let ingest = store.begin().expect("begin");
        if ingest.renew_statements(&built).expect("statements").is_empty() {
            ingest.write_statement(&built, "origin", &"here".into()).expect("write");
        }
        ingest.commit().expect("commit");
        file(store).metadata().expect("the statement").ino()
    };
    say(&store);
    let damaged = file(&store);
    fs::remove_file(&damaged).expect("remove");
    fs::write(&damaged, b"\0\0").expect("damage");
    let (one, two) = (world.process("one", say), world.process("two", say));
    let files = [one.end(), two.end()];
    assert_eq!(files, [file(&store).metadata().expect("the statement").ino(); 2], "nobody takes it away again");
    assert_eq!(store.statements(&built).expect("statements").len(), 1);
    world.is_whole();
}

#[test]
fn a_statement_that_is_said_again_by_two_stays() {
    check(statements);
}

/// One process with threads that write through one ingest, beside another that collects.
fn threads_of_one_ingest(world: &World) {
    let _ = world.store();
    let built = world.process("build", |store| {
        let ingest = store.begin().expect("begin");
        let (one, two) = shuttle::thread::scope(|scope| {
            let write = |name, own| write(&ingest, name, &[("same", b"same"), ("own", own)], &[]).expect("write");
            let one = scope.spawn(move || write("one", b"1"));
            let two = scope.spawn(move || write("two", b"2"));
            (one.join().expect("one"), two.join().expect("two"))
        });
        let image = write(&ingest, "image", &[], &[one, two]).expect("image");
        let entry = super::world::entry("1", image);
        store.refs().set_committing(crate::RefKind::Image, super::world::WEB, entry, ingest).expect("set");
        image
    });
    let collected = world.process("gc", gc);
    let built = built.end();
    collected.end();
    let store = world.store();
    is_there(&store, built);
    assert_eq!(files(&store), 3 + 3 + 3);
    world.is_whole();
}

#[test]
fn threads_write_through_one_ingest() {
    check(threads_of_one_ingest);
}

/// Two find no store, make one, and go on to use it.
fn a_new_store(world: &World) {
    let make = |root: &std::path::Path| {
        let store = Store::open(root).expect("open");
        store
            .keep_reading(crate::Reader { name: "test", version: 1 }, &crate::TreeDigest::of(b""), &"found".into())
            .expect("keep");
        build(&store, "1").expect("build")
    };
    let (one, two) = (world.bare_process("one", make), world.bare_process("two", make));
    let built = one.end();
    assert_eq!(two.end(), built);
    is_there(&world.store(), built);
    world.is_whole();
}

#[test]
fn two_make_one_store() {
    check(a_new_store);
}

/// What was read in a Tree is kept without a lease, beside a collection.
fn readings(world: &World) {
    build(&world.store(), "1").expect("build");
    let kept = world.process("inspect", |store| {
        let reader = crate::Reader { name: "test", version: 1 };
        store.keep_reading(reader, &crate::TreeDigest::of(b"x"), &"found".into()).expect("keep");
        store.reading(reader, &crate::TreeDigest::of(b"x")).expect("read")
    });
    let collected = world.process("gc", gc);
    kept.end();
    collected.end();
    world.is_whole();
}

#[test]
fn a_reading_is_kept_beside_a_collection() {
    check(readings);
}
