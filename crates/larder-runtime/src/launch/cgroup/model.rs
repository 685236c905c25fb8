//! A model of the kernel's rules on a folder, for hosts that this machine isn't: a new cgroup gets the files of the controllers that its
//! parent hands down; a cgroup with processes hands nothing down, except the highest; and some files belong to others.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::hierarchy::Hierarchies;
use super::leaf::{Files, Maker};
use super::limits::Limit;
use crate::error::RuntimeError;

const NEW_FILES: &[(&str, &[&str])] = &[
    ("memory", &["memory.max", "memory.swap.max", "memory.events"]),
    ("cpu", &["cpu.max", "cpu.stat"]),
    ("pids", &["pids.max"]),
    ("io", &["io.weight"]),
];
const OLD_FILES: &[(&str, &[&str])] = &[
    ("memory", &["memory.limit_in_bytes", "memory.oom_control"]),
    ("cpu", &["cpu.cfs_period_us", "cpu.cfs_quota_us"]),
    ("pids", &["pids.max"]),
    ("blkio", &["blkio.bfq.weight"]),
];

/// A machine with cgroups, and a process in them.
struct Machine {
    folder: tempfile::TempDir,
    /// Cgroups that the process may not write to.
    foreign: Vec<PathBuf>,
    mountinfo: String,
    own: String,
    record: RefCell<Vec<PathBuf>>,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let queue = folder.path().join("block/vda/queue");
        fs::create_dir_all(&queue).unwrap();
        fs::write(queue.join("scheduler"), "none [bfq]\n").unwrap();
        Self { folder, foreign: Vec::new(), mountinfo: String::new(), own: String::new(), record: RefCell::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Mounts version 2 with these controllers, and puts the process into `own`, a path of cgroups that each hand down the
    /// controllers given with them.
    fn unified(mut self, controllers: &str, own: &[(&str, &str)]) -> Self {
        let mut at = self.path("v2");
        self.mountinfo += &format!("25 1 0:22 / {} rw - cgroup2 cgroup2 rw\n", at.display());
        fs::create_dir(&at).unwrap();
        fs::write(at.join("cgroup.controllers"), controllers).unwrap();
        for file in ["cgroup.subtree_control", "cgroup.procs"] {
            fs::write(at.join(file), "").unwrap();
        }
        let mut path = String::new();
        for (name, handed_down) in own {
            if name.is_empty() {
                fs::write(at.join("cgroup.subtree_control"), handed_down).unwrap();
                continue;
            }
            at.push(name);
            path += &format!("/{name}");
            self.create(&at).unwrap();
            fs::write(at.join("cgroup.subtree_control"), handed_down).unwrap();
        }
        fs::write(at.join("cgroup.procs"), "4711\n").unwrap();
        self.own += &format!("0::{}\n", if path.is_empty() { "/" } else { &path });
        self
    }

    /// Mounts controllers of version 1 in one tree, and puts the process into `own` there.
    fn old(mut self, controllers: &str, own: &str) -> Self {
        let top = self.path(controllers);
        self.mountinfo += &format!("32 31 0:29 / {} rw - cgroup cgroup rw,{controllers}\n", top.display());
        fs::create_dir_all(top.join(own)).unwrap();
        let number = self.own.lines().count() + 1;
        self.own += &format!("{number}:{controllers}:/{own}\n");
        self
    }

    /// Takes the right to write away.
    fn foreign(mut self, names: &[&str]) -> Self {
        self.foreign = names.iter().map(|name| self.path(name)).collect();
        self
    }

    fn make(&self, limits: &[Limit]) -> Result<(Option<PathBuf>, Vec<PathBuf>), RuntimeError> {
        let hierarchies = Hierarchies::parse(&self.mountinfo, &self.own);
        let block = self.path("block");
        let record = |path: &Path| {
            self.record.borrow_mut().push(path.to_owned());
            Ok(())
        };
        Maker { files: self, hierarchies: &hierarchies, block: &block, name: "larder-x".to_owned(), record: &record }
            .limited(limits)
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_default()
    }

    fn allowed(&self, cgroup: &Path) -> io::Result<()> {
        if self.foreign.iter().any(|path| path == cgroup) {
            return Err(io::Error::from_raw_os_error(libc::EACCES));
        }
        Ok(())
    }
}

impl Files for Machine {
    fn create(&self, path: &Path) -> io::Result<()> {
        let parent = path.parent().unwrap();
        self.allowed(parent)?;
        fs::create_dir(path)?;
        if let Ok(handed_down) = fs::read_to_string(parent.join("cgroup.subtree_control")) {
            fs::write(path.join("cgroup.controllers"), &handed_down)?;
            let known = NEW_FILES.iter().filter(|(name, _)| handed_down.split_whitespace().any(|word| word == *name));
            let files = known.flat_map(|(_, files)| *files).chain(&["cgroup.procs", "cgroup.subtree_control"]);
            return files.into_iter().try_for_each(|file| fs::write(path.join(file), ""));
        }
        let tree = path.strip_prefix(self.folder.path()).unwrap().components().next().unwrap();
        let tree = tree.as_os_str().to_str().unwrap();
        let known = OLD_FILES.iter().filter(|(name, _)| tree.split(',').any(|word| word == *name));
        known.flat_map(|(_, files)| *files).try_for_each(|file| fs::write(path.join(file), ""))
    }

