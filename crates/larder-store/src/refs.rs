//! Refs: names -> FileSets, each with its history.
//!
//! A ref is the file `refs/<kind>/<name>.ref`, with `@` for the slashes of the name: canonical JSON with the entries, the
//! newest last, and which of them is current. It is replaced in one step, and lasts when the call returns. A ref never
//! points to a FileSet that isn't there: setting one looks, under `gc.lock`, and garbage collection keeps the whole history.
//!
//! Conversions and compositions are caches: one entry each, replaced without a lock and without a sync, never needed, and
//! gone with what they point to. A damaged one counts as absent.

use std::fs;
use std::io;
use std::path::PathBuf;

use crate::FileSetDigest;
use crate::error::{Content, StoreError};
use crate::store::{Hold, Ingest, Lock, Store, Temporary, is_there, remove_file, replace_cache, step, sync_folder};

mod codec;

#[cfg(any(test, fuzzing))]
pub(crate) use codec::{decode, encode};

/// The longest name of a ref, in bytes.
pub const MAX_REF: usize = 240;
const REF: &str = ".ref";
const REFS: &str = "refs";

/// What sort of name it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefKind {
    /// An image, by its name.
    Image,
    /// A package of one's own, by its name.
    Package,
    /// A distribution of one's own, by its name.
    Distribution,
    /// What a `.deb` was converted to, by rule and SHA-256: `deb-1/<hex>`. A cache.
    Conversion,
    /// What the composers made for an install plan, by the plan's digest: `<hex>` or `<hex>/<more>`. A cache, kept while
    /// an image with that plan is.
    Composed,
}

impl RefKind {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Image, Self::Package, Self::Distribution, Self::Conversion, Self::Composed];

    /// The folder below `refs/`, and the word in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Package => "package",
            Self::Distribution => "distribution",
            Self::Conversion => "conversion",
            Self::Composed => "composed",
        }
    }

    /// Whether it can be thrown away and made again.
    pub fn is_cache(self) -> bool {
        matches!(self, Self::Conversion | Self::Composed)
    }
}

/// One state of a ref.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefEntry {
    /// The FileSet's version.
    pub version: String,
    /// The FileSet.
    pub fileset: FileSetDigest,
    /// When, in seconds since 1970.
    pub at: u64,
    /// What was done, such as `build` or `update`.
    pub action: String,
}

/// A ref with its history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefRecord {
    /// All states, the newest last; never empty.
    pub entries: Vec<RefEntry>,
    /// The index of the state that the name stands for.
    pub current: usize,
}

impl RefRecord {
    /// The state that the name stands for.
    pub fn current_entry(&self) -> &RefEntry {
        // The decoder refuses, and nothing here makes, an index beyond the entries.
        &self.entries[self.current]
    }
}

/// The refs of a store.
#[derive(Debug, Clone, Copy)]
pub struct Refs<'s> {
    store: &'s Store,
}

impl<'s> Refs<'s> {
    pub(crate) fn new(store: &'s Store) -> Self {
        Self { store }
    }

    /// Makes a name stand for a FileSet, which must be there. Where it stands for it already, nothing changes; otherwise
    /// the entry is added to the history.
    ///
    /// # Errors
    /// [`StoreError::Missing`] for a FileSet or its Tree that isn't there, and what else reading a record can fail with;
    /// [`StoreError::BadName`]; a store that can only be read; I/O.
    pub fn set(&self, kind: RefKind, name: &str, entry: RefEntry) -> Result<(), StoreError> {
        self.set_after(kind, name, entry, None)
    }

    /// Commits an ingest, and makes a name stand for a FileSet that it wrote: as [`Ingest::commit`] and then [`set`](Self::set), and
    /// waits for the disk less often. The ref's bytes go there with the content; only when all of it lasts does it get its name.
    ///
    /// # Errors
    /// As of both.
    pub fn set_committing(
        &self,
        kind: RefKind,
        name: &str,
        entry: RefEntry,
        ingest: Ingest<'_>,
    ) -> Result<(), StoreError> {
        self.set_after(kind, name, entry, Some(ingest))
    }

