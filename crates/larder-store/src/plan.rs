//! Putting FileSets together: imports expanded at their mount paths, packages installed into an image's root.
//!
//! Everything here is a pure function of digests: the same record gives the same plan on every host, whatever the order
//! in which imports are listed or loaded. Two steps:
//!
//! - [`expand`]: any FileSet's whole tree, its imports' whole trees below their mount paths. A FileSet reached twice at
//!   one path is kept once; two contents at one path are an error that names both.
//! - [`install`]: an image's root. An import below `packages/` is a package and stays visible there whole; each of its
//!   paths is also linked into the same place of the root, and the links of its install rules are made there. The image's
//!   own files win, and are reported.
//!
//! Absent on purpose: numeric owners, generated files and anything else that depends on the *set* of packages as a
//! whole. That is the composers' work, on top of a finished plan.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::fileset::{FileSet, Metadata};
use crate::path::PathError;
use crate::tree::{Entry, Tree, TreeEntry};
use crate::{FileSetDigest, TreePath};

mod expand;
mod install;
#[cfg(test)]
mod tests;

pub use expand::{Expanded, expand};
pub use install::{InstallPlan, Overridden, PackageEntry, Packaged, install};

/// Counts changes of the rules in this module: part of every [`PlanDigest`].
const PLAN_VERSION: u32 = 2;
/// BLAKE3 `derive_key` context of a plan's digest.
const PLAN_CONTEXT: &str = "larder 2026 install plan";
/// The folder of an image's root in which its packages are visible.
pub const PACKAGES: &[u8] = b"packages";

/// A FileSet with its record and tree in memory.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Its identity.
    pub digest: FileSetDigest,
    /// Its record.
    pub record: FileSet,
    /// Its own tree.
    pub tree: Tree,
}

impl fmt::Display for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.record.name, self.record.version)
    }
}

/// Where FileSets come from. A second call for the same digest should be cheap, but need not return the same `Arc`.
pub trait Catalog {
    /// Why a FileSet could not be loaded.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Loads a record and its tree.
    ///
    /// # Errors
    /// When it isn't there or can't be read.
    fn load(&self, digest: &FileSetDigest) -> Result<Arc<Loaded>, Self::Error>;
}

/// One path of a plan: what stands there, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The index of its FileSet in the plan's `sources`.
    pub source: usize,
    /// The path within that FileSet's own tree, where it differs from the path in the plan.
    pub moved_from: Option<TreePath>,
    /// What stands there, with its attributes; `entry.path` is the path in the plan.
    pub entry: TreeEntry,
}

/// Why FileSets can't be put together.
#[derive(Debug, Error)]
pub enum PlanError<E: std::error::Error + 'static> {
    /// A FileSet could not be loaded.
    #[error("can't load {what}")]
    Load {
        /// Its name and version, or its digest.
        what: String,
        /// Why.
        #[source]
        source: E,
    },
    /// Two FileSets have different content at one path.
    #[error("/{path} is in both {first} and {second}, with different content")]
    Conflict {
        /// Where.
        path: TreePath,
        /// `name@version` of the one that sorts first.
        first: String,
        /// `name@version` of the other.
        second: String,
    },
    /// A link that a package wants made, where there is something else.
    #[error("{owner} wants a link to {target} at /{path}, where {other} has {there}")]
    Link {
        /// Where.
        path: TreePath,
        /// What it is to point to.
        target: String,
        /// `name@version` of who wants it.
        owner: String,
        /// `name@version` of whose the other thing is; it may be the same.
        other: String,
        /// What that is: `a file`, `a directory`, `a link to TARGET`.
        there: String,
    },
    /// A path lies below something that isn't a directory.
    #[error("/{path} of {owner} lies below /{above}, which is no directory in {other}")]
    BelowNonDirectory {
        /// The path that has no place.
        path: TreePath,
        /// Whose it is.
        owner: String,
        /// The ancestor that isn't a directory.
        above: TreePath,
        /// Whose that ancestor is.
        other: String,
    },
    /// A file of a package, or of an image itself, where packages are mounted.
    #[error("/{path} of {owner} can't be there: /packages is where packages are shown")]
    Reserved {
        /// Where.
        path: TreePath,
        /// Whose it is.
        owner: String,
    },
    /// An import's path and an entry's path are too long or deep together.
    #[error("a path of {owner} is too long at its mount path")]
    Path {
        /// Whose path.
        owner: String,
        /// Which limit.
        #[source]
        source: PathError,
    },
    /// Imports are nested deeper than 64 levels.
    #[error("{what} imports others more than 64 levels deep")]
    TooDeep {
        /// The FileSet at which it was given up.
        what: String,
    },
}

