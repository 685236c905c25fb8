//! Distributions of one's own: FileSets in the store whose imports pin packages.

use larder_store::refs::RefKind;
use larder_store::{FileSet, FileSetDigest, Import, Kind, Name, Store};

use crate::image::{PackageImport, declared_package};
use crate::{Error, Result};

/// A distribution of one's own, as its record has it.
#[derive(Debug, Clone)]
pub struct Curated {
    /// Its name.
    pub name: Name,
    /// Its version.
    pub version: String,
    /// Its identity.
    pub fileset: FileSetDigest,
    /// The packages that it pins, sorted by name.
    pub packages: Vec<PackageImport>,
}

impl Curated {
    /// The distribution that a name stands for on this host.
    ///
    /// # Errors
    /// A store that can't be read.
    pub fn find(store: &Store, name: &Name) -> Result<Option<Self>> {
        let Some(found) = store.refs().get(RefKind::Distribution, name.as_str())? else { return Ok(None) };
        Self::load(store, &found.current_entry().fileset).map(Some)
    }

    /// Reads a distribution's record.
    ///
    /// # Errors
    /// A record that is missing, damaged or no distribution's.
    pub fn load(store: &Store, fileset: &FileSetDigest) -> Result<Self> {
        let record = store.fileset(fileset)?;
        if record.kind() != Kind::Distribution {
            let (kind, name) = (record.kind().as_str(), record.name);
            return Err(Error::NotADistribution { name, kind });
        }
        Ok(Self { packages: pinned(&record)?, name: record.name, version: record.version, fileset: *fileset })
    }

    /// The package of this full name, if it is pinned.
    pub fn get(&self, name: &Name) -> Option<&PackageImport> {
        self.packages.iter().find(|package| package.name == *name)
    }

    /// The packages of this short name.
    pub fn of_short<'a>(&'a self, short: &'a str) -> impl Iterator<Item = &'a Name> {
        self.packages.iter().map(|package| &package.name).filter(move |name| name.short() == short)
    }
}

/// The packages that a record imports, each with its declarations.
///
/// # Errors
/// Declarations without the package that they are about.
pub(crate) fn pinned(record: &FileSet) -> Result<Vec<PackageImport>> {
    let (declarations, packages): (Vec<&Import>, Vec<&Import>) =
        record.imports.iter().partition(|import| declared_package(&import.name).is_some());
    let mut pinned: Vec<PackageImport> = packages
        .into_iter()
        .map(|import| PackageImport {
            name: import.name.clone(),
            version: import.version.clone(),
            package: import.fileset,
            declarations: None,
        })
        .collect();
    for import in declarations {
        let about = declared_package(&import.name).unwrap_or_default();
        let package = pinned.iter_mut().find(|package| package.name.as_str() == about);
        let package = package.ok_or_else(|| Error::StrayDeclarations { package: about.to_owned() })?;
        package.declarations = Some((import.name.clone(), import.version.clone(), import.fileset));
    }
    pinned.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(pinned)
}
