//! Namespaces of this process.

#![expect(unsafe_code, reason = "unshare is unsafe for programs that share descriptors between threads")]

use std::io;

/// Puts this process, which has one thread, into a new user namespace.
pub(crate) fn unshare_user() -> io::Result<()> {
    // SAFETY: only credentials change; no descriptor table or memory is unshared.
    if unsafe { libc::unshare(libc::CLONE_NEWUSER) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
