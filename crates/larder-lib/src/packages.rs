//! The packages of this host.

use std::collections::{BTreeMap, BTreeSet};

use larder_store::fileset::ScriptTier;
use larder_store::index::Filter;
use larder_store::refs::RefKind;
use larder_store::{FileSetDigest, Kind, Name, Store};

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

/// The domain of what this host makes for itself.
const INTERNAL: &str = "host.internal";

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
    for package in store.index()?.filesets(Filter { kind: Some(Kind::Package), ..Filter::default() })? {
        if package.name.domain() == INTERNAL {
            continue;
        }
        let images = holders.get(&package.digest).map_or(0, BTreeSet::len);
        let tier = match declared.get(&(package.name.to_string(), package.digest)) {
            Some(declarations) => store.fileset(declarations)?.install().map(|rules| rules.script.clone()),
            // Debian's scripts are spoken of in declarations, those of packages of one's own in the package.
            None => store.fileset(&package.digest)?.install().map(|rules| rules.script.clone()),
        };
        let is_own = matches!(tier, Some(ScriptTier::Captured(_)));
        lines.push(PackageLine {
            digest: package.digest,
            bytes: package.bytes,
            images,
            tier: tier.filter(|_| images > 0 || is_own),
            name: package.name,
            version: package.version,
            architecture: package.architecture,
        });
    }
    lines.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| larder_solver::compare(&a.version, &b.version)));
    Ok(lines)
}
