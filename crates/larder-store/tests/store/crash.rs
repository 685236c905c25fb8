//! Processes that die at any instant: what they reported done is there, and everything that is there is whole.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use larder_store::{FileSetDigest, FsckOptions, GcOptions, RefKind, Store};

use crate::support::{CHILD_STORE, child, image, package, point, store};

/// Runs in a process of its own: builds images until it is killed, and says when one is done.
#[test]
#[ignore = "a part that other tests run in a process of its own"]
fn child_builds() {
    let Some(root) = std::env::var_os(CHILD_STORE) else { return };
    let store = Store::open(root.as_ref()).expect("store");
    let offset: usize = std::env::var("LARDER_TEST_OFFSET").map_or(0, |text| text.parse().expect("a number"));
    for n in offset.. {
        let ingest = store.begin().expect("begin");
        let contents: Vec<Vec<u8>> = (0..8).map(|i| content(n, i)).collect();
        let paths: Vec<String> = (0..8).map(|i| format!("usr/share/file{i}")).collect();
        let files: Vec<_> = paths.iter().zip(&contents).map(|(path, content)| (path.as_str(), &content[..])).collect();
        let package = package(&ingest, &format!("p{n}"), &files).expect("package");
        let name = format!("image{n}");
        let built = image(&ingest, &name, "1", &[package]).expect("image");
        let _lease = ingest.commit_leased().expect("commit");
        point(&store, &name, "1", built).expect("ref");
        let mut out = std::io::stdout().lock();
        writeln!(out, "done {name} {built}").and_then(|()| out.flush()).expect("the parent listens");
    }
}

/// Small and large contents, half of them the same in every image.
fn content(n: usize, i: usize) -> Vec<u8> {
    let seed = if i.is_multiple_of(2) { n } else { n % 3 };
    let size = [10, 100, 5_000, 70_000, 131_072, 200_000, 400_000, 1][i];
    (0..size).map(|at| (at * 7 + seed * 31 + i) as u8).collect()
}

/// Runs in a process of its own: collects garbage until it is killed.
#[test]
#[ignore = "a part that other tests run in a process of its own"]
fn child_collects() {
    let Some(root) = std::env::var_os(CHILD_STORE) else { return };
    let store = Store::open(root.as_ref()).expect("store");
    loop {
        store.gc(GcOptions { patience: Duration::from_secs(60), ..GcOptions::default() }).expect("gc");
    }
}

/// Runs in a process of its own: writes contents until it is killed, and never commits.
#[test]
#[ignore = "a part that other tests run in a process of its own"]
fn child_writes() {
    let Some(root) = std::env::var_os(CHILD_STORE) else { return };
    let store = Store::open(root.as_ref()).expect("store");
    let ingest = store.begin().expect("begin");
    for n in 0_u64.. {
        let size = if n.is_multiple_of(4) { 300_000 } else { 500 };
        let seed = n * 31 + u64::from(std::process::id());
        let head = seed.to_le_bytes();
        let mut content = head.as_slice().chain(std::io::repeat(7).take(size));
        ingest.write_object(&mut content, u64::MAX).expect("write");
    }
}

/// Kills a child and returns what it reported done.
fn kill(mut child: Child) -> Vec<(String, FileSetDigest)> {
    child.kill().expect("kill");
    let out = BufReader::new(child.stdout.take().expect("stdout"));
    let mut done = Vec::new();
    for line in out.lines() {
        let line = line.expect("line");
        // The line may follow the test harness's own words, and the last one may be cut short.
        let words: Vec<&str> = line.split(' ').skip_while(|word| *word != "done").collect();
        if let [_, name, digest] = words[..]
            && let Ok(digest) = digest.parse()
        {
            done.push((name.to_owned(), digest));
        }
    }
    child.wait().expect("wait");
    done
}

/// How long a child takes to its first report.
fn until_first(mut child: Child) -> Duration {
    let start = Instant::now();
    let out = BufReader::new(child.stdout.as_mut().expect("stdout"));
    assert!(
        out.lines().any(|line| line.expect("line").contains("done ")),
        "a child that isn't killed gets something done"
    );
    let length = start.elapsed();
    kill(child);
    length
}

