//! Mounted beside the image that the `composefs` crate writes of the same listing: the kernel shows the same of both.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use composefs::erofs::format::FormatVersion;
use composefs::erofs::writer::{ValidatedFileSystem, mkfs_erofs_versioned};
use composefs::fsverity::{FsVerityHashValue, Sha256HashValue};
use composefs::generic_tree::{Inode, LeafContent, Stat};
use composefs::tree::{Directory, FileSystem, RegularFile};

use super::{FORMATS, ROOT, WRITTEN, directory, file};
use crate::view::erofs::format::Format;
use crate::view::erofs::{image, mount_image, readable};
use crate::view::{ViewEntry, ViewKind, ViewTree};

/// Says aloud that something was not tested; the harness would hide what a macro prints.
pub(super) fn skip(what: &str, why: &str) {
    std::io::stderr().write_all(format!("SKIPPED {what}: {why}\n").as_bytes()).unwrap();
}

/// Some of everything.
pub(super) fn everything() -> ViewTree {
    let mut entries = ["usr", "usr/many", "etc", "ab", "packages", "packages/p@1"].map(directory).to_vec();
    for index in 0..700_u32 {
        let path = format!("usr/many/{index:0>width$}", width = 3 + index as usize % 60);
        let mut entry = file(&path, index as u8);
        entry.mtime = u64::from(index % 5) * 1_000_000_000;
        entry.uid = [0, 33, 70_000][index as usize % 3];
        entry.mode = [0o644, 0o4755, 0o600, 0][index as usize % 4];
        entry.kind = match index % 9 {
            0 => ViewKind::Symlink { target: vec![b't'; 1 + (index as usize * 37) % 4095] },
            1 => ViewKind::Directory,
            2 => ViewKind::File { object: [0; 32], size: 0 },
            size => ViewKind::File { object: [index as u8; 32], size: 10_u64.pow(size) },
        };
        if index % 9 != 0 && index % 7 == 0 {
            entry.xattrs = vec![(b"user.note".to_vec(), vec![1; index as usize * 4])];
            entry
                .xattrs
                .push((b"security.capability".to_vec(), vec![1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
            entry.xattrs[1].1.resize(20, 0);
        }
        entries.push(ViewEntry { path: format!("packages/p@1/{index}").into_bytes(), ..entry.clone() });
        entries.push(entry);
    }
    ViewTree::new(ROOT, entries).unwrap().with_read_only([b"usr".to_vec()])
}

/// The other writer's image for all kernels.
fn other_image(tree: &ViewTree) -> Box<[u8]> {
    let root = tree.root();
    let attributes = |mode: u16, uid, gid, mtime: u64, xattrs| Stat {
        st_mode: mode.into(),
        st_uid: uid,
        st_gid: gid,
        st_mtim_sec: mtime as i64,
        st_mtim_nsec: 0,
        xattrs,
    };
    let stat = attributes(root.mode, root.uid, root.gid, root.mtime, BTreeMap::new());
    let mut files = FileSystem::<Sha256HashValue>::new(stat);
    for entry in tree.entries() {
        let xattrs = entry.xattrs.iter().map(|(name, value)| {
            (OsStr::from_bytes(name).to_owned().into_boxed_os_str(), value.clone().into_boxed_slice())
        });
        let mode = if matches!(entry.kind, ViewKind::Symlink { .. }) { 0o777 } else { entry.mode };
        let stat = attributes(mode, entry.uid, entry.gid, entry.mtime, xattrs.collect());
        let inode = match &entry.kind {
            ViewKind::Directory => Inode::Directory(Box::new(Directory::new(stat))),
            ViewKind::File { size: 0, .. } => {
                let content = RegularFile::Inline(Box::default());
                Inode::leaf(files.push_leaf(stat, LeafContent::Regular(content)))
            }
            ViewKind::File { object, size } => {
                let id = Sha256HashValue::from_hex(hex::encode(object)).unwrap();
                let content = RegularFile::ExternalNoVerity(id, *size);
                Inode::leaf(files.push_leaf(stat, LeafContent::Regular(content)))
            }
            ViewKind::Symlink { target } => {
                let target = OsString::from_vec(target.clone()).into_boxed_os_str();
                Inode::leaf(files.push_leaf(stat, LeafContent::Symlink(target)))
            }
        };
        let (parent, name) = files.root.split_mut(OsStr::from_bytes(&entry.path)).unwrap();
        parent.insert(name, inode);
    }
    mkfs_erofs_versioned(&ValidatedFileSystem::new(files).unwrap(), FormatVersion::V1)
}

/// What the kernel says of everything below a directory, by path.
fn seen(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut all = BTreeMap::new();
    let mut next = vec![PathBuf::new()];
    while let Some(path) = next.pop() {
        let full = root.join(&path);
        let status = fs::symlink_metadata(&full).unwrap();
        let mut attributes = vec![0_u8; 65536];
        let size = rustix::fs::llistxattr(&full, &mut attributes).unwrap();
        let names = attributes[..size].split(|&byte| byte == 0).filter(|name| !name.is_empty());
        let attributes: BTreeMap<_, _> = names
            .map(|name| {
                let mut value = vec![0_u8; 65536];
                let size = rustix::fs::lgetxattr(&full, name, &mut value).unwrap();
                (String::from_utf8_lossy(name).into_owned(), value[..size].to_vec())
            })
            .collect();
        let kind = status.file_type();
        let size = if kind.is_dir() { 0 } else { status.size() };
        let target = if kind.is_symlink() { fs::read_link(&full).unwrap() } else { PathBuf::new() };
        // A link's directory entry and an inode have a kind each.
        let text = format!(
            "{:o} {} {} {} {} {} {} {target:?} {attributes:?} {}",
            status.mode(),
            status.uid(),
            status.gid(),
            status.mtime(),
            status.mtime_nsec(),
            status.nlink(),
            size,
            kind.is_char_device(),
        );
        if kind.is_dir() {
            for entry in fs::read_dir(&full).unwrap() {
                let entry = entry.unwrap();
                assert_eq!(entry.file_type().unwrap(), fs::symlink_metadata(entry.path()).unwrap().file_type());
                next.push(path.join(entry.file_name()));
            }
        }
        all.insert(path, text);
    }
    all
}

#[test]
fn the_kernel_shows_the_same_of_another_writers_image() {
    if !rustix::process::geteuid().is_root() {
        return skip("images mounted beside another writer's", "it needs root");
    }
    // No file in memory is mounted.
    let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let mounted = |bytes: &[u8]| {
        fs::write(folder.path().join("image"), bytes).unwrap();
        let mount = mount_image(folder.path())?;
        let seen = seen(Path::new(&format!("/proc/self/fd/{}/.", mount.as_raw_fd())));
        Ok::<_, crate::RuntimeError>(seen)
    };
    let tree = everything();
    let theirs = match mounted(&other_image(&tree)) {
        Ok(seen) => seen,
        Err(error) => return skip("images mounted beside another writer's", &error.chain()),
    };
    assert!(theirs.len() > 1500);
    for format in FORMATS.into_iter().filter(|format| *format == Format::Long || readable() == Format::Short) {
        for written in WRITTEN {
            let mut ours = mounted(&image::image(&tree, format, written)).unwrap();
            let mut theirs = theirs.clone();
            // Ours alone says that a directory hides one of the objects' with its name.
            assert!(ours.remove(Path::new("ab")).is_some() && theirs.remove(Path::new("ab")).is_some());
            if format == Format::Short {
                theirs.retain(|path, _| path.as_os_str().len() != 2);
                assert!(ours.remove(Path::new("")).is_some() && theirs.remove(Path::new("")).is_some());
            }
            let differs = ours.iter().find(|(path, seen)| theirs.get(*path) != Some(seen));
            assert_eq!(differs.map(|(path, seen)| (path, seen, theirs.get(path))), None, "{format:?} {written:?}");
            assert_eq!(ours.len(), theirs.len());
        }
    }
}
