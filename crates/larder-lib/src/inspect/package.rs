//! What a package is, whether or not an image has it.

use larder_store::fileset::PackageMetadata;
use larder_store::refs::RefKind;
use larder_store::{Entry, FileSet, FileSetDigest, Reference, Selector};

use super::{Privileged, privileged};
use crate::asks::{self, Asking};
use crate::images::{self, Found};
use crate::which::{self, Scope};
use crate::{Error, Host, Result, chain};

/// Everything that a package's record says.
#[derive(Debug)]
pub struct PackageInspection {
    /// The package's identity.
    pub digest: FileSetDigest,
    /// Its record.
    pub record: FileSet,
    /// What it says of itself and of others.
    pub metadata: PackageMetadata,
    /// How many files it has.
    pub files: usize,
    /// Their contents, in bytes.
    pub bytes: u64,
    /// What it asks of the host.
    pub asks: Vec<Asking>,
    /// Files with set-id bits or capabilities.
    pub privileged: Vec<Privileged>,
    /// The images that have it now, as `name@version`.
    pub images: Vec<String>,
}

/// What the records say of a package that was found.
///
/// # Errors
/// Records that are missing or damaged.
pub(super) fn inspect(host: &Host, Found { digest, record }: Found) -> Result<PackageInspection> {
    let tree = host.store.tree(&record.tree)?;
    let title = format!("{}@{}", record.name, record.version);
    let holders = which::which(&host.store, record.name.as_str(), None, Scope::Current)?;
    let holders = holders.into_iter().filter(|holder| holder.digest == digest);
    Ok(PackageInspection {
        metadata: record.package().cloned().unwrap_or_default(),
        files: tree.entries().iter().filter(|entry| entry.entry != Entry::Directory).count(),
        bytes: tree.content_bytes(),
        asks: asks::of_records(&record, std::iter::once(&record)),
        privileged: privileged(&tree, &title),
        images: holders.map(|holder| format!("{}@{}", holder.image, holder.image_version)).collect(),
        digest,
        record,
    })
}

/// The package that a reference means: the one that its name stands for, or else the newest of that name and version. `None` where the name is
/// an image's, or nobody's.
///
/// # Errors
/// A store that can't be read.
pub(crate) fn package(host: &Host, reference: &Reference) -> Result<Option<Found>> {
    if images::history(&host.store, &reference.name)?.is_some() {
        return Ok(None);
    }
    let current = match reference.selector {
        Selector::Latest => host.store.refs().get(RefKind::Package, reference.name.as_str())?,
        Selector::Version(_) | Selector::Digest(_) => None,
    };
    if let Some(history) = current {
        return found(host, history.current_entry().fileset);
    }
    let newest = match chain::target(host, reference) {
        Ok((_, digest)) => found(host, digest)?,
        Err(Error::NoImage { .. }) => None,
        Err(error) => return Err(error),
    };
    // One that was made here and has no name failed its test, or was removed. Those of an archive never have one.
    let is_nameless = |found: &Found| found.record.package().is_some_and(|package| package.origin.is_none());
    Ok(newest.filter(|found| reference.selector != Selector::Latest || !is_nameless(found)))
}

fn found(host: &Host, digest: FileSetDigest) -> Result<Option<Found>> {
    let record = host.store.fileset(&digest)?;
    Ok(record.package().is_some().then_some(Found { digest, record }))
}
