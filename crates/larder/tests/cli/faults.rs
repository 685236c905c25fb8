//! A full or broken disk at every call: each system call of a build that touches its files fails once, with ENOSPC or EIO
//! (`strace` injects it). The build then says which file and why, or can do without; what was there is there, and the next
//! build works.
//!
//! `LARDER_TEST_FAULTS` is how many of the calls are left out for each that is made to fail; none with 0.

use std::collections::BTreeSet;
use std::io::Write as _;

use larder_testkit::power::{Call, available, calls};
use larder_testkit::skip;

use super::kills::{copy, current};
use super::site::{Site, archive};

/// Calls that need space.
const SPACE: [&str; 11] =
    ["openat", "open", "mkdir", "write", "pwrite64", "linkat", "rename", "ftruncate", "fsync", "fdatasync", "syncfs"];
/// Calls that a broken disk answers with an error, beside those.
const ACCESS: [&str; 7] = ["read", "pread64", "getdents64", "statx", "unlink", "fchmod", "flock"];

/// Every how manieth call fails when nobody says.
const LEFT_OUT: usize = 5;

/// A machine without network: the archive is a folder.
fn machine() -> Site {
    let site = Site::in_memory(archive());
    let root = site.archive.root().display().to_string();
    let keyring = site.env.path("keyring.gpg");
    site.env.write(
        "home/.config/larder/config.toml",
        format!(
            "[debian]\nmirror = \"file://{root}/debian\"\nsecurity-mirror = \"file://{root}/debian-security\"\nkeyrings = [{keyring:?}]\n"
        ),
    );
    site.recipe("before", &["nano"], "");
    site.ok("build -q before");
    site.recipe("web", &["greeter"], "[files]\n\"/srv\" = \"site\"\n");
    site.env.write("web/site/page", "hello\n");
    site.env.write("web/site/large", vec![7; 300_000]);
    site
}

/// Whether a call is about a file below the folder.
fn touches(call: &Call, folder: &str) -> bool {
    let strings = (0..call.arguments.len()).filter(|number| call.arguments[*number].starts_with('"'));
    let named = strings.filter(|number| call.arguments[*number].ends_with('"')).any(|number| {
        let text = call.string(number);
        text.starts_with(folder.as_bytes()) || text.starts_with(b"web/")
    });
    // What a relative path is relative to is no file that is touched.
    let open = |number| call.descriptor(number).is_some_and(|(path, _)| path.starts_with(folder) && path != *folder);
    named || (0..call.arguments.len()).any(open)
}

/// The calls of a build that touch the folder: their name, and the how manieth of that name of their thread.
fn targets(site: &Site, names: &[&str]) -> BTreeSet<(String, usize)> {
    let folder = site.env.folder().display().to_string();
    let (made, output) = calls(&build(site), &["-e", &format!("trace={}", names.join(","))]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut counts = std::collections::HashMap::new();
    let mut targets = BTreeSet::new();
    for call in made {
        let count: &mut usize = counts.entry((call.thread, call.name.clone())).or_default();
        *count += 1;
        // A disk that is full can be read.
        let writes = !call.name.starts_with("open")
            || call.arguments.iter().any(|flags| flags.contains("O_CREAT") || flags.contains("O_TMPFILE"));
        if touches(&call, &folder) && (writes || names.contains(&"read")) {
            targets.insert((call.name, *count));
        }
    }
    targets
}

fn build(site: &Site) -> std::process::Command {
    site.env.larder_command(["build", "-q", "web"])
}

fn fail(what: &str, error: &str, reason: &str, names: &[&str]) {
    if !available() {
        return skip(format!("{what} at every call"), "strace is missing, or may not trace");
    }
    let site = machine();
    let saved = ["store", "web"].map(|name| (site.env.path(name), site.env.path(format!("saved-{name}"))));
    saved.iter().for_each(|(from, to)| copy(from, to));
    let restore = || saved.iter().for_each(|(from, to)| copy(to, from));
    let digest = site.stdout("build -q web");
    let before = current(&site, "before");
    restore();
    let all = targets(&site, names);
    let folder = site.env.folder().display().to_string();
    let archive = site.archive.root().display().to_string();
    let left_out = std::env::var("LARDER_TEST_FAULTS").ok().map_or(LEFT_OUT, |text| text.parse().expect("a number"));
    let (mut failed, mut went_on, mut missed) = (0, 0, 0);
    for (name, count) in all.iter().step_by(left_out + 1) {
        restore();
        let context = format!("{error} at call {count} of {name}");
        let inject = format!("inject={name}:error={error}:when={count}");
        let (made, output) = calls(&build(&site), &["-e", &format!("trace={name}"), "-e", &inject]);
        let injected: Vec<_> = made.iter().filter(|call| call.result.contains("INJECTED")).collect();
        // The number of a call depends on which thread does what; and what can't be said can't be checked.
        let mute = injected.iter().any(|call| ["1<", "2<"].iter().any(|fd| call.arguments[0].starts_with(fd)));
        if mute || !injected.iter().any(|call| touches(call, &folder)) {
            missed += 1;
            continue;
        }
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            assert_eq!(String::from_utf8_lossy(&output.stdout), digest, "{context}");
            went_on += 1;
        } else {
            assert!(output.stdout.is_empty(), "{context}: nothing is reported done");
            assert!(
                output.status.code() == Some(1) && said.starts_with("error: "),
                "{context}: {:?} {said}",
                output.status
            );
            assert!(said.contains(reason), "{context}: the reason is missing: {said}");
            // Other threads' calls of that number fail too, those on the archive's files among them.
            let named = [&folder, &archive, "web/"].iter().any(|path| said.contains(*path));
            assert!(named, "{context}: the file is missing: {said}");
            failed += 1;
        }
        let check = site.run("fsck --deep");
        assert_eq!(check.code, 0, "{context}: {check:?}\n{said}");
        assert_eq!(current(&site, "before"), before, "{context}");
        assert_eq!(site.stdout("build -q web"), digest, "{context}");
        site.ok("fsck --deep");
    }
    let text = format!(
        "FAULTS {error}: {} calls of a build; of those tried {failed} failed it, {went_on} did not matter, {missed} were others\n",
        all.len()
    );
    _ = std::io::stderr().write_all(text.as_bytes());
    assert!(failed > went_on / 4 && failed > 10, "{text}");
}

#[test]
fn a_disk_that_is_full() {
    fail("a full disk", "ENOSPC", "No space left on device", &SPACE);
}

#[test]
fn a_disk_that_is_broken() {
    fail("a broken disk", "EIO", "Input/output error", &[&SPACE[..], &ACCESS].concat());
}
