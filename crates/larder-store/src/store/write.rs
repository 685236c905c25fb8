//! Putting bytes under their final name in one step.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use super::{Store, step};
use crate::error::StoreError;

/// A file that has no final name yet; dropping it leaves nothing behind.
pub(super) struct Unnamed {
    file: File,
    /// Where it stands meanwhile, on file systems that don't know files without a name.
    temporary: Option<PathBuf>,
    /// For messages: the folder that it was made in.
    folder: PathBuf,
}

impl Unnamed {
    /// Makes one on the file system of `folder`: nameless, or else in the folder `tmp`.
    pub(super) fn create(folder: &Path, tmp: &Path) -> Result<Self, StoreError> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        match rustix::fs::open(folder, flags, Mode::RUSR | Mode::WUSR) {
            Ok(fd) => Ok(Self { file: fd.into(), temporary: None, folder: folder.into() }),
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL) => Self::create_named(tmp),
            Err(e) => Err(StoreError::sys("create a file in", folder)(e)),
        }
    }

    /// Makes one in the folder `tmp`, whatever the file system knows.
    pub(super) fn create_named(tmp: &Path) -> Result<Self, StoreError> {
        let path = temporary(tmp);
        step("create", &path);
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path);
        let file = file.map_err(StoreError::io("create", &path))?;
        Ok(Self { file, temporary: Some(path), folder: tmp.into() })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file.write_all(bytes).map_err(StoreError::io("write a file in", &self.folder))
    }

    /// Makes it read-only and gives it its name. A name that is taken stays as it is.
    pub(super) fn link(self, to: &Path) -> Result<(), StoreError> {
        self.file
            .set_permissions(Permissions::from_mode(0o444))
            .map_err(StoreError::io("protect a file in", &self.folder))?;
        with_parent(to, || match self.link_once(to) {
            Err(Errno::EXIST) => Ok(()),
            other => other.map_err(io::Error::from),
        })
    }

    /// Makes it read-only and puts it in the place of a file that is there, in one step, by way of the folder `tmp`.
    pub(super) fn rename_over(mut self, tmp: &Path, to: &Path) -> Result<(), StoreError> {
        self.file
            .set_permissions(Permissions::from_mode(0o444))
            .map_err(StoreError::io("protect a file in", &self.folder))?;
        let from = match &self.temporary {
            Some(from) => from.clone(),
            // A nameless file can't replace another.
            None => {
                let from = temporary(tmp);
                self.link_once(&from).map_err(StoreError::sys("create", &from))?;
                self.temporary.insert(from).clone()
            }
        };
        step("replace", to);
        fs::rename(&from, to).map_err(StoreError::io("replace", to))?;
        self.temporary = None;
        Ok(())
    }

    fn link_once(&self, to: &Path) -> Result<(), Errno> {
        step("link", to);
        if let Some(from) = &self.temporary {
            return rustix::fs::linkat(CWD, from, CWD, to, AtFlags::empty());
        }
        let from = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        match rustix::fs::linkat(CWD, &from, CWD, to, AtFlags::SYMLINK_FOLLOW) {
            // Without /proc; but the folder of the new name may be what is missing.
            Err(Errno::NOENT) if to.parent().is_some_and(Path::is_dir) => {
                rustix::fs::linkat(&self.file, "", CWD, to, AtFlags::EMPTY_PATH)
            }
            other => other,
        }
    }
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        if let Some(path) = &self.temporary {
            // What is left behind goes with the next garbage collection.
            _ = fs::remove_file(path);
        }
    }
}

/// Runs something that makes `path`, making its folder when that is missing.
fn with_parent(path: &Path, make: impl Fn() -> io::Result<()>) -> Result<(), StoreError> {
    match make() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let parent = path.parent().unwrap_or(path);
            step("create", parent);
            DirBuilder::new().recursive(true).mode(0o755).create(parent).map_err(StoreError::io("create", parent))?;
            make()
        }
        other => other,
    }
    .map_err(StoreError::io("create", path))
}

/// Whether a file had to be written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// It was there with these bytes.
    Found,
    /// It is there now.
    Written,
}

