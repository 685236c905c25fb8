//! Typed digests: one newtype for each kind of thing, so that a Tree's digest can't stand where a file's is due.
//!
//! Our own content is named by BLAKE3-256: plain for file contents, under a `derive_key` context for Trees and
//! records, so that bytes of one kind can never be taken for another. What the outside names (a `.deb`, an index)
//! keeps its SHA-256.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use thiserror::Error;

/// BLAKE3 `derive_key` context of an encoded [`Tree`](crate::Tree).
pub const TREE_CONTEXT: &str = "larder 2026 tree v1";
/// BLAKE3 `derive_key` context of an encoded [`FileSet`](crate::FileSet) record.
pub const FILESET_CONTEXT: &str = "larder 2026 fileset v1";

/// A text that is not a digest of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is not a digest: expected {algorithm}: and 64 lower-case hexadecimal digits")]
pub struct DigestError {
    /// What was given.
    pub text: String,
    /// The prefix that was expected.
    pub algorithm: &'static str,
}

macro_rules! digest {
    ($(#[$doc:meta])* $name:ident, $algorithm:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Wraps 32 raw bytes.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The 32 raw bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// 64 lower-case hexadecimal digits, without a prefix.
            pub fn hex(&self) -> String {
                hex::encode(self.0)
            }

            /// Reads 64 lower-case hexadecimal digits, without a prefix.
            ///
            /// # Errors
            /// Anything else.
            pub fn from_hex(text: &str) -> Result<Self, DigestError> {
                let wrong = || DigestError { text: text.to_owned(), algorithm: $algorithm };
                if text.len() != 64 || text.bytes().any(|b| b.is_ascii_uppercase()) {
                    return Err(wrong());
                }
                let mut bytes = [0; 32];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| wrong())?;
                Ok(Self(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($algorithm, ":{}"), self.hex())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), &self.hex()[..12])
            }
        }

        impl FromStr for $name {
            type Err = DigestError;

            fn from_str(text: &str) -> Result<Self, DigestError> {
                text.strip_prefix(concat!($algorithm, ":"))
                    .and_then(|rest| Self::from_hex(rest).ok())
                    .ok_or_else(|| DigestError { text: text.to_owned(), algorithm: $algorithm })
            }
        }
    };
}

digest!(
    /// The digest of a file's content: plain BLAKE3-256.
    ObjectDigest,
    "blake3"
);
digest!(
    /// The digest of an encoded Tree: BLAKE3-256 in the [`TREE_CONTEXT`].
    TreeDigest,
    "blake3"
);
digest!(
    /// The digest of a FileSet record, and so its identity: BLAKE3-256 in the [`FILESET_CONTEXT`].
    FileSetDigest,
    "blake3"
);
digest!(
    /// A digest that the outside gave: SHA-256 of a `.deb`, an index, a release file.
    Sha256Digest,
    "sha256"
);

impl ObjectDigest {
    /// Hashes a whole content held in memory.
    pub fn of(content: &[u8]) -> Self {
        Self(*blake3::hash(content).as_bytes())
    }

    /// Hashes a content to its end, and gives its length too.
    ///
    /// # Errors
    /// Those of reading it.
    pub fn of_reader(content: &mut dyn Read) -> io::Result<(Self, u64)> {
        let mut hasher = blake3::Hasher::new();
        let size = io::copy(content, &mut hasher)?;
        Ok((Self(*hasher.finalize().as_bytes()), size))
    }
}

impl TreeDigest {
    /// Hashes an encoded Tree.
    pub fn of(encoded: &[u8]) -> Self {
        Self(blake3::derive_key(TREE_CONTEXT, encoded))
    }
}

impl FileSetDigest {
    /// Hashes an encoded record.
    pub fn of(encoded: &[u8]) -> Self {
        Self(blake3::derive_key(FILESET_CONTEXT, encoded))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips_and_is_strict() {
        let digest = ObjectDigest::of(b"larder");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        for wrong in ["", "blake3:", "sha256:00", &digest.hex(), &digest.to_string().to_uppercase()] {
            assert!(wrong.parse::<ObjectDigest>().is_err(), "{wrong}");
        }
        assert!(format!("{digest}0").parse::<ObjectDigest>().is_err());
    }

    #[test]
    fn kinds_hash_apart() {
        let bytes = b"same bytes";
        assert_ne!(TreeDigest::of(bytes).as_bytes(), FileSetDigest::of(bytes).as_bytes());
        assert_ne!(TreeDigest::of(bytes).as_bytes(), ObjectDigest::of(bytes).as_bytes());
    }
}
