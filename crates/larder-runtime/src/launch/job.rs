//! What the supervisor and the init are told: where the supervisor is executed, a sealed file in memory, inherited as a descriptor.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use oci_spec::runtime::Spec;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use serde::{Deserialize, Serialize};

use super::OtherRuntime;
use crate::error::RuntimeError;
use crate::view::{ViewKindName, Written};

/// A launch without what only its caller can do. It lives as long as one container and is read by the binary that wrote it.
#[derive(Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) spec: Spec,
    /// The program that is executed as supervisor.
    pub(super) program: PathBuf,
    pub(super) root: JobRoot,
    pub(super) container_dir: PathBuf,
    pub(super) read_only_paths: Vec<PathBuf>,
    pub(super) user: Option<String>,
    pub(super) map: MapKind,
    /// The cgroups with limits, which the init joins.
    pub(super) cgroups: Vec<PathBuf>,
    /// What runs the container instead of our own init.
    pub(super) runtime: Option<OtherRuntime>,
    /// The name of the only way to make the view.
    pub(super) view: Option<String>,
    /// Where the writable layer is made, where it isn't to go with the container.
    pub(super) layer: Option<PathBuf>,
}

/// Where the root comes from.
#[derive(Serialize, Deserialize)]
pub(super) enum JobRoot {
    View {
        key: String,
        objects: PathBuf,
        views: PathBuf,
        written: Written,
    },
    Directory(PathBuf),
    /// No container: the directory of a dead one is removed, inside the user namespace whose users own it.
    Remove,
}

/// What the ids of the namespace mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum MapKind {
    Host,
    Single,
    Range,
}

impl MapKind {
    /// The way of making views that usually works for such a user.
    pub(super) fn usual_view(self) -> ViewKindName {
        if self == Self::Host { ViewKindName::Erofs } else { ViewKindName::Stubs }
    }
}

impl Job {
    /// Puts the job into a file that nobody can change.
    pub(super) fn seal(&self) -> Result<OwnedFd, RuntimeError> {
        let bytes = serde_json::to_vec(self)
            .map_err(|error| RuntimeError::Specification(format!("a path is not UTF-8 ({error})")))?;
        sealed("larder-job", &bytes).map_err(RuntimeError::start("hand the job on"))
    }

    /// Reads it back.
    pub(super) fn read(fd: OwnedFd) -> Result<Self, RuntimeError> {
        let bytes = contents(fd).map_err(RuntimeError::start("read the job"))?;
        serde_json::from_slice(&bytes).map_err(|error| RuntimeError::Supervisor(format!("can't read the job: {error}")))
    }
}

/// A sealed file in memory.
pub(super) fn sealed(name: &str, bytes: &[u8]) -> std::io::Result<OwnedFd> {
    sealed_as(name, MemfdFlags::empty(), bytes)
}

/// A sealed file in memory, made with these flags too.
pub(super) fn sealed_as(name: &str, flags: MemfdFlags, bytes: &[u8]) -> std::io::Result<OwnedFd> {
    let mut file = File::from(memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING | flags)?);
    file.write_all(bytes)?;
    file.rewind()?;
    fcntl_add_seals(&file, SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE)?;
    Ok(file.into())
}

/// All that a file holds.
pub(super) fn contents(fd: OwnedFd) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::from(fd).read_to_end(&mut bytes)?;
    Ok(bytes)
}
