//! A container's directory and its lock.
//!
//! ```text
//! containers/.lock      held exclusively while a directory is made or judged dead (short)
//! containers/<id>/lock  held by every process of ours that belongs to the container
//! containers/<id>/upper, work, cgroup; root, with another runtime
//! containers/.dead-<id>-<n>  being removed; its lock is held by who removes it
//! ```
//! Lock order: `.lock`, then a container's `lock`, which is only ever tried, never waited for, while `.lock` is held.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::cgroup;
use crate::error::RuntimeError;

/// The directory of a container that is about to run, with its lock.
pub(super) struct Directory {
    path: PathBuf,
    lock: File,
}

impl AsRawFd for Directory {
    fn as_raw_fd(&self) -> RawFd {
        self.lock.as_raw_fd()
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.lock.as_fd()
    }
}

impl Directory {
    /// Makes the directory, which must not exist, and takes its lock.
    pub(super) fn create(path: &Path) -> Result<Self, RuntimeError> {
        let containers = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(containers).map_err(RuntimeError::io("create", containers))?;
        let _guard = Guard::take(containers)?;
        make(path)?;
        let lock_path = path.join("lock");
        let lock = open_lock(&lock_path, true).map_err(RuntimeError::io("create", &lock_path))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|error| RuntimeError::io("lock", &lock_path)(error.into()))?;
        Ok(Self { path: path.to_owned(), lock })
    }

    /// That of a dead container, whose lock was taken.
    pub(super) fn claimed(path: PathBuf, lock: File) -> Self {
        Self { path, lock }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The lock file.
    pub(super) fn lock(&self) -> &File {
        &self.lock
    }

    /// Removes what is left of it; what can't be removed from here is left to [`super::collect`].
    pub(super) fn remove(self) {
        if cgroup::remove_recorded(&self.path).is_err() || empty(&self.path).is_err() {
            return;
        }
        let _ = fs::remove_file(self.path.join("lock"));
        let _ = fs::remove_dir(&self.path);
    }
}

/// Nobody else makes a directory, or judges one dead.
pub(super) struct Guard(#[expect(dead_code, reason = "held, not used: dropping it unlocks")] File);

impl Guard {
    pub(super) fn take(containers: &Path) -> Result<Self, RuntimeError> {
        let path = containers.join(".lock");
        let file = open_lock(&path, true).map_err(RuntimeError::io("open", &path))?;
        flock(&file, FlockOperation::LockExclusive).map_err(|error| RuntimeError::io("lock", &path)(error.into()))?;
        Ok(Self(file))
    }
}

/// The lock in a container's directory, or that of all directories.
pub(super) fn open_lock(path: &Path, create: bool) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(create).truncate(false).mode(0o600).open(path)
}

fn make(path: &Path) -> Result<(), RuntimeError> {
    DirBuilder::new().mode(0o700).create(path).map_err(RuntimeError::io("create", path))
}

/// Removes everything in a container's directory except its lock and the record of its cgroup, which outlives our processes.
pub(super) fn empty(path: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if ["lock", cgroup::RECORD].iter().any(|kept| entry.file_name() == *kept) {
            continue;
        }
        if entry.file_type()?.is_dir() { remove_tree(&entry.path())? } else { fs::remove_file(entry.path())? }
    }
    Ok(())
}

/// Removes a directory whose own directories may forbid it to their owner, as an overlay's work directory does.
fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(path);
            fs::remove_dir_all(path)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn open_up(path: &Path) {
    let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}
