//! Where FileSets came from: statements beside them, never inside them.
//!
//! `archive` says it of packages that were converted from an archive. Of everything that was made here, [`record`] writes an
//! in-toto statement (v1) with SLSA's provenance (v1) in a DSSE envelope, signed by the key of the name's domain where there
//! is one. Whoever makes FileSets says what it knows as [`BuildFacts`], and calls [`record`] before its commit.
//!
//! [`statement`] is what is said, [`envelope`] who says so, [`standing`] whether that can be believed.

mod about;
mod archive;
pub mod envelope;
mod error;
mod facts;
mod record;
mod releases;
mod standing;
pub mod statement;
#[cfg(test)]
mod tests;

pub use about::{About, Origin, about};
pub use archive::{FromArchive, KIND, from_archive, read, write, write_declared};
pub use error::ProvenanceError;
pub use facts::{BuildFacts, BuildKind, Dependency, Subject, TREE};
pub use larder_store::json::{Value, encode};
pub use record::{Recorded, record};
pub(crate) use record::{signers, signing};
pub(crate) use releases::releases;
pub use standing::{KIND as MADE, Signer, Standing, standing, standings};
pub(crate) use standing::{Read, judge};

/// A value in one line, for people: texts without quotes.
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        other => String::from_utf8_lossy(&encode(other)).into_owned(),
    }
}
