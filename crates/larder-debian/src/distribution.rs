//! A distribution: the suites that are known to work together.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use larder_store::Sha256Digest;

use crate::fetch::Retry;

/// Where suites, keys and cached files are found. Nothing here is read from the environment: the caller decides.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the archive is.
    pub mirrors: Mirrors,
    /// Keyrings (binary or armoured) to trust. When empty: the `Signed-By` of the apt source, else
    /// [`Config::system_keyrings`].
    pub keyrings: Vec<PathBuf>,
    /// The keyrings of last resort; those that do not exist are passed over.
    pub system_keyrings: Vec<PathBuf>,
    /// Folder for release files, indexes and downloads. Shared by processes; can be thrown away at any time.
    pub cache: PathBuf,
    /// Debian's name of the architecture: `amd64`, `arm64`…
    pub architecture: String,
    /// Components to read, in order; normally only `main`.
    pub components: Vec<String>,
    /// The present, for Valid-Until and the age of the cache.
    pub now: SystemTime,
    /// Never use the network; file mirrors may still be read.
    pub offline: bool,
    /// HTTP proxies; none are taken from the environment.
    pub proxies: Proxies,
    /// Connections used at once, at least 1.
    pub connections: usize,
    /// How stubbornly to fetch.
    pub retry: Retry,
}

impl Config {
    /// A configuration with the usual values: component main, six connections, the system's Debian keyring.
    pub fn new(mirrors: Mirrors, cache: impl Into<PathBuf>, architecture: impl Into<String>) -> Self {
        Self {
            mirrors,
            keyrings: Vec::new(),
            system_keyrings: [
                "/usr/share/keyrings/debian-archive-keyring.gpg",
                "/usr/share/keyrings/debian-archive-keyring.pgp",
            ]
            .map(PathBuf::from)
            .to_vec(),
            cache: cache.into(),
            architecture: architecture.into(),
            components: vec!["main".to_owned()],
            now: SystemTime::now(),
            offline: false,
            proxies: Proxies::default(),
            connections: 6,
            retry: Retry::default(),
        }
    }
}

/// Where the archive is.
#[derive(Debug, Clone)]
pub enum Mirrors {
    /// Read the machine's apt sources in this folder (`/etc/apt`): `sources.list` and `sources.list.d/`.
    Apt(PathBuf),
    /// Use these addresses (`http:`, `https:` or `file:`).
    Explicit {
        /// Carries the suite and its `-updates`.
        main: String,
        /// Carries `<suite>-security`. When absent, the address of `main` with `-security` appended is tried.
        security: Option<String>,
    },
}

/// HTTP proxies, as addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For `http:` mirrors.
    pub http: Option<String>,
    /// For `https:` mirrors.
    pub https: Option<String>,
}

/// Whether to ask the mirror for a newer state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresh {
    /// Only when nothing is cached.
    Never,
    /// When the cached state was last checked longer ago than this. An unreachable mirror is then a note.
    IfOlder(Duration),
    /// Now. An unreachable mirror is an error.
    Always,
}

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
