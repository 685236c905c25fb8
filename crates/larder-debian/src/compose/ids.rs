//! The numbers behind names.

use std::collections::BTreeMap;

/// What a login name stands for in one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The user's number.
    pub uid: u32,
    /// The number of the primary group.
    pub gid: u32,
    /// Home directory, absolute.
    pub home: String,
    /// Login shell, absolute.
    pub shell: String,
    /// The numbers of the further groups, sorted.
    pub supplementary: Vec<u32>,
}

/// The numbers of all users and groups that an image's files or processes may belong to.
///
/// Names that an own `/etc/passwd` leaves out are here too: their files need a number all the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ids {
    pub(super) users: BTreeMap<String, User>,
    pub(super) groups: BTreeMap<String, u32>,
}

impl Ids {
    /// The number of a user: by name, or of itself where the name is a decimal number.
    pub fn uid(&self, name: &str) -> Option<u32> {
        self.users.get(name).map(|user| user.uid).or_else(|| number(name)).or((name == "root").then_some(0))
    }

    /// The number of a group: by name, or of itself where the name is a decimal number.
    pub fn gid(&self, name: &str) -> Option<u32> {
        self.groups.get(name).copied().or_else(|| number(name)).or((name == "root").then_some(0))
    }

    /// All about a user.
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.get(name)
    }

    /// All users, sorted by name.
    pub fn users(&self) -> impl Iterator<Item = (&str, &User)> {
        self.users.iter().map(|(name, user)| (name.as_str(), user))
    }

    /// All groups, sorted by name.
    pub fn groups(&self) -> impl Iterator<Item = (&str, u32)> {
        self.groups.iter().map(|(name, &gid)| (name.as_str(), gid))
    }
}

/// A canonical decimal number that can be an id: (u32)-1 means "no change" to the kernel.
fn number(name: &str) -> Option<u32> {
    let value: u32 = name.parse().ok()?;
    (value != u32::MAX && value.to_string() == name).then_some(value)
}
