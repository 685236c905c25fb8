//! Devices of the host that a container was allowed: looked at, written into a specification, bound into `/dev`.
//!
//! A node is never made: the host's own is bound, so that its owner, mode and whatever else guards it stay in force.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use oci_spec::runtime::{LinuxDevice, LinuxDeviceBuilder, LinuxDeviceType, Spec};
use rustix::fs::{Access, AtFlags, CWD, accessat, fstat, major, minor};
use thiserror::Error;

use super::resolve::{RootDir, Target, attach_at};
use crate::error::RuntimeError;
use crate::sys::mount::{Recursive, clone_tree};

/// Why a container can't be given a device.
#[derive(Debug, Error)]
pub enum DeviceError {
    /// It isn't there.
    #[error("it has no {}", .0.display())]
    Missing(PathBuf),
    /// Something else is there.
    #[error("its {} is no device", .0.display())]
    NoDevice(PathBuf),
    /// The caller can neither read nor write it.
    #[error("this user may neither read nor write its {}", .0.display())]
    Forbidden(PathBuf),
    /// It can't be looked at.
    #[error("its {} can't be looked at: {source}", path.display())]
    Io {
        /// The device.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// The device at a path below `/dev`, links followed, as a specification names it.
///
/// # Errors
/// It isn't there, is something else, or is closed to the caller.
pub fn device(path: &Path) -> Result<LinuxDevice, DeviceError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => DeviceError::Missing(path.to_owned()),
        _ => DeviceError::Io { path: path.to_owned(), source },
    };
    let found = fs::metadata(path).map_err(failed)?;
    let kind = match found.file_type() {
        kind if kind.is_char_device() => LinuxDeviceType::C,
        kind if kind.is_block_device() => LinuxDeviceType::B,
        _ => return Err(DeviceError::NoDevice(path.to_owned())),
    };
    let may = |access| accessat(CWD, path, access, AtFlags::EACCESS).is_ok();
    if !may(Access::READ_OK) && !may(Access::WRITE_OK) {
        return Err(DeviceError::Forbidden(path.to_owned()));
    }
    let mut device = LinuxDeviceBuilder::default()
        .path(path)
        .typ(kind)
        .major(i64::from(major(found.rdev())))
        .minor(i64::from(minor(found.rdev())))
        .build()
        .map_err(|error| DeviceError::Io { path: path.to_owned(), source: io::Error::other(error) })?;
    // For runtimes that make a node where ours binds the host's.
    device.set_file_mode(Some(found.mode() & 0o777)).set_uid(Some(found.uid())).set_gid(Some(found.gid()));
    Ok(device)
}

/// Binds the specification's devices to the same paths of the container.
pub(super) fn bind(root: &RootDir, spec: &Spec) -> Result<(), RuntimeError> {
    let linux = spec.linux().as_ref();
    for device in linux.and_then(|linux| linux.devices().as_ref()).into_iter().flatten() {
        let path = device.path();
        let failed = || RuntimeError::start(format!("give the container {}", path.display()));
        let node = clone_tree(CWD, fs::canonicalize(path).map_err(failed())?, Recursive::No).map_err(failed())?;
        let found = fstat(&node).map_err(|error| failed()(error.into()))?;
        let number = (i64::from(major(found.st_rdev)), i64::from(minor(found.st_rdev)));
        let kind = match rustix::fs::FileType::from_raw_mode(found.st_mode) {
            rustix::fs::FileType::CharacterDevice => Some(LinuxDeviceType::C),
            rustix::fs::FileType::BlockDevice => Some(LinuxDeviceType::B),
            _ => None,
        };
        // What was looked at has been replaced meanwhile.
        if kind != Some(device.typ()) || number != (device.major(), device.minor()) {
            return Err(RuntimeError::Specification(format!("{} is not the device it was", path.display())));
        }
        let target = root.target(path, Target::File).map_err(failed())?;
        attach_at(node, target).map_err(failed())?;
    }
    Ok(())
}

/// Refuses devices that aren't below `/dev`, or that the host gives to nobody this way.
pub(super) fn check(spec: &Spec) -> Result<(), RuntimeError> {
    let linux = spec.linux().as_ref();
    for device in linux.and_then(|linux| linux.devices().as_ref()).into_iter().flatten() {
        let path = device.path();
        let below = path.strip_prefix("/dev").is_ok_and(|rest| {
            rest.components().count() > 0
                && rest.components().all(|part| matches!(part, std::path::Component::Normal(_)))
        });
        if !below || !matches!(device.typ(), LinuxDeviceType::C | LinuxDeviceType::B) {
            return Err(RuntimeError::Specification(format!("{} is no device below /dev", path.display())));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_looked_at() {
        let null = device(Path::new("/dev/null")).expect("the null device");
        assert_eq!((null.typ(), null.major(), null.minor()), (LinuxDeviceType::C, 1, 3));
        assert!(matches!(device(Path::new("/dev/larder-none")), Err(DeviceError::Missing(_))));
        assert!(matches!(device(Path::new("/dev/null/x")), Err(DeviceError::Missing(_))));
        assert!(matches!(device(Path::new("/dev")), Err(DeviceError::NoDevice(_))));
        assert!(matches!(device(Path::new("/etc/passwd")), Err(DeviceError::NoDevice(_))));
    }
}
