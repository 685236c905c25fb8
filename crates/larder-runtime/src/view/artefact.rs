//! Prepared views on disk.
//!
//! ```text
//! views/<key>/<artefact>/   a finished view; <artefact> is named by its way
//!     image | tree/ …       whatever the way made
//!     witness               the file that is read after each mount (see `witness`)
//! views/.new-<n>/           being made, or being removed
//! views/.lock               held shared while a `.new-` directory is in use
//! ```
//!
//! A finished view is renamed into place whole. Whoever gets `.lock` exclusively knows that nobody makes anything, and so
//! may remove every `.new-` directory: that is how the leavings of a killed process go. Everything is
//! on the disk before the rename, so that a view is whole after a power cut, or missing.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FlockOperation, flock};

use super::ViewRequest;
use super::witness::Witness;
use crate::error::RuntimeError;

/// A `.new-` directory of this process, removed when dropped.
pub(crate) struct Scratch {
    path: PathBuf,
    _lock: File,
}

impl Scratch {
    /// Makes one, and removes those that killed processes have left.
    pub(crate) fn new(views: &Path) -> Result<Self, RuntimeError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        fs::create_dir_all(views).map_err(RuntimeError::io("create", views))?;
        let lock = lock(views)?;
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = views.join(format!(".new-{}-{count}", unique()));
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self { path, _lock: lock }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(RuntimeError::io("create", &path)(error)),
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What can't be removed now is swept by a later call; after a rename into place there is nothing to remove.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// The directory of a finished view, which may not be there.
pub(crate) fn place(request: &ViewRequest<'_>, artefact: &str) -> Result<PathBuf, RuntimeError> {
    Ok(key_directory(request.views, request.key)?.join(artefact))
}

/// Makes `place` with what `write` puts into the directory it is given. `false`: somebody else was quicker.
pub(crate) fn make(
    views: &Path,
    place: &Path,
    write: impl FnOnce(&Path) -> Result<Option<Witness>, RuntimeError>,
) -> Result<(Option<Witness>, bool), RuntimeError> {
    let scratch = Scratch::new(views)?;
    let new = scratch.path().join("view");
    fs::DirBuilder::new().mode(0o700).create(&new).map_err(RuntimeError::io("create", &new))?;
    let witness = write(&new)?;
    Witness::store(witness.as_ref(), &new)?;
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent).map_err(RuntimeError::io("create", parent))?;
    }
    match fs::rename(&new, place) {
        Ok(()) => Ok((witness, true)),
        Err(_) if place.is_dir() => Ok((Witness::load(place)?, false)),
        Err(error) => Err(RuntimeError::io("rename into place", place)(error)),
    }
}

/// Removes the finished views of `key` whose name begins with `prefix`.
pub(crate) fn remove(views: &Path, key: &str, prefix: &str) -> Result<(), RuntimeError> {
    let directory = key_directory(views, key)?;
    let entries = match fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(RuntimeError::io("list", &directory)(error)),
    };
    for entry in entries {
        let entry = entry.map_err(RuntimeError::io("list", &directory))?;
        if !entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes()) {
            continue;
        }
        let scratch = Scratch::new(views)?;
        let doomed = scratch.path().join("view");
        match fs::rename(entry.path(), &doomed) {
            Ok(()) => fs::remove_dir_all(&doomed).map_err(RuntimeError::io("remove", &entry.path()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(RuntimeError::io("remove", &entry.path())(error)),
        }
    }
    // It stays when another way has a view of this key.
    let _ = fs::remove_dir(&directory);
    Ok(())
}

fn key_directory(views: &Path, key: &str) -> Result<PathBuf, RuntimeError> {
    let plain = !key.is_empty() && key.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if plain { Ok(views.join(key)) } else { Err(RuntimeError::ViewKey { key: key.to_owned() }) }
}

/// Takes `.lock` shared; sweeps first when nobody else has it.
fn lock(views: &Path) -> Result<File, RuntimeError> {
    let path = views.join(".lock");
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(RuntimeError::io("open", &path))?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
        sweep(views);
    }
    flock(&file, FlockOperation::LockShared).map_err(|error| RuntimeError::io("lock", &path)(error.into()))?;
    Ok(file)
}

fn sweep(views: &Path) {
    let Ok(entries) = fs::read_dir(views) else { return };
    for entry in entries.flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(b".new-") {
            // Stubs of another user namespace stay until something in that namespace sweeps.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// A name that no other process uses now: process ids repeat in each namespace, so the clock is in it as well.
fn unique() -> String {
    let clock = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    format!("{}-{}", std::process::id(), clock.as_nanos())
}
