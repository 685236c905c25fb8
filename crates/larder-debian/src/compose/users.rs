//! The composer `users`: `/etc/passwd`, `group`, `shadow` and `gshadow`, and the numbers of all owners.
//!
//! Who exists: the users and groups of an `/etc/passwd` and `/etc/group` that the plan has itself; those of
//! base-passwd's masters (`/usr/share/base-passwd/*.master`, or the same table built in); those that packages
//! declare. The first that knows a name says everything about it; a later one only adds supplementary groups.
//!
//! A number never depends on the order of installation. In this order of preference: one that the file or rule
//! states; the table of well-known names ([`known`]); else one derived from the name, in [`numbers::DERIVED`]. That range is
//! above the numbers that Debian gives to system and first ordinary users, below Debian's global allocations, and
//! inside the 65536 numbers that a user namespace usually has. One number serves the user and the group of one name.
//! Where two derived numbers meet, the name that sorts first keeps it and the other is derived again, so that the
//! outcome depends on the set alone.
//!
//! Passwords are locked: `*` for Debian's own users (key-based logins stay possible), `!` for declared ones, as
//! adduser does. `shadow` holds no date of the last change: it would be the day of the build.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use larder_store::fileset::{NO_ID, UserRule};
use larder_store::tree::Attributes;

use super::{ComposeError, Draft, User, draft};

mod known;
mod numbers;

use numbers::Numbers;

/// A password file larger than this is refused.
const MAX_FILE: u64 = 4 << 20;

/// Where an account comes from; the earlier wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    Own,
    Base,
    Declared,
}

#[derive(Debug, Clone)]
struct Account {
    origin: Origin,
    /// Who says so, for messages.
    by: String,
    uid: Option<u32>,
    group: Group,
    comment: String,
    home: String,
    shell: String,
}

#[derive(Debug, Clone)]
enum Group {
    Number(u32),
    Name(String),
}

#[derive(Debug, Clone)]
struct GroupEntry {
    origin: Origin,
    by: String,
    gid: Option<u32>,
    members: BTreeSet<String>,
}

#[derive(Debug, Default)]
struct Accounts {
    users: BTreeMap<String, Account>,
    groups: BTreeMap<String, GroupEntry>,
    /// Names in the order of the files they come from; declared ones follow, sorted.
    user_order: Vec<String>,
    group_order: Vec<String>,
}

pub(super) fn compose(draft: &mut Draft<'_>) -> Result<(), ComposeError> {
    let mut accounts = Accounts::default();
    read_known(draft, &mut accounts)?;
    add_declared(draft, &mut accounts)?;
    let numbers = Numbers::settle(&accounts)?;
    write_files(draft, &accounts, &numbers)?;
    for (name, account) in &accounts.users {
        let supplementary = accounts.groups.iter().filter(|(_, group)| group.members.contains(name));
        let mut supplementary: Vec<u32> = supplementary.map(|(group, _)| numbers.groups[group]).collect();
        supplementary.sort_unstable();
        let user = User {
            uid: numbers.users[name],
            gid: numbers.gid(&account.group),
            home: account.home.clone(),
            shell: account.shell.clone(),
            supplementary,
        };
        draft.ids.users.insert(name.clone(), user);
    }
    draft.ids.groups = numbers.groups;
    Ok(())
}

/// Reads what the plan has in `/etc`, then base-passwd's masters.
fn read_known(draft: &Draft<'_>, accounts: &mut Accounts) -> Result<(), ComposeError> {
    let own = |path: &str| draft.read(path.as_bytes(), MAX_FILE);
    if let Some(text) = own("etc/passwd")? {
        accounts.read_passwd("etc/passwd", &text, Origin::Own)?;
    }
    if let Some(text) = own("etc/group")? {
        accounts.read_group("etc/group", &text, Origin::Own)?;
    }
    let passwd = "usr/share/base-passwd/passwd.master";
    let text = own(passwd)?.unwrap_or_else(|| known::PASSWD.into());
    accounts.read_passwd(passwd, &text, Origin::Base)?;
    let group = "usr/share/base-passwd/group.master";
    let text = own(group)?.unwrap_or_else(|| known::GROUP.into());
    accounts.read_group(group, &text, Origin::Base)
}

