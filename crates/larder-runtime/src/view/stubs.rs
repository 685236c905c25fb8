//! Way 3: a tree of stubs on disk, for whoever may not mount EROFS.
//!
//! `tree/` has the listing with its modes, owners, times and attributes, but each file is a hole of the right size whose
//! `user.overlay.redirect` of `/ab/cdef…` and empty `user.overlay.metacopy` lead to the object. Overlays with `userxattr`
//! follow them from about Linux 6.16; before, the mount is refused (EINVAL).
//!
//! An owner is what the process that makes the stubs can make, so that process has to be in the container's user namespace,
//! and the artefact's name says which map it had. An id outside the map becomes the process's own.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags, chownat, fchmod, fchown, fsetxattr, ftruncate,
    futimens, mkdirat, openat, symlinkat, syncfs, utimensat,
};
use rustix::io::Errno;

use super::overlay::{Layers, Marks, mount, open_directory};
use super::way::Way;
use super::{Exception, Upper, ViewEntry, ViewKind, ViewKindName, ViewTree};
use crate::error::RuntimeError;

/// Changes with every change of what is written.
const PREFIX: &str = "stubs-";
const VERSION: u32 = 1;

pub(crate) struct Stubs;

impl Way for Stubs {
    const NAME: ViewKindName = ViewKindName::Stubs;
    const EXCEPTIONS: &'static [Exception] = &[Exception::UnmappedOwnersAreOwn, Exception::CapabilitiesMayBeMissing];
    const PREFIX: &'static str = PREFIX;

    fn artefact(&self) -> Result<String, RuntimeError> {
        Ok(format!("{PREFIX}{VERSION}-{}", Owners::here()?.fingerprint))
    }

    fn write(&self, tree: &ViewTree, directory: &Path) -> Result<(), RuntimeError> {
        let owners = Owners::here()?;
        let path = directory.join("tree");
        fs::create_dir(&path).map_err(RuntimeError::io("create", &path))?;
        let root = open_directory(&path)?;
        let writer = Writer { root: root.as_fd(), owners: &owners };
        writer.start().map_err(|error| RuntimeError::io("prepare", &path)(error.into()))?;
        let at = |entry: &ViewEntry| path.join(PathBuf::from(String::from_utf8_lossy(&entry.path).into_owned()));
        for entry in tree.entries() {
            writer.create(entry).map_err(|error| RuntimeError::io("create", &at(entry))(error.into()))?;
        }
        // Children come after their parents: a directory gets its attributes when nothing more is put into it.
        for entry in tree.entries().iter().rev() {
            if entry.kind == ViewKind::Directory {
                writer.finish(entry).map_err(|error| RuntimeError::io("finish", &at(entry))(error.into()))?;
            }
        }
        let attributes = tree.root();
        let finished =
            Status { mode: attributes.mode, uid: attributes.uid, gid: attributes.gid, mtime: attributes.mtime };
        writer.set(root.as_fd(), finished, &[]).map_err(|error| RuntimeError::io("finish", &path)(error.into()))
    }

    fn sync(&self, directory: &Path) -> Result<(), RuntimeError> {
        syncfs(open_directory(directory)?).map_err(|error| RuntimeError::io("sync", directory)(error.into()))
    }

    fn layer(&self, artefact: &Path, objects: &Path, upper: Option<Upper<'_>>) -> Result<OwnedFd, RuntimeError> {
        let tree_path = artefact.join("tree");
        let tree = open_directory(&tree_path)?;
        mount(Layers { tree: tree.as_fd(), tree_path: &tree_path, detached: false, objects, upper, marks: Marks::User })
    }
}

/// Which owners this process can give.
struct Owners {
    uids: Ids,
    gids: Ids,
    /// 16 hexadecimal digits that differ between maps.
    fingerprint: String,
}

/// The users or the groups of a user namespace.
struct Ids {
    ranges: Vec<(u32, u32)>,
    own: u32,
}

impl Owners {
    fn here() -> Result<Self, RuntimeError> {
        let uid_map = read_map("/proc/self/uid_map")?;
        let gid_map = read_map("/proc/self/gid_map")?;
        let uids = Ids { ranges: ranges(&uid_map), own: rustix::process::geteuid().as_raw() };
        let gids = Ids { ranges: ranges(&gid_map), own: rustix::process::getegid().as_raw() };
        let mut hasher = blake3::Hasher::new();
        for part in [&uid_map, "/", &gid_map, "/", &uids.own.to_string(), "/", &gids.own.to_string()] {
            hasher.update(part.as_bytes());
        }
        let fingerprint = hasher.finalize().to_hex()[..16].to_owned();
        Ok(Self { uids, gids, fingerprint })
    }
}

