//! The small program of ours that is executed inside containers, in place of the launcher's own: see `init/main.rs` of this crate.

use std::ffi::CString;
use std::fs::{OpenOptions, remove_file};
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{CWD, MemfdFlags};

use super::job::sealed_as;
use crate::error::RuntimeError;
use crate::sys::clone::execute;
use crate::sys::mount::{AttributeChange, Recursive, clone_tree, set_attributes};

/// The program's bytes, which `build.rs` compiled.
const PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/init"));
/// What it is called by.
const NAME: &str = "larder-init";

/// The program as a file that nobody can write to.
pub(super) struct Inside(OwnedFd);

impl Inside {
    /// Makes it: in memory, or in `folder` where this host lets no file in memory be executed (the sysctl `vm.memfd_noexec`).
    pub(super) fn make(folder: &Path) -> Result<Self, RuntimeError> {
        let made = match sealed_as(NAME, MemfdFlags::EXEC, PROGRAM) {
            // Kernels before 6.3, where each of them may be executed.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => sealed_as(NAME, MemfdFlags::empty(), PROGRAM),
            Err(error) if error.raw_os_error() == Some(libc::EACCES) => read_only_file(&folder.join(NAME)),
            made => made,
        };
        made.map(Self).map_err(RuntimeError::start("make the program that runs inside of containers"))
    }

    /// Becomes PID 1's program: it lets the workload go by the gate, attends it, and closes its place when it ends. It keeps `held`
    /// open. Comes back with a failure only.
    pub(super) fn attend(
        &self,
        workload: libc::pid_t,
        [channel, gate, place]: [BorrowedFd<'_>; 3],
        held: &[BorrowedFd<'_>],
    ) -> RuntimeError {
        let words = ["attend".to_owned(), workload.to_string(), number(channel), number(gate), number(place)];
        let kept: Vec<BorrowedFd<'_>> = [channel, gate, place].into_iter().chain(held.iter().copied()).collect();
        self.execute(words.into_iter().map(String::into_bytes), &[], &kept)
    }

    /// Becomes `program` as soon as PID 1 lets it. Comes back with a failure only.
    pub(super) fn become_workload(
        &self,
        (program, arguments): (&CString, &[CString]),
        environment: &[CString],
        channel: BorrowedFd<'_>,
        gate: BorrowedFd<'_>,
    ) -> RuntimeError {
        let words = ["become".to_owned(), number(channel), number(gate)].into_iter().map(String::into_bytes);
        let texts = [program].into_iter().chain(arguments).map(|text| text.as_bytes().to_vec());
        self.execute(words.chain(texts), environment, &[channel, gate])
    }

    fn execute(
        &self,
        words: impl Iterator<Item = Vec<u8>>,
        environment: &[CString],
        kept: &[BorrowedFd<'_>],
    ) -> RuntimeError {
        let failed = RuntimeError::start("execute the program that runs inside of containers");
        let arguments: Result<Vec<CString>, _> = [NAME.into()].into_iter().chain(words).map(CString::new).collect();
        match arguments {
            Ok(arguments) => failed(execute(self.0.as_fd(), &arguments, environment, kept)),
            Err(error) => failed(error.into()),
        }
    }
}

fn number(fd: BorrowedFd<'_>) -> String {
    fd.as_raw_fd().to_string()
}

/// The program as a file of the disk that is seen through a read-only mount alone.
fn read_only_file(path: &Path) -> io::Result<OwnedFd> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o500).open(path)?;
    file.write_all(PROGRAM)?;
    drop(file);
    let mount = clone_tree(CWD, path, Recursive::No)?;
    let set = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
    set_attributes(mount.as_fd(), c"", AttributeChange { set, ..AttributeChange::default() }, Recursive::No)?;
    remove_file(path)?;
    Ok(mount)
}