/// Adds the users and groups that packages declare, in the order of the packages' names.
fn add_declared(draft: &Draft<'_>, accounts: &mut Accounts) -> Result<(), ComposeError> {
    let mut rules: Vec<_> =
        draft.plan().rules().map(|(source, rules)| (draft::owner(&draft.plan().sources[source]), rules)).collect();
    rules.sort_by(|a, b| a.0.cmp(&b.0));
    for (by, rule) in rules.iter().flat_map(|(by, rules)| rules.groups.iter().map(move |group| (by, group))) {
        check_name(by, &rule.name)?;
        accounts.declare_group(by, &rule.name, rule.gid)?;
    }
    let mut users: Vec<(&String, &UserRule)> =
        rules.iter().flat_map(|(by, rules)| rules.users.iter().map(move |user| (by, user))).collect();
    users.sort();
    for (by, rule) in &users {
        check_name(by, &rule.name)?;
        accounts.declare_user(by, rule)?;
    }
    for (by, rule) in &users {
        for group in rule.supplementary.iter().chain([&rule.group]) {
            check_name(by, group)?;
            accounts.declare_group(by, group, None)?;
        }
        for group in rule.supplementary.iter().filter(|group| **group != rule.group) {
            accounts.groups.entry(group.clone()).and_modify(|entry| _ = entry.members.insert(rule.name.clone()));
        }
    }
    Ok(())
}

impl Accounts {
    fn read_passwd(&mut self, path: &str, text: &[u8], origin: Origin) -> Result<(), ComposeError> {
        for (line, fields) in lines(path, text)? {
            let wrong = |reason| ComposeError::BadLine { path: path.to_owned(), line, reason };
            let [name, _, uid, gid, comment, home, shell] = fields[..] else {
                return Err(wrong("a user has seven fields"));
            };
            if self.users.contains_key(name) {
                continue;
            }
            let number = |text| number(text).ok_or_else(|| wrong("a number up to 4294967294 was expected"));
            let account = Account {
                origin,
                by: format!("/{path}"),
                uid: Some(number(uid)?),
                group: Group::Number(number(gid)?),
                comment: comment.to_owned(),
                home: home.to_owned(),
                shell: shell.to_owned(),
            };
            self.users.insert(name.to_owned(), account);
            self.user_order.push(name.to_owned());
        }
        Ok(())
    }

    fn read_group(&mut self, path: &str, text: &[u8], origin: Origin) -> Result<(), ComposeError> {
        for (line, fields) in lines(path, text)? {
            let wrong = |reason| ComposeError::BadLine { path: path.to_owned(), line, reason };
            let [name, _, gid, members] = fields[..] else { return Err(wrong("a group has four fields")) };
            if self.groups.contains_key(name) {
                continue;
            }
            let gid = number(gid).ok_or_else(|| wrong("a number up to 4294967294 was expected"))?;
            let members = members.split(',').filter(|m| !m.is_empty()).map(str::to_owned).collect();
            let entry = GroupEntry { origin, by: format!("/{path}"), gid: Some(gid), members };
            self.groups.insert(name.to_owned(), entry);
            self.group_order.push(name.to_owned());
        }
        Ok(())
    }

    fn declare_group(&mut self, by: &str, name: &str, gid: Option<u32>) -> Result<(), ComposeError> {
        let Some(there) = self.groups.get_mut(name) else {
            let entry = GroupEntry { origin: Origin::Declared, by: by.to_owned(), gid, members: BTreeSet::new() };
            self.groups.insert(name.to_owned(), entry);
            return Ok(());
        };
        if there.origin == Origin::Declared {
            agree(by, name, gid, &mut there.by, &mut there.gid)?;
        }
        Ok(())
    }

    fn declare_user(&mut self, by: &str, rule: &UserRule) -> Result<(), ComposeError> {
        let bad = [&rule.comment, &rule.home, &rule.shell].into_iter().any(|f| f.contains([':', '\n', '\0']));
        if bad {
            let what = format!("the user {:?}", rule.name);
            return Err(ComposeError::BadRule {
                package: by.to_owned(),
                what,
                reason: "a field holds a colon or line end",
            });
        }
        let Some(there) = self.users.get_mut(&rule.name) else {
            let account = Account {
                origin: Origin::Declared,
                by: by.to_owned(),
                uid: rule.uid,
                group: Group::Name(rule.group.clone()),
                comment: rule.comment.clone(),
                home: rule.home.clone(),
                shell: rule.shell.clone(),
            };
            self.users.insert(rule.name.clone(), account);
            return Ok(());
        };
        if there.origin == Origin::Declared {
            agree(by, &rule.name, rule.uid, &mut there.by, &mut there.uid)?;
        }
        Ok(())
    }
}

