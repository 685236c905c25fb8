//! `test` and `[`: what is known about values and about files of a fresh installation.

use larder_store::Entry;

use super::{Status, Value, Walk};
use crate::declare::commands::FUNCTIONS;
use crate::declare::effects::{Made, tree_path};

/// Folders that many packages share: what isn't the package's own there may still exist.
const SHARED: [&str; 12] = [
    "etc/default",
    "etc/init.d",
    "etc/cron.d",
    "etc/cron.daily",
    "etc/logrotate.d",
    "etc/profile.d",
    "etc/ssl/certs",
    "var/lib",
    "var/log",
    "var/cache",
    "var/spool",
    "var/www",
];

/// Deep folders that many packages share.
const CROWDED: [&str; 4] = ["usr/share/man/", "usr/share/locale/", "usr/share/icons/", "usr/lib/python3/"];

/// What stands at a path, as far as a test can ask.
enum Found {
    Directory,
    File { executable: bool, empty: Option<bool> },
    Link,
    Absent,
}

impl Walk<'_> {
    /// The words between `[` and `]`.
    pub(in crate::declare) fn test(&self, words: &[Value]) -> Status {
        if let Some(at) = words.iter().position(|w| w.as_deref() == Some("-o")) {
            let (left, right) = (self.test(&words[..at]), self.test(&words[at + 1..]));
            return match (left, right) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            };
        }
        if words.len() > 3
            && let Some(at) = words.iter().position(|w| w.as_deref() == Some("-a"))
        {
            let (left, right) = (self.test(&words[..at]), self.test(&words[at + 1..]));
            return match (left, right) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            };
        }
        match words {
            [] => Some(false),
            [Some(not), rest @ ..] if not == "!" && !rest.is_empty() => self.test(rest).map(|status| !status),
            [value] => value.as_ref().map(|text| !text.is_empty()),
            [Some(operator), value] => self.unary(operator, value.as_deref()?),
            [Some(left), Some(operator), Some(right)] => binary(left, operator, right),
            _ => None,
        }
    }

    fn unary(&self, operator: &str, value: &str) -> Status {
        match operator {
            "-n" => return Some(!value.is_empty()),
            "-z" => return Some(value.is_empty()),
            _ => {}
        }
        let found = self.find(value)?;
        match (operator, found) {
            (_, Found::Absent) => Some(false),
            ("-L" | "-h", found) => Some(matches!(found, Found::Link)),
            (_, Found::Link) => None,
            ("-e" | "-r" | "-w", _) => Some(true),
            ("-d", found) => Some(matches!(found, Found::Directory)),
            ("-f", found) => Some(matches!(found, Found::File { .. })),
            ("-x", Found::Directory) => Some(true),
            ("-x", Found::File { executable, .. }) => Some(executable),
            ("-s", Found::File { empty, .. }) => empty.map(|empty| !empty),
            _ => None,
        }
    }

    /// `None` where a fresh installation may or may not have the path.
    fn find(&self, path: &str) -> Option<Found> {
        if path.is_empty() || path == "/run/systemd/system" {
            return Some(Found::Absent);
        }
        if FUNCTIONS.contains(&path) {
            return Some(Found::File { executable: false, empty: Some(false) });
        }
        let path = tree_path(path)?;
        if let Some(node) = self.effects.nodes.get(&path) {
            match &node.made {
                Made::Directory => return Some(Found::Directory),
                Made::Copy(_) => return Some(Found::File { executable: false, empty: None }),
                Made::Text(text) => return Some(Found::File { executable: false, empty: Some(text.is_empty()) }),
                Made::Symlink(_) => return Some(Found::Link),
                Made::Own => {}
            }
        }
        match self.subject.tree.get(path.as_bytes()).map(|own| &own.entry) {
            Some(Entry::Directory) => return Some(Found::Directory),
            Some(Entry::File { executable, size, .. }) => {
                return Some(Found::File { executable: *executable, empty: Some(*size == 0) });
            }
            Some(Entry::Symlink { .. }) => return Some(Found::Link),
            None => {}
        }
        // Below a folder that is the package's own, of state or deep, nothing else is there on the first day.
        let parent = path.parent()?;
        let text = std::str::from_utf8(parent.as_bytes()).ok()?;
        let is_state = (text.starts_with("etc/") || text.starts_with("var/")) && !SHARED.contains(&text)
            || text.matches('/').count() >= 3 && !CROWDED.iter().any(|crowd| text.starts_with(crowd));
        let is_own = self.subject.tree.get(parent.as_bytes()).is_some() || self.effects.nodes.contains_key(&parent);
        (is_state && is_own).then_some(Found::Absent)
    }
}

fn binary(left: &str, operator: &str, right: &str) -> Status {
    let numbers = || Some((left.trim().parse::<i64>().ok()?, right.trim().parse::<i64>().ok()?));
    match operator {
        "=" | "==" => Some(left == right),
        "!=" => Some(left != right),
        "-eq" => numbers().map(|(a, b)| a == b),
        "-ne" => numbers().map(|(a, b)| a != b),
        "-gt" => numbers().map(|(a, b)| a > b),
        "-ge" => numbers().map(|(a, b)| a >= b),
        "-lt" => numbers().map(|(a, b)| a < b),
        "-le" => numbers().map(|(a, b)| a <= b),
        _ => None,
    }
}
