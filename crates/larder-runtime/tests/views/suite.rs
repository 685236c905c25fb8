//! What every way must do. A new way is added by one line in `views.rs`; what it can't do is in its table of exceptions.

use larder_runtime::view::{View, ViewKindName, Written, by_name};

use crate::fixture::{Fixture, KEY};
use crate::{lifecycle, reading, writing};

type Check = fn(&dyn View, &Fixture);

const CHECKS: &[(&str, Check)] = &[
    ("every entry reads back", reading::every_entry),
    ("what is not listed is not there", reading::negative_lookups),
    ("read-only without an upper", reading::read_only),
    ("a package is there twice", reading::packages_twice),
    ("two views share the page cache", reading::shared_page_cache),
    ("new files", writing::new_files),
    ("changed files are copied up whole", writing::changed_files),
    ("changed attributes", writing::changed_attributes),
    ("removed and made again", writing::removed),
    ("renamed", writing::renamed),
    ("unnamed files and hard links", writing::links),
    ("a running program can't be written", writing::text_busy),
    ("changes are told", writing::inotify),
    ("locks", writing::locks),
    ("writes stay in the upper and come back", writing::persistent),
    ("a package's files are changed for one container", writing::packages_written),
    ("read-only beside writable", writing::side_by_side),
    ("prepared once", lifecycle::prepared_once),
    ("prepared by many at once", lifecycle::prepared_at_once),
    ("leavings of the dead are swept", lifecycle::swept),
    ("nothing is left of a failure", lifecycle::failed),
    ("killed while preparing", lifecycle::killed),
    ("a missing object is found at the mount", lifecycle::missing_object),
    ("an upper stays with its view", lifecycle::upper_of_another),
    ("a hostile overlay attribute", lifecycle::hostile_attribute),
    ("removed views are gone", lifecycle::removed),
];

/// Those of a view over which nothing of a package is written.
const CHECKS_OUTSIDE_PACKAGES: &[(&str, Check)] = &[
    ("every entry reads back", reading::every_entry),
    ("what is not listed is not there", reading::negative_lookups),
    ("read-only without an upper", reading::read_only),
    ("a package is there twice", reading::packages_twice),
    ("two views share the page cache", reading::shared_page_cache),
    ("what isn't a package's is written", writing::outside_packages),
    ("prepared once", lifecycle::prepared_once),
];

/// Runs all checks, and names the one that fails.
pub(crate) fn run(view: &dyn View, fixture: &mut Fixture) {
    fixture.written = Written::Anything;
    run_all(CHECKS, view, fixture);
    fixture.written = Written::OutsidePackages;
    run_all(CHECKS_OUTSIDE_PACKAGES, view, fixture);
    view.remove(&fixture.views, KEY).unwrap();
}

fn run_all(checks: &[(&str, Check)], view: &dyn View, fixture: &Fixture) {
    for &(name, check) in checks {
        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(view, fixture)));
        assert!(checked.is_ok(), "{}: {name} ({:?}): failed", view.kind(), fixture.written);
    }
    other_kinds_refuse(view, fixture);
}

fn other_kinds_refuse(view: &dyn View, fixture: &Fixture) {
    let prepared = fixture.prepare(view);
    for other in ViewKindName::ALL.into_iter().filter(|kind| *kind != view.kind()) {
        by_name(other).mount(&prepared, None).unwrap_err();
    }
}
