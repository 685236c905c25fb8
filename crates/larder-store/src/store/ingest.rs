//! Writing content: a stream at a time, synced once at the end ([`pending`](super::pending) says how).

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::layout::{FILESETS, OBJECTS, TREES};
use super::pending::Pending;
use super::write::{Put, Unnamed, put_file};
use super::{Lease, Statement, Store, is_there, step};
use crate::error::{Content, StoreError};
use crate::fsck::hash_file;
use crate::json::Value;
use crate::{FileSet, FileSetDigest, ObjectDigest, Tree, TreeDigest};

/// Big enough for BLAKE3 to use its widest instructions, small enough for the second-level cache. Most files of a package
/// fit into it, and those need no temporary file when the store has them already.
const BUFFER: usize = 128 * 1024;

/// A session of writing. Drop it to give up: what it wrote then goes with the next garbage collection.
///
/// Any number of ingests, in any number of processes, may write at once, the same content too.
#[derive(Debug)]
pub struct Ingest<'s> {
    store: &'s Store,
    /// Keeps garbage collection away.
    lease: Lease,
    /// Opened before the first write, so that syncing it reports every error of writing back since then.
    file_system: File,
    /// What is known to be there, so that a Tree's check needn't look again.
    known: Mutex<HashSet<(ObjectDigest, u64)>>,
    /// What is known to last, so that finding it leaves nothing to sync.
    lasting: Mutex<HashSet<PathBuf>>,
    /// What isn't known to last.
    pending: Mutex<Pending>,
    /// The records that were written, with all that they need.
    records: Mutex<HashSet<FileSetDigest>>,
    buffers: Mutex<Vec<Vec<u8>>>,
}

impl<'s> Ingest<'s> {
    pub(super) fn begin(store: &'s Store) -> Result<Self, StoreError> {
        store.check_writable()?;
        let lease = store.lease()?;
        let file_system = File::open(store.root()).map_err(StoreError::io("open", store.root()))?;
        Ok(Self {
            store,
            lease,
            file_system,
            known: Mutex::default(),
            lasting: Mutex::default(),
            pending: Mutex::default(),
            records: Mutex::default(),
            buffers: Mutex::default(),
        })
    }

    /// Tells what lasts already: a FileSet that a ref was seen to stand for, with the Tree of its own. What of it this ingest
    /// then finds in the store, whole, it needn't sync. Such a ref was set after a commit, so this holds even where the
    /// process that set it was killed.
    pub fn lasts(&self, digest: &FileSetDigest, tree: &Tree) {
        let mut lasting = locked(&self.lasting);
        lasting.insert(self.store.fileset_path(digest));
        lasting.insert(self.store.statements_dir(digest));
        lasting.insert(self.store.tree_path(&tree.digest()));
        lasting.extend(tree.files().map(|(object, _)| self.store.object_path(&object)));
    }

    /// Remembers to sync a file that was found or written.
    fn note(&self, path: &Path, found: bool) {
        if !(found && locked(&self.lasting).contains(path)) {
            locked(&self.pending).add(path);
        }
    }

