//! A host's store: content by digest, refs that name it, and what keeps both whole.
//!
//! ```text
//! layout               "larder store 1"
//! objects/ab/cdef…     file contents, whole, uncompressed, 0444
//! trees/ab/cdef…       encoded Trees
//! filesets/ab/cdef…    encoded records
//! statements/ab/cdef…/ a folder for each FileSet with statements about it
//! refs/<kind>/         names -> digests, with history
//! views/<key>/         cached views
//! containers/<id>/     one folder a container
//! cache/               what can be fetched or read again
//! tmp/                 files on their way to a name
//! gc.lock mend.lock index.lock   locks
//! index.sqlite         a cache
//! ```
//!
//! Invariants:
//! - A record is there only if its Tree and its imports are; a Tree only if its objects are. An [`Ingest`] writes in
//!   that order, garbage collection removes in the reverse one.
//! - What a commit reported done outlives the death of any process at any instant, and the loss of power. What was *not*
//!   reported done may be there or not; after a loss of power it may even be there under its final name with bytes
//!   missing or zero. So what is to be written counts as there only if it is read and found to be the same, and every record
//!   and Tree is hashed when it is read.
//! - Nothing is changed in place: a file is whole under its name, or it isn't there.
//!
//! Locks and their order: the `lock` module.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::error::{Content, StoreError};
use crate::index::Index;
use crate::refs::Refs;
use crate::{FileSet, FileSetDigest, ObjectDigest, Tree, TreeDigest, tree};

mod ingest;
mod layout;
mod lock;
mod look;
mod pending;
mod readings;
mod remove;
mod roots;
mod statements;
pub(crate) mod step;
mod walk;
mod write;

pub use ingest::Ingest;
pub use readings::Reader;
pub use remove::remove_tree;
pub use roots::{Root, Roots};
pub use statements::Statement;

pub(crate) use layout::{GC_LOCK, INDEX_LOCK};
pub(crate) use lock::{Hold, Lock};
#[cfg(any(test, fuzzing))]
pub(crate) use roots::parse as parse_roots;
pub(crate) use roots::read_roots;
#[cfg(any(test, fuzzing))]
pub(crate) use statements::{decode as decode_statement, encode as encode_statement};
pub(crate) use step::step;
pub(crate) use walk::{Found, digests, list, walk};
pub(crate) use write::{Temporary, replace_cache, sync_folder, unique};

/// The longest record, in bytes.
const MAX_RECORD: u64 = crate::json::MAX_BYTES as u64;

/// A host's store. Cheap to share by reference; any number of processes may each open the same one.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    /// Why it can't be written, where it can't.
    read_only: Option<io::Error>,
}

/// Keeps garbage collection away until it is dropped, or its process ends. Several may be held at once.
#[derive(Debug)]
pub struct Lease {
    _lock: Lock,
}