    fn set_after(
        &self,
        kind: RefKind,
        name: &str,
        entry: RefEntry,
        ingest: Option<Ingest<'_>>,
    ) -> Result<(), StoreError> {
        self.store.check_writable()?;
        let path = self.path(kind, name)?;
        let _lease = self.store.lease()?;
        if !ingest.as_ref().is_some_and(|ingest| ingest.has_written(&entry.fileset)) {
            let record = self.store.fileset(&entry.fileset)?;
            if !is_there(&self.store.tree_path(&record.tree))? {
                return Err(StoreError::Missing { what: Content::Tree(record.tree) });
            }
        }
        if kind.is_cache() {
            ingest.map(Ingest::commit).transpose()?;
            let record = RefRecord { entries: vec![entry], current: 0 };
            return replace_cache(&self.store.tmp_dir(), &path, &codec::encode(&record));
        }
        self.change(kind, name, ingest, |record| {
            let Some(mut record) = record else { return Ok(Some(RefRecord { entries: vec![entry], current: 0 })) };
            let current = record.current_entry();
            if current.fileset == entry.fileset && current.version == entry.version {
                return Ok(None);
            }
            record.entries.push(entry);
            record.current = record.entries.len() - 1;
            Ok(Some(record))
        })
        .map(drop)
    }