impl Ids {
    fn possible(&self, id: u32) -> u32 {
        let mapped = self.ranges.iter().any(|&(first, count)| id >= first && id - first < count);
        if mapped { id } else { self.own }
    }
}

fn read_map(path: &str) -> Result<String, RuntimeError> {
    fs::read_to_string(path).map_err(RuntimeError::io("read", Path::new(path)))
}

/// The first id inside and the length of each line `<inside> <outside> <length>`.
fn ranges(map: &str) -> Vec<(u32, u32)> {
    let range = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let first = fields.next()?.parse().ok()?;
        let length = fields.nth(1)?.parse().ok()?;
        Some((first, length))
    };
    map.lines().filter_map(range).collect()
}

#[derive(Clone, Copy)]
struct Status {
    mode: u16,
    uid: u32,
    gid: u32,
    mtime: u64,
}

struct Writer<'a> {
    root: BorrowedFd<'a>,
    owners: &'a Owners,
}

impl Writer<'_> {
    /// Makes new files this process's own, whatever groups the directories above hand down.
    fn start(&self) -> rustix::io::Result<()> {
        let Owners { uids, gids, .. } = self.owners;
        fchown(self.root, Some(Uid::from_raw(uids.own)), Some(Gid::from_raw(gids.own)))?;
        fchmod(self.root, Mode::RWXU)
    }

    /// Makes a file or a link finally, a directory with mode 0700.
    fn create(&self, entry: &ViewEntry) -> rustix::io::Result<()> {
        let path = entry.path.as_slice();
        match &entry.kind {
            ViewKind::Directory => mkdirat(self.root, path, Mode::RWXU),
            ViewKind::File { object, size } => {
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
                let file = openat(self.root, path, flags, Mode::RUSR | Mode::WUSR)?;
                if *size > 0 {
                    ftruncate(&file, *size)?;
                    let hex = hex::encode(object);
                    let redirect = format!("/{}/{}", &hex[..2], &hex[2..]);
                    fsetxattr(&file, "user.overlay.redirect", redirect.as_bytes(), XattrFlags::empty())?;
                    fsetxattr(&file, "user.overlay.metacopy", b"", XattrFlags::empty())?;
                }
                self.set(file.as_fd(), Status::of(entry), &entry.xattrs)
            }
            ViewKind::Symlink { target } => {
                symlinkat(target.as_slice(), self.root, path)?;
                let (uid, gid) = self.owner(entry.uid, entry.gid);
                if (uid, gid) != (None, None) {
                    chownat(self.root, path, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
                }
                utimensat(self.root, path, &times(entry.mtime), AtFlags::SYMLINK_NOFOLLOW)
            }
        }
    }

    /// Gives a directory its attributes.
    fn finish(&self, entry: &ViewEntry) -> rustix::io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = openat(self.root, entry.path.as_slice(), flags, Mode::empty())?;
        self.set(directory.as_fd(), Status::of(entry), &entry.xattrs)
    }

    /// The order matters: a change of owner clears set-id bits and capabilities, and any change the time.
    fn set(&self, file: BorrowedFd<'_>, status: Status, attributes: &[(Vec<u8>, Vec<u8>)]) -> rustix::io::Result<()> {
        let (uid, gid) = self.owner(status.uid, status.gid);
        if (uid, gid) != (None, None) {
            fchown(file, uid, gid)?;
        }
        fchmod(file, Mode::from_raw_mode(status.mode.into()))?;
        for (name, value) in attributes {
            match fsetxattr(file, name.as_slice(), value, XattrFlags::empty()) {
                Err(Errno::PERM) if name == b"security.capability" => {}
                other => other?,
            }
        }
        futimens(file, &times(status.mtime))
    }

    /// The owner and group to set; none where a new file has them already.
    fn owner(&self, uid: u32, gid: u32) -> (Option<Uid>, Option<Gid>) {
        let (uid, gid) = (self.owners.uids.possible(uid), self.owners.gids.possible(gid));
        let other_uid = (uid != self.owners.uids.own).then(|| Uid::from_raw(uid));
        let other_gid = (gid != self.owners.gids.own).then(|| Gid::from_raw(gid));
        (other_uid, other_gid)
    }
}

impl Status {
    fn of(entry: &ViewEntry) -> Self {
        Self { mode: entry.mode, uid: entry.uid, gid: entry.gid, mtime: entry.mtime }
    }
}

/// The same time for access and modification, so that nothing shows when the stub was made.
fn times(mtime: u64) -> Timestamps {
    // A listing's times are checked to fit.
    let time = Timespec { tv_sec: i64::try_from(mtime).unwrap_or(i64::MAX), tv_nsec: 0 };
    Timestamps { last_access: time, last_modification: time }
}