/// A user's or group's number.
fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|&number| number != NO_ID)
}

/// Settles what two packages state about one name.
fn agree(
    by: &str,
    name: &str,
    number: Option<u32>,
    there_by: &mut String,
    there: &mut Option<u32>,
) -> Result<(), ComposeError> {
    match (number, *there) {
        (Some(number), Some(other)) if number != other => Err(ComposeError::ClashingIds {
            first: by.to_owned(),
            name: name.to_owned(),
            number,
            second: there_by.clone(),
            clash: format!("{other} for it"),
        }),
        (Some(number), None) => {
            *there = Some(number);
            by.clone_into(there_by);
            Ok(())
        }
        _ => Ok(()),
    }
}

fn check_name(package: &str, name: &str) -> Result<(), ComposeError> {
    let wrong = |c: char| c.is_whitespace() || c.is_control() || matches!(c, ':' | ',' | '/' | '!' | '*');
    let digits = !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
    if name.is_empty() || name.len() > 255 || name.starts_with(['-', '+', '~']) || name.contains(wrong) || digits {
        let what = format!("the user or group {name:?}");
        return Err(ComposeError::BadRule { package: package.to_owned(), what, reason: "that is no such name" });
    }
    Ok(())
}

/// The lines of a colon-separated file with their numbers; comments and blank lines are left out.
fn lines<'t>(path: &str, text: &'t [u8]) -> Result<Vec<(usize, Vec<&'t str>)>, ComposeError> {
    let wrong = |line, reason| ComposeError::BadLine { path: path.to_owned(), line, reason };
    let mut all = Vec::new();
    for (index, line) in text.split(|&b| b == b'\n').enumerate() {
        let line = std::str::from_utf8(line).map_err(|_| wrong(index + 1, "it is not UTF-8"))?;
        // A leading '+' or '-' is a compatibility entry of NIS: not an account.
        if !line.trim().is_empty() && !line.starts_with(['#', '+', '-']) {
            all.push((index + 1, line.split(':').collect()));
        }
    }
    Ok(all)
}

fn write_files(draft: &mut Draft<'_>, accounts: &Accounts, numbers: &Numbers) -> Result<(), ComposeError> {
    let declared = accounts.users.iter().filter(|(_, a)| a.origin == Origin::Declared).map(|(name, _)| name);
    let own_passwd = accounts.users.values().any(|a| a.origin == Origin::Own);
    let (mut passwd, mut shadow) = (String::new(), String::new());
    for name in accounts.user_order.iter().chain(declared) {
        let account = &accounts.users[name];
        if own_passwd && account.origin != Origin::Own {
            continue;
        }
        let (uid, gid) = (numbers.users[name], numbers.gid(&account.group));
        let Account { comment, home, shell, .. } = account;
        let lock = if account.origin == Origin::Declared { '!' } else { '*' };
        // Writing to a String can't fail.
        _ = writeln!(passwd, "{name}:x:{uid}:{gid}:{comment}:{home}:{shell}");
        _ = writeln!(shadow, "{name}:{lock}::0:99999:7:::");
    }
    let declared = accounts.groups.iter().filter(|(_, g)| g.origin == Origin::Declared).map(|(name, _)| name);
    let own_group = accounts.groups.values().any(|g| g.origin == Origin::Own);
    let (mut group, mut gshadow) = (String::new(), String::new());
    for name in accounts.group_order.iter().chain(declared) {
        let entry = &accounts.groups[name];
        if own_group && entry.origin != Origin::Own {
            continue;
        }
        let members = entry.members.iter().map(String::as_str).collect::<Vec<_>>().join(",");
        let lock = if entry.origin == Origin::Declared { '!' } else { '*' };
        _ = writeln!(group, "{name}:x:{}:{members}", numbers.groups[name]);
        _ = writeln!(gshadow, "{name}:{lock}::{members}");
    }
    let secret = || Attributes { mode: Some(0o640), group: Some("shadow".to_owned()), ..Attributes::default() };
    draft.file("etc/passwd", passwd.as_bytes())?;
    draft.file("etc/group", group.as_bytes())?;
    draft.file_with("etc/shadow", shadow.as_bytes(), secret())?;
    draft.file_with("etc/gshadow", gshadow.as_bytes(), secret())
}
