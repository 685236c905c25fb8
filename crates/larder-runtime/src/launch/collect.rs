//! What dead containers left is removed.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::channel::Message;
use super::directory::{Directory, Guard, empty, open_lock};
use super::foreground::{Begin, Supervisor, resolve_program};
use super::job::{Job, JobRoot};
use super::{UserMap, cgroup};
use crate::error::RuntimeError;

/// How the name of a directory begins that is being removed.
const DEAD: &str = ".dead-";

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
        let directory = Directory::claimed(path, lock);
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
                collected.failed.push((directory.path().to_owned(), format!("{error}{reason}")));
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
        container_dir: directory.path().to_owned(),
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
        Some(Message::Ended(_)) => Ok(()),
        Some(Message::Failed(failure)) => Err(failure.into_error()),
        _ => Err(RuntimeError::Lost),
    }
}
