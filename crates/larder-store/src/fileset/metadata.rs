//! What each kind of FileSet adds to its record.

use std::collections::BTreeMap;

use crate::fileset::{HostAsks, InstallRules};
use crate::{Name, Sha256Digest, TreePath};

/// The life-cycle actions that a package or image may declare. `start` is what `run` means in an image.
pub const ACTIONS: &[&str] = &["metrics", "monitor", "start", "validate"];

/// Commands by action ([`ACTIONS`]): each a program and its arguments, never empty. An image inherits those of its packages and may
/// say its own.
pub type Actions = BTreeMap<String, Vec<String>>;

/// Of plain files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FilesMetadata {
    /// How they are installed.
    pub install: InstallRules,
}

/// Of a package. The lists of requirements keep their order; each item is one comma part in Debian's syntax:
/// `libc6 (>= 2.36)`, `default-mta | mail-transport-agent`. A short name is of the package's own domain; others are
/// written in full: `debian.org/libc6 (>= 2.36)`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackageMetadata {
    /// What must be there (Depends and Pre-Depends).
    pub requires: Vec<String>,
    /// What usually should be there.
    pub recommends: Vec<String>,
    /// The names that it also answers to.
    pub provides: Vec<String>,
    /// What can't be there.
    pub conflicts: Vec<String>,
    /// Which earlier versions of others don't work with it.
    pub breaks: Vec<String>,
    /// Whose files it may take over.
    pub replaces: Vec<String>,
    /// Debian's Multi-Arch field.
    pub multi_arch: Option<String>,
    /// Whether other packages assume it without naming it.
    pub essential: bool,
    /// One line.
    pub description: String,
    /// The archive's section, such as `libs`.
    pub section: String,
    /// The project's page.
    pub homepage: Option<String>,
    /// The licence, as an SPDX expression where known.
    pub licence: Option<String>,
    /// Source package and its version: `openssl 3.0.17-1~deb12u2`.
    pub source: Option<String>,
    /// Who maintains it.
    pub maintainer: Option<String>,
    /// What it was converted from.
    pub origin: Option<Origin>,
    /// What it may be put in the place of: a set, in the syntax of requirements (`debian.org/openssl (>= 3)`).
    pub stands_in_for: Vec<String>,
    /// What it asks of the host.
    pub asks: HostAsks,
    /// What can be done with it when it runs.
    pub actions: Actions,
    /// Which of its files are its default configuration: a set.
    pub configuration: Vec<TreePath>,
    /// Where its documentation is: a set of addresses.
    pub documentation: Vec<String>,
    /// How it is installed.
    pub install: InstallRules,
}

/// What a package was converted from, and by which frozen rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The `.deb`.
    pub deb: Sha256Digest,
    /// The rule's name, such as `deb/1`.
    pub rule: String,
}

/// Of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageMetadata {
    /// The distributions in which its short names are looked up: a set.
    pub from: Vec<Name>,
    /// `essential` or `none`.
    pub base: String,
    /// Whether Recommends are followed.
    pub recommends: bool,
    /// The packages asked for, with their pins: a set.
    pub packages: Vec<String>,
    /// The command and its arguments.
    pub run: Vec<String>,
    /// The environment.
    pub env: BTreeMap<String, String>,
    /// The user that the command runs as.
    pub user: Option<String>,
    /// The directory that the command starts in.
    pub workdir: Option<String>,
    /// The signal that asks it to end.
    pub stop_signal: Option<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Each composer's pinned version, so that one digest means one content everywhere.
    pub composers: BTreeMap<String, u64>,
    /// Which packages stand in for others: a set.
    pub overrides: Vec<Override>,
    /// What it asks of the host, besides what its packages do.
    pub asks: HostAsks,
    /// What can be done with it when it runs; over those of its packages.
    pub actions: Actions,
    /// Where its documentation is: a set of addresses.
    pub documentation: Vec<String>,
}

/// One package in the place of another, whose publisher's guarantee is void for this image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Override {
    /// The package that was replaced.
    pub of: Name,
    /// The package that stands in for it.
    pub by: Name,
    /// Why it was forced, where the package doesn't say that it can stand in.
    pub forced: Option<String>,
}

/// Of a distribution. Its packages are its imports, pinned as those of an image are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DistributionMetadata {
    /// One line.
    pub description: String,
    /// The project's page.
    pub homepage: Option<String>,
    /// The distributions that its packages came from: a set.
    pub from: Vec<Name>,
}
