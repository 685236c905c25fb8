//! Limits, on the cgroups that this machine has. Hosts of other kinds are modelled in the crate's own tests.
//!
//! Root is limited below its own cgroup. For an ordinary user root makes a cgroup that belongs to that user in each tree of version 1,
//! and starts the launcher in them: that is delegation.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Test;
use crate::crash::collect_until;
use crate::place::{Ended, Place, User, ended};

pub(crate) const TESTS: &[Test] = &[
    ("a_memory_limit_kills_a_hog", memory),
    ("a_pids_limit_makes_fork_fail", pids),
    ("a_cpus_limit_throttles", cpus),
    ("an_io_weight_is_set_or_said_to_be_impossible", io_weight),
    ("a_limit_that_cannot_be_set_is_an_error", impossible),
    ("limits_leave_no_cgroup", nothing_left),
    ("limits_leave_no_cgroup_after_a_kill", nothing_left_after_a_kill),
];

/// The trees of version 1 that hold the controllers of limits, and this process's cgroup in each.
fn trees() -> Vec<(&'static str, PathBuf)> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    let find = |name: &'static str| {
        let path = own.lines().find_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            controllers.split(',').any(|word| word == name).then_some(path)
        })?;
        let tree = Path::new("/sys/fs/cgroup").join(name);
        let at = tree.join(path.trim_start_matches('/'));
        at.join("cgroup.procs").exists().then_some((name, at))
    };
    ["memory", "cpu", "pids", "blkio"].into_iter().filter_map(find).collect()
}

/// Options that limit a container, where root can set them here without further preparation; else none.
pub(crate) fn for_root(place: &Place) -> &'static [&'static str] {
    if place.user == User::Root && trees().len() == 4 { ALL } else { &[] }
}

/// Cgroups that belong to the place's user; they go with this value.
struct Delegated(Vec<PathBuf>);

impl Delegated {
    /// Says by name why a test can't run here.
    fn new(place: &Place, test: &str) -> Option<Self> {
        let skip = |reason: &str| {
            println!("SKIPPED {:?}::{test}: {reason}", place.user);
            None
        };
        let trees = trees();
        if trees.len() < 4 {
            return skip("this machine has no cgroup controllers of version 1 (memory, cpu, pids, blkio)");
        }
        if !rustix::process::geteuid().is_root() {
            return skip("this needs root (it hands cgroups to the user)");
        }
        let mut made = Self(Vec::new());
        if place.user != User::Root {
            for (_, at) in trees {
                let path = at.join(format!("test-{test}-{:?}-{}", place.user, std::process::id()));
                if let Err(error) = fs::create_dir(&path) {
                    return skip(&format!("no cgroup can be made in {}: {error}", at.display()));
                }
                made.0.push(path.clone());
                for file in [path.clone(), path.join("cgroup.procs")] {
                    std::os::unix::fs::chown(file, Some(place.uid()), Some(place.uid())).unwrap();
                }
            }
        }
        Some(made)
    }

    /// The launcher with a container, started in these cgroups.
    fn container(&self, place: &Place, options: &[&str], script: &str) -> Command {
        let command = place.container(options, &["sh", "-c", script]);
        let mut inside = Command::new("sh");
        let join =
            "while [ \"$1\" != -- ]; do echo $$ >\"$1/cgroup.procs\" || exit 99; shift; done; shift; exec \"$@\"";
        inside.args(["-c", join, "sh"]).args(&self.0).arg("--").arg(command.get_program()).args(command.get_args());
        inside.current_dir(place.path("."));
        inside
    }

    fn run(&self, place: &Place, options: &[&str], script: &str) -> Ended {
        ended(self.container(place, options, script).stdin(Stdio::null()).output().unwrap())
    }

    /// Where the cgroup of a container of this name is.
    fn cgroup(&self, controller: &str, id: &str) -> PathBuf {
        let trees = trees();
        let number = trees.iter().position(|(name, _)| *name == controller).unwrap();
        self.0.get(number).unwrap_or(&trees[number].1).join(format!("larder-{id}"))
    }

