//! `kill -9` at any instant of build, download, update, collection and run. After each: the store is whole, what was
//! reported done is there, and the next command works.
//!
//! `LARDER_TEST_KILLS` is how many kills each of these tests does; `scripts/crash` sets it.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use larder_testkit::Output;
use larder_testkit::archive::Fault;

use super::crash::{furnish, parts};
use super::run;
use super::site::{Site, archive, deb, greeter, library};
use instants::{Instants, Killed};

mod instants;

/// How many kills each test does when nobody says.
const KILLS: usize = 100;
/// After how many kills what only the whole program can show is looked at too: that nothing is left over.
const THOROUGH: usize = 10;

fn kills() -> usize {
    std::env::var("LARDER_TEST_KILLS").ok().map_or(KILLS, |text| text.parse().expect("LARDER_TEST_KILLS is a number"))
}

/// An operation, the state it begins with, and what must hold when it was killed.
struct Trial<'a> {
    site: &'a Site,
    what: &'static str,
    command: &'a [&'a str],
    /// Folders that are put back before each kill as they were at the beginning.
    state: &'a [&'a str],
    check: &'a dyn Fn(&Killed),
    /// The same command once more, to its end.
    again: &'a dyn Fn(&Output),
}

impl Trial<'_> {
    fn run(&self) {
        self.save();
        let mut instants = Instants::new(self.what);
        for number in 1..=kills() {
            for _ in 0..instants.due() {
                self.restore();
                let start = Instant::now();
                let output = self.start().wait_with_output().expect("its end");
                instants.measured(start.elapsed());
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            }
            self.restore();
            let killed = instants.kill(|| self.start(), |child| _ = child.kill());
            let context = || format!("{}, kill {number}, at {:.3} of its length", self.what, killed.at);
            let check = self.site.run("fsck --deep");
            assert_eq!(check.code, 0, "{}: {check:?}", context());
            (self.check)(&killed);
            let again = self.site.env.larder(self.command);
            assert_eq!(again.code, 0, "{}: {again:?}", context());
            (self.again)(&again);
            self.nothing_is_beside_the_recipe();
            if number.is_multiple_of(THOROUGH) {
                self.site.ok("gc");
                self.site.ok("fsck --deep");
                (self.again)(&self.site.env.larder(self.command));
                self.nothing_is_left_over();
            }
        }
        instants.report();
    }

    fn start(&self) -> Child {
        let mut command = self.site.env.larder_command(self.command);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("started")
    }

    fn save(&self) {
        for folder in self.state {
            copy(&self.site.env.path(folder), &self.site.env.path(format!("saved-{folder}")));
        }
    }

    fn restore(&self) {
        for folder in self.state {
            copy(&self.site.env.path(format!("saved-{folder}")), &self.site.env.path(folder));
        }
    }

    /// No temporary file is left where it could become part of the next image.
    fn nothing_is_beside_the_recipe(&self) {
        for folder in self.state.iter().filter(|folder| **folder != "store") {
            let mut names = list(&self.site.env.path(folder));
            names.retain(|name| !["larder.toml", "larder.lock"].contains(&name.as_str()));
            assert_eq!(names, Vec::<String>::new(), "{}", self.what);
        }
    }

    /// No temporary file is left in the store, and no container.
    fn nothing_is_left_over(&self) {
        let store = self.site.env.store();
        let mut left = list(&store.join("tmp"));
        left.extend(list(&store.join("containers")).into_iter().filter(|name| name != ".lock"));
        left.extend(list(&store.join("views")).into_iter().filter(|name| name.starts_with(".new")));
        assert_eq!(left, Vec::<String>::new(), "{}", self.what);
    }
}

/// Makes a folder a copy of another.
pub(crate) fn copy(from: &Path, to: &Path) {
    if to.exists() {
        std::fs::remove_dir_all(to).expect("removed");
    }
    let status = Command::new("cp").arg("-a").args([from, to]).status().expect("cp");
    assert!(status.success());
}

