//! A container's writable layer, read as the kernel leaves it, and how it differs from the view below.
//!
//! The layer is an overlay's upper directory: whole files where something was written, character devices 0:0 where something was removed,
//! folders on the way. A folder that hides what is below it, and on older kernels a file of which only attributes are here, say so in
//! extended attributes (the kernel's `filesystems/overlayfs`). Whoever wrote it is gone, and nobody else can enter the folder that it is in;
//! still links are never followed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use larder_runtime::view::{ViewEntry, ViewKind};
use larder_store::path::MAX_DEPTH;
use larder_store::{Name, ObjectDigest};
use rustix::io::Errno;

use super::error::CaptureError;
use crate::{Error, Result};

/// How many paths are looked at.
const MOST: usize = 200_000;
/// What the runtime mounts over or makes for itself.
const MOUNTED: [&[u8]; 5] = [b"dev", b"packages", b"proc", b"run", b"sys"];

/// What became of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum How {
    /// It was not there before.
    Added,
    /// It was there, and is something else.
    Changed,
    /// It is gone.
    Removed,
}

/// A path that isn't as it was.
#[derive(Debug)]
pub(super) struct Change {
    /// The path without a slash before it; any bytes.
    pub(super) path: Vec<u8>,
    pub(super) how: How,
    /// What is there now; nothing where it was removed.
    pub(super) node: Option<Node>,
}

/// What is at a path.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) mode: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// A file's capabilities.
    pub(super) capability: Option<Vec<u8>>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    /// With its content at this path of the host.
    File {
        at: PathBuf,
        size: u64,
    },
    /// With the content that it had before.
    Same {
        object: ObjectDigest,
        size: u64,
    },
    Symlink(Vec<u8>),
    Special(&'static str),
}

/// The paths of a view as they were.
pub(super) type Before<'a> = BTreeMap<&'a [u8], &'a ViewEntry>;

/// Lists what differs, sorted by path.
///
/// # Errors
/// More paths than anybody needs, a folder that was renamed, a file that can't be read.
pub(super) fn changes(package: &Name, upper: &Path, before: &Before<'_>) -> Result<Vec<Change>> {
    let mut walk = Walk { package, before, found: Vec::new(), seen: BTreeSet::new(), opaque: Vec::new() };
    walk.folder(upper, b"", 0)?;
    let Walk { mut found, seen, opaque, .. } = walk;
    for folder in opaque {
        let start = [&folder[..], b"/"].concat();
        let hidden = before.range(&start[..]..).take_while(|(path, _)| path.starts_with(&start));
        for (path, _) in hidden.filter(|(path, _)| !seen.contains(**path)) {
            found.push(Change { path: path.to_vec(), how: How::Removed, node: None });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found.dedup_by(|a, b| a.path == b.path);
    Ok(found)
}

struct Walk<'a> {
    package: &'a Name,
    before: &'a Before<'a>,
    found: Vec<Change>,
    /// Every path of the layer.
    seen: BTreeSet<Vec<u8>>,
    /// Folders that hide what was below them.
    opaque: Vec<Vec<u8>>,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, inside: &[u8], depth: usize) -> Result<()> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder).map_err(Error::io("read", folder))? {
            names.push(entry.map_err(Error::io("read", folder))?.file_name());
            if self.seen.len() + names.len() > MOST {
                return Err(CaptureError::TooMany { package: self.package.clone(), limit: MOST }.into());
            }
        }
        names.sort();
        for name in names {
            let path =
                if inside.is_empty() { name.as_bytes().to_vec() } else { [inside, b"/", name.as_bytes()].concat() };
            if inside.is_empty() && MOUNTED.contains(&name.as_bytes()) {
                continue;
            }
            self.entry(&folder.join(&name), path, depth + 1)?;
        }
        Ok(())
    }

    fn entry(&mut self, file: &Path, path: Vec<u8>, depth: usize) -> Result<()> {
        let metadata = fs::symlink_metadata(file).map_err(Error::io("look at", file))?;
        let was = self.before.get(path.as_slice()).copied();
        let is_folder = metadata.is_dir();
        if metadata.file_type().is_char_device() && metadata.rdev() == 0 {
            self.removed(&path);
        } else {
            if attribute(file, "overlay.redirect")?.is_some() {
                let path = super::shown_path(&path);
                return Err(CaptureError::Renamed { package: self.package.clone(), path }.into());
            }
            let node = node(file, &metadata, was)?;
            if was.is_some_and(|was| was.kind == ViewKind::Directory) && !is_folder {
                // What was in a folder that is none any more.
                self.opaque.push(path.clone());
            }
            if is_folder && attribute(file, "overlay.opaque")?.is_some() {
                self.opaque.push(path.clone());
            }
            let how = if was.is_some() { How::Changed } else { How::Added };
            if !was.is_some_and(|was| is_same(&node, was)) {
                self.found.push(Change { path: path.clone(), how, node: Some(node) });
            }
        }
        self.seen.insert(path.clone());
        // What is deeper can be in no Tree, and its folder says so.
        if is_folder && depth <= MAX_DEPTH { self.folder(file, &path, depth) } else { Ok(()) }
    }

    /// A path, and all that was below it, is gone.
    fn removed(&mut self, path: &[u8]) {
        if self.before.contains_key(path) {
            self.found.push(Change { path: path.to_vec(), how: How::Removed, node: None });
            self.opaque.push(path.to_vec());
        }
    }
}

