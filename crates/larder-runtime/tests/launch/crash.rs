//! Killing our processes at any instant leaves nothing.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Test;
use crate::limits::for_root;
use crate::place::{Place, User, marked};

pub(crate) const TESTS: &[Test] = &[
    ("kills_at_random_instants_leave_nothing", random_kills),
    ("collect_leaves_the_living", collect_leaves_the_living),
];

/// How many kills when `LARDER_TEST_KILLS` doesn't say: as root, and as ordinary users of both kinds together.
const KILLS: usize = 200;

/// A process tree that ends by itself only after minutes and ignores what it can, with daemons: a session of its own, and the
/// child of a child that has ended.
const TREE: &str = "trap '' TERM HUP INT QUIT; (setsid sleep 300 >/dev/null 2>&1 &); \
                    setsid sh -c \"(trap '' TERM; sleep 300) >/dev/null 2>&1 &\"; \
                    for i in 1 2 3; do sleep 300 & done; chown 33 /var; echo ready; wait; sleep 300";

/// Our processes, each the child of the one before.
const ROLES: [&str; 3] = ["launcher", "supervisor", "init"];

/// When one of our processes is killed: so long after the launcher was started, or after the workload has said that it runs.
#[derive(Debug, Clone, Copy)]
enum When {
    Launched(Duration),
    Ready(Duration),
}

/// The rounds of one kind of user.
struct Rounds<'a> {
    place: &'a Place,
    marker: String,
    prefix: String,
    /// How often each role was killed: before the workload had said that it runs, and after.
    killed: [[usize; 2]; 3],
}

fn random_kills(place: &Place) {
    let rounds = std::env::var("LARDER_TEST_KILLS").ok().map_or(KILLS, |text| text.parse().unwrap());
    let rounds = if place.user == User::Root { rounds } else { rounds.div_ceil(2) };
    let marker = format!("crash-{:?}-{}", place.user, std::process::id());
    let prefix = format!("kill-{:?}-{}", place.user, std::process::id());
    let mut all = Rounds { place, marker, prefix, killed: [[0; 2]; 3] };
    let before = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mut length = all.undisturbed();
    for round in 0..rounds {
        // From before the first clone to well after the workload's start, without a gap however many there are.
        let at = (round as f64 * 0.618_033_988_749_894_9).fract();
        // Two and two, so that each role has both, with limits and without. How long a start takes now is found out on the way:
        // what other processes of the machine do changes it.
        if round / 2 % 2 == 0 {
            all.kill(round, When::Launched(length.mul_f64(at)));
        } else {
            length = all.kill(round, When::Ready(length.mul_f64(0.5 * at))).unwrap_or(length);
        }
    }
    assert_eq!(fs::read_to_string("/proc/self/mountinfo").unwrap(), before);
    assert_eq!(cgroups(&format!("larder-{}", all.prefix)), Vec::<String>::new(), "cgroups are left");
    let killed: Vec<_> = ROLES.iter().zip(all.killed).collect();
    let text = format!("KILLED containers of {:?}: before and after the workload's start: {killed:?}\n", place.user);
    _ = std::io::stderr().write_all(text.as_bytes());
    let (early, late): (usize, usize) = all.killed.iter().fold((0, 0), |sum, [a, b]| (sum.0 + a, sum.1 + b));
    assert!(all.killed.iter().all(|[a, b]| a + b >= rounds / 4), "each is aimed at: {killed:?}");
    assert!(early >= rounds / 10 && late >= rounds / 3, "the instants lie on one side of the start: {killed:?}");
}

