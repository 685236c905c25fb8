//! Way 4: a tree of hard links on disk, for kernels that follow no marks of an ordinary user.
//!
//! ```text
//! views/<key>/checkout-…/tree/   the listing; each file with content is a hard link
//! views/<key>/checkout-…/empty/  the second layer that an overlay without an upper wants
//! views/.twins-…/ab/cdef…-<16>   objects with other attributes than the store's, each once for all checkouts
//! ```
//!
//! A hard link has one mode, owner and time wherever it is, and a lower layer shows them as they are. So a file is a link to the
//! object itself only where that has all of the entry's attributes. Elsewhere it is a link to the object's *twin*: a reflink, or
//! a copy where the file system has none, with the entry's mode, owner, time and attributes. A twin is made once, by the first view that needs it,
//! and shared by every view whose listing has the same object with the same attributes: a package's files take the
//! disk once more and not once per image, and are once in memory for all containers.
//!
//! Twins have a name of their own only after they are on the disk. One whose name is its last link is removed by [`sweep`]; a
//! maker that finds it gone makes it again. Where the file system allows no more links a new twin takes the old one's name.
//!
//! Owners are as in stubs: what the process that makes the tree can make.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, linkat, syncfs};
use rustix::io::Errno;

use super::overlay::{Below, Layers, Marks, mount, open_directory};
use super::owners::Owners;
use super::planter::{Planter, UserAttributes, at, plant};
use super::way::{Making, Way};
use super::witness::object_path;
use super::{Exception, Mounted, Upper, ViewEntry, ViewKindName, Written};
use crate::error::RuntimeError;

/// Changes with every change of what is written.
const PREFIX: &str = "checkout-";
const VERSION: u32 = 1;

/// What the directories of twins are called.
const TWINS: &str = ".twins-";

pub(crate) struct Checkout;

impl Way for Checkout {
    const NAME: ViewKindName = ViewKindName::Checkout;
    const EXCEPTIONS: &'static [Exception] = &[
        Exception::UnmappedOwnersAreOwn,
        Exception::CapabilitiesMayBeMissing,
        Exception::OldKernelsHaveNoUnnamedFiles,
        Exception::FilesAreHardLinks,
        Exception::AttributesCostACopy,
    ];
    const PREFIX: &'static str = PREFIX;

    fn artefact(&self, _written: Written) -> Result<String, RuntimeError> {
        Ok(format!("{PREFIX}{VERSION}-{}", Owners::here()?.fingerprint))
    }

    fn write(&self, making: &Making<'_>) -> Result<(), RuntimeError> {
        check_out(making, |_| true)?;
        let empty = making.directory.join("empty");
        fs::create_dir(&empty).map_err(RuntimeError::io("create", &empty))
    }

    fn sync(&self, directory: &Path) -> Result<(), RuntimeError> {
        sync(directory)
    }

    fn layer(&self, artefact: &Path, _objects: &Path, upper: Option<Upper<'_>>) -> Result<Mounted, RuntimeError> {
        let (tree_path, empty) = (artefact.join("tree"), artefact.join("empty"));
        let tree = open_directory(&tree_path)?;
        mount(Layers {
            tree: tree.as_fd(),
            tree_path: &tree_path,
            detached: false,
            below: Below::Nothing(&empty),
            upper,
            marks: Marks::User,
        })
        .map(Mounted::from)
    }

    fn removed(&self, views: &Path) -> Result<(), RuntimeError> {
        sweep(views)
    }
}

/// Makes `tree/` in the directory of a view, of those entries that are wanted; a wanted entry's parent must be wanted as well.
pub(crate) fn check_out(making: &Making<'_>, wanted: impl Fn(&ViewEntry) -> bool) -> Result<(), RuntimeError> {
    let owners = Owners::here()?;
    sweep(making.views)?;
    let path = making.directory.join("tree");
    fs::create_dir(&path).map_err(RuntimeError::io("create", &path))?;
    let pool = making.views.join(format!("{TWINS}{VERSION}-{}", owners.fingerprint));
    let mut twins = Twins { objects: making.objects, pool, tree: &path, owners: &owners, made: HashMap::new() };
    let entries = making.tree.entries().iter().filter(|entry| wanted(entry));
    let mut file = |planter: &Planter<'_>, entry: &ViewEntry, object: &[u8; 32], size: u64| {
        twins.place(planter, entry, object, size)
    };
    plant(&path, making.tree.root(), entries, &owners, UserAttributes::Required, &mut file)?;
    // A twin that has a name must be whole after a power cut.
    sync(&path)?;
    twins.name_new()
}

fn sync(directory: &Path) -> Result<(), RuntimeError> {
    syncfs(open_directory(directory)?).map_err(|error| RuntimeError::io("sync", directory)(error.into()))
}

/// The files of one checkout while it is made.
struct Twins<'a> {
    objects: &'a Path,
    pool: PathBuf,
    tree: &'a Path,
    owners: &'a Owners,
    /// The twins that this checkout has made: by their name in the pool, a path in the tree.
    made: HashMap<String, Vec<u8>>,
}

