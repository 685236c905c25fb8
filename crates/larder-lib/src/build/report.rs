//! What a build did.

use larder_store::fileset::ScriptTier;
use larder_store::{FileSetDigest, Name};

use crate::assemble::{Assembled, OverrideLine};
use crate::compose::Composition;
use crate::lock::Change;
use crate::overrides::{self, StandIn};
use crate::provenance::Signer;
use crate::supply::Supplied;
use crate::verify::Finding;
use crate::{Host, Result};

/// What a build did.
#[derive(Debug)]
pub struct BuildReport {
    /// The image's name.
    pub name: Name,
    /// Its version.
    pub version: String,
    /// Its identity.
    pub digest: FileSetDigest,
    /// Who signed how it was made; nobody where that is empty.
    pub signed: Vec<Signer>,
    /// Whether the name stood for something else, or nothing, before.
    pub changed: bool,
    /// Its packages, sorted by name.
    pub packages: Vec<BuiltPackage>,
    /// What became of the packages since the lock was last written.
    pub changes: Vec<(Name, Change)>,
    /// How many packages were fetched.
    pub fetched: usize,
    /// How many bytes that were.
    pub fetched_bytes: u64,
    /// Where the image's own files, or a declared replacement, took a package's place.
    pub overridden: Vec<OverrideLine>,
    /// Which packages stand in for others, and whose guarantee that voids.
    pub stand_ins: Vec<StandIn>,
    /// What verification found that does not fail a build.
    pub findings: Vec<Finding>,
    /// Whether its test was run, and has passed.
    pub tested: bool,
}

/// A package of a built image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltPackage {
    /// Its name.
    pub name: Name,
    /// Its version.
    pub version: String,
    /// Its identity.
    pub digest: FileSetDigest,
    /// What became of its maintainer scripts.
    pub tier: ScriptTier,
}

impl BuiltPackage {
    /// The tier as a word.
    pub fn tier_word(&self) -> &'static str {
        crate::contents::tier_word(&self.tier)
    }

    /// What its scripts do that is left out.
    pub fn skipped(&self) -> &[String] {
        match &self.tier {
            ScriptTier::Skipped(reasons) => reasons,
            ScriptTier::None | ScriptTier::Declared | ScriptTier::Captured(_) => &[],
        }
    }
}

/// Reports what became of an image; its composition is for whoever wants to keep what the build found out.
pub(crate) fn report(
    host: &Host,
    assembled: Assembled,
    supplied: &[Supplied],
    changes: Vec<(Name, Change)>,
) -> Result<(Composition, BuildReport)> {
    let Assembled { digest, record, signed, changed, overridden, findings, composition } = assembled;
    let packages = crate::contents::packages(&host.store, &record)?;
    let fetched: Vec<u64> = supplied.iter().filter_map(|one| one.fetched).collect();
    let metadata = record.image().cloned().unwrap_or_default();
    let report = BuildReport {
        digest,
        signed,
        changed,
        packages: packages
            .iter()
            .map(|package| BuiltPackage {
                name: package.import.name.clone(),
                version: package.import.version.clone(),
                digest: package.import.fileset,
                tier: package.tier().clone(),
            })
            .collect(),
        changes,
        fetched: fetched.len(),
        fetched_bytes: fetched.iter().sum(),
        stand_ins: overrides::of_image(&metadata.overrides, &packages),
        overridden,
        findings,
        tested: false,
        name: record.name,
        version: record.version,
    };
    Ok((composition, report))
}