    /// The store that is written.
    pub fn store(&self) -> &'s Store {
        self.store
    }

    /// Writes a content of at most `limit` bytes, reading to the end of `content`. Nothing is written where the store has
    /// it whole. Returns its digest and length.
    ///
    /// # Errors
    /// [`StoreError::Source`] where reading fails; [`StoreError::TooLarge`]; I/O. Nothing is left behind then.
    pub fn write_object(&self, content: &mut dyn Read, limit: u64) -> Result<(ObjectDigest, u64), StoreError> {
        let mut buffer = locked(&self.buffers).pop().unwrap_or_else(|| vec![0; BUFFER]);
        let written = self.stream(content, limit, &mut buffer);
        locked(&self.buffers).push(buffer);
        written
    }

    fn stream(&self, content: &mut dyn Read, limit: u64, buffer: &mut [u8]) -> Result<(ObjectDigest, u64), StoreError> {
        let first = fill(content, buffer)?;
        if first as u64 > limit {
            return Err(StoreError::TooLarge { limit });
        }
        if first < buffer.len() {
            let content = &buffer[..first];
            return Ok((self.write_bytes(content)?, first as u64));
        }
        let mut file = self.unnamed()?;
        let mut hasher = blake3::Hasher::new();
        let (mut filled, mut size) = (first, 0);
        while filled > 0 {
            size += filled as u64;
            if size > limit {
                return Err(StoreError::TooLarge { limit });
            }
            hasher.update(&buffer[..filled]);
            file.write(&buffer[..filled])?;
            filled = fill(content, buffer)?;
        }
        let digest = ObjectDigest::from_bytes(*hasher.finalize().as_bytes());
        self.settle(&digest, size, || Ok(file))?;
        Ok((digest, size))
    }

    /// Writes a content that is in memory.
    ///
    /// # Errors
    /// I/O.
    pub fn write_bytes(&self, content: &[u8]) -> Result<ObjectDigest, StoreError> {
        let digest = ObjectDigest::of(content);
        self.settle(&digest, content.len() as u64, || {
            let mut file = self.unnamed()?;
            file.write(content)?;
            Ok(file)
        })?;
        Ok(digest)
    }

    fn unnamed(&self) -> Result<Unnamed, StoreError> {
        Unnamed::create(&self.store.path(OBJECTS), &self.store.tmp_dir())
    }

    /// Gives an object its name, unless the store has it. One that is there is read: a loss of power may have left its name and
    /// its length, and other bytes.
    fn settle(
        &self,
        digest: &ObjectDigest,
        size: u64,
        file: impl FnOnce() -> Result<Unnamed, StoreError>,
    ) -> Result<(), StoreError> {
        if locked(&self.known).contains(&(*digest, size)) {
            return Ok(());
        }
        let path = self.store.object_path(digest);
        let found = match size_of(&path)? {
            None => file()?.link(&path).map(|()| false)?,
            Some(there) if there == size && is_whole(&path, digest, size)? => true,
            Some(_) => {
                let _alone = self.store.mending()?;
                let mended = size_of(&path)? == Some(size) && is_whole(&path, digest, size)?;
                if !mended {
                    file()?.rename_over(&self.store.tmp_dir(), &path)?;
                }
                mended
            }
        };
        self.note(&path, found);
        locked(&self.known).insert((*digest, size));
        Ok(())
    }

    /// Writes a Tree, whose contents must be there.
    ///
    /// # Errors
    /// [`StoreError::Incomplete`]; a Tree beyond the limits; I/O.
    pub fn write_tree(&self, tree: &Tree) -> Result<TreeDigest, StoreError> {
        let bytes = tree.encode();
        let digest = TreeDigest::of(&bytes);
        if bytes.len() > crate::tree::MAX_ENCODED {
            let source = crate::tree::TreeError::TooLarge { bytes: bytes.len() as u64 };
            return Err(StoreError::Tree { digest, source });
        }
        for (object, size) in tree.files() {
            if !self.has_whole(&object, size)? {
                return Err(StoreError::Incomplete { what: Content::Tree(digest), needs: Content::Object(object) });
            }
        }
        self.put(TREES, &self.store.tree_path(&digest), &bytes)?;
        Ok(digest)
    }

    fn has_whole(&self, object: &ObjectDigest, size: u64) -> Result<bool, StoreError> {
        if locked(&self.known).contains(&(*object, size)) {
            return Ok(true);
        }
        let path = self.store.object_path(object);
        let there = size_of(&path)? == Some(size);
        if there {
            self.note(&path, true);
            locked(&self.known).insert((*object, size));
        }
        Ok(there)
    }

    /// Writes a record, whose Tree and imports must be there. What this ingest hasn't written of these must last already: whoever found
    /// it through a ref, or committed it, knows that.
    ///
    /// # Errors
    /// [`StoreError::Record`] for a record that could not be read again; [`StoreError::Incomplete`]; I/O.
    pub fn write_fileset(&self, fileset: &FileSet) -> Result<FileSetDigest, StoreError> {
        let bytes = fileset.encode();
        let digest = FileSetDigest::of(&bytes);
        FileSet::read(&bytes).map_err(|source| StoreError::Record { digest, source })?;
        let incomplete = |needs| StoreError::Incomplete { what: Content::FileSet(digest), needs };
        if !is_there(&self.store.tree_path(&fileset.tree))? {
            return Err(incomplete(Content::Tree(fileset.tree)));
        }
        if !self.store.has_records(fileset.imports.iter().map(|import| import.fileset)) {
            for import in &fileset.imports {
                if !is_there(&self.store.fileset_path(&import.fileset))? {
                    return Err(incomplete(Content::FileSet(import.fileset)));
                }
            }
        }
        self.put(FILESETS, &self.store.fileset_path(&digest), &bytes)?;
        locked(&self.records).insert(digest);
        Ok(digest)
    }

    /// Whether this ingest has written a record: then it is there whole, and its Tree and imports are.
    pub(crate) fn has_written(&self, digest: &FileSetDigest) -> bool {
        locked(&self.records).contains(digest)
    }

    /// Writes a statement about a FileSet, and returns its bytes' digest. The same statement a second time changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Statement`] for a kind or body that could not be read again; I/O.
    pub fn write_statement(&self, about: &FileSetDigest, kind: &str, body: &Value) -> Result<ObjectDigest, StoreError> {
        let (digest, bytes) = self.store.prepare_statement(about, kind, body)?;
        self.put(super::layout::STATEMENTS, &self.store.statement_path(about, &digest), &bytes)?;
        Ok(digest)
    }

    /// Keeps a FileSet, which must be there, for as long as another: garbage collection treats it as needed by that one.
    ///
    /// # Errors
    /// I/O.
    pub fn keep_with(&self, fileset: &FileSetDigest, kept: &FileSetDigest) -> Result<(), StoreError> {
        let (kind, body) = super::statements::keeps(kept);
        self.write_statement(fileset, kind, &body).map(drop)
    }

    /// The statements about a FileSet, in no order, each with its bytes' digest. Damaged ones are removed, so that they can be
    /// written again.
    ///
    /// # Errors
    /// I/O.
    pub fn renew_statements(&self, about: &FileSetDigest) -> Result<Vec<(ObjectDigest, Statement)>, StoreError> {
        let found = self.store.renew_statements(about)?;
        let folder = self.store.statements_dir(about);
        if !locked(&self.lasting).contains(&folder) {
            found.iter().for_each(|(digest, _)| self.note(&self.store.statement_path(about, digest), true));
        }
        Ok(found)
    }

    fn put(&self, folder: &str, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let found = put_file(self.store, folder, path, bytes)? == Put::Found;
        self.note(path, found);
        Ok(())
    }

    /// Makes everything last: what this ingest wrote, and what it found and another may just have written. Only then may
    /// it be reported or a ref point to it. Where nothing is left to do, nothing is done.
    ///
    /// # Errors
    /// An error of writing anything to the disk since [`Store::begin`].
    pub fn commit(self) -> Result<(), StoreError> {
        self.commit_leased().map(drop)
    }

    /// The same as [`commit_leased`](Self::commit_leased), with the content of a file that is about to get its name, and the names
    /// in a folder.
    pub(crate) fn commit_with(self, temporary: &Path, folder: &Path) -> Result<Lease, StoreError> {
        locked(&self.pending).add_beside(temporary, folder);
        self.commit_leased()
    }

    /// The same, and goes on keeping garbage collection away, until a ref needs what was written.
    ///
    /// # Errors
    /// As of [`commit`](Self::commit).
    pub fn commit_leased(self) -> Result<Lease, StoreError> {
        let pending = self.pending.into_inner().unwrap_or_else(PoisonError::into_inner);
        pending.sync(self.store.root(), &self.file_system)?;
        Ok(self.lease)
    }
}

/// Reads until the buffer is full or the content ends.
fn fill(content: &mut dyn Read, buffer: &mut [u8]) -> Result<usize, StoreError> {
    let mut filled = 0;
    while filled < buffer.len() {
        match content.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(StoreError::Source(e)),
        }
    }
    Ok(filled)
}

fn is_whole(path: &Path, digest: &ObjectDigest, size: u64) -> Result<bool, StoreError> {
    step("read", path);
    let found =
        if size <= BUFFER as u64 { fs::read(path).map(|bytes| ObjectDigest::of(&bytes)) } else { hash_file(path) };
    match found {
        Ok(found) => Ok(found == *digest),
        // Somebody found it damaged, and removed it.
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(StoreError::io("read", path)(e)),
    }
}

fn size_of(path: &Path) -> Result<Option<u64>, StoreError> {
    step("look at", path);
    match path.symlink_metadata() {
        Ok(metadata) => Ok(Some(metadata.len())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(StoreError::io("look at", path)(e)),
    }
}

/// What these locks guard stays valid if a thread panics while it holds one.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    step("remember", Path::new(""));
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
