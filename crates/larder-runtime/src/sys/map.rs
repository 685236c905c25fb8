//! Memory maps of files.

use std::fs::File;
use std::io;

/// Maps a whole file for reading. An empty file can't be mapped and is refused by the kernel.
pub(crate) fn map(file: &File) -> io::Result<memmap2::Mmap> {
    // SAFETY: the bytes of a map must not change while they are borrowed. Only `crate::map` calls this, and its contract
    // is that the file is one of ours that is written once, renamed into place and never changed or shortened afterwards.
    #[expect(unsafe_code, reason = "a map of a file has no safe form")]
    unsafe {
        memmap2::Mmap::map(file)
    }
}
