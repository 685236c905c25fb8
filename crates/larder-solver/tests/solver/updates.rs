//! Surgical updates: what is named changes, and what constraints force.

use larder_solver::{Root, Update};

use crate::universe::{Small, shown};

fn only(name: &str) -> Update {
    Update::Some([name.to_owned()].into())
}

fn archive() -> Small {
    Small::parse(
        "
web 1
  Depends: libssl (>= 1), zlib
web 2
  Depends: libssl (>= 1), zlib
openssl 1
  Depends: libssl (= 1)
openssl 2
  Depends: libssl (= 2)
libssl 1
libssl 2
zlib 1
zlib 2
",
    )
}

const LOCKED: [&str; 4] = ["web 1", "openssl 1", "libssl 1", "zlib 1"];

#[test]
fn a_lock_is_kept() {
    let solution = archive().update(&["web", "openssl"], &LOCKED, Update::None).unwrap();
    assert_eq!(shown(&solution), ["libssl 1", "openssl 1", "web 1", "zlib 1"]);
}

#[test]
fn one_name_changes_alone() {
    let solution = archive().update(&["web", "openssl"], &LOCKED, only("web")).unwrap();
    assert_eq!(shown(&solution), ["libssl 1", "openssl 1", "web 2", "zlib 1"]);
}

#[test]
fn what_constraints_force_changes_too() {
    let solution = archive().update(&["web", "openssl"], &LOCKED, only("openssl")).unwrap();
    assert_eq!(shown(&solution), ["libssl 2", "openssl 2", "web 1", "zlib 1"]);
}

#[test]
fn everything_changes_when_all_is_freed() {
    let solution = archive().update(&["web", "openssl"], &LOCKED, Update::All).unwrap();
    assert_eq!(shown(&solution), ["libssl 2", "openssl 2", "web 2", "zlib 2"]);
}

#[test]
fn a_new_root_leaves_the_lock_alone() {
    let solution = archive().update(&["web", "openssl"], &["web 1", "libssl 1", "zlib 1"], Update::None).unwrap();
    // openssl 2 is newer, but libssl 1 is locked and openssl 1 goes with it.
    assert_eq!(shown(&solution), ["libssl 1", "openssl 1", "web 1", "zlib 1"]);
}

#[test]
fn a_dropped_root_takes_what_it_needed_along() {
    let solution = archive().update(&["openssl"], &LOCKED, Update::None).unwrap();
    assert_eq!(shown(&solution), ["libssl 1", "openssl 1"]);
}

#[test]
fn a_locked_version_that_is_gone_is_replaced() {
    let solution = archive().update(&["web"], &["web 0.9", "libssl 1", "zlib 1"], Update::None).unwrap();
    assert_eq!(shown(&solution), ["libssl 1", "web 2", "zlib 1"]);
}

#[test]
fn a_pin_outranks_the_lock() {
    let solution = archive().update(&["web >=2", "openssl"], &LOCKED, Update::None).unwrap();
    assert_eq!(shown(&solution), ["libssl 1", "openssl 1", "web 2", "zlib 1"]);
}

#[test]
fn the_alternative_chosen_before_is_kept() {
    let small =
        Small::parse("app 1\n  Depends: one | two\none 1\ntwo 1\n  Provides: virtual\nuser 1\n  Depends: virtual");
    assert_eq!(shown(&small.solve(&["app"]).unwrap()), ["app 1", "one 1"]);
    let solution = small.update(&["app"], &["app 1", "two 1"], Update::None).unwrap();
    assert_eq!(shown(&solution), ["app 1", "two 1"]);
    let freed = small.update(&["app"], &["app 1", "two 1"], only("app")).unwrap();
    assert_eq!(shown(&freed), ["app 1", "two 1"]);
}

#[test]
fn a_root_accepts_by_debian_order() {
    let root: Root = "a >=1.10, <2".parse().unwrap();
    assert!(root.accepts("1.10-1") && root.accepts("1.99"));
    assert!(!root.accepts("1.9") && !root.accepts("2") && !root.accepts("1:1.10"));
}
