//! Why a reader takes nothing from a file.

use std::io;

use thiserror::Error;

/// What is wrong with a file, or more than it may be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// Something is longer than it may be, or empty.
    #[error("{what} is empty or has more than {limit} bytes")]
    Length {
        /// What.
        what: &'static str,
        /// The most that it may have.
        limit: u64,
    },
    /// There is more of something than there may be.
    #[error("it has more than {limit} {what}")]
    Many {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        limit: u64,
    },
    /// Something breaks a rule of its format.
    #[error("{what} can't be read: {reason}")]
    Malformed {
        /// What.
        what: &'static str,
        /// Which rule.
        reason: &'static str,
    },
}

/// Why a file wasn't read: what is in it, or the disk.
#[derive(Debug)]
pub(super) enum Failed {
    Refused(Refused),
    Io(io::Error),
}

/// The result of a reader.
pub(super) type Read<T> = Result<T, Failed>;

impl From<Refused> for Failed {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
