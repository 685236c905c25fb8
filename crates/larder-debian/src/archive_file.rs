//! A file of the archive, as its signed indexes list it.

use larder_store::Sha256Digest;

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
