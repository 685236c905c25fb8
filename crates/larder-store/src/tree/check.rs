//! The rules and limits of a Tree, apart from its bytes.

use thiserror::Error;

use super::{Attributes, Entry, ROOT, TreeEntry};
use crate::TreePath;
use crate::path::PathError;

/// The largest number of entries.
pub const MAX_ENTRIES: usize = 1 << 20;
/// The longest encoding, in bytes.
pub const MAX_ENCODED: usize = 256 << 20;
/// The largest file, in bytes.
pub const MAX_FILE_SIZE: u64 = (1 << 53) - 1;
/// The longest link target, in bytes (Linux's `PATH_MAX` less the NUL).
pub const MAX_TARGET: usize = 4095;
/// The longest owner's or group's name, in bytes.
pub const MAX_OWNER: usize = 32;
/// The largest number of extended attributes of an entry.
pub const MAX_XATTRS: usize = 64;
/// The longest name of an extended attribute, in bytes.
pub const MAX_XATTR_NAME: usize = 255;
/// The longest value of an extended attribute, in bytes.
pub const MAX_XATTR_VALUE: usize = 65535;

/// Why entries, or bytes, are not a Tree.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TreeError {
    /// Bytes that no Tree is encoded to.
    #[error("the encoded tree is wrong at byte {position}: {reason}")]
    Encoding {
        /// Offset of the first wrong item.
        position: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// A path that can't stand in a tree.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Entries that are not in strict order, in encoded bytes.
    #[error("the tree's paths are not sorted at {path}")]
    Unsorted {
        /// The first path that is out of order.
        path: TreePath,
    },
    /// Two entries with one path.
    #[error("{path} stands twice in the tree")]
    Duplicate {
        /// The path.
        path: TreePath,
    },
    /// An entry whose parent isn't one.
    #[error("{path} stands in the tree without its parent directory")]
    MissingParent {
        /// The entry.
        path: TreePath,
    },
    /// An entry below a file or symlink.
    #[error("{path} stands below something that is not a directory")]
    ParentNotDirectory {
        /// The entry.
        path: TreePath,
    },
    /// More entries than a Tree may have.
    #[error("the tree has {entries} entries; the limit is {MAX_ENTRIES}")]
    TooManyEntries {
        /// How many there are.
        entries: u64,
    },
    /// More bytes than an encoded Tree may have.
    #[error("the encoded tree has {bytes} bytes; the limit is {MAX_ENCODED}")]
    TooLarge {
        /// How many there are.
        bytes: u64,
    },
    /// An entry or attribute that breaks a rule.
    #[error("{path}: {rule}")]
    Entry {
        /// The entry.
        path: TreePath,
        /// The rule that it breaks.
        rule: EntryError,
    },
}

/// The rule that an entry or its attributes break.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EntryError {
    /// More bytes than a file may have.
    #[error("the file's size is beyond 2^53-1 bytes")]
    FileSize,
    /// Not 1 to 4095 bytes, or a NUL among them.
    #[error("the link target must be 1 to 4095 bytes without NUL")]
    Target,
    /// More than the twelve permission bits.
    #[error("mode {0:o} is beyond 7777")]
    Mode(u16),
    /// A mode that says what goes without saying.
    #[error("mode {0:o} is the default and must be left out")]
    DefaultMode(u16),
    /// A symlink with a mode or extended attributes.
    #[error("a symlink has neither mode nor extended attributes")]
    OnSymlink,
    /// An owner or group that is `root`, which goes without saying.
    #[error("root as owner or group must be left out")]
    DefaultOwner,
    /// Not a user's or group's name.
    #[error("{0:?} is not a name of a user or group")]
    OwnerName(String),
    /// Too many extended attributes.
    #[error("there are more than 64 extended attributes")]
    TooManyXattrs,
    /// An extended attribute that may not stand in a tree.
    #[error("the extended attribute {0:?} can't stand in a tree")]
    XattrName(String),
    /// An extended attribute whose value is too long.
    #[error("the value of the extended attribute {0:?} is longer than 65535 bytes")]
    XattrValue(String),
}

