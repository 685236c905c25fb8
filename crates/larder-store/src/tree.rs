//! The canonical listing of a FileSet's files: paths, kinds, modes, owners' names, link targets and content digests.
//!
//! Absent on purpose: times (a file shows its FileSet's one time), numeric owners (a composer gives the numbers), device
//! nodes, sockets, hard links (equal digests say the same) and every `*.overlay.*` attribute.

use std::collections::BTreeMap;

use crate::{ObjectDigest, TreeDigest, TreePath};

mod build;
mod check;
mod codec;

pub use build::TreeBuilder;
pub use check::{
    EntryError, MAX_ENCODED, MAX_ENTRIES, MAX_FILE_SIZE, MAX_OWNER, MAX_TARGET, MAX_XATTR_NAME, MAX_XATTRS,
};
pub use check::{MAX_XATTR_VALUE, TreeError};

/// The owner and group that go without saying.
pub(crate) const ROOT: &str = "root";

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

    /// Leaves out what only repeats the default of an entry: the usual mode, `root`.
    pub fn normal_for(mut self, entry: &Entry) -> Self {
        self.mode = self.mode.filter(|&mode| mode != entry.default_mode());
        self.owner = self.owner.filter(|name| name != ROOT);
        self.group = self.group.filter(|name| name != ROOT);
        self
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
    /// Sorts the entries and checks them against every rule of the format.
    ///
    /// # Errors
    /// Duplicates, missing parents, attributes that repeat a default or don't fit the kind, anything beyond the limits.
    pub fn new(mut entries: Vec<TreeEntry>) -> Result<Self, TreeError> {
        entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Self::from_sorted(entries)
    }

    /// The same for entries that must already be in order.
    fn from_sorted(entries: Vec<TreeEntry>) -> Result<Self, TreeError> {
        check::entries(&entries)?;
        Ok(Self { entries })
    }

    /// The entries, sorted by raw path bytes.
    pub fn entries(&self) -> &[TreeEntry] {
        &self.entries
    }

    /// What stands at a path.
    pub fn get(&self, path: &[u8]) -> Option<&TreeEntry> {
        let at = self.entries.binary_search_by(|e| e.path.as_bytes().cmp(path)).ok()?;
        Some(&self.entries[at])
    }

    /// The sum of all files' sizes, in bytes; equal contents count each time.
    pub fn content_bytes(&self) -> u64 {
        self.files().fold(0, |sum, (_, size)| sum.saturating_add(size))
    }

    /// The digest and size of each regular file, in the order of the paths; equal contents come each time.
    pub fn files(&self) -> impl Iterator<Item = (ObjectDigest, u64)> {
        self.entries.iter().filter_map(|e| match e.entry {
            Entry::File { digest, size, .. } => Some((digest, size)),
            _ => None,
        })
    }

    /// The digest of the encoded listing: its identity.
    pub fn digest(&self) -> TreeDigest {
        TreeDigest::of(&self.encode())
    }
}
