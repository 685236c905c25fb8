//! What a view shows: the listing, checked.

use crate::error::RuntimeError;

/// What an entry of a view is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ViewKind {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// The BLAKE3 digest of its content, which names the object.
        object: [u8; 32],
        /// Its length in bytes; with 0 no object is needed.
        size: u64,
    },
    /// A symbolic link.
    Symlink {
        /// Where it points, 1 to 4095 bytes.
        target: Vec<u8>,
    },
}

/// One path of a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewEntry {
    /// The path from the container's root, without a leading slash.
    pub path: Vec<u8>,
    /// What is there.
    pub kind: ViewKind,
    /// Permission, set-id and sticky bits (at most 0o7777).
    pub mode: u16,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The modification time in seconds since 1970.
    pub mtime: u64,
    /// Extended attributes: `security.capability` and `user.*`, never `*.overlay.*`, in any order.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// The attributes of a view's root directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootAttributes {
    /// Permission bits (at most 0o7777).
    pub mode: u16,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The modification time in seconds since 1970.
    pub mtime: u64,
}

/// The listing of a view: sorted by path, each path once, every parent present as a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewTree {
    root: RootAttributes,
    entries: Vec<ViewEntry>,
}

impl ViewTree {
    /// Sorts and checks a listing.
    ///
    /// # Errors
    /// A path that is empty, absolute, too long or has `.`, `..` or an empty part; a path that is there twice or without
    /// its parent directory; a mode, link target or attribute outside the rules of [`ViewEntry`].
    pub fn new(root: RootAttributes, mut entries: Vec<ViewEntry>) -> Result<Self, RuntimeError> {
        // A parent is a prefix of its children, so it sorts before them.
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        let mut directories = std::collections::HashSet::new();
        let mut previous: Option<&[u8]> = None;
        for entry in &entries {
            check_entry(entry).map_err(|reason| refuse(entry, reason))?;
            if previous == Some(&entry.path) {
                return Err(refuse(entry, "it is listed twice"));
            }
            if let Some(slash) = entry.path.iter().rposition(|&byte| byte == b'/')
                && !directories.contains(&entry.path[..slash])
            {
                return Err(refuse(entry, "its parent is not a listed directory"));
            }
            if entry.kind == ViewKind::Directory {
                directories.insert(entry.path.as_slice());
            }
            previous = Some(&entry.path);
        }
        Ok(Self { root, entries })
    }

    /// The root directory's attributes.
    pub fn root(&self) -> &RootAttributes {
        &self.root
    }

    /// All paths below the root, sorted.
    pub fn entries(&self) -> &[ViewEntry] {
        &self.entries
    }
}

fn refuse(entry: &ViewEntry, reason: &'static str) -> RuntimeError {
    RuntimeError::ViewEntry { path: String::from_utf8_lossy(&entry.path).into_owned(), reason }
}

fn check_entry(entry: &ViewEntry) -> Result<(), &'static str> {
    if entry.path.len() > 4095 {
        return Err("the path is longer than 4095 bytes");
    }
    for part in entry.path.split(|&byte| byte == b'/') {
        if part.is_empty() || part == b"." || part == b".." || part.contains(&0) {
            return Err("the path is not plain and relative");
        }
        if part.len() > 255 {
            return Err("a part of the path is longer than 255 bytes");
        }
    }
    if entry.mode > 0o7777 {
        return Err("the mode has more than permission bits");
    }
    if entry.mtime > i64::MAX as u64 {
        return Err("the time is out of range");
    }
    if let ViewKind::Symlink { target } = &entry.kind
        && (target.is_empty() || target.len() > 4095 || target.contains(&0))
    {
        return Err("the link target is empty, too long or has a NUL byte");
    }
    for (index, (name, value)) in entry.xattrs.iter().enumerate() {
        check_attribute(&entry.kind, name, value)?;
        if entry.xattrs[..index].iter().any(|(other, _)| other == name) {
            return Err("an attribute is listed twice");
        }
    }
    Ok(())
}

fn check_attribute(kind: &ViewKind, name: &[u8], value: &[u8]) -> Result<(), &'static str> {
    if matches!(kind, ViewKind::Symlink { .. }) {
        return Err("a symlink has attributes");
    }
    let allowed = match name.strip_prefix(b"user.") {
        // An overlay attribute from outside could name any object of the store.
        Some(rest) => !rest.is_empty() && !rest.starts_with(b"overlay.") && name.len() <= 255,
        None => name == b"security.capability",
    };
    if !allowed || name.contains(&0) {
        return Err("an attribute is neither security.capability nor a plain user attribute");
    }
    if value.len() > 2048 {
        return Err("an attribute is longer than 2048 bytes");
    }
    Ok(())
}
