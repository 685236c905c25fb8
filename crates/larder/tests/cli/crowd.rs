//! Sixteen processes at once build, run, update, remove, check and collect in one store. Each gets what it would have got
//! alone; nothing that is in use is taken away.
//!
//! `LARDER_TEST_MINUTES` is for how long; some seconds when nobody says.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use larder_testkit::Output;

use super::kills::current;
use super::run::{containers, furnish, tools};
use super::site::{Site, deb};

const SECONDS: u64 = 12;
/// How much longer the crowd may go on where no collection has removed anything beside a living container yet.
const PATIENCE: Duration = Duration::from_secs(120);
/// Whoever writes rests for the last part of each period, in milliseconds: a collection waits until nobody writes, and gives
/// up after some seconds. Containers live on meanwhile.
const PERIOD: u128 = 3_000;
const WORK: u128 = 1_800;

/// What the processes of one kind did.
#[derive(Default)]
struct Done(Mutex<BTreeMap<&'static str, (usize, usize)>>);

impl Done {
    fn count(&self, what: &'static str, worked: bool) {
        let mut all = self.0.lock().expect("counts");
        let (done, refused) = all.entry(what).or_default();
        *(if worked { done } else { refused }) += 1;
    }
}

struct Crowd<'a> {
    site: &'a Site,
    start: Instant,
    time: Duration,
    done: Done,
    /// The digest of each state of each recipe, as the first build of it said.
    digests: Mutex<BTreeMap<String, String>>,
    /// The collections that removed something, and those beside a container that lived before and after.
    collected: AtomicUsize,
    beside: AtomicUsize,
}

impl Crowd<'_> {
    /// Whether the time has passed, and with it something happened that the test is about: on a busy machine that can take longer.
    fn over(&self) -> bool {
        let passed = self.start.elapsed();
        let shown = self.beside.load(Ordering::Relaxed) > 0;
        passed >= self.time && (shown || passed >= self.time + PATIENCE)
    }

    /// Works and rests to the end.
    fn repeat(&self, mut work: impl FnMut(usize)) {
        for round in 0.. {
            while self.start.elapsed().as_millis() % PERIOD > WORK {
                thread::sleep(Duration::from_millis(10));
            }
            if self.over() {
                break;
            }
            work(round);
        }
    }

    #[track_caller]
    fn done(&self, what: &'static str, output: Output) -> String {
        assert_eq!(output.code, 0, "{what}: {output:?}");
        self.done.count(what, true);
        output.stdout
    }

    /// Changes a file of its recipe and builds it; three states follow each other, and each has one digest for ever.
    fn build(&self, name: &str) {
        self.repeat(|round| {
            let state = format!("{name} {}", round % 3);
            self.site.env.write(format!("{name}/page"), &state);
            let digest = self.done("build", self.site.run(&format!("build -q {name}")));
            let known = self.digests.lock().expect("digests").entry(state.clone()).or_insert(digest.clone()).clone();
            assert_eq!(known, digest, "{state}");
            // What was reported is there, whoever collects.
            assert_eq!(current(self.site, name), digest.trim());
        });
    }

    /// Runs a container that looks its files up late: some of them only when a collection has had time to take them.
    fn run(&self) {
        let script = "sleep 2.5; hello again; cat /packages/debian.org/hello@2.0/usr/bin/hello | tr -d '\\n'";
        self.repeat(|_| {
            let output = self.done("run", self.site.env.larder(["run", "-q", "box", "--", "sh", "-c", script]));
            assert_eq!(output, "hello, again\n#!/bin/shecho hello, $1");
        });
    }

    fn update(&self, name: &str) {
        self.repeat(|_| _ = self.done("update", self.site.run(&format!("update -q {name}"))));
    }

    /// Takes away an image of its own, each time another, so that there is something to collect; and one that others run,
    /// who make it again.
    fn remove(&self, own: &str, others: &str) {
        self.repeat(|round| {
            self.site.env.write(format!("{own}/page"), format!("{round}"));
            self.site.ok(&format!("build -q {own}"));
            for name in [own, others] {
                let output = self.site.run(&format!("remove example.com/{name}"));
                assert!(output.code == 0 || output.stderr.contains("no image"), "{output:?}");
                self.done.count("remove", output.code == 0);
            }
        });
    }

    fn collect(&self) {
        while !self.over() {
            let living = containers(self.site);
            let output = self.site.run("gc");
            assert!(output.code == 0 || output.stderr.contains("in use by another process"), "{output:?}");
            self.done.count("gc", output.code == 0);
            let something = output.code == 0 && !output.stdout.contains("removed 0 FileSets");
            self.collected.fetch_add(usize::from(something), Ordering::Relaxed);
            let beside = something && living > 0 && containers(self.site) > 0;
            self.beside.fetch_add(usize::from(beside), Ordering::Relaxed);
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn check(&self) {
        self.repeat(|_| _ = self.done("fsck", self.site.run("fsck --deep")));
    }
}

#[test]
fn sixteen_processes_share_a_store() {
    let Some(site) = tools()
        .map(|archive| archive.package(deb("shared", "1.0").file("usr/share/large", vec![7; 400_000])))
        .and_then(|archive| furnish(Site::in_memory(archive)))
    else {
        return;
    };
    let names: Vec<String> = (0..6).map(|number| format!("own{number}")).collect();
    for name in names.iter().map(String::as_str).chain(["moving0", "moving1", "fleeting"]) {
        site.recipe(name, &["shared", "hello"], "[files]\n\"/page\" = \"page\"\n");
        site.env.write(format!("{name}/page"), name);
    }
    let minutes = std::env::var("LARDER_TEST_MINUTES").ok().map(|text| text.parse::<u64>().expect("a number"));
    let time = Duration::from_secs(minutes.map_or(SECONDS, |minutes| minutes * 60));
    let (start, (done, digests, collected, beside)) = (Instant::now(), Default::default());
    let crowd = Crowd { site: &site, start, time, done, digests, collected, beside };
    thread::scope(|scope| {
        let crowd = &crowd;
        for name in &names {
            scope.spawn(|| crowd.build(name));
        }
        for _ in 0..4 {
            scope.spawn(|| crowd.run());
        }
        for name in ["moving0", "moving1"] {
            scope.spawn(|| crowd.update(name));
        }
        scope.spawn(|| crowd.remove("fleeting", "box"));
        scope.spawn(|| crowd.collect());
        scope.spawn(|| crowd.collect());
        scope.spawn(|| crowd.check());
    });
    let lasted = crowd.start.elapsed();
    let done = crowd.done.0.into_inner().expect("counts");
    let (collected, beside) = (crowd.collected.into_inner(), crowd.beside.into_inner());
    let text = format!(
        "CROWD in {lasted:.0?}: done and refused {done:?}; {collected} collections took something, {beside} beside living containers\n"
    );
    _ = std::io::stderr().write_all(text.as_bytes());
    assert!(
        ["build", "run", "update", "fsck"].iter().all(|what| done.get(what).is_some_and(|(done, _)| *done > 0)),
        "{text}"
    );
    assert!(collected > 0 && beside > 0, "nothing was collected: the test tests nothing");
    site.ok("gc");
    site.ok("fsck --deep");
    assert_eq!(containers(&site), 0);
    for name in &names {
        assert_eq!(site.stdout(&format!("build -q --locked {name}")).trim(), current(&site, name));
    }
}
