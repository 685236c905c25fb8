//! The packages of one's own among which the solver chooses: what distributions pin, and what the store has under names that something
//! asks for.
//!
//! An own package takes part only if a root, a pin, an override or a package that takes part names it. Otherwise the answer would depend on
//! whatever else a host's store happens to have that provides a name.

use std::collections::{BTreeMap, BTreeSet};

use larder_store::refs::RefKind;
use larder_store::{FileSetDigest, Name, Store};

use super::curated::Curated;
use super::names::solver_name;
use super::stanza::{Stanza, clause};
use crate::image::PackageImport;
use crate::{Error, Result};

/// A package to choose.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) stanza: Stanza,
    /// What an image imports.
    pub(crate) import: PackageImport,
    /// The distribution that pins it.
    pub(crate) distribution: Option<Name>,
    /// What it says it may be put in the place of, by the solver's names.
    pub(crate) stands_in_for: Vec<String>,
}

impl Candidate {
    fn load(store: &Store, import: PackageImport, distribution: Option<Name>) -> Result<Self> {
        let record = store.fileset(&import.package)?;
        let not_a_package = || Error::NotAPackage { name: record.name.clone(), kind: record.kind().as_str() };
        let stanza = Stanza::of(&record).ok_or_else(not_a_package)?;
        let domain = record.name.domain();
        let said = record.package().map(|package| package.stands_in_for.as_slice()).unwrap_or_default();
        let stands_in_for = said.iter().map(|item| clause(item, domain)).collect();
        Ok(Self { stanza, import, distribution, stands_in_for })
    }
}

/// What decides between FileSets of one name and version.
pub(crate) struct Wished<'a> {
    /// Packages that were just built: nothing else of their names will do.
    pub(crate) built: &'a BTreeMap<Name, FileSetDigest>,
    /// What an earlier answer had and must not lose.
    pub(crate) held: &'a BTreeMap<Name, FileSetDigest>,
}

/// The packages of one's own that take part.
#[derive(Debug, Default)]
pub(crate) struct Stock {
    pub(crate) candidates: Vec<Candidate>,
    /// Which distributions pin a package, by the solver's name, and as what.
    pub(crate) pins: BTreeMap<String, Vec<(Name, PackageImport)>>,
}

impl Stock {
    /// Gathers what the distributions pin, what the names ask for, and what those packages ask for in turn.
    ///
    /// # Errors
    /// A store that can't be read, a package that is both built here and pinned.
    pub(crate) fn gather(
        store: &Store,
        distributions: &[Curated],
        named: impl IntoIterator<Item = String>,
        wished: &Wished<'_>,
    ) -> Result<Self> {
        let mut stock = Self::default();
        for distribution in distributions {
            for package in &distribution.packages {
                if wished.built.get(&package.name).is_some_and(|built| *built != package.package) {
                    let (package, distribution) = (package.name.clone(), distribution.name.clone());
                    return Err(Error::BuiltAndPinned { package, distribution });
                }
                stock.pin(store, &distribution.name, package)?;
            }
        }
        let pinned: Vec<String> =
            stock.candidates.iter().flat_map(|c| c.stanza.asks_for().map(str::to_owned)).collect();
        let mut open: Vec<String> = named.into_iter().chain(pinned).collect();
        let mut seen = BTreeSet::new();
        while let Some(name) = open.pop() {
            if !name.contains('/') || stock.pins.contains_key(&name) || !seen.insert(name.clone()) {
                continue;
            }
            // What is no name has no package; the solver says so, with the requirement that it stands in.
            let Ok(name) = Name::parse(&name) else { continue };
            for candidate in own(store, &name, wished)? {
                open.extend(candidate.stanza.asks_for().map(str::to_owned));
                stock.candidates.push(candidate);
            }
        }
        Ok(stock)
    }

    fn pin(&mut self, store: &Store, distribution: &Name, package: &PackageImport) -> Result<()> {
        let name = solver_name(&package.name).to_owned();
        let pins = self.pins.entry(name).or_default();
        let is_known = pins.iter().any(|(_, other)| other.version == package.version);
        pins.push((distribution.clone(), package.clone()));
        if !is_known {
            self.candidates.push(Candidate::load(store, package.clone(), Some(distribution.clone()))?);
        }
        Ok(())
    }
}

/// The versions that the store has of a package: of each the FileSet that an earlier answer had, else the newest.
fn own(store: &Store, name: &Name, wished: &Wished<'_>) -> Result<Vec<Candidate>> {
    let mut filesets: Vec<FileSetDigest> = Vec::new();
    if let Some(built) = wished.built.get(name) {
        filesets.push(*built);
    } else {
        filesets.extend(wished.held.get(name).filter(|held| store.has_fileset(held)));
        if let Some(history) = store.refs().get(RefKind::Package, name.as_str())? {
            // What came after the entry that the name stands for was taken back by a rollback.
            filesets.extend(history.entries[..=history.current].iter().rev().map(|entry| entry.fileset));
        }
    }
    let mut found: Vec<Candidate> = Vec::new();
    let mut seen = BTreeSet::new();
    for package in filesets {
        let record = store.fileset(&package)?;
        if seen.insert((record.version.clone(), record.architecture)) {
            let import = PackageImport { name: name.clone(), version: record.version, package, declarations: None };
            found.push(Candidate::load(store, import, None)?);
        }
    }
    Ok(found)
}
