//! Way 1: an EROFS image of the listing, without the files' contents, mounted from its file.
//!
//! The image is written by the `composefs` crate. Each file of it has `trusted.overlay.metacopy` and a
//! `trusted.overlay.redirect` of `/ab/cdef…`, which the overlay follows into the objects. The crate calls its identifiers
//! fs-verity digests; here they are the objects' BLAKE3 digests, and no digest is put where the kernel would check it.
//! Empty files have no object.
//!
//! Of the writer's formats the second (V1) is used: its root has whiteouts `00` to `ff`, which hide the objects on kernels
//! without data-only layers.
//!
//! Refusals: EPERM in a user namespace; ENOTBLK when the image is on tmpfs or on an overlay, or on kernels before 6.12.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use composefs::erofs::format::FormatVersion;
use composefs::erofs::writer::{ValidatedFileSystem, mkfs_erofs_versioned};
use composefs::fsverity::{FsVerityHashValue, Sha256HashValue};
use composefs::generic_tree::{Inode, LeafContent, Stat};
use composefs::tree::{Directory, FileSystem, RegularFile};
use rustix::mount::MountAttrFlags;

use super::overlay::{Below, Layers, Marks, mount};
use super::way::{Making, Way};
use super::{Exception, Mounted, RootAttributes, Upper, ViewEntry, ViewKind, ViewKindName, ViewTree};
use crate::error::RuntimeError;
use crate::sys::mount::Context;

/// Changes with every change of the image's bytes.
const ARTEFACT: &str = "erofs-1";

pub(crate) struct Erofs;

impl Way for Erofs {
    const NAME: ViewKindName = ViewKindName::Erofs;
    const EXCEPTIONS: &'static [Exception] =
        &[Exception::OldKernelsLeanOnTheView, Exception::OldKernelsHaveNoUnnamedFiles];
    const PREFIX: &'static str = "erofs-";

    fn artefact(&self) -> Result<String, RuntimeError> {
        Ok(ARTEFACT.to_owned())
    }

    fn write(&self, making: &Making<'_>) -> Result<(), RuntimeError> {
        let image = image(making.tree)?;
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

/// The image of a listing.
fn image(tree: &ViewTree) -> Result<Box<[u8]>, RuntimeError> {
    let mut files = FileSystem::<Sha256HashValue>::new(root_stat(tree.root()));
    for entry in tree.entries() {
        insert(&mut files, entry)?;
    }
    let files = ValidatedFileSystem::new(files).map_err(refused)?;
    Ok(mkfs_erofs_versioned(&files, FormatVersion::V1))
}

fn insert(files: &mut FileSystem<Sha256HashValue>, entry: &ViewEntry) -> Result<(), RuntimeError> {
    let stat = stat(entry);
    let inode = match &entry.kind {
        ViewKind::Directory => Inode::Directory(Box::new(Directory::new(stat))),
        ViewKind::File { object, size } => {
            let content = if *size == 0 {
                RegularFile::Inline(Box::default())
            } else {
                let id = Sha256HashValue::from_hex(hex::encode(object)).map_err(refused)?;
                RegularFile::ExternalNoVerity(id, *size)
            };
            Inode::leaf(files.push_leaf(stat, LeafContent::Regular(content)))
        }
        ViewKind::Symlink { target } => {
            let target = OsString::from_vec(target.clone()).into_boxed_os_str();
            Inode::leaf(files.push_leaf(stat, LeafContent::Symlink(target)))
        }
    };
    let (parent, name) = files.root.split_mut(OsStr::from_bytes(&entry.path)).map_err(refused)?;
    parent.insert(name, inode);
    Ok(())
}

fn stat(entry: &ViewEntry) -> Stat {
    let attributes = entry.xattrs.iter().map(|(name, value)| {
        (OsStr::from_bytes(name).to_owned().into_boxed_os_str(), value.clone().into_boxed_slice())
    });
    Stat {
        st_mode: if matches!(entry.kind, ViewKind::Symlink { .. }) { 0o777 } else { entry.mode.into() },
        st_uid: entry.uid,
        st_gid: entry.gid,
        st_mtim_sec: seconds(entry.mtime),
        st_mtim_nsec: 0,
        xattrs: attributes.collect(),
    }
}

fn root_stat(root: &RootAttributes) -> Stat {
    Stat {
        st_mode: root.mode.into(),
        st_uid: root.uid,
        st_gid: root.gid,
        st_mtim_sec: seconds(root.mtime),
        st_mtim_nsec: 0,
        xattrs: BTreeMap::new(),
    }
}

/// A listing's times are checked to fit.
fn seconds(time: u64) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX)
}

fn refused(error: impl std::fmt::Display) -> RuntimeError {
    RuntimeError::ViewImage { reason: error.to_string() }
}
