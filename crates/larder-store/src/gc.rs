//! Garbage collection: removes what nothing needs.
//!
//! Runs alone: it holds `gc.lock` exclusively, and every ingest, lease and change of a ref holds it shared. It removes what
//! needs before what is needed (cache refs, readings and statements, records, Trees, objects), so that being killed at any instant
//! leaves only things that nothing needs. It removes nothing at all while something that is needed can't be read, because it
//! could not know what that needs in turn.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::error::{Content, StoreError};
use crate::needs::{self, Needs};
use crate::refs::RefKind;
use crate::store::{
    Found, GC_LOCK, Hold, Lock, Root, Store, digests, list, read_roots, remove_file, remove_tree, step, unique,
};
use crate::{FileSet, FileSetDigest, ObjectDigest, TreeDigest};

/// How to collect.
#[derive(Debug, Clone)]
pub struct GcOptions {
    /// Only say what would be removed.
    pub dry_run: bool,
    /// Keep what was written within this time, needed or not.
    pub keep_newer: Duration,
    /// How long to wait for others that are writing.
    pub patience: Duration,
}

impl Default for GcOptions {
    fn default() -> Self {
        Self { dry_run: false, keep_newer: Duration::ZERO, patience: Duration::from_secs(10) }
    }
}

/// A FileSet that was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// Its digest.
    pub fileset: FileSetDigest,
    /// Its name and version, where its record could be read.
    pub named: Option<(String, String)>,
}

/// What was removed, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GcReport {
    /// FileSets, importers first.
    pub filesets: Vec<Removed>,
    /// The number of Trees.
    pub trees: u64,
    /// The number of objects.
    pub objects: u64,
    /// The keys of cached views.
    pub views: Vec<String>,
    /// The bytes of all these files but views.
    pub bytes: u64,
    /// The number of objects that stay.
    pub kept_objects: u64,
}

impl Store {
    /// Removes what neither a ref nor a container needs.
    ///
    /// # Errors
    /// [`StoreError::Busy`] where others are writing; something needed that is missing or damaged; a store that can only be
    /// read; I/O.
    pub fn gc(&self, options: GcOptions) -> Result<GcReport, StoreError> {
        if !options.dry_run {
            self.check_writable()?;
        }
        let hold = if options.dry_run { Hold::Shared } else { Hold::Exclusive };
        let lock = Lock::within(&self.path(GC_LOCK), hold, options.patience)?;
        let _lock = lock.ok_or(StoreError::Busy { what: "the store" })?;
        let sweep = Sweep::new(self, options)?;
        sweep.run()
    }
}

struct Sweep<'s> {
    store: &'s Store,
    dry_run: bool,
    keep_since: Option<SystemTime>,
    needs: Needs<'s>,
    views: HashSet<String>,
    filesets: Vec<Found>,
    trees: Vec<Found>,
    objects: Vec<Found>,
}

impl<'s> Sweep<'s> {
    fn new(store: &'s Store, options: GcOptions) -> Result<Self, StoreError> {
        let keep_since = match options.keep_newer {
            Duration::ZERO => None,
            time => SystemTime::now().checked_sub(time),
        };
        let (filesets, trees) = (digests(&store.path("filesets"))?, digests(&store.path("trees"))?);
        let objects = digests(&store.objects_dir())?;
        let mut needs = Needs::new(store)?;
        for named in needs::named(store)? {
            needs.add(named.entry.fileset)?;
        }
        let mut views = HashSet::new();
        for root in needs::containers(store)? {
            match root {
                Root::Content(content) => needs.add_content(content)?,
                Root::View(key) => _ = views.insert(key),
            }
        }
        let mut sweep = Self { store, dry_run: options.dry_run, keep_since, needs, views, filesets, trees, objects };
        sweep.keep_new()?;
        sweep.needs.add_objects()?;
        Ok(sweep)
    }

    /// Counts what is new as needed, with what it needs; but not what is damaged or incomplete.
    fn keep_new(&mut self) -> Result<(), StoreError> {
        if self.keep_since.is_none() {
            return Ok(());
        }
        let needed = self.needs.trees.clone();
        for found in &self.filesets {
            if self.is_new(&found.path)? {
                _ = self.needs.add(FileSetDigest::from_bytes(found.digest));
            }
        }
        for found in &self.trees {
            if self.is_new(&found.path)? {
                self.needs.trees.insert(TreeDigest::from_bytes(found.digest));
            }
        }
        self.needs.trees.retain(|tree| needed.contains(tree) || self.store.tree(tree).is_ok());
        for found in &self.objects {
            if self.is_new(&found.path)? {
                self.needs.objects.insert(ObjectDigest::from_bytes(found.digest));
            }
        }
        Ok(())
    }

