//! Builds side by side, and builds that are stopped: what was reported done stays, and the next one works.

use std::process::{Child, Stdio};
use std::time::Duration;

use larder_testkit::archive::{ArchiveBuilder, Fault};

use super::site::{Site, archive, deb};

/// A machine with an archive whose packages take a while to fetch and convert.
fn many() -> Site {
    furnish(Site::with(parts()))
}

/// The archive of [`many`].
pub(crate) fn parts() -> ArchiveBuilder {
    let packages = (0..12).map(|number| {
        let mut package = deb(&format!("part{number}"), "1.0");
        for file in 0..10 {
            let content = format!("part {number}, file {file}\n").repeat(200);
            package = package.file(&format!("usr/share/part{number}/{file}"), content);
        }
        package
    });
    archive().packages(packages)
}

/// Writes a recipe that needs all the parts.
pub(crate) fn furnish(site: Site) -> Site {
    let names: Vec<String> = (0..12).map(|number| format!("part{number}")).collect();
    site.recipe("web", &names.iter().map(String::as_str).collect::<Vec<_>>(), "");
    site
}

fn start(site: &Site) -> Child {
    let mut command = site.env.larder_command(["build", "-q", "web"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("started")
}

fn signal(child: &Child, name: &str) {
    let status = std::process::Command::new("kill").args([name, &child.id().to_string()]).status();
    assert!(status.expect("kill").success());
}

#[test]
fn two_builds_of_one_thing_at_once() {
    let site = many();
    site.server.fault("/part", Fault::Slow(Duration::from_millis(5)));
    let builds = [start(&site), start(&site)];
    let outputs = builds.map(|build| build.wait_with_output().expect("its end"));
    for output in &outputs {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(outputs[0].stdout, outputs[1].stdout);
    let lock = std::fs::read(site.env.path("web/larder.lock")).expect("a lock");
    assert_eq!(site.stdout("build -q --locked web").as_bytes(), outputs[0].stdout);
    assert_eq!(std::fs::read(site.env.path("web/larder.lock")).expect("a lock"), lock);
    site.ok("fsck --deep");
}

#[test]
fn a_collection_does_not_disturb_a_build() {
    let site = many();
    site.server.fault("/part", Fault::Slow(Duration::from_millis(5)));
    let build = start(&site);
    let mut collections = 0;
    let mut build = build;
    while build.try_wait().expect("the build").is_none() {
        let output = site.run("gc");
        assert!(output.code == 0 || output.stderr.contains("in use by another process"), "{output:?}");
        collections += 1;
    }
    let output = build.wait_with_output().expect("its end");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(collections > 0);
    site.ok("fsck --deep");
}

#[test]
fn a_build_that_is_killed_at_any_moment_loses_nothing() {
    let reference = many();
    let digest = reference.stdout("build -q web");
    let site = many();
    // Spread over the time of a whole build; what was done before makes each later one shorter.
    let mut finished = 0;
    for moment in [5, 20, 40, 60, 90, 120, 160, 200, 260, 320, 400, 500] {
        let mut build = start(&site);
        std::thread::sleep(Duration::from_millis(moment));
        if build.try_wait().expect("the build").is_some() {
            finished += 1;
        } else {
            signal(&build, "-KILL");
        }
        let output = build.wait_with_output().expect("its end");
        let check = site.run("fsck --deep");
        assert_eq!(check.code, 0, "killed after {moment} ms: {check:?}");
        if output.status.success() {
            assert_eq!(String::from_utf8_lossy(&output.stdout), digest);
        }
        if finished == 2 {
            break;
        }
    }
    assert_eq!(site.stdout("build -q web"), digest);
    site.ok("fsck --deep");
    site.ok("gc");
    assert_eq!(site.stdout("build -q web"), digest);
}

#[test]
fn ctrl_c_leaves_nothing_half_done() {
    let site = many();
    let digest = {
        let site = many();
        site.stdout("build -q web")
    };
    site.recipe("before", &["greeter"], "");
    let before = site.stdout("build -q before");
    site.server.fault("/part", Fault::Slow(Duration::from_millis(50)));
    let build = start(&site);
    std::thread::sleep(Duration::from_millis(400));
    signal(&build, "-INT");
    let output = build.wait_with_output().expect("its end");
    assert!(!output.status.success());
    assert!(output.stdout.is_empty(), "no digest of what isn't there");
    assert!(!site.env.path("web/larder.lock").exists(), "no lock of what isn't there");
    let left: Vec<_> = std::fs::read_dir(site.env.path("web")).expect("the recipe's folder").collect();
    assert_eq!(left.len(), 1, "only the recipe is in its folder: {left:?}");
    assert_eq!(site.stdout("images --json").matches("\"example.com/").count(), 1);
    site.ok("fsck --deep");
    site.server.heal();
    assert_eq!(site.stdout("build -q web"), digest);
    assert_eq!(site.stdout("build -q before"), before);
}
