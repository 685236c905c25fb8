//! Files of the cache.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::DebianError;

/// Makes a folder and those above it.
pub(crate) fn make_folder(path: &Path) -> Result<(), DebianError> {
    fs::create_dir_all(path).map_err(DebianError::io("create", path))
}

/// Writes a file whole or not at all: temporary name, fsync, rename. The fsync keeps a file of zeros from standing under
/// the final name after a power cut.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), DebianError> {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}-{}.tmp", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed)));
    let temporary = PathBuf::from(name);
    let result = (|| {
        let mut file = File::create(&temporary).map_err(DebianError::io("create", &temporary))?;
        file.write_all(bytes).map_err(DebianError::io("write", &temporary))?;
        file.sync_all().map_err(DebianError::io("write", &temporary))?;
        fs::rename(&temporary, path).map_err(DebianError::io("rename a file to", path))
    })();
    if result.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    result
}

/// Takes a lock file exclusively; it is let go when dropped, or when the process ends.
pub(crate) fn lock(path: &Path) -> Result<File, DebianError> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(DebianError::io("open", path))?;
    file.lock().map_err(DebianError::io("lock", path))?;
    Ok(file)
}
