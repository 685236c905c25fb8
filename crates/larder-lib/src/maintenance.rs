//! Keeping the store: what can go, what is broken, and mending it.

use std::collections::BTreeMap;
use std::time::Duration;

use larder_debian::distribution::ArchiveFile;
use larder_debian::progress::Progress;
use larder_store::fsck::FsckOptions;
use larder_store::gc::{GcOptions, GcReport};
use larder_store::usage::Usage;
use larder_store::{FileSetDigest, Name, Store};

use crate::{Host, Result, obtain, provenance, solve};

pub use larder_store::fsck::FsckReport;

/// Removes what no image, container or recent write needs.
///
/// # Errors
/// Somebody else is writing, or something needed can't be read.
pub fn gc(store: &Store, dry_run: bool, keep_newer: Duration) -> Result<GcReport> {
    Ok(store.gc(GcOptions { dry_run, keep_newer, ..GcOptions::default() })?)
}

/// Adds up what takes the store's disk.
///
/// # Errors
/// Something needed that can't be read.
pub fn df(store: &Store) -> Result<Usage> {
    Ok(store.usage()?)
}

/// Checks the store.
///
/// # Errors
/// A folder that can't be listed. Problems are in the report.
pub fn fsck(store: &Store, deep: bool, progress: Option<&(dyn Fn(u64, u64) + Sync)>) -> Result<FsckReport> {
    Ok(store.fsck(FsckOptions { deep, progress })?)
}

/// What a repair did.
#[derive(Debug, Default)]
pub struct Repair {
    /// Packages that were fetched and converted again, as `name version`.
    pub packages: Vec<String>,
    /// What can't be fetched: FileSets that no archive has, such as an image's own files; as `name version`.
    pub lost: Vec<String>,
}

/// Fetches again what a check found missing or damaged.
///
/// # Errors
/// A package that can't be fetched or converted, or a store that can't be written.
pub fn repair(host: &Host, report: &FsckReport, progress: &dyn Progress) -> Result<Repair> {
    let mut affected: BTreeMap<FileSetDigest, (String, String)> = BTreeMap::new();
    for problem in &report.problems {
        if let Some(content) = problem.kind.content() {
            host.store.discard_damaged(&content)?;
            affected.extend(problem.filesets.clone());
        }
    }
    let mut repair = Repair::default();
    let mut files: BTreeMap<Name, Vec<ArchiveFile>> = BTreeMap::new();
    for (digest, (name, version)) in affected {
        match provenance::read(&host.store, &digest)? {
            Some((distribution, file)) => {
                repair.packages.push(format!("{name} {version}"));
                files.entry(distribution).or_default().push(file);
            }
            None if name.starts_with("host.internal/") => {}
            None => repair.lost.push(format!("{name} {version}")),
        }
    }
    for (distribution, mut files) in files {
        solve::locate(host, &distribution, &mut files)?;
        obtain::obtain_again(host, &distribution, &files, progress)?;
    }
    // Images that import a mended package are whole again; only what still lacks something is lost.
    let after = fsck(&host.store, false, None)?;
    let lacking: Vec<String> = after
        .problems
        .iter()
        .flat_map(|problem| problem.filesets.values())
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    repair.lost.retain(|lost| lacking.contains(lost));
    Ok(repair)
}
