//! What can be wrong with a statement.

use std::path::PathBuf;

use larder_store::FileSetDigest;
use larder_store::json::JsonError;
use thiserror::Error;

use crate::keys::{Domain, KeyId};

/// Why a statement about where something came from can't be believed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProvenanceError {
    /// Its file isn't what was written.
    #[error("{} is damaged: {reason}", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// It isn't a DSSE envelope.
    #[error("it is no envelope: {reason}")]
    Envelope {
        /// Which rule is broken.
        reason: &'static str,
    },
    /// The envelope holds something else than an in-toto statement.
    #[error("its payload is {found:?}, and not an in-toto statement")]
    PayloadType {
        /// What it says that it holds.
        found: String,
    },
    /// The payload isn't canonical JSON.
    #[error("its payload is damaged")]
    Json(#[source] JsonError),
    /// The payload isn't a statement that this larder understands.
    #[error("its payload is no statement that this larder understands: {reason}")]
    Statement {
        /// Which rule is broken.
        reason: String,
    },
    /// It says something about another FileSet.
    #[error("it is about {}, and not about {wanted}", subjects.join(", "))]
    Swapped {
        /// What it is about.
        subjects: Vec<String>,
        /// What it was found beside.
        wanted: FileSetDigest,
    },
    /// A key that isn't trusted for the name's domain has signed it.
    #[error("it is signed by the key {key}, which isn't trusted for {domain}")]
    UnknownKey {
        /// The key, by what the signature says.
        key: String,
        /// The domain that it would have to be trusted for.
        domain: Domain,
    },
    /// A signature of a trusted key that doesn't hold.
    #[error("the signature of the key {key} doesn't hold: the statement or the signature was altered")]
    Altered {
        /// The key.
        key: KeyId,
    },
}
