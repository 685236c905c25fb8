//! What this process may do here, found out by looking and trying.

use std::fs;
use std::path::{Path, PathBuf};

use super::idmap::{IdRange, MapTools, UserMap};

/// Where distributions keep `newuidmap`. The search path is the environment's, which a library doesn't read.
const TOOL_DIRECTORIES: &[&str] = &["/usr/bin", "/bin", "/usr/local/bin", "/run/wrappers/bin"];

/// What this process may do here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// Whether it is root, with other users beside it.
    pub root: bool,
    /// Whether it can make namespaces with mounts of its own (in a user namespace, for an ordinary user).
    pub namespaces: bool,
    /// Why not, where it can't.
    pub obstacle: Option<String>,
    /// The ids of a range that the caller may use, with the programs that map them; `None` for root.
    pub range: Option<UserMap>,
    /// What an ordinary user would need for a range of ids: a package or a line in a file.
    pub remedy: Option<String>,
}

impl Capabilities {
    /// The best map that works.
    pub fn map(&self) -> UserMap {
        match (&self.range, self.root) {
            (_, true) => UserMap::Host,
            (Some(range), false) => range.clone(),
            (None, false) => UserMap::Single,
        }
    }
}

/// Finds out what this process may do. Starts one short process.
pub fn probe() -> Capabilities {
    let root = is_root();
    let attempt = super::foreground::try_namespaces(root);
    let (range, remedy) = if root { (None, None) } else { split(range()) };
    let obstacle = attempt.err().map(|error| {
        let cause = std::error::Error::source(&error).map_or_else(String::new, |cause| format!(": {cause}"));
        format!("{error}{cause}")
    });
    Capabilities { root, namespaces: obstacle.is_none(), obstacle, range, remedy }
}

/// The best map for the caller, from what is written down and installed, without trying it: the cheap part of [`probe`].
pub fn user_map() -> UserMap {
    if is_root() { UserMap::Host } else { range().unwrap_or(UserMap::Single) }
}

/// Whether this is root with other users beside it. Inside a user namespace of one id it is an ordinary user to us: it needs one more
/// such namespace to be anybody else.
fn is_root() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let count = |line: &str| line.split_whitespace().nth(2)?.parse::<u64>().ok();
    let alone = map.lines().filter_map(count).sum::<u64>() == 1;
    rustix::process::geteuid().is_root() && !alone
}

fn range() -> Result<UserMap, String> {
    if rustix::process::geteuid().is_root() {
        return Err("this user namespace has one id only".to_owned());
    }
    if rustix::thread::no_new_privs().unwrap_or(false) {
        return Err("no_new_privs is set for this process, so newuidmap has no rights".to_owned());
    }
    let tool = |name: &str| -> Option<PathBuf> {
        TOOL_DIRECTORIES.iter().map(|directory| Path::new(directory).join(name)).find(|path| path.exists())
    };
    let (Some(uid_tool), Some(gid_tool)) = (tool("newuidmap"), tool("newgidmap")) else {
        return Err("newuidmap is missing: install the package \"uidmap\"".to_owned());
    };
    let uid = rustix::process::getuid().as_raw();
    let name = user_name(uid);
    let find = |file: &str| -> Result<IdRange, String> {
        let text = fs::read_to_string(file).unwrap_or_default();
        own_range(&text, uid, name.as_deref()).ok_or_else(|| {
            let who = name.clone().unwrap_or_else(|| uid.to_string());
            format!(
                "{file} has no range for {who}: add a line such as \"{who}:100000:65536\" that no other line overlaps"
            )
        })
    };
    Ok(UserMap::Range {
        uids: find("/etc/subuid")?,
        gids: find("/etc/subgid")?,
        tools: MapTools { uid: uid_tool, gid: gid_tool },
    })
}

fn split(result: Result<UserMap, String>) -> (Option<UserMap>, Option<String>) {
    match result {
        Ok(map) => (Some(map), None),
        Err(remedy) => (None, Some(remedy)),
    }
}

fn user_name(uid: u32) -> Option<String> {
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

/// The largest range that a file in the form of `/etc/subuid` gives to a user, by name or number.
fn own_range(text: &str, uid: u32, name: Option<&str>) -> Option<IdRange> {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.trim().split(':');
            let (who, first, count) = (fields.next()?, fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
            let own = Some(who) == name || who.parse() == Ok(uid);
            own.then_some(IdRange { first, count })
        })
        .filter(|range| range.count > 0)
        .max_by_key(|range| range.count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_own_range_is_taken() {
        let text = "other:100000:65536\nme:200000:10\n1000:300000:65536\nbroken\n";
        assert_eq!(own_range(text, 1000, Some("me")), Some(IdRange { first: 300_000, count: 65536 }));
        assert_eq!(own_range(text, 5, Some("me")), Some(IdRange { first: 200_000, count: 10 }));
        assert_eq!(own_range(text, 5, None), None);
    }
}
