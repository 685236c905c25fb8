//! What scripts told the package manager and the password files, as rules of installation: composers make the files from them.
//!
//! Lines that don't have the form of their file are passed over: scripts may have written anything there, and a rule that isn't made is
//! seen, because the file that wants the user is refused.

use std::collections::{BTreeMap, BTreeSet};

use larder_store::TreePath;
use larder_store::fileset::InstallRules;
use larder_store::fileset::install::{AlternativeRule, DiversionRule, Follower, GroupRule, UserRule};

/// Numbers below this one are Debian's own, the same everywhere.
const STATIC: u32 = 100;
/// The lines of login shells.
pub const SHELLS: &str = "etc/shells";

/// The files of users and of the package manager, before or after scripts ran.
#[derive(Debug, Clone, Default)]
pub struct Databases {
    /// `/etc/passwd`.
    pub passwd: String,
    /// `/etc/group`.
    pub group: String,
    /// `/etc/shells`.
    pub shells: String,
    /// `/var/lib/dpkg/diversions`.
    pub diversions: String,
    /// `/var/lib/dpkg/alternatives/*` by name.
    pub alternatives: BTreeMap<String, String>,
}

struct User<'a> {
    uid: u32,
    gid: u32,
    comment: &'a str,
    home: &'a str,
    shell: &'a str,
}

struct Group<'a> {
    gid: u32,
    members: BTreeSet<&'a str>,
}

impl Databases {
    fn users(&self) -> BTreeMap<&str, User<'_>> {
        let user = |line| -> Option<(&str, User<'_>)> {
            let [name, _, uid, gid, comment, home, shell] = fields(line)?;
            let (uid, gid) = (uid.parse().ok()?, gid.parse().ok()?);
            let fine = is_name(name) && [comment, home, shell].iter().all(is_field);
            fine.then_some((name, User { uid, gid, comment, home, shell }))
        };
        self.passwd.lines().filter_map(user).collect()
    }

    fn groups(&self) -> BTreeMap<&str, Group<'_>> {
        let group = |line| -> Option<(&str, Group<'_>)> {
            let [name, _, gid, members] = fields(line)?;
            let members = members.split(',').filter(|member| is_name(member)).collect();
            Some((name, Group { gid: gid.parse().ok()?, members })).filter(|(name, _)| is_name(name))
        };
        self.group.lines().filter_map(group).collect()
    }

    /// The names of users' numbers; of two with one number the first in the order of names.
    pub fn user_names(&self) -> BTreeMap<u32, String> {
        self.users().into_iter().rev().map(|(name, user)| (user.uid, name.to_owned())).collect()
    }

    /// The names of groups' numbers.
    pub fn group_names(&self) -> BTreeMap<u32, String> {
        self.groups().into_iter().rev().map(|(name, group)| (group.gid, name.to_owned())).collect()
    }
}

/// What scripts added: users, groups, memberships, shells, diversions, and alternatives whose paths `owns` says are the package's own.
pub fn observed(before: &Databases, after: &Databases, owns: &dyn Fn(&TreePath) -> bool) -> InstallRules {
    let (groups_before, groups) = (before.groups(), after.groups());
    let new_groups = groups.iter().filter(|(name, _)| !groups_before.contains_key(**name));
    let diverted: BTreeSet<DiversionRule> = diversions(&before.diversions).collect();
    let known: BTreeSet<&str> = before.shells.lines().collect();
    let is_shell = |line: &&str| line.starts_with('/') && line.len() < 256 && is_field(line);
    let shells = after.shells.lines().filter(is_shell).filter(|line| !known.contains(*line));
    let changed = after.alternatives.iter().filter(|(name, text)| before.alternatives.get(*name) != Some(*text));
    InstallRules {
        users: users(before, after),
        groups: new_groups.map(|(name, group)| GroupRule { name: (*name).to_owned(), gid: fixed(group.gid) }).collect(),
        alternatives: changed
            .filter(|(name, _)| is_word(name))
            .flat_map(|(name, text)| alternatives(name, text))
            .filter(|rule| owns(&rule.path))
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect(),
        diversions: first_of_each(diversions(&after.diversions).filter(|rule| !diverted.contains(rule))),
        shells: shells.map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect(),
        ..InstallRules::default()
    }
}

