//! Changes of one ref: each is there in the end, as if they had been done one after the other.

use super::check;
use super::world::{WEB, World, entry, gc, is_there, write};
use crate::{FileSetDigest, RefKind, RefRecord, Store};

/// Two FileSets that need no name, kept by one.
fn two(store: &Store) -> [FileSetDigest; 2] {
    let ingest = store.begin().expect("begin");
    let both = ["one", "two"].map(|name| write(&ingest, name, &[("name", name.as_bytes())], &[]).expect("write"));
    ingest.commit().expect("commit");
    for (name, fileset) in ["keep/one", "keep/two"].iter().zip(both) {
        store.refs().set(RefKind::Package, &format!("example.com/{name}"), entry("1", fileset)).expect("set");
    }
    both
}

fn web(store: &Store) -> RefRecord {
    store.refs().get(RefKind::Image, WEB).expect("ref").expect("it is there")
}

fn set(store: &Store, version: &str, fileset: FileSetDigest) {
    store.refs().set(RefKind::Image, WEB, entry(version, fileset)).expect("set");
}

fn versions(record: &RefRecord) -> Vec<&str> {
    record.entries.iter().map(|entry| entry.version.as_str()).collect()
}

pub(super) fn two_changes(world: &World) {
    let [a, b] = two(&world.store());
    let one = world.process("one", move |store| set(store, "1", a));
    let other = world.process("two", move |store| set(store, "2", b));
    one.end();
    other.end();
    let record = web(&world.store());
    assert!(matches!(versions(&record)[..], ["1", "2"] | ["2", "1"]), "none is lost: {record:?}");
    assert_eq!(record.current, 1, "the last one counts");
    world.is_whole();
}

#[test]
fn no_change_of_a_name_is_lost() {
    check(two_changes);
}

/// Every order there is: few points are enough for that here.
fn two_changes_watched(world: &World) {
    world.watch(&["refs"]);
    two_changes(world);
}

#[test]
fn no_change_of_a_name_is_lost_in_any_order() {
    super::check_all(two_changes_watched);
}

/// A step back, a step ahead and a shorter history at once.
fn back_and_ahead(world: &World) {
    let store = world.store();
    let [a, b] = two(&store);
    set(&store, "1", a);
    set(&store, "2", b);
    let back = world.process("rollback", |store| store.refs().rollback(RefKind::Image, WEB).map(|entry| entry.version));
    let ahead = world.process("set", move |store| set(store, "3", a));
    let forgot = world.process("forget", |store| store.refs().forget_earlier(RefKind::Image, WEB, 2).expect("forget"));
    let (back, forgot) = (back.end().expect("there always is an earlier one"), forgot.end());
    ahead.end();
    let record = web(&world.store());
    let all = ["1", "2", "3"];
    assert_eq!(versions(&record), all[forgot..], "{record:?}");
    // Either the step back came first and the new one counts, or it came last and leads back to what was before.
    let stands_for = record.current_entry().version.as_str();
    assert!(matches!((back.as_str(), stands_for), ("1", "3") | ("2", "2")), "{back} {record:?}");
    world.is_whole();
}

#[test]
fn changes_of_a_name_are_done_one_after_the_other() {
    check(back_and_ahead);
}

/// A name that is removed while it is given, and collected.
fn removed_and_set(world: &World) {
    let store = world.store();
    let [a, b] = two(&store);
    set(&store, "1", a);
    let removed = world.process("remove", |store| store.refs().remove(RefKind::Image, WEB).expect("remove"));
    let changed = world.process("set", move |store| set(store, "2", b));
    let collected = world.process("gc", gc);
    assert!(removed.end());
    changed.end();
    collected.end();
    if let Some(record) = world.store().refs().get(RefKind::Image, WEB).expect("ref") {
        assert_eq!(versions(&record), ["2"], "the removal came first, and took the history with it");
    }
    is_there(&world.store(), b);
    world.is_whole();
}

#[test]
fn a_removed_name_takes_its_history_with_it() {
    check(removed_and_set);
}
