//! A source package of Debian's: what `[source] deb-src` gives is what `dpkg-source` gives on a Debian system, and a build from it does its work.

use std::process::Command;

use larder_testkit::skip;
use serde_json::Value;

use crate::world::World;

const RECIPE: &str = r#"
[package]
name = "example.com/debian-hello"
version = "2.10"
summary = "A friendly greeting"
requires = ["debian.org/libc6 >=2.36"]

[source]
deb-src = "hello =2.10-3"

[build]
from = "debian.org/bookworm"
with = ["gcc", "libc6-dev", "make"]
run = "./configure --prefix=/usr && make && make install DESTDIR=$OUT"

[test]
run = "hello | grep -q Hello"
"#;

/// Types, modes, paths and link targets, and then each file's digest.
const LISTING: &str =
    "find . -printf '%y %m %p %l\\n' | LC_ALL=C sort; find . -type f -exec sha256sum {} + | LC_ALL=C sort";

pub(crate) fn debian(world: &World) {
    world.env.write("hello/larder.toml", RECIPE);
    let report = world.document(&["build", "--check", "hello"]);
    assert_eq!((&report["checked"], &report["tested"]), (&true.into(), &true.into()), "{report}");
    // The store outlives the tests, and some packages of it may have come there before they were told where from.
    let output = world.env.larder(["--json", "verify", "--fetch", "example.com/debian-hello"]);
    let report: Value = serde_json::from_str(&output.stdout).expect("JSON");
    let links = report["items"][0]["links"].as_array().expect("links").clone();
    let state = |link: &str| links.iter().find(|found| found["link"] == link).map(|found| found["state"].clone());
    for link in ["source pool/main/h/hello/hello_2.10-3.dsc", "list", "release"] {
        assert_eq!(state(link), Some("holds".into()), "{link}: {links:?}");
    }
    let shown = world.env.larder(["shell", "-q", "hello", "--", "sh", "-c", LISTING]).success().stdout;
    // The machine's own tools say where its archive is, and what the files become.
    let asked = Command::new("apt-get").args(["--print-uris", "download", "hostname"]).output();
    let asked = asked.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let mirror = asked.strip_prefix('\'').and_then(|uri| uri.split_once("/pool/")).map(|(mirror, _)| mirror);
    let (Some(mirror), Ok(_)) = (mirror, Command::new("dpkg-source").arg("--version").output()) else {
        return skip("comparing with dpkg-source", "this needs Debian with the package dpkg-dev");
    };
    let lock = std::fs::read_to_string(world.env.path("hello/larder.lock")).expect("a lock");
    for path in lock.lines().filter_map(|line| line.strip_prefix("path = \"")?.strip_suffix('"')) {
        _ = world.env.shell(&format!("mkdir -p theirs && cd theirs && curl -fsSO {mirror}/{path}")).success();
    }
    let theirs = format!("cd theirs && dpkg-source --no-check -x *.dsc out >/dev/null && cd out && {LISTING}");
    assert_eq!(shown, world.env.shell(&theirs).success().stdout, "dpkg-source makes something else of it");
}
