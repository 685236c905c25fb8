//! Images beside a reader that shares nothing with the writer, beside another writer's, and beside the checker of the file system's tools.

use std::collections::BTreeMap;
use std::process::Command;

use proptest::prelude::*;

use super::format::Format;
use super::image::image;
use crate::view::{RootAttributes, ViewEntry, ViewKind, ViewTree, Written};

mod beside;
mod reader;

use reader::{Reader, Shown};

const FORMATS: [Format; 2] = [Format::Long, Format::Short];
const WRITTEN: [Written; 2] = [Written::Anything, Written::OutsidePackages];
const ROOT: RootAttributes = RootAttributes { mode: 0o751, uid: 1, gid: 2, mtime: 1_700_000_000 };

/// Reads an image back, checks what has to hold of any, and gives what it shows by path. The root's path is empty.
fn read(image: &[u8]) -> BTreeMap<Vec<u8>, Shown> {
    Reader::new(image).all()
}

/// What an image should show of an entry.
fn expected(entry: &ViewEntry) -> Shown {
    let mut attributes: BTreeMap<_, _> = entry.xattrs.iter().cloned().collect();
    let (kind, size, target) = match &entry.kind {
        ViewKind::Directory => (0o040_000, 0, Vec::new()),
        ViewKind::Symlink { target } => (0o120_000, target.len() as u64, target.clone()),
        ViewKind::File { object, size } => {
            if *size > 0 {
                let hex = hex::encode(object);
                attributes.insert(b"trusted.overlay.metacopy".to_vec(), Vec::new());
                let redirect = format!("/{}/{}", &hex[..2], &hex[2..]);
                attributes.insert(b"trusted.overlay.redirect".to_vec(), redirect.into_bytes());
            }
            (0o100_000, *size, Vec::new())
        }
    };
    let mode = if kind == 0o120_000 { 0o777 } else { entry.mode };
    Shown { mode: kind | mode, uid: entry.uid, gid: entry.gid, mtime: entry.mtime, size, target, attributes, inode: 0 }
}

fn check(tree: &ViewTree, format: Format, written: Written) {
    let image = image(tree, format, written);
    assert!(image == super::image::image(tree, format, written), "the same listing gives the same bytes");
    let mut shown = read(&image);
    let root = shown.remove(b"".as_slice()).unwrap();
    assert_eq!((root.mode & 0o7777, root.uid, root.gid, root.mtime), (ROOT.mode, ROOT.uid, ROOT.gid, ROOT.mtime));
    let hides_objects = |path: &[u8]| path.len() == 2 && hex::decode(path).is_ok_and(|_| path.is_ascii());
    if format == Format::Long {
        let hex = |byte: u8| hex::encode([byte]).into_bytes();
        assert!((0..=255).all(|byte| shown.contains_key(&hex(byte))), "every directory of objects is hidden");
        shown.retain(|path, shown| !(hides_objects(path) && shown.mode & 0o170_000 == 0o020_000));
    }
    assert_eq!(shown.len(), tree.entries().len());
    let mut names: BTreeMap<usize, Vec<&[u8]>> = BTreeMap::new();
    for entry in tree.entries() {
        let mut is = shown[&entry.path].clone();
        names.entry(is.inode).or_default().push(&entry.path);
        is.inode = 0;
        if format == Format::Long && hides_objects(&entry.path) && entry.kind == ViewKind::Directory {
            assert_eq!(is.attributes.remove(b"trusted.overlay.opaque".as_slice()).as_deref(), Some(b"y".as_slice()));
        }
        let mut should = expected(entry);
        if entry.kind == ViewKind::Directory {
            should.size = is.size;
        }
        assert_eq!(is, should, "{}", String::from_utf8_lossy(&entry.path));
    }
    for paths in names.values().filter(|paths| paths.len() > 1) {
        let packaged = paths.iter().filter(|path| path.starts_with(b"packages/")).count();
        assert_eq!((paths.len(), packaged), (2, 1), "one of two names is a package's: {paths:?}");
        assert!(paths.iter().all(|path| path.starts_with(b"packages/") || path.starts_with(b"usr/")), "{paths:?}");
        assert_eq!(written, Written::OutsidePackages);
    }
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    let plain = prop::sample::select(vec!["a", "b", "usr", "packages", "ab", "lib", "-x", "+", "...", "#", "\u{fc}"]);
    prop_oneof![
        8 => plain.prop_map(|name| name.as_bytes().to_vec()),
        2 => prop::collection::vec(any::<u8>().prop_filter("plain", |byte| !b"/\0.".contains(byte)), 1..250),
    ]
}

