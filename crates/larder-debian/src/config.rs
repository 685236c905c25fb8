//! What a caller decides.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

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
    /// Only when nothing usable is cached. A cached state whose Valid-Until has passed is a note.
    Never,
    /// When the cached state was last checked longer ago than this. An unreachable mirror is then a note.
    IfOlder(Duration),
    /// Now. An unreachable mirror is an error.
    Always,
}

/// How often and how fast a failed transfer is tried again. Only failures that may pass are: connections that fail,
/// stall or end early, and statuses that ask to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Attempts in a row without a new byte before giving up, at least 1.
    pub attempts: u32,
    /// The pause before the second attempt; it doubles each time up to ten seconds.
    pub pause: Duration,
    /// A connection that is silent for this long has failed.
    pub silence: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 5, pause: Duration::from_millis(300), silence: Duration::from_secs(30) }
    }
}
