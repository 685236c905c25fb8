//! What an earlier build found out: a build that uses it does what one does that finds nothing.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::OnceLock;

use larder_lib::build::BuildOptions;
use larder_lib::compose;
use larder_lib::keys::{Domain, Keys, NoPassphrases, Protection};
use larder_lib::provenance::{Standing, standing};
use larder_testkit::archive::Archive;
use proptest::prelude::*;

use super::machine::{Machine, archive, recipe};

/// Where composers and the verification look, where a package has something else, and where nobody looks.
const PLACES: [&str; 9] = [
    "etc/group",
    "etc/httpd.conf",
    "etc/ld.so.conf",
    "etc/ld.so.conf.d/own.conf",
    "etc/passwd",
    "srv/page",
    "usr/bin/tool",
    "usr/lib/libown.so",
    "usr/local/share/ca-certificates/own.crt",
];
/// Of these some are right at some places; where a build fails, both must, with the same words.
const CONTENTS: [&str; 7] = [
    "a",
    "b",
    "#!/bin/sh\n",
    "#!/usr/bin/nothing\n",
    "/opt/lib\n",
    "include /etc/ld.so.conf.d/*.conf\n",
    "own:x:1234:1234::/:/bin/sh\n",
];

fn shared() -> &'static Archive {
    static ARCHIVE: OnceLock<Archive> = OnceLock::new();
    ARCHIVE.get_or_init(|| archive("amd64"))
}

/// The own files of a recipe: each with its content, and whether it can be executed.
type Files = BTreeMap<&'static str, (&'static str, bool)>;

fn any_files() -> impl Strategy<Value = Files> {
    let file = (prop::sample::select(PLACES.to_vec()), prop::sample::select(CONTENTS.to_vec()), any::<bool>());
    prop::collection::vec(file, 1..7).prop_map(|files| {
        files.into_iter().map(|(place, content, executable)| (place, (content, executable))).collect()
    })
}

/// Files, and then a few changes: mostly of one file's content, as people make them.
fn any_changes() -> impl Strategy<Value = Vec<Files>> {
    let change = (any::<prop::sample::Index>(), prop::sample::select(CONTENTS.to_vec()));
    let step = prop_oneof![6 => change.prop_map(Ok), 1 => any_files().prop_map(Err)];
    (any_files(), prop::collection::vec(step, 1..6)).prop_map(|(first, steps)| {
        let mut all = vec![first];
        for step in steps {
            let mut files = all.last().cloned().unwrap_or_default();
            match step {
                Err(other) => files = other,
                Ok((index, content)) => {
                    let place = *index.get(&files.keys().copied().collect::<Vec<_>>());
                    files.entry(place).and_modify(|file| file.0 = content);
                }
            }
            all.push(files);
        }
        all
    })
}

fn machine() -> Machine {
    let mut machine = Machine::new(shared(), "amd64", 1);
    // What is kept is this program's.
    machine.host.program = std::env::current_exe().expect("a program");
    machine
}

