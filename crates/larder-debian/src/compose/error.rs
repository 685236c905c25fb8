//! What can go wrong while composing.

use larder_store::TreePath;
use larder_store::path::PathError;
use thiserror::Error;

/// A content that can't be read or written, as the store said it.
pub type ContentError = Box<dyn std::error::Error + Send + Sync>;

/// An error of a composer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ComposeError {
    /// The image pins a composer that this program doesn't have.
    #[error("the image was made with version {version} of the composer {composer}, which this program doesn't have")]
    UnknownComposer {
        /// Its name.
        composer: String,
        /// The pinned version.
        version: u64,
    },
    /// A file belongs to a user or group that nothing declares.
    #[error("/{path} of {package} belongs to the {kind} {name:?}, which no package and no file of the image declares")]
    UnknownOwner {
        /// `user` or `group`.
        kind: &'static str,
        /// The name.
        name: String,
        /// Whose file.
        package: String,
        /// Where.
        path: TreePath,
    },
    /// Two packages want different numbers for one name, or one number for two names.
    #[error("{first} wants the number {number} for {name:?}, and {second} has {clash}")]
    ClashingIds {
        /// The package.
        first: String,
        /// The user or group.
        name: String,
        /// The wanted number.
        number: u32,
        /// Who has something else.
        second: String,
        /// What it has, in words.
        clash: String,
    },
    /// Something lies below a path that is an alias in every container.
    #[error("/{path} of {package} lies below /{alias}, which is a link to /usr/{alias}: place it at /usr/{path}")]
    BelowAlias {
        /// The path that has no place.
        path: TreePath,
        /// Whose it is.
        package: String,
        /// The alias.
        alias: &'static str,
    },
    /// A declared rule that can't be followed.
    #[error("{package} declares {what}, but {reason}")]
    BadRule {
        /// Which package.
        package: String,
        /// The rule.
        what: String,
        /// Why not.
        reason: &'static str,
    },
    /// A file of the plan that a composer reads is malformed.
    #[error("/{path}, line {line}: {reason}")]
    BadLine {
        /// Where.
        path: String,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// A file of the plan can't be read.
    #[error("can't read /{path}")]
    Read {
        /// Where.
        path: TreePath,
        /// Why.
        #[source]
        source: ContentError,
    },
    /// A composed file can't be kept.
    #[error("can't write /{path}")]
    Write {
        /// Where.
        path: TreePath,
        /// Why.
        #[source]
        source: ContentError,
    },
    /// A composed path is none.
    #[error(transparent)]
    Path(#[from] PathError),
}
