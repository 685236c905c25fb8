//! Keeping the store: what can go, what is broken, and mending it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use larder_debian::ArchiveFile;
use larder_debian::DebianError;
use larder_debian::progress::Progress;
use larder_store::fsck::FsckOptions;
use larder_store::gc::{GcOptions, GcReport};
use larder_store::plan::{Loaded, PlanDigest};
use larder_store::refs::RefKind;
use larder_store::usage::Usage;
use larder_store::{FileSetDigest, Name, Store};

use crate::{Error, Host, Result, compose, obtain, provenance, solve};

pub use larder_store::fsck::FsckReport;

/// Removes what no image, container or recent write needs.
///
/// # Errors
/// Somebody else is writing, or something needed can't be read.
pub fn gc(store: &Store, dry_run: bool, keep_newer: Duration) -> Result<GcReport> {
    let report = store.gc(GcOptions { dry_run, keep_newer, ..GcOptions::default() })?;
    if !dry_run {
        larder_runtime::view::sweep_twins(&store.views_dir())?;
        crate::package::sweep_logs(store)?;
        crate::capture::sweep(store)?;
        let cache = store.root().join("cache/debian");
        larder_debian::distribution::sweep_releases(&cache, || provenance::releases(store))?;
    }
    Ok(report)
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
    /// Images whose composers ran again, as `name version`.
    pub composed: Vec<String>,
    /// What can't be fetched, as `name version`, and why: FileSets that no archive has, such as an image's own files, and
    /// packages that the mirror doesn't have any more.
    pub lost: Vec<(String, String)>,
}

/// Fetches again what a check found missing or damaged.
///
/// # Errors
/// A mirror that can't be reached, a package that can't be converted, or a store that can't be written.
pub fn repair(host: &Host, report: &FsckReport, progress: &dyn Progress) -> Result<Repair> {
    let mut repair = Repair::default();
    let mut fetchable: BTreeMap<FileSetDigest, (Name, String, ArchiveFile)> = BTreeMap::new();
    let (mut lost, mut plans) = (BTreeSet::new(), BTreeSet::new());
    for problem in &report.problems {
        let Some(content) = problem.kind.content() else { continue };
        host.store.discard_damaged(&content)?;
        let mut others = Vec::new();
        let mut is_packages = false;
        for (digest, (name, version)) in &problem.filesets {
            match provenance::read(&host.store, digest)? {
                Some((distribution, file)) => {
                    is_packages = true;
                    fetchable.insert(*digest, (distribution, format!("{name} {version}"), file));
                }
                // What composers made, for the plan that is its version.
                None if name == compose::COMPOSED => drop(plans.insert(version.clone())),
                None if name.starts_with("host.internal/") => {}
                None => others.push(format!("{name} {version}")),
            }
        }
        // An image that imports a package needs the package's files too, and gets them back with it.
        lost.extend(others.into_iter().filter(|_| !is_packages));
    }
    repair.lost = lost.into_iter().map(|name| (name, "build it again from its recipe".to_owned())).collect();
    let mut files: BTreeMap<Name, Vec<(String, ArchiveFile)>> = BTreeMap::new();
    for (distribution, name, file) in fetchable.into_values() {
        files.entry(distribution).or_default().push((name, file));
    }
    for (distribution, named) in files {
        let (names, mut files): (Vec<String>, Vec<ArchiveFile>) = named.into_iter().unzip();
        solve::locate(host, &distribution, &mut files)?;
        for (name, file) in names.into_iter().zip(files) {
            // One at a time: a package that the mirror has dropped must not keep the others from being mended.
            match obtain::obtain_again(host, &distribution, &[file], progress) {
                Ok(()) => repair.packages.push(name),
                Err(Error::Debian(error @ (DebianError::Missing { .. } | DebianError::WrongSize { .. }))) => {
                    repair.lost.push((name, error.to_string()));
                }
                Err(error) => return Err(error),
            }
        }
    }
    repair.composed = compose_again(host, &plans, progress)?;
    // Images that import a mended package are whole again; only what still lacks something is lost.
    let after = fsck(&host.store, false, None)?;
    let lacking: Vec<String> = after
        .problems
        .iter()
        .flat_map(|problem| problem.filesets.values())
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    repair.lost.retain(|(lost, _)| lacking.contains(lost));
    Ok(repair)
}

/// Runs the composers of the images with these plans, and returns which those were.
fn compose_again(host: &Host, plans: &BTreeSet<String>, progress: &dyn Progress) -> Result<Vec<String>> {
    let mut composed = BTreeMap::new();
    for (_, history) in host.store.refs().list(RefKind::Image)? {
        for entry in history.entries {
            let record = host.store.fileset(&entry.fileset)?;
            if plans.contains(&PlanDigest::of(&record).hex()) && !composed.contains_key(&entry.fileset) {
                composed.insert(entry.fileset, format!("{} {}", record.name, record.version));
                let tree = host.store.tree(&record.tree)?;
                compose::compose(host, &Arc::new(Loaded { digest: entry.fileset, record, tree }), progress)?;
            }
        }
    }
    Ok(composed.into_values().collect())
}