fn list(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// The digest that the name stands for, as `larder images` says; empty where there is no such image.
pub(crate) fn current(site: &Site, name: &str) -> String {
    let json = site.stdout("images --json");
    let entry = json.split('{').find(|entry| entry.contains(&format!("\"example.com/{name}\""))).unwrap_or_default();
    let digest = entry.find("blake3:").map_or("", |at| &entry[at..at + 71]);
    digest.to_owned()
}

/// What a build reported on stdout, if it got that far.
fn reported(killed: &Killed) -> Option<&str> {
    killed.stdout.strip_suffix('\n').filter(|line| !line.is_empty())
}

/// A machine in memory with the archive of many parts.
fn many() -> Site {
    furnish(Site::in_memory(parts()))
}

/// Kills a build of `web` beside an image that is there already.
fn builds(what: &'static str, site: &Site) {
    site.recipe("before", &["part0"], "");
    let before = site.stdout("build -q before");
    let digest = {
        let reference = many();
        reference.stdout("build -q web")
    };
    Trial {
        site,
        what,
        command: &["build", "-q", "web"],
        state: &["store", "web"],
        check: &|killed| {
            assert_eq!(current(site, "before"), before.trim(), "what was done before is there");
            let now = current(site, "web");
            match reported(killed) {
                Some(line) => assert_eq!((line, now.as_str()), (digest.trim(), digest.trim())),
                None => assert!(now.is_empty() || now == digest.trim(), "{now}"),
            }
        },
        again: &|output| assert_eq!(output.stdout, digest),
    }
    .run();
}

#[test]
fn of_a_build() {
    builds("build", &many());
}

/// Like a build, of which most is spent on the network.
#[test]
fn of_a_download() {
    let site = many();
    site.server.fault("/part", Fault::Slow(Duration::from_millis(5)));
    builds("fetch", &site);
}

#[test]
fn of_an_update() {
    let mut site = Site::in_memory(archive());
    site.recipe("web", &["greeter", "httpd"], "");
    let old = site.stdout("build -q web");
    let newer = archive()
        .package(library("1.1"))
        .package(greeter("1.1"))
        .package(deb("httpd", "1.5").depends("libgreet").file("etc/httpd/httpd.conf", "listen 80\n"));
    site.archive.publish(newer);
    let saved = ["store", "web"].map(|name| (site.env.path(name), site.env.path(format!("first-{name}"))));
    saved.iter().for_each(|(from, to)| copy(from, to));
    let new = site.stdout("update -q web");
    assert_ne!(new, old);
    saved.iter().for_each(|(from, to)| copy(to, from));
    Trial {
        site: &site,
        what: "update",
        command: &["update", "-q", "web"],
        state: &["store", "web"],
        check: &|killed| {
            let now = current(&site, "web");
            match reported(killed) {
                Some(line) => assert_eq!((line, now.as_str()), (new.trim(), new.trim())),
                None => assert!(now == old.trim() || now == new.trim(), "{now}"),
            }
            // Whichever lock is there is whole, and builds what it always has.
            let lock = std::fs::read_to_string(site.env.path("web/larder.lock")).expect("a lock");
            let expected = if lock.contains("\"1.5\"") { &new } else { &old };
            assert_eq!(site.stdout("build -q --locked web"), *expected);
        },
        again: &|output| assert_eq!(output.stdout, new),
    }
    .run();
}

#[test]
fn of_a_collection() {
    let site = many();
    site.recipe("kept", &["part0", "part1", "part2"], "");
    let kept = site.stdout("build -q kept");
    site.ok("build -q web");
    site.ok("remove example.com/web");
    let clean = |site: &Site| {
        let checked = site.stdout("fsck --json");
        checked.split_once("\"problems\"").map_or(checked.clone(), |(before, _)| before.to_owned())
    };
    copy(&site.env.store(), &site.env.path("first"));
    site.ok("gc");
    let collected = clean(&site);
    copy(&site.env.path("first"), &site.env.store());
    assert_ne!(clean(&site), collected, "there is nothing to collect: the test tests nothing");
    Trial {
        site: &site,
        what: "gc",
        command: &["gc"],
        state: &["store"],
        check: &|_| {
            assert_eq!(current(&site, "kept"), kept.trim());
            assert_eq!(site.stdout("build -q --locked kept"), kept);
        },
        again: &|_| assert_eq!(clean(&site), collected, "the next collection finishes the work"),
    }
    .run();
}

#[test]
fn of_a_run() {
    let Some(mut site) = run::tools().and_then(|archive| run::furnish(Site::in_memory(archive))) else { return };
    // Half of the kills fall into making the view: it isn't there yet.
    site.ok("build -q box");
    let views = list(&site.env.store().join("views"));
    for view in views.iter().filter(|name| *name != ".lock") {
        std::fs::remove_dir_all(site.env.store().join("views").join(view)).expect("removed");
    }
    // The workload's and our own processes'.
    let value = format!("kills-{}", std::process::id());
    site.env.set("MARKER", &value);
    let marker = format!("MARKER={value}");
    let digest = current(&site, "box");
    Trial {
        site: &site,
        what: "run",
        command: &["run", "-q", "--env", &marker, "box"],
        state: &["store", "box"],
        check: &|_| {
            let end = Instant::now() + Duration::from_secs(10);
            while !processes(&marker).is_empty() {
                assert!(Instant::now() < end, "{:?} survive", processes(&marker));
            }
            // A process that was killed a moment ago may not have let go of its lock yet.
            while run::containers(&site) > 0 {
                assert!(Instant::now() < end, "no command removes what was left");
                assert_eq!(current(&site, "box"), digest);
            }
            assert_eq!(current(&site, "box"), digest);
        },
        again: &|output| assert_eq!(output.stdout, "hello, world\n"),
    }
    .run();
}

/// The processes with this variable in their environment.
fn processes(variable: &str) -> Vec<String> {
    let wanted = format!("{variable}\0");
    let holds = |id: &String| {
        let environment = std::fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
        environment.windows(wanted.len()).any(|part| part == wanted.as_bytes())
    };
    list(Path::new("/proc")).into_iter().filter(|name| name.bytes().all(|b| b.is_ascii_digit())).filter(holds).collect()
}
