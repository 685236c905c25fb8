//! Signed release files.
//!
//! An `InRelease` is a clear-signed text that names every index of a suite with its size and SHA-256: the root of the
//! chain that ends at a `.deb`. [`Release::open`] checks the signature first and parses only the text that was signed.
//! What the clock or an earlier state has to say is asked by [`Release::check`], so that a cached copy can be opened
//! and judged again.
//!
//! Absent on purpose: `Release` + `Release.gpg` (every Debian suite since wheezy has `InRelease`), MD5 and SHA-1.

mod keyring;
mod parse;
mod signature;

use std::collections::BTreeMap;
use std::io::Read;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use larder_store::Sha256Digest;
use sha2::{Digest as _, Sha256};

use crate::error::ReleaseRefusal;

pub use keyring::Keyring;
pub use parse::date;
#[cfg(any(test, fuzzing))]
pub(crate) use parse::parse;

/// An `InRelease` larger than this is not read.
pub const MAX_SIZE: u64 = 32 << 20;
/// How far ahead of this machine's clock a release may be dated.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(600);

/// A release file whose signature is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// SHA-256 of the whole `InRelease`.
    pub digest: Sha256Digest,
    /// Fingerprint of the certificate that signed it, upper-case hexadecimal.
    pub signer: String,
    /// Whose archive: `Debian`. Empty when not given, like the next three.
    pub origin: String,
    /// Which archive of the origin: `Debian-Security`.
    pub label: String,
    /// The name that moves: `stable`.
    pub suite: String,
    /// The name that stays: `bookworm`.
    pub codename: String,
    /// The version of the distribution, such as `12.15`.
    pub version: Option<String>,
    /// When it was made, in seconds since 1970.
    pub date: u64,
    /// When it stops being valid, in seconds since 1970.
    pub valid_until: Option<u64>,
    /// Its architectures.
    pub architectures: Vec<String>,
    /// Whether indexes can be fetched by their digest.
    pub by_hash: bool,
    /// Whether an architecture's index lists the packages for all architectures too.
    pub all_included: bool,
    /// The files it vouches for, by path below the suite's folder.
    pub files: BTreeMap<String, Listed>,
}

/// A file that a release vouches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// Its size in bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Sha256Digest,
}

impl Release {
    /// Verifies and parses an `InRelease`. Keys are judged at `now`: one that has expired or was revoked since is refused.
    ///
    /// # Errors
    /// No good signature of a trusted key, or a signed text that is not a release file.
    pub fn open(bytes: &[u8], keyring: &Keyring, now: SystemTime) -> Result<Self, ReleaseRefusal> {
        let signed = signature::verify(bytes, keyring, now)?;
        let mut release = parse::parse(&signed.text)?;
        release.digest = Sha256Digest::from_bytes(Sha256::digest(bytes).into());
        release.signer = signed.signer;
        Ok(release)
    }

    /// Judges a verified release: is it for the suite that was asked for, of the present, and no older than `seen`, the
    /// newest Date known of this suite?
    ///
    /// # Errors
    /// The first of these that does not hold.
    pub fn check(&self, asked: &str, now: SystemTime, seen: Option<u64>) -> Result<(), ReleaseRefusal> {
        let current = asked.replace("/updates", "-security");
        if ![&self.suite, &self.codename].iter().any(|name| **name == asked || **name == current) {
            let (suite, codename) = (self.suite.clone(), self.codename.clone());
            return Err(ReleaseRefusal::OtherSuite { asked: asked.to_owned(), suite, codename });
        }
        let now = seconds(now);
        if let Some(until) = self.valid_until.filter(|until| *until < now) {
            return Err(ReleaseRefusal::Expired { until, now });
        }
        if self.date > now.saturating_add(CLOCK_TOLERANCE.as_secs()) {
            return Err(ReleaseRefusal::FromTheFuture { date: self.date, now });
        }
        match seen {
            Some(seen) if self.date < seen => Err(ReleaseRefusal::RolledBack { date: self.date, seen }),
            _ => Ok(()),
        }
    }

    /// The package indexes of a component for an architecture, the best form of each: the architecture's own, and the one for
    /// all architectures where that is apart. Each is a path below the suite's folder.
    pub fn package_indexes(&self, component: &str, architecture: &str) -> Vec<(String, Listed)> {
        let mut architectures = vec![architecture];
        if !self.all_included && self.architectures.iter().any(|each| each == "all") {
            architectures.push("all");
        }
        let best = |architecture: &str| {
            [".xz", ".gz", ""].iter().find_map(|form| {
                let path = format!("{component}/binary-{architecture}/Packages{form}");
                self.files.get(&path).map(|listed| (path, *listed))
            })
        };
        architectures.into_iter().filter_map(best).collect()
    }

    /// The index of a component's source packages in its best form, as a path below the suite's folder.
    pub fn source_index(&self, component: &str) -> Option<(String, Listed)> {
        [".xz", ".gz", ""].iter().find_map(|form| {
            let path = format!("{component}/source/Sources{form}");
            self.files.get(&path).map(|listed| (path, *listed))
        })
    }
}

/// Checks a publisher's detached OpenPGP signature of a source, armoured or not. Keys are judged at `now`, as those of release
/// files are. Gives the fingerprint of the certificate that signed, upper-case hexadecimal.
///
/// # Errors
/// No good signature of a key that is in the keyring.
pub fn verify_detached(
    signature: &[u8],
    content: impl Read + Send + Sync,
    keyring: &Keyring,
    now: SystemTime,
) -> Result<String, ReleaseRefusal> {
    signature::verify_detached(signature, content, keyring, now)
}

/// Seconds since 1970; times before count as 0.
pub(crate) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
