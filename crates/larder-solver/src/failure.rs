//! Why there is no answer.

use std::fmt;

/// Why a request has no answer: a tree of reasons. [`Failure::explain`] turns it into sentences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The reasons, each of which alone is enough.
    pub reasons: Vec<Reason>,
}

/// One reason.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Nothing has or provides this name.
    Missing {
        /// The name.
        name: String,
        /// Names like it.
        nearest: Vec<String>,
    },
}

impl Failure {
    /// The reasons as sentences, one a line; lines that explain another are indented below it.
    #[must_use]
    pub fn explain(&self) -> String {
        format!("{:?}", self.reasons)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.explain())
    }
}

impl std::error::Error for Failure {}
