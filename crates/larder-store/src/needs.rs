//! What needs what: from refs and containers to FileSets, from those to Trees and objects.
//!
//! The roots are every entry of every ref that is no cache, and what containers wrote down. With an image go the outputs of
//! its composers: the `Composed` refs whose first segment is the digest of its install plan. With a package of one's own goes what it
//! can be made again from, where a statement says that it is kept.

use std::collections::{BTreeMap, HashMap, HashSet};

use rayon::prelude::*;

use crate::error::{Content, StoreError};
use crate::fileset::Kind;
use crate::plan::PlanDigest;
use crate::refs::{RefEntry, RefKind};
use crate::store::{Root, Store, list, read_roots};
use crate::{FileSet, FileSetDigest, ObjectDigest, TreeDigest};

/// An entry of a ref that is no cache.
pub(crate) struct Named {
    pub(crate) kind: RefKind,
    pub(crate) name: String,
    pub(crate) entry: RefEntry,
    /// Whether the name stands for it now.
    pub(crate) current: bool,
}

/// Every entry of every ref that is no cache.
pub(crate) fn named(store: &Store) -> Result<Vec<Named>, StoreError> {
    let mut all = Vec::new();
    for kind in RefKind::ALL.into_iter().filter(|kind| !kind.is_cache()) {
        for (name, record) in store.refs().list(kind)? {
            let current = record.current;
            let entries = record.entries.into_iter().enumerate();
            all.extend(entries.map(|(i, entry)| Named { kind, name: name.clone(), entry, current: i == current }));
        }
    }
    Ok(all)
}

/// What the containers need.
pub(crate) fn containers(store: &Store) -> Result<Vec<Root>, StoreError> {
    let mut all = Vec::new();
    for entry in list(&store.containers_dir())? {
        all.extend(read_roots(&entry.path())?.unwrap_or_default());
    }
    Ok(all)
}

/// What composers made, by the hexadecimal digest of the plan.
fn composed(store: &Store) -> Result<HashMap<String, Vec<FileSetDigest>>, StoreError> {
    let mut by_plan: HashMap<String, Vec<FileSetDigest>> = HashMap::new();
    for (name, record) in store.refs().list(RefKind::Composed)? {
        let fileset = record.current_entry().fileset;
        // It is a cache: what is gone is made again.
        if store.has_fileset(&fileset) {
            let plan = name.split('/').next().unwrap_or_default();
            by_plan.entry(plan.to_owned()).or_default().push(fileset);
        }
    }
    Ok(by_plan)
}

/// A walk over what is needed, that reads each record and Tree once.
pub(crate) struct Needs<'s> {
    store: &'s Store,
    composed: HashMap<String, Vec<FileSetDigest>>,
    pub(crate) filesets: BTreeMap<FileSetDigest, FileSet>,
    pub(crate) trees: HashSet<TreeDigest>,
    pub(crate) objects: HashSet<ObjectDigest>,
}

impl<'s> Needs<'s> {
    pub(crate) fn new(store: &'s Store) -> Result<Self, StoreError> {
        let (filesets, trees, objects) = Default::default();
        Ok(Self { store, composed: composed(store)?, filesets, trees, objects })
    }

    /// Adds a FileSet with all that it needs, down to its Trees but not their objects.
    ///
    /// # Errors
    /// A record that is missing or damaged: what it needs can't be known then.
    pub(crate) fn add(&mut self, digest: FileSetDigest) -> Result<(), StoreError> {
        let mut open = vec![digest];
        while let Some(digest) = open.pop() {
            if self.filesets.contains_key(&digest) {
                continue;
            }
            let fileset = self.store.fileset(&digest)?;
            self.trees.insert(fileset.tree);
            open.extend(self.directly(&digest, &fileset)?);
            self.filesets.insert(digest, fileset);
        }
        Ok(())
    }

    /// What a FileSet needs itself: its imports, an image its composers' outputs, and a package of one's own what is kept with it.
    fn directly(&self, digest: &FileSetDigest, fileset: &FileSet) -> Result<Vec<FileSetDigest>, StoreError> {
        let mut direct: Vec<_> = fileset.imports.iter().map(|import| import.fileset).collect();
        if fileset.kind() == Kind::Image && !self.composed.is_empty() {
            let made = self.composed.get(&PlanDigest::of(fileset).hex());
            direct.extend(made.into_iter().flatten());
        }
        // What was converted can be fetched again: nothing is kept with it, and there are thousands of them.
        if fileset.package().is_some_and(|package| package.origin.is_none()) {
            direct.extend(self.store.kept(digest)?);
        }
        Ok(direct)
    }

    /// The Trees of a FileSet that was added, and of all that it needs.
    ///
    /// # Errors
    /// I/O.
    pub(crate) fn trees_of(&self, digest: FileSetDigest) -> Result<HashSet<TreeDigest>, StoreError> {
        let (mut trees, mut seen, mut open) = (HashSet::new(), HashSet::new(), vec![digest]);
        while let Some(digest) = open.pop() {
            if seen.insert(digest)
                && let Some(fileset) = self.filesets.get(&digest)
            {
                trees.insert(fileset.tree);
                open.extend(self.directly(&digest, fileset)?);
            }
        }
        Ok(trees)
    }

    /// Adds anything that can be named by digest.
    pub(crate) fn add_content(&mut self, content: Content) -> Result<(), StoreError> {
        match content {
            Content::FileSet(digest) => self.add(digest)?,
            Content::Tree(digest) => _ = self.trees.insert(digest),
            Content::Object(digest) => _ = self.objects.insert(digest),
        }
        Ok(())
    }

    /// Adds the objects of all Trees so far.
    pub(crate) fn add_objects(&mut self) -> Result<(), StoreError> {
        let store = self.store;
        let trees: Vec<TreeDigest> = self.trees.iter().copied().collect();
        let objects = trees.par_iter().map(|digest| {
            let tree = store.tree(digest)?;
            Ok(tree.files().map(|(object, _)| object).collect::<HashSet<_>>())
        });
        for some in objects.collect::<Result<Vec<_>, StoreError>>()? {
            self.objects.extend(some);
        }
        Ok(())
    }
}
