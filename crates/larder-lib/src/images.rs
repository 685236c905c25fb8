//! The images of this host: listing them, finding one, dropping one.

use larder_store::refs::{RefEntry, RefKind, RefRecord};
use larder_store::{FileSet, FileSetDigest, Name, Reference, Selector, Store};

use crate::image::declared_package;
use crate::{Error, Result};

/// An image as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageLine {
    /// Its name.
    pub name: Name,
    /// Its version.
    pub version: String,
    /// Its identity.
    pub digest: FileSetDigest,
    /// Its architecture.
    pub architecture: String,
    /// How many packages it imports.
    pub packages: usize,
    /// When the name began to stand for it, in seconds since 1970.
    pub at: u64,
    /// How many records the name has.
    pub records: usize,
}

/// An image that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its identity.
    pub digest: FileSetDigest,
    /// Its record.
    pub record: FileSet,
}

/// Lists the current image of every name, sorted by name.
///
/// # Errors
/// References or records that can't be read.
pub fn list(store: &Store) -> Result<Vec<ImageLine>> {
    let mut lines = Vec::new();
    for (name, found) in store.refs().list(RefKind::Image)? {
        let entry = found.current_entry();
        let record = store.fileset(&entry.fileset)?;
        lines.push(ImageLine {
            name: Name::parse(&name)?,
            version: entry.version.clone(),
            digest: entry.fileset,
            architecture: record.architecture.clone(),
            packages: record.imports.iter().filter(|import| declared_package(&import.name).is_none()).count(),
            at: entry.at,
            records: found.entries.len(),
        });
    }
    Ok(lines)
}

/// Finds an image: the current one of a name, the newest record of a version, or exactly one record.
///
/// # Errors
/// No such name, or no such record of it.
pub fn find(store: &Store, reference: &Reference) -> Result<Found> {
    match try_find(store, reference)? {
        Some(found) => Ok(found),
        None => {
            let names: Vec<String> = store.refs().list(RefKind::Image)?.into_iter().map(|(name, _)| name).collect();
            let nearest = larder_solver::nearest_names(reference.name.as_str(), names.iter().map(String::as_str));
            Err(Error::NoImage { reference: Box::new(reference.clone()), nearest })
        }
    }
}

/// Like [`find`]; `None` when the name is unknown.
///
/// # Errors
/// The name is known, and has no such record.
pub fn try_find(store: &Store, reference: &Reference) -> Result<Option<Found>> {
    let Some(history) = history(store, &reference.name)? else { return Ok(None) };
    let entry = select(&history, &reference.selector).ok_or_else(|| no_record(reference, &history))?;
    Ok(Some(Found { digest: entry.fileset, record: store.fileset(&entry.fileset)? }))
}

/// The names of images that a word without a domain may have meant.
///
/// # Errors
/// References that can't be read.
pub fn nearest(store: &Store, word: &str) -> Result<Vec<String>> {
    let names = store.refs().names(RefKind::Image)?;
    let last = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
    let words: Vec<String> = names.iter().map(|name| last(name)).collect();
    let near = larder_solver::nearest_names(&last(word), words.iter().map(String::as_str));
    Ok(names.into_iter().filter(|name| last(name) == word || near.contains(&last(name))).collect())
}

/// All records that a name has had, the oldest first.
///
/// # Errors
/// A reference that can't be read.
pub fn history(store: &Store, name: &Name) -> Result<Option<RefRecord>> {
    Ok(store.refs().get(RefKind::Image, name.as_str())?)
}

/// The record that a selector means.
pub fn select<'a>(history: &'a RefRecord, selector: &Selector) -> Option<&'a RefEntry> {
    match selector {
        Selector::Latest => Some(history.current_entry()),
        Selector::Version(version) => {
            let current = Some(history.current_entry()).filter(|entry| entry.version == *version);
            current.or_else(|| history.entries.iter().rev().find(|entry| entry.version == *version))
        }
        Selector::Digest(digest) => history.entries.iter().rev().find(|entry| entry.fileset == *digest),
    }
}

pub(crate) fn no_record(reference: &Reference, history: &RefRecord) -> Error {
    let selector = match &reference.selector {
        Selector::Latest => "at all".to_owned(),
        Selector::Version(version) => format!("of version {version}"),
        Selector::Digest(digest) => digest.to_string(),
    };
    let mut present: Vec<String> = history.entries.iter().map(|entry| entry.version.clone()).collect();
    present.sort();
    present.dedup();
    Error::NoRecord { name: reference.name.clone(), selector, present }
}
