//! What a build of a package did, and the names that it gives.

use larder_store::fileset::ScriptTier;
use larder_store::refs::{RefEntry, RefKind};
use larder_store::{FileSetDigest, Name};

use crate::lock::Change;
use crate::provenance::{self, Standing};
use crate::recipe::package::PackageRecipe;
use crate::{Host, Result};

/// What a build did.
#[derive(Debug)]
pub struct PackageReport {
    /// The package's name.
    pub name: Name,
    /// Its version.
    pub version: String,
    /// Its identity.
    pub digest: FileSetDigest,
    /// What is known of how it was made, and who signed that.
    pub standing: Standing,
    /// The package and its splits.
    pub parts: Vec<BuiltPart>,
    /// Whether a name stood for something else, or nothing, before.
    pub changed: bool,
    /// Whether it was built before from the same inputs, so that nothing was run.
    pub cached: bool,
    /// Whether it was built twice and compared.
    pub checked: bool,
    /// Whether its test was run, and passed.
    pub tested: bool,
    /// What became of the package's own script.
    pub script: ScriptTier,
    /// What became of the build's packages since the lock was last written.
    pub changes: Vec<(Name, Change)>,
    /// How many packages the sandbox had; 0 where none was needed.
    pub packages: usize,
    /// How many packages were fetched.
    pub fetched: usize,
    /// How many bytes that were.
    pub fetched_bytes: u64,
}

/// A package that was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltPart {
    /// Its name.
    pub name: Name,
    /// Its version.
    pub version: String,
    /// Its identity.
    pub digest: FileSetDigest,
    /// How many files and links it has.
    pub files: usize,
    /// How many bytes its files have.
    pub bytes: u64,
}

/// What a report says besides what was built.
pub(super) struct Outcome {
    pub(super) cached: bool,
    pub(super) checked: bool,
    pub(super) tested: bool,
    pub(super) changes: Vec<(Name, Change)>,
    pub(super) packages: usize,
    pub(super) fetched: usize,
    pub(super) fetched_bytes: u64,
}

impl Outcome {
    pub(super) fn cached() -> Self {
        Self {
            cached: true,
            checked: false,
            tested: false,
            changes: Vec::new(),
            packages: 0,
            fetched: 0,
            fetched_bytes: 0,
        }
    }
}

/// Gives the parts their names, and says what was done.
pub(super) fn report(
    host: &Host,
    recipe: &PackageRecipe,
    parts: Vec<BuiltPart>,
    outcome: Outcome,
) -> Result<PackageReport> {
    let refs = host.store.refs();
    let mut changed = false;
    for part in &parts {
        let before = refs.get(RefKind::Package, part.name.as_str())?.map(|found| found.current_entry().fileset);
        if before != Some(part.digest) {
            changed = true;
            let action = "build".to_owned();
            let entry = RefEntry { version: part.version.clone(), fileset: part.digest, at: host.now, action };
            refs.set(RefKind::Package, part.name.as_str(), entry)?;
        }
    }
    // The package itself is always the first of its parts.
    let digest = parts.first().map_or_else(|| FileSetDigest::of(b""), |part| part.digest);
    let script = host.store.fileset(&digest)?.install().map(|install| install.script.clone());
    Ok(PackageReport {
        name: recipe.name.clone(),
        version: recipe.version.clone(),
        standing: provenance::standing(&host.store, &host.keys, &recipe.name, &digest)?,
        digest,
        parts,
        changed,
        cached: outcome.cached,
        checked: outcome.checked,
        tested: outcome.tested,
        script: script.unwrap_or_default(),
        changes: outcome.changes,
        packages: outcome.packages,
        fetched: outcome.fetched,
        fetched_bytes: outcome.fetched_bytes,
    })
}
