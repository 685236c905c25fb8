//! What vouches for a distribution's content.

use larder_store::Sha256Digest;

/// What a distribution's content rests on: one signed release file for each suite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The suites that are read, in order of preference for equal versions.
    pub suites: Vec<SuiteEvidence>,
    /// Suites that belong to the distribution but that its mirror does not have.
    pub absent: Vec<AbsentSuite>,
}

/// One suite's signed state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuiteEvidence {
    /// Its name on the mirror: `bookworm-updates`.
    pub suite: String,
    /// The signed Origin, such as `Debian`.
    pub origin: String,
    /// The signed Codename.
    pub codename: String,
    /// SHA-256 of the release file (InRelease) as received.
    pub release: Sha256Digest,
    /// Its signed Date, in seconds since 1970.
    pub date: u64,
    /// Its signed Valid-Until, in seconds since 1970.
    pub valid_until: Option<u64>,
    /// Fingerprint of the certificate (primary key) that signed it, upper-case hexadecimal.
    pub signer: String,
    /// SHA-256 of each package index as fetched, in order.
    pub indexes: Vec<Sha256Digest>,
    /// The mirror it came from.
    pub mirror: String,
    /// When the mirror was last asked, in seconds since 1970.
    pub checked: u64,
}

/// A suite that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AbsentSuite {
    /// Its name: `bookworm-security`.
    pub suite: String,
    /// Why it is not read.
    pub reason: String,
}
