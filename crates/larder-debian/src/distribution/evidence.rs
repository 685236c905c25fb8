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

/// One `.deb` of the archive, and the chain that vouches for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveFile {
    /// The package's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its architecture: `amd64` or `all`.
    pub architecture: String,
    /// Where it can be fetched, the preferred first.
    pub urls: Vec<String>,
    /// Its path in the archive: `pool/main/…`.
    pub filename: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Sha256Digest,
    /// The suite that lists it.
    pub suite: String,
    /// SHA-256 of the suite's release file.
    pub release: Sha256Digest,
    /// SHA-256 of the package index that lists it.
    pub index: Sha256Digest,
    /// Fingerprint of the certificate that signed the release file.
    pub signer: String,
}
