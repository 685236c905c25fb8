//! One cgroup (version 2) a container, where this process may make one; none elsewhere. No limits are set yet: the leaf makes
//! the container visible to the machine's own tools and killable as a whole.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::directory::Directory;

/// The file in a container's directory that names its cgroup. It goes last: without it nobody would find the leaf.
pub(super) const RECORD: &str = "cgroup";

/// The cgroup of a container. It is removed with the container's directory.
pub(super) struct Leaf {
    fd: File,
}

impl Leaf {
    /// Makes the leaf, noted in the container's directory first so that it is never forgotten.
    pub(super) fn create(directory: &Directory) -> Option<Self> {
        let parent = own_cgroup()?;
        let id = directory.path().file_name()?.to_str()?;
        let path = parent.join(format!("larder-{id}"));
        let record = directory.path().join(RECORD);
        fs::write(&record, path.to_str()?).ok()?;
        if fs::create_dir(&path).is_err() {
            let _ = fs::remove_file(&record);
            return None;
        }
        let fd = File::open(&path).ok()?;
        Some(Self { fd })
    }

    /// The directory to be born in.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Removes the cgroup that a dead container's directory names, and then the record of it.
pub(super) fn remove_recorded(directory: &Path) -> io::Result<()> {
    let record = directory.join(RECORD);
    let Ok(text) = fs::read_to_string(&record) else { return Ok(()) };
    let path = PathBuf::from(text);
    // Only what a leaf can be: the file may have been cut short by a crash, before there was a leaf.
    let ours = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("larder-"));
    let plain = !path.components().any(|part| part == Component::ParentDir);
    if ours && plain && path.starts_with("/sys/fs/cgroup") {
        remove_leaf(&path)?;
    }
    fs::remove_file(&record)
}

fn remove_leaf(path: &Path) -> io::Result<()> {
    // An init lets go of its lock a moment before the kernel has ended the rest of its namespace.
    let mut attempts_left = 1000;
    loop {
        match fs::remove_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy && attempts_left > 0 => {
                attempts_left -= 1;
                let _ = fs::write(path.join("cgroup.kill"), "1");
                std::thread::sleep(Duration::from_millis(1));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Found by an attack: who owns a store can write such a record, and root may clean up there.
    #[test]
    fn a_record_leads_to_cgroups_only() {
        let directory = tempfile::tempdir().unwrap();
        let victim = directory.path().join("larder-victim");
        fs::create_dir(&victim).unwrap();
        for record in [victim.clone(), Path::new("/sys/fs/cgroup/../../..").join(victim.strip_prefix("/").unwrap())] {
            fs::write(directory.path().join(RECORD), record.to_str().unwrap()).unwrap();
            remove_recorded(directory.path()).unwrap();
            assert!(victim.exists(), "{}", record.display());
            assert!(!directory.path().join(RECORD).exists());
        }
    }
}
