//! Killing our processes at any instant leaves nothing.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Test;
use crate::place::{Place, marked};

pub(crate) const TESTS: &[Test] = &[
    ("kills_at_random_instants_leave_nothing", random_kills),
    ("collect_leaves_the_living", collect_leaves_the_living),
];

/// A process tree that ends by itself only after minutes and ignores what it can.
const TREE: &str = "trap '' TERM HUP INT QUIT; (setsid sleep 300 >/dev/null 2>&1 &); for i in 1 2 3; do sleep 300 & done; chown 33 /var; wait; sleep 300";

fn random_kills(place: &Place) {
    let rounds: u64 = std::env::var("LARDER_TEST_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(25);
    let marker = format!("crash-{:?}-{}", place.user, std::process::id());
    let option = format!("MARKER={marker}");
    let prefix = format!("kill-{:?}-{}", place.user, std::process::id());
    let before = fs::read_to_string("/proc/self/mountinfo").unwrap();
    // A plain generator: what matters is that the instants differ, from before the first clone to after the workload's start.
    let mut random = u64::from(std::process::id()) * 2_654_435_761 + 1;
    for round in 0..rounds {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let id = format!("{prefix}-{round}");
        let mut command = place.container(&["--env", &option, "--id", &id], &["sh", "-c", TREE]);
        command
            .env("MARKER", &marker)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        let mut child = command.spawn().unwrap();
        sleep(Duration::from_micros((random >> 33) % 60_000));
        let ours = descendants(child.id());
        let victim = ours[(random as usize >> 3) % ours.len()];
        kill(victim);
        if victim != child.id() {
            // With one of the others gone the launcher has to end by itself.
            let end = Instant::now() + Duration::from_secs(10);
            while child.try_wait().unwrap().is_none() {
                assert!(Instant::now() < end, "round {round}: the launcher outlives process {victim} of {ours:?}");
                sleep(Duration::from_millis(1));
            }
        }
        child.wait().unwrap();
        let end = Instant::now() + Duration::from_secs(10);
        while !marked(&marker).is_empty() {
            assert!(Instant::now() < end, "round {round}: {:?} survive", marked(&marker));
            sleep(Duration::from_millis(1));
        }
    }
    assert_eq!(fs::read_to_string("/proc/self/mountinfo").unwrap(), before);
    collect_until(place, &[]);
    let cgroups = fs::read_dir("/sys/fs/cgroup/unified").or_else(|_| fs::read_dir("/sys/fs/cgroup"));
    let leaves = cgroups.map_or(0, |entries| {
        entries
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(&format!("larder-{prefix}")))
            .count()
    });
    assert_eq!(leaves, 0, "cgroups are left");
}

fn kill(id: u32) {
    if let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) {
        // It may have ended by itself.
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// A process and everything below it that is ours: the launcher, the supervisor and the init, with what becomes them.
fn descendants(root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let mut next = 0;
    while next < found.len() && found.len() < 4 {
        let id = found[next];
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        found.extend(children.split_whitespace().filter_map(|text| text.parse::<u32>().ok()));
        next += 1;
    }
    found.truncate(4);
    // Not the programs that wrap the launcher or that it calls.
    found.retain(|id| {
        let command = fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default();
        *id == root || command.contains("__launch\0") || command.contains("__larder-supervise\0")
    });
    found
}

fn collect_leaves_the_living(place: &Place) {
    let (mut living, _out) = place.start(&["--id", "living"], "chown 33 /var; echo ready; sleep 60");
    let (mut dead, _out) =
        place.start(&["--id", "dead"], "mkdir /tmp/x; chown 33:33 /tmp/x /var/www; echo ready; sleep 60");
    dead.kill().unwrap();
    dead.wait().unwrap();
    collect_until(place, &["living"]);
    kill_process(Pid::from_child(&living), Signal::TERM).unwrap();
    assert_eq!(living.wait().unwrap().code(), Some(143));
    assert_eq!(place.left(), Vec::<String>::new());
}

/// Collects until only these are left: a process that was killed a moment ago may not have let go of its lock yet.
pub(crate) fn collect_until(place: &Place, left: &[&str]) {
    let end = Instant::now() + Duration::from_secs(20);
    while place.left() != left {
        assert!(Instant::now() < end, "{:?}", place.left());
        let output = place.command(&["--collect", place.containers().to_str().unwrap()]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}