    fn is_new(&self, path: &Path) -> Result<bool, StoreError> {
        let Some(since) = self.keep_since else { return Ok(false) };
        step("look at", path);
        match fs::metadata(path).and_then(|metadata| metadata.modified()) {
            Ok(written) => Ok(written >= since),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(StoreError::io("look at", path)(e)),
        }
    }

    fn run(self) -> Result<GcReport, StoreError> {
        let mut report = GcReport::default();
        let dead: BTreeMap<FileSetDigest, &Found> = self
            .filesets
            .iter()
            .map(|found| (FileSetDigest::from_bytes(found.digest), found))
            .filter(|(digest, _)| !self.needs.filesets.contains_key(digest))
            .collect();
        self.forget_caches()?;
        self.forget_readings()?;
        self.remove_views(&mut report)?;
        for (digest, record) in importers_first(self.store, dead.keys()) {
            report.bytes += self.remove(&dead[&digest].path)?;
            let named = record.map(|record| (record.name.to_string(), record.version));
            report.filesets.push(Removed { fileset: digest, named });
        }
        self.remove_statements()?;
        self.barrier(!report.filesets.is_empty())?;
        for found in &self.trees {
            if !self.needs.trees.contains(&TreeDigest::from_bytes(found.digest)) {
                report.bytes += self.remove(&found.path)?;
                report.trees += 1;
            }
        }
        self.barrier(report.trees > 0)?;
        for found in &self.objects {
            if self.needs.objects.contains(&ObjectDigest::from_bytes(found.digest)) {
                report.kept_objects += 1;
            } else {
                report.bytes += self.remove(&found.path)?;
                report.objects += 1;
            }
        }
        if !self.dry_run {
            for left in list(&self.store.tmp_dir())? {
                remove_any(&left.path())?;
            }
        }
        Ok(report)
    }

    /// Makes sure that what was removed so far stays removed, even if the power fails, before what it needed goes.
    fn barrier(&self, removed: bool) -> Result<(), StoreError> {
        if self.dry_run || !removed {
            return Ok(());
        }
        let root = self.store.root();
        let folder = File::open(root).map_err(StoreError::io("open", root))?;
        rustix::fs::syncfs(&folder).map_err(StoreError::sys("write to the disk", root))
    }

    /// Removes a file and returns its size.
    fn remove(&self, path: &Path) -> Result<u64, StoreError> {
        step("look at", path);
        let size = match fs::symlink_metadata(path) {
            Ok(metadata) => metadata.len(),
            // Who only looks doesn't keep others from removing what is damaged.
            Err(e) if e.kind() == io::ErrorKind::NotFound => 0,
            Err(e) => return Err(StoreError::io("look at", path)(e)),
        };
        if !self.dry_run {
            remove_file(path)?;
        }
        Ok(size)
    }

    /// Removes the cache refs that point to what goes.
    fn forget_caches(&self) -> Result<(), StoreError> {
        if self.dry_run {
            return Ok(());
        }
        let refs = self.store.refs();
        for kind in RefKind::ALL.into_iter().filter(|kind| kind.is_cache()) {
            for name in refs.names(kind)? {
                let record = refs.get(kind, &name)?;
                if !record.is_some_and(|record| self.needs.filesets.contains_key(&record.current_entry().fileset)) {
                    refs.remove(kind, &name)?;
                }
            }
        }
        Ok(())
    }

    /// Removes what was read in the files of Trees that go.
    fn forget_readings(&self) -> Result<(), StoreError> {
        if self.dry_run {
            return Ok(());
        }
        self.store.forget_readings(|tree| self.needs.trees.contains(tree))
    }

    /// Removes the statements about FileSets that are gone.
    fn remove_statements(&self) -> Result<(), StoreError> {
        if self.dry_run {
            return Ok(());
        }
        for found in digests(&self.store.path("statements"))? {
            if !self.needs.filesets.contains_key(&FileSetDigest::from_bytes(found.digest)) {
                remove_any(&found.path)?;
            }
        }
        Ok(())
    }

