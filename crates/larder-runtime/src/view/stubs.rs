//! Way 3: a tree of stubs on disk, for whoever may not mount EROFS.
//!
//! `tree/` has the listing with its modes, owners, times and attributes, but each file is a hole of the right size whose
//! `user.overlay.redirect` of `/ab/cdef…` and empty `user.overlay.metacopy` lead to the object. Overlays with `userxattr`
//! follow them from about Linux 6.16; before, the mount is refused (EINVAL).
//!
//! An owner is what the process that makes the stubs can make, so that process has to be in the container's user namespace,
//! and the artefact's name says which map it had. An id outside the map becomes the process's own.

use std::fs;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{XattrFlags, fsetxattr, ftruncate, syncfs};

use super::overlay::{Below, Layers, Marks, mount, open_directory};
use super::owners::Owners;
use super::planter::{Planter, UserAttributes, at, plant};
use super::way::{Making, Way};
use super::{Exception, Mounted, Upper, ViewEntry, ViewKindName, Written};
use crate::error::RuntimeError;

/// Changes with every change of what is written.
const PREFIX: &str = "stubs-";
const VERSION: u32 = 1;

pub(crate) struct Stubs;

impl Way for Stubs {
    const NAME: ViewKindName = ViewKindName::Stubs;
    const EXCEPTIONS: &'static [Exception] = &[Exception::UnmappedOwnersAreOwn, Exception::CapabilitiesMayBeMissing];
    const PREFIX: &'static str = PREFIX;

    fn artefact(&self, _written: Written) -> Result<String, RuntimeError> {
        Ok(format!("{PREFIX}{VERSION}-{}", Owners::here()?.fingerprint))
    }

    fn write(&self, making: &Making<'_>) -> Result<(), RuntimeError> {
        let owners = Owners::here()?;
        let path = making.directory.join("tree");
        fs::create_dir(&path).map_err(RuntimeError::io("create", &path))?;
        let entries = making.tree.entries().iter();
        let mut file = |planter: &Planter<'_>, entry: &ViewEntry, object: &[u8; 32], size: u64| {
            stub(planter, entry, object, size)
                .map_err(|error| RuntimeError::io("create", &at(&path, entry))(error.into()))
        };
        plant(&path, making.tree.root(), entries, &owners, UserAttributes::Required, &mut file)
    }

    fn sync(&self, directory: &Path) -> Result<(), RuntimeError> {
        syncfs(open_directory(directory)?).map_err(|error| RuntimeError::io("sync", directory)(error.into()))
    }

    fn layer(&self, artefact: &Path, objects: &Path, upper: Option<Upper<'_>>) -> Result<Mounted, RuntimeError> {
        let tree_path = artefact.join("tree");
        let tree = open_directory(&tree_path)?;
        mount(Layers {
            tree: tree.as_fd(),
            tree_path: &tree_path,
            detached: false,
            below: Below::Objects(objects),
            upper,
            marks: Marks::User,
        })
        .map(Mounted::from)
    }
}

fn stub(planter: &Planter<'_>, entry: &ViewEntry, object: &[u8; 32], size: u64) -> rustix::io::Result<()> {
    let file = planter.new_file(entry)?;
    if size > 0 {
        ftruncate(&file, size)?;
        let hex = hex::encode(object);
        let redirect = format!("/{}/{}", &hex[..2], &hex[2..]);
        fsetxattr(&file, "user.overlay.redirect", redirect.as_bytes(), XattrFlags::empty())?;
        fsetxattr(&file, "user.overlay.metacopy", b"", XattrFlags::empty())?;
    }
    planter.finish_file(file.as_fd(), entry)
}
