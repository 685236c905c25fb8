//! From what the solver chose, or a lock says, to FileSets in the store.
//!
//! Debian's packages are fetched and converted where the store doesn't have them. One's own, and whatever a distribution pins, must be
//! there: a lock alone can't bring back what no archive has.

use std::collections::BTreeMap;

use larder_debian::declare::TABLE_VERSION;
use larder_debian::progress::Progress;
use larder_debian::{ArchiveFile, Evidence};
use larder_store::{FileSetDigest, Name};

use crate::image::PackageImport;
use crate::lock::{
    Lock, LockedArchive, LockedCurated, LockedDeclarations, LockedDistribution, LockedOrigin, LockedPackage,
    LockedSuite,
};
use crate::obtain::{self, Obtained};
use crate::solve::{self, Choice, Curated, Source};
use crate::{Error, Host, Result, provenance};

/// A package in the store, and how it got there.
#[derive(Debug, Clone)]
pub struct Supplied {
    /// What an image imports.
    pub import: PackageImport,
    /// What the lock says of it.
    pub locked: LockedPackage,
    /// How many bytes were fetched for it, if it had to be.
    pub fetched: Option<u64>,
}

/// Brings what was chosen into the store. The result is sorted by name.
///
/// # Errors
/// The first download or conversion that fails. What was finished before stays, and isn't done again.
pub fn choice(host: &Host, choice: &Choice, progress: &dyn Progress) -> Result<Vec<Supplied>> {
    sources(host, choice.debian.as_ref().map(|(name, _)| name), &choice.sources, progress)
}

/// Brings packages into the store. The result is sorted by name.
///
/// # Errors
/// As [`choice`].
pub fn sources(
    host: &Host,
    debian: Option<&Name>,
    sources: &[Source],
    progress: &dyn Progress,
) -> Result<Vec<Supplied>> {
    let mut supplied = Vec::with_capacity(sources.len());
    let mut files = Vec::new();
    for source in sources {
        match source {
            Source::Archive(file) => files.push(file.clone()),
            Source::Store { import, distribution } => {
                supplied.push(of_store(host, import.clone(), distribution.clone())?);
            }
        }
    }
    if let Some(from) = debian {
        supplied.extend(obtain::obtain(host, from, &files, progress)?.iter().map(converted));
    }
    supplied.sort_by(|a, b| a.import.name.cmp(&b.import.name));
    Ok(supplied)
}

/// The lock that says what was chosen.
pub fn lock(host: &Host, asked: Vec<String>, choice: &Choice, supplied: &[Supplied]) -> Lock {
    let curated = |curated: &Curated| {
        let locked = LockedCurated { version: curated.version.clone(), fileset: curated.fileset };
        (curated.name.clone(), locked)
    };
    let mut overrides: Vec<_> = choice.replaced.iter().map(|replaced| replaced.stands_in.clone()).collect();
    overrides.sort();
    Lock {
        architecture: host.debian.architecture.clone(),
        asked,
        distribution: choice.debian.as_ref().map(|(name, evidence)| suites(name, evidence)),
        curated: choice.distributions.iter().map(curated).collect(),
        overrides,
        source: None,
        packages: supplied.iter().map(|one| (one.import.name.clone(), one.locked.clone())).collect(),
    }
}

fn suites(name: &Name, evidence: &Evidence) -> LockedDistribution {
    let suites = evidence.suites.iter().map(|suite| LockedSuite {
        name: suite.suite.clone(),
        release: suite.release,
        date: suite.date,
        key: suite.signer.clone(),
    });
    LockedDistribution { name: name.clone(), suites: suites.collect() }
}

/// Takes the packages from a lock: from the store, or by the lock's own digests from the archive. Comes with the lock as it is to be
/// written: a newer table may declare something else about a package.
///
/// # Errors
/// A package that the store doesn't have and no archive either, one that converts to something else, and what keeps a file from coming.
pub fn locked(host: &Host, lock: &Lock, progress: &dyn Progress) -> Result<(Lock, Vec<Supplied>)> {
    for (name, curated) in &lock.curated {
        if !host.store.has_fileset(&curated.fileset) {
            return Err(missing(name, &curated.version, curated.fileset));
        }
    }
    let mut supplied = Vec::with_capacity(lock.packages.len());
    let mut files = Vec::new();
    for (name, package) in &lock.packages {
        let archive = match &package.origin {
            LockedOrigin::Store => None,
            LockedOrigin::Archive(archive) if archive.rule != larder_debian::convert::RULE => {
                return Err(Error::UnknownRule { package: name.clone(), rule: archive.rule.clone() });
            }
            LockedOrigin::Archive(archive) => Some(archive),
        };
        match (archive, &package.distribution) {
            (Some(archive), None) => files.push(archive_file(lock, name, package, archive)),
            _ => {
                let import = stored_as_declared(host, name, package)?
                    .ok_or_else(|| missing(name, &package.version, package.fileset))?;
                supplied.push(Supplied { import, locked: package.clone(), fetched: None });
            }
        }
    }
    if let Some(distribution) = &lock.distribution {
        solve::locate(host, &distribution.name, &mut files)?;
        for found in obtain::obtain(host, &distribution.name, &files, progress)? {
            let name = &found.import.name;
            let wanted = lock.packages.get(name).map(|package| package.fileset);
            if let Some(locked) = wanted.filter(|locked| *locked != found.import.package) {
                return Err(Error::LockDigest { package: name.clone(), locked, found: found.import.package });
            }
            let captured = lock.packages.get(name).and_then(|package| package.captured.clone());
            let supply = converted(&found);
            supplied.push(Supplied { locked: LockedPackage { captured, ..supply.locked }, ..supply });
        }
    }
    supplied.sort_by(|a, b| a.import.name.cmp(&b.import.name));
    // A newer table changes no package; `--locked` builds report it through the lock's differences.
    let packages: BTreeMap<_, _> = supplied.iter().map(|one| (one.import.name.clone(), one.locked.clone())).collect();
    Ok((Lock { packages, ..lock.clone() }, supplied))
}

