//! The canonical listing of a FileSet's files: paths, kinds, modes, owners' names, link targets and content digests.
//!
//! Absent on purpose: times (a file shows its FileSet's one time), numeric owners (a composer gives the numbers), device
//! nodes, sockets, hard links (equal digests say the same) and every `*.overlay.*` attribute.

use std::collections::BTreeMap;

use crate::{ObjectDigest, TreePath};

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A directory. Every parent of an entry is itself an entry.
    Directory,
    /// A regular file.
    File {
        /// The digest of its content.
        digest: ObjectDigest,
        /// Its length in bytes.
        size: u64,
        /// Whether its default mode is 0755 rather than 0644.
        executable: bool,
    },
    /// A symbolic link, kept verbatim.
    Symlink {
        /// 1 to 4095 bytes, no NUL.
        target: Box<[u8]>,
    },
}

/// What differs from the default: `root:root`, 0755 for directories and executables, 0644 for other files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    /// The permission bits with set-id and sticky (0..=0o7777) where they aren't the default. Never for a symlink.
    pub mode: Option<u16>,
    /// The owner's name, where it isn't `root`.
    pub owner: Option<String>,
    /// The group's name, where it isn't `root`.
    pub group: Option<String>,
    /// `security.capability` and `user.*` attributes; never `*.overlay.*`.
    pub xattrs: BTreeMap<Box<[u8]>, Box<[u8]>>,
}

impl Attributes {
    /// Whether nothing differs from the default.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// One path of a Tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry {
    /// Where.
    pub path: TreePath,
    /// What.
    pub entry: Entry,
    /// With which differing attributes.
    pub attributes: Attributes,
}

impl TreeEntry {
    /// The permission bits that this entry shows: those given, or the default of its kind.
    pub fn mode(&self) -> u16 {
        self.attributes.mode.unwrap_or_else(|| self.entry.default_mode())
    }
}

impl Entry {
    /// 0755 for directories and executables, 0644 for other files, 0777 for symlinks.
    pub fn default_mode(&self) -> u16 {
        match self {
            Self::Directory | Self::File { executable: true, .. } => 0o755,
            Self::File { executable: false, .. } => 0o644,
            Self::Symlink { .. } => 0o777,
        }
    }
}

/// A canonical listing: sorted by raw path bytes, no duplicates, every parent present as a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    entries: Vec<TreeEntry>,
}

impl Tree {
    /// The entries, sorted by raw path bytes.
    pub fn entries(&self) -> &[TreeEntry] {
        &self.entries
    }
}
