//! Making processes in new namespaces.
//!
//! [`spawn`] may be called in a process with threads: between the clone and the exec the child makes plain system calls on memory
//! prepared beforehand, and nothing else (no allocation, no locks). [`fork`] runs Rust code in the child and is for
//! processes with one thread only: our own, and a launcher that [`has_one_thread`].

#![expect(unsafe_code, reason = "clone3 and what follows it have no safe wrapper")]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;

/// The kernel's own number; the `libc` crate has it in too narrow a type.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// The steps of a spawned child before its exec; the first that fails is reported with its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ChildStep {
    Session = 1,
    Inherit,
    ExeMount,
    ExeReadOnly,
    Exec,
}

impl ChildStep {
    /// What the step does, as a phrase after "can't".
    pub(crate) fn from_number(number: u8) -> &'static str {
        match number {
            1 => "prepare a process of the launcher's own program",
            2 => "hand descriptors to the launcher's own program",
            3 => "make a mount of the launcher's own program",
            4 => "make the launcher's own program read-only",
            5 => "execute the launcher's own program",
            _ => "start the launcher's own program",
        }
    }
}

/// What [`spawn`] starts.
pub(crate) struct Spawn<'a> {
    /// The program, an absolute path. The child executes it through a read-only mount of its own, so that nothing that
    /// reaches `/proc/<pid>/exe` can open it for writing.
    pub(crate) program: &'a CStr,
    /// Its arguments, with the name it is called by first.
    pub(crate) arguments: &'a [CString],
    /// `CLONE_NEW*` flags.
    pub(crate) namespaces: u64,
    /// Descriptors that stay open in the program, under the same numbers. Of others it has 0, 1 and 2 only.
    pub(crate) inherit: &'a [BorrowedFd<'a>],
    /// When given, the child waits until a byte can be read from this pipe, and ends when nobody can write to it any more.
    pub(crate) wait_for: Option<Gate<'a>>,
    /// Where a failing step is reported: the bytes `c`, step, error number (four, native order).
    pub(crate) report: BorrowedFd<'a>,
    /// What becomes 0, 1 and 2, all under numbers above these; `None` leaves them as they are.
    pub(crate) streams: Option<[BorrowedFd<'a>; 3]>,
    /// A cgroup directory to be born in.
    pub(crate) cgroup: Option<BorrowedFd<'a>>,
}

/// A pipe that a child waits on.
#[derive(Clone, Copy)]
pub(crate) struct Gate<'a> {
    /// Where the child reads.
    pub(crate) read: BorrowedFd<'a>,
    /// Where its parent writes. The child closes its own copy: while it is open the child would not see its parent's end.
    pub(crate) write: BorrowedFd<'a>,
}

/// Starts a program in new namespaces; it is killed when the calling thread ends. All signals must be blocked by the caller and stay so in the child.
pub(crate) fn spawn(spawn: &Spawn<'_>) -> io::Result<libc::pid_t> {
    let mut argv: Vec<*const c_char> = spawn.arguments.iter().map(|argument| argument.as_ptr()).collect();
    argv.push(std::ptr::null());
    let envp: [*const c_char; 1] = [std::ptr::null()];
    let inherit: Vec<RawFd> = spawn.inherit.iter().map(AsRawFd::as_raw_fd).collect();
    let child = Child {
        program: spawn.program.as_ptr(),
        argv: argv.as_ptr(),
        envp: envp.as_ptr(),
        inherit: &inherit,
        gate: spawn.wait_for.map(|gate| (gate.read.as_raw_fd(), gate.write.as_raw_fd())),
        report: spawn.report.as_raw_fd(),
        streams: spawn.streams.map(|streams| streams.map(|stream| stream.as_raw_fd())),
    };
    let cgroup = spawn.cgroup.map(|fd| fd.as_raw_fd());
    // SAFETY: the child only runs `Child::run`, which keeps the rules above and never returns.
    let pid = unsafe { clone3(spawn.namespaces, cgroup)? };
    if pid == 0 {
        // SAFETY: this is the child of a clone; `child` and what it points to live in this frame.
        unsafe { child.run() }
    }
    Ok(pid)
}

