//! That the check can fail: a lock that somebody doesn't take is missed.

use super::{Weakness, collect, finds, refs};

const fn without(process: &'static str, lock: &'static str) -> Weakness {
    Weakness { process, lock }
}

#[test]
fn a_collection_that_does_not_wait() {
    finds(collect::beside_a_build, without("gc", "gc.lock"));
    finds(collect::beside_a_build_of_rubbish, without("gc", "gc.lock"));
    finds(collect::beside_a_start, without("gc", "gc.lock"));
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
