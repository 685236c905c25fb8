//! Way 1: an EROFS image of the listing, without the files' contents, mounted from its file.
//!
//! Each file of the image has `trusted.overlay.metacopy` and a `trusted.overlay.redirect` of `/ab/cdef…`, which the overlay follows into
//! the objects; no digest is put where the kernel would check it. Empty files have no object.
//!
//! There are two formats. The one for all kernels has whiteouts `00` to `ff` in its root, which hide the objects where there
//! are no data-only layers. The other is smaller, and is written where the kernel says that it reads it.
//!
//! Refusals: EPERM in a user namespace; ENOTBLK when the image is on tmpfs or on an overlay, or on kernels before 6.12.

mod attributes;
mod format;
mod image;
mod nodes;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::mount::MountAttrFlags;

use super::overlay::{Below, Layers, Marks, mount};
use super::way::{Making, Way};
use super::{Exception, Mounted, Upper, ViewKindName, Written};
use crate::error::RuntimeError;
use crate::sys::mount::Context;
use format::Format;

/// Changes with every change of the image's bytes.
const ARTEFACT: &str = "erofs-2";
/// Where the kernel lists what it reads of EROFS, once it can read it at all.
const FEATURES: &str = "/sys/fs/erofs/features";

pub(crate) struct Erofs;

impl Way for Erofs {
    const NAME: ViewKindName = ViewKindName::Erofs;
    const EXCEPTIONS: &'static [Exception] =
        &[Exception::OldKernelsLeanOnTheView, Exception::OldKernelsHaveNoUnnamedFiles, Exception::PackagesFilesAreOne];
    const PREFIX: &'static str = "erofs-";

    fn artefact(&self, written: Written) -> Result<String, RuntimeError> {
        let format = match readable() {
            Format::Long => "",
            Format::Short => "-short",
        };
        let joined = match written {
            Written::Anything => "",
            Written::OutsidePackages => "-joined",
        };
        Ok(format!("{ARTEFACT}{format}{joined}"))
    }

    fn write(&self, making: &Making<'_>) -> Result<(), RuntimeError> {
        let image = image::image(making.tree, readable(), making.written);
        let path = making.directory.join("image");
        fs::write(&path, image).map_err(RuntimeError::io("write", &path))?;
        // Only kernels that take layers by path mount something here.
        let mountpoint = making.directory.join("mountpoint");
        fs::create_dir(&mountpoint).map_err(RuntimeError::io("create", &mountpoint))
    }

    fn sync(&self, directory: &Path) -> Result<(), RuntimeError> {
        for path in [&directory.join("image"), directory] {
            File::open(path).and_then(|file| file.sync_all()).map_err(RuntimeError::io("sync", path))?;
        }
        Ok(())
    }

    fn layer(&self, artefact: &Path, objects: &Path, upper: Option<Upper<'_>>) -> Result<Mounted, RuntimeError> {
        let image = mount_image(artefact)?;
        let root = overlay_image(image.as_fd(), artefact, objects, upper)?;
        Ok(Mounted { root, below: Some(image) })
    }
}

/// Mounts the overlay of an artefact's mounted image over the objects.
pub(crate) fn overlay_image(
    image: BorrowedFd<'_>,
    artefact: &Path,
    objects: &Path,
    upper: Option<Upper<'_>>,
) -> Result<OwnedFd, RuntimeError> {
    mount(Layers {
        tree: image,
        tree_path: &artefact.join("mountpoint"),
        detached: true,
        below: Below::Objects(objects),
        upper,
        marks: Marks::Trusted,
    })
}

/// Mounts the image of an artefact from its file, attached nowhere.
pub(crate) fn mount_image(artefact: &Path) -> Result<OwnedFd, RuntimeError> {
    let erofs = Context::open("erofs")?;
    erofs.flag("ro")?;
    erofs.string("source", artefact.join("image"))?;
    erofs.mount(MountAttrFlags::empty())
}

/// The format that this kernel reads.
fn readable() -> Format {
    let features = Path::new(FEATURES);
    if !features.exists() {
        // It may be a module that nobody has needed yet. A refusal is met again when the image is mounted.
        drop(Context::open("erofs"));
    }
    if features.join("48bit").exists() { Format::Short } else { Format::Long }
}
