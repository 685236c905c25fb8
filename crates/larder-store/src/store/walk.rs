//! Listing what is kept by digest.

use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::error::StoreError;

/// A file that is kept under a digest.
pub(crate) struct Found {
    pub(crate) digest: [u8; 32],
    pub(crate) path: PathBuf,
}

/// The files of `folder/ab/cdef…`, sorted by digest. Names that aren't digests are passed over.
pub(crate) fn digests(folder: &Path) -> Result<Vec<Found>, StoreError> {
    walk(folder).map(|(found, _)| found)
}

/// The same, and apart from them the paths that can't be there.
pub(crate) fn walk(folder: &Path) -> Result<(Vec<Found>, Vec<PathBuf>), StoreError> {
    let heads: Vec<PathBuf> = list(folder)?.into_iter().map(|entry| entry.path()).collect();
    let parts = heads.into_par_iter().map(|head| walk_head(&head)).collect::<Result<Vec<_>, _>>()?;
    let (mut found, mut strays) = (Vec::new(), Vec::new());
    for (some, other) in parts {
        found.extend(some);
        strays.extend(other);
    }
    found.sort_unstable_by_key(|f| f.digest);
    strays.sort_unstable();
    Ok((found, strays))
}

fn walk_head(head: &Path) -> Result<(Vec<Found>, Vec<PathBuf>), StoreError> {
    let (mut found, mut strays) = (Vec::new(), Vec::new());
    let name = head.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if name.len() != 2 || !head.is_dir() {
        return Ok((found, vec![head.to_owned()]));
    }
    for entry in list(head)? {
        let path = entry.path();
        match entry.file_name().to_str().and_then(|tail| parse(&format!("{name}{tail}"))) {
            Some(digest) => found.push(Found { digest, path }),
            None => strays.push(path),
        }
    }
    Ok((found, strays))
}

fn parse(hex: &str) -> Option<[u8; 32]> {
    crate::ObjectDigest::from_hex(hex).ok().map(|digest| *digest.as_bytes())
}

/// A folder's entries in no order; none where it isn't there.
pub(crate) fn list(folder: &Path) -> Result<Vec<DirEntry>, StoreError> {
    super::step("list", folder);
    match fs::read_dir(folder) {
        Ok(entries) => entries.collect::<io::Result<_>>().map_err(StoreError::io("list", folder)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(StoreError::io("list", folder)(e)),
    }
}
