//! What can be wrong with a text that this crate parses.

use thiserror::Error;

/// A version, requirement or root that does not follow the grammar. `text` is always the offending text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseError {
    /// A version is empty or has a character or shape that Debian's policy forbids.
    #[error("\"{text}\" is not a version: {problem}")]
    Version {
        /// The text given.
        text: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A package name has a forbidden character.
    #[error("\"{text}\" is not a package name: it needs lower-case letters, digits and \"+-.\"")]
    Name {
        /// The text given.
        text: String,
    },
    /// A requirement such as `a (>= 1) | b` does not follow Debian's grammar.
    #[error("\"{text}\" is not a requirement: {problem}")]
    Requirement {
        /// The text given.
        text: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A root such as `openssl >=3.0` does not follow the grammar of recipes.
    #[error("\"{text}\" is not a package: {problem} (write \"name\", \"name =1.2-3\" or \"name >=1.2, <2\")")]
    Root {
        /// The text given.
        text: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}
