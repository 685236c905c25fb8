//! Files read through a memory map.

use std::fs::File;
use std::ops::Deref;
use std::path::Path;

use crate::error::RuntimeError;
use crate::sys;

/// The bytes of a file, mapped into memory: opening costs the same for any size, and processes share the pages.
///
/// Only for files of Larder's own caches that are written under a temporary name, renamed into place and never changed
/// or shortened afterwards (they may be removed or replaced by rename). A file that is cut short while it is mapped
/// ends the process with SIGBUS, so a file from anywhere else must be read instead.
#[derive(Debug)]
pub struct ReadOnlyMap(memmap2::Mmap);

impl ReadOnlyMap {
    /// Maps a whole file.
    ///
    /// # Errors
    /// The file can't be opened, or is empty.
    pub fn open(path: &Path) -> Result<Self, RuntimeError> {
        let file = File::open(path).map_err(RuntimeError::io("open", path))?;
        sys::map::map(&file).map(Self).map_err(RuntimeError::io("map", path))
    }
}

impl Deref for ReadOnlyMap {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_files_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, b"larder").unwrap();
        assert_eq!(&*ReadOnlyMap::open(&path).unwrap(), b"larder");
        assert!(ReadOnlyMap::open(&folder.path().join("absent")).is_err());
    }
}