/// Clones this process into new namespaces, the child born in a cgroup if one is given. Gives `None` in the child.
///
/// The process must have one thread: in the child whatever lock another one holds would be held for ever.
pub(crate) fn fork(namespaces: u64, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Option<libc::pid_t>> {
    let cgroup = cgroup.map(|fd| fd.as_raw_fd());
    // SAFETY: there is no other thread, so that nothing in the child's copy of the memory is half changed.
    let pid = unsafe { clone3(namespaces, cgroup)? };
    Ok((pid != 0).then_some(pid))
}

/// Whether this process has one thread. If it has, that stays so until this thread starts another.
pub(crate) fn has_one_thread() -> bool {
    // One link for each thread, besides those of every directory.
    std::fs::metadata("/proc/self/task").is_ok_and(|found| found.nlink() == 3)
}

/// Closes every descriptor but 0, 1, 2 and these, in a clone of a process that owns them: nothing of what it had open may be used
/// or dropped afterwards.
pub(crate) fn close_all_but(kept: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut kept: Vec<u32> = kept.iter().map(|fd| fd.as_raw_fd() as u32).filter(|&fd| fd > 2).collect();
    kept.sort_unstable();
    let mut first = 3;
    for fd in kept.into_iter().chain([u32::MAX]) {
        // SAFETY: what is closed belonged to the process that this is a copy of, and isn't used here.
        if first < fd && unsafe { libc::syscall(libc::SYS_close_range, first, fd - 1, 0) } != 0 {
            return Err(io::Error::last_os_error());
        }
        first = fd.saturating_add(1);
    }
    Ok(())
}

/// Ends this process, a clone of another, at once: what that one would have done at its end (writing out what it had printed, say)
/// is its own to do.
pub(crate) fn end(code: c_int) -> ! {
    // SAFETY: it only ends the process.
    unsafe { libc::_exit(code) }
}

/// # Safety
/// With threads in this process, the child may only make async-signal-safe calls.
unsafe fn clone3(namespaces: u64, cgroup: Option<RawFd>) -> io::Result<libc::pid_t> {
    // SAFETY: all-zero is a valid value of this plain structure.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = namespaces;
    arguments.exit_signal = libc::SIGCHLD as u64;
    if let Some(fd) = cgroup {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = fd as u64;
    }
    // SAFETY: the structure has the kernel's layout and its size is passed; without CLONE_VM the child has a copy of the stack.
    let result = unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size_of::<libc::clone_args>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as libc::pid_t) }
}

struct Child<'a> {
    program: *const c_char,
    argv: *const *const c_char,
    envp: *const *const c_char,
    inherit: &'a [RawFd],
    gate: Option<(RawFd, RawFd)>,
    report: RawFd,
    streams: Option<[RawFd; 3]>,
}

impl Child<'_> {
    /// # Safety
    /// Only in the child of a clone; the pointers must be valid. Makes system calls only.
    unsafe fn run(&self) -> ! {
        // SAFETY: each call below gets plain numbers or pointers to memory that outlives it.
        unsafe {
            let step = self.prepare_and_exec();
            let number = *libc::__errno_location();
            let mut message = [0_u8; 6];
            message[0] = b'c';
            message[1] = step as u8;
            message[2..].copy_from_slice(&number.to_ne_bytes());
            libc::write(self.report, message.as_ptr().cast::<c_void>(), message.len());
            libc::_exit(125)
        }
    }

    unsafe fn prepare_and_exec(&self) -> ChildStep {
        // SAFETY: see `run`.
        unsafe {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 || libc::setsid() < 0 {
                return ChildStep::Session;
            }
            if let Some((read, write)) = self.gate {
                libc::close(write);
                let mut byte = 0_u8;
                if libc::read(read, (&raw mut byte).cast::<c_void>(), 1) != 1 {
                    libc::_exit(125);
                }
            }
            // What the caller has open for others, such as a directory of the host, is no business of a container.
            if libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) != 0 {
                return ChildStep::Inherit;
            }
            for (number, stream) in self.streams.into_iter().flatten().enumerate() {
                if libc::dup2(stream, number as RawFd) < 0 {
                    return ChildStep::Inherit;
                }
            }
            for &fd in self.inherit {
                if libc::fcntl(fd, libc::F_SETFD, 0) != 0 {
                    return ChildStep::Inherit;
                }
            }
            let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC;
            let mount = libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, self.program, flags) as c_int;
            if mount < 0 {
                return ChildStep::ExeMount;
            }
            let attributes = libc::mount_attr {
                attr_set: libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV,
                attr_clr: 0,
                propagation: 0,
                userns_fd: 0,
            };
            let size = size_of::<libc::mount_attr>();
            let empty = c"".as_ptr();
            let at = libc::AT_EMPTY_PATH;
            if libc::syscall(libc::SYS_mount_setattr, mount, empty, at, &raw const attributes, size) != 0 {
                return ChildStep::ExeReadOnly;
            }
            libc::syscall(libc::SYS_execveat, mount, empty, self.argv, self.envp, libc::AT_EMPTY_PATH);
            ChildStep::Exec
        }
    }
}

/// Takes over a descriptor that was inherited under a known number, and closes it on exec from now on.
pub(crate) fn adopt(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_SETFD on any number is harmless; it fails when nothing is open there.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the number is open, and the entry point adopts each inherited number once.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Marks every descriptor from `first` on to be closed on exec.
pub(crate) fn close_on_exec_from(first: RawFd) -> io::Result<()> {
    // SAFETY: only a flag of descriptors changes.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Replaces this process by the program that is open here, in which `kept` stay open. Comes back only when that fails.
pub(crate) fn execute(
    program: BorrowedFd<'_>,
    arguments: &[CString],
    environment: &[CString],
    kept: &[BorrowedFd<'_>],
) -> io::Error {
    for fd in kept {
        // SAFETY: only a flag of a descriptor changes.
        if unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, 0) } != 0 {
            return io::Error::last_os_error();
        }
    }
    let pointers = |list: &[CString]| -> Vec<*const c_char> {
        list.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (argv, envp) = (pointers(arguments), pointers(environment));
    let (empty, flags) = (c"".as_ptr(), libc::AT_EMPTY_PATH);
    // SAFETY: both arrays end with a null pointer and their texts with NUL.
    unsafe { libc::syscall(libc::SYS_execveat, program.as_raw_fd(), empty, argv.as_ptr(), envp.as_ptr(), flags) };
    io::Error::last_os_error()
}
