//! Where FileSets came from: statements beside them, never inside them.
//!
//! [`archive`] says it of packages that were converted from an archive. Of everything that was made here, [`record`] writes an
//! in-toto statement (v1) with SLSA's provenance (v1) in a DSSE envelope, signed by the key of the name's domain where there
//! is one. Whoever makes FileSets says what it knows as [`BuildFacts`], and calls [`record`] before its commit.
//!
//! [`statement`] is what is said, [`envelope`] who says so, [`standing`] whether that can be believed.

mod archive;
pub mod envelope;
mod error;
mod facts;
mod record;
mod standing;
pub mod statement;
#[cfg(test)]
mod tests;

pub use archive::{KIND, read, write};
pub use error::ProvenanceError;
pub use facts::{BuildFacts, BuildKind, Dependency, Subject};
pub use record::record;
pub use standing::{Signer, Standing, standing};
