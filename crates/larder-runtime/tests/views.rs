//! Views: one suite for every way of making them, as root and as an ordinary user.
//!
//! The parts that need root, a range of user ids or a program of the system say so when they are skipped.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may panic as tests do")]

#[path = "views/fixture.rs"]
mod fixture;
#[path = "views/lifecycle.rs"]
mod lifecycle;
#[path = "views/namespace.rs"]
mod namespace;
#[path = "views/reading.rs"]
mod reading;
#[path = "views/suite.rs"]
mod suite;
#[path = "views/writing.rs"]
mod writing;

use fixture::{Fixture, skip};
use larder_runtime::view::{ViewKindName, by_name, probe};
use namespace::Map;

fn conformance(kind: ViewKindName) {
    if !rustix::process::geteuid().is_root() {
        return skip("views as root", "it needs root; the parts for ordinary users run by themselves");
    }
    let view = by_name(kind).unwrap();
    suite::run(view.as_ref(), &Fixture::new());
}

#[test]
fn erofs_as_root() {
    conformance(ViewKindName::Erofs);
}

#[test]
fn stubs_as_root() {
    conformance(ViewKindName::Stubs);
}

/// EROFS is mounted from no file in memory; the next way is.
#[test]
fn a_store_on_tmpfs_gets_stubs() {
    let what = "a store on tmpfs";
    if !rustix::process::geteuid().is_root() {
        return skip(what, "it needs root");
    }
    let Some(fixture) = Fixture::on_tmpfs() else { return skip(what, "/dev/shm is no tmpfs") };
    let view = probe(&fixture.views).unwrap();
    assert_eq!(view.kind(), ViewKindName::Stubs);
    suite::run(view.as_ref(), &fixture);
}

#[test]
fn root_with_a_store_on_disk_gets_erofs() {
    if !rustix::process::geteuid().is_root() {
        return skip("the way that root gets", "it needs root");
    }
    let fixture = Fixture::new();
    assert_eq!(probe(&fixture.views).unwrap().kind(), ViewKindName::Erofs);
    fixture.assert_no_leavings();
}

#[test]
fn stubs_with_one_id() {
    namespace::run("suite_of_stubs", Map::One);
}

#[test]
fn stubs_with_a_range_of_ids() {
    namespace::run("suite_of_stubs", Map::Range);
}

#[test]
fn stubs_without_the_right_to_give_capabilities() {
    namespace::run_without_setfcap("suite_of_stubs");
}

#[test]
#[ignore = "run by the tests above, inside a user namespace"]
fn suite_of_stubs() {
    let view = by_name(ViewKindName::Stubs).unwrap();
    let fixture = namespace::fixture();
    suite::run(view.as_ref(), &fixture);
    // What a map has made can only be removed under that map.
    std::fs::remove_dir_all(&fixture.directory).unwrap();
}

#[test]
fn an_ordinary_user_gets_stubs() {
    namespace::run("probe_gives_stubs", Map::One);
}

#[test]
#[ignore = "run by the test above, inside a user namespace"]
fn probe_gives_stubs() {
    let fixture = namespace::fixture();
    assert_eq!(probe(&fixture.views).unwrap().kind(), ViewKindName::Stubs);
    fixture.assert_no_leavings();
}
