//! From an answer of the solver to FileSets in the store: fetch what is missing, convert it, declare what its scripts did.
//!
//! A `.deb` that was converted once is never fetched again: the store remembers the package by the `.deb`'s digest and
//! the rule. The downloaded file is deleted as soon as its FileSet is safe.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use larder_debian::convert::{self, Expected};
use larder_debian::declare;
use larder_debian::distribution::ArchiveFile;
use larder_debian::fetch;
use larder_debian::progress::Progress;
use larder_store::refs::{RefEntry, RefKind};
use larder_store::fileset::InstallRules;
use larder_store::{FileSet, FileSetDigest, Name, Sha256Digest, Tree};

use crate::image::PackageImport;
use crate::{Error, Host, Result, provenance};

/// A package in the store, and how it got there.
#[derive(Debug, Clone)]
pub struct Obtained {
    /// What an image imports.
    pub import: PackageImport,
    /// The archive's file that it was made from.
    pub file: ArchiveFile,
    /// Whether it had to be fetched.
    pub fetched: bool,
}

/// Fetches and converts what the store doesn't have. The result is in the order of `files`.
///
/// # Errors
/// The first download or conversion that fails. What was finished before stays, and isn't done again.
pub fn obtain(host: &Host, from: &Name, files: &[ArchiveFile], progress: &dyn Progress) -> Result<Vec<Obtained>> {
    let mut obtained: Vec<Option<Obtained>> = Vec::with_capacity(files.len());
    for file in files {
        obtained.push(known(host, &file.sha256)?.map(|import| Obtained { import, file: file.clone(), fetched: false }));
    }
    let missing: Vec<usize> = (0..files.len()).filter(|&i| obtained[i].is_none()).collect();
    let wanted: Vec<ArchiveFile> = missing.iter().map(|&i| files[i].clone()).collect();
    let paths = fetch::fetch_all(&host.debian, &wanted, progress)?;
    for (index, import) in missing.into_iter().zip(convert_all(host, from, &wanted, &paths, progress)?) {
        obtained[index] = Some(Obtained { import, file: files[index].clone(), fetched: true });
    }
    Ok(obtained.into_iter().flatten().collect())
}

/// Fetches and converts packages that the store may have, but not whole.
///
/// # Errors
/// As [`obtain`].
pub fn obtain_again(host: &Host, from: &Name, files: &[ArchiveFile], progress: &dyn Progress) -> Result<()> {
    let paths = fetch::fetch_all(&host.debian, files, progress)?;
    convert_all(host, from, files, &paths, progress).map(drop)
}

/// The package that was made from a file before, if the store still has it whole.
///
/// # Errors
/// A store that can't be read.
pub fn known(host: &Host, deb: &Sha256Digest) -> Result<Option<PackageImport>> {
    let lookup = |key: String| -> Result<Option<FileSetDigest>> {
        let found = host.store.refs().get(RefKind::Conversion, &key)?;
        Ok(found.map(|found| found.current_entry().fileset).filter(|d| host.store.has_fileset(d)))
    };
    let Some(package) = lookup(package_key(deb))? else { return Ok(None) };
    let Some(declarations) = lookup(declarations_key(deb))? else { return Ok(None) };
    let record = host.store.fileset(&package)?;
    let declarations = match declarations == package {
        true => None,
        false => {
            let declared = host.store.fileset(&declarations)?;
            Some((declared.name, declared.version, declarations))
        }
    };
    Ok(Some(PackageImport { name: record.name, version: record.version, package, declarations }))
}

fn package_key(deb: &Sha256Digest) -> String {
    format!("{}/{}", convert::RULE.replace('/', "-"), deb.hex())
}

/// The key of a package's declarations. A package that needs none is remembered under it as its own declarations.
fn declarations_key(deb: &Sha256Digest) -> String {
    format!("declarations-{}/{}", declare::TABLE_VERSION, deb.hex())
}

/// Whether declarations say anything that an image must import.
fn is_needed(declarations: &FileSet) -> bool {
    let silent = declarations.install().is_none_or(InstallRules::is_empty);
    !(silent && declarations.tree == Tree::default().digest())
}

fn convert_all(
    host: &Host,
    from: &Name,
    files: &[ArchiveFile],
    paths: &[std::path::PathBuf],
    progress: &dyn Progress,
) -> Result<Vec<PackageImport>> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let total = files.iter().map(|file| file.size).sum();
    let task = progress.start(&format!("convert {} packages", files.len()), Some(total));
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<(usize, Result<PackageImport>)>> = Mutex::default();
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(files.len());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let (Some(file), Some(path)) = (files.get(index), paths.get(index)) else { return };
                let result = convert_one(host, from, file, path);
                progress.advance(task, file.size);
                if result.is_err() {
                    next.store(files.len(), Ordering::Relaxed);
                }
                results.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((index, result));
            });
        }
    });
    progress.finish(task);
    let mut results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

fn convert_one(host: &Host, from: &Name, file: &ArchiveFile, path: &Path) -> Result<PackageImport> {
    let expected = Expected {
        sha256: file.sha256,
        package: &file.name,
        version: &file.version,
        architecture: &file.architecture,
    };
    let what = || format!("{} {}", file.name, file.version);
    let opened = match File::open(path) {
        // Another process wanted the same package, and was faster: it has converted the file and deleted it.
        Err(error) if error.kind() == ErrorKind::NotFound => match known(host, &file.sha256)? {
            Some(import) => return Ok(import),
            None => return Err(Error::io("open", path)(error)),
        },
        opened => opened.map_err(Error::io("open", path))?,
    };
    let ingest = host.store.begin()?;
    let converted = convert::read::<Error>(opened, &expected, &mut |content, size| {
        let (digest, _) = ingest.write_object(content, size)?;
        Ok(digest)
    })
    .map_err(|error| error.about_package(what()))?;
    ingest.write_tree(&converted.tree)?;
    let package = ingest.write_fileset(&converted.record)?;
    provenance::write(&ingest, &package, from, file)?;
    let declared = declare::declare(&converted).map_err(|error| Error::from(error).about_package(what()))?;
    let declarations = match is_needed(&declared.record) {
        true => {
            for content in declared.contents() {
                ingest.write_bytes(content)?;
            }
            ingest.write_tree(&declared.tree)?;
            let digest = ingest.write_fileset(&declared.record)?;
            Some((declared.record.name, declared.record.version, digest))
        }
        false => None,
    };
    let _lease = ingest.commit_leased()?;
    let keep = |key: String, fileset| {
        let version = converted.record.version.clone();
        let entry = RefEntry { version, fileset, at: host.now, action: "convert".to_owned() };
        host.store.refs().set(RefKind::Conversion, &key, entry)
    };
    keep(package_key(&file.sha256), package)?;
    keep(declarations_key(&file.sha256), declarations.as_ref().map_or(package, |(_, _, digest)| *digest))?;
    // The FileSet is safe, so the download has done its work; a file that stays is only a file in the cache.
    let _ = std::fs::remove_file(path);
    Ok(PackageImport { name: converted.record.name, version: converted.record.version, package, declarations })
}
