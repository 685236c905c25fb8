//! What is compiled into files: the modules of a Go program, the crates of a Rust one, and what language package managers say of themselves.
//!
//! No package's record knows of these. Each reader takes what its toolchain wrote down and guesses nothing: a file without such
//! data has no components. Readers are strict and bounded; a file that one refuses is part of the answer, with the reason.
//!
//! What was found in a Tree depends on the Tree alone. It is kept beside the store's content ([`Reader`]), so that only the first
//! look at a FileSet opens its files; [`READER`]'s version counts the changes of what is found.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;

use larder_store::{Entry, FileSet, FileSetDigest, Name, Reader, Reference, Store, Tree, TreePath};
use rayon::prelude::*;

use crate::{Error, Result, contents, images};

mod codec;
mod elf;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod go;
mod java;
mod npm;
mod python;
mod refused;
mod rust;
#[cfg(test)]
mod tests;
mod which;

pub use refused::Refused;
use refused::{Failed, Read};
pub use which::{Answer, Holder, which};

/// Who reads. Its version changes whenever something else is found in the same bytes.
pub const READER: Reader = Reader { name: "compiled", version: 2 };

/// The largest number of components that one file may have.
const MAX_COMPONENTS: usize = 20_000;
/// The longest name or version, in bytes.
const MAX_TEXT: usize = 512;

/// Whose packages they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ecosystem {
    /// Go modules.
    Go,
    /// Java archives: Maven's names, or the manifest's.
    Java,
    /// npm packages.
    Npm,
    /// Python distributions.
    Python,
    /// Rust crates.
    Rust,
}

impl Ecosystem {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Go, Self::Java, Self::Npm, Self::Python, Self::Rust];

    /// The word in listings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Go => "go",
            Self::Java => "java",
            Self::Npm => "npm",
            Self::Python => "python",
            Self::Rust => "rust",
        }
    }
}

/// Something that is compiled or packed into a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Component {
    /// The file.
    pub file: TreePath,
    /// The archive within the file, where it is in one: `BOOT-INF/lib/log4j-core-2.17.jar`.
    pub inside: Option<String>,
    /// Whose package.
    pub ecosystem: Ecosystem,
    /// Its name, as its ecosystem writes it.
    pub name: String,
    /// Its version; none where the file doesn't say.
    pub version: Option<String>,
}

/// A file that should say what is in it, and can't be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unread {
    /// The file.
    pub file: TreePath,
    /// Why not.
    pub reason: String,
}

/// What was found in a Tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// What is compiled in, sorted.
    pub components: Vec<Component>,
    /// What can't be read, sorted.
    pub unread: Vec<Unread>,
}

/// Where a reading comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The files were read.
    Files,
    /// An earlier look at the same Tree.
    Kept,
}

/// What is compiled into the files of one FileSet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contained {
    /// The FileSet's name.
    pub name: Name,
    /// Its version.
    pub version: String,
    /// The FileSet.
    pub digest: FileSetDigest,
    /// What was found.
    pub reading: Reading,
    /// How it was found.
    pub source: Source,
}

/// Reads an image's own files and those of its packages, the image first and the packages by name. FileSets in which there is nothing
/// are left out.
///
/// # Errors
/// No such image; records or objects that are missing.
pub fn inspect(store: &Store, reference: &Reference) -> Result<Vec<Contained>> {
    let images::Found { digest, record } = images::find(store, reference)?;
    let packages = contents::packages(store, &record)?;
    let mut filesets = vec![(digest, record)];
    filesets.extend(packages.into_iter().map(|package| (package.import.fileset, package.record)));
    let read = filesets.par_iter().map(|(digest, record)| fileset(store, digest, record));
    let mut all = read.collect::<Result<Vec<_>>>()?;
    all.retain(|one| one.reading != Reading::default());
    Ok(all)
}

/// Reads the files of one FileSet, or what was kept of an earlier look at them.
///
/// # Errors
/// A Tree or object that is missing or damaged; a store that can't be written.
pub fn fileset(store: &Store, digest: &FileSetDigest, record: &FileSet) -> Result<Contained> {
    let kept = store.reading(READER, &record.tree)?;
    let (reading, source) = match kept.and_then(|kept| codec::decode(&kept)) {
        Some(reading) => (reading, Source::Kept),
        None => {
            let reading = tree(store, &store.tree(&record.tree)?)?;
            store.keep_reading(READER, &record.tree, &codec::encode(&reading))?;
            (reading, Source::Files)
        }
    };
    Ok(Contained { name: record.name.clone(), version: record.version.clone(), digest: *digest, reading, source })
}