/// Of several rules about one path the first.
fn first_of_each(rules: impl Iterator<Item = DiversionRule>) -> Vec<DiversionRule> {
    let mut found = BTreeMap::new();
    for rule in rules {
        found.entry(rule.path.clone()).or_insert(rule);
    }
    found.into_values().collect()
}

/// New users, and those who are in more groups than before.
fn users(before: &Databases, after: &Databases) -> Vec<UserRule> {
    let (users_before, groups_before) = (before.users(), before.groups());
    let groups = after.groups();
    // Of two groups with one number the first in the order of names.
    let mut of_gid: BTreeMap<u32, &str> = BTreeMap::new();
    let mut joined: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, now) in &groups {
        of_gid.entry(now.gid).or_insert(name);
        let then = groups_before.get(name);
        for member in now.members.iter().filter(|member| then.is_none_or(|then| !then.members.contains(*member))) {
            joined.entry(member).or_default().push((*name).to_owned());
        }
    }
    let absolute = |path: &str, other: &str| if path.starts_with('/') { path } else { other }.to_owned();
    let rule = |(name, user): (&str, User<'_>)| {
        let rule = UserRule {
            name: name.to_owned(),
            uid: fixed(user.uid),
            group: (*of_gid.get(&user.gid)?).to_owned(),
            home: absolute(user.home, "/nonexistent"),
            shell: absolute(user.shell, "/usr/sbin/nologin"),
            comment: user.comment.to_owned(),
            supplementary: joined.get(name).cloned().unwrap_or_default(),
        };
        let is_new = !users_before.contains_key(name) || !rule.supplementary.is_empty();
        is_new.then_some(rule)
    };
    after.users().into_iter().filter_map(rule).collect()
}

fn fixed(id: u32) -> Option<u32> {
    (id < STATIC).then_some(id)
}

fn fields<const N: usize>(line: &str) -> Option<[&str; N]> {
    line.split(':').collect::<Vec<_>>().try_into().ok()
}

/// Whether a text can stand between the colons of a line.
fn is_field(text: &&str) -> bool {
    !text.contains(|c: char| c == ':' || c.is_control())
}

/// What can be the name of an alternative, and the name of a file.
fn is_word(name: &str) -> bool {
    let wrong = |c: char| c == '/' || c.is_control() || c.is_whitespace();
    !name.is_empty() && !name.starts_with('.') && !name.contains(wrong)
}

/// What can be a login name.
fn is_name(name: &str) -> bool {
    (1..=32).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
        && !name.starts_with(['-', '.'])
}

fn path(text: &str) -> Option<TreePath> {
    let path = TreePath::try_from(text.strip_prefix('/')?).ok()?;
    // A rule names what stands in the view, where merged-/usr holds.
    crate::convert::usr_merged(path).ok().flatten()
}

/// Three lines each: the path, where it goes, whose it is.
fn diversions(text: &str) -> impl Iterator<Item = DiversionRule> {
    let lines: Vec<&str> = text.lines().collect();
    let rules: Vec<_> = lines
        .chunks_exact(3)
        .filter_map(|lines| Some(DiversionRule { path: path(lines[0])?, to: path(lines[1])? }))
        .collect();
    rules.into_iter()
}

