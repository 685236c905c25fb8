//! Files of the cache.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::Builder;

use crate::error::DebianError;

/// Makes a folder and those above it.
pub(crate) fn make_folder(path: &Path) -> Result<(), DebianError> {
    let made = fs::create_dir_all(path).or_else(|error| match error.kind() {
        // It was there, or seemed to be: that it can't be looked at is the reason, then.
        ErrorKind::AlreadyExists if fs::metadata(path)?.is_dir() => Ok(()),
        _ => Err(error),
    });
    made.map_err(DebianError::io("create", path))
}

/// Writes a file whole or not at all: temporary name, fsync, rename. The fsync keeps a file of zeros from standing under
/// the final name after a power cut. The name is random: processes of two PID namespaces that share a cache may have one number.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), DebianError> {
    let folder = path.parent().unwrap_or(Path::new(""));
    make_folder(folder)?;
    let prefix = [path.file_name().unwrap_or_default().as_encoded_bytes(), b"."].concat();
    let prefix = String::from_utf8_lossy(&prefix);
    let mut file = Builder::new()
        .prefix(prefix.as_ref())
        .suffix(".tmp")
        // The umask takes away what it should.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)
        .map_err(DebianError::io("create a file in", folder))?;
    file.write_all(bytes).map_err(DebianError::io("write", file.path()))?;
    file.as_file().sync_all().map_err(DebianError::io("write", file.path()))?;
    file.persist(path).map_err(|error| DebianError::io("rename a file to", path)(error.error))?;
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The temporary name was the process's number and a counter: two processes of that number, each in a PID namespace of its
    /// own, wrote into one file.
    #[test]
    fn writers_of_one_process_number_do_not_meet() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lists/a.xz");
        fs::create_dir(folder.path().join("lists")).unwrap();
        let others: Vec<_> =
            (0..200).map(|count| path.with_extension(format!("xz.{}-{count}.tmp", std::process::id()))).collect();
        others.iter().for_each(|other| fs::write(other, "another's").unwrap());
        write_whole(&path, b"one").unwrap();
        write_whole(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o600, 0o600);
        assert!(others.iter().all(|other| fs::read(other).is_ok_and(|text| text == b"another's")));
        // Nothing of ours is left beside it.
        assert_eq!(fs::read_dir(folder.path().join("lists")).unwrap().count(), 201);
    }
}
