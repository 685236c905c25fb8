//! What the sources look like.

use std::path::{Path, PathBuf};

use crate::{files, listed, none, root, text};

/// The longest file that needs no reason.
const MAX_LINES: usize = 800;

fn rust() -> impl Iterator<Item = (PathBuf, String)> {
    files().into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "rs")).map(|path| {
        let text = text(&path).expect("Rust is UTF-8");
        (path, text)
    })
}

#[test]
fn what_is_ignored_is_not_tracked() {
    let both = listed(&["--cached", "--ignored", "--exclude-standard"]);
    none(&both.iter().map(|path| format!("{}: git ignores it and tracks it", path.display())).collect::<Vec<_>>());
}

#[test]
fn files_have_one_subject() {
    let mut problems = Vec::new();
    for (path, text) in rust() {
        let lines = text.lines().count();
        let reason = text.lines().take_while(|line| line.starts_with("//!")).any(|line| line.contains("stays whole"));
        if lines > MAX_LINES && !reason {
            let path = path.display();
            problems.push(format!("{path} has {lines} lines: split it, or say in its module docs why it stays whole"));
        }
        if path.file_name().is_some_and(|name| name == "mod.rs") {
            problems.push(format!("{}: a module is foo.rs beside foo/", path.display()));
        }
    }
    none(&problems);
}

#[test]
fn unsafe_is_where_the_kernel_is_called() {
    let place = Path::new("crates/larder-runtime/src/sys");
    // A program for itself, without the standard library.
    let program = Path::new("crates/larder-runtime/init");
    let mut problems = Vec::new();
    for (path, text) in rust() {
        if path.starts_with(place) || path == place.with_extension("rs") || path.starts_with(program) {
            continue;
        }
        // Put together here, so that this file doesn't find itself.
        let words = ["{", "fn", "impl", "extern"].map(|after| format!("{} {after}", "unsafe"));
        let lints = ["allow", "expect"].map(|level| format!("{level}({}_code", "unsafe"));
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let is_sys_module = path == Path::new("crates/larder-runtime/src/lib.rs");
            if words.iter().any(|word| code.contains(word))
                || lints.iter().any(|lint| code.contains(lint) && !is_sys_module)
            {
                problems.push(format!("{}:{}: `unsafe` lives in {} only", path.display(), number + 1, place.display()));
            }
        }
        let is_root = path.ends_with("src/lib.rs") || path.ends_with("src/main.rs");
        if is_root && !path.starts_with("crates/larder-runtime") && !text.contains("#![forbid(unsafe_code)]") {
            problems.push(format!("{}: add #![forbid(unsafe_code)]", path.display()));
        }
    }
    none(&problems);
}

#[test]
fn tests_are_skipped_loudly_and_lints_are_expected() {
    let mut problems = Vec::new();
    for (path, text) in rust() {
        for (number, line) in text.lines().enumerate() {
            let place = format!("{}:{}", path.display(), number + 1);
            let line = line.trim_start();
            // A part of another test, in a process of its own, is no test by itself; its reason says who runs it.
            if line.starts_with("#[ignore") && !line.contains("run by") && !line.contains("other tests run") {
                problems.push(format!(
                    "{place}: a test that can't run here prints SKIPPED and returns, or asserts what is"
                ));
            }
            // A module that several test programs share may leave some of it unused in one of them.
            let is_shared = path.components().any(|part| part.as_os_str() == "tests") && line.contains("reason = ");
            if (line.starts_with("#[allow(") || line.starts_with("#![allow(")) && !is_shared {
                problems.push(format!("{place}: write #[expect(…, reason = \"…\")]"));
            }
        }
    }
    none(&problems);
}

#[test]
fn nothing_names_a_machine_or_a_registry() {
    // Put together here, so that this file doesn't find itself.
    let debian = format!("{}.org", "debian");
    let hosts = ["deb", "security", "ftp", "archive", "snapshot", "cdn-fastly.deb", "httpredir"];
    let mut words: Vec<String> = hosts.iter().map(|host| format!("{host}.{debian}")).collect();
    words.extend(["crates", "index.crates", "static.crates"].map(|host| format!("{host}.{}", "io/")));
    words.extend(
        ["work", "home/user", "root/.cargo", "tmp/t-"]
            .map(|path| format!("/{path}{}", if path.ends_with('-') { "" } else { "/" })),
    );
    let mut problems = Vec::new();
    for path in files() {
        // The lock names the registry of every dependency; cargo writes it.
        if path == Path::new("Cargo.lock") {
            continue;
        }
        let Some(text) = text(&path) else { continue };
        for (number, line) in text.lines().enumerate() {
            // A working directory of an image may well be called that.
            if let Some(word) = words.iter().find(|word| line.contains(*word)) {
                problems.push(format!(
                    "{}:{}: names {word}; say where it comes from instead",
                    path.display(),
                    number + 1
                ));
            }
        }
    }
    none(&problems);
}

#[test]
fn scripts_can_be_run() {
    use std::os::unix::fs::PermissionsExt;
    let mut problems = Vec::new();
    for path in files().into_iter().filter(|path| path.starts_with("scripts") || path.starts_with(".ci")) {
        let name = path.display().to_string();
        let Some(text) = text(&path).filter(|text| text.starts_with("#!")) else { continue };
        let mode = std::fs::metadata(root().join(&path)).expect("metadata").permissions().mode();
        if mode & 0o111 == 0 {
            problems.push(format!("{name}: chmod +x"));
        }
        if !text.contains("set -eu") {
            problems.push(format!("{name}: begin with set -eu, so that a failing step ends it"));
        }
    }
    none(&problems);
}
