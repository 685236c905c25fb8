//! What a view shows: the listing, checked.

use crate::error::RuntimeError;

/// What an entry of a view is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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
    /// Permission, set-id and sticky bits (at most 0o7777). A link always shows 0o777.
    pub mode: u16,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The modification time in seconds since 1970.
    pub mtime: u64,
    /// Extended attributes: `security.capability` and `user.*`, never `*.overlay.*`, at most 3072 bytes of names and values,
    /// in any order.
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
    read_only: Vec<Vec<u8>>,
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
        let (mut previous, mut last_parent): (Option<&[u8]>, Option<&[u8]>) = (None, None);
        for entry in &entries {
            check_entry(entry).map_err(|reason| refuse(entry, reason))?;
            if previous == Some(&entry.path) {
                return Err(refuse(entry, "it is listed twice"));
            }
            if let Some(slash) = entry.path.iter().rposition(|&byte| byte == b'/') {
                let parent = &entry.path[..slash];
                // Neighbours mostly have one parent.
                if last_parent != Some(parent) && !directories.contains(parent) {
                    return Err(refuse(entry, "its parent is not a listed directory"));
                }
                last_parent = Some(parent);
            }
            if entry.kind == ViewKind::Directory {
                directories.insert(entry.path.as_slice());
            }
            previous = Some(&entry.path);
        }
        Ok(Self { root, entries, read_only: Vec::new() })
    }

    /// Says which directories of the root packages alone write to: nothing is written there over a view, unless that is asked for.
    #[must_use]
    pub fn with_read_only(mut self, names: impl IntoIterator<Item = Vec<u8>>) -> Self {
        self.read_only = names.into_iter().collect();
        self
    }

    /// The names of the directories of the root that only packages write to.
    pub fn read_only(&self) -> &[Vec<u8>] {
        &self.read_only
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
    for (index, (name, _)) in entry.xattrs.iter().enumerate() {
        check_attribute(&entry.kind, name)?;
        if entry.xattrs[..index].iter().any(|(other, _)| other == name) {
            return Err("an attribute is listed twice");
        }
    }
    // Some file systems keep them in one block of 4096 bytes, together with what a view needs of its own.
    if entry.xattrs.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > 3072 {
        return Err("the attributes are longer than 3072 bytes together");
    }
    Ok(())
}

fn check_attribute(kind: &ViewKind, name: &[u8]) -> Result<(), &'static str> {
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
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: RootAttributes = RootAttributes { mode: 0o755, uid: 0, gid: 0, mtime: 0 };

    fn entry(path: &str, kind: ViewKind) -> ViewEntry {
        ViewEntry { path: path.into(), kind, mode: 0o755, uid: 0, gid: 0, mtime: 0, xattrs: Vec::new() }
    }

    fn file(path: &str) -> ViewEntry {
        entry(path, ViewKind::File { object: [1; 32], size: 1 })
    }

    fn directory(path: &str) -> ViewEntry {
        entry(path, ViewKind::Directory)
    }

    fn reason(entries: Vec<ViewEntry>) -> &'static str {
        match ViewTree::new(ROOT, entries).unwrap_err() {
            RuntimeError::ViewEntry { reason, .. } => reason,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn entries_are_sorted_by_bytes() {
        let tree = ViewTree::new(ROOT, vec![file("a/c"), file("a-b"), directory("a")]).unwrap();
        let paths: Vec<_> = tree.entries().iter().map(|entry| entry.path.as_slice()).collect();
        assert_eq!(paths, [b"a".as_slice(), b"a-b", b"a/c"]);
    }

    #[test]
    fn paths_are_plain_and_have_parents() {
        for path in ["", "/a", "a/", "a//b", ".", "a/../b", "a\0"] {
            assert_eq!(reason(vec![directory("a"), file(path)]), "the path is not plain and relative", "{path:?}");
        }
        assert_eq!(reason(vec![file(&"a".repeat(256))]), "a part of the path is longer than 255 bytes");
        assert_eq!(reason(vec![file("a/b")]), "its parent is not a listed directory");
        assert_eq!(reason(vec![file("a"), file("a/b")]), "its parent is not a listed directory");
        assert_eq!(reason(vec![file("a"), directory("a")]), "it is listed twice");
    }

    #[test]
    fn no_attribute_leads_into_the_store() {
        let refused = "an attribute is neither security.capability nor a plain user attribute";
        for name in [
            "user.overlay.redirect",
            "trusted.overlay.redirect",
            "security.selinux",
            "user.",
            "system.posix_acl_access",
        ] {
            let mut hostile = file("a");
            hostile.xattrs.push((name.into(), b"/00/11".to_vec()));
            assert_eq!(reason(vec![hostile]), refused, "{name}");
        }
    }

    #[test]
    fn attributes_fit_everywhere() {
        let with = |xattrs: Vec<(Vec<u8>, Vec<u8>)>| vec![ViewEntry { xattrs, ..file("a") }];
        let attribute = |name: &str, size: usize| (name.as_bytes().to_vec(), vec![1; size]);
        ViewTree::new(ROOT, with(vec![attribute("user.a", 1500), attribute("user.b", 1500)])).unwrap();
        assert_eq!(reason(with(vec![attribute("user.a", 1), attribute("user.a", 2)])), "an attribute is listed twice");
        assert_eq!(reason(with(vec![attribute("user.a", 4000)])), "the attributes are longer than 3072 bytes together");
        let link = ViewEntry {
            xattrs: vec![attribute("user.a", 1)],
            ..entry("l", ViewKind::Symlink { target: b"x".to_vec() })
        };
        assert_eq!(reason(vec![link]), "a symlink has attributes");
    }

    #[test]
    fn modes_times_and_targets_are_in_range() {
        assert_eq!(reason(vec![ViewEntry { mode: 0o10644, ..file("a") }]), "the mode has more than permission bits");
        assert_eq!(reason(vec![ViewEntry { mtime: u64::MAX, ..file("a") }]), "the time is out of range");
        for target in [Vec::new(), vec![b'x'; 4096], b"a\0".to_vec()] {
            let link = entry("l", ViewKind::Symlink { target });
            assert_eq!(reason(vec![link]), "the link target is empty, too long or has a NUL byte");
        }
    }
}
