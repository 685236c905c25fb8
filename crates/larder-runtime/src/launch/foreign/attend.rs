//! Waiting for a workload that another runtime has started.

use rustix::event::{PollFd, PollFlags, poll};

use super::super::channel::{Channel, Message};
use crate::error::RuntimeError;
use crate::sys::signal;

/// Reaps and hands signals on until the workload ends, and tells how.
pub(super) fn attend(workload: libc::pid_t, channel: &Channel) -> Result<(), RuntimeError> {
    let queue = signal::Queue::open().map_err(RuntimeError::start("read signals"))?;
    loop {
        while let Some((pid, status)) = signal::reap() {
            if pid == workload {
                channel.send(&Message::Ended(status));
                return Ok(());
            }
        }
        match poll(&mut [PollFd::new(queue.fd(), PollFlags::IN)], None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(RuntimeError::start("wait for the workload")(error.into())),
        }
        while let Some(number) = queue.next() {
            if number != libc::SIGCHLD {
                signal::send(workload, number);
            }
        }
    }
}
