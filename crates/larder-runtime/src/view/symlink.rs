//! Way 5: links into `/packages`, for where nothing else works. It needs a tmpfs, a bind mount and hard links on disk, and no overlay.
//!
//! ```text
//! views/<key>/symlink-…/tree/       `packages` of the listing, a checkout (see `checkout`)
//! views/<key>/symlink-…/listing     the rest, and where its links lead
//! views/<key>/symlink-…/mountpoint  where the parts are put together
//! ```
//!
//! Each mount is a tmpfs of its own, and so is all that a container writes. In it stand the directories and links of the listing; a
//! file that a package has at the same path below `packages`, with the same attributes, is a relative link to it, and any other file (the image's own,
//! a composer's output) is a copy. `packages` itself is bound read-only from the disk.
//!
//! What a program finds by its own path is its package: `gcc`, `node` or `pg_config` look there and not in `/usr` for what other
//! packages brought. That is why this way is the last one, and said aloud.
//!
//! Kernels before 6.15 put no mount below one that is attached nowhere, so the parts are put together at `mountpoint`, in the mount
//! namespace of the caller, copied, and taken away again.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::MountAttrFlags;

use super::attached::Attached;
use super::checkout::{self, Checkout};
use super::owners::Owners;
use super::planter::{Planter, UserAttributes, at, plant};
use super::way::{Making, Way};
use super::witness::object_path;
use super::{Exception, Mounted, Upper, ViewEntry, ViewKind, ViewKindName, ViewTree, Written, wire};
use crate::error::RuntimeError;
use crate::sys::mount::{AttributeChange, Context, Recursive, attach, clone_tree, set_attributes};

/// Changes with every change of what is written.
const PREFIX: &str = "symlink-";
const VERSION: u32 = 1;

/// Where packages are whole.
const PACKAGES: &[u8] = b"packages";

pub(crate) struct Symlink;

impl Way for Symlink {
    const NAME: ViewKindName = ViewKindName::Symlink;
    const EXCEPTIONS: &'static [Exception] = &[
        Exception::UnmappedOwnersAreOwn,
        Exception::CapabilitiesMayBeMissing,
        Exception::PackagesFilesAreLinks,
        Exception::PackagesAreHardLinks,
        Exception::PackagesAreNeverWritten,
        Exception::AttributesCostACopy,
        Exception::WritesAreInMemory,
        Exception::DirectoriesCanBeRenamed,
        Exception::OldTmpfsHasNoAttributes,
    ];
    const PREFIX: &'static str = PREFIX;

    fn artefact(&self, _written: Written) -> Result<String, RuntimeError> {
        Ok(format!("{PREFIX}{VERSION}-{}", Owners::here()?.fingerprint))
    }

    fn write(&self, making: &Making<'_>) -> Result<(), RuntimeError> {
        checkout::check_out(making, |entry| is_packages(&entry.path))?;
        let listing = making.directory.join("listing");
        let links = links(making.tree)?;
        fs::write(&listing, wire::encode(&links)).map_err(RuntimeError::io("write", &listing))?;
        let mountpoint = making.directory.join("mountpoint");
        fs::create_dir(&mountpoint).map_err(RuntimeError::io("create", &mountpoint))
    }

    fn sync(&self, directory: &Path) -> Result<(), RuntimeError> {
        Checkout.sync(directory)
    }

    fn layer(&self, artefact: &Path, objects: &Path, upper: Option<Upper<'_>>) -> Result<Mounted, RuntimeError> {
        let listing = artefact.join("listing");
        let bytes = fs::read(&listing).map_err(RuntimeError::io("read", &listing))?;
        let tree = wire::decode(&bytes)?;
        let mountpoint = artefact.join("mountpoint");
        let tmpfs = Context::open("tmpfs")?;
        tmpfs.string("source", "larder")?;
        tmpfs.string("mode", "700")?;
        let tmpfs = tmpfs.mount(MountAttrFlags::empty())?;
        let _attached = Attached::new(tmpfs.as_fd(), &mountpoint)?;
        fill(&mountpoint, &tree, objects)?;
        let packages = mountpoint.join("packages");
        if packages.is_dir() {
            let source = artefact.join("tree/packages");
            let bound = read_only_copy(&source, Recursive::No)?;
            attach(bound.as_fd(), &packages).map_err(RuntimeError::io("mount on", &packages))?;
        }
        let copy = if upper.is_some() {
            clone_tree(CWD, &mountpoint, Recursive::Yes).map_err(RuntimeError::io("copy the mount of", &mountpoint))?
        } else {
            read_only_copy(&mountpoint, Recursive::Yes)?
        };
        Ok(copy.into())
    }

    fn removed(&self, views: &Path) -> Result<(), RuntimeError> {
        checkout::sweep(views)
    }
}