/// Everything that a build says, and what a start would find.
fn build(machine: &Machine, files: &Files) -> String {
    _ = fs::remove_dir_all(machine.path("web/site"));
    fs::create_dir_all(machine.path("web/site")).expect("a folder");
    for (name, (content, executable)) in files {
        let path = machine.write(format!("web/site/{name}"), content);
        let mode = if *executable { 0o755 } else { 0o644 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
    }
    let keys = BTreeMap::from([
        ("name", "\"example.com/web\"".to_owned()),
        ("version", "\"1\"".to_owned()),
        ("from", "\"debian.org/bookworm\"".to_owned()),
        ("packages", "[\"httpd\", \"greeter\"]".to_owned()),
    ]);
    let lines: Vec<_> = files.keys().map(|place| (format!("/{place}"), format!("site/{place}"))).collect();
    let lines: Vec<_> = lines.iter().map(|(target, source)| (target.as_str(), source.as_str())).collect();
    machine.write("web/larder.toml", &recipe(&keys, &lines));
    let built = machine.try_build("web", &BuildOptions::default()).map(|report| {
        let composed = compose::ready(&machine.host.store, &machine.record(&report)).expect("a store");
        (report.digest, report.changed, report.packages, report.overridden, report.findings, composed)
    });
    let text = format!("{:?}", built.map_err(|error| words(&error)));
    text.replace(&machine.path("").display().to_string(), "")
}

/// An error with its causes.
fn words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// How many builds' answers are kept.
fn kept(machine: &Machine) -> Vec<std::path::PathBuf> {
    let views = fs::read_dir(machine.host.store.views_dir()).expect("views");
    let files = views.map(|view| view.expect("a view").path().join("build"));
    files.filter(|file| file.exists()).collect()
}

fn forget(machine: &Machine) {
    kept(machine).iter().for_each(|file| fs::remove_file(file).expect("removed"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_build_that_asks_again_only_what_changed_does_what_a_whole_one_does(steps in any_changes()) {
        let (warm, cold) = (machine(), machine());
        for files in steps {
            forget(&cold);
            prop_assert_eq!(build(&warm, &files), build(&cold, &files), "{:?}", files);
        }
    }
}

#[test]
fn answers_are_kept_and_used() {
    let machine = machine();
    let page = |content| Files::from([("srv/page", (content, false)), ("usr/bin/tool", ("#!/bin/sh\n", true))]);
    build(&machine, &page("a"));
    assert_eq!(kept(&machine).len(), 1);
    // Answers that no build would give show who uses them.
    let file = kept(&machine).remove(0);
    let text = fs::read_to_string(&file).expect("answers");
    let altered = text.replace("\"debian.org/greeter\",\"1.0\"", "\"debian.org/greeter\",\"altered\"");
    let body = altered.split_once('\n').expect("a seal").1;
    let seal = larder_store::ObjectDigest::of(body.as_bytes());
    fs::write(&file, format!("{seal}\n{body}")).expect("altered");
    assert!(build(&machine, &page("a")).contains("altered"), "nothing changed");
    assert!(build(&machine, &page("b")).contains("altered"), "a page changed");
    let script = Files::from([("srv/page", ("b", false)), ("usr/bin/tool", ("#!/usr/bin/nothing\n", true))]);
    assert!(!build(&machine, &script).contains("altered"), "a script was looked into");
    assert!(build(&machine, &page("b")).contains("altered"), "the name still stands for the page's image");
    kept(&machine).iter().for_each(|file| {
        let text = fs::read_to_string(file).expect("answers");
        fs::write(file, &text[..text.len() - 1]).expect("cut short");
    });
    assert!(!build(&machine, &page("b")).contains("altered"), "what is cut short counts as absent");
}

/// What is gone from the store is fetched again, and not taken for there because an earlier build found it.
#[test]
fn a_package_that_is_gone_is_fetched_again() {
    let machine = machine();
    let page = |content| Files::from([("srv/page", (content, false))]);
    build(&machine, &page("a"));
    let report = machine.try_build("web", &BuildOptions::default()).expect("a build");
    assert_eq!(report.fetched, 0);
    for (what, folder) in [("a record", "filesets"), ("a Tree", "trees")] {
        let greeter = report.packages.iter().find(|package| package.name.short() == "greeter").expect("greeter");
        let record = machine.host.store.fileset(&greeter.digest).expect("its record");
        let hex = if folder == "trees" { record.tree.hex() } else { greeter.digest.hex() };
        fs::remove_file(machine.host.store.root().join(folder).join(&hex[..2]).join(&hex[2..])).expect("removed");
        let again = machine.try_build("web", &BuildOptions::default()).expect("a build");
        assert_eq!((again.fetched, again.digest), (1, report.digest), "{what}");
    }
}

/// Where nothing has changed only what the image consists of is looked for, the statement about it and who signs: whatever of
/// these is gone, damaged or new is put right.
#[test]
fn an_image_that_is_done_is_looked_for_in_full() {
    let mut machine = machine();
    let page = Files::from([("srv/page", ("a", false))]);
    let first = build(&machine, &page);
    let again = |machine: &Machine| machine.try_build("web", &BuildOptions::default()).expect("a build");
    let is_done = |machine: &Machine| !fs::read_to_string(&kept(machine)[0]).expect("answers").ends_with(",null]");
    let image = again(&machine);
    assert!(is_done(&machine) && !image.changed && image.signed.is_empty());

    let folder = machine.host.store.root().join("statements").join(&image.digest.hex()[..2]);
    let folder = folder.join(&image.digest.hex()[2..]);
    let statements = || {
        let files = fs::read_dir(&folder).into_iter().flatten();
        files.map(|file| file.expect("a statement").path()).collect::<Vec<_>>()
    };
    let whole = || statements().iter().map(|file| fs::read(file).expect("a statement")).collect::<Vec<_>>();
    let said = whole();
    assert_eq!(said.len(), 1);
    let same = again(&machine);
    assert_eq!((same.digest, same.packages.len(), whole()), (image.digest, image.packages.len(), said.clone()));
    for what in ["gone", "cut short"] {
        let file = statements().remove(0);
        fs::remove_file(&file).expect("removed");
        if what == "cut short" {
            fs::write(&file, &said[0][..100]).expect("written");
        }
        assert!(!again(&machine).changed, "{what}");
        assert_eq!(whole().len(), 1, "{what}");
        assert_eq!(machine.host.store.statements(&image.digest).expect("whole").len(), 1, "{what}");
    }

    let domain = Domain::of(&image.name);
    machine.host.keys = Keys::new(Some(machine.path("keys")), Vec::new(), Box::new(NoPassphrases));
    machine.host.keys.create(&domain, Protection::None).expect("a key");
    for _ in 0..2 {
        assert_eq!(again(&machine).signed.iter().map(|signer| &signer.domain).collect::<Vec<_>>(), [&domain]);
    }
    let standing = standing(&machine.host.store, &machine.host.keys, &image.name, &image.digest).expect("a standing");
    assert!(matches!(standing, Standing::Signed(_)), "{standing}");

    // The image's record and its own Tree are read.
    let record = machine.host.store.fileset(&image.digest).expect("a record");
    for (kind, hex) in [("filesets", image.digest.hex()), ("trees", record.tree.hex())] {
        let file = machine.host.store.root().join(kind).join(&hex[..2]).join(&hex[2..]);
        fs::remove_file(&file).expect("removed");
        fs::write(&file, "damaged").expect("written");
        assert_eq!(again(&machine).digest, image.digest, "{kind}");
        assert!(machine.host.store.has_fileset(&image.digest), "{kind}");
    }
    let last = build(&machine, &page);
    assert_eq!(last, first.replace("true", "false"), "all else is as it was");
}
