//! Finding a place for a container's cgroups, and making them.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::hierarchy::{Found, Hierarchies, Hierarchy};
use super::limits::{Limit, Setting, weights_count};
use crate::error::RuntimeError;

/// What is done to the cgroup file systems; a test has a model of the kernel's rules instead.
pub(super) trait Files {
    /// Makes a cgroup.
    fn create(&self, path: &Path) -> io::Result<()>;
    /// Writes into a file of a cgroup, which must be there.
    fn write(&self, path: &Path, text: &str) -> io::Result<()>;
    /// Whether this user may move processes into a cgroup and below it.
    fn writable(&self, cgroup: &Path) -> io::Result<()>;
}

/// The real ones.
pub(super) struct Kernel;

impl Files for Kernel {
    fn create(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn write(&self, path: &Path, text: &str) -> io::Result<()> {
        // One call: each is a command to the kernel.
        OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes())
    }

    fn writable(&self, cgroup: &Path) -> io::Result<()> {
        access(cgroup, Access::WRITE_OK)?;
        Ok(access(cgroup.join("cgroup.procs"), Access::WRITE_OK)?)
    }
}

/// Makes the cgroups of one container.
pub(super) struct Maker<'a> {
    pub(super) files: &'a dyn Files,
    pub(super) hierarchies: &'a Hierarchies,
    /// `/sys/block`.
    pub(super) block: &'a Path,
    /// The name of each of its cgroups.
    pub(super) name: String,
    /// Notes a path, before it is made, where a later process finds it.
    pub(super) record: &'a dyn Fn(&Path) -> io::Result<()>,
}

/// Why a limit can't be set here, and what can be done.
struct Obstacle {
    reason: String,
    remedy: String,
}

impl Obstacle {
    fn of(limit: &Limit) -> impl FnOnce(Self) -> RuntimeError {
        let limit = limit.phrase();
        move |Self { reason, remedy }| RuntimeError::Limit { limit, reason, remedy }
    }

    /// The kernel said no to `what` in a cgroup; in a tree of version 2 or 1.
    fn refused(what: &str, at: &Path, error: &io::Error, unified: bool) -> Self {
        let reason = format!("{what} {}: {error}", at.display());
        let remedy = match error.raw_os_error() {
            Some(libc::EBUSY) => {
                "the kernel limits no cgroup beside processes of the enclosing one: start larder in a cgroup of its own, \
                 such as `systemd-run --scope larder run …`"
            }
            Some(libc::EACCES | libc::EPERM) if unified => {
                "start it where cgroups belong to the caller: `systemd-run --user --scope larder run …`, or as root"
            }
            Some(libc::EACCES | libc::EPERM) => {
                "as root, make a cgroup that belongs to this user (mkdir, chown -R) in that tree and put the caller's shell into \
                 it (echo PID >CGROUP/cgroup.procs), or run larder as root"
            }
            Some(libc::EROFS) => {
                "inside another container: start that one with its cgroups writable, or limit that one"
            }
            Some(libc::EINVAL) => "the enclosing cgroup allows less: ask for no more than that, or limit that one",
            _ => "",
        };
        Self { reason, remedy: remedy.to_owned() }
    }
}

