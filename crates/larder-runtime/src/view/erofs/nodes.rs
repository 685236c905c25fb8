//! A listing as inodes: which there are, what each directory has, and in which order they are written.
//!
//! A file that a package has below `packages` and at its place is one inode with two names where nothing is ever written to either
//! ([`Written::OutsidePackages`](crate::view::Written)). Its link count stays 1, as if they were two: programs that look
//! for links (cron, tar) see none, and the count of a file system that nothing can be removed from means nothing else.
//! That no two names of one inode are both at their places, or both below `packages`, keeps files apart that only happen to be alike.

use std::collections::HashMap;

use super::attributes::Attributes;
use super::format::{Format, Kind};
use crate::view::{RootAttributes, ViewEntry, ViewKind, ViewTree, Written};

/// What is written of an inode besides its name.
pub(super) struct Node<'a> {
    pub(super) kind: Kind,
    pub(super) mode: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: u64,
    pub(super) attributes: Attributes<'a>,
    pub(super) content: Content<'a>,
}

pub(super) enum Content<'a> {
    /// No bytes.
    Nothing,
    /// As many bytes, which are an object's.
    Object(u64),
    /// A link's target.
    Target(&'a [u8]),
    /// A directory's names, sorted, with `.` and `..`.
    Names(Vec<Name<'a>>),
}

/// A name in a directory, and its inode.
#[derive(Clone, Copy)]
pub(super) struct Name<'a> {
    pub(super) name: &'a [u8],
    pub(super) node: usize,
}

/// The inodes; the root is the first.
pub(super) struct Nodes<'a> {
    pub(super) all: Vec<Node<'a>>,
    /// All of them in the order in which they are written.
    pub(super) order: Vec<usize>,
}

impl<'a> Nodes<'a> {
    pub(super) fn new(tree: &'a ViewTree, format: Format, written: Written) -> Self {
        let mut all = of_listing(tree, format, written);
        if format == Format::Long {
            all[0].attributes.opaque = true;
            hide_objects(&mut all);
        }
        for node in &mut all {
            if let Content::Names(names) = &mut node.content {
                names.sort_unstable_by_key(|name| name.name);
            }
        }
        let order = order(&all);
        Self { all, order }
    }
}

/// The inodes of a listing, the names of each directory in any order.
fn of_listing(tree: &ViewTree, format: Format, written: Written) -> Vec<Node<'_>> {
    let entries = tree.entries();
    let joined = match written {
        Written::Anything => HashMap::new(),
        Written::OutsidePackages => joined(tree),
    };
    // The kernel knows a directory's own name; from when it reads short inodes it makes it up where it isn't there.
    let has_dot = format == Format::Long;
    let mut all = Vec::with_capacity(entries.len() + 1 + OBJECT_DIRECTORIES.len());
    let RootAttributes { mode, uid, gid, mtime } = *tree.root();
    let (attributes, content) = (Attributes::default(), own_names(0, 0, has_dot));
    all.push(Node { kind: Kind::Directory, mode, uid, gid, mtime, attributes, content });
    let mut of_entry = Vec::with_capacity(entries.len());
    let mut directories: HashMap<&[u8], usize> = HashMap::from([(b"".as_slice(), 0)]);
    // Neighbours mostly are in one directory.
    let mut last: (&[u8], usize) = (b"", 0);
    for (index, entry) in entries.iter().enumerate() {
        let (directory, name) = split(&entry.path);
        if last.0 != directory {
            // A listing has the directory of each path.
            last = (directory, directories.get(directory).copied().unwrap_or(0));
        }
        let parent = last.1;
        let node = match joined.get(&index) {
            Some(other) if *other < index => of_entry[*other],
            _ => {
                let own = all.len();
                all.push(node(entry, || own_names(parent, own, has_dot)));
                own
            }
        };
        of_entry.push(node);
        if entry.kind == ViewKind::Directory {
            directories.insert(&entry.path, node);
        }
        if let Content::Names(names) = &mut all[parent].content {
            names.push(Name { name, node });
        }
    }
    all
}

/// The names that a directory has before any other.
fn own_names<'a>(parent: usize, own: usize, has_dot: bool) -> Content<'a> {
    let mut names = vec![Name { name: b"..", node: parent }];
    names.extend(has_dot.then_some(Name { name: b".", node: own }));
    Content::Names(names)
}

