//! The index: what is open isn't thrown away.

use std::fs;

use super::check;
use super::step::Run;
use super::world::{WEB, World, build, gc};
use crate::store::step;
use crate::{FileSetDigest, Filter, RefKind, Store};

fn filesets(store: &Store) -> Vec<FileSetDigest> {
    let index = store.index().expect("index");
    step("opened", &store.path("index.sqlite"));
    let found = index.filesets(Filter::default()).expect("filesets").into_iter().map(|found| found.digest).collect();
    step("closing", &store.path("index.sqlite"));
    found
}

/// Two find it damaged. One throws it away; and never while the other has it open, for SQLite's other files belong to its name.
pub(super) fn damaged(world: &World) {
    let store = world.store();
    build(&store, "1").expect("build");
    fs::write(store.path("index.sqlite"), [7; 5000]).expect("damage");
    // Within a transaction of SQLite's nobody may be interrupted: others would wait for its lock, in the kernel.
    world.watch(&["index."]);
    let (one, two) = (world.process("one", filesets), world.process("two", filesets));
    let expected = store.filesets().expect("list");
    for mut found in [one.end(), two.end()] {
        found.sort_unstable();
        assert_eq!(found, expected);
    }
    let mut open = Vec::new();
    for (who, what, path) in Run::trace() {
        match what {
            "opened" => open.push(who),
            "closing" => open.retain(|other| *other != who),
            "remove" => assert!(open.is_empty(), "{who} removes {} and {open:?} has it open", path.display()),
            _ => {}
        }
    }
    assert_eq!(filesets(&store).len(), expected.len());
}

#[test]
fn an_index_that_is_open_is_not_thrown_away() {
    check(damaged);
}

/// Records come and go while it is filled.
fn beside_a_build_and_a_collection(world: &World) {
    let store = world.store();
    let old = build(&store, "1").expect("build");
    store.refs().remove(RefKind::Image, WEB).expect("remove");
    let found = world.process("search", filesets);
    let built = world.process("build", |store| build(store, "1").expect("build"));
    let collected = world.process("gc", gc);
    assert!(found.end().len() <= 2);
    assert_eq!(built.end(), old);
    collected.end();
    assert_eq!(filesets(&world.store()).len(), 2);
    world.is_whole();
}

#[test]
fn an_index_is_filled_beside_a_build_and_a_collection() {
    check(beside_a_build_and_a_collection);
}
