//! Declared rules of installation: what a package asks for beyond having its files linked into place.

use crate::TreePath;

/// The number that is no user's and no group's: to the kernel it means "as before".
pub const NO_ID: u32 = u32::MAX;

/// What a package, or its declarations, asks for. All lists are sets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InstallRules {
    /// Short names of the packages whose files this one may overwrite (Replaces).
    pub replaces_files_of: Vec<String>,
    /// Users that must exist: by name.
    pub users: Vec<UserRule>,
    /// Groups that must exist: by name.
    pub groups: Vec<GroupRule>,
    /// Alternatives that it offers: by name and path.
    pub alternatives: Vec<AlternativeRule>,
    /// Paths of other packages that move aside: by path.
    pub diversions: Vec<DiversionRule>,
    /// Links to be made in the container's root besides its files: by path.
    pub links: Vec<LinkRule>,
    /// Lines of `/etc/shells`, absolute.
    pub shells: Vec<String>,
    /// What became of the maintainer scripts.
    pub script: ScriptTier,
}

impl InstallRules {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A user that must exist.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UserRule {
    /// Login name.
    pub name: String,
    /// A fixed number; otherwise a composer derives one from the name.
    pub uid: Option<u32>,
    /// Name of the primary group.
    pub group: String,
    /// Home directory, absolute.
    pub home: String,
    /// Login shell, absolute.
    pub shell: String,
    /// The GECOS field.
    pub comment: String,
    /// Further groups: a set.
    pub supplementary: Vec<String>,
}

/// A group that must exist.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupRule {
    /// Its name.
    pub name: String,
    /// A fixed number; otherwise a composer derives one from the name.
    pub gid: Option<u32>,
}

/// One provider of an alternative, as `update-alternatives --install` declares it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AlternativeRule {
    /// The group's name, such as `editor`.
    pub name: String,
    /// The generic link, such as `usr/bin/editor`.
    pub link: TreePath,
    /// What it points to with this provider, such as `usr/bin/vim.basic`.
    pub path: TreePath,
    /// The highest wins; may be negative.
    pub priority: i64,
    /// Links that follow the choice: by name.
    pub followers: Vec<Follower>,
}

/// A link that follows the choice of an alternative.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Follower {
    /// Its name, such as `editor.1.gz`.
    pub name: String,
    /// The generic link.
    pub link: TreePath,
    /// What it points to.
    pub path: TreePath,
}

/// A path of another package that moves aside.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DiversionRule {
    /// The path as the other package ships it.
    pub path: TreePath,
    /// Where it stands instead.
    pub to: TreePath,
}

/// A symbolic link in the container's root.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkRule {
    /// Where it stands.
    pub path: TreePath,
    /// What it points to: 1 to [`MAX_TARGET`](crate::tree::MAX_TARGET) bytes, no NUL.
    pub target: String,
}

/// What became of a package's maintainer scripts.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScriptTier {
    /// There are none, or they do nothing that matters here.
    #[default]
    None,
    /// All that they do is declared.
    Declared,
    /// They were run once in a sandbox, and what they left is kept as a FileSet; this much of it was refused: a set.
    Captured(Vec<String>),
    /// Something that they do is left out: for these reasons, a set.
    Skipped(Vec<String>),
}
