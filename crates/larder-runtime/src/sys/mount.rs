//! The mount API with file descriptors: nothing here needs a place in the tree until [`attach`].
//!
//! The kernel explains a refusal in the context's own log, not in the error number; [`Context`] reads that log into the error.

#![expect(unsafe_code, reason = "mount_setattr has no safe wrapper")]

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, fsconfig_create,
    fsconfig_set_fd, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree, unmount,
};
use rustix::path::Arg;

use crate::error::RuntimeError;

/// A file system being configured (`fsopen`).
pub(crate) struct Context {
    fd: OwnedFd,
    what: &'static str,
}

impl Context {
    /// Begins a file system of type `what`: `"erofs"`, `"overlay"`, `"proc"`, `"tmpfs"` …
    pub(crate) fn open(what: &'static str) -> Result<Self, RuntimeError> {
        match fsopen(what, FsOpenFlags::FSOPEN_CLOEXEC) {
            Ok(fd) => Ok(Self { fd, what }),
            Err(error) => Err(RuntimeError::Mount { what: what.to_owned(), log: String::new(), source: error.into() }),
        }
    }

    /// Sets an option that has no value.
    pub(crate) fn flag(&self, key: &str) -> Result<(), RuntimeError> {
        fsconfig_set_flag(self.fd.as_fd(), key).map_err(|error| self.refused(key, error))
    }

    /// Sets an option to a text.
    pub(crate) fn string(&self, key: &str, value: impl Arg) -> Result<(), RuntimeError> {
        fsconfig_set_string(self.fd.as_fd(), key, value).map_err(|error| self.refused(key, error))
    }

    /// Sets an option to an open file or mount.
    pub(crate) fn descriptor(&self, key: &str, value: BorrowedFd<'_>) -> Result<(), RuntimeError> {
        fsconfig_set_fd(self.fd.as_fd(), key, value).map_err(|error| self.refused(key, error))
    }

    /// Makes the file system and gives a mount of it that is nowhere yet.
    pub(crate) fn mount(self, attributes: MountAttrFlags) -> Result<OwnedFd, RuntimeError> {
        fsconfig_create(self.fd.as_fd()).map_err(|error| self.refused("create", error))?;
        fsmount(self.fd.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
            .map_err(|error| self.refused("fsmount", error))
    }

    fn refused(&self, step: &str, error: rustix::io::Errno) -> RuntimeError {
        RuntimeError::Mount { what: format!("{} ({step})", self.what), log: self.log(), source: error.into() }
    }

    fn log(&self) -> String {
        let mut lines = Vec::new();
        let mut buffer = [0_u8; 1024];
        while let Ok(size @ 1..) = rustix::io::read(&self.fd, &mut buffer) {
            let line = String::from_utf8_lossy(&buffer[..size]).trim_end().to_owned();
            // Each line begins with its severity and a space: "e overlay: …".
            lines.push(line.get(2..).unwrap_or_default().to_owned());
        }
        lines.join("; ")
    }
}

/// Puts a detached mount at `target`.
pub(crate) fn attach(mount: BorrowedFd<'_>, target: &Path) -> io::Result<()> {
    Ok(move_mount(mount, "", rustix::fs::CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

/// Takes the mount at `target` out of the tree; it lives on while something uses it.
pub(crate) fn detach(target: &Path) -> io::Result<()> {
    Ok(unmount(target, UnmountFlags::DETACH)?)
}

/// A detached copy of what is mounted at `path` under `directory` (all of it with its sub-mounts, when `recursive`).
pub(crate) fn clone_tree(directory: BorrowedFd<'_>, path: impl Arg, recursive: Recursive) -> io::Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    if recursive == Recursive::Yes {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    Ok(open_tree(directory, path, flags)?)
}

/// Whether an operation reaches the mounts below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recursive {
    Yes,
    No,
}

/// What [`set_attributes`] changes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct AttributeChange {
    /// Attributes to add, such as read-only.
    pub(crate) set: u64,
    /// Attributes to take away.
    pub(crate) clear: u64,
    /// A propagation type such as `MS_PRIVATE`, 0 to leave it.
    pub(crate) propagation: u64,
}

/// Changes the attributes of the mount at `path` under `directory` (`""` for `directory` itself).
pub(crate) fn set_attributes(
    directory: BorrowedFd<'_>,
    path: &CStr,
    change: AttributeChange,
    recursive: Recursive,
) -> io::Result<()> {
    let attributes = libc::mount_attr {
        attr_set: change.set,
        attr_clr: change.clear,
        propagation: change.propagation,
        userns_fd: 0,
    };
    let mut flags = libc::AT_EMPTY_PATH;
    if recursive == Recursive::Yes {
        flags |= libc::AT_RECURSIVE;
    }
    // SAFETY: the path is NUL-terminated, `attributes` has the kernel's layout and its size is passed with it, and the
    // kernel keeps neither pointer after the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            directory.as_raw_fd(),
            path.as_ptr(),
            flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
