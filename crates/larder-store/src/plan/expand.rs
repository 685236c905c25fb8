//! A FileSet's whole tree, with everything it imports.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::{Catalog, Entries, Loaded, PlanError, Planned, merge_same, settle_parents};
use crate::tree::{Attributes, Entry, TreeEntry};
use crate::{FileSetDigest, TreePath};

const MAX_NESTING: usize = 64;

/// A FileSet's whole tree.
#[derive(Debug)]
pub struct Expanded {
    /// Every FileSet in it, once, sorted by name, version and digest.
    pub sources: Vec<Arc<Loaded>>,
    /// Every path, with the FileSet it comes from.
    pub entries: BTreeMap<TreePath, Planned>,
}

/// Expands a FileSet: its own tree, and each import's whole tree below its mount path.
///
/// # Errors
/// A FileSet that can't be loaded, two contents at one path, a path below something that isn't a directory.
pub fn expand<C: Catalog>(catalog: &C, root: &Arc<Loaded>) -> Result<Expanded, PlanError<C::Error>> {
    let mut walk = Walk { catalog, loaded: HashMap::new(), seen: HashSet::new(), placed: Vec::new() };
    walk.loaded.insert(root.digest, Arc::clone(root));
    walk.visit(root, None, 0)?;
    let Walk { loaded, placed, .. } = walk;
    let mut sources: Vec<_> = loaded.into_values().collect();
    sources.sort_by(|a, b| {
        let key = |l: &Arc<Loaded>| (l.record.name.clone(), l.record.version.clone(), l.digest);
        key(a).cmp(&key(b))
    });
    let index: HashMap<FileSetDigest, usize> = sources.iter().enumerate().map(|(i, l)| (l.digest, i)).collect();
    let mut placed: Vec<(usize, Option<TreePath>)> =
        placed.into_iter().map(|(digest, base)| (index[&digest], base)).collect();
    placed.sort();
    let entries = overlay(&sources, &placed)?;
    Ok(Expanded { sources, entries })
}

struct Walk<'a, C: Catalog> {
    catalog: &'a C,
    loaded: HashMap<FileSetDigest, Arc<Loaded>>,
    seen: HashSet<(FileSetDigest, Option<TreePath>)>,
    placed: Vec<(FileSetDigest, Option<TreePath>)>,
}

impl<C: Catalog> Walk<'_, C> {
    fn visit(&mut self, at: &Arc<Loaded>, base: Option<&TreePath>, depth: usize) -> Result<(), PlanError<C::Error>> {
        if depth > MAX_NESTING {
            return Err(PlanError::TooDeep { what: at.to_string() });
        }
        if !self.seen.insert((at.digest, base.cloned())) {
            return Ok(());
        }
        self.placed.push((at.digest, base.cloned()));
        for import in &at.record.imports {
            let child = match self.loaded.get(&import.fileset) {
                Some(child) => Arc::clone(child),
                None => {
                    let child = self.catalog.load(&import.fileset).map_err(|source| PlanError::Load {
                        what: format!("{}@{}, imported by {at}", import.name, import.version),
                        source,
                    })?;
                    self.loaded.insert(import.fileset, Arc::clone(&child));
                    child
                }
            };
            let path = place(&import.path, base, at)?;
            self.visit(&child, Some(&path), depth + 1)?;
        }
        Ok(())
    }
}

fn place<E: std::error::Error + 'static>(
    path: &TreePath,
    base: Option<&TreePath>,
    owner: &Loaded,
) -> Result<TreePath, PlanError<E>> {
    match base {
        None => Ok(path.clone()),
        Some(base) => path.below(base).map_err(|source| PlanError::Path { owner: owner.to_string(), source }),
    }
}

fn overlay<E: std::error::Error + 'static>(
    sources: &[Arc<Loaded>],
    placed: &[(usize, Option<TreePath>)],
) -> Result<Entries, PlanError<E>> {
    let mut entries = Entries::new();
    for (source, base) in placed {
        let owner = &sources[*source];
        if let Some(base) = base {
            let entry = TreeEntry { path: base.clone(), entry: Entry::Directory, attributes: Attributes::default() };
            add(&mut entries, sources, Planned { source: *source, moved_from: None, entry })?;
        }
        for entry in owner.tree.entries() {
            let path = place(&entry.path, base.as_ref(), owner)?;
            let moved_from = base.as_ref().map(|_| entry.path.clone());
            let entry = TreeEntry { path, ..entry.clone() };
            add(&mut entries, sources, Planned { source: *source, moved_from, entry })?;
        }
    }
    settle_parents(&mut entries, sources)?;
    Ok(entries)
}

fn add<E: std::error::Error + 'static>(
    entries: &mut Entries,
    sources: &[Arc<Loaded>],
    new: Planned,
) -> Result<(), PlanError<E>> {
    if let Some(there) = entries.get_mut(&new.entry.path) {
        if merge_same(there, &new) {
            return Ok(());
        }
        return Err(PlanError::Conflict {
            path: new.entry.path,
            first: sources[there.source].to_string(),
            second: sources[new.source].to_string(),
        });
    }
    entries.insert(new.entry.path.clone(), new);
    Ok(())
}
