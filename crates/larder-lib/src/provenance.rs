//! Where FileSets came from: statements beside them, never inside them.
//!
//! [`archive`] says it of converted packages, [`facts`] of everything that was made here.

mod archive;
mod facts;

pub use archive::{KIND, read, write};
pub use facts::{BuildFacts, BuildKind, Dependency, Subject};
