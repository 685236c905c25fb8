//! Users and groups: `adduser`, `addgroup`, `useradd`, `groupadd`, `usermod`, `gpasswd`, and asking for them; login shells.

use larder_store::fileset::{GroupRule, NO_ID, UserRule};

use crate::declare::walk::{Status, Value, Walk};

/// The users and groups of base-passwd, which every system has.
pub(in crate::declare) const USERS: &[&str] = &[
    "root", "daemon", "bin", "sys", "sync", "games", "man", "lp", "mail", "news", "uucp", "proxy", "www-data",
    "backup", "list", "irc", "_apt", "nobody",
];
pub(in crate::declare) const GROUPS: &[&str] = &[
    "root", "daemon", "bin", "sys", "adm", "tty", "disk", "lp", "mail", "news", "uucp", "man", "proxy", "kmem",
    "dialout", "fax", "voice", "cdrom", "floppy", "tape", "sudo", "audio", "dip", "www-data", "backup", "operator",
    "list", "irc", "src", "shadow", "utmp", "video", "sasl", "plugdev", "staff", "games", "users", "nogroup",
];

const NO_SHELL: &str = "/usr/sbin/nologin";
const NO_HOME: &str = "/nonexistent";

/// Options and operands of an account command.
#[derive(Default)]
struct Asked {
    group: Option<String>,
    with_group: bool,
    system: bool,
    home: Option<String>,
    shell: Option<String>,
    comment: String,
    id: Option<u32>,
    supplementary: Vec<String>,
    create_home: Option<bool>,
    operands: Vec<String>,
}

impl Walk<'_> {
    /// `getent passwd NAME`, `getent group NAME`, `id NAME`: whether a fresh system, with what was declared, has it.
    pub(super) fn account_known(&mut self, command: &str, words: &[Value]) -> Status {
        let words: Option<Vec<&str>> = words.iter().map(|w| w.as_deref()).collect();
        let words = words?;
        let (is_group, name) = match (command, words.as_slice()) {
            ("getent", ["passwd", name]) => (false, *name),
            ("getent", ["group", name]) => (true, *name),
            ("id", [.., name]) if !name.starts_with('-') => (false, *name),
            _ => return None,
        };
        Some(match is_group {
            true => GROUPS.contains(&name) || self.effects.groups.contains_key(name),
            false => USERS.contains(&name) || self.effects.users.contains_key(name),
        })
    }

    pub(super) fn account(&mut self, command: &str, words: &[Value]) -> Status {
        let known = self.certain(command, words)?;
        let is_debian = command.starts_with("add");
        let Some(asked) = asked(&known, is_debian, command) else {
            self.not_understood(command, words);
            return None;
        };
        let is_group =
            command.starts_with("group") || command == "addgroup" || (asked.with_group && !asked.system && is_debian);
        match asked.operands.as_slice() {
            [name] if is_group => self.add_group(name, asked.id),
            [name] => {
                let name = name.clone();
                self.add_user(&name, asked, is_debian);
            }
            [user, group] if is_debian => {
                let Some(rule) = self.effects.users.get_mut(user) else {
                    self.not_understood(command, words);
                    return None;
                };
                join(rule, std::iter::once(group.as_str()));
            }
            _ => {
                self.not_understood(command, words);
                return None;
            }
        }
        Some(true)
    }

    /// `usermod` and `gpasswd -a`, for users that this package made.
    pub(super) fn change_account(&mut self, command: &str, words: &[Value]) -> Status {
        let known = self.certain(command, words)?;
        let changed = match (command, known.as_slice()) {
            ("gpasswd", ["-a" | "--add", user, group]) => {
                self.effects.users.get_mut(*user).map(|rule| join(rule, std::iter::once(*group)))
            }
            ("usermod", [options @ .., user]) => {
                self.effects.users.get_mut(*user).and_then(|rule| modify(rule, options))
            }
            _ => None,
        };
        if changed.is_none() {
            self.not_understood(command, words);
        }
        Some(true)
    }

    /// `add-shell PATH…`.
    pub(super) fn add_shells(&mut self, words: &[Value]) -> Status {
        let known: Vec<String> = self.certain("add-shell", words)?.into_iter().map(str::to_owned).collect();
        self.effects.shells.extend(known);
        Some(true)
    }

    fn add_group(&mut self, name: &str, gid: Option<u32>) {
        if !GROUPS.contains(&name) {
            let rule = || GroupRule { name: name.to_owned(), gid };
            self.effects.groups.entry(name.to_owned()).or_insert_with(rule);
        }
    }

    fn add_user(&mut self, name: &str, asked: Asked, is_debian: bool) {
        if USERS.contains(&name) || self.effects.users.contains_key(name) {
            return;
        }
        let own_group = asked.with_group || !is_debian || !asked.system;
        let group = asked.group.unwrap_or_else(|| if own_group { name.to_owned() } else { "nogroup".to_owned() });
        let home = asked.home.unwrap_or_else(|| if is_debian { NO_HOME.to_owned() } else { format!("/home/{name}") });
        let user = UserRule {
            name: name.to_owned(),
            uid: asked.id,
            group: group.clone(),
            home: home.clone(),
            shell: asked.shell.unwrap_or_else(|| NO_SHELL.to_owned()),
            comment: asked.comment,
            supplementary: asked.supplementary,
        };
        if GROUPS.contains(&group.as_str()) {
            self.effects.users.insert(user.name.clone(), user);
        } else {
            self.effects.user(user);
        }
        // adduser makes the home directory unless it's told not to; useradd --system doesn't.
        if asked.create_home.unwrap_or(is_debian) && home != NO_HOME {
            self.make_home(&home, name, &group);
        }
    }
}