impl Twins<'_> {
    /// Puts a file into the tree.
    fn place(
        &mut self,
        planter: &Planter<'_>,
        entry: &ViewEntry,
        object: &[u8; 32],
        size: u64,
    ) -> Result<(), RuntimeError> {
        let failed = |error: Errno| RuntimeError::io("create", &at(self.tree, entry))(error.into());
        if size == 0 {
            let file = planter.new_file(entry).map_err(failed)?;
            return planter.finish_file(file.as_fd(), entry).map_err(failed);
        }
        let object_path = object_path(self.objects, object);
        let source = File::open(&object_path).map_err(RuntimeError::io("open", &object_path))?;
        if self.can_stand_for(&source, entry).map_err(RuntimeError::io("look at", &object_path))?
            && linkat(CWD, &object_path, planter.root, entry.path.as_slice(), AtFlags::empty()).is_ok()
        {
            return Ok(());
        }
        let name = self.name(entry, object);
        let linked = match self.made.get(&name) {
            Some(twin) => linkat(planter.root, twin.as_slice(), planter.root, entry.path.as_slice(), AtFlags::empty()),
            None => linkat(CWD, self.pool.join(&name), planter.root, entry.path.as_slice(), AtFlags::empty()),
        };
        match linked {
            Ok(()) => return Ok(()),
            // None is there yet, or it has as many links as the file system allows.
            Err(Errno::NOENT | Errno::MLINK) => {}
            Err(error) => return Err(failed(error)),
        }
        let twin = planter.new_file(entry).map_err(failed)?;
        copy(&source, &twin).map_err(RuntimeError::io("copy", &object_path))?;
        planter.finish_file(twin.as_fd(), entry).map_err(failed)?;
        self.made.insert(name, entry.path.clone());
        Ok(())
    }

    /// Whether the object itself has all that the entry shows.
    fn can_stand_for(&self, object: &File, entry: &ViewEntry) -> io::Result<bool> {
        let status = object.metadata()?;
        let (uid, gid) = self.owners.possible(entry.uid, entry.gid);
        Ok(entry.xattrs.is_empty()
            && status.mode() & 0o7777 == u32::from(entry.mode)
            && (status.uid(), status.gid()) == (uid, gid)
            && (status.mtime(), status.mtime_nsec()) == (i64::try_from(entry.mtime).unwrap_or(i64::MAX), 0))
    }

    /// The twin's name in the pool: the object's, and a digest of the attributes.
    fn name(&self, entry: &ViewEntry, object: &[u8; 32]) -> String {
        let (uid, gid) = self.owners.possible(entry.uid, entry.gid);
        let mut hasher = blake3::Hasher::new();
        hasher.update(&entry.mode.to_le_bytes()).update(&uid.to_le_bytes()).update(&gid.to_le_bytes());
        hasher.update(&entry.mtime.to_le_bytes());
        let mut attributes: Vec<_> = entry.xattrs.iter().collect();
        attributes.sort();
        for (name, value) in attributes {
            for part in [name, value] {
                hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
            }
        }
        let hex = hex::encode(object);
        format!("{}/{}-{}", &hex[..2], &hex[2..], &hasher.finalize().to_hex()[..16])
    }

    /// Gives the twins of this checkout their names, for other checkouts to find.
    fn name_new(&self) -> Result<(), RuntimeError> {
        for (name, twin) in &self.made {
            let place = self.pool.join(name);
            if let Some(parent) = place.parent() {
                let mut builder = fs::DirBuilder::new();
                builder.recursive(true).mode(0o700).create(parent).map_err(RuntimeError::io("create", parent))?;
            }
            let twin = self.tree.join(OsStr::from_bytes(twin));
            let linked = match fs::hard_link(&twin, &place) {
                // Somebody else's, as good as this one, or one that takes no more links.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    remove_file(&place)?;
                    fs::hard_link(&twin, &place)
                }
                linked => linked,
            };
            match linked {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                // It isn't shared, then.
                Err(error) if error.raw_os_error() == Some(Errno::MLINK.raw_os_error()) => {}
                Err(error) => return Err(RuntimeError::io("link", &place)(error)),
            }
        }
        Ok(())
    }
}

/// Copies what a file holds, without taking room where the file system can share it.
fn copy(source: &File, target: &OwnedFd) -> io::Result<()> {
    if rustix::fs::ioctl_ficlone(target, source).is_ok() {
        return Ok(());
    }
    let (mut source, mut target) = (source, File::from(target.try_clone()?));
    io::copy(&mut source, &mut target).map(drop)
}

/// Removes the twins that no checkout has a link to.
///
/// # Errors
/// A directory that can't be read or changed.
pub fn sweep(views: &Path) -> Result<(), RuntimeError> {
    for pool in list(views)? {
        if !pool.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(TWINS.as_bytes())) {
            continue;
        }
        for directory in list(&pool)? {
            for twin in list(&directory)? {
                if fs::symlink_metadata(&twin).is_ok_and(|status| status.nlink() == 1) {
                    remove_file(&twin)?;
                }
            }
            // It stays while something is in it.
            let _ = fs::remove_dir(&directory);
        }
        let _ = fs::remove_dir(&pool);
    }
    Ok(())
}

fn remove_file(path: &Path) -> Result<(), RuntimeError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(RuntimeError::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// What is in a directory; nothing where there is none.
fn list(directory: &Path) -> Result<Vec<PathBuf>, RuntimeError> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(RuntimeError::io("list", directory))?,
    };
    let paths: io::Result<Vec<_>> = entries.map(|entry| Ok(entry?.path())).collect();
    paths.map_err(RuntimeError::io("list", directory))
}
