//! Why the store can't do something.

use std::fmt;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::fileset::RecordError;
use crate::tree::TreeError;
use crate::{FileSetDigest, ObjectDigest, TreeDigest};

/// One thing that a store keeps by digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Content {
    /// A file's content.
    Object(ObjectDigest),
    /// A Tree.
    Tree(TreeDigest),
    /// A FileSet record.
    FileSet(FileSetDigest),
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(digest) => write!(f, "object {digest}"),
            Self::Tree(digest) => write!(f, "tree {digest}"),
            Self::FileSet(digest) => write!(f, "fileset {digest}"),
        }
    }
}

/// Why the store can't do something.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The operating system refused.
    #[error("can't {action} {}", path.display())]
    Io {
        /// What was tried, as in "can't … PATH".
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The reader that a content came from failed.
    #[error("can't read the content to be stored")]
    Source(#[source] io::Error),
    /// A content is longer than the caller allows.
    #[error("the content is longer than the limit of {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// Locks and renames can't be relied on there.
    #[error(
        "the store at {} is on {kind}, where locks and renames can't be relied on; \
         keep it on a local disk (--root or LARDER_ROOT names another place)",
        root.display()
    )]
    NetworkFileSystem {
        /// The store's root.
        root: PathBuf,
        /// The kind of file system, such as `NFS`.
        kind: &'static str,
    },
    /// A newer Larder made this store.
    #[error(
        "the store at {} has layout version {found}, and this version of Larder knows up to {known}; \
         use the newer Larder that made it, or another store",
        root.display()
    )]
    LaterVersion {
        /// The store's root.
        root: PathBuf,
        /// The version that it has.
        found: u64,
        /// The version that this code writes.
        known: u64,
    },
    /// The folder holds something else.
    #[error("{} is not a Larder store, and it is not empty; name another folder", root.display())]
    NotAStore {
        /// The folder.
        root: PathBuf,
    },
    /// Its owner could change whatever this user would trust.
    #[error("the store at {} belongs to another user (number {owner}), who could change what is in it", root.display())]
    Foreign {
        /// The store's root.
        root: PathBuf,
        /// The owner's number.
        owner: u32,
    },
    /// This user may not read it.
    #[error("the store at {} can't be read by this user", root.display())]
    Unreadable {
        /// The store's root.
        root: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Something was to be written into a store that can only be read.
    #[error("the store at {} can only be read: {reason}", root.display())]
    ReadOnly {
        /// The store's root.
        root: PathBuf,
        /// What the operating system said when writing was tried.
        reason: io::Error,
    },
    /// Another process holds a lock, and went on holding it.
    #[error("{what} is in use by another process; try again when it has finished")]
    Busy {
        /// What is locked.
        what: &'static str,
    },
    /// Something isn't there.
    #[error("{what} is not in the store")]
    Missing {
        /// What was looked for.
        what: Content,
    },
    /// A record or Tree was to be written before what it needs.
    #[error("{what} needs {needs}, which is not in the store")]
    Incomplete {
        /// What was to be written.
        what: Content,
        /// What it needs.
        needs: Content,
    },
    /// The bytes on disk aren't those that were stored.
    #[error("{what} is damaged: its bytes have another digest; `larder fsck --repair` fetches it again")]
    Damaged {
        /// What was read.
        what: Content,
    },
    /// A Tree breaks a rule of its format.
    #[error("tree {digest} breaks a rule")]
    Tree {
        /// The Tree.
        digest: TreeDigest,
        /// Which rule.
        #[source]
        source: TreeError,
    },
    /// A record breaks a rule of its format.
    #[error("the record {digest} breaks a rule")]
    Record {
        /// The FileSet.
        digest: FileSetDigest,
        /// Which rule.
        #[source]
        source: RecordError,
    },
    /// A file of the store that is text holds something else.
    #[error("{} is damaged: {reason}", path.display())]
    Text {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A statement's body can't be written.
    #[error("a statement of kind {kind:?} can't be written: {reason}")]
    Statement {
        /// Its kind.
        kind: String,
        /// What is wrong.
        reason: String,
    },
    /// Something that can't be the name of a ref, or of a container.
    #[error("{name:?} can't be the name of a {what}")]
    BadName {
        /// What was given.
        name: String,
        /// `ref`, `container`, `view`.
        what: &'static str,
    },
    /// No such ref.
    #[error("there is no {kind} named {name}")]
    NoRef {
        /// The kind of ref.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// A ref has no entry to go back to.
    #[error("{name} has no earlier entry to go back to")]
    NoEarlier {
        /// The ref's name.
        name: String,
    },
    /// The index, a cache, can't be used.
    #[error("can't use the index {}; it is a cache and may be deleted", path.display())]
    Index {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: rusqlite::Error,
    },
}

impl StoreError {
    /// Wraps an I/O error: `map_err(StoreError::io("open", &path))`.
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.into(), source }
    }

    /// The same for the errors of system calls made directly.
    pub(crate) fn sys(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(rustix::io::Errno) -> Self {
        move |source| Self::Io { action, path: path.into(), source: source.into() }
    }

    /// A text file that holds something else than it should.
    pub(crate) fn text(path: impl Into<PathBuf>, reason: impl fmt::Display) -> Self {
        Self::Text { path: path.into(), reason: reason.to_string() }
    }
}
