//! What our processes of a container have in common.

use std::os::fd::OwnedFd;

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use crate::error::RuntimeError;

/// The exit code of a process of ours that failed; the launcher has heard why.
pub(super) const FAILED: i32 = 125;

/// Keeps this process's memory and descriptors from whoever may trace others.
pub(super) fn hide_memory() -> Result<(), RuntimeError> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|error| RuntimeError::start("hide the memory of our own processes")(error.into()))
}

/// Writes to this process's own files below `/proc`: those of a process whose memory is hidden belong to the host's root. Nothing of
/// the container may run yet.
pub(super) fn with_own_proc<T>(write: impl FnOnce() -> Result<T, RuntimeError>) -> Result<T, RuntimeError> {
    set_dumpable_behavior(DumpableBehavior::Dumpable)
        .map_err(|error| RuntimeError::start("write to a process's own files in /proc")(error.into()))?;
    let written = write();
    hide_memory()?;
    written
}

/// Puts `null` in the place of standard input, output and error.
pub(super) fn replace_stdio(null: &OwnedFd) -> Result<(), RuntimeError> {
    let failed = |error: rustix::io::Errno| RuntimeError::start("let go of standard input and output")(error.into());
    rustix::stdio::dup2_stdin(null).map_err(failed)?;
    rustix::stdio::dup2_stdout(null).map_err(failed)?;
    rustix::stdio::dup2_stderr(null).map_err(failed)
}
