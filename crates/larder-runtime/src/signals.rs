//! Catching signals for a command that waits: what is asked of it comes as something to read beside everything else.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use crate::sys::signal::Catcher;

/// Catches TERM, INT, HUP, QUIT and their like while it lives. One at a time in a process; it must be paused while a container runs in this
/// process, which catches them itself.
pub struct Signals(Catcher);

impl Signals {
    /// Starts catching.
    ///
    /// # Errors
    /// No pipe can be made.
    pub fn catch() -> io::Result<Self> {
        Catcher::start().map(Self)
    }

    /// Lets signals do again what they did before.
    pub fn pause(&mut self) {
        self.0.pause();
    }

    /// Catches again.
    pub fn resume(&mut self) {
        self.0.resume();
    }

    /// Whether one of those that ask for the end has come since the last call.
    pub fn end_wanted(&self) -> bool {
        self.0.take().iter().any(|signal| [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT].contains(signal))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.fd().as_fd()
    }
}
