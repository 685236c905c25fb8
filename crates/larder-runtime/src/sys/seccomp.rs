//! Installing a system call filter without giving up new privileges, which `seccompiler`'s own function always does.

#![expect(unsafe_code, reason = "the seccomp call takes a pointer to the program")]

use std::io;

use seccompiler::sock_filter;

/// Puts a filter on this process. It needs no_new_privs or CAP_SYS_ADMIN.
pub(crate) fn install(program: &[sock_filter]) -> io::Result<()> {
    let length = u16::try_from(program.len()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    let program = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut().cast() };
    // SAFETY: the structure names a program and its length; the kernel copies it. Both filter types have the kernel's layout.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0_u32, &raw const program) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Makes a system call by its number: the result, or the error number.
///
/// The arguments must be numbers, or pointers that the kernel refuses.
pub(crate) fn call(number: i64, arguments: [u64; 3]) -> Result<i64, i32> {
    // SAFETY: no argument is a valid pointer, so that the kernel writes nowhere.
    let result = unsafe { libc::syscall(number, arguments[0], arguments[1], arguments[2]) };
    if result < 0 { Err(io::Error::last_os_error().raw_os_error().unwrap_or(0)) } else { Ok(result) }
}