fn node(file: &Path, metadata: &Metadata, was: Option<&ViewEntry>) -> Result<Node> {
    let kind = metadata.file_type();
    let kind = if kind.is_dir() {
        Kind::Directory
    } else if kind.is_symlink() {
        let target = fs::read_link(file).map_err(Error::io("read", file))?;
        Kind::Symlink(target.as_os_str().as_bytes().to_vec())
    } else if kind.is_file() {
        content(file, metadata.len(), was)?
    } else if kind.is_fifo() {
        Kind::Special("a named pipe")
    } else if kind.is_socket() {
        Kind::Special("a socket")
    } else {
        Kind::Special("a device")
    };
    let capability = match kind {
        Kind::File { .. } | Kind::Same { .. } => get(file, "security.capability")?,
        _ => None,
    };
    let mode = (metadata.mode() & 0o7777) as u16;
    Ok(Node { kind, mode, uid: metadata.uid(), gid: metadata.gid(), capability })
}

fn content(file: &Path, size: u64, was: Option<&ViewEntry>) -> Result<Kind> {
    let old = was.and_then(|was| match was.kind {
        ViewKind::File { object, size } => Some((ObjectDigest::from_bytes(object), size)),
        _ => None,
    });
    if let Some((object, old_size)) = old {
        let same = Kind::Same { object, size: old_size };
        // Only the attributes are here: older kernels leave the content where it was.
        if attribute(file, "overlay.metacopy")?.is_some() {
            return Ok(same);
        }
        if size == old_size {
            let (now, _) = ObjectDigest::of_reader(&mut open(file)?).map_err(Error::io("read", file))?;
            if now == object {
                return Ok(same);
            }
        }
    }
    Ok(Kind::File { at: file.to_owned(), size })
}

/// Opens a file of the layer.
///
/// # Errors
/// It can't be read.
pub(super) fn open(file: &Path) -> Result<File> {
    let no_follow = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    File::options().read(true).custom_flags(no_follow).open(file).map_err(Error::io("read", file))
}

fn is_same(node: &Node, was: &ViewEntry) -> bool {
    let kind = match (&node.kind, &was.kind) {
        (Kind::Directory, ViewKind::Directory) | (Kind::Same { .. }, ViewKind::File { .. }) => node.mode == was.mode,
        (Kind::Symlink(now), ViewKind::Symlink { target }) => now == target,
        _ => false,
    };
    let old = was.xattrs.iter().find(|(name, _)| name == b"security.capability").map(|(_, value)| value);
    kind && (node.uid, node.gid) == (was.uid, was.gid) && node.capability.as_ref() == old
}

/// One of the kernel's own attributes, as root and as others have them.
fn attribute(file: &Path, name: &str) -> Result<Option<Vec<u8>>> {
    match get(file, &format!("trusted.{name}"))? {
        None => get(file, &format!("user.{name}")),
        found => Ok(found),
    }
}

