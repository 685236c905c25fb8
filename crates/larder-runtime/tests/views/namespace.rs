//! Running a test of this binary again, inside a user and mount namespace, as an ordinary user would.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::fixture::{Fixture, directory, skip};

pub(crate) const VARIABLE: &str = "LARDER_TEST_VIEWS_DIRECTORY";
/// Somebody without an account.
const USER: u32 = 12345;

/// Which ids the user namespace has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Map {
    /// The user alone, as root.
    One,
    /// The user as root and a range for everybody else, as `newuidmap` gives it.
    Range,
}

/// The fixture inside.
pub(crate) fn fixture() -> Fixture {
    Fixture::at(PathBuf::from(std::env::var_os(VARIABLE).expect("run by another test")))
}

/// As whom this process runs.
pub(crate) fn who() -> &'static str {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap();
    match map.split_whitespace().collect::<Vec<_>>()[..] {
        ["0", "0", "4294967295"] => "root",
        [_, _, "1"] => "a user with one id",
        _ => "a user with a range of ids",
    }
}

/// Runs the ignored test `name` as root in a mount namespace of its own.
pub(crate) fn run_as_root(name: &str) {
    let directory = directory();
    let output = Command::new("unshare")
        .args(["-m", "--propagation", "private"])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", name, "--nocapture"])
        .env(VARIABLE, directory.path().join("store"))
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// Runs the ignored test `name` inside.
pub(crate) fn run(name: &str, map: Map) {
    let root = rustix::process::geteuid().is_root();
    if map == Map::Range && !root {
        return skip(name, "writing a map with a range needs root");
    }
    let directory = directory();
    let inner = directory.path().join("user/store");
    fs::create_dir_all(&inner).unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let user = if root { USER } else { rustix::process::geteuid().as_raw() };
    if root {
        for path in [&inner, &directory.path().join("user")] {
            chown(path, Some(USER), Some(USER)).unwrap();
        }
    }

    let mut words: Vec<String> = Vec::new();
    if root {
        words.extend(
            ["setpriv", &format!("--reuid={USER}"), &format!("--regid={USER}"), "--clear-groups"].map(String::from),
        );
    }
    // The shell waits until the map is written and then becomes the test, which so starts as root of the namespace.
    words.extend(
        ["unshare", "-Um", "--keep-caps", "sh", "-c", "echo ready; read go; exec \"$@\"", "sh"].map(String::from),
    );
    words.push(std::env::current_exe().unwrap().to_string_lossy().into_owned());
    words.extend(["--ignored", "--exact", name, "--nocapture"].map(String::from));
    let child = Command::new(&words[0])
        .args(&words[1..])
        .env(VARIABLE, &inner)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return skip(name, &format!("{}: {error}", words[0])),
    };
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    if line != "ready\n" {
        child.wait().unwrap();
        return skip(name, "user namespaces are forbidden here");
    }
    let tail = if map == Map::Range { "1 100000 65536\n" } else { "" };
    let process = format!("/proc/{}", child.id());
    if !root {
        fs::write(format!("{process}/setgroups"), "deny").unwrap();
    }
    fs::write(format!("{process}/uid_map"), format!("0 {user} 1\n{tail}")).unwrap();
    fs::write(format!("{process}/gid_map"), format!("0 {user} 1\n{tail}")).unwrap();
    child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let lines: Vec<String> = output.lines().map(Result::unwrap).collect();
    let status = child.wait().unwrap();
    assert!(status.success(), "inside the namespace:\n{}", lines.join("\n"));
    assert!(lines.iter().any(|line| line.contains("1 passed")), "nothing ran:\n{}", lines.join("\n"));
}

/// Runs the ignored test `name` as a root that may not set `security.capability`, as in some containers.
pub(crate) fn run_without_setfcap(name: &str) {
    if !rustix::process::geteuid().is_root() {
        return skip(name, "giving up a right of root needs root");
    }
    let directory = directory();
    let output = Command::new("setpriv")
        .arg("--bounding-set=-setfcap")
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", name, "--nocapture"])
        .env(VARIABLE, directory.path().join("store"))
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) => return skip(name, &format!("setpriv: {error}")),
    };
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}