    /// Removes cached views that nobody needs. Names that begin with a dot are the view makers' own.
    fn remove_views(&self, report: &mut GcReport) -> Result<(), StoreError> {
        for entry in list(&self.store.views_dir())? {
            let path = entry.path();
            let Some(key) = entry.file_name().to_str().map(str::to_owned) else { continue };
            if key.starts_with('.') || self.keeps_view(&key, &path)? || self.is_new(&path)? {
                continue;
            }
            if !self.dry_run {
                self.remove_view(&path)?;
            }
            report.views.push(key);
        }
        report.views.sort_unstable();
        Ok(())
    }

    /// Removes a cached view: first out of sight in one step, because half of one must never be taken for a whole. Stubs may belong to users that only a user namespace can act for: what can't be removed from
    /// here is left under a name by which the next view maker, which is inside one, knows it for rubbish.
    fn remove_view(&self, path: &Path) -> Result<(), StoreError> {
        let rubbish = self.store.views_dir().join(format!(".new-gc-{}", unique()));
        step("move away", path);
        match fs::rename(path, &rubbish) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            renamed => renamed.map_err(StoreError::io("move away", path))?,
        }
        step("remove", &rubbish);
        match fs::remove_dir_all(&rubbish) {
            // A view maker, which takes no lock of the store's, may have been quicker.
            Err(e) if matches!(e.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound) => Ok(()),
            Err(e) => Err(StoreError::io("remove", rubbish)(e)),
            Ok(()) => Ok(()),
        }
    }

    /// Whether a container uses a view, or it is of a FileSet that stays (its key begins with that one's digest), or what
    /// was written down as its needs stays.
    fn keeps_view(&self, key: &str, path: &Path) -> Result<bool, StoreError> {
        let of = key.get(..64).and_then(|hex| FileSetDigest::from_hex(hex).ok());
        if self.views.contains(key) || of.is_some_and(|digest| self.needs.filesets.contains_key(&digest)) {
            return Ok(true);
        }
        let stays = |root: &Root| match root {
            Root::Content(Content::FileSet(digest)) => self.needs.filesets.contains_key(digest),
            Root::Content(Content::Tree(digest)) => self.needs.trees.contains(digest),
            Root::Content(Content::Object(digest)) => self.needs.objects.contains(digest),
            Root::View(_) => false,
        };
        match read_roots(path) {
            Ok(roots) => Ok(roots.is_some_and(|roots| roots.iter().all(stays))),
            // It isn't synced, so a loss of power may have left anything. The view is made again.
            Err(StoreError::Text { .. }) => Ok(false),
            Err(e) => Err(e),
        }
    }
}

/// Records in an order in which each comes before what it imports.
fn importers_first<'d>(
    store: &Store,
    digests: impl Iterator<Item = &'d FileSetDigest>,
) -> Vec<(FileSetDigest, Option<FileSet>)> {
    // A record that can't be read imports nothing that matters: nobody can use it.
    let mut records: BTreeMap<_, _> = digests.map(|digest| (*digest, store.fileset(digest).ok())).collect();
    let mut importers: HashMap<FileSetDigest, usize> = HashMap::new();
    for record in records.values().flatten() {
        for import in &record.imports {
            *importers.entry(import.fileset).or_default() += 1;
        }
    }
    let mut ready: Vec<FileSetDigest> = records.keys().filter(|d| !importers.contains_key(d)).copied().collect();
    let mut order = Vec::new();
    while let Some(digest) = ready.pop() {
        let Some(record) = records.remove(&digest) else { continue };
        for import in record.iter().flat_map(|record| &record.imports) {
            if let Some(count) = importers.get_mut(&import.fileset) {
                *count -= 1;
                if *count == 0 {
                    ready.push(import.fileset);
                }
            }
        }
        order.push((digest, record));
    }
    // A digest can't contain itself, so there are no cycles and nothing is left.
    order.extend(records);
    order
}

/// Removes a file, or a folder with all that is in it.
fn remove_any(path: &Path) -> Result<(), StoreError> {
    step("remove", path);
    let metadata = fs::symlink_metadata(path).map_err(StoreError::io("look at", path))?;
    let removed = if metadata.is_dir() { remove_tree(path) } else { fs::remove_file(path) };
    removed.map_err(StoreError::io("remove", path))
}
