//! What is said of something that was made: in-toto's Statement v1 with SLSA's provenance v1, in canonical JSON.
//!
//! It is read as strictly as it is written: a text that would not be written like this is refused, so that nothing in a statement
//! is passed over without being understood.

mod read;
mod time;
mod write;

use std::collections::BTreeMap;

use larder_store::Sha256Digest;
use larder_store::json;

use super::{BuildFacts, BuildKind, ProvenanceError};

/// The `_type` of a statement.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// The `predicateType`.
pub const PREDICATE_TYPE: &str = "https://slsa.dev/provenance/v1";
/// The `builder.id` of what was made by this program on somebody's machine.
pub const BUILDER: &str = "larder:builder/v1";
/// The most subjects, and the most dependencies.
pub const MAX_ITEMS: usize = 65_536;

/// A statement about things that were made together.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// What is known of how they were made.
    pub facts: BuildFacts,
    /// SHA-256 of each subject's record, in the order of the subjects, for those who don't know BLAKE3.
    pub records: Vec<Sha256Digest>,
    /// The program's version.
    pub larder: String,
    /// The frozen rules that it follows, by what they are for.
    pub rules: BTreeMap<String, String>,
}

impl Statement {
    /// The statement's bytes: what is signed.
    pub fn encode(&self) -> Vec<u8> {
        json::encode(&write::statement(self))
    }

    /// Reads a statement.
    ///
    /// # Errors
    /// Everything that [`encode`](Self::encode) would not have written.
    pub fn decode(bytes: &[u8]) -> Result<Self, ProvenanceError> {
        let value = json::decode(bytes).map_err(ProvenanceError::Json)?;
        let statement = read::statement(&value).map_err(|reason| ProvenanceError::Statement { reason })?;
        if statement.encode() == bytes {
            Ok(statement)
        } else {
            let reason = "it has a member that is unknown, or one in another form".to_owned();
            Err(ProvenanceError::Statement { reason })
        }
    }

    /// Whether it says the same as another, times aside.
    pub fn is_same(&self, other: &Self) -> bool {
        let timeless = |statement: &Self| {
            let facts = BuildFacts { started: 0, finished: 0, ..statement.facts.clone() };
            Self { facts, ..statement.clone() }
        };
        timeless(self) == timeless(other)
    }
}

/// How something was made, as the `buildType` says it.
pub(crate) fn build_type(kind: BuildKind) -> &'static str {
    match kind {
        BuildKind::Package => "larder:build/package/v1",
        BuildKind::Image => "larder:build/image/v1",
        BuildKind::Distribution => "larder:build/distribution/v1",
        BuildKind::Import => "larder:build/import/v1",
        BuildKind::Capture => "larder:build/capture/v1",
    }
}

fn kind(build_type_text: &str) -> Option<BuildKind> {
    use BuildKind::{Capture, Distribution, Image, Import, Package};
    [Package, Image, Distribution, Import, Capture].into_iter().find(|kind| build_type(*kind) == build_type_text)
}