fn entry() -> impl Strategy<Value = ViewEntry> {
    let sizes = prop::sample::select(vec![0, 1, 4096, 5000, u64::from(u32::MAX) + 1, 1 << 43]);
    let kind = prop_oneof![
        1 => Just(ViewKind::Directory),
        4 => (0..6_u8, sizes).prop_map(|(object, size)| ViewKind::File { object: [object; 32], size }),
        1 => prop_oneof![1..80_usize, 4000..4096_usize].prop_map(|size| ViewKind::Symlink { target: vec![b't'; size] }),
    ];
    let ids = || prop::sample::select(vec![0, 33, 65_535, 65_536, u32::MAX]);
    let times = prop::sample::select(vec![0, 1, 1_700_000_000, u64::from(u32::MAX) + 5]);
    let attributes = prop::collection::vec(
        (
            prop::sample::select(vec!["security.capability", "user.a", "user.bc"]),
            prop::collection::vec(any::<u8>(), 0..900),
        ),
        0..2,
    );
    let path = prop::collection::vec(name(), 1..5).prop_map(|parts| parts.join(&b'/'));
    (path, kind, 0..0o10000_u16, ids(), ids(), times, attributes).prop_map(
        |(path, kind, mode, uid, gid, mtime, attributes)| {
            let is_link = matches!(kind, ViewKind::Symlink { .. });
            let xattrs = attributes.into_iter().filter(|_| !is_link);
            let xattrs = xattrs.map(|(name, value)| (name.as_bytes().to_vec(), value)).collect();
            ViewEntry { path, kind, mode, uid, gid, mtime, xattrs }
        },
    )
}

/// Files of which half are below `packages` once more, with the directories that they are in.
fn listing() -> impl Strategy<Value = ViewTree> {
    prop::collection::vec((entry(), any::<bool>()), 0..120).prop_map(|drawn| {
        let mut entries: BTreeMap<Vec<u8>, ViewEntry> = BTreeMap::new();
        let mut add = |entry: ViewEntry| {
            let slashes = entry.path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(index, _)| index);
            let parents: Vec<_> = slashes.map(|slash| entry.path[..slash].to_vec()).collect();
            let is_file = |path: &Vec<u8>| entries.get(path).is_some_and(|entry| entry.kind != ViewKind::Directory);
            if entry.path.len() > 2000 || parents.iter().any(is_file) || entries.contains_key(&entry.path) {
                return;
            }
            for path in parents {
                entries.entry(path.clone()).or_insert_with(|| ViewEntry {
                    path,
                    kind: ViewKind::Directory,
                    xattrs: Vec::new(),
                    ..entry.clone()
                });
            }
            entries.insert(entry.path.clone(), entry);
        };
        for (entry, twice) in drawn {
            if twice {
                add(ViewEntry { path: [b"packages/p@1/".as_slice(), &entry.path].concat(), ..entry.clone() });
                add(ViewEntry { path: [b"usr/".as_slice(), &entry.path].concat(), ..entry });
            } else {
                add(entry);
            }
        }
        ViewTree::new(ROOT, entries.into_values().collect()).unwrap().with_read_only([b"usr".to_vec()])
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_image_shows_its_listing(tree in listing()) {
        for format in FORMATS {
            for written in WRITTEN {
                check(&tree, format, written);
            }
        }
    }
}

fn file(path: &str, object: u8) -> ViewEntry {
    let kind = ViewKind::File { object: [object; 32], size: 10 };
    ViewEntry { path: path.into(), kind, mode: 0o644, uid: 0, gid: 0, mtime: 5, xattrs: Vec::new() }
}

fn directory(path: &str) -> ViewEntry {
    ViewEntry { kind: ViewKind::Directory, ..file(path, 0) }
}

/// A package's program at its place, one that is configuration, and one that the image has changed the mode of.
fn packaged() -> ViewTree {
    let mut entries: Vec<_> =
        ["etc", "packages", "packages/p@1", "packages/p@1/etc", "packages/p@1/usr", "usr"].map(directory).into();
    for (path, object) in [("usr/tool", 1), ("usr/other", 2), ("etc/conf", 3)] {
        entries.extend([file(path, object), file(&format!("packages/p@1/{path}"), object)]);
    }
    entries.iter_mut().find(|entry| entry.path == b"usr/other").unwrap().mode = 0o600;
    // The same content under another name is another file.
    entries.push(file("usr/tool-again", 1));
    ViewTree::new(ROOT, entries).unwrap().with_read_only([b"usr".to_vec()])
}

#[test]
fn only_what_nobody_writes_has_one_inode_for_two_names() {
    for format in FORMATS {
        let same = |written, path: &str| {
            let shown = read(&image(&packaged(), format, written));
            shown[path.as_bytes()].inode == shown[format!("packages/p@1/{path}").as_bytes()].inode
        };
        assert!(same(Written::OutsidePackages, "usr/tool"));
        assert!(!same(Written::Anything, "usr/tool"));
        assert!(!same(Written::OutsidePackages, "usr/other"), "they have other modes");
        assert!(!same(Written::OutsidePackages, "etc/conf"), "a container may write it");
    }
}

#[test]
fn a_directory_of_every_size_can_be_read() {
    for count in (0..400).step_by(7) {
        let entries = (0..count).map(|index| file(&format!("{index:0>width$}", width = 20 + index % 3), 1)).collect();
        let tree = ViewTree::new(ROOT, entries).unwrap();
        for format in FORMATS {
            check(&tree, format, Written::Anything);
        }
    }
}

/// The tools of bookworm know nothing of short inodes with times of their own.
#[test]
fn the_file_systems_own_checker_finds_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("image");
    for tree in [packaged(), beside::everything()] {
        for written in WRITTEN {
            std::fs::write(&path, image(&tree, Format::Long, written)).unwrap();
            let checked = Command::new("fsck.erofs").arg("--extract").arg(&path).output();
            let Ok(output) = checked else { return beside::skip("fsck.erofs", "it is not installed") };
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stdout));
        }
    }
}