/// The options of `usermod` that change what a rule says. `None` for any other.
fn modify(rule: &mut UserRule, options: &[&str]) -> Option<()> {
    let mut changed = rule.clone();
    // `-a` says of `-G` that it adds; without it the user would leave other groups, of which a fresh one has none.
    let options: Vec<&str> = options.iter().copied().filter(|option| !matches!(*option, "-a" | "--append")).collect();
    for pair in options.chunks(2) {
        let [option, value] = pair else { return None };
        match *option {
            "-c" | "--comment" => changed.comment = (*value).to_owned(),
            "-d" | "--home" => changed.home = (*value).to_owned(),
            "-s" | "--shell" => changed.shell = (*value).to_owned(),
            "-g" | "--gid" => changed.group = (*value).to_owned(),
            "-G" | "--groups" | "-aG" => join(&mut changed, value.split(',')),
            _ => return None,
        }
    }
    *rule = changed;
    Some(())
}

fn join<'a>(rule: &mut UserRule, groups: impl Iterator<Item = &'a str>) {
    for group in groups {
        if rule.group != group && !rule.supplementary.iter().any(|other| other == group) {
            rule.supplementary.push(group.to_owned());
        }
    }
    rule.supplementary.sort_unstable();
}

fn asked(words: &[&str], is_debian: bool, command: &str) -> Option<Asked> {
    let mut asked = Asked::default();
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        let (option, inline) = match word.split_once('=') {
            Some((option, value)) if option.starts_with("--") => (option, Some(value)),
            _ => (word, None),
        };
        let mut value = || inline.map(str::to_owned).or_else(|| words.next().map(str::to_owned));
        match option {
            "--system" | "-r" => asked.system = true,
            "--quiet"
            | "-q"
            | "--disabled-login"
            | "--disabled-password"
            | "--force-badname"
            | "--allow-badname"
            | "--allow-bad-names"
            | "--allow-all-names"
            | "-f"
            | "--force"
            | "-o"
            | "--non-unique"
            | "-N"
            | "--no-user-group"
            | "-l"
            | "--no-log-init" => {}
            "--group" if command == "adduser" && inline.is_none() => asked.with_group = true,
            "-U" | "--user-group" => asked.with_group = true,
            "--home" | "-d" | "--home-dir" | "-b" => asked.home = Some(value()?),
            "--shell" | "-s" => asked.shell = Some(value()?),
            "--gecos" | "--comment" | "-c" => asked.comment = value()?.trim_end_matches(',').to_owned(),
            "--ingroup" | "-g" | "--gid" if command == "adduser" || command == "useradd" => {
                let group = value()?;
                if group.bytes().all(|b| b.is_ascii_digit()) {
                    return None;
                }
                asked.group = Some(group);
            }
            "--uid" | "-u" | "--gid" | "-g" => asked.id = Some(value()?.parse().ok().filter(|&id| id != NO_ID)?),
            "-G" | "--groups" => {
                asked.supplementary = value()?.split(',').map(str::to_owned).collect();
                asked.supplementary.sort_unstable();
            }
            "--no-create-home" | "-M" => asked.create_home = Some(false),
            "-m" | "--create-home" => asked.create_home = Some(true),
            "--firstuid" | "--lastuid" | "--firstgid" | "--lastgid" | "-K" | "--key" => _ = value()?,
            _ if option.starts_with('-') => return None,
            _ => asked.operands.push(option.to_owned()),
        }
    }
    // A first operand of `adduser --system --group NAME` is the user, whose group has the same name.
    (!asked.operands.is_empty() && (is_debian || asked.operands.len() == 1)).then_some(asked)
}