fn node<'a>(entry: &'a ViewEntry, own_names: impl FnOnce() -> Content<'a>) -> Node<'a> {
    let (kind, content, object) = match &entry.kind {
        ViewKind::Directory => (Kind::Directory, own_names(), None),
        ViewKind::File { size: 0, .. } => (Kind::File, Content::Nothing, None),
        ViewKind::File { object, size } => (Kind::File, Content::Object(*size), Some(object)),
        ViewKind::Symlink { target } => (Kind::Link, Content::Target(target), None),
    };
    Node {
        kind,
        mode: if kind == Kind::Link { 0o777 } else { entry.mode },
        uid: entry.uid,
        gid: entry.gid,
        mtime: entry.mtime,
        attributes: Attributes { object, opaque: false, own: &entry.xattrs },
        content,
    }
}

/// Kernels without data-only layers have the objects as an ordinary layer below the image. Whiteouts in the root hide their directories,
/// and a directory that has the name of one of them is not merged with it.
fn hide_objects(all: &mut Vec<Node<'_>>) {
    let Content::Names(names) = &all[0].content else { return };
    let there: HashMap<&[u8], usize> = names.iter().map(|name| (name.name, name.node)).collect();
    let (mut absent, mut present) = (Vec::new(), Vec::new());
    for name in &OBJECT_DIRECTORIES {
        match there.get(name.as_slice()) {
            Some(node) => present.push(*node),
            None => absent.push(name.as_slice()),
        }
    }
    for node in present {
        all[node].attributes.opaque = all[node].kind == Kind::Directory;
    }
    let Node { uid, gid, mtime, .. } = all[0];
    for name in absent {
        let (attributes, content) = (Attributes::default(), Content::Nothing);
        all.push(Node { kind: Kind::Device, mode: 0o644, uid, gid, mtime, attributes, content });
        let node = all.len() - 1;
        if let Content::Names(names) = &mut all[0].content {
            names.push(Name { name, node });
        }
    }
}

/// `00` to `ff`.
static OBJECT_DIRECTORIES: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let mut names = [[0; 2]; 256];
    let mut index = 0;
    while index < 256 {
        names[index] = [digits[index / 16], digits[index % 16]];
        index += 1;
    }
    names
};

/// What a directory has is together, because who looks for one of them reads the page, and then goes into one of them.
fn order(all: &[Node<'_>]) -> Vec<usize> {
    let mut order = Vec::with_capacity(all.len());
    let mut placed = vec![false; all.len()];
    let mut next = vec![0];
    order.push(0);
    placed[0] = true;
    while let Some(directory) = next.pop() {
        let Content::Names(names) = &all[directory].content else { continue };
        let begin = next.len();
        for name in names {
            if !std::mem::replace(&mut placed[name.node], true) {
                order.push(name.node);
                if all[name.node].kind == Kind::Directory {
                    next.push(name.node);
                }
            }
        }
        next[begin..].reverse();
        if directory == 0 {
            // Files that have two names are to be where programs look for them.
            let of_packages = |name: &Name<'_>| name.name == PACKAGES;
            let packages = names.iter().find(|name| of_packages(name)).map(|name| name.node);
            next.sort_by_key(|node| Some(*node) != packages);
        }
    }
    order
}

/// Pairs the files and links below `packages` with those at their places that are the same in everything but the path: the index of
/// each one's other.
fn joined(tree: &ViewTree) -> HashMap<usize, usize> {
    let entries = tree.entries();
    let mut at_their_places: HashMap<&ViewKind, Vec<usize>> = HashMap::new();
    let mut packaged = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        if entry.kind == ViewKind::Directory {
            continue;
        }
        let top = entry.path.split(|&byte| byte == b'/').next().unwrap_or_default();
        if top == PACKAGES {
            packaged.push((index, &entry.kind));
        } else if tree.read_only().iter().any(|path| path == top) {
            at_their_places.entry(&entry.kind).or_default().push(index);
        }
    }
    let mut pairs = HashMap::with_capacity(2 * packaged.len());
    for (index, kind) in packaged {
        let Some(places) = at_their_places.get_mut(kind) else { continue };
        if let Some(found) = places.iter().position(|place| is_twin(&entries[*place], &entries[index])) {
            let place = places.remove(found);
            pairs.insert(index, place);
            pairs.insert(place, index);
        }
    }
    pairs
}

const PACKAGES: &[u8] = b"packages";

/// Whether two of one kind, and content, are the same in all but the path.
fn is_twin(one: &ViewEntry, other: &ViewEntry) -> bool {
    split(&one.path).1 == split(&other.path).1
        && (one.mode, one.uid, one.gid, one.mtime) == (other.mode, other.uid, other.gid, other.mtime)
        && one.xattrs == other.xattrs
}

/// A path's directory and its name there.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}