impl Rounds<'_> {
    fn start(&self, id: &str, limits: &[&str]) -> Child {
        let option = format!("MARKER={}", self.marker);
        let options = [&["--env", &option, "--id", id], limits].concat();
        let mut command = self.place.container(&options, &["sh", "-c", TREE]);
        command.env("MARKER", &self.marker).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        command.process_group(0).spawn().unwrap()
    }

    /// How long it takes from the launcher's start until the workload has said that it runs.
    fn undisturbed(&self) -> Duration {
        let start = Instant::now();
        let mut child = self.start(&format!("{}-whole", self.prefix), &[]);
        ready(&mut child);
        let length = start.elapsed();
        child.kill().unwrap();
        child.wait().unwrap();
        self.nothing_is_left("an undisturbed start", &[child.id()], &BTreeSet::new(), u64::MAX);
        length
    }

    /// Kills one of our processes at that time, or as soon as it is there. The length of the start, where it was waited for.
    fn kill(&mut self, round: usize, when: When) -> Option<Duration> {
        let role = round % ROLES.len();
        let context = format!("round {round}, {} at {when:?}", ROLES[role]);
        // Every other one with limits, whose cgroups are more to leave behind.
        let limits = if round.is_multiple_of(2) { for_root(self.place) } else { &[] };
        let start = Instant::now();
        let mut child = self.start(&format!("{}-{round}", self.prefix), limits);
        let length = match when {
            When::Launched(delay) => {
                sleep(delay);
                None
            }
            When::Ready(delay) => {
                ready(&mut child);
                let length = start.elapsed();
                sleep(delay);
                Some(length)
            }
        };
        let end = Instant::now() + Duration::from_secs(20);
        let ours = loop {
            let ours = roles(child.id());
            if ours.len() > role {
                break ours;
            }
            assert!(Instant::now() < end, "{context}: it doesn't come");
        };
        let spaces =
            ours.iter().skip(1).flat_map(|id| namespaces(*id)).filter(|space| !own().contains(space)).collect();
        let killed_at = uptime();
        kill(ours[role]);
        // With one of the others gone the launcher has to end by itself.
        let end = Instant::now() + Duration::from_secs(20);
        while child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < end, "{context}: the launcher outlives it");
            sleep(Duration::from_millis(1));
        }
        self.nothing_is_left(&context, &ours, &spaces, killed_at);
        let mut said = String::new();
        child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        self.killed[role][usize::from(length.is_some() || said == "ready\n")] += 1;
        length
    }

    /// No process and nobody in its namespaces; and after the next command, no directory.
    fn nothing_is_left(&self, context: &str, ours: &[u32], spaces: &BTreeSet<String>, killed_at: u64) {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let living: Vec<_> = marked(&self.marker).into_iter().chain(ours.iter().copied().filter(lives)).collect();
            if living.is_empty() {
                break;
            }
            assert!(Instant::now() < end, "{context}: {living:?} survive");
            sleep(Duration::from_millis(1));
        }
        // The number of a namespace that is gone is soon another's, perhaps that of a container that began before: it ends, too.
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let holders = holders(spaces, killed_at);
            if holders.is_empty() {
                break;
            }
            assert!(Instant::now() < end, "{context}: {holders:?} are in its namespaces");
            sleep(Duration::from_millis(5));
        }
        let output = self.place.command(&["--collect", self.place.containers().to_str().unwrap()]).output().unwrap();
        assert!(output.status.success(), "{context}: {output:?}");
        assert_eq!(self.place.left(), Vec::<String>::new(), "{context}");
    }
}

/// Waits until the workload has said that it runs.
fn ready(child: &mut Child) {
    let mut word = [0; 6];
    child.stdout.as_mut().unwrap().read_exact(&mut word).unwrap();
    assert_eq!(&word, b"ready\n");
}

fn kill(id: u32) {
    if let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) {
        // It may have ended by itself.
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Our processes: the launcher, and below it as many of the others as there are by now.
pub(crate) fn roles(launcher: u32) -> Vec<u32> {
    let mut found = vec![launcher];
    while found.len() < ROLES.len() {
        let id = found[found.len() - 1];
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        let mut children = children.split_whitespace().filter_map(|text| text.parse::<u32>().ok());
        // Not the programs that wrap the launcher or that it calls.
        let ours = children.find(|id| {
            let command = fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default();
            ["__launch\0", "__larder-supervise\0", "larder-init\0attend\0"].iter().any(|word| command.contains(word))
        });
        match ours {
            Some(id) => found.push(id),
            None => break,
        }
    }
    found
}

/// Whether a process is there and has not ended: one that has ended has let go of all its files.
fn lives(id: &u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// A process's namespaces, such as `net:[4026531840]`.
fn namespaces(id: u32) -> Vec<String> {
    let read = |kind| fs::read_link(format!("/proc/{id}/ns/{kind}")).ok();
    ["net", "mnt", "pid", "pid_for_children", "user"]
        .into_iter()
        .filter_map(|kind| Some(read(kind)?.to_str()?.to_owned()))
        .collect()
}

fn own() -> Vec<String> {
    namespaces(std::process::id())
}

/// Processes that are in one of these namespaces, or hold it open, and are older than that time: the number of a namespace
/// that is gone is soon another's.
fn holders(spaces: &BTreeSet<String>, before: u64) -> Vec<u32> {
    let ids = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let holds = |id: &u32| {
        let fds = fs::read_dir(format!("/proc/{id}/fd")).into_iter().flatten().flatten();
        let open = fds.filter_map(|fd| Some(fs::read_link(fd.path()).ok()?.to_str()?.to_owned()));
        namespaces(*id).into_iter().chain(open).any(|space| spaces.contains(&space))
    };
    let old = |id: &u32| started(*id).is_some_and(|time| time <= before);
    if spaces.is_empty() { Vec::new() } else { ids.filter(|id| lives(id) && old(id) && holds(id)).collect() }
}

/// When a process was started, in hundredths of a second since the machine was.
fn started(id: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()
}

/// The time since the machine's start, in hundredths of a second.
fn uptime() -> u64 {
    let text = fs::read_to_string("/proc/uptime").unwrap();
    (text.split(' ').next().unwrap().parse::<f64>().unwrap() * 100.0) as u64
}

/// The cgroups of any tree whose names begin like this.
pub(crate) fn cgroups(prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    find(Path::new("/sys/fs/cgroup"), prefix, &mut found);
    found
}

/// Directories whose name begins so, at any depth.
fn find(folder: &Path, prefix: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                found.push(entry.path().display().to_string());
            }
            find(&entry.path(), prefix, found);
        }
    }
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
