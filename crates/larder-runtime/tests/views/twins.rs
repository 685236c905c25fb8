//! What only the checkout does: the objects' twins.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use larder_runtime::view::{Prepared, View, ViewKindName, by_name, sweep_twins};

use crate::fixture::{Fixture, PACKAGED_TOOL, TOOL, skip};

fn checkout() -> Box<dyn View> {
    by_name(ViewKindName::Checkout)
}

fn number(prepared: &Prepared, path: &str) -> (u64, u64) {
    let status = fs::symlink_metadata(prepared.path.join("tree").join(path)).unwrap();
    (status.ino(), status.nlink())
}

/// Every twin that has a name, by the name of its object.
fn twins(fixture: &Fixture) -> Vec<PathBuf> {
    let list =
        |path: &Path| -> Vec<PathBuf> { fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect() };
    let pools = list(&fixture.views).into_iter().filter(|path| path.to_string_lossy().contains("/.twins-"));
    pools.flat_map(|pool| list(&pool)).flat_map(|directory| list(&directory)).collect()
}

#[test]
fn two_views_have_one_twin_and_it_goes_with_them() {
    if !rustix::process::geteuid().is_root() {
        return skip("two_views_have_one_twin_and_it_goes_with_them", "giving files to others needs root");
    }
    let (fixture, view) = (Fixture::new(), checkout());
    let [one, other] = ["0a", "0b"].map(|key| fixture.prepare_as(view.as_ref(), key));
    assert_eq!(number(&one, TOOL), number(&other, TOOL));
    assert_eq!(number(&one, TOOL), number(&one, PACKAGED_TOOL));
    // Four places and the name.
    assert_eq!(number(&one, TOOL).1, 5);
    let named: BTreeSet<_> = twins(&fixture).into_iter().collect();
    assert!(named.len() > 600, "{}", named.len());
    view.remove(&fixture.views, "0a").unwrap();
    assert_eq!(twins(&fixture).len(), named.len());
    assert_eq!(number(&other, TOOL).1, 3);
    // As a garbage collection does it, which knows nothing of twins.
    fs::remove_dir_all(fixture.views.join("0b")).unwrap();
    sweep_twins(&fixture.views).unwrap();
    assert!(twins(&fixture).is_empty());
    fixture.assert_no_leavings();
}

#[test]
fn a_twin_that_was_swept_is_made_again() {
    if !rustix::process::geteuid().is_root() {
        return skip("a_twin_that_was_swept_is_made_again", "giving files to others needs root");
    }
    let (fixture, view) = (Fixture::new(), checkout());
    let one = fixture.prepare_as(view.as_ref(), "0a");
    for twin in twins(&fixture) {
        fs::remove_file(twin).unwrap();
    }
    let other = fixture.prepare_as(view.as_ref(), "0b");
    assert_ne!(number(&one, TOOL).0, number(&other, TOOL).0);
    assert_eq!(number(&other, TOOL).1, 3);
}

/// An object with the mode, owner and time of an entry needs no twin.
#[test]
fn an_object_that_fits_is_linked_itself() {
    if !rustix::process::geteuid().is_root() {
        return skip("an_object_that_fits_is_linked_itself", "giving files to others needs root");
    }
    let (mut fixture, view) = (Fixture::new(), checkout());
    let object = fixture.object(b"fits");
    let path = fixture.object_path(&object);
    let status = fs::metadata(&path).unwrap();
    let kind = larder_runtime::view::ViewKind::File { object, size: 4 };
    for (name, mode) in [("fits", 0o444), ("differs", 0o644)] {
        let entry = fixture.add(name, kind.clone(), mode);
        (entry.uid, entry.gid, entry.mtime) = (status.uid(), status.gid(), 1_500_000_000);
    }
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_500_000_000);
    fs::File::open(&path).unwrap().set_modified(time).unwrap();
    let prepared = fixture.prepare(view.as_ref());
    assert_eq!(number(&prepared, "fits"), (status.ino(), 2));
    assert_ne!(number(&prepared, "differs").0, status.ino());
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o444, "the store's object stays as it was");
}
