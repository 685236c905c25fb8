//! Versions beside `dpkg --compare-versions`.

use std::cmp::Ordering;
use std::process::Command;

use larder_solver::{Relation, compare};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// Versions made of the pieces that ordering depends on, often nearly equal.
fn version() -> impl Strategy<Value = String> {
    let piece =
        prop::sample::select(vec!["0", "00", "1", "01", "9", "10", "a", "Z", "b", "~", "~~", "+", ".", "rc", "-"]);
    let epoch = prop::sample::select(vec!["", "", "", "0:", "1:", "02:"]);
    let body = (prop::sample::select(vec!["0", "1", "2"]), prop::collection::vec(piece, 0..5));
    (epoch, body, prop::sample::select(vec!["", "-0", "-1", "-1~", "-1+b1"]))
        .prop_map(|(epoch, (first, rest), revision)| format!("{epoch}{first}{}{revision}", rest.concat()))
        .prop_filter("a revision is not empty", |text| !text.ends_with('-'))
}

#[test]
fn random_versions_compare_as_dpkg_compares_them() {
    if Command::new("dpkg").arg("--version").output().is_err() {
        eprintln!("SKIPPED: dpkg is not here, so versions are not compared with it");
        return;
    }
    let mut runner = TestRunner::deterministic();
    for _ in 0..300 {
        let pair = (version(), version()).new_tree(&mut runner).unwrap().current();
        let (a, b) = pair;
        let ours = compare(&a, &b);
        assert_eq!(compare(&b, &a), ours.reverse(), "{a} and {b}");
        for (word, relation) in [("lt", Relation::Earlier), ("eq", Relation::Equal), ("gt", Relation::Later)] {
            let status = Command::new("dpkg").args(["--compare-versions", &a, word, &b]).status().unwrap();
            assert_eq!(status.success(), relation.accepts(ours), "dpkg --compare-versions {a} {word} {b}");
            if status.success() {
                break;
            }
        }
    }
}

proptest! {
    #[test]
    fn the_order_is_total(a in version(), b in version(), c in version()) {
        prop_assert_eq!(compare(&a, &a), Ordering::Equal);
        prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
        if compare(&a, &b).is_le() && compare(&b, &c).is_le() {
            prop_assert!(compare(&a, &c).is_le());
        }
    }
}
