//! `larder verify --rebuild` of packages of one's own: built again from what is kept, and compared.

use std::fs;
use std::path::PathBuf;

use insta::assert_snapshot;

use super::package::{machine, recipe, says};
use super::site::Site;

const MAKE: &str = "mkdir -p $OUT/usr/bin $OUT/usr/share/hello\ncp hello $OUT/usr/bin/hello\nchmod 755 $OUT/usr/bin/hello\n\
                    date -u -d @$SOURCE_DATE_EPOCH > $OUT/usr/share/hello/time";

/// A package with a split, whose sources are beside its recipe.
fn hello(site: &Site) {
    let tables = "[source]\npath = \"src\"\n[split.data]\npaths = [\"/usr/share/hello\"]\nsummary = \"Data\"";
    recipe(site, "hello", ("", MAKE, tables));
    site.env.write("hello/src/hello", "#!/bin/sh\necho hi\n");
    site.env.write("hello/src/more/LICENSE", "Do what you like.\n");
}

/// The lines of a verification that are about packages of one's own.
pub(crate) fn own(text: &str) -> String {
    let mut shown = false;
    let lines = text.lines().filter(|line| {
        let is_item = line.starts_with("ok ") || line.starts_with("broken ");
        shown = if is_item { line.contains("example.com/") } else { shown && line.starts_with("   ") };
        shown
    });
    lines.map(|line| format!("{line}\n")).collect()
}

/// The files with statements about a package that contain a word.
fn statements(site: &Site, name: &str, word: &str) -> Vec<PathBuf> {
    let line = site.stdout(&format!("build -q {name}"));
    let digest = line.trim().strip_prefix("blake3:").expect("a digest");
    let folder = site.env.store().join("statements").join(&digest[..2]).join(&digest[2..]);
    let files = fs::read_dir(folder).expect("statements").map(|entry| entry.expect("an entry").path());
    files.filter(|file| fs::read_to_string(file).expect("a statement").contains(word)).collect()
}

#[test]
fn a_package_is_built_again_from_what_is_kept() {
    let Some(site) = machine() else { return };
    hello(&site);
    site.ok("build -q hello");
    // The recipe, its lock and the sources are somewhere else now.
    fs::rename(site.env.path("hello"), site.env.path("moved")).expect("moved");
    let log = site.env.store().join("cache/logs/example.com@hello.log");
    let before = fs::read_to_string(&log).expect("a log");
    let packages = site.stdout("packages --json");
    let text = site.session(&["verify --rebuild example.com/hello", "verify --rebuild example.com/hello-data"]);
    assert_snapshot!(own(&text), @"
    ok     example.com/hello@1.0  record, contents, statement, inputs, rebuild; unsigned
             source src holds
             source larder.toml holds
    ok     example.com/hello-data@1.0  record, contents, statement, inputs, rebuild; unsigned
             source src holds
             source larder.toml holds
    ");
    assert_eq!(site.stdout("packages --json"), packages, "nothing is named anew");
    assert_eq!(fs::read_to_string(&log).expect("a log"), before, "the log of the build is still that");
    // What nothing else needs than to build it again goes and comes back; what was built from stays.
    site.ok("gc");
    let text = site.run("verify --rebuild example.com/hello").success();
    says(&text.stderr, &["fetch and convert 1 package\nbuild example.com/hello@1.0\n"]);
    assert_snapshot!(own(&site.redact(&text.stdout)), @"
    ok     example.com/hello@1.0  record, contents, statement, inputs, rebuild; unsigned
             source src holds
             source larder.toml holds
    ");
    site.ok("fsck --deep");
}

#[test]
fn what_differs_is_told() {
    let Some(site) = machine() else { return };
    let run = "mkdir -p $OUT/opt\ncp /proc/sys/kernel/random/uuid $OUT/opt/random\necho same > $OUT/opt/same";
    recipe(&site, "clock", ("", run, ""));
    site.ok("build -q clock");
    let output = site.run("verify --rebuild example.com/clock").failure(1);
    says(
        &output.stdout,
        &[
            "broken example.com/clock@1.0  record, contents, statement, inputs; unsigned\n",
            "         rebuild broken: built again, it is blake3:",
            "; the first is what is here, the second what was built again:\n             /opt/random: both have 37 bytes; from byte ",
        ],
    );
    says(
        &output.stderr,
        &["error: example.com/clock is not verified: the rebuild of example.com/clock@1.0 doesn't hold"],
    );
    assert!(!output.stdout.contains("/opt/same") && !output.stderr.contains("/opt/random"), "{}", output.stdout);
}

#[test]
fn what_is_not_there_any_more_is_told() {
    let Some(site) = machine() else { return };
    hello(&site);
    site.env.write("data", "from far away\n");
    let sum = site.env.shell("sha256sum data").success().stdout;
    let url = format!("file://{}", site.env.path("data").display());
    let source = format!("[source]\nurl = \"{url}\"\nsha256 = \"{}\"", sum.split(' ').next().expect("a digest"));
    recipe(&site, "far", ("", "mkdir $OUT/opt\ncp data $OUT/opt/", &source));
    site.ok("build -q hello");
    site.ok("build -q far");
    let [keeps] = &statements(&site, "hello", "\"kind\":\"keeps\"")[..] else { panic!("one statement") };
    fs::remove_file(keeps).expect("gone");
    // A fetched source is kept until the next collection.
    site.ok("verify --rebuild example.com/far");
    site.ok("gc");
    fs::remove_file(site.env.path("data")).expect("gone");
    let text = site.session(&["verify --rebuild example.com/hello", "verify --rebuild example.com/far"]);
    assert_snapshot!(own(&text), @"
    ok     example.com/hello@1.0  record, contents, statement, inputs; unsigned; not checked: rebuild
             source src not checked: it is pinned by blake3:<1>, and not kept here
             source larder.toml not checked: it is pinned by sha256:<2>, and not kept here
             rebuild not checked: its recipe isn't kept here: it was built somewhere else, and only there it can be built again
    ok     example.com/far@1.0  record, contents, statement, inputs; unsigned; not checked: rebuild
             source file://$DIR/data not checked: it is pinned by sha256:<3>, and not kept here
             source larder.toml holds
             rebuild not checked: its sources can't be had again: can't fetch the source file://$DIR/data: file://$DIR/data does not exist on the mirror (status 404)
    ");
}

#[test]
fn a_kept_source_that_was_altered_is_told() {
    let Some(site) = machine() else { return };
    hello(&site);
    site.ok("build -q hello");
    let object = blake3::hash(b"Do what you like.\n").to_hex().to_string();
    let path = site.env.store().join("objects").join(&object[..2]).join(&object[2..]);
    fs::remove_file(&path).expect("gone");
    fs::write(&path, "Do what we like.\n\n").expect("another");
    assert_snapshot!(site.session(&["verify -q example.com/hello"]), @"
    $ larder verify -q example.com/hello
    2> error: example.com/hello is not verified: the source src of example.com/hello@1.0 doesn't hold: the content blake3:<1> was altered
    [exit code 1]
    ");
}
