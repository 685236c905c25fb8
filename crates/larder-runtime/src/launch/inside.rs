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

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::OwnedFd;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Output, Stdio};

    use super::super::channel::{Failure, Message, pair};
    use super::*;

    fn program(folder: &tempfile::TempDir) -> std::path::PathBuf {
        let path = folder.path().join(NAME);
        std::fs::write(&path, PROGRAM).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o700)).unwrap();
        path
    }

    /// Becomes something, with standard error for a channel and standard input for a gate.
    fn become_something(words: &[&str], channel: OwnedFd, gate: &[u8]) -> Output {
        let folder = tempfile::tempdir().unwrap();
        let (read, mut write) = std::io::pipe().unwrap();
        write.write_all(gate).unwrap();
        drop(write);
        let mut command = Command::new(program(&folder));
        command.arg0(NAME).args(["become", "2", "0"]).args(words).env_clear().env("A", "b");
        command.stdin(read).stdout(Stdio::piped()).stderr(channel).output().unwrap()
    }

    #[test]
    fn it_is_executed_by_the_kernel_alone() {
        assert_eq!(&PROGRAM[..6], b"\x7fELF\x02\x01");
        let number =
            |at: usize, length: usize| PROGRAM[at..at + length].iter().rev().fold(0, |n, &b| n << 8 | u64::from(b));
        let (first, size, count) = (number(32, 8) as usize, number(54, 2) as usize, number(56, 2) as usize);
        for header in (0..count).map(|index| first + index * size) {
            let (kind, flags) = (number(header, 4), number(header + 4, 4));
            assert_ne!(kind, 3, "it wants an interpreter");
            assert!(kind != 1 || flags & 3 != 3, "a part of it can be written to and executed");
        }
        assert!(PROGRAM.len() < 16 << 10, "{} bytes", PROGRAM.len());
    }

    #[test]
    fn it_becomes_what_it_is_told_with_that_environment() {
        let (_launcher, ours) = pair().unwrap();
        let output = become_something(&["/usr/bin/env", "x", "sh", "-c", "echo $0 $A"], ours.0, b"g");
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "sh b\n");
    }

    #[test]
    fn it_says_what_it_cannot_execute() {
        let (launcher, ours) = pair().unwrap();
        let output = become_something(&["/nowhere", "x"], ours.0, b"g");
        assert_eq!(output.status.code(), Some(125));
        match launcher.receive().unwrap() {
            Some(Message::Failed(failure)) => {
                assert_eq!(failure, Failure::NotExecutable { program: "/nowhere".to_owned(), errno: libc::ENOENT });
            }
            other => panic!("{other:?}"),
        }
    }

    /// What PID 1 doesn't let go doesn't run.
    #[test]
    fn a_closed_gate_lets_nothing_through() {
        let (launcher, ours) = pair().unwrap();
        let output = become_something(&["/usr/bin/env", "x"], ours.0, b"");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(125), 0));
        assert!(launcher.receive().unwrap().is_none());
    }

    #[test]
    fn words_that_it_does_not_know_end_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = program(&folder);
        for words in [
            &[][..],
            &["attend"],
            &["attend", "1", "2", "x", "3"],
            &["become", "2"],
            &["become", "99999999999", "0"],
            &["?"],
        ] {
            let status = Command::new(&path).args(words).stdin(Stdio::null()).status().unwrap();
            assert_eq!(status.code(), Some(125), "{words:?}");
        }
    }

    #[test]
    fn nobody_can_write_to_it() {
        let inside = Inside::make(Path::new("/nowhere")).unwrap();
        let path = format!("/proc/self/fd/{}", inside.0.as_raw_fd());
        let write = || OpenOptions::new().write(true).open(&path).and_then(|mut file| file.write_all(b"x"));
        assert_eq!(write().unwrap_err().raw_os_error(), Some(libc::EPERM));
        let mut bytes = Vec::new();
        std::fs::File::open(&path).unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, PROGRAM);
    }
}
