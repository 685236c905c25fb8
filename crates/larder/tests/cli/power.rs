//! The power fails at any instant: what each command does to store and recipe is recorded, cut at each sync, and replayed as a
//! disk may hold it then (`larder_testkit::power`). After each: the store is whole after at most a collection, what was
//! reported done is there, and the same command works.
//!
//! `LARDER_TEST_CUTS` is how many disks are tried for each cut and kind of loss; two of the kinds, in turn, when nobody says.

use std::cell::Cell;
use std::io::Write as _;

use larder_testkit::power::{Loss, Recording, available};
use larder_testkit::{Output, is_root, skip};

use super::kills::current;
use super::run;
use super::site::{Site, archive, deb, greeter, library};

/// A command, and what must hold however the power fails.
struct Outage<'a> {
    site: &'a Site,
    what: &'static str,
    command: &'a [&'a str],
    /// What must hold; given what the command had said.
    check: &'a dyn Fn(&str),
    /// The same command once more.
    again: &'a dyn Fn(&Output),
}

impl Outage<'_> {
    fn run(&self) {
        if !available() {
            return skip(format!("losses of power during {}", self.what), "strace is missing, or may not trace");
        }
        let folder = self.site.env.folder();
        let recording = Recording::of(&self.site.env.larder_command(self.command), folder);
        let (mut tried, mut unclean) = (0, 0);
        let cuts = recording.cuts();
        for cut in cuts.iter().filter(|cut| wanted(**cut)) {
            for loss in losses(*cut) {
                let seeds = if matches!(loss, Loss::Later | Loss::Anything) { seeds() } else { 1 };
                for seed in 0..seeds {
                    recording.replay(*cut, loss, seed * 1_000_003 + *cut as u64, folder);
                    let context =
                        format!("{}: {loss:?} lost after step {cut} of {}, seed {seed}", self.what, recording.len());
                    let first = if tried % 2 == 0 { First::Check } else { First::Work };
                    unclean += usize::from(self.look(&context, &recording.said(*cut), first));
                    tried += 1;
                }
            }
        }
        let text = format!(
            "OUTAGE {}: {} steps, {} cuts, {tried} disks; {unclean} needed a collection\n",
            self.what,
            recording.len(),
            cuts.len()
        );
        _ = std::io::stderr().write_all(text.as_bytes());
    }

    /// Checks a disk; says whether a collection was needed before it was whole. Every other one is not looked at before the same
    /// command works with it again, as nobody would who doesn't know what happened.
    fn look(&self, context: &str, said: &str, first: First) -> bool {
        let text = format!("FAILED {context}, {first:?} first, when it had said {said:?}\n");
        let shown = || _ = std::io::stderr().write_all(text.as_bytes());
        let failed = Shown(Cell::new(true), &shown);
        let mut unclean = false;
        if first == First::Check {
            unclean = self.mend();
            (self.check)(said);
        }
        let again = self.site.env.larder(self.command).success();
        (self.again)(&again);
        unclean |= self.mend();
        failed.0.set(false);
        unclean
    }

    /// Whether it took a collection until the store was whole.
    fn mend(&self) -> bool {
        let unclean = self.site.run("fsck --deep").code != 0;
        if unclean {
            _ = self.site.run("gc").success();
            _ = self.site.run("fsck --deep").success();
        }
        unclean
    }
}

/// What is done with a disk first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    Check,
    Work,
}

/// Tells where a failure was.
struct Shown<'a>(Cell<bool>, &'a dyn Fn());

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if self.0.get() {
            (self.1)();
        }
    }
}

/// `LARDER_TEST_CUT=94` tries this one cut only.
fn wanted(cut: usize) -> bool {
    std::env::var("LARDER_TEST_CUT").ok().is_none_or(|text| text.parse() == Ok(cut))
}

fn asked() -> Option<u64> {
    std::env::var("LARDER_TEST_CUTS").ok().map(|text| text.parse().expect("LARDER_TEST_CUTS is a number"))
}

fn seeds() -> u64 {
    asked().unwrap_or(1)
}

fn losses(cut: usize) -> Vec<Loss> {
    if asked().is_some() { Loss::ALL.to_vec() } else { vec![Loss::ALL[cut % (Loss::ALL.len() - 1)], Loss::Anything] }
}

/// A machine with an image that was there before, and the recipe of another.
fn machine() -> Site {
    let site = Site::in_memory(archive());
    site.recipe("before", &["editor"], "");
    site.ok("build -q before");
    site.recipe("web", &["greeter"], "[files]\n\"/srv\" = \"site\"\n");
    site.env.write("web/site/page", "hello\n");
    site
}

#[test]
fn during_the_first_build_of_all() {
    let site = Site::in_memory(archive());
    site.recipe("web", &["greeter"], "");
    let digest = {
        let reference = Site::in_memory(archive());
        reference.recipe("web", &["greeter"], "");
        reference.stdout("build -q web")
    };
    Outage {
        site: &site,
        what: "the first build of all",
        command: &["build", "-q", "web"],
        check: &|said| {
            assert!(said.is_empty() || said == digest);
            let now = current(&site, "web");
            assert!(now == digest.trim() || (said.is_empty() && now.is_empty()), "{now}");
            assert!(said.is_empty() || site.env.path("web/larder.lock").exists(), "the lock belongs to what was done");
        },
        again: &|output| assert_eq!(output.stdout, digest),
    }
    .run();
}

