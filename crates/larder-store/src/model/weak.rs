//! That the check can fail: a lock that somebody doesn't take is missed.

use super::world::World;
use super::{Weakness, collect, finds, index, refs, write};
use crate::Store;
use crate::store::{Hold, Lock};

const fn without(process: &'static str, lock: &'static str) -> Weakness {
    Weakness { process, lock }
}

#[test]
fn a_collection_that_does_not_wait() {
    finds(collect::beside_a_build, without("gc", "gc.lock"));
    finds(collect::beside_a_build_of_rubbish, without("gc", "gc.lock"));
    finds(collect::beside_a_start, without("gc", "gc.lock"));
    finds(collect::one_object, without("gc", "gc.lock"));
}

#[test]
fn a_build_without_a_lease() {
    finds(collect::beside_a_build, without("build", "gc.lock"));
    finds(collect::beside_a_build_of_rubbish, without("build", "gc.lock"));
    finds(collect::beside_a_removal_and_a_build, without("build", "gc.lock"));
}

#[test]
fn a_start_without_a_lease() {
    finds(collect::beside_a_start, without("run", "gc.lock"));
}

#[test]
fn a_name_given_without_a_lease() {
    finds(collect::beside_a_name_given_later, without("set", "gc.lock"));
}

#[test]
fn a_change_of_a_name_without_its_lock() {
    finds(refs::two_changes, without("one", "web.lock"));
}

#[test]
fn what_is_damaged_mended_without_its_lock() {
    finds(write::beside_a_repair, without("repair", "mend.lock"));
    finds(write::over_damage, without("one", "mend.lock"));
    finds(write::statements, without("one", "mend.lock"));
}

#[test]
fn an_index_thrown_away_without_its_lock() {
    finds(index::damaged, without("one", "index.lock"));
}

/// Two who take two locks in different order. None of the store's has such names, so that no order between them is written down.
fn crosswise(world: &World) {
    _ = world.store();
    let take = |first: &'static str, second: &'static str| {
        move |store: &Store| {
            let _first = Lock::wait(&store.path(first), Hold::Exclusive).expect("lock");
            let _second = Lock::wait(&store.path(second), Hold::Exclusive).expect("lock");
        }
    };
    let (one, two) = (world.process("one", take("a.lock", "b.lock")), world.process("two", take("b.lock", "a.lock")));
    one.end();
    two.end();
}

#[test]
fn two_who_wait_for_each_other() {
    let why = finds(crosswise, without("nobody", ""));
    assert!(why.contains("deadlock"), "{why}");
}

/// The order of the locks is held by whoever takes them, whether or not anybody waits.
fn out_of_order(world: &World) {
    _ = world.store();
    let one = world.process("one", |store| {
        let _mending = store.mending().expect("lock");
        store.lease().map(drop).expect("lease");
    });
    one.end();
}

#[test]
fn a_lock_taken_out_of_order() {
    let why = finds(out_of_order, without("nobody", ""));
    assert!(why.contains("is taken while"), "{why}");
}
