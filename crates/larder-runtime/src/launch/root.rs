//! The container's file system, put together inside its mount namespace, and the move into it.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, open};
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{chdir, fchdir, pivot_root};

use super::job::{Job, MapKind};
use super::resolve::RootDir;
use super::{devices, mounts};
use crate::error::RuntimeError;
use crate::sys::mount::attach;

/// `PROC_SUPER_MAGIC` of `linux/magic.h`.
const PROC_FS: rustix::fs::FsWord = 0x9fa0;

/// Attaches the root and everything below it. The caller is still outside.
pub(super) fn assemble(job: &Job, root_mount: &OwnedFd) -> Result<RootDir, RuntimeError> {
    // Any directory will do: the container's own is there, and a mount over it is seen in this mount namespace only.
    let at = &job.container_dir;
    attach(root_mount.as_fd(), at).map_err(RuntimeError::start("attach the container's root"))?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = open(at, flags, Mode::empty()).map_err(|error| RuntimeError::io("open", at)(error.into()))?;
    let root = RootDir(root);
    let specified = job.spec.mounts().as_deref().unwrap_or_default();
    mounts::mount_all(&root, specified, job.map)?;
    devices::bind(&root, &job.spec)?;
    mounts::make_read_only(&root, &job.read_only_paths, specified)?;
    Ok(root)
}

/// Makes the assembled root `/`, and lets go of the host's.
pub(super) fn enter(root: &RootDir) -> Result<(), RuntimeError> {
    let failed = |error: rustix::io::Errno| RuntimeError::start("change to the container's root")(error.into());
    fchdir(&root.0).map_err(failed)?;
    // The old root is put over the new one, and then taken away: no directory is needed for it.
    pivot_root(".", ".").map_err(failed)?;
    unmount(".", UnmountFlags::DETACH).map_err(failed)?;
    chdir("/").map_err(failed)
}

/// Settings of the kernel that belong to the container's namespaces, then the masks over what would reach further.
pub(super) fn restrict(job: &Job, root: &RootDir) -> Result<(), RuntimeError> {
    let Some(linux) = job.spec.linux() else { return Ok(()) };
    for (name, value) in linux.sysctl().iter().flatten() {
        let path = Path::new("/proc/sys").join(name.replace('.', "/"));
        let written = write_setting(&path, value);
        // Some are root's alone; the default ones are a convenience.
        if job.map == MapKind::Host {
            written.map_err(RuntimeError::start(format!("set the sysctl {name}")))?;
        }
    }
    for path in linux.readonly_paths().iter().flatten() {
        mounts::bind_read_only(root, Path::new(path))?;
    }
    mounts::mask(root, linux.masked_paths().as_deref().unwrap_or_default())
}

/// Writes into a file of the kernel, and into no other: a mount over `/proc` could have put one there.
fn write_setting(path: &Path, value: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    if rustix::fs::fstatfs(&file)?.f_type != PROC_FS {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "it is no file of the kernel"));
    }
    file.write_all(value.as_bytes())
}
