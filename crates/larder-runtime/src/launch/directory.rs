//! A container's directory, its lock, and what dead containers left.
//!
//! ```text
//! containers/.lock      held exclusively while a directory is made or judged dead (short)
//! containers/<id>/lock  held by every process of ours that belongs to the container
//! containers/<id>/upper, work, cgroup; root, with another runtime
//! containers/.dead-<id>-<n>  being removed; its lock is held by who removes it
//! ```
//! Lock order: `.lock`, then a container's `lock`, which is only ever tried, never waited for, while `.lock` is held.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::foreground::{Begin, Supervisor, resolve_program};
use super::job::{Job, JobRoot};
use super::{UserMap, cgroup};
use crate::error::RuntimeError;

const DEAD: &str = ".dead-";

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

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The lock file.
    pub(super) fn lock(&self) -> &File {
        &self.lock
    }

    /// Removes what is left of it; what can't be removed from here is left to [`collect`].
    pub(super) fn remove(self) {
        if cgroup::remove_recorded(&self.path).is_err() || empty(&self.path).is_err() {
            return;
        }
        let _ = fs::remove_file(self.path.join("lock"));
        let _ = fs::remove_dir(&self.path);
    }
}

struct Guard(#[expect(dead_code, reason = "held, not used: dropping it unlocks")] File);

impl Guard {
    fn take(containers: &Path) -> Result<Self, RuntimeError> {
        let path = containers.join(".lock");
        let file = open_lock(&path, true).map_err(RuntimeError::io("open", &path))?;
        flock(&file, FlockOperation::LockExclusive).map_err(|error| RuntimeError::io("lock", &path)(error.into()))?;
        Ok(Self(file))
    }
}

fn open_lock(path: &Path, create: bool) -> io::Result<File> {
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

/// What [`collect`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collected {
    /// The containers whose directories were removed.
    pub removed: Vec<String>,
    /// Directories of dead containers that could not be removed, with the reason.
    pub failed: Vec<(PathBuf, String)>,
}

/// Removes what containers that were killed have left in `containers`. Cheap when nothing is there; any number of processes may call it
/// at once.
///
/// Files that belong to a mapped id of an ordinary user are removed inside the user namespace of `map`, by `program` as in
/// [`super::Launch::program`].
///
/// # Errors
/// The directory can't be read or locked. That a single container can't be removed is told in the result.
pub fn collect(containers: &Path, program: Option<&Path>, map: &UserMap) -> Result<Collected, RuntimeError> {
    let mut collected = Collected::default();
    for (name, path, lock) in claim(containers)? {
        let mut result = cgroup::remove_recorded(&path)
            .map_err(RuntimeError::io("remove the cgroup of", &path))
            .and_then(|()| empty(&path).map_err(RuntimeError::io("remove", &path)));
        let directory = Directory { path, lock };
        if result.is_err() && *map != UserMap::Host {
            result = remove_inside(&directory, program, map);
        }
        match result {
            Ok(()) => {
                collected.removed.push(name);
                directory.remove();
            }
            Err(error) => {
                let reason = std::error::Error::source(&error).map_or_else(String::new, |cause| format!(": {cause}"));
                collected.failed.push((directory.path.clone(), format!("{error}{reason}")));
            }
        }
    }
    Ok(collected)
}

/// Takes the directories of dead containers out of the way, each with its lock held.
fn claim(containers: &Path) -> Result<Vec<(String, PathBuf, File)>, RuntimeError> {
    let names = match list(containers) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        names => names.map_err(RuntimeError::io("read", containers))?,
    };
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let _guard = Guard::take(containers)?;
    let mut claimed = Vec::new();
    for name in names {
        let path = containers.join(&name);
        let lock = match open_lock(&path.join("lock"), true) {
            Ok(lock) => lock,
            // Gone since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(RuntimeError::io("open", &path.join("lock"))(error)),
        };
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            continue;
        }
        let text = name.to_string_lossy().into_owned();
        let (id, path) = match text.strip_prefix(DEAD) {
            Some(rest) => (rest.to_owned(), path),
            None => {
                let dead = containers.join(format!("{DEAD}{text}"));
                // Where a dead one of that name is still there, this one is removed in its place.
                let moved = fs::rename(&path, &dead).is_ok();
                (text, if moved { dead } else { path })
            }
        };
        claimed.push((id, path, lock));
    }
    Ok(claimed)
}

fn list(containers: &Path) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(containers)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            names.push(entry.file_name());
        }
    }
    Ok(names)
}

fn remove_inside(directory: &Directory, program: Option<&Path>, map: &UserMap) -> Result<(), RuntimeError> {
    let job = Job {
        spec: oci_spec::runtime::Spec::default(),
        program: resolve_program(program.map(Path::to_owned))?,
        root: JobRoot::Remove,
        container_dir: directory.path.clone(),
        read_only_paths: Vec::new(),
        user: None,
        map: map.kind(),
        cgroups: Vec::new(),
        runtime: None,
        view: None,
        layer: None,
    };
    let supervisor = Supervisor::start(&job, directory, &Begin { map, leaf: None, streams: None })?;
    match supervisor.channel().receive()? {
        Some(super::channel::Message::Ended(_)) => Ok(()),
        Some(super::channel::Message::Failed(failure)) => Err(failure.into_error()),
        _ => Err(RuntimeError::Lost),
    }
}
