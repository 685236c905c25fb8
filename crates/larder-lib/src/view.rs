//! From an image's plan and what composers made of it to what its root shows.

mod listing;

use std::collections::{BTreeMap, BTreeSet};

use larder_debian::compose::ComposedEntry;
use larder_store::plan::{InstallPlan, Planned};
use larder_store::{Entry, TreeEntry, TreePath};

use crate::{Error, Result};

pub use listing::listing;

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
