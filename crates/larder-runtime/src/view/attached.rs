//! A detached mount that is in the tree for a moment.

use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::RuntimeError;
use crate::sys::mount::{attach, detach};

/// Mounts at one place lie on each other: what a path shows and what is taken away is the last one.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Attached for as long as this lives, in the mount namespace of the caller, by one thread of the process at a time.
pub(crate) struct Attached<'a> {
    at: &'a Path,
    _alone: MutexGuard<'static, ()>,
}

impl<'a> Attached<'a> {
    /// Attaches `mount` at the directory `at`.
    pub(crate) fn new(mount: BorrowedFd<'_>, at: &'a Path) -> Result<Self, RuntimeError> {
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        attach(mount, at).map_err(RuntimeError::io("mount on", at))?;
        Ok(Self { at, _alone: alone })
    }
}

impl Drop for Attached<'_> {
    fn drop(&mut self) {
        // What was mounted below goes along. It can only fail when it isn't mounted any more.
        let _ = detach(self.at);
    }
}
