//! Removing what is bad, so that it can be written again.

use std::fs;
use std::io;
use std::path::Path;

use super::content::hash_file;
use crate::error::{Content, StoreError};
use crate::store::{Store, remove_file, step};

impl Store {
    /// Removes a content whose bytes have another digest than its name says. What is good, or isn't there, stays as it is.
    /// Returns whether something was removed.
    ///
    /// Whoever has the content needn't do this: an [`Ingest`](crate::Ingest) that finds other bytes replaces them.
    ///
    /// # Errors
    /// A store that can only be read; I/O.
    pub fn discard_damaged(&self, content: &Content) -> Result<bool, StoreError> {
        self.check_writable()?;
        let _lease = self.lease()?;
        let path = match content {
            Content::Object(digest) => self.object_path(digest),
            Content::Tree(digest) => self.tree_path(digest),
            Content::FileSet(digest) => self.fileset_path(digest),
        };
        // Whoever puts a good one in its place does so under the same lock.
        let _alone = self.mending()?;
        match self.is_good(content, &path)? {
            Some(false) => remove_file(&path),
            Some(true) | None => Ok(false),
        }
    }

    /// `None` where nothing is there.
    fn is_good(&self, content: &Content, path: &Path) -> Result<Option<bool>, StoreError> {
        step("read", path);
        let good = match content {
            Content::Object(digest) => hash_file(path).map(|found| found == *digest),
            Content::Tree(digest) => fs::read(path).map(|bytes| crate::TreeDigest::of(&bytes) == *digest),
            Content::FileSet(digest) => fs::read(path).map(|bytes| crate::FileSetDigest::of(&bytes) == *digest),
        };
        match good {
            Ok(good) => Ok(Some(good)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            // The disk can't read it any more.
            Err(e) if e.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => Ok(Some(false)),
            Err(e) => Err(StoreError::io("read", path)(e)),
        }
    }
}
