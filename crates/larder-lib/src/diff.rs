//! What differs between two images: packages, own files, and what they run.

use std::collections::BTreeMap;

use larder_store::fileset::Override;
use larder_store::{Entry, FileSet, FileSetDigest, Name, Store, Tree, TreeEntry, TreePath};

use crate::image::declared_package;
use crate::{Result, contents};

/// Something that one image has and the other has not, or has otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<T> {
    /// Only the second has it.
    Added(T),
    /// Only the first has it.
    Removed(T),
    /// Both have it, differently.
    Changed(T, T),
}

/// A package as an image imports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageState {
    /// Its version.
    pub version: String,
    /// Its digest.
    pub fileset: FileSetDigest,
}

/// A link that a package wants made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeLink {
    /// What it points to.
    pub target: String,
    /// The package's full name.
    pub package: Name,
}

/// The differences between two images, each list sorted by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageDiff {
    /// Packages by full name.
    pub packages: Vec<(String, Change<PackageState>)>,
    /// Declarations by the full name of the package that they are about.
    pub declarations: Vec<(String, Change<PackageState>)>,
    /// Own files by path.
    pub files: Vec<(TreePath, Change<TreeEntry>)>,
    /// Links that packages want made, by path.
    pub links: Vec<(TreePath, Change<MadeLink>)>,
    /// What else the records say, by key.
    pub settings: Vec<(String, Change<String>)>,
}

impl ImageDiff {
    /// Whether there is no difference.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Compares two images.
///
/// # Errors
/// A tree or record that is missing or damaged.
pub fn diff(store: &Store, old: &FileSet, new: &FileSet) -> Result<ImageDiff> {
    let (old_tree, new_tree) = (store.tree(&old.tree)?, store.tree(&new.tree)?);
    Ok(ImageDiff {
        packages: changes(imports(old, false), imports(new, false)),
        declarations: changes(imports(old, true), imports(new, true)),
        files: changes(own_files(&old_tree), own_files(&new_tree)),
        links: changes(made_links(store, old)?, made_links(store, new)?),
        settings: changes(settings(old), settings(new)),
    })
}

fn changes<K: Ord + Clone, V: PartialEq>(old: BTreeMap<K, V>, mut new: BTreeMap<K, V>) -> Vec<(K, Change<V>)> {
    let mut changes = Vec::new();
    for (key, before) in old {
        match new.remove(&key) {
            None => changes.push((key, Change::Removed(before))),
            Some(after) if after != before => changes.push((key, Change::Changed(before, after))),
            Some(_) => {}
        }
    }
    changes.extend(new.into_iter().map(|(key, after)| (key, Change::Added(after))));
    changes.sort_by(|a, b| a.0.cmp(&b.0));
    changes
}

fn imports(image: &FileSet, declarations: bool) -> BTreeMap<String, PackageState> {
    let wanted = image.imports.iter().filter(|import| declared_package(&import.name).is_some() == declarations);
    wanted
        .map(|import| {
            let name = declared_package(&import.name).unwrap_or(import.name.as_str()).to_owned();
            (name, PackageState { version: import.version.clone(), fileset: import.fileset })
        })
        .collect()
}

fn own_files(tree: &Tree) -> BTreeMap<TreePath, TreeEntry> {
    let files = tree.entries().iter().filter(|entry| entry.entry != Entry::Directory || !entry.attributes.is_default());
    files.map(|entry| (entry.path.clone(), entry.clone())).collect()
}

/// Of two packages that want one path, the plan has refused one, or they want the same.
fn made_links(store: &Store, image: &FileSet) -> Result<BTreeMap<TreePath, MadeLink>> {
    let mut links = BTreeMap::new();
    for package in contents::packages(store, image)? {
        for link in package.rules().flat_map(|rules| &rules.links) {
            let made = MadeLink { target: link.target.clone(), package: package.import.name.clone() };
            links.entry(link.path.clone()).or_insert(made);
        }
    }
    Ok(links)
}

fn settings(image: &FileSet) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::from([
        ("version".to_owned(), image.version.clone()),
        ("architecture".to_owned(), image.architecture.clone()),
    ]);
    let Some(metadata) = image.image() else { return settings };
    let mut set = |key: &str, value: String| drop(settings.insert(key.to_owned(), value));
    set("base", metadata.base.clone());
    set("recommends", metadata.recommends.to_string());
    let list = |words: &[String], between: &str| Some(words.join(between)).filter(|_| !words.is_empty());
    for (key, value) in [
        ("packages", list(&metadata.packages, ", ")),
        ("run", list(&metadata.run, " ")),
        ("from", list(&metadata.from.iter().map(ToString::to_string).collect::<Vec<_>>(), ", ")),
        ("documentation", list(&metadata.documentation, ", ")),
        ("user", metadata.user.clone()),
        ("workdir", metadata.workdir.clone()),
        ("stop-signal", metadata.stop_signal.clone()),
    ] {
        if let Some(value) = value {
            set(key, value);
        }
    }
    for (kind, map) in [("env", &metadata.env), ("labels", &metadata.labels)] {
        for (name, value) in map {
            set(&format!("{kind}.{name}"), value.clone());
        }
    }
    for Override { of, by, forced } in &metadata.overrides {
        let forced = forced.as_ref().map(|reason| format!(", forced: {reason}")).unwrap_or_default();
        set(&format!("override.{of}"), format!("{by}{forced}"));
    }
    for (name, version) in &metadata.composers {
        set(&format!("composers.{name}"), version.to_string());
    }
    settings
}