/// Writes a read-only file under its name, in one step. A file of that name with other bytes is replaced.
///
/// Nothing is synced: a commit does that for all.
pub(super) fn put_file(store: &Store, folder: &str, path: &Path, bytes: &[u8]) -> Result<Put, StoreError> {
    let same = |there: &Option<Vec<u8>>| there.as_ref().is_some_and(|there| there == bytes);
    let there = read(path)?;
    if same(&there) {
        return Ok(Put::Found);
    }
    let tmp = store.tmp_dir();
    if there.is_some() {
        let _alone = store.mending()?;
        if same(&read(path)?) {
            return Ok(Put::Found);
        }
        let mut file = Unnamed::create_named(&tmp)?;
        file.write(bytes)?;
        return file.rename_over(&tmp, path).map(|()| Put::Written);
    }
    let mut file = Unnamed::create(&store.path(folder), &tmp)?;
    file.write(bytes)?;
    file.link(path).map(|()| Put::Written)
}

/// Reads a file; nothing where it isn't there.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    step("read", path);
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(StoreError::io("read", path)(e)),
    }
}

/// A whole file under a temporary name, on its way to another. Dropping it removes it.
pub(crate) struct Temporary {
    path: PathBuf,
    file: File,
    renamed: bool,
}

impl Temporary {
    /// Writes one in the folder `tmp`. Nothing is synced.
    pub(crate) fn write(tmp: &Path, bytes: &[u8]) -> Result<Self, StoreError> {
        let path = temporary(tmp);
        step("create", &path);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&path);
        let file = file.map_err(StoreError::io("write", &path))?;
        let mut written = Self { path, file, renamed: false };
        written.file.write_all(bytes).map_err(StoreError::io("write", &written.path))?;
        Ok(written)
    }

    /// Where it stands meanwhile.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes its bytes last.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        self.file.sync_all().map_err(StoreError::io("write", &self.path))
    }

    /// Gives it its name in one step, which lasts when this returns. Its bytes must last already, and the folder that it goes to.
    pub(crate) fn name(self, path: &Path) -> Result<(), StoreError> {
        self.rename(path)?;
        path.parent().map_or(Ok(()), sync_folder)
    }

    fn rename(mut self, path: &Path) -> Result<(), StoreError> {
        with_parent(path, || {
            step("name", path);
            fs::rename(&self.path, path)
        })?;
        self.renamed = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.renamed {
            // The first error is the one to tell.
            _ = fs::remove_file(&self.path);
        }
    }
}

/// Writes a file under its name in one step, so that it lasts when this returns: for the few files that aren't
/// followed by a commit.
pub(super) fn replace_file(tmp: &Path, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let file = Temporary::write(tmp, bytes)?;
    file.sync()?;
    file.name(path)
}

/// The same for a cache, which may be lost with the power.
pub(crate) fn replace_cache(tmp: &Path, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    Temporary::write(tmp, bytes)?.rename(path)
}

/// Makes the names in a folder last.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    File::open(folder).and_then(|f| f.sync_all()).map_err(StoreError::io("sync", folder))
}

/// A path in a folder that no other process or thread uses.
fn temporary(tmp: &Path) -> PathBuf {
    tmp.join(unique())
}

/// A name that no other process or thread uses.
pub(crate) fn unique() -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos());
    format!("{}-{nanos:x}-{count}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_writing_leave_one_read_only_file() {
        let folder = tempfile::tempdir().expect("folder");
        let tmp = folder.path().join("tmp");
        fs::create_dir(&tmp).expect("tmp");
        type Create = fn(&Path, &Path) -> Result<Unnamed, StoreError>;
        let ways: [(&str, Create); 2] = [("nameless", Unnamed::create), ("named", |_, tmp| Unnamed::create_named(tmp))];
        for (name, create) in ways {
            let to = folder.path().join("ab").join(name);
            let write = |bytes: &[u8]| {
                let mut file = create(folder.path(), &tmp).expect("create");
                file.write(bytes).expect("write");
                file
            };
            write(b"first").link(&to).expect("link");
            write(b"second").link(&to).expect("a name that is taken stays as it is");
            assert_eq!(fs::read(&to).expect("read"), b"first");
            write(b"third").rename_over(&tmp, &to).expect("rename");
            assert_eq!(fs::read(&to).expect("read"), b"third");
            assert_eq!(fs::metadata(&to).expect("metadata").permissions().mode() & 0o7777, 0o444);
            drop(write(b"given up"));
            assert_eq!(fs::read_dir(&tmp).expect("list").count(), 0, "{name}");
        }
    }

    #[test]
    fn a_file_system_without_nameless_files_is_served_too() {
        let folder = tempfile::tempdir().expect("folder");
        // A folder that isn't there stands for one that can't hold a nameless file.
        let file = Unnamed::create(&folder.path().join("none"), folder.path()).expect("create");
        assert!(file.temporary.is_some());
    }
}
