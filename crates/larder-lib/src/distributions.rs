//! The distributions of one's own on this host: listing them, and what is in one.

use std::collections::BTreeMap;

use larder_store::fileset::DistributionMetadata;
use larder_store::refs::RefKind;
use larder_store::{FileSet, FileSetDigest, Metadata, Name, Reference, Store};

use crate::contents;
use crate::image::declared_package;
use crate::images;
use crate::inspect::PackageLine;
use crate::{Error, Result};

/// A distribution as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DistributionLine {
    /// Its name.
    pub name: Name,
    /// Its version.
    pub version: String,
    /// Its identity.
    pub digest: FileSetDigest,
    /// Its architecture.
    pub architecture: String,
    /// How many packages it pins.
    pub packages: usize,
    /// How many images' current records are from it.
    pub images: usize,
    /// When the name began to stand for it, in seconds since 1970.
    pub at: u64,
    /// How many records the name has.
    pub records: usize,
}

/// Everything that a distribution's records say.
#[derive(Debug)]
pub struct DistributionInspection {
    /// Its identity.
    pub digest: FileSetDigest,
    /// Its record.
    pub record: FileSet,
    /// What it says of itself.
    pub metadata: DistributionMetadata,
    /// The packages that it pins, sorted by name.
    pub packages: Vec<PackageLine>,
    /// Their contents, in bytes.
    pub package_bytes: u64,
    /// `name@version` of the images whose current records are from it, sorted.
    pub images: Vec<String>,
}

/// Lists the current distribution of every name, sorted by name.
///
/// # Errors
/// References or records that can't be read.
pub fn list(store: &Store) -> Result<Vec<DistributionLine>> {
    let users = users(store)?;
    let mut lines = Vec::new();
    for (name, found) in store.refs().list(RefKind::Distribution)? {
        let entry = found.current_entry();
        let record = store.fileset(&entry.fileset)?;
        let name = Name::parse(&name)?;
        lines.push(DistributionLine {
            images: users.get(&name).map_or(0, Vec::len),
            name,
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

/// The images that are from each distribution.
fn users(store: &Store) -> Result<BTreeMap<Name, Vec<String>>> {
    let mut users: BTreeMap<Name, Vec<String>> = BTreeMap::new();
    for (name, history) in store.refs().list(RefKind::Image)? {
        let record = store.fileset(&history.current_entry().fileset)?;
        for from in record.image().into_iter().flat_map(|metadata| &metadata.from) {
            users.entry(from.clone()).or_default().push(format!("{name}@{}", record.version));
        }
    }
    Ok(users)
}

/// Inspects a distribution; `None` when no distribution has the name.
///
/// # Errors
/// The name has no such record; records that are missing or damaged.
pub fn inspect(store: &Store, reference: &Reference) -> Result<Option<DistributionInspection>> {
    let Some(history) = store.refs().get(RefKind::Distribution, reference.name.as_str())? else { return Ok(None) };
    let entry = images::select(&history, &reference.selector);
    let digest = entry.ok_or_else(|| images::no_record(reference, &history))?.fileset;
    let record = store.fileset(&digest)?;
    let Metadata::Distribution(metadata) = record.metadata.clone() else {
        return Err(Error::NotADistribution { kind: record.kind().as_str(), name: record.name });
    };
    let mut packages = Vec::new();
    for package in contents::packages(store, &record)? {
        packages.push(PackageLine { bytes: store.tree(&package.record.tree)?.content_bytes(), package });
    }
    let images = users(store)?.remove(&record.name).unwrap_or_default();
    let package_bytes = packages.iter().map(|line| line.bytes).sum();
    Ok(Some(DistributionInspection { digest, record, metadata, packages, package_bytes, images }))
}
