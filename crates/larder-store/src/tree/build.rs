//! Building a Tree entry by entry, in any order.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;

use super::{Attributes, Entry, MAX_ENCODED, MAX_ENTRIES, Tree, TreeEntry, TreeError, check};
use crate::TreePath;

/// Collects entries in any order and makes the parents that are missing.
///
/// What is more than a Tree may have is refused as it comes, so that no input makes it use memory without bound.
#[derive(Debug, Clone, Default)]
pub struct TreeBuilder {
    entries: BTreeMap<TreePath, (Entry, Attributes)>,
    /// The least that these entries' encoding can have.
    bytes: u64,
}

impl TreeBuilder {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entry. Attributes that only repeat a default are left out.
    ///
    /// # Errors
    /// A path that is already there, an entry that breaks a rule by itself, or more entries or bytes than a Tree may have;
    /// the builder is then unchanged.
    pub fn insert(&mut self, path: TreePath, entry: Entry, attributes: Attributes) -> Result<(), TreeError> {
        let attributes = attributes.normal_for(&entry);
        let one = TreeEntry { path, entry, attributes };
        check::check(&one).map_err(|rule| TreeError::Entry { path: one.path.clone(), rule })?;
        let (entries, bytes) = (self.entries.len(), self.bytes + least(&one));
        match self.entries.entry(one.path) {
            Slot::Occupied(slot) => Err(TreeError::Duplicate { path: slot.key().clone() }),
            Slot::Vacant(slot) => {
                bounded(entries + 1, bytes)?;
                slot.insert((one.entry, one.attributes));
                self.bytes = bytes;
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
    /// An entry below something that is not a directory; more entries or bytes than a Tree may have.
    pub fn finish(mut self) -> Result<Tree, TreeError> {
        let paths: Vec<TreePath> = self.entries.keys().cloned().collect();
        for path in paths {
            for parent in path.ancestors() {
                let (entries, length) = (self.entries.len(), parent.as_bytes().len() as u64);
                match self.entries.entry(parent) {
                    // Its own parents are there, or will be made when its turn comes.
                    Slot::Occupied(_) => break,
                    Slot::Vacant(slot) => {
                        self.bytes += length;
                        bounded(entries + 1, self.bytes)?;
                        slot.insert((Entry::Directory, Attributes::default()));
                    }
                }
            }
        }
        let entry = |(path, (entry, attributes))| TreeEntry { path, entry, attributes };
        Tree::from_sorted(self.entries.into_iter().map(entry).collect())
    }
}

/// The least that an entry takes in the encoding.
fn least(TreeEntry { path, entry, attributes }: &TreeEntry) -> u64 {
    let target = if let Entry::Symlink { target } = entry { target.len() } else { 0 };
    let xattrs: usize = attributes.xattrs.iter().map(|(name, value)| name.len() + value.len()).sum();
    (path.as_bytes().len() + target + xattrs) as u64
}

fn bounded(entries: usize, bytes: u64) -> Result<(), TreeError> {
    if entries > MAX_ENTRIES {
        return Err(TreeError::TooManyEntries { entries: entries as u64 });
    }
    if bytes > MAX_ENCODED as u64 {
        return Err(TreeError::TooLarge { bytes });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(builder: &mut TreeBuilder, path: String) -> Result<(), TreeError> {
        builder.insert(TreePath::new(path).expect("path"), Entry::Directory, Attributes::default())
    }

    /// Found by an attack: a package of a few megabytes could make a tree of hundreds of gigabytes in memory.
    #[test]
    fn paths_are_bounded_as_they_come() {
        let mut builder = TreeBuilder::new();
        let long = format!("{0}/{0}/{0}/{0}", "x".repeat(250));
        let refused = (0..MAX_ENTRIES).find_map(|number| directory(&mut builder, format!("{number}/{long}")).err());
        assert!(matches!(refused, Some(TreeError::TooLarge { .. })), "{refused:?}");
        assert!(builder.len() < 300_000, "{}", builder.len());
    }

    #[test]
    fn parents_are_bounded_as_they_are_made() {
        let mut builder = TreeBuilder::new();
        let deep = "/x".repeat(120);
        (0..20_000).for_each(|number| directory(&mut builder, format!("{number}{deep}")).expect("insert"));
        let refused = builder.finish();
        assert!(matches!(refused, Err(TreeError::TooManyEntries { .. } | TreeError::TooLarge { .. })));
    }
}
