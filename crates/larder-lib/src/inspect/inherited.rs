//! What an image has from its packages and may have instead: default configuration and documentation. (Actions are in `actions.rs`.)

use larder_store::{Entry, FileSet, Tree, TreePath};

use crate::contents::ImagePackage;

/// A file that is a package's default configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Configuration {
    /// Where it is.
    pub path: TreePath,
    /// `name@version` of the package whose it is.
    pub of: String,
    /// `name@version` of whose file is there: the package's own, another package's that replaces it, or the image's.
    pub by: String,
}

/// An address of documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Documentation {
    /// The address.
    pub address: String,
    /// `name@version` of who gives it.
    pub by: String,
    /// Whether it is the image's: its own where it says any, and otherwise those of its packages.
    pub used: bool,
}

/// A package with its files.
pub(super) struct Part<'a> {
    pub(super) package: &'a ImagePackage,
    pub(super) tree: &'a Tree,
}

fn title(record: &FileSet) -> String {
    format!("{}@{}", record.name, record.version)
}

/// The default configuration of all packages, and whose file each is. Sorted by path.
pub(super) fn configuration(image: &FileSet, own: &Tree, parts: &[Part<'_>]) -> Vec<Configuration> {
    let has =
        |tree: &Tree, path: &TreePath| tree.get(path.as_bytes()).is_some_and(|entry| entry.entry != Entry::Directory);
    let mut all = Vec::new();
    for part in parts {
        let record = &part.package.record;
        for path in record.package().map(|package| package.configuration.as_slice()).unwrap_or_default() {
            let replaces = |other: &&Part<'_>| has(other.tree, path) && other.package.replaces_files_of(record);
            let by = if has(own, path) {
                title(image)
            } else {
                title(parts.iter().find(replaces).map_or(record, |other| &other.package.record))
            };
            all.push(Configuration { path: path.clone(), of: title(record), by });
        }
    }
    all.sort();
    all
}

/// The documentation of an image and of its packages: the image's own first.
pub(super) fn documentation(image: &FileSet, parts: &[Part<'_>]) -> Vec<Documentation> {
    let own = image.image().map(|metadata| metadata.documentation.as_slice()).unwrap_or_default();
    let line =
        |record: &FileSet, address: &String, used| Documentation { address: address.clone(), by: title(record), used };
    let mut all: Vec<_> = own.iter().map(|address| line(image, address, true)).collect();
    for part in parts {
        let record = &part.package.record;
        let addresses = record.package().map(|package| package.documentation.as_slice()).unwrap_or_default();
        all.extend(addresses.iter().map(|address| line(record, address, own.is_empty())));
    }
    all
}
