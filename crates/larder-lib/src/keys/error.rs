//! What can go wrong with keys.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::{Domain, KeyId};

/// Why a key can't be made, read or used.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The system refuses something about a file.
    #[error("can't {action} {}", file.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        file: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// There is no folder to keep keys in.
    #[error("there is no place for keys: this user has no home directory")]
    NoPlace,
    /// A domain has a key already.
    #[error("there is a key of {domain} already: {}", file.display())]
    Exists {
        /// The domain.
        domain: Domain,
        /// The key's file.
        file: PathBuf,
    },
    /// A domain has no such key.
    #[error("there is no {what} of {domain}")]
    Missing {
        /// `key`, or `trusted key ID`.
        what: String,
        /// The domain.
        domain: Domain,
    },
    /// Others than its owner can read or change a secret key, or replace it.
    #[error("the secret key {} isn't used: its mode is {mode:04o}, so that others can {can} it", file.display())]
    Exposed {
        /// The file or its folder.
        file: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// `read`, `change` or `replace`.
        can: &'static str,
    },
    /// A secret key that belongs to another user.
    #[error("the secret key {} isn't used: it belongs to user {owner}", file.display())]
    OtherOwner {
        /// The file.
        file: PathBuf,
        /// Its owner's number.
        owner: u32,
    },
    /// A file that holds no key, or not the one that it should.
    #[error("{} is no {what}: {reason}", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// `secret key` or `public key`.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The passphrase doesn't open the key.
    #[error("the passphrase of the key of {domain} is wrong, or {} was altered", file.display())]
    Locked {
        /// The domain.
        domain: Domain,
        /// The key's file.
        file: PathBuf,
    },
    /// No passphrase could be had.
    #[error("can't get the passphrase of the key of {domain}")]
    Passphrase {
        /// The domain.
        domain: Domain,
        /// Why not.
        source: io::Error,
    },
    /// The secret half and the public half belong to different keys.
    #[error("{} is another key than {}: it is {found}, and that is {expected}", secret.display(), public.display())]
    Pair {
        /// The secret half's file.
        secret: PathBuf,
        /// The public half's file.
        public: PathBuf,
        /// The secret half's key.
        found: KeyId,
        /// The public half's.
        expected: KeyId,
    },
    /// The system has no random numbers.
    #[error("the system gives no random numbers")]
    Random(#[source] io::Error),
}

impl KeyError {
    /// What to do next, where the message doesn't say it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoPlace => "name a folder with LARDER_KEYS".to_owned(),
            Self::Exists { domain, .. } => {
                format!("`larder key export {domain}` prints it; `larder key forget {domain}` removes it for ever")
            }
            Self::Missing { domain, .. } => {
                format!("`larder key new {domain}` makes one; `larder key trust {domain} FILE` trusts somebody else's")
            }
            Self::Exposed { file, can: "replace", .. } => format!("chmod 700 {}", file.display()),
            Self::Exposed { file, .. } => {
                format!("if nobody else can have read it: chmod 600 {}; else make a new one", file.display())
            }
            Self::OtherOwner { .. } => "run as the user whose key it is".to_owned(),
            Self::Malformed { what: "public key", .. } => {
                "`larder key export DOMAIN` prints a public key as it must be".to_owned()
            }
            Self::Malformed { .. } | Self::Pair { .. } => "put it back from where its copy is kept".to_owned(),
            Self::Locked { .. } => "try again, or name the right one's file with LARDER_KEY_PASSPHRASE_FILE".to_owned(),
            Self::Passphrase { .. } => {
                "name a file that holds it with LARDER_KEY_PASSPHRASE_FILE, or run larder in a terminal".to_owned()
            }
            Self::Io { .. } | Self::Random(_) => return None,
        })
    }

    pub(super) fn io(action: &'static str, file: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let file = file.to_owned();
        move |source| Self::Io { action, file, source }
    }
}
