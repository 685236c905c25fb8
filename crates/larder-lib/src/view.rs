//! From an image's plan and what composers made of it to the listing of its view: numbers for owners, times.

use std::collections::{BTreeMap, BTreeSet};

use larder_debian::compose::{ComposedEntry, Ids};
use larder_runtime::view::{RootAttributes, ViewEntry, ViewKind, ViewTree};
use larder_store::plan::{InstallPlan, Planned};
use larder_store::{Entry, TreeEntry, TreePath};

use crate::{Error, Result};

/// Top-level directories that stay writable although packages own files in them.
const STATE: [&str; 2] = ["etc", "var"];

/// A path of an image's root, whoever put it there.
#[derive(Debug, Clone)]
pub struct Shown {
    /// What, with which attributes.
    pub entry: TreeEntry,
    /// The time of its FileSet, or that its composer gave it.
    pub time: u64,
    /// `name@version` of its FileSet, or the composer's name.
    pub of: String,
}

/// Every path of an image's root: the plan with composers' files laid over it, and with `/packages` if asked for.
///
/// # Errors
/// A path that is too long below its mount path.
pub fn shown(plan: &InstallPlan, composed: &[ComposedEntry], packages: Packages) -> Result<BTreeMap<TreePath, Shown>> {
    let mut paths: BTreeMap<TreePath, Shown> = BTreeMap::new();
    let mut show = |path: TreePath, planned: Planned| {
        let source = &plan.sources[planned.source];
        paths.insert(path, Shown { entry: planned.entry, time: source.record.time, of: source.to_string() });
    };
    plan.entries.iter().for_each(|(path, planned)| show(path.clone(), planned.clone()));
    if packages == Packages::Shown {
        let packages = plan.package_entries().map_err(|source| Error::ViewPath { source })?;
        packages.into_iter().for_each(|(path, planned)| show(path, planned));
    }
    for file in composed {
        let entry =
            TreeEntry { path: file.path.clone(), entry: file.entry.clone(), attributes: file.attributes.clone() };
        paths.insert(file.path.clone(), Shown { entry, time: file.time, of: file.composer.to_owned() });
    }
    Ok(paths)
}

/// Whether a listing has `/packages` in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packages {
    /// As a container sees it.
    Shown,
    /// The root alone.
    Hidden,
}

/// Makes the listing of an image's view.
///
/// # Errors
/// An owner that no composer has a number for, a path that is too long, an entry that no view can show.
pub fn listing(plan: &InstallPlan, composed: &[ComposedEntry], ids: &Ids) -> Result<ViewTree> {
    let paths = shown(plan, composed, Packages::Shown)?;
    let newest = newest_times(&paths);
    let mut entries = Vec::with_capacity(paths.len());
    for (path, shown) in &paths {
        let mtime = newest.get(path).copied().unwrap_or(shown.time);
        entries.push(view_entry(shown, mtime, ids)?);
    }
    let mtime = entries.iter().map(|entry| entry.mtime).max().unwrap_or(0);
    let root = RootAttributes { mode: 0o755, uid: 0, gid: 0, mtime };
    let read_only = read_only_paths(plan).into_iter().map(String::into_bytes);
    Ok(ViewTree::new(root, entries)?.with_read_only(read_only))
}

impl Shown {
    fn is_directory(&self) -> bool {
        self.entry.entry == Entry::Directory
    }
}

/// The time that each directory shows: that of its newest entry, or its FileSet's where it is empty.
fn newest_times(paths: &BTreeMap<TreePath, Shown>) -> BTreeMap<TreePath, u64> {
    let mut newest: BTreeMap<TreePath, u64> = BTreeMap::new();
    // Children sort after their parent, so going backwards every directory is complete when it is reached.
    for (path, shown) in paths.iter().rev() {
        let time = newest.get(path).copied().unwrap_or(shown.time);
        if shown.is_directory() {
            newest.insert(path.clone(), time);
        }
        if let Some(parent) = path.parent() {
            let there = newest.entry(parent).or_insert(time);
            *there = (*there).max(time);
        }
    }
    newest
}

fn view_entry(shown: &Shown, mtime: u64, ids: &Ids) -> Result<ViewEntry, Error> {
    let TreeEntry { path, entry, attributes } = &shown.entry;
    let unknown = |what, name: &str| Error::UnknownOwner {
        path: path.clone(),
        owner: shown.of.clone(),
        what,
        name: name.to_owned(),
    };
    let uid = match attributes.owner.as_deref() {
        None => 0,
        Some(name) => ids.uid(name).ok_or_else(|| unknown("user", name))?,
    };
    let gid = match attributes.group.as_deref() {
        None => 0,
        Some(name) => ids.gid(name).ok_or_else(|| unknown("group", name))?,
    };
    let kind = match entry {
        Entry::Directory => ViewKind::Directory,
        Entry::File { digest, size, .. } => ViewKind::File { object: *digest.as_bytes(), size: *size },
        Entry::Symlink { target } => ViewKind::Symlink { target: target.to_vec() },
    };
    Ok(ViewEntry {
        path: path.as_bytes().to_vec(),
        kind,
        mode: shown.entry.mode(),
        uid,
        gid,
        mtime,
        xattrs: attributes.xattrs.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect(),
    })
}

/// The paths of a container that are bound read-only over its writable root, without a leading slash: `packages`, and
/// every top-level directory outside `/etc` and `/var` in which a package owns a file.
pub fn read_only_paths(plan: &InstallPlan) -> Vec<String> {
    let mut tops = BTreeSet::from(["packages"]);
    for (path, planned) in &plan.entries {
        let Some((top, _)) = std::str::from_utf8(path.as_bytes()).ok().and_then(|path| path.split_once('/')) else {
            continue;
        };
        if planned.entry.entry != Entry::Directory && planned.source != plan.image && !STATE.contains(&top) {
            tops.insert(top);
        }
    }
    tops.into_iter().map(str::to_owned).collect()
}
