//! A view as large as large images are: 700 packages, 40,000 files, each of them in its package and in its place.

use std::fs;

use larder_runtime::view::{View, ViewEntry, ViewKind, ViewTree};

use crate::fixture::{Fixture, ROOT, inside};

const PACKAGES: usize = 700;
const FILES: usize = 40_000;
/// A key that no other check uses.
const KEY: &str = "1a";

/// Its listing. Seven files of eight have one content and the same attributes: that is more links than ext4 allows to one file.
fn tree(fixture: &mut Fixture) -> ViewTree {
    let common = fixture.object(b"what most files say");
    let others: Vec<_> = (0..500).map(|index| fixture.object(format!("content {index:07}....").as_bytes())).collect();
    let mut entries = Vec::new();
    let mut add = |path: String, kind| {
        let (mode, mtime) = (if matches!(kind, ViewKind::File { .. }) { 0o644 } else { 0o755 }, 1_500_000_000);
        entries.push(ViewEntry { path: path.into(), kind, mode, uid: 0, gid: 0, mtime, xattrs: Vec::new() });
    };
    for directory in ["packages", "packages/example.org", "usr", "usr/share"] {
        add(directory.to_owned(), ViewKind::Directory);
    }
    for package in 0..PACKAGES {
        let root = format!("packages/example.org/p{package}@1.0-{package}");
        for directory in ["", "/usr", "/usr/share"] {
            add(format!("{root}{directory}"), ViewKind::Directory);
        }
        for prefix in [format!("{root}/"), String::new()] {
            add(format!("{prefix}usr/share/p{package}"), ViewKind::Directory);
        }
    }
    for file in 0..FILES {
        let package = file % PACKAGES;
        let (object, size) = if file % 8 == 0 { (others[file / 8 % 500], 19) } else { (common, 19) };
        let path = format!("usr/share/p{package}/file-{file}");
        add(format!("packages/example.org/p{package}@1.0-{package}/{path}"), ViewKind::File { object, size });
        add(path, ViewKind::File { object, size });
    }
    ViewTree::new(ROOT, entries).unwrap()
}

pub(crate) fn whole(view: &dyn View, fixture: &mut Fixture) {
    let tree = tree(fixture);
    let prepared = view.prepare(&fixture.request(KEY, &|| Ok(tree.clone()))).unwrap();
    let upper = fixture.upper(&format!("large-{}", view.kind()));
    let mount = view.mount(&prepared, Some(upper.upper())).unwrap();
    let list = |path: &str| fs::read_dir(inside(&mount, path)).unwrap().map(|entry| entry.unwrap().path());
    assert_eq!(list("packages/example.org").count(), PACKAGES);
    let files: usize = list("usr/share").map(|directory| fs::read_dir(directory).unwrap().count()).sum();
    assert_eq!(files, FILES);
    for entry in tree.entries() {
        let ViewKind::File { object, size } = &entry.kind else { continue };
        let path = inside(&mount, std::str::from_utf8(&entry.path).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().len(), *size, "{}", path.display());
        if entry.path.ends_with(b"9") {
            assert_eq!(fs::read(&path).unwrap(), fixture.content(object), "{}", path.display());
        }
    }
    fs::write(inside(&mount, "usr/share/new"), "x").unwrap();
    drop(mount);
    view.remove(&fixture.views, KEY).unwrap();
}
