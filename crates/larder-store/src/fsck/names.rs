//! Refs, statements, and what containers need.

use std::fs;

use super::{Check, ProblemKind, exists};
use crate::FileSetDigest;
use crate::error::{Content, StoreError};
use crate::refs::RefKind;
use crate::store::{Found, Root, list, read_roots, walk};

impl Check<'_> {
    /// Reads every ref that is no cache, and looks for what it points to.
    pub(super) fn refs(&mut self) -> Result<(), StoreError> {
        for kind in RefKind::ALL.into_iter().filter(|kind| !kind.is_cache()) {
            for name in self.store.refs().names(kind)? {
                self.report.checked.refs += 1;
                match self.store.refs().get(kind, &name) {
                    // Gone since it was listed.
                    Ok(None) => {}
                    Ok(Some(record)) => {
                        for entry in record.entries {
                            self.needs(Content::FileSet(entry.fileset));
                        }
                    }
                    Err(e) => self.text(e)?,
                }
            }
        }
        Ok(())
    }

    /// Reads the statements about every FileSet.
    pub(super) fn statements(&mut self) -> Result<(), StoreError> {
        let (found, strays) = walk(&self.store.path("statements"))?;
        self.strays(strays);
        for Found { digest, path } in found {
            self.report.checked.statements += fs::read_dir(&path).map_or(0, |entries| entries.count() as u64);
            if let Err(e) = self.store.statements(&FileSetDigest::from_bytes(digest)) {
                self.text(e)?;
            }
        }
        Ok(())
    }

    /// Reads what containers wrote down, and looks for it.
    pub(super) fn roots(&mut self) -> Result<(), StoreError> {
        for entry in list(&self.store.containers_dir())? {
            match read_roots(&entry.path()) {
                Ok(roots) => {
                    for root in roots.unwrap_or_default() {
                        if let Root::Content(content) = root {
                            self.needs(content);
                        }
                    }
                }
                Err(e) => self.text(e)?,
            }
        }
        Ok(())
    }

    /// Reports something needed that isn't there, unless it was reported already.
    fn needs(&mut self, content: Content) {
        let path = match content {
            Content::FileSet(digest) => self.store.fileset_path(&digest),
            Content::Tree(digest) => self.store.tree_path(&digest),
            Content::Object(digest) => self.store.object_path(&digest),
        };
        if !exists(&path) && !self.report.problems.iter().any(|problem| problem.path == path) {
            self.problem(ProblemKind::Missing(content), path);
        }
    }

    fn text(&mut self, error: StoreError) -> Result<(), StoreError> {
        match error {
            StoreError::Text { path, reason } => self.problem(ProblemKind::Text { reason }, path),
            StoreError::Io { path, source, .. } => self.problem(ProblemKind::Unreadable { source }, path),
            // A file in `refs/` whose name no ref has.
            StoreError::BadName { name, .. } => self.problem(ProblemKind::Stray, self.store.path("refs").join(name)),
            other => return Err(other),
        }
        Ok(())
    }
}
