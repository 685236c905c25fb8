//! A host: its store, and how it reaches archives. What every operation works on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use larder_debian::Config as DebianConfig;
use larder_runtime::view::ViewKindName;
use larder_store::{Name, Store};

use crate::asks::consent::Grant;
use crate::keys::Keys;

/// Everything that an operation needs to know about where it runs.
pub struct Host {
    /// The host's content.
    pub store: Store,
    /// How the Debian archive is reached.
    pub debian: DebianConfig,
    /// The distribution of images that name none.
    pub distribution: Name,
    /// The keys that sign what is made here, and those that are trusted.
    pub keys: Keys,
    /// The only way in which views may be made; the first that works when absent.
    pub view: Option<ViewKindName>,
    /// What the operator allows images beyond the defaults, by name.
    pub allow: BTreeMap<Name, BTreeSet<Grant>>,
    /// The program to start supervisors with: this one.
    pub program: PathBuf,
    /// The present, in seconds since 1970. It goes into references and never into records.
    pub now: u64,
}

/// Debian's name for the architecture that this program was built for.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "i386",
        "powerpc64" => "ppc64el",
        other => other,
    }
}