    /// What a name stands for.
    ///
    /// # Errors
    /// [`StoreError::BadName`]; [`StoreError::Text`] for a damaged ref; I/O.
    pub fn get(&self, kind: RefKind, name: &str) -> Result<Option<RefRecord>, StoreError> {
        let path = self.path(kind, name)?;
        step("read", &path);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(StoreError::io("read", path)(e)),
        };
        match codec::decode(&bytes) {
            Ok(record) => Ok(Some(record)),
            Err(_) if kind.is_cache() => Ok(None),
            Err(reason) => Err(StoreError::text(path, reason)),
        }
    }

    /// All names of a kind, sorted.
    ///
    /// # Errors
    /// I/O.
    pub fn names(&self, kind: RefKind) -> Result<Vec<String>, StoreError> {
        let folder = self.folder(kind);
        let mut names = Vec::new();
        for entry in crate::store::list(&folder)? {
            let file = entry.file_name();
            if let Some(flat) = file.to_str().and_then(|file| file.strip_suffix(REF)) {
                names.push(flat.replace('@', "/"));
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// All names of a kind, sorted, with what they stand for.
    ///
    /// # Errors
    /// [`StoreError::Text`] for a damaged ref; I/O.
    pub fn list(&self, kind: RefKind) -> Result<Vec<(String, RefRecord)>, StoreError> {
        let mut records = Vec::new();
        for name in self.names(kind)? {
            if let Some(record) = self.get(kind, &name)? {
                records.push((name, record));
            }
        }
        Ok(records)
    }

    /// Makes a name stand for its earlier entry again, and returns that. The later ones stay in the history.
    ///
    /// # Errors
    /// [`StoreError::NoRef`]; [`StoreError::NoEarlier`]; I/O.
    pub fn rollback(&self, kind: RefKind, name: &str) -> Result<RefEntry, StoreError> {
        let record = self.change_existing(kind, name, |mut record| match record.current.checked_sub(1) {
            None => Err(StoreError::NoEarlier { name: name.to_owned() }),
            Some(earlier) => {
                record.current = earlier;
                Ok(record)
            }
        })?;
        Ok(record.current_entry().clone())
    }

    /// Makes a name stand for the newest entry in its history that has this FileSet, and returns that.
    ///
    /// # Errors
    /// [`StoreError::NoRef`]; [`StoreError::NoEarlier`] for a FileSet that the history doesn't have; I/O.
    pub fn select(&self, kind: RefKind, name: &str, fileset: &FileSetDigest) -> Result<RefEntry, StoreError> {
        let record = self.change_existing(kind, name, |mut record| {
            match record.entries.iter().rposition(|entry| entry.fileset == *fileset) {
                None => Err(StoreError::NoEarlier { name: name.to_owned() }),
                Some(index) => {
                    record.current = index;
                    Ok(record)
                }
            }
        })?;
        Ok(record.current_entry().clone())
    }

    /// Drops all but the newest `keep` entries, and never the current one. What only they needed goes with the next
    /// garbage collection. Returns how many were dropped.
    ///
    /// # Errors
    /// [`StoreError::NoRef`]; I/O.
    pub fn forget_earlier(&self, kind: RefKind, name: &str, keep: usize) -> Result<usize, StoreError> {
        let mut dropped = 0;
        self.change_existing(kind, name, |mut record| {
            let current = record.current_entry().clone();
            dropped = record.entries.len().saturating_sub(keep).min(record.current);
            record.entries.drain(..dropped);
            record.current -= dropped;
            debug_assert_eq!(*record.current_entry(), current);
            Ok(record)
        })?;
        Ok(dropped)
    }

    /// Removes a name with its history. Returns whether it was there.
    ///
    /// # Errors
    /// [`StoreError::BadName`]; a store that can only be read; I/O.
    pub fn remove(&self, kind: RefKind, name: &str) -> Result<bool, StoreError> {
        self.store.check_writable()?;
        let path = self.path(kind, name)?;
        if kind.is_cache() {
            return remove_file(&path);
        }
        let _lease = self.store.lease()?;
        let _lock = self.lock(kind, name)?;
        let removed = remove_file(&path)?;
        if removed {
            sync_folder(&self.folder(kind))?;
        }
        Ok(removed)
    }

    fn change_existing(
        &self,
        kind: RefKind,
        name: &str,
        change: impl FnOnce(RefRecord) -> Result<RefRecord, StoreError>,
    ) -> Result<RefRecord, StoreError> {
        self.store.check_writable()?;
        let absent = || StoreError::NoRef { kind: kind.as_str(), name: name.to_owned() };
        if self.get(kind, name)?.is_none() {
            return Err(absent());
        }
        let _lease = self.store.lease()?;
        let changed = self.change(kind, name, None, |record| change(record.ok_or_else(absent)?).map(Some))?;
        changed.ok_or_else(absent)
    }

    /// Reads a ref, changes it and writes it, under its lock, and commits an ingest before. `change` returns `None` where nothing
    /// changes.
    fn change(
        &self,
        kind: RefKind,
        name: &str,
        ingest: Option<Ingest<'_>>,
        change: impl FnOnce(Option<RefRecord>) -> Result<Option<RefRecord>, StoreError>,
    ) -> Result<Option<RefRecord>, StoreError> {
        let path = self.path(kind, name)?;
        let _lock = self.lock(kind, name)?;
        let changed = change(self.get(kind, name)?)?;
        let Some(record) = &changed else {
            ingest.map(Ingest::commit).transpose()?;
            return Ok(None);
        };
        let file = Temporary::write(&self.store.tmp_dir(), &codec::encode(record))?;
        // The kind's folder may be new: its own name lasts before there is anything in it.
        let refs = self.store.path(REFS);
        let _lease = match ingest {
            Some(ingest) => Some(ingest.commit_with(file.path(), &refs)?),
            None => {
                file.sync()?;
                sync_folder(&refs)?;
                None
            }
        };
        file.name(&path)?;
        Ok(changed)
    }

    fn lock(&self, kind: RefKind, name: &str) -> Result<Lock, StoreError> {
        let folder = self.folder(kind);
        // Its parent is the layout's. Nothing is asked of a folder that is there: a disk that can't answer would be told otherwise.
        match fs::create_dir(&folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(StoreError::io("create", &folder)(error));
            }
            _ => {}
        }
        Lock::wait(&self.path(kind, name)?.with_extension("lock"), Hold::Exclusive)
    }

    fn folder(&self, kind: RefKind) -> PathBuf {
        self.store.path(REFS).join(kind.as_str())
    }

    fn path(&self, kind: RefKind, name: &str) -> Result<PathBuf, StoreError> {
        let part = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
                && part.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'+' | b'_' | b'-'))
        };
        if name.len() > MAX_REF || !name.split('/').all(part) {
            return Err(StoreError::BadName { name: name.to_owned(), what: "ref" });
        }
        Ok(self.folder(kind).join(format!("{}{REF}", name.replace('/', "@"))))
    }
}
