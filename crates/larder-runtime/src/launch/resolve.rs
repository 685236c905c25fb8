//! Paths of the container, resolved as the container would: a symbolic link in the image can't lead outside.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags, fstat, mkdirat, openat, openat2};
use rustix::io::Errno;

/// A directory that paths are resolved under.
pub(super) struct RootDir(pub(super) OwnedFd);

/// What a mount point has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Directory,
    File,
}

impl RootDir {
    /// Opens what is at `path`, following links inside the root only, for use as a place.
    pub(super) fn place(&self, path: &Path) -> io::Result<OwnedFd> {
        self.open(path, OFlags::PATH)
    }

    /// Opens the file at `path` for reading.
    pub(super) fn read(&self, path: &Path) -> io::Result<File> {
        self.open(path, OFlags::RDONLY | OFlags::NONBLOCK).map(File::from)
    }

    /// Whether a symbolic link lies on the way to `path`, as far as the way is there.
    pub(super) fn has_link(&self, path: &Path) -> io::Result<bool> {
        match self.resolve(path, OFlags::PATH, ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS) {
            Err(error) if error.raw_os_error() == Some(libc::ELOOP) => Ok(true),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(false),
        }
    }

    /// Whether an open place is the root itself, which `..` in a symbolic link can lead to.
    pub(super) fn is_root(&self, place: &OwnedFd) -> io::Result<bool> {
        let (root, place) = (fstat(&self.0)?, fstat(place)?);
        Ok((root.st_dev, root.st_ino) == (place.st_dev, place.st_ino))
    }

    fn open(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        self.resolve(path, flags, ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS)
    }

    fn resolve(&self, path: &Path, flags: OFlags, resolve: ResolveFlags) -> io::Result<OwnedFd> {
        loop {
            match openat2(&self.0, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
                // The kernel saw a rename while it resolved `..`.
                Err(Errno::AGAIN) => {}
                result => return Ok(result?),
            }
        }
    }

    /// A place to mount on, made with its parents where it is missing.
    pub(super) fn target(&self, path: &Path, kind: Target) -> io::Result<OwnedFd> {
        match self.place(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => return result,
        }
        let (parent, name) = split(path)?;
        let directory = self.target(&parent, Target::Directory)?;
        let made = match kind {
            Target::Directory => mkdirat(&directory, name, Mode::from_raw_mode(0o755)),
            Target::File => {
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
                openat(&directory, name, flags, Mode::from_raw_mode(0o644)).map(drop)
            }
        };
        match made {
            Ok(()) => self.place(path),
            Err(error) => Err(error.into()),
        }
    }
}

/// The parent and the last part of a path, both without `..`.
pub(super) fn split(path: &Path) -> io::Result<(PathBuf, &OsStr)> {
    let plain =
        path.components().all(|part| matches!(part, Component::Normal(_) | Component::RootDir | Component::CurDir));
    match (plain, path.parent(), path.file_name()) {
        (true, Some(parent), Some(name)) => Ok((parent.to_owned(), name)),
        _ => Err(io::Error::from_raw_os_error(libc::EINVAL)),
    }
}

/// Puts a detached mount over an open place.
pub(super) fn attach_at(mount: impl AsFd, place: impl AsFd) -> io::Result<()> {
    use rustix::mount::{MoveMountFlags, move_mount};
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(move_mount(mount, "", place, "", flags)?)
}
