//! Locks: flocks on regular files, which end with their process however it ends.
//!
//! Lock order, outermost first; who holds one takes only those below it:
//!
//! 1. `gc.lock`: shared by every ingest, lease and change of a ref; exclusive in garbage collection. A process may hold it
//!    shared several times over.
//! 2. `refs/<kind>/<name>.lock`: exclusive while that ref changes.
//! 3. `mend.lock`: exclusive while a damaged file is replaced or removed. Whoever found it damaged looks again under this lock:
//!    another may have put a good one in its place, which someone else has found, and relies on.
//! 4. `index.lock`: shared while the index is open; exclusive while a damaged one is thrown away.
//!
//! Lock files are never removed: a second process could lock the old file while a third locks the new one.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::time::Duration;

use super::step::{self, Held};
use crate::error::StoreError;

/// How long to wait before a lock is tried again.
const NAP: Duration = Duration::from_millis(10);

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    /// Closing the file releases the lock. What stands after it is dropped after it.
    _held: Option<(File, Held)>,
}

/// How a lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    Shared,
    Exclusive,
}

impl Lock {
    /// Waits until the lock is free.
    pub(crate) fn wait(path: &Path, hold: Hold) -> Result<Self, StoreError> {
        let file = open(path).map_err(StoreError::io("open the lock", path))?;
        loop {
            match step::lock(&file, path, hold) {
                Ok(()) => return Ok(Self::held(file, path)),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(StoreError::io("lock", path)(e)),
            }
        }
    }

    /// Waits for as long as `patience`; `None` when it is still held by somebody else then.
    pub(crate) fn within(path: &Path, hold: Hold, patience: Duration) -> Result<Option<Self>, StoreError> {
        let file = open(path).map_err(StoreError::io("open the lock", path))?;
        let mut left = patience;
        loop {
            match step::try_lock(&file, path, hold) {
                Ok(()) => return Ok(Some(Self::held(file, path))),
                Err(TryLockError::WouldBlock) if left.is_zero() => return Ok(None),
                Err(TryLockError::WouldBlock) => {
                    let nap = left.min(NAP);
                    step::sleep(nap);
                    left -= nap;
                }
                Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(TryLockError::Error(e)) => return Err(StoreError::io("lock", path)(e)),
            }
        }
    }

    /// Stands for a lock where nobody can change anything.
    pub(crate) fn needless() -> Self {
        Self { _held: None }
    }

    fn held(file: File, path: &Path) -> Self {
        Self { _held: Some((file, Held::new(path))) }
    }
}

/// Opens a lock file for reading and writing; for reading alone where this user may do no more.
fn open(path: &Path) -> io::Result<File> {
    match OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path) {
        Err(e) if matches!(e.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) => {
            File::open(path)
        }
        other => other,
    }
}