/// The digest of an install plan: the key of a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlanDigest([u8; 32]);

impl PlanDigest {
    /// Derives the digest from a record alone, without loading anything: a plan is a pure function of the record's tree,
    /// its imports and the pinned composers. What an image runs is no part of it.
    pub fn of(record: &FileSet) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(PLAN_CONTEXT);
        hasher.update(&PLAN_VERSION.to_le_bytes());
        hasher.update(record.tree.as_bytes());
        hasher.update(&record.time.to_le_bytes());
        hasher.update(&(record.imports.len() as u64).to_le_bytes());
        for import in &record.imports {
            hasher.update(&(import.path.as_bytes().len() as u64).to_le_bytes());
            hasher.update(import.path.as_bytes());
            hasher.update(import.fileset.as_bytes());
        }
        if let Metadata::Image(image) = &record.metadata {
            for (name, version) in &image.composers {
                hasher.update(&(name.len() as u64).to_le_bytes());
                hasher.update(name.as_bytes());
                hasher.update(&version.to_le_bytes());
            }
        }
        Self(*hasher.finalize().as_bytes())
    }

    /// 64 lower-case hexadecimal digits.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }
}

/// Paths in order with whose they are, while FileSets are being laid over each other.
type Entries = BTreeMap<TreePath, Planned>;

/// Whether two entries at one path are the same thing and may both be there.
///
/// Directories merge: attributes that differ from the default win over the default, so that the package that knows
/// `/var/mail` as 2775 root:mail has its way over those that merely pass through it.
fn merge_same(there: &mut Planned, new: &Planned) -> bool {
    let (old, new_entry) = (&there.entry, &new.entry);
    if old.entry == Entry::Directory && new_entry.entry == Entry::Directory {
        if old.attributes == new_entry.attributes || new_entry.attributes.is_default() {
            return true;
        }
        if old.attributes.is_default() {
            there.entry.attributes = new_entry.attributes.clone();
            there.source = new.source;
            return true;
        }
        return false;
    }
    old.entry == new_entry.entry && old.attributes == new_entry.attributes
}

/// Checks that every entry's ancestors are directories, and adds those that are missing.
fn settle_parents<E: std::error::Error + 'static>(
    entries: &mut Entries,
    sources: &[Arc<Loaded>],
) -> Result<(), PlanError<E>> {
    let mut missing: BTreeMap<TreePath, usize> = BTreeMap::new();
    for (path, planned) in &*entries {
        for above in path.ancestors() {
            match entries.get(&above) {
                Some(parent) if parent.entry.entry == Entry::Directory => break,
                Some(parent) => {
                    return Err(PlanError::BelowNonDirectory {
                        path: path.clone(),
                        owner: sources[planned.source].to_string(),
                        above,
                        other: sources[parent.source].to_string(),
                    });
                }
                None => {
                    missing.entry(above).or_insert(planned.source);
                }
            }
        }
    }
    for (path, source) in missing {
        let entry = TreeEntry { path: path.clone(), entry: Entry::Directory, attributes: Default::default() };
        entries.insert(path, Planned { source, moved_from: None, entry });
    }
    Ok(())
}
