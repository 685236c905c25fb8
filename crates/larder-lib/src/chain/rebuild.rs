//! Making things again, and comparing.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use larder_debian::ArchiveFile;
use larder_debian::convert::{self, Expected};
use larder_debian::{declare, fetch};
use larder_store::{FileSet, FileSetDigest, Name, ObjectDigest};

use super::again::{Maker, record_again};
use super::{LinkKind, State, Walk};
use crate::image::declared_package;
use crate::provenance::{FromArchive, statement::Statement};
use crate::{Error, Result, solve};

/// How something is made again.
pub(super) enum Again {
    /// An image or a distribution: from its imports and its own files.
    Imports(Box<FileSet>),
    /// As its statement says.
    Made(Box<Statement>),
    /// From its `.deb`.
    Converted(Box<FromArchive>),
}

/// What a `.deb` becomes.
struct Converted {
    package: FileSetDigest,
    declarations: FileSetDigest,
}

/// Makes everything again that was found.
pub(super) fn rebuild(walk: &mut Walk<'_>) -> Result<()> {
    let mut files: BTreeMap<Name, Vec<ArchiveFile>> = BTreeMap::new();
    for (_, again) in &walk.again {
        if let Again::Converted(said) = again {
            let files = files.entry(said.distribution.clone()).or_default();
            if !files.iter().any(|file| file.sha256 == said.file.sha256) {
                files.push(said.file.clone());
            }
        }
    }
    let mut converted = BTreeMap::new();
    for (distribution, files) in files {
        converted.extend(convert_again(walk, &distribution, files)?);
    }
    let mut maker = Maker::new(walk.host, walk.progress);
    for (number, again) in std::mem::take(&mut walk.again) {
        let item = &walk.report.items[number];
        let (wanted, is_declared) = (item.digest, declared_package(&item.name).is_some());
        let state = match again {
            Again::Imports(record) => compare(wanted, record_again(&record)?),
            Again::Made(statement) => maker.compare(&statement, &item.name, &wanted)?,
            Again::Converted(said) => match converted.get(&said.file.sha256) {
                Some(Ok(found)) if is_declared => match said.table {
                    Some(declare::TABLE_VERSION) => compare(wanted, found.declarations),
                    _ => State::NotChecked("it was made with another version of the reviewed table".to_owned()),
                },
                Some(Ok(_)) if said.rule != convert::RULE => State::NotChecked(format!(
                    "it was converted by the rule {}, which this larder doesn't have",
                    said.rule
                )),
                Some(Ok(found)) => compare(wanted, found.package),
                Some(Err(reason)) => State::Broken(reason.clone()),
                None => State::NotChecked("the archive doesn't have the file any more".to_owned()),
            },
        };
        walk.say(number, LinkKind::Rebuild, state);
    }
    Ok(())
}

fn compare(wanted: FileSetDigest, found: FileSetDigest) -> State {
    if wanted == found { State::Holds } else { State::Broken(format!("made again, it is {found}")) }
}

type Results = BTreeMap<larder_store::Sha256Digest, std::result::Result<Converted, String>>;

/// Fetches `.deb`s and converts them, keeping nothing.
fn convert_again(walk: &Walk<'_>, distribution: &Name, mut files: Vec<ArchiveFile>) -> Result<Results> {
    solve::locate(walk.host, distribution, &mut files)?;
    let results: Mutex<Results> = Mutex::default();
    let work = |file: &ArchiveFile, path: &Path| {
        let result =
            convert_one(file, path).map_err(|error| State::broken(error).reason().unwrap_or_default().to_owned());
        results.lock().unwrap_or_else(PoisonError::into_inner).insert(file.sha256, result);
        // It was fetched for this alone; one that stays is only a file in the cache.
        _ = std::fs::remove_file(path);
    };
    for file in &files {
        // One at a time: one that the archive has dropped must not keep the others from being compared.
        let fetched =
            fetch::fetch_each::<Error>(&walk.host.debian, std::slice::from_ref(file), walk.progress, &|_, path| {
                work(file, path);
                Ok(())
            });
        match fetched {
            Ok(()) | Err(Error::Debian(larder_debian::DebianError::Missing { .. })) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(results.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn convert_one(file: &ArchiveFile, path: &Path) -> Result<Converted> {
    let expected =
        Expected { sha256: file.sha256, package: &file.name, version: &file.version, architecture: &file.architecture };
    let opened = File::open(path).map_err(Error::io("open", path))?;
    let converted = convert::read::<Error>(opened, &expected, &mut |content, _| {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(Untold(content)).map_err(Error::io("read", path))?;
        Ok(ObjectDigest::from_bytes(*hasher.finalize().as_bytes()))
    })?;
    let declared = declare::declare(&converted)?;
    Ok(Converted { package: converted.record.digest(), declarations: declared.record.digest() })
}

/// A reader behind a reference to one.
struct Untold<'r>(&'r mut dyn Read);

impl Read for Untold<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}