fn spawn(test: &str, store: &Store, offset: usize) -> Child {
    let mut command: Command = child(test, store.root());
    command
        .env("LARDER_TEST_OFFSET", offset.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("spawn")
}

fn check(store: &Store, done: &[(String, FileSetDigest)]) {
    for (name, digest) in done {
        let record = store.refs().get(RefKind::Image, &format!("example.com/{name}")).expect("ref").expect("ref");
        assert_eq!(record.current_entry().fileset, *digest);
        assert!(store.has_fileset(digest));
    }
    let report = store.fsck(FsckOptions { deep: true, progress: None }).expect("fsck");
    assert!(report.problems.is_empty(), "{:?}", report.problems);
}

#[test]
fn killing_builders_loses_nothing_that_was_done() {
    let (_folder, store) = store();
    let mut done = Vec::new();
    let length = until_first(spawn("crash::child_builds", &store, 1_000_000));
    for round in 0..12_u32 {
        let offset = round as usize * 1000;
        let children = [spawn("crash::child_builds", &store, offset), spawn("crash::child_builds", &store, offset)];
        // Different instants: while they start, write, sync, name.
        sleep(length * (round * 5 % 12) / 4);
        for child in children {
            done.extend(kill(child));
        }
        check(&store, &done);
    }
    assert!(!done.is_empty(), "no child got anything done: the test tests nothing");
    store.gc(GcOptions::default()).expect("gc");
    check(&store, &done);
}

#[test]
fn killing_writers_leaves_no_half_object() {
    let (_folder, store) = store();
    let mut written = 0;
    for round in 0..12 {
        let children = [spawn("crash::child_writes", &store, round), spawn("crash::child_writes", &store, round)];
        sleep(Duration::from_millis(25 + round as u64));
        for child in children {
            kill(child);
        }
        check(&store, &[]);
        written += store.gc(GcOptions::default()).expect("gc").objects;
    }
    assert!(written > 0, "no child wrote anything: the test tests nothing");
}

/// Waits until a collector has begun to remove files from one of the store's folders, so that it is killed half-way.
fn until_fewer(folder: &Path, before: usize) {
    let start = Instant::now();
    while count(folder) >= before && start.elapsed() < Duration::from_secs(20) {
        std::thread::yield_now();
    }
}

/// The number of files below a folder that has two levels.
fn count(folder: &Path) -> usize {
    let list =
        |path: &Path| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path()).collect::<Vec<_>>();
    list(folder).iter().map(|head| list(head).len()).sum()
}

#[test]
fn killing_collectors_leaves_everything_whole() {
    let (_folder, store) = store();
    let mut kept = Vec::new();
    let mut interrupted = 0;
    for (round, folder) in ["filesets", "trees", "objects"].into_iter().cycle().take(6).enumerate() {
        let ingest = store.begin().expect("begin");
        for n in 0..100 {
            let unique = format!("{round} {n}");
            let used =
                package(&ingest, &format!("p{n}"), &[("a", unique.as_bytes()), ("s", b"same")]).expect("package");
            let name = format!("i{round}-{n}");
            let built = image(&ingest, &name, "1", &[used]).expect("image");
            if n % 50 == 0 {
                point(&store, &name, "1", built).expect("ref");
                kept.push((name, built));
            }
        }
        let folder = store.root().join(folder);
        let before = count(&folder);
        let lease = ingest.commit_leased().expect("commit");
        let collector = spawn("crash::child_collects", &store, 0);
        sleep(Duration::from_millis(50));
        drop(lease);
        until_fewer(&folder, before);
        kill(collector);
        check(&store, &kept);
        // Something is left to collect.
        let left = store.gc(GcOptions { dry_run: true, ..GcOptions::default() }).expect("gc");
        interrupted += usize::from(left.objects > 0);
    }
    assert!(interrupted > 0, "no collector was interrupted: the test tests nothing");
}
