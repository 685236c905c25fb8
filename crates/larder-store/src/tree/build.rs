//! Building a Tree entry by entry, in any order.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;

use super::{Attributes, Entry, Tree, TreeEntry, TreeError, check};
use crate::TreePath;

/// Collects entries in any order and makes the parents that are missing.
#[derive(Debug, Clone, Default)]
pub struct TreeBuilder {
    entries: BTreeMap<TreePath, (Entry, Attributes)>,
}

impl TreeBuilder {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entry. Attributes that only repeat a default are left out.
    ///
    /// # Errors
    /// A path that is already there, or an entry that breaks a rule by itself; the builder is then unchanged.
    pub fn insert(&mut self, path: TreePath, entry: Entry, attributes: Attributes) -> Result<(), TreeError> {
        let attributes = attributes.normal_for(&entry);
        let one = TreeEntry { path, entry, attributes };
        check::check(&one).map_err(|rule| TreeError::Entry { path: one.path.clone(), rule })?;
        match self.entries.entry(one.path) {
            Slot::Occupied(slot) => Err(TreeError::Duplicate { path: slot.key().clone() }),
            Slot::Vacant(slot) => {
                slot.insert((one.entry, one.attributes));
                Ok(())
            }
        }
    }

    /// What was added at a path.
    pub fn get(&self, path: &[u8]) -> Option<(&Entry, &Attributes)> {
        self.entries.get(path).map(|(entry, attributes)| (entry, attributes))
    }

    /// How many entries were added.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds the parents that are missing, as `root`'s directories with mode 0755, and checks the whole.
    ///
    /// # Errors
    /// An entry below something that is not a directory; more entries than a Tree may have.
    pub fn finish(mut self) -> Result<Tree, TreeError> {
        let paths: Vec<TreePath> = self.entries.keys().cloned().collect();
        for path in paths {
            for parent in path.ancestors() {
                match self.entries.entry(parent) {
                    // Its own parents are there, or will be made when its turn comes.
                    Slot::Occupied(_) => break,
                    Slot::Vacant(slot) => _ = slot.insert((Entry::Directory, Attributes::default())),
                }
            }
        }
        let entry = |(path, (entry, attributes))| TreeEntry { path, entry, attributes };
        Tree::from_sorted(self.entries.into_iter().map(entry).collect())
    }
}
