//! What takes up the store's disk, and for whom.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rayon::prelude::*;

use crate::error::StoreError;
use crate::needs::{self, Named, Needs};
use crate::refs::RefKind;
use crate::store::{Root, Store, digests, list};
use crate::{FileSetDigest, ObjectDigest, TreeDigest};

/// What takes up the disk. All sizes are in bytes; where it isn't said otherwise, the lengths of files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// The number of objects.
    pub objects: u64,
    /// All objects.
    pub object_bytes: u64,
    /// What the disk allots to all objects.
    pub disk_bytes: u64,
    /// All Trees and records.
    pub record_bytes: u64,
    /// What the disk allots to cached views.
    pub view_bytes: u64,
    /// Objects that more than one image needs, each counted once.
    pub shared_bytes: u64,
    /// Objects that neither a ref nor a container needs: what garbage collection would remove.
    pub unneeded_bytes: u64,
    /// Every state of every image, by name and then in the order of its history.
    pub images: Vec<ImageUsage>,
}

/// What one state of an image takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageUsage {
    /// The ref's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its FileSet.
    pub fileset: FileSetDigest,
    /// Whether the name stands for it now.
    pub current: bool,
    /// All objects that it needs, with its composers' outputs, each counted once.
    pub bytes: u64,
    /// Those of them that nothing else with a name needs, other states of the same image included.
    pub own_bytes: u64,
}

/// Who needs an object: nobody yet, one image, or several.
#[derive(Clone, Copy, PartialEq)]
enum Holder {
    Nobody,
    One(usize),
    Several,
}

impl Store {
    /// Adds up what takes the disk. Each record, Tree and folder is read once.
    ///
    /// # Errors
    /// Something needed that is missing or damaged; I/O.
    pub fn usage(&self) -> Result<Usage, StoreError> {
        let _lease = self.lease()?;
        let mut tally = Tally::new(self)?;
        let (images, others): (Vec<Named>, Vec<Named>) =
            needs::named(self)?.into_iter().partition(|named| named.kind == RefKind::Image);
        let mut usage = Usage::default();
        // The same FileSet may have several names; its second name adds nothing and changes nothing.
        let mut numbers: BTreeMap<FileSetDigest, usize> = BTreeMap::new();
        let mut bytes = HashMap::new();
        for image in &images {
            let next = numbers.len();
            if let std::collections::btree_map::Entry::Vacant(slot) = numbers.entry(image.entry.fileset) {
                slot.insert(next);
                bytes.insert(image.entry.fileset, tally.hold(next, image.entry.fileset)?);
            }
        }
        for (i, other) in others.iter().enumerate() {
            tally.hold(numbers.len() + i, other.entry.fileset)?;
        }
        let own = tally.own_bytes(numbers.len());
        usage.shared_bytes = tally.bytes_of(|holder| holder == Holder::Several);
        usage.images = images
            .into_iter()
            .map(|Named { name, entry, current, .. }| ImageUsage {
                bytes: bytes[&entry.fileset],
                own_bytes: own[numbers[&entry.fileset]],
                name,
                version: entry.version,
                fileset: entry.fileset,
                current,
            })
            .collect();
        let kept = tally.kept_by_containers()?;
        self.add_files(&mut usage, |object| tally.is_held(object) || kept.objects.contains(object))?;
        Ok(usage)
    }

    /// Adds what is on the disk.
    fn add_files(&self, usage: &mut Usage, needed: impl Fn(&ObjectDigest) -> bool + Sync) -> Result<(), StoreError> {
        let sizes = digests(&self.objects_dir())?.into_par_iter().map(|found| {
            let metadata = fs::symlink_metadata(&found.path).map_err(StoreError::io("look at", &found.path))?;
            let unneeded = if needed(&ObjectDigest::from_bytes(found.digest)) { 0 } else { metadata.len() };
            Ok((metadata.len(), metadata.blocks() * 512, unneeded))
        });
        for (length, disk, unneeded) in sizes.collect::<Result<Vec<_>, StoreError>>()? {
            usage.objects += 1;
            usage.object_bytes += length;
            usage.disk_bytes += disk;
            usage.unneeded_bytes += unneeded;
        }
        for folder in ["trees", "filesets"] {
            for found in digests(&self.path(folder))? {
                let metadata = fs::symlink_metadata(&found.path).map_err(StoreError::io("look at", &found.path))?;
                usage.record_bytes += metadata.len();
            }
        }
        usage.view_bytes = disk_below(&self.views_dir(), &mut HashSet::new())?;
        Ok(())
    }
}

