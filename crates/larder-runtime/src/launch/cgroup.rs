//! One cgroup (version 2) a container, where this process may make one; none elsewhere. No limits are set yet: the leaf makes
//! the container visible to the machine's own tools and killable as a whole.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::directory::Directory;

const RECORD: &str = "cgroup";

/// The cgroup of a container; removed when dropped.
pub(super) struct Leaf {
    path: PathBuf,
    fd: File,
}

impl Leaf {
    /// Makes the leaf, noted in the container's directory first so that it is never forgotten.
    pub(super) fn create(directory: &Directory) -> Option<Self> {
        let parent = own_cgroup()?;
        let id = directory.path().file_name()?.to_str()?;
        let path = parent.join(format!("larder-{id}"));
        fs::write(directory.path().join(RECORD), path.to_str()?).ok()?;
        fs::create_dir(&path).ok()?;
        let fd = File::open(&path).ok()?;
        Some(Self { path, fd })
    }

    /// The directory to be born in.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Leaf {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.path);
    }
}

/// Removes the cgroup that a dead container's directory names.
pub(super) fn remove_recorded(directory: &Path) -> io::Result<()> {
    let Ok(text) = fs::read_to_string(directory.join(RECORD)) else { return Ok(()) };
    let path = PathBuf::from(text);
    // Only what a leaf can be: the file may have been cut short by a crash.
    let ours = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("larder-"));
    if !ours || !path.starts_with("/sys/fs/cgroup") {
        return Ok(());
    }
    // An init lets go of its lock a moment before the kernel has ended the rest of its namespace.
    let mut attempts_left = 200;
    loop {
        match fs::remove_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy && attempts_left > 0 => {
                attempts_left -= 1;
                let _ = fs::write(path.join("cgroup.kill"), "1");
                std::thread::sleep(Duration::from_millis(5));
            }
            result => return result,
        }
    }
}

/// The version 2 cgroup of this process, on unified and hybrid hosts.
fn own_cgroup() -> Option<PathBuf> {
    let text = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = text.lines().find_map(|line| line.strip_prefix("0::/"))?.to_owned();
    ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
        .into_iter()
        .map(Path::new)
        .find(|mount| mount.join("cgroup.procs").exists())
        .map(|mount| mount.join(own))
}
