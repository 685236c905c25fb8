//! The index: a cache.
use crate::error::StoreError;
use crate::store::Store;
/// The index.
#[derive(Debug)]
pub struct Index {}
impl Index {
    pub(crate) fn open(_store: &Store) -> Result<Self, StoreError> {
        Ok(Self {})
    }
}
