//! From an answer of the solver to FileSets in the store: fetch what is missing, convert it, declare what its scripts did.
//!
//! A `.deb` that was converted once is never fetched again: the store remembers the package by the `.deb`'s digest and
//! the rule. The downloaded file is deleted as soon as its FileSet is safe.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use larder_debian::ArchiveFile;
use larder_debian::convert::{self, Expected};
use larder_debian::declare;
use larder_debian::fetch;
use larder_debian::progress::{Progress, TaskId};
use larder_store::fileset::InstallRules;
use larder_store::refs::{RefEntry, RefKind};
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
    for (index, import) in missing.into_iter().zip(fetch_and_convert(host, from, &wanted, progress)?) {
        obtained[index] = Some(Obtained { import, file: files[index].clone(), fetched: true });
    }
    Ok(obtained.into_iter().flatten().collect())
}

/// Fetches and converts packages that the store may have, but not whole.
///
/// # Errors
/// As [`obtain`].
pub fn obtain_again(host: &Host, from: &Name, files: &[ArchiveFile], progress: &dyn Progress) -> Result<()> {
    fetch_and_convert(host, from, files, progress).map(drop)
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

/// Fetches files and converts each as soon as it is there. The result is in the order of `files`.
fn fetch_and_convert(
    host: &Host,
    from: &Name,
    files: &[ArchiveFile],
    progress: &dyn Progress,
) -> Result<Vec<PackageImport>> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let what = if files.len() == 1 { "package" } else { "packages" };
    let total = files.iter().map(|file| file.size).sum();
    let task = progress.start(&format!("fetch and convert {} {what}", files.len()), Some(total));
    let imports: Mutex<Vec<Option<PackageImport>>> = Mutex::new(vec![None; files.len()]);
    let result = fetch::fetch_each::<Error>(&host.debian, files, &Whole { progress, task }, &|number, path| {
        let import = convert_one(host, from, &files[number], path)?;
        imports.lock().unwrap_or_else(PoisonError::into_inner)[number] = Some(import);
        Ok(())
    });
    progress.finish(task);
    result?;
    Ok(imports.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().flatten().collect())
}

/// Many downloads as one task: nobody wants to read a line for each of a hundred packages.
struct Whole<'a> {
    progress: &'a dyn Progress,
    task: TaskId,
}

impl Progress for Whole<'_> {
    fn start(&self, _what: &str, _total: Option<u64>) -> TaskId {
        self.task
    }

    fn advance(&self, task: TaskId, bytes: u64) {
        self.progress.advance(task, bytes);
    }

    fn finish(&self, _task: TaskId) {}

    fn note(&self, text: &str) {
        self.progress.note(text);
    }
}

fn convert_one(host: &Host, from: &Name, file: &ArchiveFile, path: &Path) -> Result<PackageImport> {
    let expected =
        Expected { sha256: file.sha256, package: &file.name, version: &file.version, architecture: &file.architecture };
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
            provenance::write_declared(&ingest, &digest, from, file)?;
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
