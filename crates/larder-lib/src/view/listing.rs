//! The listing of an image's view: numbers for owners, times.
//!
//! A large image has some 50,000 paths, so what stands at them is borrowed until it is known which of two stands.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use larder_debian::compose::{ComposedEntry, Ids};
use larder_runtime::view::{RootAttributes, ViewEntry, ViewKind, ViewTree};
use larder_store::plan::{InstallPlan, Loaded, PackageEntry};
use larder_store::{Attributes, Entry, TreeEntry, TreePath};

use super::read_only_paths;
use crate::{Error, Result};

/// What stands at a path, if nothing else does that goes before it.
struct Candidate<'a> {
    path: Cow<'a, [u8]>,
    /// Of several at one path the last of the highest stands.
    rank: Rank,
    entry: &'a TreeEntry,
    /// The time of its FileSet, or that its composer gave it.
    time: u64,
    of: Owner<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Root,
    AbovePackages,
    Package,
    Composed,
}

/// Who put it there.
#[derive(Clone, Copy)]
enum Owner<'a> {
    Source(&'a Loaded),
    Composer(&'static str),
}

impl fmt::Display for Owner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(source) => source.fmt(f),
            Self::Composer(name) => f.write_str(name),
        }
    }
}

/// Makes the listing of an image's view.
///
/// # Errors
/// An owner that no composer has a number for, a path that is too long, an entry that no view can show.
pub fn listing(plan: &InstallPlan, composed: &[ComposedEntry], ids: &Ids) -> Result<ViewTree> {
    let composed: Vec<_> = composed.iter().map(|file| (entry_of(file), file)).collect();
    let directory = TreeEntry {
        path: TreePath::new(larder_store::plan::PACKAGES).map_err(|source| Error::ViewPath { source })?,
        entry: Entry::Directory,
        attributes: Attributes::default(),
    };
    let mut found = candidates(plan, &composed, &directory)?;
    found.sort_by(|one, other| one.path.cmp(&other.path).then(one.rank.cmp(&other.rank)));
    // Of neighbours with one path the first is kept, so the one that stands has to come first.
    found.reverse();
    found.dedup_by(|later, kept| later.path == kept.path);
    let times = times(&found);
    let entries = found.into_iter().zip(times).rev().map(|(found, time)| view_entry(found, time, ids));
    let entries = entries.collect::<Result<Vec<_>>>()?;
    let mtime = entries.iter().map(|entry| entry.mtime).max().unwrap_or(0);
    let root = RootAttributes { mode: 0o755, uid: 0, gid: 0, mtime };
    let read_only = read_only_paths(plan).into_iter().map(String::into_bytes);
    Ok(ViewTree::new(root, entries)?.with_read_only(read_only))
}

fn entry_of(file: &ComposedEntry) -> TreeEntry {
    TreeEntry { path: file.path.clone(), entry: file.entry.clone(), attributes: file.attributes.clone() }
}

fn candidates<'a>(
    plan: &'a InstallPlan,
    composed: &'a [(TreeEntry, &'a ComposedEntry)],
    directory: &'a TreeEntry,
) -> Result<Vec<Candidate<'a>>> {
    let mut found = Vec::with_capacity(plan.entries.len() * 2 + composed.len());
    let of_source = |path, rank, entry, source: usize| {
        let source: &Loaded = &plan.sources[source];
        Candidate { path, rank, entry, time: source.record.time, of: Owner::Source(source) }
    };
    for (path, planned) in &plan.entries {
        found.push(of_source(Cow::Borrowed(path.as_bytes()), Rank::Root, &planned.entry, planned.source));
    }
    let package = |path: TreePath, source, entry: PackageEntry<'a>| {
        let (rank, entry) = match entry {
            PackageEntry::Above => (Rank::AbovePackages, directory),
            PackageEntry::Mount => (Rank::Package, directory),
            PackageEntry::Inside(planned) => (Rank::Package, &planned.entry),
        };
        found.push(of_source(Cow::Owned(path.as_bytes().to_vec()), rank, entry, source));
    };
    plan.visit_package_entries(package).map_err(|source| Error::ViewPath { source })?;
    found.extend(composed.iter().map(|(entry, file)| Candidate {
        path: Cow::Borrowed(file.path.as_bytes()),
        rank: Rank::Composed,
        entry,
        time: file.time,
        of: Owner::Composer(file.composer),
    }));
    Ok(found)
}

