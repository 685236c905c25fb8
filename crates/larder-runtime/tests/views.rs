//! Views: one suite for every way of making them, as root and as an ordinary user.
//!
//! The parts that need root, a range of user ids or a program of the system say so when they are skipped. So do the ways that
//! this kernel refuses, with its words; `scripts/kernels` runs these tests on kernels that refuse others.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may panic as tests do")]

#[path = "views/docs.rs"]
mod docs;
#[path = "views/fixture.rs"]
mod fixture;
#[path = "views/kernel.rs"]
mod kernel;
#[path = "views/large.rs"]
mod large;
#[path = "views/lifecycle.rs"]
mod lifecycle;
#[path = "views/loops.rs"]
mod loops;
#[path = "views/namespace.rs"]
mod namespace;
#[path = "views/reading.rs"]
mod reading;
#[path = "views/suite.rs"]
mod suite;
#[path = "views/twins.rs"]
mod twins;
#[path = "views/writing.rs"]
mod writing;

use fixture::{Fixture, skip};
use larder_runtime::view::{ViewKindName, probe, probe_among};
use namespace::Map;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The suite as root, in a mount namespace: older kernels want a mount attached for a moment.
fn as_root(kind: ViewKindName) {
    if !is_root() {
        return skip(&format!("{kind} as root"), "it needs root; the parts for ordinary users run by themselves");
    }
    namespace::run_as_root(&format!("suite_of_{kind}").replace('-', "_"));
}

/// The suite in this process.
fn suite_of(kind: ViewKindName) {
    let mut fixture = namespace::fixture();
    let views = fixture.directory.join("probe");
    match probe_among(&[kind], &views) {
        Ok(view) => suite::run(view.as_ref(), &mut fixture),
        Err(error) => skip(&format!("{kind} as {}", namespace::who()), &error.to_string()),
    }
    // What a map has made can only be removed under that map.
    std::fs::remove_dir_all(&fixture.directory).unwrap();
}

#[test]
fn erofs_as_root() {
    as_root(ViewKindName::Erofs);
}

#[test]
fn erofs_loop_as_root() {
    as_root(ViewKindName::ErofsLoop);
}

#[test]
fn stubs_as_root() {
    as_root(ViewKindName::Stubs);
}

#[test]
fn checkout_as_root() {
    as_root(ViewKindName::Checkout);
}

#[test]
fn symlink_as_root() {
    as_root(ViewKindName::Symlink);
}

#[test]
fn symlink_with_one_id() {
    namespace::run("suite_of_symlink", Map::One);
}

#[test]
fn symlink_with_a_range_of_ids() {
    namespace::run("suite_of_symlink", Map::Range);
}

#[test]
#[ignore = "run by the tests above, inside a namespace"]
fn suite_of_symlink() {
    suite_of(ViewKindName::Symlink);
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
fn checkout_with_one_id() {
    namespace::run("suite_of_checkout", Map::One);
}

#[test]
fn checkout_with_a_range_of_ids() {
    namespace::run("suite_of_checkout", Map::Range);
}

#[test]
fn checkout_without_the_right_to_give_capabilities() {
    namespace::run_without_setfcap("suite_of_checkout");
}

#[test]
#[ignore = "run by the tests above, inside a namespace"]
fn suite_of_erofs() {
    suite_of(ViewKindName::Erofs);
}

#[test]
#[ignore = "run by the tests above, inside a namespace"]
fn suite_of_erofs_loop() {
    suite_of(ViewKindName::ErofsLoop);
}

#[test]
#[ignore = "run by the tests above, inside a namespace"]
fn suite_of_stubs() {
    suite_of(ViewKindName::Stubs);
}

#[test]
#[ignore = "run by the tests above, inside a namespace"]
fn suite_of_checkout() {
    suite_of(ViewKindName::Checkout);
}

#[test]
fn large_views_as_root() {
    if is_root() {
        namespace::run_as_root("large_views");
    } else {
        skip("large views as root", "it needs root");
    }
}

#[test]
fn large_views_with_one_id() {
    namespace::run("large_views", Map::One);
}

#[test]
#[ignore = "run by the tests above, inside a namespace"]
fn large_views() {
    let mut fixture = namespace::fixture();
    let for_root_only = [ViewKindName::Erofs, ViewKindName::ErofsLoop];
    for kind in ViewKindName::ALL {
        if namespace::who() != "root" && for_root_only.contains(&kind) {
            continue;
        }
        match probe_among(&[kind], &fixture.views) {
            Ok(view) => large::whole(view.as_ref(), &mut fixture),
            Err(error) => skip(&format!("a large view: {kind} as {}", namespace::who()), &error.to_string()),
        }
    }
    std::fs::remove_dir_all(&fixture.directory).unwrap();
}

/// EROFS is mounted from no file in memory; the next way is.
#[test]
fn a_store_on_tmpfs_gets_another_way() {
    let what = "a store on tmpfs";
    if !is_root() {
        return skip(what, "it needs root");
    }
    let Some(mut fixture) = Fixture::on_tmpfs() else { return skip(what, "/dev/shm is no tmpfs") };
    if probe_among(&[ViewKindName::Stubs], &fixture.views).is_err() {
        return skip(what, "this kernel makes no stubs work");
    }
    let view = probe_among(&[ViewKindName::Erofs, ViewKindName::Stubs], &fixture.views).unwrap();
    assert_eq!(view.kind(), ViewKindName::Stubs);
    suite::run(view.as_ref(), &mut fixture);
}

#[test]
fn the_first_way_that_works_is_taken() {
    if is_root() {
        namespace::run_as_root("probe_takes_the_first");
    } else {
        skip("the way that root gets", "it needs root");
    }
    namespace::run("probe_takes_the_first", Map::One);
}

#[test]
#[ignore = "run by the test above, inside a namespace"]
fn probe_takes_the_first() {
    let fixture = namespace::fixture();
    let works = |kind: &&ViewKindName| probe_among(&[**kind], &fixture.views).is_ok();
    let working: Vec<_> = ViewKindName::ALL.iter().filter(works).copied().collect();
    let first = probe(&fixture.views).unwrap().kind();
    assert_eq!(Some(&first), working.first());
    println!("{} gets {first} of {working:?}", namespace::who());
    fixture.assert_no_leavings();
}

/// What this test ran on when it was written: a kernel that can do it must be seen doing it.
#[test]
fn on_new_kernels_root_gets_erofs_and_an_ordinary_user_stubs() {
    let needed = (6, 16);
    if kernel::version() < needed {
        return skip("the usual ways", &format!("the kernel is older than {}.{}", needed.0, needed.1));
    }
    if is_root() {
        namespace::run_as_root("erofs_works");
    }
    namespace::run("stubs_work", Map::One);
}

#[test]
#[ignore = "run by the test above, inside a namespace"]
fn erofs_works() {
    assert_eq!(probe(&namespace::fixture().views).unwrap().kind(), ViewKindName::Erofs);
}

#[test]
#[ignore = "run by the test above, inside a namespace"]
fn stubs_work() {
    assert_eq!(probe(&namespace::fixture().views).unwrap().kind(), ViewKindName::Stubs);
}
