//! Namespaces of this process.

#![expect(unsafe_code, reason = "unshare is unsafe for programs that share descriptors between threads")]

use std::io;

/// Makes the cgroups that this process is in the highest that it and its children see.
pub(crate) fn unshare_cgroup() -> io::Result<()> {
    // SAFETY: only what paths of cgroups are counted from changes.
    if unsafe { libc::unshare(libc::CLONE_NEWCGROUP) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Puts this process, which has one thread, into a new network namespace.
pub(crate) fn unshare_net() -> io::Result<()> {
    // SAFETY: only which network new sockets are of changes.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Puts this process, which has one thread, into a new user namespace.
pub(crate) fn unshare_user() -> io::Result<()> {
    // SAFETY: only credentials change; no descriptor table or memory is unshared.
    if unsafe { libc::unshare(libc::CLONE_NEWUSER) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
