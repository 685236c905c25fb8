//! System calls of 64-bit ARM processors, and the program's first instructions.

use core::arch::{asm, global_asm};

global_asm!(
    ".globl _start",
    "_start:",
    // The outermost frame, as the processor's ABI marks it.
    "mov x29, #0",
    "mov x30, #0",
    "mov x0, sp",
    "bl {begin}",
    "brk #1",
    begin = sym crate::begin,
);

/// Makes a system call. Gives what the kernel gives: an error's number is negative.
///
/// # Safety
/// As the call itself asks for.
pub(crate) unsafe fn call(number: usize, arguments: [usize; 4]) -> isize {
    let [first, second, third, fourth] = arguments;
    let result;
    // SAFETY: the kernel changes the result and memory that the caller answers for.
    unsafe {
        asm!(
            "svc #0",
            in("x8") number,
            inlateout("x0") first => result,
            in("x1") second,
            in("x2") third,
            in("x3") fourth,
            options(nostack),
        );
    }
    result
}

/// From the kernel's `include/uapi/asm-generic/unistd.h`.
pub(crate) mod numbers {
    pub(crate) const FCNTL: usize = 25;
    pub(crate) const CLOSE: usize = 57;
    pub(crate) const READ: usize = 63;
    pub(crate) const WRITE: usize = 64;
    pub(crate) const WRITEV: usize = 66;
    pub(crate) const CAPSET: usize = 91;
    pub(crate) const EXIT_GROUP: usize = 94;
    pub(crate) const KILL: usize = 129;
    pub(crate) const RT_SIGTIMEDWAIT: usize = 137;
    pub(crate) const PRCTL: usize = 167;
    pub(crate) const EXECVE: usize = 221;
    pub(crate) const WAIT4: usize = 260;
}