/// The time that each shows, of candidates in falling order of their paths: a directory that of its newest entry, or its FileSet's where it
/// is empty.
fn times(found: &[Candidate<'_>]) -> Vec<u64> {
    let mut newest: HashMap<&[u8], u64> = HashMap::new();
    // Children sort after their parent, so every directory is complete when it is reached.
    let time = |candidate: &Candidate<'_>, newest: &HashMap<&[u8], u64>| match candidate.entry.entry {
        Entry::Directory => newest.get(candidate.path.as_ref()).copied().unwrap_or(candidate.time),
        _ => candidate.time,
    };
    let mut times = Vec::with_capacity(found.len());
    for candidate in found {
        let own = time(candidate, &newest);
        times.push(own);
        if let Some(slash) = candidate.path.iter().rposition(|&byte| byte == b'/') {
            let there = newest.entry(&candidate.path[..slash]).or_insert(own);
            *there = (*there).max(own);
        }
    }
    times
}

fn view_entry(found: Candidate<'_>, mtime: u64, ids: &Ids) -> Result<ViewEntry> {
    let Candidate { path, entry: shown, of, .. } = found;
    let TreeEntry { entry, attributes, .. } = shown;
    let unknown = |what, name: &str| match TreePath::new(path.to_vec()) {
        Ok(path) => Error::UnknownOwner { path, owner: of.to_string(), what, name: name.to_owned() },
        Err(source) => Error::ViewPath { source },
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
        mode: shown.mode(),
        uid,
        gid,
        mtime,
        xattrs: attributes.xattrs.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect(),
        path: path.into_owned(),
        kind,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};
    use std::sync::Arc;

    use larder_store::fileset::{FilesMetadata, ImageMetadata, PackageMetadata};
    use larder_store::plan::{Catalog, install};
    use larder_store::{FileSet, FileSetDigest, Import, Metadata, Name, ObjectDigest, Tree, TreeDigest, TreePath};

    use super::super::{Packages, Shown, shown};
    use super::*;

    #[derive(Default)]
    struct Shelf(HashMap<FileSetDigest, Arc<Loaded>>);

    impl Catalog for Shelf {
        type Error = std::io::Error;

        fn load(&self, digest: &FileSetDigest) -> std::io::Result<Arc<Loaded>> {
            self.0.get(digest).cloned().ok_or_else(|| std::io::ErrorKind::NotFound.into())
        }
    }

    fn path(text: &str) -> TreePath {
        TreePath::try_from(text).unwrap()
    }

    fn entry(text: &str) -> Entry {
        match text {
            "/" => Entry::Directory,
            text => Entry::File {
                digest: ObjectDigest::of(text.as_bytes()),
                size: text.len() as u64,
                executable: text.len() % 2 == 1,
            },
        }
    }

    impl Shelf {
        fn add(&mut self, name: &str, files: &[(&str, &str)], imports: &[&str], metadata: Metadata) -> Arc<Loaded> {
            let imports = imports.iter().map(|at| {
                let name = at.rsplit_once("packages/").unwrap().1.split('@').next().unwrap();
                let fileset = FileSetDigest::of(name.as_bytes());
                Import { path: path(at), name: Name::parse(name).unwrap(), version: "1".into(), fileset }
            });
            let time = 100 + self.0.len() as u64;
            let entries = files.iter().map(|(at, text)| TreeEntry {
                path: path(at),
                entry: entry(text),
                attributes: Attributes::default(),
            });
            let record = FileSet {
                name: Name::parse(name).unwrap(),
                version: "1".into(),
                architecture: "all".into(),
                time,
                tree: TreeDigest::of(name.as_bytes()),
                imports: imports.collect(),
                metadata,
            };
            let digest = FileSetDigest::of(name.as_bytes());
            let loaded = Arc::new(Loaded { digest, record, tree: Tree::new(entries.collect()).unwrap() });
            self.0.insert(digest, Arc::clone(&loaded));
            loaded
        }
    }

    /// The same by way of everything that stands at each path.
    fn slowly(plan: &InstallPlan, composed: &[ComposedEntry]) -> BTreeMap<Vec<u8>, (ViewKind, u16, u64)> {
        let paths: BTreeMap<TreePath, Shown> = shown(plan, composed, Packages::Shown).unwrap();
        let newest = |path: &TreePath, shown: &Shown| {
            let below = paths.iter().filter(|(other, other_shown)| {
                let is_leaf = !paths.keys().any(|deeper| deeper.is_below(other.as_bytes()));
                other.is_below(path.as_bytes()) && (is_leaf || other_shown.entry.entry != Entry::Directory)
            });
            below.map(|(_, shown)| shown.time).max().unwrap_or(shown.time)
        };
        let line = |(path, shown): (&TreePath, &Shown)| {
            let kind = match &shown.entry.entry {
                Entry::Directory => ViewKind::Directory,
                Entry::File { digest, size, .. } => ViewKind::File { object: *digest.as_bytes(), size: *size },
                Entry::Symlink { target } => ViewKind::Symlink { target: target.to_vec() },
            };
            (path.as_bytes().to_vec(), (kind, shown.entry.mode(), newest(path, shown)))
        };
        paths.iter().map(line).collect()
    }

    #[test]
    fn it_is_what_stands_at_each_path() {
        let mut shelf = Shelf::default();
        let files = |files| Metadata::Files(files);
        let rules = [("etc", "/"), ("etc/rules", "of the declarations")];
        shelf.add("example.com/tool/more", &rules, &[], files(FilesMetadata::default()));
        let package = || Metadata::Package(PackageMetadata::default());
        let tool =
            [("usr", "/"), ("usr/bin", "/"), ("usr/bin/tool", "tool"), ("etc", "/"), ("etc/shadow", "of the tool")];
        shelf.add("example.com/tool", &tool, &[], package());
        let other = [("usr", "/"), ("usr/lib", "/"), ("usr/lib-x", "x"), ("usr/lib/a", "a"), ("usr/none", "/")];
        shelf.add("example.com/other", &other, &[], package());
        let own = [("etc", "/"), ("etc/shadow", "the image's own"), ("srv", "/"), ("srv/page", "page")];
        let imports =
            ["packages/example.com/tool@1", "packages/example.com/tool/more@1", "packages/example.com/other@1"];
        let image = shelf.add("example.com/image", &own, &imports, Metadata::Image(ImageMetadata::default()));
        let plan = install(&shelf, &image).unwrap();
        let made = |at: &str, text: &str, time| ComposedEntry {
            path: path(at),
            entry: entry(text),
            attributes: Attributes::default(),
            composer: "test",
            time,
        };
        let composed = [made("etc/made", "made", 900), made("usr/lib/a", "made over it", 3)];

        let tree = listing(&plan, &composed, &Ids::default()).unwrap();
        let quickly =
            tree.entries().iter().map(|entry| (entry.path.clone(), (entry.kind.clone(), entry.mode, entry.mtime)));
        let quickly: BTreeMap<_, _> = quickly.collect();
        assert!(quickly.len() > 25, "{quickly:?}");
        assert_eq!(quickly, slowly(&plan, &composed));
        assert_eq!(tree.root().mtime, 900);
        assert!(tree.read_only().contains(&b"usr".to_vec()) && !tree.read_only().contains(&b"srv".to_vec()));
    }
}
