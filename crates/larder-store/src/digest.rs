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
                ascii(&digits(&self.0)).to_owned()
            }

            /// Reads 64 lower-case hexadecimal digits, without a prefix.
            ///
            /// # Errors
            /// Anything else.
            pub fn from_hex(text: &str) -> Result<Self, DigestError> {
                let wrong = || DigestError { text: text.to_owned(), algorithm: $algorithm };
                bytes(text).map(Self).ok_or_else(wrong)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                const PREFIX: &[u8] = concat!($algorithm, ":").as_bytes();
                // In one piece, so that a string grows once.
                let mut text = [0; PREFIX.len() + 64];
                text[..PREFIX.len()].copy_from_slice(PREFIX);
                text[PREFIX.len()..].copy_from_slice(&digits(&self.0));
                f.write_str(ascii(&text))
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
                    .and_then(bytes)
                    .map(Self)
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

/// Bytes as lower-case hexadecimal digits. A build writes and reads a thousand digests.
fn digits(bytes: &[u8; 32]) -> [u8; 64] {
    const PAIRS: [[u8; 2]; 256] = {
        let digits = b"0123456789abcdef";
        let mut pairs = [[0; 2]; 256];
        let mut byte = 0;
        while byte < 256 {
            pairs[byte] = [digits[byte >> 4], digits[byte & 15]];
            byte += 1;
        }
        pairs
    };
    let mut digits = [0; 64];
    for (byte, pair) in bytes.iter().zip(digits.as_chunks_mut::<2>().0) {
        *pair = PAIRS[usize::from(*byte)];
    }
    digits
}

/// What is ASCII, as a text.
fn ascii(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap_or_default()
}

/// The bytes of 64 lower-case hexadecimal digits; `None` for any other text.
fn bytes(text: &str) -> Option<[u8; 32]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let pairs: &[[u8; 2]; 32] = pairs.try_into().ok().filter(|_| rest.is_empty())?;
    // What isn't a digit has bits beyond the four of one.
    let value = |digit: u8| match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => 0xff,
    };
    let mut bytes = [0; 32];
    let mut seen = 0;
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        let [high, low] = pair.map(value);
        seen |= high | low;
        *byte = high << 4 | low & 15;
    }
    (seen < 16).then_some(bytes)
}

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
        let hex = digest.hex();
        for at in 0..64 {
            for wrong in [b'/', b':', b'`', b'g', b'A', b'F', b' ', 0x80] {
                let mut text = hex.clone().into_bytes();
                text[at] = wrong;
                let text = String::from_utf8_lossy(&text).into_owned();
                assert!(ObjectDigest::from_hex(&text).is_err(), "{text}");
            }
        }
        let all: Vec<u8> = (0..=255).collect();
        for bytes in all.as_chunks::<32>().0 {
            let digest = ObjectDigest::from_bytes(*bytes);
            let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!((digest.hex().as_str(), ObjectDigest::from_hex(&text)), (text.as_str(), Ok(digest)));
        }
    }

    #[test]
    fn kinds_hash_apart() {
        let bytes = b"same bytes";
        assert_ne!(TreeDigest::of(bytes).as_bytes(), FileSetDigest::of(bytes).as_bytes());
        assert_ne!(TreeDigest::of(bytes).as_bytes(), ObjectDigest::of(bytes).as_bytes());
    }
}
