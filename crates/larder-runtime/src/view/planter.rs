//! A listing as a directory tree: directories, links and attributes are the same for every way that has a tree; what stands for a
//! file is the way's own.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags, chownat, fchmod, fchown, fsetxattr, futimens,
    mkdirat, openat, symlinkat, utimensat,
};
use rustix::io::Errno;

use super::overlay::open_directory;
use super::owners::Owners;
use super::{RootAttributes, ViewEntry, ViewKind};
use crate::error::RuntimeError;

/// Writes below one directory.
pub(crate) struct Planter<'a> {
    pub(crate) root: BorrowedFd<'a>,
    pub(crate) owners: &'a Owners,
    pub(crate) user_attributes: UserAttributes,
}

/// What becomes of `user.*` attributes where the file system has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UserAttributes {
    /// Writing fails.
    Required,
    /// They are left out.
    WherePossible,
}

/// Makes what stands for a file of the listing.
pub(crate) type PlantFile<'f> = dyn FnMut(&Planter<'_>, &ViewEntry, &[u8; 32], u64) -> Result<(), RuntimeError> + 'f;

/// Writes `entries`, sorted with every parent before its children, into the empty directory `path`.
pub(crate) fn plant<'e>(
    path: &Path,
    root_attributes: &RootAttributes,
    entries: impl DoubleEndedIterator<Item = &'e ViewEntry> + Clone,
    owners: &Owners,
    user_attributes: UserAttributes,
    file: &mut PlantFile<'_>,
) -> Result<(), RuntimeError> {
    let root = open_directory(path)?;
    let planter = Planter { root: root.as_fd(), owners, user_attributes };
    planter.start().map_err(|error| RuntimeError::io("prepare", path)(error.into()))?;
    for entry in entries.clone() {
        planter.create(path, entry, file)?;
    }
    // Children come after their parents: a directory gets its attributes when nothing more is put into it.
    for entry in entries.rev() {
        if entry.kind == ViewKind::Directory {
            planter.finish(entry).map_err(|error| RuntimeError::io("finish", &at(path, entry))(error.into()))?;
        }
    }
    let RootAttributes { mode, uid, gid, mtime } = *root_attributes;
    let finished = Status { mode, uid, gid, mtime };
    planter.set(root.as_fd(), finished, &[]).map_err(|error| RuntimeError::io("finish", path)(error.into()))
}

/// Where an entry is, for messages.
pub(crate) fn at(directory: &Path, entry: &ViewEntry) -> PathBuf {
    directory.join(String::from_utf8_lossy(&entry.path).into_owned())
}

#[derive(Clone, Copy)]
struct Status {
    mode: u16,
    uid: u32,
    gid: u32,
    mtime: u64,
}

impl Planter<'_> {
    /// Makes new files this process's own, whatever groups the directories above hand down.
    fn start(&self) -> rustix::io::Result<()> {
        let (uid, gid) = self.owners.own();
        fchown(self.root, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
        fchmod(self.root, Mode::RWXU)
    }

    /// Makes a file or a link finally, a directory with mode 0700.
    fn create(&self, path: &Path, entry: &ViewEntry, file: &mut PlantFile<'_>) -> Result<(), RuntimeError> {
        let made = match &entry.kind {
            ViewKind::Directory => mkdirat(self.root, entry.path.as_slice(), Mode::RWXU),
            ViewKind::File { object, size } => return file(self, entry, object, *size),
            ViewKind::Symlink { target } => self.link(entry, target),
        };
        made.map_err(|error| RuntimeError::io("create", &at(path, entry))(error.into()))
    }

    /// Makes a symbolic link.
    pub(crate) fn link(&self, entry: &ViewEntry, target: &[u8]) -> rustix::io::Result<()> {
        let path = entry.path.as_slice();
        symlinkat(target, self.root, path)?;
        let (uid, gid) = self.owners.to_set(entry.uid, entry.gid);
        if (uid, gid) != (None, None) {
            chownat(self.root, path, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
        }
        utimensat(self.root, path, &times(entry.mtime), AtFlags::SYMLINK_NOFOLLOW)
    }

    /// Makes an empty file, writable for this process until [`Planter::finish_file`].
    pub(crate) fn new_file(&self, entry: &ViewEntry) -> rustix::io::Result<std::os::fd::OwnedFd> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        openat(self.root, entry.path.as_slice(), flags, Mode::RUSR | Mode::WUSR)
    }

    /// Gives a written file its attributes.
    pub(crate) fn finish_file(&self, file: BorrowedFd<'_>, entry: &ViewEntry) -> rustix::io::Result<()> {
        self.set(file, Status::of(entry), &entry.xattrs)
    }

    /// Gives a directory its attributes.
    fn finish(&self, entry: &ViewEntry) -> rustix::io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = openat(self.root, entry.path.as_slice(), flags, Mode::empty())?;
        self.set(directory.as_fd(), Status::of(entry), &entry.xattrs)
    }

    /// The order matters: a change of owner clears set-id bits and capabilities, and any change the time.
    fn set(&self, file: BorrowedFd<'_>, status: Status, attributes: &[(Vec<u8>, Vec<u8>)]) -> rustix::io::Result<()> {
        let (uid, gid) = self.owners.to_set(status.uid, status.gid);
        if (uid, gid) != (None, None) {
            fchown(file, uid, gid)?;
        }
        fchmod(file, Mode::from_raw_mode(status.mode.into()))?;
        for (name, value) in attributes {
            match fsetxattr(file, name.as_slice(), value, XattrFlags::empty()) {
                Err(Errno::PERM) if name == b"security.capability" => {}
                Err(Errno::OPNOTSUPP)
                    if self.user_attributes == UserAttributes::WherePossible && name.starts_with(b"user.") => {}
                other => other?,
            }
        }
        futimens(file, &times(status.mtime))
    }
}

impl Status {
    fn of(entry: &ViewEntry) -> Self {
        Self { mode: entry.mode, uid: entry.uid, gid: entry.gid, mtime: entry.mtime }
    }
}

/// The same time for access and modification, so that nothing shows when the file was made.
fn times(mtime: u64) -> Timestamps {
    // A listing's times are checked to fit.
    let time = Timespec { tv_sec: i64::try_from(mtime).unwrap_or(i64::MAX), tv_nsec: 0 };
    Timestamps { last_access: time, last_modification: time }
}
