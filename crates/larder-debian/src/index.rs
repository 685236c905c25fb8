//! The compact binary package index: a `Packages` file parsed once, then mapped.
//!
//! The file is a cache: it can be thrown away and is built again from the signed list. Its name is the SHA-256 of that
//! list with the format's version, it is written under a temporary name and renamed, and it never changes afterwards.
//! All numbers are little-endian.
//!
//! ```text
//! 0    magic "LARDIDX\n"
//! 8    u32 format version          12  u32 CRC-32 of everything from 16 on
//! 16   u64 length of the file      24  SHA-256 of the list as fetched
//! 56   u32 packages, names, provider entries, essential entries
//! 72   u64 length of the strings
//! 96   packages    108 bytes each, sorted by name, version, architecture (as bytes)
//!      names        24 bytes each, sorted: every name that a stanza has, provides or mentions
//!      providers     4 bytes each: package numbers, a run for each name
//!      essential     4 bytes each: package numbers
//!      strings      u32 length and UTF-8 bytes each, found by offset; offset 0 is the empty string
//! ```
//!
//! The CRC is checked when the file is opened, so a damaged file is found and built again; every offset is checked when it
//! is followed, so that none can lead outside.

mod build;
mod layout;
mod packages;

use std::path::{Path, PathBuf};

use larder_runtime::map::ReadOnlyMap;
use larder_solver::{PackageInfo, Priority};
use larder_store::Sha256Digest;

use crate::error::DebianError;
use layout::{Field, HEADER, Layout, NAME, PACKAGE};

#[cfg(any(test, fuzzing))]
pub(crate) use build::encode;
pub(crate) use build::{MAX_LIST, build, decoded};
pub use layout::VERSION;
#[cfg(any(test, fuzzing))]
pub(crate) use layout::seal;

/// A package's number in one index.
pub(crate) type Local = u32;

/// A mapped index.
#[derive(Debug)]
pub(crate) struct Index {
    map: ReadOnlyMap,
    layout: Layout,
}

/// What fetching a package needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Location<'a> {
    pub(crate) filename: &'a str,
    pub(crate) size: u64,
    pub(crate) sha256: Sha256Digest,
}

/// The name of the index file for a list.
pub(crate) fn file_name(list: &Sha256Digest) -> String {
    format!("{}.{VERSION}.idx", list.hex())
}

impl Index {
    /// Maps an index and checks that it is whole and was made from that list.
    pub(crate) fn open(path: &Path, list: &Sha256Digest) -> Result<Self, DebianError> {
        let damaged = |problem| DebianError::DamagedIndex { path: path.to_owned(), problem };
        let map = ReadOnlyMap::open(path).map_err(|_| damaged("it can't be mapped"))?;
        let layout = Layout::read(&map).map_err(damaged)?;
        if layout.list != *list {
            return Err(damaged("it was made from another list"));
        }
        Ok(Self { map, layout })
    }

    /// The number of packages.
    pub(crate) fn len(&self) -> u32 {
        self.layout.packages.count
    }

    /// The number of names, those that are only mentioned included.
    pub(crate) fn mentions(&self) -> u32 {
        self.layout.names.count
    }

