//! Each key of a recipe has an effect, and the record says so.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::symlink;

use larder_lib::build::BuildReport;

use super::machine::{Machine, archive, recipe};

const FILES: [(&str, &str); 1] = [("/srv/page", "page")];

fn plain() -> BTreeMap<&'static str, String> {
    [
        ("name", "\"example.com/web\""),
        ("version", "\"1\""),
        ("from", "\"debian.org/bookworm\""),
        ("packages", "[\"editor\"]"),
    ]
    .map(|(key, value)| (key, value.to_owned()))
    .into()
}

fn names(report: &BuildReport) -> Vec<&str> {
    report.packages.iter().map(|package| package.name.short()).collect()
}

#[test]
fn each_key_changes_the_image() {
    let archive = archive("amd64");
    for (part, ending) in [("debian", ""), ("debian", "-updates"), ("debian-security", "-security")] {
        let moving = archive.root().join(part).join(format!("dists/stable{ending}"));
        symlink(format!("bookworm{ending}"), moving).expect("a link");
    }
    let machine = Machine::new(&archive, "amd64", 1_700_000_000);
    machine.write("web/page", "page\n");
    machine.write("web/other", "other\n");
    let base = machine.build("web", &recipe(&plain(), &FILES));
    assert_eq!(names(&base), ["base-files", "editor", "nano", "shell"]);

    let mut digests = BTreeSet::from([base.digest]);
    let mut with = |key: &'static str, value: &str| {
        let mut keys = plain();
        keys.insert(key, value.to_owned());
        // Each is solved anew: what was locked before is another recipe's.
        _ = std::fs::remove_file(machine.path("web/larder.lock"));
        let report = machine.build("web", &recipe(&keys, &FILES));
        assert!(digests.insert(report.digest), "{key} = {value} gives an image that was there before");
        report
    };
    assert_eq!(with("name", "\"example.com/shop\"").name.as_str(), "example.com/shop");
    assert_eq!(with("version", "\"2\"").version, "2");
    assert_eq!(names(&with("base", "\"none\"")), ["editor", "nano"]);
    assert_eq!(names(&with("packages", "[\"editor\", \"vim\"]")), ["base-files", "editor", "shell", "vim"]);
    assert_eq!(names(&with("recommends", "true")), ["base-files", "editor", "manual", "nano", "shell"]);
    let record = |report| machine.metadata(&report);
    assert_eq!(record(with("from", "\"debian.org/stable\"")).from[0].as_str(), "debian.org/stable");
    assert_eq!(record(with("run", "[\"editor\", \"/srv/page\"]")).run, ["editor", "/srv/page"]);
    assert_eq!(record(with("env", "{ A = \"1\" }")).env["A"], "1");
    assert_eq!(record(with("user", "\"1000:1000\"")).user.as_deref(), Some("1000:1000"));
    assert_eq!(record(with("workdir", "\"/srv\"")).workdir.as_deref(), Some("/srv"));
    assert_eq!(record(with("stop-signal", "\"QUIT\"")).stop_signal.as_deref(), Some("SIGQUIT"));
    assert_eq!(record(with("labels", "{ x = \"y\" }")).labels["x"], "y");

    for files in [&[("/srv/page", "other")][..], &[("/srv/elsewhere", "page")], &[]] {
        let report = machine.build("web", &recipe(&plain(), files));
        assert!(digests.insert(report.digest), "{files:?}");
    }
    // And back again.
    assert_eq!(machine.build("web", &recipe(&plain(), &FILES)).digest, base.digest);
}