    fn read(&self, controller: &str, id: &str, file: &str) -> String {
        fs::read_to_string(self.cgroup(controller, id).join(file)).unwrap().trim().to_owned()
    }

    /// The cgroups of a container that are there.
    fn present(&self, id: &str) -> Vec<PathBuf> {
        let all = ["memory", "cpu", "pids", "blkio"].map(|controller| self.cgroup(controller, id));
        all.into_iter().filter(|path| path.exists()).collect()
    }
}

impl Drop for Delegated {
    fn drop(&mut self) {
        for path in &self.0 {
            // The last process of a container may be on its way out.
            let end = Instant::now() + Duration::from_secs(5);
            while fs::remove_dir(path).is_err() && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// A shell that takes memory: a string that doubles until somebody says no.
const HOG: &str = "x=0123456789abcdef; while :; do x=$x$x; done";

fn memory(place: &Place) {
    let Some(here) = Delegated::new(place, "memory") else { return };
    let ended = here.run(place, &["--memory", "33554432"], &format!("echo before; {HOG}"));
    assert_eq!((ended.code, ended.out.as_str(), ended.err.as_str()), (137, "before\n", "killed for its memory\n"));
    let mut child = start(&here, place, &["--id", "mem", "--memory", "33554432"], "sleep 60 & echo ready; wait");
    assert_eq!(here.read("memory", "mem", "memory.limit_in_bytes"), "33554432");
    let swap = here.cgroup("memory", "mem").join("memory.memsw.limit_in_bytes");
    if swap.exists() {
        assert_eq!(fs::read_to_string(swap).unwrap().trim(), "33554432", "swap is included");
    }
    let processes = here.read("memory", "mem", "cgroup.procs").lines().count();
    assert_eq!(processes, 3, "the init, the shell and its sleep; not the supervisor");
    child.end();
    let small = here.run(place, &["--memory", "33554432"], "echo fits");
    assert_eq!((small.code, small.out.as_str(), small.err.as_str()), (0, "fits\n", ""));
}

fn pids(place: &Place) {
    let Some(here) = Delegated::new(place, "pids") else { return };
    let forks = "n=0; while [ $n -lt 4 ]; do sleep 60 >/dev/null 2>&1 & n=$((n+1)); echo $n; done";
    let ended = here.run(place, &["--pids", "4"], forks);
    assert!(ended.err.contains("can't fork") && ended.code != 0, "{ended:?}");
    assert_eq!(ended.out, "1\n2\n3\n", "with the shell these are four; the init isn't counted");
    let ended = here.run(place, &["--pids", "5"], forks);
    assert_eq!((ended.code, ended.out.as_str()), (0, "1\n2\n3\n4\n"), "{}", ended.err);
}

fn cpus(place: &Place) {
    let Some(here) = Delegated::new(place, "cpu") else { return };
    let options = ["--id", "cpu", "--milli-cpus", "50"];
    let mut child = start(&here, place, &options, "echo ready; while :; do :; done");
    assert_eq!(here.read("cpu", "cpu", "cpu.cfs_period_us"), "100000");
    assert_eq!(here.read("cpu", "cpu", "cpu.cfs_quota_us"), "5000");
    let end_time = Instant::now() + Duration::from_secs(30);
    let throttled = || {
        let stat = here.read("cpu", "cpu", "cpu.stat");
        stat.lines().find_map(|line| line.strip_prefix("nr_throttled ")?.parse::<u64>().ok()).unwrap()
    };
    while throttled() == 0 {
        assert!(Instant::now() < end_time, "a busy loop is never throttled");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.end();
}

fn io_weight(place: &Place) {
    let Some(here) = Delegated::new(place, "io") else { return };
    let disks = fs::read_dir("/sys/block").unwrap().flatten();
    let schedulers = disks.map(|disk| fs::read_to_string(disk.path().join("queue/scheduler")).unwrap_or_default());
    if schedulers.into_iter().any(|text| text.contains("[bfq]")) {
        let mut child = start(&here, place, &["--id", "io", "--io-weight", "500"], "echo ready; sleep 60");
        assert_eq!(here.read("blkio", "io", "blkio.bfq.weight"), "500");
        child.end();
    } else {
        let ended = here.run(place, &["--io-weight", "500"], "echo started");
        assert_eq!((ended.code, ended.out.as_str()), (125, ""));
        assert_eq!(
            ended.err,
            "launch: can't set the I/O weight 500: no disk of this machine has a scheduler that looks at weights \
             (remedy: as root: echo bfq >/sys/block/DISK/queue/scheduler)\n"
        );
    }
    assert_eq!(place.left(), Vec::<String>::new());
}

fn impossible(place: &Place) {
    // Without delegation; root may do everything, so it asks for what the enclosing cgroup doesn't have.
    let Some(here) = Delegated::new(place, "impossible") else { return };
    let ended = if place.user == User::Root {
        let enclosing = here.cgroup("cpu", "enclosing");
        fs::create_dir(&enclosing).unwrap();
        fs::write(enclosing.join("cpu.cfs_quota_us"), "10000").unwrap();
        let narrow = Delegated(vec![enclosing]);
        let ended = narrow.run(place, &["--milli-cpus", "1000"], "echo started");
        assert!(ended.err.contains("can't set the limit of 1 CPUs: "), "{ended:?}");
        assert!(ended.err.contains("remedy: the enclosing cgroup allows less"), "{ended:?}");
        ended
    } else {
        let ended = place.run(&["--memory", "33554432"], &["echo", "started"]);
        assert!(ended.err.contains("can't set the memory limit of 33554432 bytes: "), "{ended:?}");
        assert!(
            ended.err.contains("Permission denied") && ended.err.contains("remedy: as root, make a cgroup"),
            "{ended:?}"
        );
        ended
    };
    assert_eq!((ended.code, ended.out.as_str()), (125, ""));
    assert_eq!(place.left(), Vec::<String>::new());
}

const ALL: &[&str] = &["--memory", "67108864", "--milli-cpus", "1500", "--pids", "50"];

fn nothing_left(place: &Place) {
    let Some(here) = Delegated::new(place, "left") else { return };
    let options = [&["--id", "left"], ALL].concat();
    let mut child = start(&here, place, &options, "echo ready; sleep 60 & sleep 60");
    assert_eq!(here.present("left").len(), 3);
    child.end();
    assert_eq!(here.present("left"), Vec::<PathBuf>::new());
    assert_eq!(place.left(), Vec::<String>::new());
}

/// Everything of ours is killed; the next command's collection removes the cgroups.
fn nothing_left_after_a_kill(place: &Place) {
    let Some(here) = Delegated::new(place, "killed") else { return };
    let options = [&["--id", "killed"], ALL].concat();
    let mut child = start(&here, place, &options, "trap '' TERM; echo ready; sleep 60 & sleep 60");
    let inside = here.read("pids", "killed", "cgroup.procs");
    child.0.kill().unwrap();
    for process in inside.lines().filter_map(|id| Pid::from_raw(id.parse().ok()?)) {
        // It may be gone with the launcher.
        let _ = kill_process(process, Signal::KILL);
    }
    child.0.wait().unwrap();
    assert_eq!(here.present("killed").len(), 3, "nobody was left to remove them");
    collect_until(place, &[]);
    assert_eq!(here.present("killed"), Vec::<PathBuf>::new());
}

/// A running container that is asked to end when its test fails: its cgroups would stay.
struct Running(Child);

impl Running {
    fn end(&mut self) {
        kill_process(Pid::from_child(&self.0), Signal::TERM).unwrap();
        assert_eq!(self.0.wait().unwrap().code(), Some(143));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
            let _ = self.0.wait();
        }
    }
}

fn start(here: &Delegated, place: &Place, options: &[&str], script: &str) -> Running {
    Running(place.await_ready(here.container(place, options, script)).0)
}