#[test]
fn during_a_build_beside_another_image() {
    let site = machine();
    let before = current(&site, "before");
    let digest = {
        let site = machine();
        site.stdout("build -q web")
    };
    Outage {
        site: &site,
        what: "a build",
        command: &["build", "-q", "web"],
        check: &|said| {
            assert!(said.is_empty() || said == digest);
            assert_eq!(current(&site, "before"), before);
            let now = current(&site, "web");
            assert!(now == digest.trim() || (said.is_empty() && now.is_empty()), "{now}");
            assert!(said.is_empty() || site.env.path("web/larder.lock").exists(), "the lock belongs to what was done");
        },
        again: &|output| assert_eq!(output.stdout, digest),
    }
    .run();
}

#[test]
fn during_a_build_of_a_changed_page() {
    let changed = || {
        let site = machine();
        let old = site.stdout("build -q web");
        site.env.write("web/site/page", "changed\n");
        (site, old)
    };
    let (site, old) = changed();
    let new = changed().0.stdout("build -q web");
    assert_ne!(new, old);
    let before = current(&site, "before");
    Outage {
        site: &site,
        what: "a build of a changed page",
        command: &["build", "-q", "web"],
        check: &|said| {
            assert!(said.is_empty() || said == new);
            assert_eq!(current(&site, "before"), before);
            let now = current(&site, "web");
            assert!(now == new.trim() || (said.is_empty() && now == old.trim()), "{now}");
        },
        again: &|output| assert_eq!(output.stdout, new),
    }
    .run();
}

#[test]
fn during_an_update() {
    let newer = || {
        archive()
            .package(library("1.1"))
            .package(greeter("1.1"))
            .package(deb("httpd", "1.5").depends("libgreet").file("etc/httpd/httpd.conf", "listen 80\n"))
    };
    let updated = || {
        let mut site = machine();
        let old = site.stdout("build -q web");
        site.archive.publish(newer());
        (site, old)
    };
    let (site, old) = updated();
    let new = updated().0.stdout("update -q web");
    let before = current(&site, "before");
    Outage {
        site: &site,
        what: "an update",
        command: &["update", "-q", "web"],
        check: &|said| {
            assert_eq!(current(&site, "before"), before);
            let now = current(&site, "web");
            assert!(now == new.trim() || (said.is_empty() && now == old.trim()), "{now}");
            let lock = std::fs::read_to_string(site.env.path("web/larder.lock")).expect("a lock");
            let is_new = lock.contains("version = \"1.1\"");
            assert!(said.is_empty() || is_new, "the lock belongs to what was done: {lock}");
            assert_eq!(site.stdout("build -q --locked web"), if is_new { &*new } else { &*old });
        },
        again: &|output| assert_eq!(output.stdout, new),
    }
    .run();
}

#[test]
fn during_a_rollback() {
    let site = machine();
    let first = site.stdout("build -q web");
    site.env.write("web/site/page", "hello again\n");
    let second = site.stdout("build -q web");
    assert_ne!(first, second);
    let target = format!("example.com/web@{}", first.trim());
    let command = ["rollback", &*target];
    Outage {
        site: &site,
        what: "a rollback",
        command: &command,
        check: &|said| {
            let now = current(&site, "web");
            assert!(now == first.trim() || (said.is_empty() && now == second.trim()), "{said:?} {now}");
        },
        again: &|_| assert_eq!(current(&site, "web"), first.trim()),
    }
    .run();
}

#[test]
fn during_a_removal_with_a_collection() {
    let site = machine();
    site.ok("build -q web");
    site.ok("remove example.com/web");
    let before = current(&site, "before");
    Outage {
        site: &site,
        what: "a collection",
        command: &["gc"],
        check: &|_| {
            assert_eq!((current(&site, "before"), current(&site, "web")), (before.clone(), String::new()));
            assert_eq!(site.stdout("build -q --locked before").trim(), before);
        },
        again: &|_| assert_eq!(current(&site, "before"), before),
    }
    .run();
}

#[test]
fn during_a_run() {
    if !is_root() {
        return skip("a loss of power during a run", "newuidmap gives a traced process no ids");
    }
    let Some(site) = run::tools().and_then(|archive| run::furnish(Site::with(archive))) else { return };
    // The view is made again.
    for name in ["views", "containers"] {
        std::fs::remove_dir_all(site.env.store().join(name)).expect("removed");
        site.env.make(format!("store/{name}"));
    }
    let digest = current(&site, "box");
    let command = ["run", "-q", "box"];
    Outage {
        site: &site,
        what: "a run",
        command: &command,
        check: &|_| {
            assert_eq!(current(&site, "box"), digest);
            assert_eq!(run::containers(&site), 0, "no container outlives the machine");
        },
        again: &|output| {
            assert_eq!(output.stdout, "hello, world\n");
            let output = site.env.larder(["run", "-q", "box", "--", "touch", "/usr/bin/new"]).failure(1);
            assert!(output.stderr.contains("Read-only file system"), "packages are read-only: {output:?}");
        },
    }
    .run();
}