/// A detached read-only copy of what is mounted at a path.
fn read_only_copy(path: &Path, recursive: Recursive) -> Result<OwnedFd, RuntimeError> {
    let failed = || RuntimeError::io("copy the mount of", path);
    let tree = clone_tree(CWD, path, recursive).map_err(failed())?;
    let change = AttributeChange { set: libc::MOUNT_ATTR_RDONLY, ..AttributeChange::default() };
    set_attributes(tree.as_fd(), c"", change, recursive).map_err(failed())?;
    Ok(tree)
}

fn is_packages(path: &[u8]) -> bool {
    path.strip_prefix(PACKAGES).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

/// What all of a package's file but its path has to be like that of a file in its place.
type Likeness<'a> = ([u8; 32], u16, u32, u32, u64, Vec<&'a (Vec<u8>, Vec<u8>)>);

fn likeness(entry: &ViewEntry) -> Option<Likeness<'_>> {
    let ViewKind::File { object, .. } = entry.kind else { return None };
    let mut attributes: Vec<_> = entry.xattrs.iter().collect();
    attributes.sort();
    Some((object, entry.mode, entry.uid, entry.gid, entry.mtime, attributes))
}

/// The listing outside `packages` (and `packages` itself, to be mounted on), packages' files as links.
fn links(tree: &ViewTree) -> Result<ViewTree, RuntimeError> {
    let mut packaged: HashMap<Likeness<'_>, Vec<&[u8]>> = HashMap::new();
    for entry in tree.entries().iter().filter(|entry| is_packages(&entry.path)) {
        if let Some(likeness) = likeness(entry) {
            packaged.entry(likeness).or_default().push(&entry.path);
        }
    }
    let mut entries = Vec::new();
    for entry in tree.entries().iter().filter(|entry| entry.path == PACKAGES || !is_packages(&entry.path)) {
        let same = likeness(entry).and_then(|likeness| packaged.get(&likeness));
        let in_package = same.into_iter().flatten().find(|path| {
            let rest = path.strip_suffix(entry.path.as_slice());
            rest.is_some_and(|rest| rest.ends_with(b"/"))
        });
        let mut entry = entry.clone();
        if let Some(path) = in_package {
            let depth = entry.path.iter().filter(|&&byte| byte == b'/').count();
            let target = [&b"../".repeat(depth), *path].concat();
            // The longest target that the kernel takes.
            if target.len() <= 4095 {
                entry.kind = ViewKind::Symlink { target };
                entry.xattrs.clear();
            }
        }
        entries.push(entry);
    }
    ViewTree::new(*tree.root(), entries)
}

/// Fills the tmpfs.
fn fill(place: &Path, tree: &ViewTree, objects: &Path) -> Result<(), RuntimeError> {
    let owners = Owners::here()?;
    let mut file = |planter: &Planter<'_>, entry: &ViewEntry, object: &[u8; 32], size: u64| {
        let failed = |error: rustix::io::Errno| RuntimeError::io("create", &at(place, entry))(error.into());
        let mut target = File::from(planter.new_file(entry).map_err(failed)?);
        if size > 0 {
            let path = object_path(objects, object);
            let copied = File::open(&path).and_then(|mut source| io::copy(&mut source, &mut target));
            copied.map_err(RuntimeError::io("copy", &path))?;
        }
        planter.finish_file(target.as_fd(), entry).map_err(failed)
    };
    plant(place, tree.root(), tree.entries().iter(), &owners, UserAttributes::WherePossible, &mut file)
}
