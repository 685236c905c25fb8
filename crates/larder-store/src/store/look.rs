//! Looking whether contents are there, many at once.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, open, statat};

use super::{Store, layout, step};
use crate::{FileSetDigest, TreeDigest};

impl Store {
    /// Whether all these records are there. They are not read.
    pub fn has_records(&self, digests: impl IntoIterator<Item = FileSetDigest>) -> bool {
        self.has_all(layout::FILESETS, digests.into_iter().map(|digest| digest.hex()))
    }

    /// Whether all these Trees are there. They are not read.
    pub fn has_trees(&self, digests: impl IntoIterator<Item = TreeDigest>) -> bool {
        self.has_all(layout::TREES, digests.into_iter().map(|digest| digest.hex()))
    }

    /// Starts each look at the folder, so that the kernel walks two names and not the whole path.
    fn has_all(&self, folder: &str, names: impl Iterator<Item = String>) -> bool {
        let mut names = names.peekable();
        if names.peek().is_none() {
            return true;
        }
        let path = self.path(folder);
        step("look in", &path);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = open(&path, flags, Mode::empty());
        folder.is_ok_and(|folder| {
            names.all(|name| {
                step("look in", &path);
                is_in(&folder, &name)
            })
        })
    }
}

fn is_in(folder: &OwnedFd, hex: &str) -> bool {
    let (head, tail) = hex.split_at(2);
    statat(folder.as_fd(), [head, "/", tail].concat(), AtFlags::empty()).is_ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn one_that_is_missing_is_noticed() {
        let folder = tempfile::tempdir().expect("folder");
        let store = Store::open(folder.path()).expect("store");
        let digests: Vec<_> = (0..9_u8).map(|number| TreeDigest::of(&[number])).collect();
        assert!(store.has_trees([]) && !store.has_trees(digests.clone()));
        for digest in &digests {
            let path = store.tree_path(digest);
            fs::create_dir_all(path.parent().expect("a folder")).expect("folder");
            fs::write(path, "").expect("file");
        }
        assert!(store.has_trees(digests.clone()));
        assert!(!store.has_records([FileSetDigest::of(b"")]));
        for digest in &digests {
            fs::remove_file(store.tree_path(digest)).expect("removed");
            assert!(!store.has_trees(digests.clone()), "{digest}");
            fs::write(store.tree_path(digest), "").expect("file");
        }
    }
}