    /// All names that have a package or a provider.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        (0..self.layout.names.count).filter_map(|number| {
            let entry = self.layout.names.entry(&self.map, number)?;
            let used =
                layout::word(entry, 2)? > layout::word(entry, 1)? || layout::word(entry, 4)? > layout::word(entry, 3)?;
            let name = layout::word(entry, 0)?;
            used.then(|| self.string(name))
        })
    }

    /// The packages with this name.
    pub(crate) fn candidates(&self, name: &str) -> std::ops::Range<Local> {
        let range = self.name(name).and_then(|entry| Some(layout::word(entry, 1)?..layout::word(entry, 2)?));
        range.map_or(0..0, |range| range.start..range.end.min(self.len()))
    }

    /// The packages whose Provides names it.
    pub(crate) fn providers(&self, name: &str) -> Vec<Local> {
        let range = self.name(name).and_then(|entry| Some(layout::word(entry, 3)?..layout::word(entry, 4)?));
        self.run(&self.layout.providers, range.unwrap_or(0..0))
    }

    /// The packages that say `Essential: yes`.
    pub(crate) fn essential(&self) -> Vec<Local> {
        self.run(&self.layout.essential, 0..self.layout.essential.count)
    }

    /// Where the list first mentions a name, from 1.
    pub(crate) fn mention(&self, name: &str) -> Option<u32> {
        layout::word(self.name(name)?, 5)
    }

    /// What the solver reads of a package.
    pub(crate) fn package(&self, number: Local) -> PackageInfo<'_> {
        let flags = self.field(number, Field::Flags);
        PackageInfo {
            name: self.text(number, Field::Name),
            version: self.text(number, Field::Version),
            architecture: self.text(number, Field::Architecture),
            multi_arch: self.text(number, Field::MultiArch),
            essential: flags & 1 == 1,
            priority: match flags >> 8 {
                0 => Priority::Required,
                1 => Priority::Important,
                2 => Priority::Standard,
                4 => Priority::Extra,
                _ => Priority::Optional,
            },
            depends: self.text(number, Field::Depends),
            pre_depends: self.text(number, Field::PreDepends),
            recommends: self.text(number, Field::Recommends),
            conflicts: self.text(number, Field::Conflicts),
            breaks: self.text(number, Field::Breaks),
            provides: self.text(number, Field::Provides),
        }
    }

    /// Where a package's file is.
    pub(crate) fn location(&self, number: Local) -> Location<'_> {
        let (low, high) = (self.field(number, Field::SizeLow), self.field(number, Field::SizeHigh));
        let digest = self.layout.packages.entry(&self.map, number).and_then(|entry| {
            let bytes = entry.get(layout::DIGEST..layout::DIGEST + 32)?;
            bytes.try_into().ok()
        });
        Location {
            filename: self.text(number, Field::Filename),
            size: u64::from(high) << 32 | u64::from(low),
            sha256: Sha256Digest::from_bytes(digest.unwrap_or([0; 32])),
        }
    }

    /// Fields that are for people: section, source, one line of description, installed size in KiB.
    pub(crate) fn description(&self, number: Local) -> (&str, &str, &str, u64) {
        (
            self.text(number, Field::Section),
            self.text(number, Field::Source),
            self.text(number, Field::Description),
            u64::from(self.field(number, Field::Installed)),
        )
    }

    fn field(&self, number: Local, field: Field) -> u32 {
        let entry = self.layout.packages.entry(&self.map, number);
        entry.and_then(|entry| layout::word(entry, field as usize)).unwrap_or(0)
    }

    fn text(&self, number: Local, field: Field) -> &str {
        self.string(self.field(number, field))
    }

    /// The string at an offset; an offset that leads nowhere is the empty string.
    fn string(&self, offset: u32) -> &str {
        self.layout.string(&self.map, offset).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or("")
    }

    fn run(&self, section: &layout::Section, range: std::ops::Range<u32>) -> Vec<Local> {
        let end = range.end.min(section.count);
        let numbers = (range.start..end).filter_map(|at| layout::word(section.entry(&self.map, at)?, 0));
        numbers.filter(|number| *number < self.len()).collect()
    }

    /// The entry of a name, by binary search.
    fn name(&self, name: &str) -> Option<&[u8]> {
        let (mut low, mut high) = (0, self.layout.names.count);
        while low < high {
            let middle = low + (high - low) / 2;
            let entry = self.layout.names.entry(&self.map, middle)?;
            match self.layout.string(&self.map, layout::word(entry, 0)?)?.cmp(name.as_bytes()) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Some(entry),
            }
        }
        None
    }
}

/// Opens the index of a list, building it first where it is missing or damaged.
pub(crate) fn open_or_build(
    folder: &Path,
    list: &Sha256Digest,
    source: impl FnOnce() -> Result<(PathBuf, String), DebianError>,
) -> Result<Index, DebianError> {
    let path = folder.join(file_name(list));
    if let Ok(index) = Index::open(&path, list) {
        return Ok(index);
    }
    let (compressed, url) = source()?;
    build(&compressed, &url, list, &path)?;
    Index::open(&path, list)
}

const _: () = assert!(HEADER == 96 && PACKAGE == 108 && NAME == 24);

#[cfg(test)]
mod tests;
