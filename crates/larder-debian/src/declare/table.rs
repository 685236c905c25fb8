//! The reviewed table: what people found in scripts that can't be followed.

use std::collections::HashMap;

use larder_solver::compare;
use larder_store::fileset::{AlternativeRule, DiversionRule, Follower, GroupRule, UserRule};
use larder_store::{Tree, TreePath};
use serde::Deserialize;

use super::effects::{Effects, Made, Node, tree_path};
use crate::DebianError;

const BUILT_IN: &str = concat!(include_str!("table.toml"), include_str!("table/servers.toml"));

/// Table entries by package.
#[derive(Debug, Clone)]
pub struct Table {
    version: u32,
    entries: HashMap<String, Vec<TableEntry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    package: Vec<TableEntry>,
}

/// What the table says about a package, or about some of its versions.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct TableEntry {
    /// The package's names: several where they share their scripts.
    name: Vec<String>,
    /// From this version on.
    since: Option<String>,
    /// Before this version.
    before: Option<String>,
    /// Why nothing else in the scripts matters. Without it, what isn't understood is still reported.
    script: Option<String>,
    /// Whether the scripts are followed at all; if not, the entry says everything.
    #[serde(default = "yes")]
    follow: bool,
    /// Whether sysusers.d and tmpfiles.d are read.
    #[serde(default = "yes")]
    units: bool,
    #[serde(default)]
    users: Vec<User>,
    #[serde(default)]
    groups: Vec<Group>,
    #[serde(default)]
    directories: Vec<At>,
    /// Copies of the package's own files, or texts.
    #[serde(default)]
    seeds: Vec<At>,
    #[serde(default)]
    links: Vec<Link>,
    /// Other attributes for the package's own files and directories.
    #[serde(default)]
    attributes: Vec<At>,
    #[serde(default)]
    alternatives: Vec<Alternative>,
    #[serde(default)]
    diversions: Vec<Link>,
    #[serde(default)]
    shells: Vec<String>,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct User {
    name: String,
    uid: Option<u32>,
    group: Option<String>,
    #[serde(default = "nonexistent")]
    home: String,
    #[serde(default = "nologin")]
    shell: String,
    #[serde(default)]
    comment: String,
    #[serde(default)]
    supplementary: Vec<String>,
}

fn nonexistent() -> String {
    "/nonexistent".to_owned()
}

