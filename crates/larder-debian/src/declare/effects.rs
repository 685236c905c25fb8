//! What scripts, payload and table ask for, collected before it becomes a FileSet.

use std::collections::BTreeMap;

use larder_store::fileset::{AlternativeRule, DiversionRule, GroupRule, UserRule};
use larder_store::{Entry, Tree, TreePath};

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Made {
    Directory,
    /// A copy of one of the package's own files.
    Copy(TreePath),
    Text(Vec<u8>),
    Symlink(Vec<u8>),
    /// The package's own entry, with other attributes.
    Own,
}

/// What is made at a path, and what of its attributes is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) made: Made,
    pub(super) mode: Option<u16>,
    pub(super) owner: Option<String>,
    pub(super) group: Option<String>,
    pub(super) capability: Option<Vec<u8>>,
}

impl Node {
    pub(super) fn new(made: Made) -> Self {
        Self { made, mode: None, owner: None, group: None, capability: None }
    }
}

/// Everything that is asked for. Keys make each thing once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Effects {
    pub(super) users: BTreeMap<String, UserRule>,
    pub(super) groups: BTreeMap<String, GroupRule>,
    pub(super) alternatives: BTreeMap<(String, TreePath), AlternativeRule>,
    pub(super) diversions: BTreeMap<TreePath, DiversionRule>,
    pub(super) shells: Vec<String>,
    pub(super) nodes: BTreeMap<TreePath, Node>,
}

impl Effects {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The node at a path: made before, or the package's own.
    pub(super) fn at(&mut self, path: &TreePath, tree: &Tree) -> Option<&mut Node> {
        if !self.nodes.contains_key(path) {
            let own = tree.get(path.as_bytes())?;
            if matches!(own.entry, Entry::Symlink { .. }) {
                return None;
            }
            self.nodes.insert(path.clone(), Node::new(Made::Own));
        }
        self.nodes.get_mut(path)
    }

    /// A user as `adduser --system` makes it.
    pub(super) fn user(&mut self, user: UserRule) {
        self.groups.entry(user.group.clone()).or_insert_with(|| GroupRule { name: user.group.clone(), gid: user.uid });
        self.users.insert(user.name.clone(), user);
    }

    /// Lays what the table says over what was derived.
    pub(super) fn overlay(&mut self, other: Self) {
        self.users.extend(other.users);
        self.groups.extend(other.groups);
        self.alternatives.extend(other.alternatives);
        self.diversions.extend(other.diversions);
        self.shells.extend(other.shells);
        self.nodes.extend(other.nodes);
    }
}

/// A path as a script writes it, as a path in the Tree: absolute, slashes joined, merged-/usr and `/run` applied.
pub(super) fn tree_path(path: &str) -> Option<TreePath> {
    let path = path.strip_prefix('/')?;
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let path = parts.join("/");
    for (from, to) in [("var/run", "run"), ("var/lock", "run/lock")] {
        if let Some(rest) = path.strip_prefix(from)
            && rest.starts_with('/')
        {
            return TreePath::new(format!("{to}{rest}")).ok();
        }
    }
    let aliased = ["bin/", "sbin/", "lib/", "lib32/", "lib64/", "libx32/"].iter().any(|alias| path.starts_with(alias));
    TreePath::new(if aliased { format!("usr/{path}") } else { path }).ok()
}