fn get(file: &Path, name: &str) -> Result<Option<Vec<u8>>> {
    let mut value = [0; 4096];
    match rustix::fs::lgetxattr(file, name, &mut value) {
        Ok(length) => Ok(Some(value[..length].to_vec())),
        // Links and pipes have no attributes of users.
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::PERM) => Ok(None),
        Err(errno) => Err(Error::io("look at", file)(io::Error::from(errno))),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn entry(path: &str, kind: ViewKind, mode: u16) -> ViewEntry {
        let own = rustix::process::geteuid().as_raw();
        let group = rustix::process::getegid().as_raw();
        ViewEntry { path: path.into(), kind, mode, uid: own, gid: group, mtime: 0, xattrs: Vec::new() }
    }

    fn file(path: &str, content: &[u8]) -> ViewEntry {
        let object = *ObjectDigest::of(content).as_bytes();
        entry(path, ViewKind::File { object, size: content.len() as u64 }, 0o644)
    }

    fn write(path: &Path, content: &[u8]) {
        fs::create_dir_all(path.parent().expect("parent")).expect("folder");
        fs::write(path, content).expect("write");
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).expect("mode");
    }

    fn found(upper: &Path, before: &[ViewEntry]) -> Vec<(How, String)> {
        let before: Before<'_> = before.iter().map(|entry| (entry.path.as_slice(), entry)).collect();
        let package = Name::parse("debian.org/x").expect("name");
        let changes = changes(&package, upper, &before).expect("changes");
        changes.iter().map(|change| (change.how, super::super::shown_path(&change.path))).collect()
    }

    #[test]
    fn what_is_as_it_was_is_no_change() {
        let folder = tempfile::tempdir().expect("folder");
        let upper = folder.path();
        write(&upper.join("etc/same"), b"same");
        write(&upper.join("etc/other"), b"new!");
        write(&upper.join("etc/new\nline"), b"");
        write(&upper.join("etc/mode"), b"mode");
        fs::set_permissions(upper.join("etc/mode"), fs::Permissions::from_mode(0o600)).expect("mode");
        write(&upper.join("dev/null"), b"");
        symlink("../../../etc/shadow", upper.join("etc/link")).expect("link");
        fs::set_permissions(upper.join("etc"), fs::Permissions::from_mode(0o755)).expect("mode");
        let before = [
            entry("etc", ViewKind::Directory, 0o755),
            file("etc/mode", b"mode"),
            file("etc/other", b"old!"),
            file("etc/same", b"same"),
            file("etc/untouched", b""),
        ];
        let expected = [
            (How::Added, "/etc/link"),
            (How::Changed, "/etc/mode"),
            (How::Added, "/etc/new\\nline"),
            (How::Changed, "/etc/other"),
        ];
        assert_eq!(found(upper, &before), expected.map(|(how, path)| (how, path.to_owned())));
    }

    #[test]
    fn a_folder_in_whose_place_a_link_stands_takes_its_content_along() {
        let folder = tempfile::tempdir().expect("folder");
        fs::create_dir(folder.path().join("etc")).expect("folder");
        fs::set_permissions(folder.path().join("etc"), fs::Permissions::from_mode(0o755)).expect("mode");
        symlink("/tmp", folder.path().join("etc/d")).expect("link");
        let before = [
            entry("etc", ViewKind::Directory, 0o755),
            entry("etc/d", ViewKind::Directory, 0o755),
            file("etc/d/x", b""),
        ];
        let expected = [(How::Changed, "/etc/d".to_owned()), (How::Removed, "/etc/d/x".to_owned())];
        assert_eq!(found(folder.path(), &before), expected);
    }

    /// What the kernel leaves of removed and replaced folders, and of files of which older ones copy attributes alone.
    #[test]
    fn the_kernels_marks_are_understood() {
        let folder = tempfile::tempdir().expect("folder");
        let upper = folder.path();
        let (opaque, metacopy) = (upper.join("etc/opaque"), upper.join("etc/metacopy"));
        fs::create_dir_all(&opaque).expect("folder");
        write(&metacopy, &[0; 4]);
        for path in [&upper.join("etc"), &opaque] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("mode");
        }
        let flags = rustix::fs::XattrFlags::empty();
        let marked = rustix::fs::lsetxattr(&opaque, "user.overlay.opaque", b"y", flags)
            .and_then(|()| rustix::fs::lsetxattr(&metacopy, "user.overlay.metacopy", b"", flags));
        if marked.is_err() {
            let said = b"SKIPPED the kernel's marks of a layer: this file system has no user.* attributes\n";
            return io::Write::write_all(&mut io::stderr(), said).expect("write");
        }
        let before = [
            entry("etc", ViewKind::Directory, 0o755),
            file("etc/metacopy", b"text"),
            entry("etc/opaque", ViewKind::Directory, 0o755),
            file("etc/opaque/gone", b""),
        ];
        assert_eq!(found(upper, &before), [(How::Removed, "/etc/opaque/gone".to_owned())]);
    }
}
