//! The packages of this host.

use std::collections::{BTreeMap, BTreeSet};

use larder_store::fileset::ScriptTier;
use larder_store::refs::RefKind;
use larder_store::{FileSet, FileSetDigest, Kind, Name, Store};

use crate::Result;
use crate::image::declared_package;

/// A package as a listing shows it.
#[derive(Debug, Clone)]
pub struct PackageLine {
    /// Its name.
    pub name: Name,
    /// Its version.
    pub version: String,
    /// Its architecture.
    pub architecture: String,
    /// Its identity.
    pub digest: FileSetDigest,
    /// Its contents, in bytes.
    pub bytes: u64,
    /// How many images' current records hold it.
    pub images: usize,
    /// What became of its scripts, by the declarations that an image imports; `None` when no image does.
    pub tier: Option<ScriptTier>,
}

/// Lists the packages in the store, sorted by name and version.
///
/// # Errors
/// Records that can't be read.
pub fn list(store: &Store) -> Result<Vec<PackageLine>> {
    let mut holders: BTreeMap<FileSetDigest, BTreeSet<String>> = BTreeMap::new();
    let mut declared: BTreeMap<(String, FileSetDigest), FileSetDigest> = BTreeMap::new();
    for (name, history) in store.refs().list(RefKind::Image)? {
        let entry = history.current_entry();
        let image = store.fileset(&entry.fileset)?;
        for import in &image.imports {
            holders.entry(import.fileset).or_default().insert(name.clone());
            if let Some(package) = declared_package(&import.name) {
                let about = image.imports.iter().find(|other| other.name.as_str() == package);
                if let Some(about) = about {
                    declared.insert((package.to_owned(), about.fileset), import.fileset);
                }
            }
        }
    }
    let mut lines = Vec::new();
    for digest in store.filesets()? {
        let record = store.fileset(&digest)?;
        if record.kind() != Kind::Package {
            continue;
        }
        let images = holders.get(&digest).map_or(0, BTreeSet::len);
        let declarations = match declared.get(&(record.name.to_string(), digest)) {
            Some(declarations) => Some(store.fileset(declarations)?),
            None => None,
        };
        let rules = declarations.as_ref().and_then(FileSet::install).or_else(|| record.install());
        lines.push(PackageLine {
            digest,
            bytes: store.tree(&record.tree)?.content_bytes(),
            images,
            tier: rules.filter(|_| images > 0).map(|rules| rules.script.clone()),
            name: record.name,
            version: record.version,
            architecture: record.architecture,
        });
    }
    lines.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| larder_solver::compare(&a.version, &b.version)));
    Ok(lines)
}
