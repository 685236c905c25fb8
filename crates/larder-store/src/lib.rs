//! A host's content: digests, trees, FileSet records, objects, references, garbage collection.
//!
//! Everything here is synchronous and knows no network, no terminal and no environment. `docs/formats.md`
//! specifies every byte that this crate reads or writes.

#![forbid(unsafe_code)]

mod base64;
pub mod digest;
pub mod error;
pub mod fileset;
pub mod fsck;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod gc;
pub mod index;
pub mod json;
#[cfg(test)]
mod model;
pub mod name;
mod needs;
pub mod path;
pub mod plan;
pub mod refs;
pub mod store;
pub mod tree;
pub mod usage;

pub use digest::{FileSetDigest, ObjectDigest, Sha256Digest, TreeDigest};
pub use error::{Content, StoreError};
pub use fileset::{FileSet, Import, Kind, Metadata};
pub use fsck::{FsckOptions, FsckReport, Problem, ProblemKind};
pub use gc::{GcOptions, GcReport};
pub use index::{Filter, Index, Indexed};
pub use name::{Name, Reference, Selector};
pub use path::TreePath;
pub use refs::{RefEntry, RefKind, RefRecord, Refs};
pub use store::{Ingest, Lease, Reader, Root, Roots, Statement, Store, remove_tree};
pub use tree::{Attributes, Entry, Tree, TreeBuilder, TreeEntry};
pub use usage::{ImageUsage, Usage};