fn tree(store: &Store, tree: &Tree) -> Result<Reading> {
    let wanted = tree.entries().iter().filter_map(|entry| match &entry.entry {
        Entry::File { digest, size, executable } => {
            Some((&entry.path, digest, format_of(&entry.path, *size, *executable)?))
        }
        _ => None,
    });
    let wanted: Vec<_> = wanted.collect();
    let read = wanted.into_par_iter().map(|(path, object, format)| {
        let file = store.open_object(object)?;
        Ok((
            path,
            match format.read(&file) {
                Ok(found) => Ok(found),
                Err(Failed::Refused(refused)) => Err(refused.to_string()),
                Err(Failed::Io(source)) => return Err(Error::io("read", &store.object_path(object))(source)),
            },
        ))
    });
    let mut reading = Reading::default();
    for (path, found) in read.collect::<Result<Vec<_>>>()? {
        match found {
            Ok(found) => reading.components.extend(found.into_iter().map(|found| found.at(path))),
            Err(reason) => reading.unread.push(Unread { file: path.clone(), reason }),
        }
    }
    reading.components.sort_unstable();
    reading.components.dedup();
    Ok(reading)
}

/// A component, before it is known which file it was found in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    inside: Option<String>,
    ecosystem: Ecosystem,
    name: String,
    version: Option<String>,
}

impl Found {
    /// Checks names and versions: they are shown to people, so nothing in them may speak to a terminal.
    fn new(ecosystem: Ecosystem, name: &str, version: Option<&str>) -> Result<Self, Refused> {
        let version = version.map(str::trim).filter(|version| !version.is_empty());
        Ok(Self {
            inside: None,
            ecosystem,
            name: text("a name", name.trim())?,
            version: version.map(|version| text("a version", version)).transpose()?,
        })
    }

    fn at(self, file: &TreePath) -> Component {
        let Self { inside, ecosystem, name, version } = self;
        Component { file: file.clone(), inside, ecosystem, name, version }
    }
}

fn text(what: &'static str, text: &str) -> Result<String, Refused> {
    if text.is_empty() || text.len() > MAX_TEXT {
        return Err(Refused::Length { what, limit: MAX_TEXT as u64 });
    }
    if text.chars().any(char::is_control) {
        return Err(Refused::Malformed { what, reason: "it has a control character" });
    }
    Ok(text.to_owned())
}

/// How what is in a file is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// A program or library.
    Elf,
    /// `METADATA` or `PKG-INFO`.
    Python,
    /// `package.json`.
    Npm,
    /// A Java archive.
    Java,
}

impl Format {
    fn read(self, file: &File) -> Read<Vec<Found>> {
        match self {
            Self::Elf => compiled(file),
            Self::Python => python::read(file).map(Vec::from_iter),
            Self::Npm => npm::read(file).map(Vec::from_iter),
            Self::Java => java::read(file),
        }
    }
}

/// Which files are looked into. A library in ELF's format needs no execute bit, so its name counts too.
fn format_of(path: &TreePath, size: u64, executable: bool) -> Option<Format> {
    if size == 0 {
        return None;
    }
    let name = path.file_name();
    if python::is_metadata(path) {
        return Some(Format::Python);
    }
    if npm::is_package(path) {
        return Some(Format::Npm);
    }
    if java::is_archive(name) {
        return Some(Format::Java);
    }
    let library = name.ends_with(b".so") || name.windows(4).any(|part| part == b".so.");
    (executable || library).then_some(Format::Elf)
}

/// What a program or library was compiled from. One can be both: a Go program that links a Rust library.
fn compiled(file: &File) -> Read<Vec<Found>> {
    let Some(binary) = elf::open(file)? else { return Ok(Vec::new()) };
    let mut found = go::read(&binary)?;
    found.extend(rust::read(&binary)?);
    if found.len() > MAX_COMPONENTS {
        return Err(Refused::Many { what: "components", limit: MAX_COMPONENTS as u64 }.into());
    }
    Ok(found.into_iter().collect::<BTreeSet<_>>().into_iter().collect())
}

/// A whole file of at most so many bytes.
fn whole(file: &File, what: &'static str, limit: u64) -> Read<Vec<u8>> {
    bounded(file, what, limit)
}

/// All of a stream, which may have at most so many bytes.
fn bounded(stream: impl io::Read, what: &'static str, limit: u64) -> Read<Vec<u8>> {
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(stream, limit + 1), &mut bytes)?;
    if bytes.len() as u64 > limit { Err(Refused::Length { what, limit }.into()) } else { Ok(bytes) }
}
