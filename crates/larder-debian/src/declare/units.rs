//! Payload that declares: sysusers.d(5) and tmpfiles.d(5).
//!
//! Of sysusers.d: `u`, `g` and `m`. Of tmpfiles.d: directories, links and files that are made at boot, which in a container
//! nobody does. Lines that clean up, relabel, adjust what others own, or use specifiers are for a running systemd and are passed over.

use std::collections::BTreeMap;

use larder_store::fileset::{GroupRule, NO_ID, UserRule};
use larder_store::{Tree, TreePath};

use super::commands::{GROUPS, USERS};
use super::effects::{Effects, Made, Node, tree_path};

pub(super) fn read(texts: &BTreeMap<TreePath, Vec<u8>>, tree: &Tree, effects: &mut Effects) {
    for (path, text) in texts {
        let Ok(text) = std::str::from_utf8(text) else { continue };
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let rows = lines.filter_map(fields);
        if path.is_below(b"usr/lib/sysusers.d") {
            rows.for_each(|row| sysuser(&row, effects));
        } else if path.is_below(b"usr/lib/tmpfiles.d") {
            rows.for_each(|row| _ = tmpfile(&row, tree, effects));
        }
    }
}

/// A line's fields; quoted ones keep their blanks. `None` where a quote isn't closed.
fn fields(line: &str) -> Option<Vec<String>> {
    let mut fields = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        fields.push(field.to_owned());
        rest = after.trim_start();
    }
    Some(fields)
}

/// A field that isn't `-`.
fn given(row: &[String], at: usize) -> Option<&str> {
    row.get(at).map(String::as_str).filter(|field| *field != "-")
}

/// A user's or group's number.
fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|&number| number != NO_ID)
}

/// `u name id gecos home shell`, `g name id`, `m user group`.
fn sysuser(row: &[String], effects: &mut Effects) {
    let (Some(kind), Some(name)) = (given(row, 0), given(row, 1)) else { return };
    if name.contains('%') || row.iter().any(|field| field.contains('%')) {
        return;
    }
    match kind.trim_end_matches('!') {
        // Those of base-passwd are repeated by systemd, in numbers.
        "u" if USERS.contains(&name) => {}
        "g" if GROUPS.contains(&name) => {}
        "u" => {
            let (uid, group) = match given(row, 2).unwrap_or_default().split_once(':') {
                Some((_, "65534")) => (None, "nogroup".to_owned()),
                Some((_, group)) if group.bytes().all(|b| b.is_ascii_digit()) => return,
                Some((uid, group)) => (number(uid), group.to_owned()),
                None => (given(row, 2).and_then(number), name.to_owned()),
            };
            let user = UserRule {
                name: name.to_owned(),
                uid,
                group,
                home: given(row, 4).unwrap_or("/").to_owned(),
                shell: given(row, 5).unwrap_or("/usr/sbin/nologin").to_owned(),
                comment: given(row, 3).unwrap_or_default().to_owned(),
                supplementary: Vec::new(),
            };
            if GROUPS.contains(&user.group.as_str()) {
                effects.users.insert(user.name.clone(), user);
            } else {
                effects.user(user);
            }
        }
        "g" => {
            let gid = given(row, 2).and_then(number);
            effects.groups.insert(name.to_owned(), GroupRule { name: name.to_owned(), gid });
        }
        "m" => {
            let Some(group) = given(row, 2) else { return };
            if let Some(user) = effects.users.get_mut(name)
                && !user.supplementary.iter().any(|other| other == group)
            {
                user.supplementary.push(group.to_owned());
                user.supplementary.sort_unstable();
            }
        }
        _ => {}
    }
}

/// `type path mode user group age argument`.
fn tmpfile(row: &[String], tree: &Tree, effects: &mut Effects) -> Option<()> {
    let (kind, path) = (given(row, 0)?, given(row, 1)?);
    if row.iter().any(|field| field.contains('%')) || path.contains(['*', '?', '[']) {
        return None;
    }
    let path = tree_path(path)?;
    if tree.get(path.as_bytes()).is_some()
        && !matches!(kind.trim_end_matches(['!', '-', '=', '~', '^', '$', '+']), "d" | "D")
    {
        return None;
    }
    let made = match kind.trim_end_matches(['!', '-', '=', '~', '^', '$']) {
        "d" | "D" | "q" | "Q" | "v" => match tree.get(path.as_bytes()) {
            Some(_) => Made::Own,
            None => Made::Directory,
        },
        "f" | "f+" | "F" if given(row, 6).is_none() => Made::Text(Vec::new()),
        "L" | "L+" => Made::Symlink(given(row, 6)?.as_bytes().to_vec()),
        _ => return None,
    };
    let is_link = matches!(made, Made::Symlink(_));
    let mut node = Node::new(made);
    if !is_link {
        let mode = given(row, 2).map(|mode| mode.trim_start_matches(['~', ':']));
        node.mode = mode.and_then(|mode| u16::from_str_radix(mode, 8).ok());
        node.owner = given(row, 3).map(|owner| owner.trim_start_matches(':').to_owned());
        node.group = given(row, 4).map(|group| group.trim_start_matches(':').to_owned());
    }
    effects.nodes.insert(path, node);
    Some(())
}
