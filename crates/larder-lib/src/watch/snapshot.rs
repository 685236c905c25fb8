//! Everything that a recipe's folder gives to a build, as it is at one time: by path, with what tells a change.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::recipe::{FILE_NAME, IGNORE_NAME, Ignored, LOCK_NAME, Recipe};

/// What is at a path. Two that are equal give a build the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stamp {
    /// Its entries are what matters.
    Folder,
    /// Anything else: where it is, how long, when and how it was changed.
    File { inode: (u64, u64), size: u64, mode: u32, modified: (i64, i64), changed: (i64, i64) },
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        if metadata.is_dir() {
            return Self::Folder;
        }
        Self::File {
            inode: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            mode: metadata.mode(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            // Of a copy that keeps the times of what it was copied from, only this is new.
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// Paths relative to the recipe's folder; what isn't there has no stamp.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Snapshot {
    found: BTreeMap<PathBuf, Stamp>,
    /// The recipe's own folder isn't there.
    gone: bool,
}

impl Snapshot {
    /// The paths that differ, sorted.
    pub(super) fn differences(&self, other: &Self) -> Vec<PathBuf> {
        let (mine, theirs) = (&self.found, &other.found);
        let mut paths: Vec<_> =
            mine.keys().chain(theirs.keys()).filter(|path| mine.get(*path) != theirs.get(*path)).collect();
        paths.sort();
        paths.dedup();
        paths.into_iter().cloned().collect()
    }

    /// Takes the lock over from another.
    pub(super) fn take_lock(&mut self, other: &Self) {
        let lock = Path::new(LOCK_NAME);
        match other.found.get(lock) {
            Some(stamp) => drop(self.found.insert(lock.to_owned(), *stamp)),
            None => drop(self.found.remove(lock)),
        }
    }

    /// Whether the recipe's own folder wasn't there.
    pub(super) fn is_gone(&self) -> bool {
        self.gone
    }
}

/// What is looked at.
pub(super) struct Scan<'a> {
    pub(super) folder: &'a Path,
    pub(super) file: &'a Path,
    pub(super) recipe: Option<&'a Recipe>,
}

/// Where a folder's entries go, and who is to watch it.
struct Walk<'a> {
    folder: &'a Path,
    ignored: Ignored,
    watch: &'a mut dyn FnMut(&Path),
    found: BTreeMap<PathBuf, Stamp>,
}

impl Scan<'_> {
    /// Looks, and has every folder watched before it is listed.
    pub(super) fn take(&self, watch: &mut dyn FnMut(&Path)) -> Snapshot {
        watch(self.folder);
        let opened = File::open(self.folder);
        // A wrong one is the build's to report; until then nothing is ignored.
        let ignored = opened.as_ref().ok().and_then(|folder| Ignored::read(folder.as_fd()).ok()).unwrap_or_default();
        let mut walk = Walk { folder: self.folder, ignored, watch, found: BTreeMap::new() };
        let recipe = self.file.file_name().map_or_else(|| Path::new(FILE_NAME), Path::new);
        for name in [recipe, Path::new(LOCK_NAME), Path::new(IGNORE_NAME)] {
            walk.look(name);
        }
        for source in self.recipe.iter().flat_map(|recipe| recipe.files.values()) {
            walk.source(Path::new(&source.path));
        }
        Snapshot { found: walk.found, gone: opened.is_err() }
    }
}

impl Walk<'_> {
    /// A source of the recipe, and the folders on the way to it: any of them may go and come back.
    fn source(&mut self, path: &Path) {
        let mut above = PathBuf::new();
        for part in path.parent().into_iter().flat_map(Path::components) {
            above.push(part);
            (self.watch)(&self.folder.join(&above));
        }
        let full = self.folder.join(path);
        // A source that is itself a link is followed, as a build does.
        match fs::metadata(&full) {
            Ok(metadata) if metadata.is_dir() => {
                let relative = if path == Path::new(".") { Path::new("") } else { path };
                if !relative.as_os_str().is_empty() {
                    self.found.insert(relative.to_owned(), Stamp::Folder);
                }
                self.list(relative);
            }
            Ok(metadata) => drop(self.found.insert(path.to_owned(), Stamp::of(&metadata))),
            Err(_) => {}
        }
    }

    fn list(&mut self, folder: &Path) {
        let full = self.folder.join(folder);
        (self.watch)(&full);
        for entry in fs::read_dir(&full).into_iter().flatten().flatten() {
            let path = folder.join(entry.file_name());
            // In the recipe's folder itself these three are looked at by name, and a lock that is being written not at all.
            if folder.as_os_str().is_empty() && is_own(&entry.file_name()) {
                continue;
            }
            let Ok(metadata) = entry.metadata() else { continue };
            if self.ignored.covers(path.as_os_str().as_bytes(), metadata.is_dir()) {
                continue;
            }
            let is_folder = metadata.is_dir();
            self.found.insert(path.clone(), Stamp::of(&metadata));
            if is_folder {
                self.list(&path);
            }
        }
    }

    fn look(&mut self, name: &Path) {
        if let Ok(metadata) = fs::metadata(self.folder.join(name)) {
            self.found.insert(name.to_owned(), Stamp::of(&metadata));
        }
    }
}

fn is_own(name: &OsStr) -> bool {
    name == FILE_NAME || name == IGNORE_NAME || name.as_bytes().starts_with(LOCK_NAME.as_bytes())
}
