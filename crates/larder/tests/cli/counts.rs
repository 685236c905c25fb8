//! What commands cost, in counts that are the same on a slow machine and on a busy one: system calls, bytes, instructions,
//! allocations. `counts.txt` holds what each cost when it was last looked at; more fails, and so does much less, so that the
//! page stays true. `LARDER_COUNTS=write cargo test -p larder --test cli counts` writes it anew.
//!
//! The counts are those of a build for debugging, in which the test programs are. Where strace or valgrind isn't there,
//! its part is skipped.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use larder_testkit::{is_root, skip};

use super::run;
use super::site::Site;

/// Case and what is counted -> count.
type Counts = BTreeMap<(String, &'static str), u64>;

/// Calls that depend on how threads happened to meet, or on the allocator alone.
const UNSTEADY: [&str; 20] = [
    "futex",
    "sched_yield",
    "poll",
    "ppoll",
    "epoll_wait",
    "epoll_pwait",
    "epoll_ctl",
    "brk",
    "mmap",
    "munmap",
    "mprotect",
    "madvise",
    "mremap",
    "rt_sigprocmask",
    "rt_sigreturn",
    "restart_syscall",
    "clock_nanosleep",
    "wait4",
    "recvfrom",
    "sendto",
];

/// What strace counts, and which calls are meant.
const CALLS: [(&str, &[&str]); 4] = [
    ("files opened", &["open", "openat", "openat2"]),
    ("syncs", &["sync", "syncfs", "fsync", "fdatasync"]),
    ("programs and processes", &["clone", "clone3", "fork", "vfork", "execve", "execveat"]),
    ("mounts", &["mount", "move_mount", "fsmount", "open_tree", "mount_setattr"]),
];
const READS: [&str; 3] = ["read", "pread64", "readv"];
const WRITES: [&str; 4] = ["write", "pwrite64", "writev", "copy_file_range"];

/// By how much a count may be more than the file says, in percent.
fn tolerance(what: &str) -> u64 {
    match what {
        "syncs" | "programs and processes" | "mounts" => 0,
        _ => 10,
    }
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/counts.txt")
}

fn there(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        skip(format!("what commands cost, by {program}"), "it isn't installed; scripts/setup does it");
    }
    found
}

#[test]
fn commands_cost_what_they_did() {
    if !is_root() {
        return skip(
            "what commands cost",
            "this needs root: newuidmap gives a traced process no ids, and the counts are root's",
        );
    }
    let Some(site) = run::machine(false) else { return };
    let mut counts = Counts::new();
    if there("strace") {
        for (case, line) in [
            ("build, nothing changed", "build box"),
            ("run a program", "run example.com/box -- true"),
            ("list images", "images"),
            ("check everything", "fsck --deep"),
            ("collect, nothing to do", "gc"),
        ] {
            site.ok(line);
            traced(&site, case, line, &mut counts);
        }
        site.env.write("box/page", "changed\n");
        site.recipe("box", &["hello"], "run = [\"hello\", \"world\"]\n[files]\n\"/srv/page\" = \"page\"\n");
        traced(&site, "build, one file more", "build box", &mut counts);
        site.env.write("box/page", "changed again\n");
        traced(&site, "build, one file changed", "build box", &mut counts);
    }
    if there("valgrind") {
        site.recipe("plain", &["hello"], "");
        site.ok("build plain");
        site.ok("build plain");
        // Its kernel is older than some calls that a build makes: those that it knows are enough to hold the rest.
        for (case, line) in [
            ("say the version", "--version"),
            ("build, nothing changed", "build plain"),
            ("list an image's files", "files example.com/box"),
            ("solve, plan, compose, verify", "update example.com/box"),
        ] {
            instructions(&site, case, line, &mut counts);
        }
        allocations(&site, "list an image's files", "files example.com/box", &mut counts);
    }
    if std::env::var_os("LARDER_COUNTS").is_some_and(|word| word == "write") {
        fs::write(file(), written(&counts)).expect("counts.txt");
        return;
    }
    let wrong = compare(&read(), &counts);
    assert!(wrong.is_empty(), "{}\nall that was counted:\n{}", wrong.join("\n"), written(&counts));
}