/// What the store has of a locked package, if it is all there and the same.
///
/// # Errors
/// A store that can't be read.
pub fn stored(host: &Host, name: &Name, package: &LockedPackage) -> Result<Option<PackageImport>> {
    let Some(import) = stored_as_declared(host, name, package)? else { return Ok(None) };
    let Some(captured) = &package.captured else { return Ok(Some(import)) };
    if !host.store.has_fileset(&captured.fileset) {
        return Ok(None);
    }
    let record = host.store.fileset(&captured.fileset)?;
    Ok(Some(PackageImport { declarations: Some((record.name, record.version, captured.fileset)), ..import }))
}

/// What the store has of a locked package, whatever was captured of its scripts.
fn stored_as_declared(host: &Host, name: &Name, package: &LockedPackage) -> Result<Option<PackageImport>> {
    if let (LockedOrigin::Archive(archive), None) = (&package.origin, &package.distribution) {
        let known = obtain::known(host, &archive.sha256)?;
        return Ok(known.filter(|import| import.package == package.fileset));
    }
    let declared = package.declarations.as_ref().map(|declarations| declarations.fileset);
    if !declared.iter().chain([&package.fileset]).all(|digest| host.store.has_fileset(digest)) {
        return Ok(None);
    }
    let record = host.store.fileset(&package.fileset)?;
    if record.name != *name || record.version != package.version {
        return Err(Error::LockOther { package: name.clone(), fileset: package.fileset, is: record.name });
    }
    let declarations = match declared {
        Some(digest) => {
            let record = host.store.fileset(&digest)?;
            Some((record.name, record.version, digest))
        }
        None => None,
    };
    let import = PackageImport { name: record.name, version: record.version, package: package.fileset, declarations };
    Ok(Some(import))
}

fn missing(name: &Name, version: &str, fileset: FileSetDigest) -> Error {
    Error::LockedMissing { name: name.clone(), version: version.to_owned(), fileset }
}

/// A package of one's own, or one that a distribution pins.
fn of_store(host: &Host, import: PackageImport, distribution: Option<Name>) -> Result<Supplied> {
    let record = host.store.fileset(&import.package)?;
    let rule = record.package().and_then(|package| package.origin.as_ref()).map(|origin| origin.rule.clone());
    // Only what a distribution pins keeps its word about the archive: an own package may have come from a file that is nobody else's.
    let archive = provenance::read(&host.store, &import.package)?.zip(rule).filter(|_| distribution.is_some());
    let origin =
        archive.map_or(LockedOrigin::Store, |((_, file), rule)| LockedOrigin::Archive(archive_of(&file, rule)));
    let declarations = import.declarations.as_ref().map(|(_, version, fileset)| {
        // `<version>+table<N>` is how declarations are versioned.
        let table = version.rsplit_once("+table").and_then(|(_, number)| number.parse().ok());
        LockedDeclarations { fileset: *fileset, table: table.unwrap_or(TABLE_VERSION) }
    });
    let locked = LockedPackage {
        version: import.version.clone(),
        architecture: record.architecture,
        fileset: import.package,
        declarations,
        captured: None,
        distribution,
        origin,
    };
    Ok(Supplied { import, locked, fetched: None })
}

fn archive_of(file: &ArchiveFile, rule: String) -> LockedArchive {
    LockedArchive { rule, path: file.filename.clone(), size: file.size, sha256: file.sha256 }
}

/// A package that was converted from the archive.
fn converted(obtained: &Obtained) -> Supplied {
    let Obtained { import, file, fetched } = obtained;
    let declarations = import
        .declarations
        .as_ref()
        .map(|(_, _, fileset)| LockedDeclarations { fileset: *fileset, table: TABLE_VERSION });
    let locked = LockedPackage {
        version: import.version.clone(),
        architecture: file.architecture.clone(),
        fileset: import.package,
        declarations,
        captured: None,
        distribution: None,
        origin: LockedOrigin::Archive(archive_of(file, larder_debian::convert::RULE.to_owned())),
    };
    Supplied { import: import.clone(), locked, fetched: fetched.then_some(file.size) }
}

/// What the lock says of a package's file, for whoever fetches it.
pub(crate) fn archive_file(lock: &Lock, name: &Name, package: &LockedPackage, archive: &LockedArchive) -> ArchiveFile {
    let suites = lock.distribution.as_ref().map(|distribution| distribution.suites.as_slice()).unwrap_or_default();
    let newest = suites.first();
    ArchiveFile {
        name: name.short().to_owned(),
        version: package.version.clone(),
        architecture: package.architecture.clone(),
        urls: Vec::new(),
        filename: archive.path.clone(),
        size: archive.size,
        sha256: archive.sha256,
        suite: newest.map(|suite| suite.name.clone()).unwrap_or_default(),
        release: newest.map_or(archive.sha256, |suite| suite.release),
        index: archive.sha256,
        signer: newest.map(|suite| suite.key.clone()).unwrap_or_default(),
    }
}
