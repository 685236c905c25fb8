//! What a commit has to make last.
//!
//! A few files are synced one by one, with the folders that name them: that waits for these files alone. `syncfs` waits for
//! whatever anybody has written to the file system, and is right for the thousands of files of a package: measured on ext4,
//! four new files with their folders take 0.85 ms one by one, and `syncfs` takes 0.6 ms on a quiet disk, and as long as others have
//! written to it on a busy one. One by one doesn't mean one after the other: the disk serves all that wait at one time with one
//! flush of its cache.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustix::fs::Advice;

use super::{step, sync_folder};
use crate::error::StoreError;

/// More files than this are not worth syncing one by one.
const FEW: usize = 8;

/// How many threads wait for the disk. More help little, measured on ext4 with a build's six files and their eleven folders: 1.4 ms with
/// one thread, 0.85 with four, 0.8 with eight.
const THREADS: usize = 4;

/// Files that are there and may not last yet.
#[derive(Debug, Default)]
pub(super) struct Pending {
    files: BTreeSet<PathBuf>,
    many: bool,
    /// What is to last besides: a file under a temporary name, which itself needn't, and the names in a folder.
    beside: Option<(PathBuf, PathBuf)>,
}

/// Something to sync.
enum Item {
    Content(PathBuf, File),
    Names(PathBuf),
}

impl Pending {
    /// Adds a file of the store.
    pub(super) fn add(&mut self, path: &Path) {
        if !self.many && self.files.insert(path.to_owned()) && self.files.len() > FEW {
            self.many = true;
            self.files.clear();
        }
    }

    /// Adds the content of a file that is about to get its name, and the names in a folder.
    pub(super) fn add_beside(&mut self, temporary: &Path, folder: &Path) {
        self.beside = Some((temporary.to_owned(), folder.to_owned()));
    }

    /// Makes them last. `file_system` is the store's folder, opened before the first of them was written, so that `syncfs`
    /// reports every error of writing back since then.
    pub(super) fn sync(self, root: &Path, file_system: &File) -> Result<(), StoreError> {
        if self.many {
            return rustix::fs::syncfs(file_system).map_err(StoreError::sys("write to the disk", root));
        }
        let mut folders = BTreeSet::new();
        for path in &self.files {
            // The folder of a file may be new, and then its own name has to last too. Those in the store's folder are as old as it.
            folders.extend(path.ancestors().skip(1).take_while(|folder| *folder != root).map(Path::to_owned));
        }
        let mut items = Vec::with_capacity(self.files.len() + folders.len() + 2);
        let mut files = self.files;
        if let Some((temporary, folder)) = self.beside {
            files.insert(temporary);
            folders.insert(folder);
        }
        for path in files {
            step("sync", &path);
            let file = File::open(&path).map_err(StoreError::io("sync", &path))?;
            // Begins to write it and doesn't wait: once all have their blocks, one commit of a journal serves them all.
            _ = rustix::fs::fadvise(&file, 0, None, Advice::DontNeed);
            items.push(Item::Content(path, file));
        }
        items.extend(folders.into_iter().map(Item::Names));
        sync_all(&items)
    }
}

impl Item {
    fn sync(&self) -> Result<(), StoreError> {
        match self {
            Self::Content(path, file) => file.sync_all().map_err(StoreError::io("sync", path)),
            Self::Names(folder) => sync_folder(folder),
        }
    }
}

/// Syncs all, in no order. Each waits until the disk has emptied its cache, and those that wait at one time do so together.
fn sync_all(items: &[Item]) -> Result<(), StoreError> {
    let next = AtomicUsize::new(0);
    let some = || -> Result<(), StoreError> {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            item.sync()?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        // Where no thread can be had, those that there are do it.
        let others = (1..THREADS.min(items.len())).map_while(|_| thread::Builder::new().spawn_scoped(scope, some).ok());
        let others: Vec<_> = others.collect();
        let mut result = some();
        for other in others {
            // It can't panic, and one that did would have synced nothing that this one can speak for.
            let joined = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            result = result.and(joined);
        }
        result
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_files_are_named_and_many_are_not() {
        let mut pending = Pending::default();
        for number in 0..FEW {
            pending.add(Path::new(&format!("/store/objects/{number}")));
            pending.add(Path::new("/store/objects/0"));
        }
        assert_eq!((pending.files.len(), pending.many), (FEW, false));
        pending.add(Path::new("/store/objects/one-more"));
        assert!(pending.many && pending.files.is_empty());
        pending.add(Path::new("/store/objects/and-another"));
        assert!(pending.files.is_empty(), "nothing is remembered in vain");
    }

    /// A file that isn't there any more was never made to last, and that must be said.
    #[test]
    fn what_cannot_be_synced_is_an_error_with_its_name() {
        let folder = tempfile::tempdir().expect("folder");
        let mut pending = Pending::default();
        pending.add(&folder.path().join("objects/ab/gone"));
        let file_system = File::open(folder.path()).expect("folder");
        let error = pending.sync(folder.path(), &file_system).expect_err("it is gone");
        assert!(error.to_string().contains("objects/ab/gone"), "{error}");
    }
}