impl Maker<'_> {
    /// A cgroup of version 2 without limits, below this process's own; `None` where that isn't possible.
    pub(super) fn plain(&self) -> Option<PathBuf> {
        let path = self.hierarchies.unified()?.own.join(&self.name);
        (self.record)(&path).ok()?;
        self.files.create(&path).ok()?;
        Some(path)
    }

    /// A cgroup in each tree that the limits need, with the limits set. Gives version 2's, and those of version 1.
    pub(super) fn limited(&self, limits: &[Limit]) -> Result<(Option<PathBuf>, Vec<PathBuf>), RuntimeError> {
        let mut new: Vec<(&Limit, &Hierarchy)> = Vec::new();
        let mut old: Vec<(&Limit, &Hierarchy)> = Vec::new();
        for limit in limits {
            let (old_name, new_name) = limit.controller();
            match self.hierarchies.find(old_name, new_name) {
                Found::Old(hierarchy) => old.push((limit, hierarchy)),
                Found::New(hierarchy) => new.push((limit, hierarchy)),
                Found::Hidden => return Err(Obstacle::of(limit)(no_controller(old_name, new_name))),
            }
        }
        check_weights(self.hierarchies, self.block, limits)?;
        let unified = match new.first() {
            Some((first, hierarchy)) => {
                let limits: Vec<&Limit> = new.iter().map(|(limit, _)| *limit).collect();
                Some(self.find_new(first, hierarchy, &limits)?)
            }
            None => None,
        };
        for (limit, _) in &new {
            let path = unified.as_deref().unwrap_or(Path::new(""));
            self.set(path, &limit.new_settings(), true).map_err(Obstacle::of(limit))?;
        }
        let mut made: Vec<PathBuf> = Vec::new();
        for (limit, hierarchy) in old {
            let path = hierarchy.own.join(&self.name);
            // Controllers may share a tree.
            if !made.contains(&path) {
                self.create(&path, false).map_err(Obstacle::of(limit))?;
                made.push(path.clone());
            }
            self.set(&path, &limit.old_settings(), false).map_err(Obstacle::of(limit))?;
        }
        Ok((unified, made))
    }

    /// A cgroup of version 2 with these controllers: in the nearest enclosing cgroup of this process that can hand them down. That of
    /// the process itself usually can't, because a cgroup with processes in it has no limited children.
    fn find_new(&self, first: &Limit, hierarchy: &Hierarchy, limits: &[&Limit]) -> Result<PathBuf, RuntimeError> {
        let mut nearest = None;
        for parent in hierarchy.upwards() {
            match self.try_new(parent, limits, &hierarchy.top) {
                Ok(path) => return Ok(path),
                Err(failed) => drop(nearest.get_or_insert(failed)),
            }
        }
        Err(match nearest {
            Some((limit, obstacle)) => Obstacle::of(limit)(obstacle),
            None => Obstacle::of(first)(no_controller("", first.controller().1)),
        })
    }

    fn try_new<'a>(&self, parent: &Path, limits: &[&'a Limit], top: &Path) -> Result<PathBuf, (&'a Limit, Obstacle)> {
        // To move a process the kernel wants this of the cgroup around both places.
        self.files
            .writable(parent)
            .map_err(|error| (limits[0], Obstacle::refused("this user can't write to", parent, &error, true)))?;
        let words = |file: &str| -> Vec<String> {
            let text = fs::read_to_string(parent.join(file)).unwrap_or_default();
            text.split_whitespace().map(str::to_owned).collect()
        };
        let (available, enabled) = (words("cgroup.controllers"), words("cgroup.subtree_control"));
        for &limit in limits {
            let name = limit.controller().1;
            if enabled.iter().any(|word| word == name) {
                continue;
            }
            if !available.iter().any(|word| word == name) {
                let obstacle = if parent == top { no_controller("", name) } else { not_delegated(name, parent) };
                return Err((limit, obstacle));
            }
            let file = parent.join("cgroup.subtree_control");
            self.files
                .write(&file, &format!("+{name}"))
                .map_err(|error| (limit, Obstacle::refused("the kernel refuses to write", &file, &error, true)))?;
        }
        let path = parent.join(&self.name);
        self.create(&path, true).map_err(|obstacle| (limits[0], obstacle))?;
        Ok(path)
    }

    fn create(&self, path: &Path, unified: bool) -> Result<(), Obstacle> {
        let failed = |error| Obstacle::refused("the kernel refuses to make the cgroup", path, &error, unified);
        (self.record)(path).map_err(|error| Obstacle {
            reason: format!("can't note {} in the container's directory: {error}", path.display()),
            remedy: String::new(),
        })?;
        self.files.create(path).map_err(failed)
    }

    fn set(&self, cgroup: &Path, settings: &[Setting], unified: bool) -> Result<(), Obstacle> {
        for Setting { files, required } in settings {
            match files.iter().find(|(file, _)| cgroup.join(file).exists()) {
                Some((file, value)) => {
                    let path = cgroup.join(file);
                    let what = format!("the kernel refuses {value:?} for");
                    self.files.write(&path, value).map_err(|error| Obstacle::refused(&what, &path, &error, unified))?;
                }
                None if *required => {
                    let names: Vec<&str> = files.iter().map(|(file, _)| *file).collect();
                    return Err(Obstacle {
                        reason: format!("this kernel's cgroups have no {}", names.join(" or ")),
                        remedy: "another kernel: this one was built without that limit".to_owned(),
                    });
                }
                None => {}
            }
        }
        Ok(())
    }
}

/// Refuses a weight where nothing looks at it.
pub(super) fn check_weights(hierarchies: &Hierarchies, block: &Path, limits: &[Limit]) -> Result<(), RuntimeError> {
    for limit in limits.iter().filter(|limit| matches!(limit, Limit::IoWeight(_))) {
        let (old, new) = limit.controller();
        match hierarchies.find(old, new) {
            Found::Old(tree) | Found::New(tree) if weights_count(block, &tree.top) => {}
            Found::Hidden => return Err(Obstacle::of(limit)(no_controller(old, new))),
            Found::Old(_) | Found::New(_) => return Err(Obstacle::of(limit)(no_weights())),
        }
    }
    Ok(())
}

fn no_controller(old: &str, new: &str) -> Obstacle {
    let name = if old.is_empty() || old == new { new.to_owned() } else { format!("{old} (version 2: {new})") };
    let remedy = match new {
        "memory" => "mount it, or start the kernel with cgroup_enable=memory",
        _ => "mount it (on Debian systemd does), or in another container: start that one with its cgroups visible",
    };
    Obstacle { reason: format!("there is no cgroup controller {name} here"), remedy: remedy.to_owned() }
}

fn not_delegated(name: &str, parent: &Path) -> Obstacle {
    Obstacle {
        reason: format!("{} has no cgroup controller {name}", parent.display()),
        remedy: "root can hand it down to users: Delegate=cpu cpuset io memory pids below [Service] in \
                 /etc/systemd/system/user@.service.d/delegate.conf, then log in anew"
            .to_owned(),
    }
}

fn no_weights() -> Obstacle {
    Obstacle {
        reason: "no disk of this machine has a scheduler that looks at weights".to_owned(),
        remedy: "as root: echo bfq >/sys/block/DISK/queue/scheduler".to_owned(),
    }
}
