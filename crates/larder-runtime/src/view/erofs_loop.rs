//! Way 2: the EROFS image of way 1 through a loop device, for kernels that mount no EROFS from a file (before 6.12).
//!
//! The image is the same artefact. The device is read-only and goes with the last that has it open: first the process that sets it
//! up, then the mount. So nothing is left of it when both were killed.
//!
//! Kernels of this age have no data-only layers either; the objects are then an ordinary layer below the image, whose whiteouts
//! hide them (see [`overlay`](super::overlay)).
//!
//! Refusals: EACCES or EPERM for ordinary users; ENOENT where there is no `/dev/loop-control`.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::mount::MountAttrFlags;

use super::erofs::{Erofs, overlay_image};
use super::way::{Making, Way};
use super::{Exception, Mounted, Upper, ViewKindName, Written};
use crate::error::RuntimeError;
use crate::sys::loopdev::LoopDevice;
use crate::sys::mount::Context;

pub(crate) struct ErofsLoop;

impl Way for ErofsLoop {
    const NAME: ViewKindName = ViewKindName::ErofsLoop;
    const EXCEPTIONS: &'static [Exception] = Erofs::EXCEPTIONS;
    const PREFIX: &'static str = Erofs::PREFIX;

    fn artefact(&self, written: Written) -> Result<String, RuntimeError> {
        Erofs.artefact(written)
    }

    fn write(&self, making: &Making<'_>) -> Result<(), RuntimeError> {
        Erofs.write(making)
    }

    fn sync(&self, directory: &Path) -> Result<(), RuntimeError> {
        Erofs.sync(directory)
    }

    fn layer(&self, artefact: &Path, objects: &Path, upper: Option<Upper<'_>>) -> Result<Mounted, RuntimeError> {
        let image = mount_device(artefact)?;
        let root = overlay_image(image.as_fd(), artefact, objects, upper)?;
        Ok(Mounted { root, below: Some(image) })
    }
}

/// Mounts the image of an artefact through a loop device, attached nowhere.
fn mount_device(artefact: &Path) -> Result<OwnedFd, RuntimeError> {
    let device = LoopDevice::open(&artefact.join("image"))?;
    let erofs = Context::open("erofs")?;
    erofs.flag("ro")?;
    erofs.string("source", device.path())?;
    erofs.mount(MountAttrFlags::empty())
}
