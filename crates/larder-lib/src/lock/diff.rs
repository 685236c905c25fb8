//! What changed between two locks.

use std::fmt;

use larder_store::Name;

use super::{Lock, LockedPackage};

/// What became of the packages between two locks, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LockDiff {
    /// The packages that aren't the same; sorted by name.
    pub changes: Vec<(Name, Change)>,
}

/// What became of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Added {
        /// Its version.
        version: String,
    },
    /// It is gone.
    Removed {
        /// The version that it had.
        version: String,
    },
    /// It has another version.
    Version {
        /// The version that it had.
        old: String,
        /// The version that it has.
        new: String,
    },
    /// It has the same version and another content: the archive file was replaced, or converted by another rule.
    Content {
        /// Its version.
        version: String,
    },
    /// Its files are the same, and what is declared about it, or was captured of its scripts, isn't.
    Declarations {
        /// Its version.
        version: String,
    },
}

impl LockDiff {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added { version } => write!(f, "added {version}"),
            Self::Removed { version } => write!(f, "removed {version}"),
            Self::Version { old, new } => write!(f, "{old} -> {new}"),
            Self::Content { version } => write!(f, "{version}, other content"),
            Self::Declarations { version } => write!(f, "{version}, other declarations"),
        }
    }
}

pub(super) fn diff(old: &Lock, new: &Lock) -> LockDiff {
    let removed = old.packages.iter().filter(|(name, _)| !new.packages.contains_key(*name)).map(|(name, package)| {
        let version = package.version.clone();
        (name.clone(), Change::Removed { version })
    });
    let others = new.packages.iter().filter_map(|(name, package)| {
        let change = change(old.packages.get(name), package)?;
        Some((name.clone(), change))
    });
    let mut changes: Vec<_> = removed.chain(others).collect();
    changes.sort_by(|(a, _), (b, _)| a.cmp(b));
    LockDiff { changes }
}

fn change(old: Option<&LockedPackage>, new: &LockedPackage) -> Option<Change> {
    let version = new.version.clone();
    match old {
        None => Some(Change::Added { version }),
        Some(old) if old.version != new.version => Some(Change::Version { old: old.version.clone(), new: version }),
        Some(old) if old.fileset != new.fileset => Some(Change::Content { version }),
        Some(old) if (&old.declarations, &old.captured) != (&new.declarations, &new.captured) => {
            Some(Change::Declarations { version })
        }
        Some(_) => None,
    }
}
