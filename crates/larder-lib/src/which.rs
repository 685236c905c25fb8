//! Which images hold a package: the question to ask on the day of an advisory.

use std::collections::{BTreeSet, HashMap};

use larder_solver::Root;
use larder_store::index::{Filter, IndexedImport};
use larder_store::refs::{RefEntry, RefKind, RefRecord};
use larder_store::{FileSetDigest, Kind, Name, Store};

use crate::Result;
use crate::image::declared_package;

/// How far back to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The current record of every name.
    Current,
    /// All records that are kept.
    History,
}

impl Scope {
    /// The records of a name to look at, the newest first and each once.
    pub(crate) fn entries(self, history: &RefRecord) -> Vec<&RefEntry> {
        let current = history.current_entry().fileset;
        let mut seen = Vec::new();
        let mut is_new = |entry: &&RefEntry| {
            let is_new = !seen.contains(&entry.fileset);
            seen.push(entry.fileset);
            is_new
        };
        let wanted = |entry: &&RefEntry| self == Self::History || entry.fileset == current;
        history.entries.iter().rev().filter(wanted).filter(|entry| is_new(entry)).collect()
    }
}

/// An image that holds the package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The image's name.
    pub image: Name,
    /// The image's version.
    pub image_version: String,
    /// The image.
    pub image_digest: FileSetDigest,
    /// The package's full name.
    pub package: Name,
    /// The package's version in that image.
    pub version: String,
    /// The package.
    pub digest: FileSetDigest,
}

/// The names of packages in images that a name that none has may have meant; `None` where a package has the name.
///
/// # Errors
/// A store that can't be read.
pub fn nearest(store: &Store, package: &str) -> Result<Option<Vec<String>>> {
    let mut names = BTreeSet::new();
    for (_, history) in store.refs().list(RefKind::Image)? {
        for entry in history.entries {
            let imports = store.fileset(&entry.fileset)?.imports;
            names.extend(imports.into_iter().map(|import| import.name).filter(|name| declared_package(name).is_none()));
        }
    }
    let short = package.rsplit('/').next().unwrap_or(package);
    if names.iter().any(|name| name.as_str() == package || name.short() == package) {
        return Ok(None);
    }
    Ok(Some(larder_solver::nearest_names(short, names.iter().map(Name::short))))
}

/// Finds the images that hold a package, by short or full name, in a range of versions (`>=3.0, <4`).
///
/// # Errors
/// A range that can't be read, or a store that can't.
pub fn which(store: &Store, package: &str, range: Option<&str>, scope: Scope) -> Result<Vec<Holder>> {
    let short = package.rsplit('/').next().unwrap_or(package);
    let root: Root = format!("{short} {}", range.unwrap_or_default()).parse()?;
    let named = |name: &Name| if package.contains('/') { name.as_str() == package } else { name.short() == short };
    let index = store.index()?;
    let packages = index.filesets(Filter { kind: Some(Kind::Package), ..Filter::default() })?;
    let names: BTreeSet<Name> = packages.into_iter().map(|package| package.name).filter(named).collect();
    let mut imports: HashMap<FileSetDigest, Vec<IndexedImport>> = HashMap::new();
    for name in &names {
        for import in index.imports_of_name(name)?.into_iter().filter(|import| root.accepts(&import.version)) {
            imports.entry(import.importer.digest).or_default().push(import);
        }
    }
    let mut holders = Vec::new();
    for (name, history) in store.refs().list(RefKind::Image)? {
        for entry in scope.entries(&history) {
            for import in imports.get(&entry.fileset).into_iter().flatten() {
                holders.push(Holder {
                    image: Name::parse(&name)?,
                    image_version: entry.version.clone(),
                    image_digest: entry.fileset,
                    package: import.name.clone(),
                    version: import.version.clone(),
                    digest: import.fileset,
                });
            }
        }
    }
    Ok(holders)
}
