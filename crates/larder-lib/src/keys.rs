//! The keys of those who publish: secret ones that sign here, and public ones that are trusted, each for one domain only.
//!
//! ```text
//! keys/                              0700
//!   secret/example.com.pem           0600, in a folder of 0700: PKCS#8, encrypted under a passphrase or not
//!   public/example.com.pem           its public half, so that nobody is asked for a passphrase to know which key it is
//!   trusted/example.com/<id>.pem     public keys (SubjectPublicKeyInfo) whose signatures count for names of the domain
//! ```
//!
//! A statement about `example.com/web` that a key trusted for `other.org` has signed counts for nothing. The administrator's
//! folder is trusted besides the caller's own, which is the only one that is written.

mod domain;
mod error;
mod files;
mod public;
mod secret;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::PathBuf;

use zeroize::Zeroizing;

pub use domain::Domain;
pub use error::KeyError;
pub use public::{KeyId, PublicKey};
pub use secret::SecretKey;

/// What a passphrase is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To use a key that is there.
    Unlock,
    /// To protect a new one.
    Protect,
}

/// Where passphrases come from: a terminal, a file, a test.
pub trait Passphrases: Send + Sync {
    /// The passphrase of a domain's key. It may be asked for more than once.
    ///
    /// # Errors
    /// Nobody is there to ask, or what was named can't be read.
    fn passphrase(&self, domain: &Domain, purpose: Purpose) -> io::Result<Zeroizing<String>>;
}

/// Nobody to ask.
#[derive(Debug, Clone, Copy)]
pub struct NoPassphrases;

impl Passphrases for NoPassphrases {
    fn passphrase(&self, _domain: &Domain, _purpose: Purpose) -> io::Result<Zeroizing<String>> {
        Err(io::Error::new(io::ErrorKind::NotConnected, "there is nobody to ask for it"))
    }
}

/// The folders of keys.
pub struct Keys {
    own: Option<PathBuf>,
    others: Vec<PathBuf>,
    passphrases: Box<dyn Passphrases>,
}

/// A domain's key, as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The domain that it counts for.
    pub domain: Domain,
    /// Which key.
    pub id: KeyId,
    /// The file: of its secret half, where that is here.
    pub file: PathBuf,
    /// Whether its secret half is here, and how.
    pub secret: Option<Protection>,
}

/// How a secret key is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// Under a passphrase.
    Passphrase,
    /// Under nothing but the file's mode.
    None,
}

impl Keys {
    /// Keys in `own`, where there is such a folder, and in those of others, whose public keys are trusted too.
    pub fn new(own: Option<PathBuf>, others: Vec<PathBuf>, passphrases: Box<dyn Passphrases>) -> Self {
        Self { own, others, passphrases }
    }

    /// No keys at all: nothing is signed, and no signature is trusted.
    pub fn none() -> Self {
        Self::new(None, Vec::new(), Box::new(NoPassphrases))
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("own", &self.own).field("others", &self.others).finish_non_exhaustive()
    }
}
