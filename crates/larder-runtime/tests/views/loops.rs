//! Loop devices leave nothing behind.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use larder_runtime::view::{ViewKindName, by_name, probe_among};

use crate::fixture::{Fixture, inside, skip};
use crate::namespace;

/// How many loop devices are over files below a directory.
fn devices(below: &Path) -> usize {
    let files = fs::read_dir("/sys/block")
        .unwrap()
        .filter_map(|entry| fs::read_to_string(entry.unwrap().path().join("loop/backing_file")).ok());
    files.filter(|file| Path::new(file.trim_end()).starts_with(below)).count()
}

/// The kernel frees a device a moment after its last user.
fn gone(below: &Path) -> bool {
    let begin = Instant::now();
    while devices(below) > 0 {
        if begin.elapsed() > Duration::from_secs(60) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}

#[test]
fn a_killed_process_leaves_no_device() {
    let what = "loop devices after a kill";
    if !rustix::process::geteuid().is_root() {
        return skip(what, "it needs root");
    }
    let fixture = Fixture::new();
    if let Err(error) = probe_among(&[ViewKindName::ErofsLoop], &fixture.views) {
        return skip(what, &error.to_string());
    }
    assert!(gone(&fixture.directory), "after the probe");
    let mut child = Command::new("unshare")
        .args(["-m", "--propagation", "private"])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "loops::hold_a_view", "--nocapture"])
        .env(namespace::VARIABLE, &fixture.directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("holding")), "the view was mounted");
    assert_eq!(devices(&fixture.directory), 1, "one while it is held");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(gone(&fixture.directory), "after the kill");
}

#[test]
#[ignore = "run by the test above, which kills it"]
fn hold_a_view() {
    let fixture = namespace::fixture();
    let view = by_name(ViewKindName::ErofsLoop);
    let upper = fixture.upper("held");
    let mount = view.mount(&fixture.prepare(view.as_ref()), Some(upper.upper())).unwrap();
    fs::write(inside(&mount, "usr/held"), "x").unwrap();
    println!("holding");
    std::thread::sleep(Duration::from_secs(600));
}

/// Many starts at once want the same free device; each gets one.
#[test]
fn many_at_once() {
    let what = "many loop devices at once";
    if !rustix::process::geteuid().is_root() {
        return skip(what, "it needs root");
    }
    let fixture = Fixture::new();
    if let Err(error) = probe_among(&[ViewKindName::ErofsLoop], &fixture.views) {
        return skip(what, &error.to_string());
    }
    let view = by_name(ViewKindName::ErofsLoop);
    let prepared = fixture.prepare(view.as_ref());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let view = by_name(ViewKindName::ErofsLoop);
                let mount = view.mount(&prepared, None).unwrap();
                assert_eq!(fs::read(inside(&mount, "usr/lib/size-64")).unwrap().len(), 64);
            });
        }
    });
    assert!(gone(&fixture.directory));
}