/// Objects by number, and who needs them.
struct Tally<'s> {
    store: &'s Store,
    needs: Needs<'s>,
    numbers: HashMap<ObjectDigest, usize>,
    sizes: Vec<u64>,
    holders: Vec<Holder>,
    /// The last holder for whom an object was counted.
    counted: Vec<usize>,
    trees: HashMap<TreeDigest, Vec<usize>>,
}

impl<'s> Tally<'s> {
    fn new(store: &'s Store) -> Result<Self, StoreError> {
        let (numbers, sizes, holders, counted, trees) = Default::default();
        Ok(Self { store, needs: Needs::new(store)?, numbers, sizes, holders, counted, trees })
    }

    /// Counts all that a FileSet needs as held by `who`, and returns its bytes. Each holder comes once.
    fn hold(&mut self, who: usize, fileset: FileSetDigest) -> Result<u64, StoreError> {
        self.needs.add(fileset)?;
        let mut bytes = 0;
        for tree in self.needs.trees_of(fileset)? {
            self.number_objects(&tree)?;
            for &object in &self.trees[&tree] {
                if self.counted[object] == who {
                    continue;
                }
                self.counted[object] = who;
                bytes += self.sizes[object];
                self.holders[object] = match self.holders[object] {
                    Holder::Nobody => Holder::One(who),
                    _ => Holder::Several,
                };
            }
        }
        Ok(bytes)
    }

    fn number_objects(&mut self, tree: &TreeDigest) -> Result<(), StoreError> {
        if self.trees.contains_key(tree) {
            return Ok(());
        }
        let mut objects = Vec::new();
        for (digest, size) in self.store.tree(tree)?.files() {
            let next = self.sizes.len();
            let number = *self.numbers.entry(digest).or_insert(next);
            if number == next {
                self.sizes.push(size);
                self.holders.push(Holder::Nobody);
                self.counted.push(usize::MAX);
            }
            objects.push(number);
        }
        self.trees.insert(*tree, objects);
        Ok(())
    }

    fn is_held(&self, object: &ObjectDigest) -> bool {
        self.numbers.get(object).is_some_and(|&number| self.holders[number] != Holder::Nobody)
    }

    fn bytes_of(&self, wanted: impl Fn(Holder) -> bool) -> u64 {
        self.holders.iter().zip(&self.sizes).filter(|(holder, _)| wanted(**holder)).map(|(_, size)| size).sum()
    }

    fn own_bytes(&self, holders: usize) -> Vec<u64> {
        let mut own = vec![0; holders];
        for (holder, size) in self.holders.iter().zip(&self.sizes) {
            if let Holder::One(who) = holder
                && let Some(bytes) = own.get_mut(*who)
            {
                *bytes += size;
            }
        }
        own
    }

    fn kept_by_containers(&self) -> Result<Needs<'s>, StoreError> {
        let mut needs = Needs::new(self.store)?;
        for root in needs::containers(self.store)? {
            if let Root::Content(content) = root {
                needs.add_content(content)?;
            }
        }
        needs.add_objects()?;
        Ok(needs)
    }
}

/// What the disk allots to a folder's files, each file once however many links it has.
fn disk_below(folder: &Path, linked: &mut HashSet<u64>) -> Result<u64, StoreError> {
    let mut bytes = 0;
    for entry in list(folder)? {
        let path = entry.path();
        // Views come and go meanwhile.
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_dir() {
            bytes += disk_below(&path, linked)?;
        } else if metadata.nlink() == 1 || linked.insert(metadata.ino()) {
            bytes += metadata.blocks() * 512;
        }
    }
    Ok(bytes)
}