fn nologin() -> String {
    "/usr/sbin/nologin".to_owned()
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    name: String,
    gid: Option<u32>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct At {
    path: String,
    /// Of a seed: the package's own file that it's a copy of.
    from: Option<String>,
    /// Of a seed: its text.
    text: Option<String>,
    /// Octal digits.
    mode: Option<String>,
    owner: Option<String>,
    group: Option<String>,
    /// A `security.capability` attribute in hexadecimal.
    capability: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Link {
    path: String,
    to: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Alternative {
    name: String,
    link: String,
    path: String,
    priority: i64,
    #[serde(default)]
    followers: Vec<Slave>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Slave {
    name: String,
    link: String,
    path: String,
}

impl Table {
    /// The table that this version of Larder comes with.
    ///
    /// # Errors
    /// None in a released version: a test reads it.
    pub fn built_in() -> Result<Self, DebianError> {
        Self::parse(BUILT_IN)
    }

    /// Reads a table.
    ///
    /// # Errors
    /// What is not TOML, and unknown keys.
    pub fn parse(text: &str) -> Result<Self, DebianError> {
        let document: Document = toml::from_str(text).map_err(|e| {
            let line = e.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            DebianError::Syntax { place: "the table of declarations".into(), line, problem: e.message().to_owned() }
        })?;
        let mut entries: HashMap<String, Vec<TableEntry>> = HashMap::new();
        for entry in document.package {
            for name in &entry.name {
                entries.entry(name.clone()).or_default().push(entry.clone());
            }
        }
        Ok(Self { version: document.version, entries })
    }

    /// Counts the table's changes.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The entry for one version of a package: the first that covers it.
    pub(super) fn entry(&self, package: &str, version: &str) -> Option<&TableEntry> {
        self.entries.get(package)?.iter().find(|entry| {
            entry.since.as_deref().is_none_or(|since| compare(version, since).is_ge())
                && entry.before.as_deref().is_none_or(|before| compare(version, before).is_lt())
        })
    }
}

impl TableEntry {
    /// Whether the review covers the whole script.
    pub(super) fn replaces_script(&self) -> bool {
        self.script.is_some()
    }

    /// Whether the scripts are followed.
    pub(super) fn follow(&self) -> bool {
        self.follow
    }

    /// Whether sysusers.d and tmpfiles.d count.
    pub(super) fn units(&self) -> bool {
        self.units
    }

    /// What the entry declares. Seeds and attributes of files that this version of the package doesn't have are left out.
    pub(super) fn effects(&self, package: &str, tree: &Tree) -> Result<Effects, DebianError> {
        let wrong = |problem: String| DebianError::Declaration { package: package.to_owned(), problem };
        let at = |path: &str| tree_path(path).ok_or_else(|| wrong(format!("{path:?} is no absolute path")));
        let mut effects = Effects::default();
        for user in &self.users {
            effects.users.insert(user.name.clone(), user.rule());
        }
        for group in &self.groups {
            effects.groups.insert(group.name.clone(), GroupRule { name: group.name.clone(), gid: group.gid });
        }
        let has = |path: &TreePath| tree.get(path.as_bytes()).is_some();
        for directory in &self.directories {
            let path = at(&directory.path)?;
            let made = if has(&path) { Made::Own } else { Made::Directory };
            effects.nodes.insert(path, directory.node(made).map_err(wrong)?);
        }
        for seed in &self.seeds {
            let made = match (&seed.from, &seed.text) {
                (Some(from), None) => {
                    let from = at(from)?;
                    if !has(&from) {
                        continue;
                    }
                    Made::Copy(from)
                }
                (None, text) => Made::Text(text.clone().unwrap_or_default().into_bytes()),
                (Some(_), Some(_)) => return Err(wrong(format!("{} has both `from` and `text`", seed.path))),
            };
            effects.nodes.insert(at(&seed.path)?, seed.node(made).map_err(wrong)?);
        }
        for own in &self.attributes {
            let path = at(&own.path)?;
            if has(&path) {
                effects.nodes.insert(path, own.node(Made::Own).map_err(wrong)?);
            }
        }
        for link in &self.links {
            effects.nodes.insert(at(&link.path)?, Node::new(Made::Symlink(link.to.clone().into_bytes())));
        }
        for diversion in &self.diversions {
            let (path, to) = (at(&diversion.path)?, at(&diversion.to)?);
            effects.diversions.insert(path.clone(), DiversionRule { path, to });
        }
        for alternative in &self.alternatives {
            let mut followers = Vec::new();
            for slave in &alternative.followers {
                followers.push(Follower { name: slave.name.clone(), link: at(&slave.link)?, path: at(&slave.path)? });
            }
            followers.sort();
            let (link, path) = (at(&alternative.link)?, at(&alternative.path)?);
            let rule = AlternativeRule {
                name: alternative.name.clone(),
                link,
                path,
                priority: alternative.priority,
                followers,
            };
            effects.alternatives.insert((rule.name.clone(), rule.path.clone()), rule);
        }
        effects.shells.clone_from(&self.shells);
        Ok(effects)
    }
}

impl User {
    fn rule(&self) -> UserRule {
        let mut supplementary = self.supplementary.clone();
        supplementary.sort_unstable();
        UserRule {
            name: self.name.clone(),
            uid: self.uid,
            group: self.group.clone().unwrap_or_else(|| self.name.clone()),
            home: self.home.clone(),
            shell: self.shell.clone(),
            comment: self.comment.clone(),
            supplementary,
        }
    }
}

impl At {
    fn node(&self, made: Made) -> Result<Node, String> {
        let mode = match &self.mode {
            None => None,
            Some(mode) => Some(u16::from_str_radix(mode, 8).map_err(|_| format!("{mode:?} is no mode"))?),
        };
        let capability = match &self.capability {
            None => None,
            Some(digits) => Some(hex::decode(digits).map_err(|_| format!("{digits:?} is not hexadecimal"))?),
        };
        Ok(Node { made, mode, owner: self.owner.clone(), group: self.group.clone(), capability })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_table_reads_and_names_each_version_once() {
        let table = Table::built_in().expect("table");
        assert_eq!(table.version(), super::super::TABLE_VERSION);
        for (name, entries) in &table.entries {
            for entry in &entries[..entries.len() - 1] {
                assert!(entry.before.is_some(), "{name}: only its last entry may have no upper end");
            }
            for entry in entries {
                entry.effects(name, &Tree::default()).expect(name);
            }
        }
    }
}
