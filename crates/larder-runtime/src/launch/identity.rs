//! Who the workload runs as, looked up in the container's own `/etc/passwd` and `/etc/group`.

use std::io::Read;
use std::path::Path;

use oci_spec::runtime::User;

use super::resolve::RootDir;
use crate::error::RuntimeError;

/// More than any real user file holds.
const FILE_LIMIT: u64 = 4 << 20;

/// The number that is nobody's: to the kernel it means "as before", and before is root.
pub(super) const NO_ID: u32 = u32::MAX;

/// A user of the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: Vec<u32>,
    /// The home directory, where the user is listed.
    pub(super) home: Option<String>,
}

struct Account<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

impl Identity {
    /// Finds out who `asked` (`user[:group]`, by name or number) is; without it, who the specification names by number.
    pub(super) fn resolve(root: &RootDir, asked: Option<&str>, specified: &User) -> Result<Self, RuntimeError> {
        let passwd = read(root, "/etc/passwd");
        let Some(asked) = asked else {
            return Self::specified(specified, &passwd);
        };
        let group = read(root, "/etc/group");
        Self::look_up(asked, &passwd, &group)
    }

    fn specified(specified: &User, passwd: &str) -> Result<Self, RuntimeError> {
        let groups = specified.additional_gids().clone().unwrap_or_default();
        let none = |what| RuntimeError::UnknownUser { what, name: NO_ID.to_string() };
        if specified.uid() == NO_ID {
            return Err(none("user"));
        }
        if specified.gid() == NO_ID || groups.contains(&NO_ID) {
            return Err(none("group"));
        }
        let account = accounts(passwd).find(|account| account.uid == specified.uid());
        let home = account.map(|account| account.home.to_owned());
        Ok(Self { uid: specified.uid(), gid: specified.gid(), groups, home })
    }

    pub(super) fn look_up(asked: &str, passwd: &str, group: &str) -> Result<Self, RuntimeError> {
        let (user, asked_group) = match asked.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (asked, None),
        };
        // A number is a number: an image that calls its root "1000" can't make root of who asks for 1000.
        let number = id(user);
        let account =
            accounts(passwd).find(|account| number.map_or(account.name == user, |number| account.uid == number));
        let uid = account
            .as_ref()
            .map(|account| account.uid)
            .or(number)
            .ok_or_else(|| RuntimeError::UnknownUser { what: "user", name: user.to_owned() })?;
        let gid = match asked_group {
            Some(name) => id(name)
                .or_else(|| groups(group).find(|(listed, ..)| *listed == name).map(|(_, gid, _)| gid))
                .ok_or_else(|| RuntimeError::UnknownUser { what: "group", name: name.to_owned() })?,
            None => account.as_ref().map_or(0, |account| account.gid),
        };
        // A group that was asked for stands alone.
        let supplementary = match (&account, asked_group) {
            (Some(account), None) => groups(group)
                .filter(|(.., members)| members.split(',').any(|member| member == account.name))
                .map(|(_, gid, _)| gid)
                .filter(|&other| other != gid)
                .collect(),
            _ => Vec::new(),
        };
        Ok(Self { uid, gid, groups: supplementary, home: account.map(|account| account.home.to_owned()) })
    }
}

fn accounts(passwd: &str) -> impl Iterator<Item = Account<'_>> {
    passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, _, uid, gid) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let home = fields.nth(1)?;
        Some(Account { name, uid: id(uid)?, gid: id(gid)?, home })
    })
}

fn groups(group: &str) -> impl Iterator<Item = (&str, u32, &str)> {
    group.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, _, gid) = (fields.next()?, fields.next()?, fields.next()?);
        Some((name, id(gid)?, fields.next().unwrap_or_default()))
    })
}

/// A user's or group's number; [`NO_ID`] is none.
fn id(text: &str) -> Option<u32> {
    text.parse().ok().filter(|&number| number != NO_ID)
}

/// The text of a file of the container; empty where it has none.
fn read(root: &RootDir, path: &str) -> String {
    let mut bytes = Vec::new();
    if let Ok(file) = root.read(Path::new(path)) {
        // A half-read file only lacks names, which is reported as such.
        let _ = file.take(FILE_LIMIT).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33:www:/var/www:/usr/sbin/nologin\nbroken\n12:x:77:77::/x:/y\n";
    const GROUP: &str = "root:x:0:\nwww-data:x:33:\nssl-cert:x:110:postgres,www-data\n";

    fn look_up(asked: &str) -> Result<(u32, u32, Vec<u32>), String> {
        Identity::look_up(asked, PASSWD, GROUP)
            .map(|identity| (identity.uid, identity.gid, identity.groups))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn users_are_found_by_name_and_number() {
        assert_eq!(look_up("www-data"), Ok((33, 33, vec![110])));
        assert_eq!(look_up("33"), Ok((33, 33, vec![110])));
        assert_eq!(look_up("www-data:ssl-cert"), Ok((33, 110, vec![])));
        assert_eq!(look_up("1000:50"), Ok((1000, 50, vec![])));
        assert_eq!(look_up("1000"), Ok((1000, 0, vec![])));
    }

    /// Found by an attack: an image says what its names mean, but not what a number means.
    #[test]
    fn an_image_cannot_make_another_user_of_a_number() {
        assert_eq!(look_up("12"), Ok((12, 0, vec![])));
        let hostile = "1000:x:0:0::/root:/bin/sh\nnobody:x:4294967295:4294967295::/:/bin/sh\n";
        let group = "50:x:0:\nall:x:4294967295:\n";
        let look_up = |asked| Identity::look_up(asked, hostile, group).map(|found| (found.uid, found.gid)).ok();
        assert_eq!(look_up("1000"), Some((1000, 0)));
        assert_eq!(look_up("1000:50"), Some((1000, 50)));
        // setresuid(-1) changes nothing: that would run as root.
        for asked in ["nobody", "4294967295", "0:4294967295", "0:all"] {
            assert_eq!(look_up(asked), None, "{asked}");
        }
    }

    /// A specification could name the number that the kernel takes for "as before": the workload ran as root.
    #[test]
    fn a_specification_cannot_name_the_number_that_is_none() {
        let specified = |uid: u32, gid: u32, group: u32| {
            let mut user = User::default();
            user.set_uid(uid).set_gid(gid).set_additional_gids(Some(vec![5, group]));
            Identity::specified(&user, PASSWD).map_err(|error| error.to_string())
        };
        let found = specified(33, 34, 6).unwrap();
        assert_eq!((found.uid, found.gid, found.groups, found.home.as_deref()), (33, 34, vec![5, 6], Some("/var/www")));
        assert_eq!(specified(u32::MAX, 0, 0), Err("the container has no user \"4294967295\"".to_owned()));
        for (gid, group) in [(u32::MAX, 0), (0, u32::MAX)] {
            assert_eq!(specified(0, gid, group), Err("the container has no group \"4294967295\"".to_owned()));
        }
    }

    #[test]
    fn what_is_not_there_is_named() {
        assert_eq!(look_up("nobody-here"), Err("the container has no user \"nobody-here\"".to_owned()));
        assert_eq!(look_up("root:wheel"), Err("the container has no group \"wheel\"".to_owned()));
    }
}
