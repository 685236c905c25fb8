//! Why a file is refused as a `.deb`.

use std::io;

use larder_store::name::NameError;
use larder_store::path::PathError;
use larder_store::tree::TreeError;
use larder_store::{Sha256Digest, TreePath};
use thiserror::Error;

/// Why a `.deb` was refused. It names what is wrong in the file; who asked for the file adds which it was.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DebError {
    /// The bytes could not be had.
    #[error("it can't be read")]
    Read(#[source] io::Error),
    /// The bytes end early.
    #[error("it is cut short")]
    Truncated,
    /// The outer `ar` archive breaks its format.
    #[error("it is not a Debian package: {reason}")]
    Container {
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// `control.tar` or `data.tar` is not where it must be.
    #[error("it is not a Debian package: {part} is missing or out of place")]
    Missing {
        /// Which part.
        part: &'static str,
    },
    /// A compression that isn't read.
    #[error("{part}{suffix} is compressed in a way that isn't supported (gz, xz, zst and none are)")]
    Compression {
        /// Which part.
        part: &'static str,
        /// What follows `.tar` in its name.
        suffix: String,
    },
    /// A compressed stream is damaged.
    #[error("{part} is damaged")]
    Unpack {
        /// Which part.
        part: &'static str,
        /// What the decoder says.
        #[source]
        source: io::Error,
    },
    /// A tar archive breaks its format.
    #[error("{part} is malformed: {reason}")]
    Tar {
        /// Which part.
        part: &'static str,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// More than Larder accepts.
    #[error("{what} exceeds the limit of {limit}")]
    Limit {
        /// What is too much.
        what: &'static str,
        /// The limit, in the unit of `what` (bytes or entries).
        limit: u64,
    },
    /// An entry that no package may have.
    #[error("{path:?}: {reason}")]
    Entry {
        /// The path as it stands in the archive.
        path: String,
        /// Why it is refused.
        reason: &'static str,
    },
    /// A path that can't be in a Tree.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Two files of one name in `control.tar`.
    #[error("{path:?} is there twice")]
    Duplicate {
        /// The path.
        path: String,
    },
    /// Entries that are no Tree together.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A hard link without its file.
    #[error("{path} is a hard link to {target}, which is no file of the same package")]
    HardLink {
        /// The path.
        path: TreePath,
        /// What it names.
        target: TreePath,
    },
    /// The control file is malformed.
    #[error("its control file is malformed: {reason}")]
    Control {
        /// The rule that it breaks.
        reason: String,
    },
    /// The control file is another package's than the one asked for.
    #[error("its control file says {field}: {found}, but {wanted} was asked for")]
    Mismatch {
        /// The field.
        field: &'static str,
        /// What the file says.
        found: String,
        /// What the index says.
        wanted: String,
    },
    /// A package name, version or architecture that no record can hold.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The whole file is not the one that the index vouches for.
    #[error("its digest is {found}, but the index says {wanted}")]
    Digest {
        /// What was computed.
        found: Sha256Digest,
        /// What was expected.
        wanted: Sha256Digest,
    },
}

impl DebError {
    /// A limit was exceeded.
    pub(crate) fn limit(what: &'static str, limit: u64) -> Self {
        Self::Limit { what, limit }
    }

    /// An entry is refused.
    pub(crate) fn entry(path: &[u8], reason: &'static str) -> Self {
        Self::Entry { path: String::from_utf8_lossy(path).into_owned(), reason }
    }

    /// Carries this error through [`io::Read`]; [`Self::from_io`] takes it out again.
    pub(crate) fn into_io(self) -> io::Error {
        io::Error::other(self)
    }

    /// The error that a reader of this module raised, or the operating system's.
    pub(crate) fn from_io(error: io::Error) -> Self {
        let kind = error.kind();
        match error.downcast::<Self>() {
            Ok(inner) => inner,
            Err(_) if kind == io::ErrorKind::UnexpectedEof => Self::Truncated,
            Err(error) => Self::Read(error),
        }
    }
}