impl Store {
    /// Opens the store at a folder, making it where nothing is yet. Where this user or file system doesn't allow writing, it
    /// opens for reading.
    ///
    /// # Errors
    /// A network file system; a later version of the layout; a folder that holds something else or can't be read.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let writable = layout::prepare(root)?;
        let root = std::path::absolute(root).map_err(StoreError::io("find", root))?;
        Ok(Self { root, read_only: writable.err() })
    }

    /// The store's folder, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether this process can't change it.
    pub fn is_read_only(&self) -> bool {
        self.read_only.is_some()
    }

    /// Where contents are: `ab/cdef…` below it.
    pub fn objects_dir(&self) -> PathBuf {
        self.root.join(layout::OBJECTS)
    }

    /// Where cached views are, a folder each.
    pub fn views_dir(&self) -> PathBuf {
        self.root.join(layout::VIEWS)
    }

    /// Where containers are, a folder each.
    pub fn containers_dir(&self) -> PathBuf {
        self.root.join(layout::CONTAINERS)
    }

    /// Begins to write. Garbage collection waits until the ingest ends.
    ///
    /// # Errors
    /// A store that can only be read; I/O.
    pub fn begin(&self) -> Result<Ingest<'_>, StoreError> {
        Ingest::begin(self)
    }

    /// Keeps garbage collection away, for whoever looks up content that no ref needs yet. Waits while one is running.
    ///
    /// # Errors
    /// I/O.
    pub fn lease(&self) -> Result<Lease, StoreError> {
        let path = self.root.join(layout::GC_LOCK);
        match Lock::wait(&path, Hold::Shared) {
            Ok(lock) => Ok(Lease { _lock: lock }),
            // On media that nobody can write, there may be no lock file and there is no collection.
            Err(_) if self.is_read_only() && !path.exists() => Ok(Lease { _lock: Lock::needless() }),
            Err(e) => Err(e),
        }
    }

    /// Where a content is, whether or not it is there.
    pub fn object_path(&self, digest: &ObjectDigest) -> PathBuf {
        by_digest(&self.root, layout::OBJECTS, &digest.hex())
    }

    /// Opens a content for reading. It is not hashed.
    ///
    /// # Errors
    /// [`StoreError::Missing`]; I/O.
    pub fn open_object(&self, digest: &ObjectDigest) -> Result<File, StoreError> {
        open(&self.object_path(digest), Content::Object(*digest))
    }

    /// Whether a content is there. It is not read.
    pub fn has_object(&self, digest: &ObjectDigest) -> bool {
        is_there(&self.object_path(digest)).unwrap_or(false)
    }

    /// Reads a content of at most `limit` bytes and hashes it.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::TooLarge`], [`StoreError::Damaged`]; I/O.
    pub fn read_object(&self, digest: &ObjectDigest, limit: u64) -> Result<Vec<u8>, StoreError> {
        let what = Content::Object(*digest);
        let bytes = read(&self.object_path(digest), what, limit)?;
        if ObjectDigest::of(&bytes) == *digest { Ok(bytes) } else { Err(StoreError::Damaged { what }) }
    }

    /// Reads a record.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Damaged`], [`StoreError::Record`]; I/O.
    pub fn fileset(&self, digest: &FileSetDigest) -> Result<FileSet, StoreError> {
        let bytes = self.record(digest)?;
        FileSet::decode(&bytes).map_err(|source| StoreError::Record { digest: *digest, source })
    }

    /// Reads a record's bytes, and no more than that they are the ones that its digest means.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Damaged`]; I/O.
    pub fn record(&self, digest: &FileSetDigest) -> Result<Vec<u8>, StoreError> {
        let what = Content::FileSet(*digest);
        let bytes = read(&self.fileset_path(digest), what, MAX_RECORD)?;
        if FileSetDigest::of(&bytes) == *digest { Ok(bytes) } else { Err(StoreError::Damaged { what }) }
    }

    /// Reads a Tree.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Damaged`], [`StoreError::Tree`]; I/O.
    pub fn tree(&self, digest: &TreeDigest) -> Result<Tree, StoreError> {
        let what = Content::Tree(*digest);
        let bytes = read(&self.tree_path(digest), what, tree::MAX_ENCODED as u64)?;
        if TreeDigest::of(&bytes) != *digest {
            return Err(StoreError::Damaged { what });
        }
        Tree::decode(&bytes).map_err(|source| StoreError::Tree { digest: *digest, source })
    }

    /// Whether a record is there whole, with a Tree of its name.
    pub fn has_fileset(&self, digest: &FileSetDigest) -> bool {
        self.fileset(digest).is_ok_and(|fileset| self.has_tree(&fileset.tree))
    }

    /// Whether a Tree is there. It is not read.
    pub fn has_tree(&self, digest: &TreeDigest) -> bool {
        is_there(&self.tree_path(digest)).unwrap_or(false)
    }

    /// All FileSets, by digest.
    ///
    /// # Errors
    /// I/O.
    pub fn filesets(&self) -> Result<Vec<FileSetDigest>, StoreError> {
        let found = walk::digests(&self.root.join(layout::FILESETS))?;
        Ok(found.into_iter().map(|found| FileSetDigest::from_bytes(found.digest)).collect())
    }

    /// The names of things.
    pub fn refs(&self) -> Refs<'_> {
        Refs::new(self)
    }

    /// Opens the index and brings it up to date.
    ///
    /// # Errors
    /// I/O, and records that can't be read.
    pub fn index(&self) -> Result<Index, StoreError> {
        Index::open(self)
    }

    pub(crate) fn fileset_path(&self, digest: &FileSetDigest) -> PathBuf {
        by_digest(&self.root, layout::FILESETS, &digest.hex())
    }

    pub(crate) fn tree_path(&self, digest: &TreeDigest) -> PathBuf {
        by_digest(&self.root, layout::TREES, &digest.hex())
    }

    /// Fails where this process can't change the store.
    pub(crate) fn check_writable(&self) -> Result<(), StoreError> {
        match &self.read_only {
            None => Ok(()),
            Some(reason) => {
                // An `io::Error` can't be cloned; its number tells the same.
                let reason = reason.raw_os_error().map_or_else(|| reason.kind().into(), io::Error::from_raw_os_error);
                Err(StoreError::ReadOnly { root: self.root.clone(), reason })
            }
        }
    }

    /// Lets nobody else replace or remove what is damaged, until it is dropped.
    pub(crate) fn mending(&self) -> Result<Lock, StoreError> {
        Lock::wait(&self.root.join(layout::MEND_LOCK), Hold::Exclusive)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(crate) fn tmp_dir(&self) -> PathBuf {
        self.root.join(layout::TMP)
    }
}

/// `<root>/<folder>/ab/cdef…`.
fn by_digest(root: &Path, folder: &str, hex: &str) -> PathBuf {
    let (head, tail) = hex.split_at(2);
    // One allocation: this runs for every file of a package.
    let mut path = PathBuf::with_capacity(root.as_os_str().len() + folder.len() + 68);
    path.extend([root.as_os_str(), folder.as_ref(), head.as_ref(), tail.as_ref()]);
    path
}

fn open(path: &Path, what: Content) -> Result<File, StoreError> {
    step("open", path);
    File::open(path).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => StoreError::Missing { what },
        _ => StoreError::io("open", path)(e),
    })
}

fn read(path: &Path, what: Content, limit: u64) -> Result<Vec<u8>, StoreError> {
    let mut file = open(path, what)?;
    let size = file.metadata().map_err(StoreError::io("look at", path))?.len();
    if size > limit {
        return Err(StoreError::TooLarge { limit });
    }
    // A file of the store has its length for good: nothing has to be asked about its end.
    let mut bytes = vec![0; size as usize];
    match file.read_exact(&mut bytes) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Err(StoreError::Damaged { what }),
        read => read.map(|()| bytes).map_err(StoreError::io("read", path)),
    }
}

/// Whether a path is there. A disk that can't say is an error, and not a missing file.
pub(crate) fn is_there(path: &Path) -> Result<bool, StoreError> {
    step("look at", path);
    path.try_exists().map_err(StoreError::io("look at", path))
}

/// Removes a file that may be gone already.
pub(crate) fn remove_file(path: &Path) -> Result<bool, StoreError> {
    step("remove", path);
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(StoreError::io("remove", path)(e)),
    }
}
