//! The store as plans and composers see it: FileSets loaded once each, contents read and written.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};

use larder_debian::compose::{ContentError, Contents};
use larder_store::plan::{Catalog, Loaded};
use larder_store::{FileSetDigest, Ingest, ObjectDigest, Store, StoreError};

/// The store as a catalogue that remembers what it has loaded.
pub(crate) struct StoreCatalog<'a> {
    store: &'a Store,
    loaded: Mutex<HashMap<FileSetDigest, Arc<Loaded>>>,
}

impl<'a> StoreCatalog<'a> {
    /// An empty memory over a store.
    pub(crate) fn new(store: &'a Store) -> Self {
        Self { store, loaded: Mutex::default() }
    }
}

impl Catalog for StoreCatalog<'_> {
    type Error = StoreError;

    fn load(&self, digest: &FileSetDigest) -> Result<Arc<Loaded>, StoreError> {
        let known = self.loaded.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned();
        if let Some(loaded) = known {
            return Ok(loaded);
        }
        let record = self.store.fileset(digest)?;
        let tree = self.store.tree(&record.tree)?;
        let loaded = Arc::new(Loaded { digest: *digest, record, tree });
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).insert(*digest, Arc::clone(&loaded));
        Ok(loaded)
    }
}

/// Which contents somebody has opened or read: what a result depends on besides the listing.
#[derive(Debug, Default)]
pub(crate) struct Read(Mutex<HashSet<ObjectDigest>>);

impl Read {
    pub(crate) fn note(&self, digest: &ObjectDigest) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(*digest);
    }

    pub(crate) fn has(&self, digest: &ObjectDigest) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(digest)
    }
}

/// The store as composers see it, and a note of what they read.
pub(crate) struct NotedContents<'a> {
    pub(crate) contents: StoreContents<'a>,
    pub(crate) read: &'a Read,
}

impl Contents for NotedContents<'_> {
    fn open(&self, digest: &ObjectDigest) -> Result<File, ContentError> {
        self.read.note(digest);
        self.contents.open(digest)
    }

    fn read(&self, digest: &ObjectDigest, limit: u64) -> Result<Vec<u8>, ContentError> {
        self.read.note(digest);
        self.contents.read(digest, limit)
    }

    fn write(&self, content: &[u8]) -> Result<ObjectDigest, ContentError> {
        self.contents.write(content)
    }
}

/// The store as composers see it.
pub(crate) struct StoreContents<'a> {
    pub(crate) store: &'a Store,
    pub(crate) ingest: &'a Ingest<'a>,
}

impl Contents for StoreContents<'_> {
    fn open(&self, digest: &ObjectDigest) -> Result<File, ContentError> {
        self.store.open_object(digest).map_err(ContentError::from)
    }

    fn read(&self, digest: &ObjectDigest, limit: u64) -> Result<Vec<u8>, ContentError> {
        self.store.read_object(digest, limit).map_err(ContentError::from)
    }

    fn write(&self, content: &[u8]) -> Result<ObjectDigest, ContentError> {
        self.ingest.write_bytes(content).map_err(ContentError::from)
    }
}