/// Every count that isn't what it was.
fn compare(before: &BTreeMap<(String, String), u64>, counts: &Counts) -> Vec<String> {
    let mut wrong = Vec::new();
    for ((case, what), &count) in counts {
        let Some(&was) = before.get(&(case.clone(), (*what).to_owned())) else {
            wrong.push(format!("{case}, {what}: {count} is new"));
            continue;
        };
        let most = was + was * tolerance(what) / 100;
        let least = was - was * (2 * tolerance(what)).min(100) / 100;
        if count > most || count < least {
            wrong.push(format!("{case}, {what}: {count}, and {was} before ({least} to {most} is no difference)"));
        }
    }
    wrong
}

fn read() -> BTreeMap<(String, String), u64> {
    let text = fs::read_to_string(file()).expect("counts.txt");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let fields: Vec<&str> = line.split(" | ").map(str::trim).collect();
            let [case, what, count] = fields[..] else { panic!("{line:?}") };
            ((case.to_owned(), what.to_owned()), count.parse().expect("a number"))
        })
        .collect()
}

fn written(counts: &Counts) -> String {
    let mut text =
        String::from("# What commands cost in a build for debugging; counts.rs says how this is made and held.\n");
    for ((case, what), count) in counts {
        _ = writeln!(text, "{case:<30} | {what:<24} | {count}");
    }
    text
}

/// Runs a line of `larder` under a program that watches it.
fn watched(site: &Site, watcher: &[&str], line: &str) -> String {
    let mut command = site.env.command(Path::new("/usr/bin/env"));
    // One thread: what several do to each other isn't what is counted.
    command.env("RAYON_NUM_THREADS", "1").env("PATH", "/usr/bin:/bin");
    command.args(watcher).arg(super::site::LARDER).args(line.split_whitespace());
    let output = command.output().expect("a watcher");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{watcher:?} larder {line}: {text}");
    text
}

fn traced(site: &Site, case: &str, line: &str, counts: &mut Counts) {
    let trace = site.env.path("trace");
    watched(site, &["strace", "-f", "-qq", "-o", &trace.display().to_string()], line);
    let trace = fs::read_to_string(trace).expect("a trace");
    let mut add = |what, number| *counts.entry((case.to_owned(), what)).or_default() += number;
    CALLS.iter().for_each(|(what, _)| add(what, 0));
    for (name, result) in trace.lines().filter_map(call) {
        if !UNSTEADY.contains(&name) {
            add("system calls", 1);
        }
        CALLS.iter().filter(|(_, names)| names.contains(&name)).for_each(|(what, _)| add(what, 1));
        if READS.contains(&name) {
            add("bytes read", result);
        }
        if WRITES.contains(&name) {
            add("bytes written", result);
        }
    }
}

/// The name of a call that has come back, and its result (0 for a failure).
fn call(line: &str) -> Option<(&str, u64)> {
    let line = line.split_once(' ')?.1.trim_start();
    let name = match line.strip_prefix("<... ") {
        Some(rest) => rest.split(' ').next()?,
        None => line.split_once('(')?.0,
    };
    let result = line.rsplit_once(" = ")?.1;
    Some((name, result.split(' ').next()?.parse().unwrap_or(0)))
}

/// The number before (callgrind) or after (memcheck) a word in what valgrind says, without its thousands' commas.
fn number(text: &str, word: &str) -> u64 {
    let line = text.lines().find(|line| line.contains(word)).unwrap_or_else(|| panic!("no {word:?} in {text}"));
    let rest = line.split_once(word).map_or("", |(_, rest)| rest).trim_start();
    let digits: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == ',').filter(|c| *c != ',').collect();
    digits.parse().unwrap_or_else(|_| panic!("no number after {word:?} in {line:?}"))
}

fn instructions(site: &Site, case: &str, line: &str, counts: &mut Counts) {
    let text = watched(site, &["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"], line);
    counts.insert((case.to_owned(), "instructions"), number(&text, "refs:"));
}

fn allocations(site: &Site, case: &str, line: &str, counts: &mut Counts) {
    let text = watched(site, &["valgrind", "--tool=memcheck", "--leak-check=no", "--undef-value-errors=no"], line);
    counts.insert((case.to_owned(), "allocations"), number(&text, "total heap usage:"));
}
