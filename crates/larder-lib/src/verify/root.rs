//! Looking up paths in a composed root as the kernel would.

use std::collections::{BTreeMap, HashMap, HashSet};

use larder_store::Entry;

use super::{DEFAULT_PATH, Input, RootEntry};

/// As many as the kernel follows in one look-up.
const MAX_LINKS: usize = 40;

/// Where a container's own mounts and generated files are: what they hold is not known before it starts.
const RUNTIME: &[&str] = &[
    "proc",
    "sys",
    "dev",
    "run",
    "tmp",
    "var/run",
    "var/tmp",
    "etc/hosts",
    "etc/hostname",
    "etc/resolv.conf",
    "etc/mtab",
];

/// A composed root, by path.
pub(super) struct Root<'a> {
    pub(super) entries: &'a [RootEntry<'a>],
    by_path: HashMap<&'a [u8], usize>,
    /// Directories that are parents of entries and no entries themselves.
    implied: HashSet<&'a [u8]>,
    /// The folders of `PATH`, without leading slashes.
    search: Vec<String>,
    /// The same folders behind all links.
    searched: HashSet<Vec<u8>>,
}

/// Where a path leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// To a file, by the index of its entry.
    File(usize),
    /// To a directory: its path behind all links.
    Directory(Vec<u8>),
    /// To nothing: the path of what is missing, behind all links that could be followed.
    Missing(Vec<u8>),
    /// To something that the container gets when it starts.
    Runtime,
    /// In a circle.
    Circle,
}

impl<'a> Root<'a> {
    pub(super) fn new(input: &Input<'a>) -> Self {
        let by_path: HashMap<_, _> =
            input.entries.iter().enumerate().map(|(index, entry)| (entry.path.as_bytes(), index)).collect();
        let mut implied = HashSet::new();
        for entry in input.entries {
            let mut path = entry.path.as_bytes();
            while let Some(end) = path.iter().rposition(|&b| b == b'/') {
                path = &path[..end];
                if by_path.contains_key(path) || !implied.insert(path) {
                    break;
                }
            }
        }
        let path = input.env.get("PATH").map_or(DEFAULT_PATH, String::as_str);
        let search = path.split(':').filter_map(|folder| folder.strip_prefix('/')).map(str::to_owned).collect();
        let mut root = Self { entries: input.entries, by_path, implied, search, searched: HashSet::new() };
        root.searched = root.search.iter().filter_map(|folder| root.directory(folder.as_bytes())).collect();
        root
    }

    /// A directory's path behind all links.
    pub(super) fn directory(&self, path: &[u8]) -> Option<Vec<u8>> {
        match self.place(path) {
            Place::Directory(path) => Some(path),
            _ => None,
        }
    }

    /// Whether a path lies in a folder of `PATH`.
    pub(super) fn is_searched(&self, path: &[u8]) -> bool {
        let folder = path.iter().rposition(|&b| b == b'/').map_or(&b""[..], |end| &path[..end]);
        self.searched.contains(folder)
    }

    /// The entry at a path, without following anything.
    pub(super) fn entry(&self, path: &[u8]) -> Option<usize> {
        self.by_path.get(path).copied()
    }

    /// Follows a path from the root; a leading slash may be there or not.
    pub(super) fn place(&self, path: &[u8]) -> Place {
        let mut here = Vec::new();
        // What is still to be walked, the next component last.
        let mut ahead: Vec<&'a [u8]> = Vec::new();
        let mut first: Vec<&[u8]> = path.split(|&b| b == b'/').rev().collect();
        let mut followed = 0;
        loop {
            let Some(component) = ahead.pop().or_else(|| first.pop()) else {
                return Place::Directory(here);
            };
            match component {
                b"" | b"." => continue,
                b".." => {
                    here.truncate(here.iter().rposition(|&b| b == b'/').unwrap_or(0));
                    continue;
                }
                _ => {}
            }
            let before = here.len();
            if before > 0 {
                here.push(b'/');
            }
            here.extend_from_slice(component);
            if is_runtime(&here) {
                return Place::Runtime;
            }
            let last = |part: &&[u8]| matches!(*part, b"" | b".");
            match self.entry(&here).map(|index| (index, self.entries[index].entry)) {
                Some((_, Entry::Directory)) => {}
                Some((index, Entry::File { .. })) => {
                    let end = ahead.iter().all(last) && first.iter().all(last);
                    return if end { Place::File(index) } else { Place::Missing(here) };
                }
                Some((_, Entry::Symlink { target })) => {
                    followed += 1;
                    if followed > MAX_LINKS {
                        return Place::Circle;
                    }
                    here.truncate(if target.starts_with(b"/") { 0 } else { before });
                    ahead.extend(target.split(|&b| b == b'/').rev());
                }
                None if self.implied.contains(here.as_slice()) => {}
                None => {
                    for part in ahead.iter().rev().chain(first.iter().rev()).filter(|part| !last(part)) {
                        here.push(b'/');
                        here.extend_from_slice(part);
                    }
                    return Place::Missing(here);
                }
            }
        }
    }

    /// The file that a path leads to.
    pub(super) fn file(&self, path: &[u8]) -> Option<usize> {
        match self.place(path) {
            Place::File(index) => Some(index),
            _ => None,
        }
    }

    /// The file that a command's first word means.
    pub(super) fn program(&self, name: &str) -> Option<usize> {
        if name.contains('/') {
            return self.file(name.as_bytes());
        }
        let found = |folder: &String| self.file(format!("{folder}/{name}").as_bytes());
        self.search.iter().filter_map(found).find(|&index| self.entries[index].executable)
    }

    /// The executable files that names on `PATH` lead to, each with the first such name.
    pub(super) fn on_path(&self) -> BTreeMap<usize, String> {
        let mut found = BTreeMap::new();
        for entry in self.entries {
            let path = entry.path.as_bytes();
            if !self.is_searched(path) {
                continue;
            }
            if let Some(index) = self.file(path)
                && self.entries[index].executable
            {
                let name = text(path);
                let slot = found.entry(index).or_insert_with(|| name.clone());
                if name < *slot {
                    *slot = name;
                }
            }
        }
        found
    }

    /// The entries below a directory, by name. Only for the few small directories that hold configuration.
    pub(super) fn list(&self, directory: &[u8]) -> Vec<&'a [u8]> {
        let mut names: Vec<_> = self
            .by_path
            .keys()
            .filter(|path| path.len() > directory.len() + 1 && path.starts_with(directory))
            .filter(|path| path[directory.len()] == b'/' && !path[directory.len() + 1..].contains(&b'/'))
            .map(|path| &path[directory.len() + 1..])
            .collect();
        names.sort_unstable();
        names
    }
}

fn is_runtime(path: &[u8]) -> bool {
    RUNTIME.iter().any(|runtime| runtime.as_bytes() == path)
}

/// A path as people write it.
pub(super) fn text(path: &[u8]) -> String {
    format!("/{}", String::from_utf8_lossy(path))
}
