//! Signals: blocked and read from a descriptor in our own processes, caught by a handler in the caller's.

#![expect(unsafe_code, reason = "signal handling has no safe wrapper")]

use std::ffi::c_int;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};

/// The highest signal number.
pub(crate) const LAST: c_int = 64;

/// The signals that a launcher hands on to its workload.
pub(crate) const FORWARDED: &[c_int] = &[
    libc::SIGTERM,
    libc::SIGINT,
    libc::SIGHUP,
    libc::SIGQUIT,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGWINCH,
    libc::SIGALRM,
    libc::SIGCONT,
    libc::SIGVTALRM,
    libc::SIGPROF,
    libc::SIGIO,
    libc::SIGPWR,
];

/// The number of a signal that a program can catch and be asked to end with.
pub(crate) fn by_name(name: &str) -> Option<c_int> {
    Some(match name {
        "SIGHUP" => libc::SIGHUP,
        "SIGINT" => libc::SIGINT,
        "SIGQUIT" => libc::SIGQUIT,
        "SIGABRT" => libc::SIGABRT,
        "SIGUSR1" => libc::SIGUSR1,
        "SIGUSR2" => libc::SIGUSR2,
        "SIGPIPE" => libc::SIGPIPE,
        "SIGALRM" => libc::SIGALRM,
        "SIGTERM" => libc::SIGTERM,
        "SIGCONT" => libc::SIGCONT,
        "SIGWINCH" => libc::SIGWINCH,
        "SIGPWR" => libc::SIGPWR,
        _ => return None,
    })
}

/// A set of signals that this thread blocks.
pub(crate) struct Mask(libc::sigset_t);

/// Blocks every signal in this thread and gives the mask that was there.
pub(crate) fn block_all() -> io::Result<Mask> {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    let mut old = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: both point to room for a set; sigfillset writes the first before it is read.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        let error = libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), old.as_mut_ptr());
        if error != 0 {
            return Err(io::Error::from_raw_os_error(error));
        }
        Ok(Mask(old.assume_init()))
    }
}

impl Mask {
    /// Puts the mask back.
    pub(crate) fn restore(&self) {
        // SAFETY: the set was filled by the kernel.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut()) };
    }
}

/// A descriptor to read blocked signals from.
pub(crate) struct Queue(OwnedFd);

impl Queue {
    /// Opens the queue of every signal; they must be blocked.
    pub(crate) fn open() -> io::Result<Self> {
        let mut all = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: the set is filled before it is read, and a new descriptor is ours.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            let fd = libc::signalfd(-1, all.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
            if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(Self(OwnedFd::from_raw_fd(fd))) }
        }
    }

    /// The descriptor, to be polled.
    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.0
    }

    /// The next pending signal.
    pub(crate) fn next(&self) -> Option<c_int> {
        let mut info = MaybeUninit::<libc::signalfd_siginfo>::uninit();
        let size = size_of::<libc::signalfd_siginfo>();
        // SAFETY: the kernel writes at most `size` bytes, and the value is used only when it wrote all of them.
        unsafe {
            let read = libc::read(self.0.as_raw_fd(), info.as_mut_ptr().cast(), size);
            (read == size as isize).then(|| info.assume_init().ssi_signo as c_int)
        }
    }
}

/// Sets every signal to its default and blocks none, as a program expects at its start.
pub(crate) fn reset_all() {
    for signal in 1..=LAST {
        // SAFETY: the default disposition needs no handler; the two reserved by the C library and KILL and STOP just fail.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    let mut none = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the set is made empty before it is read.
    unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut());
    }
}

/// Lets this process wait for its children. Where its caller ignores their ends (SIGCHLD), and programs inherit that, the kernel
/// keeps none for whoever waits.
pub(crate) fn keep_ends_of_children() {
    // SAFETY: the default disposition needs no handler.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
}

static PIPE: AtomicI32 = AtomicI32::new(-1);

extern "C" fn note(signal: c_int) {
    // SAFETY: only async-signal-safe calls; errno is put back.
    unsafe {
        let errno = libc::__errno_location();
        let saved = *errno;
        let byte = signal as u8;
        libc::write(PIPE.load(Ordering::Relaxed), (&raw const byte).cast(), 1);
        *errno = saved;
    }
}

/// Catches the [`FORWARDED`] signals of this process while it lives, and puts the earlier handlers back when dropped.
///
/// There is one at a time in a process: the caller holds a lock.
pub(crate) struct Catcher {
    read: OwnedFd,
    write: OwnedFd,
    previous: Vec<(c_int, libc::sigaction)>,
}

impl Catcher {
    /// Starts catching.
    pub(crate) fn start() -> io::Result<Self> {
        use rustix::pipe::{PipeFlags, pipe_with};
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let mut catcher = Self { read, write, previous: Vec::new() };
        catcher.resume();
        Ok(catcher)
    }

    /// Puts the earlier handlers back for a while.
    pub(crate) fn pause(&mut self) {
        for (signal, old) in self.previous.drain(..) {
            // SAFETY: the action came from the kernel.
            unsafe { libc::sigaction(signal, &raw const old, std::ptr::null_mut()) };
        }
        PIPE.store(-1, Ordering::Relaxed);
    }

    /// Catches again.
    pub(crate) fn resume(&mut self) {
        PIPE.store(self.write.as_raw_fd(), Ordering::Relaxed);
        for &signal in FORWARDED {
            // SAFETY: all-zero is a valid action; the handler only makes async-signal-safe calls.
            unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = note as *const () as usize;
                action.sa_flags = libc::SA_RESTART;
                let mut old = MaybeUninit::<libc::sigaction>::uninit();
                if libc::sigaction(signal, &raw const action, old.as_mut_ptr()) != 0 {
                    continue;
                }
                let old = old.assume_init();
                if old.sa_sigaction == libc::SIG_IGN {
                    // What `nohup` and its like ignore stays ignored.
                    libc::sigaction(signal, &raw const old, std::ptr::null_mut());
                } else {
                    self.previous.push((signal, old));
                }
            }
        }
    }

    /// The descriptor to poll.
    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.read
    }

    /// The signals caught since the last call.
    pub(crate) fn take(&self) -> Vec<c_int> {
        let mut buffer = [0_u8; 64];
        match rustix::io::read(&self.read, &mut buffer) {
            Ok(count) => buffer[..count].iter().map(|&byte| c_int::from(byte)).collect(),
            Err(_) => Vec::new(),
        }
    }
}

impl Drop for Catcher {
    fn drop(&mut self) {
        self.pause();
    }
}

/// Sends a signal to one process.
pub(crate) fn send(pid: libc::pid_t, signal: c_int) {
    // SAFETY: no memory is involved. A process that is gone is no error: its end is seen elsewhere.
    unsafe { libc::kill(pid, signal) };
}

/// Waits for any child without blocking: its id and raw status.
pub(crate) fn reap() -> Option<(libc::pid_t, c_int)> {
    wait(-1, libc::WNOHANG)
}

/// Waits for one child.
pub(crate) fn wait_for(pid: libc::pid_t) -> Option<c_int> {
    wait(pid, 0).map(|(_, status)| status)
}

fn wait(pid: libc::pid_t, options: c_int) -> Option<(libc::pid_t, c_int)> {
    loop {
        let mut status = 0;
        // SAFETY: the kernel writes one integer.
        let found = unsafe { libc::waitpid(pid, &raw mut status, options) };
        if found > 0 {
            return Some((found, status));
        }
        if found == 0 || io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return None;
        }
    }
}
