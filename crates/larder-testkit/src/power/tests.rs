//! The simulation itself: it must lose what may be lost, and nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Loss, Recording, available};

/// What `FILE` holds after all losses at the end of a script: contents, or `None` where it isn't there.
fn outcomes(script: &str, file: &str) -> Option<BTreeSet<Option<String>>> {
    if !available() {
        crate::skip(
            "the simulation of losses of power",
            "strace is missing, or may not trace; scripts/setup installs it",
        );
        return None;
    }
    let folder = tempfile::tempdir().expect("folder");
    let (root, replayed) = (folder.path().join("root"), folder.path().join("replayed"));
    fs::create_dir(&root).expect("folder");
    fs::write(root.join("old"), "old").expect("file");
    let mut command = Command::new("/bin/sh");
    command.args(["-ec", script]).current_dir(&root).env("PATH", "/usr/bin:/bin");
    let recording = Recording::of(&command, &root);
    let mut found = BTreeSet::new();
    for loss in Loss::ALL {
        for seed in 0..40 {
            recording.replay(recording.len(), loss, seed, &replayed);
            found.insert(content(&replayed.join(file)));
        }
    }
    Some(found)
}

fn content(path: &Path) -> Option<String> {
    fs::read(path).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

#[track_caller]
fn check(script: &str, file: &str, expected: &[Option<&str>]) {
    let Some(found) = outcomes(script, file) else { return };
    let expected = expected.iter().map(|text| text.map(str::to_owned)).collect();
    assert_eq!(found.intersection(&expected).count(), expected.len(), "{script}: {found:?}");
    if expected.len() == 1 {
        assert_eq!(found, expected, "{script}");
    }
}

#[test]
fn what_is_not_synced_may_be_lost_in_every_way() {
    check("printf new > file", "file", &[None, Some(""), Some("new"), Some("\0\0\0"), Some("n\0\0")]);
    check("printf new > file; mv file old", "old", &[Some("old"), Some(""), Some("new")]);
    check("rm old", "old", &[None, Some("old")]);
    check("mkdir a; printf new > a/file; sync a a/file", "a/file", &[None, Some("new")]);
}

#[test]
fn what_is_synced_is_there() {
    check("printf new > file; sync file; sync .", "file", &[Some("new")]);
    check("printf new > file; sync file; mv file old; sync .", "old", &[Some("new")]);
    check("mkdir a; printf new > a/file; sync -f .", "a/file", &[Some("new")]);
    check("printf old > same; sync -f .; printf more >> same", "same", &[Some("old"), Some("oldmore")]);
    check("ln -s target link; sync .; printf x > target; sync target .", "link", &[Some("x")]);
}

#[test]
fn an_unsynced_name_of_a_synced_file_may_be_lost() {
    check("printf new > file; sync file", "file", &[None, Some("new")]);
    let Some(found) = outcomes("printf new > file; sync file", "file") else { return };
    assert_eq!(found.len(), 2, "its content can't: {found:?}");
}
