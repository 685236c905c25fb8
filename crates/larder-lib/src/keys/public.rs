//! Public keys: what a signature is checked with, and what a key is called.

use std::fmt;
use std::path::Path;

use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePublicKey as _, EncodePublicKey as _};
use ed25519_dalek::{Signature, VerifyingKey};
use larder_store::json::{self, Value};
use sha2::{Digest as _, Sha256};

use super::KeyError;

/// What a key is called: SHA-256 of its description in canonical JSON, as TUF and in-toto have it, in hexadecimal.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 32]);

impl KeyId {
    /// Reads 64 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digest = larder_store::Sha256Digest::from_hex(text).ok()?;
        Some(Self(*digest.as_bytes()))
    }

    /// The first twelve digits, for listings.
    pub fn short(&self) -> String {
        hex::encode(&self.0[..6])
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({})", self.short())
    }
}

/// An ed25519 public key (RFC 8032).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    pub(super) fn new(key: VerifyingKey) -> Self {
        Self(key)
    }

    /// Reads PEM with a SubjectPublicKeyInfo (RFC 8410). `file` names it in errors.
    ///
    /// # Errors
    /// Anything else, and the few points that make signatures worthless.
    pub fn from_pem(file: &Path, text: &str) -> Result<Self, KeyError> {
        let wrong = |reason: String| KeyError::Malformed { file: file.to_owned(), what: "public key", reason };
        if text.contains("PRIVATE KEY") {
            return Err(wrong("it is a secret key, which must be given to nobody".to_owned()));
        }
        if !text.contains("-----BEGIN PUBLIC KEY-----") {
            return Err(wrong("it has no line -----BEGIN PUBLIC KEY-----".to_owned()));
        }
        let key = VerifyingKey::from_public_key_pem(text.trim_end())
            .map_err(|error| wrong(format!("it is not PEM with an ed25519 key ({error})")))?;
        if key.is_weak() {
            return Err(wrong("anybody could sign for it".to_owned()));
        }
        Ok(Self(key))
    }

    /// Writes it as PEM.
    pub fn to_pem(&self) -> String {
        // Encoding 32 bytes into a growing buffer can't fail.
        self.0.to_public_key_pem(LineEnding::LF).unwrap_or_default()
    }

    /// What it is called.
    pub fn id(&self) -> KeyId {
        let description = Value::object([
            ("keytype", "ed25519".into()),
            ("keyval", Value::object([("public", hex::encode(self.0.as_bytes()).into())])),
            ("scheme", "ed25519".into()),
        ]);
        KeyId(Sha256::digest(json::encode(&description)).into())
    }

    /// Whether it has signed a message. Signatures and keys that some verifiers accept and others don't are refused.
    pub fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature).is_ok_and(|signature| self.0.verify_strict(message, &signature).is_ok())
    }
}
