//! What can go wrong in the bridge.

use std::io;
use std::path::{Path, PathBuf};

use larder_store::Sha256Digest;
use thiserror::Error;

/// An error of the Debian bridge.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DebianError {
    /// The operating system refused something about a file of ours.
    #[error("can't {action} {}", path.display())]
    Io {
        /// What was tried: "read", "write", "create", "lock"…
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },

    /// A line of an apt source, release file or package index that can't be read.
    #[error("{place}, line {line}: {problem}")]
    Syntax {
        /// The file or address.
        place: String,
        /// The line's number, from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },

    /// No mirror is known for a suite.
    #[error("no mirror is known for the suite {suite}: {} names none that carries Debian", apt.display())]
    NoMirror {
        /// The suite that was asked for.
        suite: String,
        /// The apt folder that was read.
        apt: PathBuf,
    },

    /// An address that is neither http(s) nor file.
    #[error("{url} is no address of a mirror: {problem}")]
    BadMirror {
        /// The address.
        url: String,
        /// Why not.
        problem: String,
    },

    /// No key to verify a suite's signature with.
    #[error("no keyring to verify {suite} with: looked at {}", looked_at(tried))]
    NoKeyring {
        /// The suite.
        suite: String,
        /// Where keys were looked for.
        tried: Vec<String>,
    },

    /// A keyring that holds no readable key.
    #[error("the keyring {keyring} can't be used: {problem}")]
    BadKeyring {
        /// Its path, or the source that holds it.
        keyring: String,
        /// What is wrong.
        problem: String,
    },

    /// A suite name that can't be one.
    #[error("{suite:?} is not the name of a suite")]
    BadSuite {
        /// What was asked for.
        suite: String,
    },

    /// The mirror does not have the suite.
    #[error("the mirror {mirror} has no suite {suite} ({url} does not exist)")]
    NoSuchSuite {
        /// The suite.
        suite: String,
        /// The mirror's address.
        mirror: String,
        /// The release file that was asked for.
        url: String,
    },

    /// A release file that must not be trusted.
    #[error("the release file {url} is refused: {reason}")]
    Release {
        /// Where it came from.
        url: String,
        /// Why it is refused.
        reason: Box<ReleaseRefusal>,
    },

    /// The suite's release file does not list an index that is needed.
    #[error("{suite} has no packages for {component}/{architecture}; it has {}", offered.join(", "))]
    NoIndex {
        /// The suite.
        suite: String,
        /// The component, such as `main`.
        component: String,
        /// The architecture, such as `amd64`.
        architecture: String,
        /// What it has instead: `component/architecture`.
        offered: Vec<String>,
    },

    /// Bytes that differ from what the signed index vouches for.
    #[error(
        "{url} is not what the signed index lists: expected {expected_size} bytes with {expected}, received {received_size} bytes with {received}"
    )]
    Mismatch {
        /// Where they came from.
        url: String,
        /// The listed size in bytes.
        expected_size: u64,
        /// The listed digest.
        expected: Sha256Digest,
        /// The size received.
        received_size: u64,
        /// The digest of what was received.
        received: Sha256Digest,
    },

    /// A source whose bytes are not the pinned ones.
    #[error("{url} is not what was pinned: expected {expected}, received {received}")]
    SourceDigest {
        /// Where it came from.
        url: String,
        /// The pinned digest.
        expected: Sha256Digest,
        /// The digest of what was received.
        received: Sha256Digest,
    },

    /// A file whose announced size differs from the listed one.
    #[error(
        "{url} has another size than the signed index lists: expected {expected} bytes, the mirror offers {offered}"
    )]
    WrongSize {
        /// The address.
        url: String,
        /// The listed size in bytes.
        expected: u64,
        /// What the mirror offers, in bytes.
        offered: u64,
    },

    /// The mirror does not have a file.
    #[error("{url} does not exist on the mirror (status {status})")]
    Missing {
        /// The address.
        url: String,
        /// The HTTP status; 404 for a file mirror.
        status: u16,
    },

    /// The mirror answered with an error that trying again will not change.
    #[error("{url}: the mirror refused with status {status}")]
    Refused {
        /// The address.
        url: String,
        /// The HTTP status.
        status: u16,
    },

    /// The mirror could not be reached or kept failing.
    #[error("can't fetch {url}: {problem} ({})", tries(*attempts, *received, *total))]
    Unreachable {
        /// The address.
        url: String,
        /// What the last attempt ended with.
        problem: String,
        /// How often it was tried.
        attempts: u32,
        /// Bytes that arrived and are kept for the next try.
        received: u64,
        /// Size of the file, where known.
        total: Option<u64>,
    },

    /// Something must be fetched but the network may not be used.
    #[error("{what} is not in the cache, and the network is not to be used")]
    Offline {
        /// What is missing.
        what: String,
    },

    /// A file of the cache that is damaged.
    #[error("the cached index {} is damaged: {problem}", path.display())]
    DamagedIndex {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: &'static str,
    },

    /// A package index with more than the format can hold.
    #[error("the package index {url} is too large: {problem}")]
    TooLarge {
        /// The index.
        url: String,
        /// Which limit is passed.
        problem: &'static str,
    },

    /// A declaration that doesn't fit its package.
    #[error("the declarations of {package} are wrong: {problem}")]
    Declaration {
        /// The package.
        package: String,
        /// What is wrong.
        problem: String,
    },
}

