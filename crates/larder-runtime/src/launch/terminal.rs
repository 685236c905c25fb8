//! The caller's terminal while the container has one of its own.

use std::io::{IsTerminal, stdin, stdout};
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags};
use rustix::io::{read, write};
use rustix::termios::{OptionalActions, Termios, Winsize, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};

use crate::error::RuntimeError;

/// Copies between this process's standard input and output and the container's terminal, with the own terminal in raw mode. Dropping it puts the mode back.
pub(super) struct Terminal {
    master: OwnedFd,
    saved: Option<Termios>,
    input_open: bool,
    /// Typed, but not yet taken by the container.
    pending: Vec<u8>,
}

impl Terminal {
    /// Begins with the container's terminal, given its master side.
    pub(super) fn start(master: OwnedFd) -> Result<Self, RuntimeError> {
        let failed = |error: rustix::io::Errno| RuntimeError::start("set up the terminal")(error.into());
        rustix::io::ioctl_fionbio(&master, true).map_err(failed)?;
        let mut terminal = Self { master, saved: None, input_open: true, pending: Vec::new() };
        terminal.follow_size();
        if stdin().is_terminal() {
            let saved = tcgetattr(stdin()).map_err(failed)?;
            let mut raw = saved.clone();
            raw.make_raw();
            terminal.saved = Some(saved);
            tcsetattr(stdin(), OptionalActions::Now, &raw).map_err(failed)?;
        }
        Ok(terminal)
    }

    /// Gives the container's terminal the size of the caller's.
    pub(super) fn follow_size(&self) {
        if let Some(size) = own_size() {
            let _ = tcsetwinsize(&self.master, size);
        }
    }

    /// Adds what to wait for: the master and, while it makes sense, standard input.
    pub(super) fn poll_for<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        let write = if self.pending.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
        fds.push(PollFd::new(&self.master, PollFlags::IN | write));
        if self.input_open && self.pending.is_empty() {
            fds.push(PollFd::from_borrowed_fd(standard_input(), PollFlags::IN));
        }
    }

    /// Copies what is ready, given the answers in the order of [`Terminal::poll_for`].
    pub(super) fn copy(&mut self, ready: &[PollFlags]) {
        if ready.first().is_some_and(|flags| flags.contains(PollFlags::IN)) {
            self.copy_out();
        }
        if ready.get(1).is_some_and(|flags| !flags.is_empty()) {
            let mut buffer = [0_u8; 4096];
            match read(standard_input(), &mut buffer) {
                Ok(0) => {
                    self.input_open = false;
                    // The end of input is a character of its own on a terminal.
                    self.pending.push(4);
                }
                Ok(count) => self.pending.extend(&buffer[..count]),
                Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
                Err(_) => self.input_open = false,
            }
        }
        if !self.pending.is_empty()
            && let Ok(count) = write(&self.master, &self.pending)
        {
            self.pending.drain(..count);
        }
    }

    /// Copies what the container has written; `false` when there is no more.
    fn copy_out(&self) -> bool {
        let mut buffer = [0_u8; 16 * 1024];
        match read(&self.master, &mut buffer) {
            Ok(count) if count > 0 => {
                let mut rest = &buffer[..count];
                while let Ok(written @ 1..) = write(standard_output(), rest) {
                    rest = &rest[written..];
                }
                true
            }
            _ => false,
        }
    }

    /// Copies the last output, after the container's end.
    pub(super) fn finish(self) {
        while self.copy_out() {}
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(saved) = &self.saved {
            let _ = tcsetattr(stdin(), OptionalActions::Drain, saved);
        }
    }
}

/// The size of this process's own terminal, if it has one.
pub(super) fn own_size() -> Option<Winsize> {
    tcgetwinsize(stdout()).or_else(|_| tcgetwinsize(stdin())).ok()
}

fn standard_input() -> BorrowedFd<'static> {
    rustix::stdio::stdin()
}

fn standard_output() -> BorrowedFd<'static> {
    rustix::stdio::stdout()
}
