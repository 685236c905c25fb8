//! Our own program, executed as the supervisor.

use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::WORD;
use crate::sys::clone::{Gate, Spawn, adopt, spawn};

/// What is executed, and in which surroundings. See [`Spawn`] for what each means.
pub(super) struct OwnProgram<'a> {
    /// Its first argument is [`WORD`], which [`super::entry`] knows. The others are the numbers of its descriptors.
    pub(super) program: &'a Path,
    /// The descriptors it gets, in the order in which it takes them.
    pub(super) inherit: &'a [BorrowedFd<'a>],
    pub(super) namespaces: u64,
    pub(super) wait_for: Option<Gate<'a>>,
    pub(super) report: BorrowedFd<'a>,
    pub(super) streams: Option<[BorrowedFd<'a>; 3]>,
    pub(super) cgroup: Option<BorrowedFd<'a>>,
}

impl OwnProgram<'_> {
    /// Starts it. All signals must be blocked.
    pub(super) fn start(&self) -> io::Result<libc::pid_t> {
        let mut arguments = vec![CString::new("larder")?, CString::new(WORD)?];
        for fd in self.inherit {
            arguments.push(CString::new(fd.as_raw_fd().to_string())?);
        }
        spawn(&Spawn {
            program: &CString::new(self.program.as_os_str().as_bytes())?,
            arguments: &arguments,
            namespaces: self.namespaces,
            inherit: self.inherit,
            wait_for: self.wait_for,
            report: self.report,
            streams: self.streams,
            cgroup: self.cgroup,
        })
    }
}

/// Takes the descriptors over that such a process was given. `None` where somebody typed the private word.
pub(super) fn descriptors<const N: usize>(arguments: impl Iterator<Item = OsString>) -> Option<[OwnedFd; N]> {
    let found: Vec<OwnedFd> = arguments.map_while(|number| adopt(number.to_str()?.parse().ok()?).ok()).collect();
    found.try_into().ok()
}
