//! From numbers to names, by the source's own `/etc/passwd` and `/etc/group`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use larder_store::fileset::{GroupRule, UserRule};
use larder_store::tree::Attributes;
use larder_store::{Entry, Ingest, TreeBuilder, TreePath};

use super::nodes::{Node, Nodes, Who};
use super::{ImportError, Owners, Taken};
use crate::Result;

/// The largest password file that is read.
const MAX_FILE: u64 = 4 << 20;
/// Numbers that are root's whatever a password file says: 0, and in a folder the caller's.
pub(super) type Roots = BTreeSet<u64>;

/// What the password files say.
#[derive(Debug, Default)]
struct Accounts {
    users: HashMap<u64, UserRule>,
    groups: HashMap<u64, String>,
}

/// Gives every owner its name, and makes the Tree.
pub(super) fn settle(ingest: &Ingest<'_>, nodes: Nodes, owners: Owners, roots: &Roots) -> Result<Taken> {
    let accounts = match owners {
        Owners::ByName => Accounts::read(ingest, &nodes)?,
        Owners::Root => Accounts::default(),
    };
    let mut users: BTreeMap<String, UserRule> = BTreeMap::new();
    let mut groups: BTreeSet<String> = BTreeSet::new();
    let mut builder = TreeBuilder::new();
    for (path, node) in nodes {
        let (owner, group) = match owners {
            Owners::Root => (None, None),
            Owners::ByName => (accounts.user(&path, &node.owner, roots)?, accounts.group(&path, &node.group, roots)?),
        };
        if let Some(name) = &owner {
            let known = accounts.users.values().find(|rule| rule.name == *name);
            users.entry(name.clone()).or_insert_with(|| known.cloned().unwrap_or_else(|| rule(name, name)));
        }
        groups.extend(group.iter().cloned());
        let is_link = matches!(node.entry, Entry::Symlink { .. });
        let Node { entry, mode, xattrs, .. } = node;
        let attributes = Attributes { mode: (!is_link).then_some(mode), owner, group, xattrs };
        builder.insert(path, entry, attributes).map_err(ImportError::from)?;
    }
    groups.extend(users.values().map(|rule| rule.group.clone()));
    groups.remove("root");
    Ok(Taken {
        tree: builder.finish().map_err(ImportError::from)?,
        users: users.into_values().collect(),
        groups: groups.into_iter().map(|name| GroupRule { name, gid: None }).collect(),
        left_out: Vec::new(),
    })
}

/// A user of whom nothing else is known.
fn rule(name: &str, group: &str) -> UserRule {
    UserRule {
        name: name.to_owned(),
        uid: None,
        group: group.to_owned(),
        home: "/nonexistent".to_owned(),
        shell: "/usr/sbin/nologin".to_owned(),
        comment: String::new(),
        supplementary: Vec::new(),
    }
}

impl Accounts {
    fn read(ingest: &Ingest<'_>, nodes: &Nodes) -> Result<Self> {
        let text = |path: &str| -> Result<String> {
            match nodes.get(path.as_bytes()).map(|node| &node.entry) {
                Some(Entry::File { digest, .. }) => {
                    Ok(String::from_utf8_lossy(&ingest.store().read_object(digest, MAX_FILE)?).into_owned())
                }
                _ => Ok(String::new()),
            }
        };
        let mut accounts = Self::default();
        // The first line of a number counts, as it does for getpwuid(3).
        for line in text("etc/group")?.lines() {
            if let [name, _, gid, ..] = line.split(':').collect::<Vec<_>>()[..]
                && let (Ok(gid), true) = (gid.parse(), is_name(name))
            {
                accounts.groups.entry(gid).or_insert_with(|| name.to_owned());
            }
        }
        for line in text("etc/passwd")?.lines() {
            if let [name, _, uid, gid, comment, home, shell] = line.split(':').collect::<Vec<_>>()[..]
                && let (Ok(uid), Ok(gid), true) = (uid.parse(), gid.parse::<u64>(), is_name(name))
            {
                let group = accounts.groups.get(&gid).map_or(name, String::as_str);
                let known = UserRule {
                    comment: comment.to_owned(),
                    home: if home.starts_with('/') { home } else { "/nonexistent" }.to_owned(),
                    shell: if shell.starts_with('/') { shell } else { "/bin/sh" }.to_owned(),
                    ..rule(name, group)
                };
                accounts.users.entry(uid).or_insert(known);
            }
        }
        Ok(accounts)
    }

    fn user(&self, path: &TreePath, who: &Who, roots: &Roots) -> Result<Option<String>, ImportError> {
        name(path, "user", who, roots, self.users.get(&who.id).map(|rule| rule.name.as_str()))
    }

    fn group(&self, path: &TreePath, who: &Who, roots: &Roots) -> Result<Option<String>, ImportError> {
        name(path, "group", who, roots, self.groups.get(&who.id).map(String::as_str))
    }
}

/// The source's own files come first: the name in an archive is that of the machine that packed it.
fn name(
    path: &TreePath,
    what: &'static str,
    who: &Who,
    roots: &Roots,
    known: Option<&str>,
) -> Result<Option<String>, ImportError> {
    if roots.contains(&who.id) && known.is_none_or(|name| name == "root") || who.id == 0 {
        return Ok(None);
    }
    if let Some(known) = known {
        return Ok(Some(known.to_owned()));
    }
    if who.name.is_empty() {
        return Err(ImportError::Owner { path: path.clone(), what, id: who.id });
    }
    let name = std::str::from_utf8(&who.name).ok().filter(|name| is_name(name));
    let name = name.ok_or(ImportError::OwnerName { path: path.clone(), what })?;
    Ok((name != "root").then(|| name.to_owned()))
}

/// What can be a login name in a password file.
fn is_name(name: &str) -> bool {
    (1..=32).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
        && !name.starts_with(['-', '.'])
}
