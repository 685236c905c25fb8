//! The cgroups of a container: one of version 2 where this process may make one, so that the container is visible to the machine's own
//! tools and killable as a whole; and with limits one in each tree that has a controller for them.
//!
//! ```text
//! containers/<id>/cgroup     the paths of its cgroups, one a line, each written before the cgroup is made
//! <own or enclosing cgroup>/larder-<id>
//! ```
//! Without limits the supervisor is born in it. Limits are for what runs in the container, so limited cgroups are joined by
//! the init: the supervisor, which prepares views, is not what a container's memory is for. A limit that can't be set is an error.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use oci_spec::runtime::{LinuxResources, Spec};

use self::hierarchy::Hierarchies;
use self::leaf::{Kernel, Maker};
use self::limits::Limit;
use crate::error::RuntimeError;

mod hierarchy;
mod leaf;
mod limits;
#[cfg(test)]
mod model;

/// The file in a container's directory that names its cgroups. It goes last: without it nobody would find them.
pub(super) const RECORD: &str = "cgroup";

/// The machine's disks.
const BLOCK: &str = "/sys/block";

/// The beginning of every name of a cgroup of ours.
const PREFIX: &str = "larder-";

/// The cgroups of a container. They are removed with the container's directory.
#[derive(Default)]
pub(super) struct Leaf {
    fd: Option<File>,
    join: Vec<PathBuf>,
}

impl Leaf {
    /// Makes the cgroups, noted in the container's directory first so that they are never forgotten.
    ///
    /// # Errors
    /// A limit can't be set. Without limits there is none: then there may be no cgroup.
    pub(super) fn create(directory: &Path, spec: &Spec) -> Result<Self, RuntimeError> {
        let limits = Limit::all(resources(spec))?;
        let hierarchies = match Hierarchies::of_this_process() {
            Ok(hierarchies) => hierarchies,
            Err(_) if limits.is_empty() => return Ok(Self::default()),
            Err(error) => return Err(RuntimeError::start("find this process's cgroups")(error)),
        };
        let record = directory.join(RECORD);
        let id = directory.file_name().unwrap_or_default().to_string_lossy();
        let maker = Maker {
            files: &Kernel,
            hierarchies: &hierarchies,
            block: Path::new(BLOCK),
            name: format!("{PREFIX}{id}"),
            record: &|path| {
                let mut file = OpenOptions::new().append(true).create(true).open(&record)?;
                file.write_all(format!("{}\n", path.display()).as_bytes())
            },
        };
        let (limited, mut join) = maker.limited(&limits)?;
        let fd = match limited {
            Some(path) => {
                join.push(path);
                None
            }
            None => maker.plain().and_then(|path| File::open(path).ok()),
        };
        Ok(Self { fd, join })
    }

    /// Notes the cgroups that another runtime may make for the container: below this process's own, or at the top.
    ///
    /// # Errors
    /// The container's directory can't be written, or a limit is asked for that would have no effect.
    pub(super) fn expect(directory: &Path, spec: &Spec) -> Result<Self, RuntimeError> {
        let record = directory.join(RECORD);
        let name = path_for_runtime(directory);
        let name = name.file_name().unwrap_or_default();
        let hierarchies = Hierarchies::of_this_process().unwrap_or_default();
        leaf::check_weights(&hierarchies, Path::new(BLOCK), &Limit::all(resources(spec))?)?;
        let join: Vec<PathBuf> =
            hierarchies.all().flat_map(|tree| [&tree.own, &tree.top]).map(|parent| parent.join(name)).collect();
        let lines: String = join.iter().map(|path| format!("{}\n", path.display())).collect();
        fs::write(&record, lines).map_err(RuntimeError::io("write", &record))?;
        Ok(Self { fd: None, join })
    }

    /// The directory for the supervisor to be born in.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().map(AsFd::as_fd)
    }

    /// The cgroups that the init joins.
    pub(super) fn join(&self) -> &[PathBuf] {
        &self.join
    }

    /// How many processes of the container the kernel has killed because of its memory limit.
    pub(super) fn memory_kills(&self) -> u64 {
        let files =
            self.join.iter().flat_map(|path| ["memory.events", "memory.oom_control"].map(|file| path.join(file)));
        let texts = files.filter_map(|file| fs::read_to_string(file).ok());
        let counts =
            texts.filter_map(|text| text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok()));
        counts.max().unwrap_or_default()
    }
}

/// Puts this process into a cgroup.
pub(super) fn join(path: &Path) -> Result<(), RuntimeError> {
    use self::leaf::Files;
    Kernel
        .write(&path.join("cgroup.procs"), "0")
        .map_err(RuntimeError::start(format!("join the cgroup {}", path.display())))
}

/// What a specification tells another runtime as the path of the container's cgroups. In trees of version 1 it is below the caller's own;
/// in version 2, where a cgroup with processes has no limited children, at the top.
pub(super) fn path_for_runtime(directory: &Path) -> PathBuf {
    let id = directory.file_name().unwrap_or_default().to_string_lossy();
    let old = Hierarchies::of_this_process().is_ok_and(|hierarchies| hierarchies.has_old());
    PathBuf::from(format!("{}{PREFIX}{id}", if old { "" } else { "/" }))
}

/// Where cgroups of version 2 are mounted beside those of version 1.
pub(super) fn hybrid_mount() -> Option<PathBuf> {
    let hierarchies = Hierarchies::of_this_process().ok()?;
    hierarchies.unified().filter(|_| hierarchies.has_old()).map(|tree| tree.top.clone())
}

/// Whether a specification has limits.
pub(super) fn limited(spec: &Spec) -> bool {
    Limit::all(resources(spec)).is_ok_and(|limits| !limits.is_empty())
}

/// Refuses limits of a specification that would have to be ignored.
pub(super) fn check(spec: &Spec) -> Result<(), RuntimeError> {
    Limit::all(resources(spec)).map(drop)
}

fn resources(spec: &Spec) -> Option<&LinuxResources> {
    spec.linux().as_ref()?.resources().as_ref()
}

/// Removes the cgroups that a dead container's directory names, and then the record of them.
pub(super) fn remove_recorded(directory: &Path) -> io::Result<()> {
    let record = directory.join(RECORD);
    let Ok(text) = fs::read_to_string(&record) else { return Ok(()) };
    for path in text.lines().map(Path::new) {
        // Only what can be ours: the file may have been cut short by a crash, before there was a cgroup.
        let ours = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
        let plain = !path.components().any(|part| part == Component::ParentDir);
        if ours && plain && path.parent().is_some_and(is_cgroup) {
            remove_leaf(path)?;
        }
    }
    fs::remove_file(&record)
}

/// Whether a directory is in a cgroup file system.
fn is_cgroup(path: &Path) -> bool {
    /// `CGROUP_SUPER_MAGIC` and `CGROUP2_SUPER_MAGIC` of `linux/magic.h`.
    const MAGIC: [rustix::fs::FsWord; 2] = [0x0027_e0eb, 0x6367_7270];
    rustix::fs::statfs(path).is_ok_and(|found| MAGIC.contains(&found.f_type))
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
