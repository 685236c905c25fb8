//! The system calls that the program needs, and what the kernel gives it at its start.

use core::ffi::CStr;

#[cfg_attr(target_arch = "x86_64", path = "x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64.rs")]
mod processor;

use processor::{call, numbers};

pub(crate) const SIGCHLD: i32 = 17;

const EINTR: isize = -4;
const WNOHANG: usize = 1;
const F_SETFD: usize = 2;
const FD_CLOEXEC: usize = 1;
const PR_SET_DUMPABLE: usize = 4;
const PR_SET_NAME: usize = 15;
const CAP_KILL: u32 = 5;
/// `_LINUX_CAPABILITY_VERSION_3`: sets of 64 bits, in two halves.
const CAPABILITY_VERSION: u32 = 0x2008_0522;
/// The kernel's own set of signals has 64 bits.
const SIGNALS_SIZE: usize = 8;

/// A text that ends with NUL, in memory that stays as long as the program runs.
#[derive(Clone, Copy)]
pub(crate) struct Text(*const u8);

impl Text {
    pub(crate) const EMPTY: Self = Self(c"".as_ptr().cast());

    fn bytes(self) -> &'static [u8] {
        let mut length = 0;
        // SAFETY: it is one of the kernel's texts or a constant, and ends with NUL; nothing past that is read.
        unsafe {
            // What the core library has for this would need a C library.
            while *self.0.add(length) != 0 {
                length += 1;
            }
            core::slice::from_raw_parts(self.0, length)
        }
    }

    pub(crate) fn is(self, other: &[u8]) -> bool {
        self.bytes().iter().eq(other)
    }

    /// The number that it is, in decimal digits.
    pub(crate) fn number(self) -> Option<i32> {
        self.bytes().iter().try_fold(0_i32, |number, &byte| {
            let digit = byte.checked_sub(b'0').filter(|&digit| digit < 10)?;
            number.checked_mul(10)?.checked_add(i32::from(digit))
        })
    }
}

/// Texts in a row, as the kernel passes them: addresses, and a null address after the last.
#[derive(Clone, Copy)]
pub(crate) struct Texts(*const Text);

impl Iterator for Texts {
    type Item = Text;

    fn next(&mut self) -> Option<Text> {
        // SAFETY: it isn't past the null address, which stays the next one for ever.
        let text = unsafe { *self.0 };
        if text.0.is_null() {
            return None;
        }
        // SAFETY: another address follows one that isn't null.
        self.0 = unsafe { self.0.add(1) };
        Some(text)
    }
}

/// The arguments and the environment of this program.
///
/// # Safety
/// `stack` must be the stack pointer at the program's start.
pub(crate) unsafe fn arguments(stack: *const usize) -> (Texts, Texts) {
    // SAFETY: the kernel puts the count, that many addresses, a null address, and the environment there.
    unsafe {
        let count = *stack;
        let first = stack.add(1).cast::<Text>();
        (Texts(first), Texts(first.add(count + 1)))
    }
}

/// Ends this process.
pub(crate) fn exit(code: i32) -> ! {
    loop {
        // SAFETY: no memory is involved.
        unsafe { call(numbers::EXIT_GROUP, [code as usize, 0, 0, 0]) };
    }
}

/// What `ps` calls this process.
pub(crate) fn set_name(name: &'static CStr) {
    // SAFETY: the kernel reads up to the text's NUL.
    unsafe { call(numbers::PRCTL, [PR_SET_NAME, name.as_ptr() as usize, 0, 0]) };
}

/// Keeps this process's memory and descriptors from whoever may trace others.
pub(crate) fn hide_memory() -> bool {
    // SAFETY: no memory is involved.
    unsafe { call(numbers::PRCTL, [PR_SET_DUMPABLE, 0, 0, 0]) == 0 }
}

/// Leaves this process nothing but the right to signal others.
pub(crate) fn keep_kill_only() -> bool {
    let header = [CAPABILITY_VERSION, 0];
    // Effective, permitted, inheritable, of the lower and then of the higher numbers.
    let sets = [1 << CAP_KILL, 1 << CAP_KILL, 0, 0, 0, 0_u32];
    // SAFETY: both have the form that this version of the call reads.
    unsafe { call(numbers::CAPSET, [header.as_ptr() as usize, sets.as_ptr() as usize, 0, 0]) == 0 }
}

/// A child that has ended: its id and raw status.
pub(crate) fn reap() -> Option<(i32, i32)> {
    let mut status = 0_i32;
    // SAFETY: the kernel writes one integer.
    let pid = unsafe { call(numbers::WAIT4, [usize::MAX, &raw mut status as usize, WNOHANG, 0]) };
    (pid > 0).then_some((pid as i32, status))
}

/// Waits for any of the blocked signals, which is taken. `None`: something else woke this process.
pub(crate) fn wait_for_signal() -> Option<i32> {
    let all = u64::MAX;
    // SAFETY: the kernel reads a set of the size that is given; no information and no limit are asked for.
    let number = unsafe { call(numbers::RT_SIGTIMEDWAIT, [&raw const all as usize, 0, 0, SIGNALS_SIZE]) };
    (number > 0).then_some(number as i32)
}

/// Sends a signal. A process that is gone is no error: its end is seen elsewhere.
pub(crate) fn kill(pid: i32, signal: i32) {
    // SAFETY: no memory is involved.
    unsafe { call(numbers::KILL, [pid as usize, signal as usize, 0, 0]) };
}

pub(crate) fn close(fd: i32) {
    // SAFETY: nothing here uses the descriptor afterwards.
    unsafe { call(numbers::CLOSE, [fd as usize, 0, 0, 0]) };
}

pub(crate) fn close_on_exec(fd: i32) {
    // SAFETY: only a flag of the descriptor changes.
    unsafe { call(numbers::FCNTL, [fd as usize, F_SETFD, FD_CLOEXEC, 0]) };
}

/// Writes a byte that means nothing.
pub(crate) fn write_byte(fd: i32) {
    let byte = 0_u8;
    // SAFETY: the kernel reads one byte.
    unsafe { call(numbers::WRITE, [fd as usize, &raw const byte as usize, 1, 0]) };
}

/// Waits for a byte; `false` where nobody can write any more.
pub(crate) fn read_byte(fd: i32) -> bool {
    let mut byte = 0_u8;
    loop {
        // SAFETY: the kernel writes at most one byte.
        match unsafe { call(numbers::READ, [fd as usize, &raw mut byte as usize, 1, 0]) } {
            EINTR => {}
            count => return count == 1,
        }
    }
}

/// Sends one message of two parts. Not being heard is no error.
pub(crate) fn send(socket: i32, head: &[u8], rest: Text) {
    let rest = rest.bytes();
    let parts = [(head.as_ptr(), head.len()), (rest.as_ptr(), rest.len())];
    // An address and a length are what the kernel's `iovec` is.
    let parts: [[usize; 2]; 2] = parts.map(|(start, length)| [start as usize, length]);
    // SAFETY: the kernel reads the bytes that both parts have.
    unsafe { call(numbers::WRITEV, [socket as usize, parts.as_ptr() as usize, parts.len(), 0]) };
}

/// Replaces this program; comes back with the error's number only.
pub(crate) fn execute(program: Text, arguments: Texts, environment: Texts) -> i32 {
    // SAFETY: all texts end with NUL and both rows with a null address.
    let error = unsafe { call(numbers::EXECVE, [program.0 as usize, arguments.0 as usize, environment.0 as usize, 0]) };
    -error as i32
}