    fn write(&self, path: &Path, text: &str) -> io::Result<()> {
        let cgroup = path.parent().unwrap();
        self.allowed(cgroup)?;
        if !path.exists() {
            return Err(io::Error::from_raw_os_error(libc::ENOENT));
        }
        if path.ends_with("cgroup.subtree_control") {
            let highest = cgroup == self.path("v2");
            let crowded = !fs::read_to_string(cgroup.join("cgroup.procs"))?.is_empty();
            if crowded && !highest {
                return Err(io::Error::from_raw_os_error(libc::EBUSY));
            }
            let before = fs::read_to_string(path)?;
            return fs::write(path, format!("{before} {}", text.trim_start_matches('+')));
        }
        fs::write(path, text)
    }

    fn writable(&self, cgroup: &Path) -> io::Result<()> {
        self.allowed(cgroup)
    }
}

const MEMORY: Limit = Limit::Memory { bytes: 64 << 20, with_swap: Some(64 << 20) };
const CPU: Limit = Limit::Cpu { quota: 50_000, period: 100_000 };
const ALL: [Limit; 4] = [MEMORY, CPU, Limit::Pids(9), Limit::IoWeight(500)];

fn refusal(machine: &Machine, limits: &[Limit]) -> (String, String) {
    match machine.make(limits) {
        Err(error @ RuntimeError::Limit { .. }) => (error.to_string(), error.remedy().unwrap_or_default().to_owned()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn version_1_is_limited_where_the_process_is() {
    let machine = Machine::new().old("cpu,cpuacct", "").old("memory", "a/b").old("pids", "").old("blkio", "");
    let (unified, made) = machine.make(&ALL).unwrap();
    assert_eq!(unified, None);
    let expected = ["memory/a/b/larder-x", "cpu,cpuacct/larder-x", "pids/larder-x", "blkio/larder-x"];
    assert_eq!(made, expected.map(|name| machine.path(name)));
    assert_eq!(*machine.record.borrow(), made);
    assert_eq!(machine.read("memory/a/b/larder-x/memory.limit_in_bytes"), "67108864");
    assert_eq!(machine.read("cpu,cpuacct/larder-x/cpu.cfs_quota_us"), "50000");
    assert_eq!(machine.read("pids/larder-x/pids.max"), "10");
    assert_eq!(machine.read("blkio/larder-x/blkio.bfq.weight"), "500");
}

#[test]
fn a_hybrid_host_may_have_controllers_in_both() {
    let machine = Machine::new().old("memory", "").unified("cpu io pids", &[("", "pids")]);
    let (unified, made) = machine.make(&ALL).unwrap();
    assert_eq!(unified, Some(machine.path("v2/larder-x")));
    assert_eq!(made, [machine.path("memory/larder-x")]);
    assert_eq!(machine.read("v2/larder-x/cpu.max"), "50000 100000");
    assert_eq!(machine.read("v2/larder-x/io.weight"), "default 4500");
}

#[test]
fn root_on_version_2_goes_up_to_where_limits_are_possible() {
    let slices = [("", "memory pids"), ("user.slice", "memory pids"), ("session-1.scope", "")];
    let machine = Machine::new().unified("cpu io memory pids", &slices);
    let (unified, _) = machine.make(&[MEMORY]).unwrap();
    assert_eq!(unified, Some(machine.path("v2/user.slice/larder-x")), "beside the session, not in it");
    assert_eq!(machine.read("v2/user.slice/larder-x/memory.max"), "67108864");
    assert_eq!(machine.read("v2/user.slice/larder-x/memory.swap.max"), "0");
    let machine = Machine::new().unified("cpu io memory pids", &slices);
    let (unified, _) = machine.make(&[MEMORY, CPU]).unwrap();
    assert_eq!(unified, Some(machine.path("v2/larder-x")), "the slice has no CPU controller to hand down");
    assert_eq!(machine.read("v2/cgroup.subtree_control"), "memory pids cpu");
    assert_eq!(machine.read("v2/larder-x/cpu.max"), "50000 100000");
}

#[test]
fn an_ordinary_user_has_what_is_delegated() {
    let own =
        [("", "cpu memory pids"), ("user@1000.service", "memory pids"), ("app.slice", "memory"), ("run-1.scope", "")];
    let machine = Machine::new().unified("cpu memory pids", &own).foreign(&["v2"]);
    let (unified, _) = machine.make(&[MEMORY, Limit::Pids(9)]).unwrap();
    assert_eq!(unified, Some(machine.path("v2/user@1000.service/app.slice/larder-x")));
    assert_eq!(machine.read("v2/user@1000.service/app.slice/larder-x/pids.max"), "10", "enabled on the way");
    let own = [("", "cpu memory pids"), ("user@1000.service", ""), ("app.slice", ""), ("run-1.scope", "")];
    let machine = Machine::new().unified("cpu memory pids", &own).foreign(&["v2"]);
    let (unified, _) = machine.make(&[CPU]).unwrap();
    assert_eq!(unified, Some(machine.path("v2/user@1000.service/larder-x")));
}

#[test]
fn what_stands_against_a_limit_is_said() {
    let session = [("", "memory"), ("user-1000.slice", ""), ("session-3.scope", "")];
    let folders = ["v2", "v2/user-1000.slice", "v2/user-1000.slice/session-3.scope"];
    let machine = Machine::new().unified("cpu memory", &session);
    let machine = Machine { foreign: folders.iter().map(|name| machine.path(name)).collect(), ..machine };
    let (error, remedy) = refusal(&machine, &[MEMORY]);
    assert!(error.starts_with("can't set the memory limit of 67108864 bytes: "), "{error}");
    assert!(error.contains("can't write to") && error.contains("/session-3.scope: Permission denied"), "{error}");
    assert!(remedy.contains("systemd-run --user --scope"), "{remedy}");

    let user = [("", "memory"), ("user@1000.service", "memory"), ("run-1.scope", "")];
    let machine = Machine::new().unified("cpu memory", &user).foreign(&["v2"]);
    let (error, remedy) = refusal(&machine, &[CPU]);
    assert!(error.contains("/run-1.scope has no cgroup controller cpu"), "{error}");
    assert!(remedy.contains("Delegate=cpu"), "{remedy}");

    let machine = Machine::new().unified("memory", &[("", "memory"), ("box", "")]).foreign(&["v2"]);
    let (error, remedy) = refusal(&machine, &[MEMORY]);
    assert!(error.contains("cgroup.subtree_control") && error.contains("busy"), "{error}");
    assert!(remedy.contains("systemd-run --scope"), "{remedy}");

    let machine = Machine::new().old("memory", "").foreign(&["memory"]);
    let (error, remedy) = refusal(&machine, &[MEMORY]);
    assert!(error.contains("memory/larder-x: Permission denied") && remedy.contains("chown -R"), "{error} {remedy}");
    let (error, _) = refusal(&machine, &[CPU]);
    assert!(error.ends_with("can't set the limit of 0.5 CPUs: there is no cgroup controller cpu here"), "{error}");

    let machine = Machine::new().unified("cpu", &[]);
    let (error, remedy) = refusal(&machine, &[MEMORY]);
    assert!(error.ends_with("there is no cgroup controller memory here"), "{error}");
    assert!(remedy.contains("cgroup_enable=memory"), "{remedy}");
}

#[test]
fn a_weight_that_nothing_looks_at_is_refused() {
    let machine = Machine::new().old("blkio", "");
    fs::write(machine.path("block/vda/queue/scheduler"), "[none] bfq\n").unwrap();
    let (error, remedy) = refusal(&machine, &[Limit::IoWeight(500)]);
    assert_eq!(error, "can't set the I/O weight 500: no disk of this machine has a scheduler that looks at weights");
    assert_eq!(remedy, "as root: echo bfq >/sys/block/DISK/queue/scheduler");
    assert!(machine.record.borrow().is_empty());
}