fn tries(attempts: u32, received: u64, total: Option<u64>) -> String {
    let times = if attempts == 1 { "once".to_owned() } else { format!("{attempts} times") };
    match (received, total) {
        (0, _) => format!("tried {times}"),
        (_, None) => format!("tried {times}, {received} bytes received"),
        (_, Some(total)) => format!("tried {times}, {received} of {total} bytes received"),
    }
}

fn looked_at(tried: &[String]) -> String {
    if tried.is_empty() { "nothing (none configured)".to_owned() } else { tried.join(", ") }
}

impl DebianError {
    /// Wraps an I/O error with what was tried and on what; for `map_err`.
    pub(crate) fn io<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }
}

/// Why a release file is refused. Fingerprints are upper-case hexadecimal; times are seconds since 1970 (UTC).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReleaseRefusal {
    /// It carries no signature at all.
    #[error("it is not signed")]
    NotSigned,

    /// Signed, but by none of the trusted keys.
    #[error("it is signed by {}, which is not in the keyring {}", signers.join(" and "), keyrings.join(", "))]
    WrongKey {
        /// The keys that signed.
        signers: Vec<String>,
        /// The keyrings that were asked.
        keyrings: Vec<String>,
    },

    /// The text is not what was signed.
    #[error("its text was altered after {signer} signed it")]
    Tampered {
        /// The key whose signature does not match.
        signer: String,
    },

    /// A trusted key signed, but it has expired.
    #[error("the key {signer} that signed it has expired")]
    KeyExpired {
        /// The key.
        signer: String,
    },

    /// A trusted key signed, but it was revoked.
    #[error("the key {signer} that signed it was revoked")]
    KeyRevoked {
        /// The key.
        signer: String,
    },

    /// A key or signature that the policy does not accept.
    #[error("the signature of {signer} is not acceptable: {problem}")]
    Unacceptable {
        /// The key.
        signer: String,
        /// What the policy said.
        problem: String,
    },

    /// Bytes that are no clear-signed text, or more than that.
    #[error("it is no signature that can be read: {problem}")]
    Malformed {
        /// What is wrong.
        problem: String,
    },

    /// The signed text is not a release file.
    #[error("line {line}: {problem}")]
    Syntax {
        /// Line of the signed text, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },

    /// Its time is over.
    #[error("it was valid until {} and it is {} now; the mirror is stale or this machine's clock is wrong", show(*until), show(*now))]
    Expired {
        /// Its Valid-Until.
        until: u64,
        /// The time it was compared with.
        now: u64,
    },

    /// It is dated in the future.
    #[error("it is dated {}, after the present ({}); this machine's clock is wrong", show(*date), show(*now))]
    FromTheFuture {
        /// Its Date.
        date: u64,
        /// The time it was compared with.
        now: u64,
    },

    /// Older than one that was seen before.
    #[error("it is dated {}, but one of {} was seen before; the mirror is behind or replays an old state", show(*date), show(*seen))]
    RolledBack {
        /// Its Date.
        date: u64,
        /// The newest Date seen.
        seen: u64,
    },

    /// Another suite than was asked for.
    #[error("it is for {codename} ({suite}), not for {asked}")]
    OtherSuite {
        /// What was asked for.
        asked: String,
        /// Its Suite.
        suite: String,
        /// Its Codename.
        codename: String,
    },
}

fn show(seconds: u64) -> String {
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds.min(250_000_000_000)))
}
