//! What stands where, before owners have names: the common ground of folders and layers.

use std::collections::BTreeMap;
use std::ops::Bound;

use larder_debian::convert::usr_merged;
use larder_store::tree::{MAX_ENCODED, MAX_ENTRIES, TreeError};
use larder_store::{Entry, TreePath};

use super::{ImportError, Privileges};

/// The directories that the kernel and Larder fill.
const RESERVED: [&[u8]; 4] = [b"dev", b"packages", b"proc", b"sys"];
/// The attribute that a file's capabilities are in.
pub(super) const CAPABILITY: &[u8] = b"security.capability";

/// One path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) entry: Entry,
    /// Permission bits, set-id and sticky included.
    pub(super) mode: u16,
    pub(super) owner: Who,
    pub(super) group: Who,
    pub(super) xattrs: Xattrs,
}

/// Extended attributes by name.
pub(super) type Xattrs = BTreeMap<Box<[u8]>, Box<[u8]>>;

/// An owner or group as the source has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Who {
    pub(super) id: u64,
    /// Empty where the source gives none.
    pub(super) name: Vec<u8>,
}

/// Paths with what stands there.
pub(super) type Nodes = BTreeMap<TreePath, Node>;

/// Nodes under a bound: what is more than a Tree may have is refused as it comes.
#[derive(Debug, Default)]
pub(super) struct Collected {
    pub(super) nodes: Nodes,
    bytes: usize,
}

impl Collected {
    /// Adds a path. Of two the last counts, as it does when a tar archive is unpacked.
    pub(super) fn add(&mut self, path: TreePath, node: Node) -> Result<(), ImportError> {
        let target = if let Entry::Symlink { target } = &node.entry { target.len() } else { 0 };
        let xattrs: usize = node.xattrs.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.bytes += path.as_bytes().len() + target + xattrs + node.owner.name.len() + node.group.name.len();
        if self.bytes > MAX_ENCODED {
            return Err(TreeError::TooLarge { bytes: self.bytes as u64 }.into());
        }
        if self.nodes.len() >= MAX_ENTRIES {
            return Err(TreeError::TooManyEntries { entries: self.nodes.len() as u64 + 1 }.into());
        }
        self.nodes.insert(path, node);
        Ok(())
    }
}

/// Where a path of the source goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The root.
    Root,
    /// A link into `/usr` that a composer makes.
    Alias,
    /// A directory that the kernel fills.
    Reserved(TreePath, String),
    /// Here.
    At(TreePath),
}

/// Where a path goes that is written relative, with or without `./` before and a slash behind it.
pub(super) fn place(raw: &[u8]) -> Result<Place, ImportError> {
    let path = raw.strip_prefix(b"./").unwrap_or(raw);
    let path = path.strip_suffix(b"/").unwrap_or(path);
    if matches!(path, b"" | b".") && !raw.starts_with(b"/") {
        return Ok(Place::Root);
    }
    let path = TreePath::new(path)?;
    let top = path.as_bytes().split(|&b| b == b'/').next().unwrap_or_default();
    if RESERVED.contains(&top) {
        let top = String::from_utf8_lossy(top).into_owned();
        return Ok(Place::Reserved(path, top));
    }
    Ok(usr_merged(path)?.map_or(Place::Alias, Place::At))
}

/// In a link's place there may be the link itself, or the directory that merged-/usr empties.
pub(super) fn check_alias(raw: &[u8], entry: Option<&[u8]>) -> Result<(), ImportError> {
    let path = raw.strip_prefix(b"./").unwrap_or(raw);
    let path = path.strip_suffix(b"/").unwrap_or(path);
    let fits = entry.is_none_or(|target| {
        let target = target.strip_prefix(b"/").unwrap_or(target);
        target.strip_prefix(b"usr/").is_some_and(|rest| rest.strip_suffix(b"/").unwrap_or(rest) == path)
    });
    if fits { Ok(()) } else { Err(ImportError::Alias { path: String::from_utf8_lossy(path).into_owned() }) }
}

/// Refuses what raises privileges, where that isn't wanted. A directory's set-group-id bit raises nobody's.
pub(super) fn check_privileges(
    path: &TreePath,
    entry: &Entry,
    mode: u16,
    xattrs: &Xattrs,
    privileges: Privileges,
) -> Result<(), ImportError> {
    if privileges == Privileges::Kept || !matches!(entry, Entry::File { .. }) {
        return Ok(());
    }
    let refused = |what| Err(ImportError::Privileged { path: path.clone(), what });
    match mode {
        mode if mode & 0o4000 != 0 => refused("it is set-user-id"),
        mode if mode & 0o2000 != 0 => refused("it is set-group-id"),
        _ if xattrs.contains_key(CAPABILITY) => refused("it has file capabilities"),
        _ => Ok(()),
    }
}

/// Removes everything strictly below a path.
pub(super) fn remove_below(nodes: &mut Nodes, path: &TreePath) {
    let start = [path.as_bytes(), b"/"].concat();
    let range = (Bound::Excluded(&start[..]), Bound::Unbounded);
    let below: Vec<TreePath> = nodes
        .range::<[u8], _>(range)
        .map(|(at, _)| at)
        .take_while(|at| at.is_below(path.as_bytes()))
        .cloned()
        .collect();
    for at in below {
        nodes.remove(&at);
    }
}

/// Whether all parents of a path are directories, or not there yet.
pub(super) fn check_parents(nodes: &Nodes, path: &TreePath) -> Result<(), ImportError> {
    for parent in path.ancestors() {
        match nodes.get(&parent) {
            None => {}
            // Its own parents were looked at when it came.
            Some(Node { entry: Entry::Directory, .. }) => return Ok(()),
            Some(_) => return Err(ImportError::BelowFile { path: path.clone(), parent }),
        }
    }
    Ok(())
}
