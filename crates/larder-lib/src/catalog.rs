//! FileSets loaded from the store, each once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use larder_store::plan::{Catalog, Loaded};
use larder_store::{FileSetDigest, Store, StoreError};

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
