//! What went into a FileSet that was made here, as whoever made it saw it.

use std::collections::BTreeMap;

use larder_store::json::Value;
use larder_store::{FileSetDigest, Name};

/// How something was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildKind {
    /// A package was built in a sandbox.
    Package,
    /// An image was put together from packages and files.
    Image,
    /// A distribution was put together from packages.
    Distribution,
    /// A folder, an OCI image or a `.deb` was taken in as it is.
    Import,
    /// Maintainer scripts were run in a sandbox.
    Capture,
}

/// All that is known about how FileSets were made. It is complete: what isn't listed had no part in it.
#[derive(Debug, Clone, PartialEq)]
pub struct BuildFacts {
    /// How they were made.
    pub kind: BuildKind,
    /// What was made: a package and its splits, or one thing.
    pub subjects: Vec<Subject>,
    /// What whoever asked for it could choose, such as the recipe's digest, the command and the architecture.
    pub parameters: BTreeMap<String, Value>,
    /// Everything that was read.
    pub dependencies: Vec<Dependency>,
    /// When it began, in seconds since 1970.
    pub started: u64,
    /// When it ended.
    pub finished: u64,
}

/// Something that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Its name.
    pub name: Name,
    /// Its version.
    pub version: String,
    /// Its identity.
    pub fileset: FileSetDigest,
}

/// The algorithm of a Tree's digest, among those of a source.
pub const TREE: &str = "larderTree";

/// Something that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dependency {
    /// A FileSet that the build saw: a package of the sandbox, of the image or of the distribution.
    FileSet(Subject),
    /// A source, pinned by digests.
    Source {
        /// Where it was fetched from, or its path in the recipe's folder.
        uri: String,
        /// By algorithm, in hexadecimal digits: `sha256`, `blake3`, `gitCommit`, [`TREE`]. Never empty.
        digests: BTreeMap<String, String>,
    },
}