/// The form of update-alternatives(1)'s files: status, link, names and links of followers, an empty line; then a block for each provider: its
/// path, its priority and a path for each follower, which may be empty; at last an empty line.
fn alternatives(name: &str, text: &str) -> Vec<AlternativeRule> {
    let mut lines = text.lines();
    let (Some(_status), Some(link)) = (lines.next(), lines.next().and_then(path)) else { return Vec::new() };
    let mut followers = Vec::new();
    loop {
        match lines.next() {
            Some("") | None => break,
            Some(follower) => match lines.next() {
                Some(link) => followers.push((follower, path(link))),
                None => return Vec::new(),
            },
        }
    }
    let mut rules = Vec::new();
    while let Some(provider) = lines.next().filter(|line| !line.is_empty()) {
        let priority = lines.next().and_then(|line| line.parse().ok());
        let paths: Vec<_> = followers.iter().map(|_| lines.next().unwrap_or_default()).collect();
        let (Some(provider), Some(priority)) = (path(provider), priority) else { continue };
        let follower = |((name, link), target): (&(&str, Option<TreePath>), &str)| {
            Some(Follower { name: (*name).to_owned(), link: link.clone()?, path: path(target)? })
        };
        let mut followers: Vec<_> = followers.iter().zip(paths).filter_map(follower).collect();
        followers.retain(|follower| is_word(&follower.name));
        followers.sort();
        followers.dedup();
        rules.push(AlternativeRule { name: name.to_owned(), link: link.clone(), path: provider, priority, followers });
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    fn before() -> Databases {
        Databases {
            passwd: "root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33::/var/www:/bin/sh\n".to_owned(),
            group: "root:x:0:\nwww-data:x:33:\n".to_owned(),
            shells: "# shells\n/bin/sh\n".to_owned(),
            ..Databases::default()
        }
    }

    #[test]
    fn users_groups_shells_and_diversions_become_rules() {
        let mut after = before();
        after.passwd += "thing:x:101:103:A thing:/var/lib/thing:/usr/sbin/nologin\nbroken:x:nan:1:::\n";
        after.group = "root:x:0:\nwww-data:x:33:\nthing:x:103:\nssl:x:104:thing,www-data\nold:x:42:\n".to_owned();
        after.shells += "/usr/bin/thing\n";
        after.diversions = "/bin/sh\n/bin/sh.distrib\nthing\n".to_owned();
        let rules = observed(&before(), &after, &|_| true);
        let users: Vec<_> = rules.users.iter().map(|u| (u.name.as_str(), u.uid, u.supplementary.join(","))).collect();
        assert_eq!(users, [("thing", None, "ssl".to_owned()), ("www-data", Some(33), "ssl".to_owned())]);
        let groups: Vec<_> = rules.groups.iter().map(|g| (g.name.as_str(), g.gid)).collect();
        assert_eq!(groups, [("old", Some(42)), ("ssl", None), ("thing", None)]);
        assert_eq!(rules.shells, ["/usr/bin/thing"]);
        assert_eq!(rules.diversions[0].path.to_string(), "usr/bin/sh");
        assert_eq!(observed(&after, &after, &|_| true), InstallRules::default());
        let (users, groups) = (after.user_names(), after.group_names());
        assert_eq!(users.get(&101).zip(groups.get(&42)), Some((&"thing".to_owned(), &"old".to_owned())));
        assert_eq!(users.get(&7), None);
    }

    #[test]
    fn alternatives_are_read_as_update_alternatives_writes_them() {
        let text = "auto\n/usr/bin/editor\neditor.1.gz\n/usr/share/man/man1/editor.1.gz\n\n/bin/nano\n40\n/usr/share/man/man1/nano.1.gz\n/usr/bin/ed\n-100\n\n\n";
        let rules = alternatives("editor", text);
        let shown: Vec<_> = rules.iter().map(|r| (r.path.to_string(), r.priority, r.followers.len())).collect();
        assert_eq!(shown, [("usr/bin/nano".to_owned(), 40, 1), ("usr/bin/ed".to_owned(), -100, 0)]);
        for length in 0..text.len() {
            // Whatever it is cut to, nothing panics.
            let _ = alternatives("editor", &text[..length]);
        }
    }
}
