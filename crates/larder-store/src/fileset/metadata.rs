//! What each kind of FileSet adds to its record.

use std::collections::BTreeMap;

use crate::fileset::InstallRules;
use crate::{Name, Sha256Digest};

/// Of plain files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FilesMetadata {
    /// How they are installed.
    pub install: InstallRules,
}

/// Of a package. The lists of requirements keep their order; each item is one comma part in Debian's syntax:
/// `libc6 (>= 2.36)`, `default-mta | mail-transport-agent`.
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
    /// The distribution in which its short names are looked up.
    pub from: Option<Name>,
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
}

/// Of a distribution. Reserved: nothing writes one yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DistributionMetadata {}