/// Checks entries that should be sorted.
pub(super) fn entries(entries: &[TreeEntry]) -> Result<(), TreeError> {
    if entries.len() > MAX_ENTRIES {
        return Err(TreeError::TooManyEntries { entries: entries.len() as u64 });
    }
    // Most entries share their parent with the one before.
    let mut known_parent: &[u8] = b"";
    for (at, entry) in entries.iter().enumerate() {
        let path = entry.path.as_bytes();
        if let Some(previous) = at.checked_sub(1).map(|i| entries[i].path.as_bytes()) {
            if previous == path {
                return Err(TreeError::Duplicate { path: entry.path.clone() });
            }
            if previous > path {
                return Err(TreeError::Unsorted { path: entry.path.clone() });
            }
        }
        if let Some(end) = path.iter().rposition(|&b| b == b'/')
            && known_parent != &path[..end]
        {
            let found = entries[..at].binary_search_by(|e| e.path.as_bytes().cmp(&path[..end]));
            match found.map(|i| &entries[i].entry) {
                Ok(Entry::Directory) => known_parent = &path[..end],
                Ok(_) => return Err(TreeError::ParentNotDirectory { path: entry.path.clone() }),
                Err(_) => return Err(TreeError::MissingParent { path: entry.path.clone() }),
            }
        }
        check(entry).map_err(|rule| TreeError::Entry { path: entry.path.clone(), rule })?;
    }
    Ok(())
}

/// Checks one entry by itself.
pub(super) fn check(TreeEntry { entry, attributes, .. }: &TreeEntry) -> Result<(), EntryError> {
    match entry {
        Entry::File { size, .. } if *size > MAX_FILE_SIZE => return Err(EntryError::FileSize),
        Entry::Symlink { target } if !(1..=MAX_TARGET).contains(&target.len()) || target.contains(&0) => {
            return Err(EntryError::Target);
        }
        _ => {}
    }
    if attributes.is_default() {
        return Ok(());
    }
    if matches!(entry, Entry::Symlink { .. }) && (attributes.mode.is_some() || !attributes.xattrs.is_empty()) {
        return Err(EntryError::OnSymlink);
    }
    match attributes.mode {
        Some(mode) if mode > 0o7777 => return Err(EntryError::Mode(mode)),
        Some(mode) if mode == entry.default_mode() => return Err(EntryError::DefaultMode(mode)),
        _ => {}
    }
    for name in [&attributes.owner, &attributes.group].into_iter().flatten() {
        check_owner(name)?;
    }
    check_xattrs(entry, attributes)
}

/// A name as `useradd` takes them: letters, digits and `_.-`, not beginning with `-` or `.`, not only digits, at
/// most one `$` and that at the end.
fn check_owner(name: &str) -> Result<(), EntryError> {
    if name == ROOT {
        return Err(EntryError::DefaultOwner);
    }
    let stem = name.strip_suffix('$').unwrap_or(name);
    let good = (1..=MAX_OWNER).contains(&name.len())
        && stem.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && stem.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
        && !name.bytes().all(|b| b.is_ascii_digit());
    if good { Ok(()) } else { Err(EntryError::OwnerName(name.to_owned())) }
}

fn check_xattrs(entry: &Entry, attributes: &Attributes) -> Result<(), EntryError> {
    if attributes.xattrs.len() > MAX_XATTRS {
        return Err(EntryError::TooManyXattrs);
    }
    for (name, value) in &attributes.xattrs {
        let shown = || String::from_utf8_lossy(name).into_owned();
        let capability = &**name == b"security.capability" && matches!(entry, Entry::File { .. });
        let user = name.starts_with(b"user.") && name.len() > b"user.".len();
        let overlay = name.split(|&b| b == b'.').any(|part| part == b"overlay");
        if !(capability || user) || overlay || name.len() > MAX_XATTR_NAME || name.contains(&0) {
            return Err(EntryError::XattrName(shown()));
        }
        if value.len() > MAX_XATTR_VALUE {
            return Err(EntryError::XattrValue(shown()));
        }
    }
    Ok(())
}
