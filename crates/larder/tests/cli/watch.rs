//! `larder watch`: what changes is built, what runs is started anew, and the end of it ends everything.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use super::run::machine;
use super::site::Site;

/// How long a line is waited for before the test fails: no measure, only an end.
const END: Duration = Duration::from_secs(120);

/// A running `larder watch`, and what it says on both streams.
struct Watching {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Watching {
    fn start(site: &Site, arguments: &[&str]) -> Self {
        let mut command = site.env.larder_command([&["watch"], arguments].concat());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("larder watch");
        let (sender, lines) = channel();
        let streams: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().expect("piped")), Box::new(child.stderr.take().expect("piped"))];
        for stream in streams {
            let sender = sender.clone();
            thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    _ = sender.send(line);
                }
            });
        }
        Self { child, lines, said: Vec::new() }
    }

    /// Reads until a line begins so.
    #[track_caller]
    fn until(&mut self, start: &str) -> String {
        loop {
            match self.lines.recv_timeout(END) {
                Ok(line) => {
                    self.said.push(line.clone());
                    if line.starts_with(start) {
                        return line;
                    }
                }
                Err(_) => panic!("no line begins with {start:?}:\n{}", self.said.join("\n")),
            }
        }
    }

    /// Sends a signal, and gives what else is said and the exit code.
    fn end(mut self, signal: &str) -> (Vec<String>, Option<i32>) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status().expect("kill");
        assert!(status.success());
        let mut rest = Vec::new();
        // Both streams end with the last process that has them.
        while let Ok(line) = self.lines.recv_timeout(END) {
            rest.push(line);
        }
        (rest, self.child.wait().expect("an end").code())
    }
}

impl Drop for Watching {
    /// What is still running when a test fails is killed.
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// A machine with a recipe of files alone.
fn plain() -> Site {
    let site = Site::new();
    site.env.write(
        "web/larder.toml",
        "[image]\nname = \"example.com/web\"\nversion = \"1\"\nbase = \"none\"\n[files]\n\"/srv\" = \"site\"\n\"/all\" = \".\"\n",
    );
    site.env.write("web/site/index.html", "one\n");
    site
}

#[test]
fn every_change_is_built() {
    let site = plain();
    let mut watching = Watching::start(&site, &["web"]);
    watching.until("built example.com/web@1");
    assert!(site.env.path("web/larder.lock").exists(), "the build's own lock, which starts no other");

    site.env.write("web/site/index.html", "two\n");
    watching.until("note: site/index.html changed");
    watching.until("built example.com/web@1 blake3:");
    // An editor's save: another file, renamed over.
    site.env.write("web/site/.new", "three\n");
    fs::rename(site.env.path("web/site/.new"), site.env.path("web/site/index.html")).expect("renamed");
    watching.until("built example.com/web@1 blake3:");
    site.env.write("web/site/deep/er/page", "x\n");
    watching.until("built example.com/web@1 blake3:");
    site.env.write("web/site/deep/er/page", "in a folder that is new\n");
    watching.until("built example.com/web@1 blake3:");
    fs::remove_dir_all(site.env.path("web/site/deep")).expect("removed");
    watching.until("built example.com/web@1 blake3:");
    site.env.write("web/site/deep/er/page", "back\n");
    watching.until("built example.com/web@1 blake3:");

    site.env.write("web/larder.toml", "[image]\nname = 1\n");
    watching.until("error: web/larder.toml:2:8: `name` must be a string, not a number");
    let text = "[image]\nname = \"example.com/web\"\nversion = \"2\"\nbase = \"none\"\n[files]\n\"/srv\" = \"site\"\n";
    site.env.write("web/larder.toml", text);
    watching.until("built example.com/web@2 blake3:");
    let (rest, code) = watching.end("-INT");
    assert_eq!(code, Some(0), "{rest:?}");
    let history = site.stdout("history --json example.com/web");
    // The first, and one for each content; nothing was built twice. What comes in pieces may have been seen in pieces.
    assert!((7..=10).contains(&history.matches("\"digest\"").count()), "{history}");
}

#[test]
fn a_wrong_beginning_is_no_end() {
    let site = Site::new();
    site.env.write("web/larder.toml", "[image]\n");
    let mut watching = Watching::start(&site, &["web"]);
    watching.until("error: web/larder.toml:1:2: [image] has no `name`");
    site.env.write("web/larder.toml", "[image]\nname = \"example.com/web\"\nversion = \"1\"\nbase = \"none\"\n");
    watching.until("built example.com/web@1");
    assert_eq!(watching.end("-TERM").1, Some(0));

    let output = site.run("watch nowhere").failure(1);
    assert!(output.stderr.contains("there is no recipe here"), "{output:?}");
    let output = site.run("watch web --run --net everything").failure(2);
    assert!(output.stderr.starts_with("error: --run: invalid value 'everything' for '--net <NET>'"), "{output:?}");
    let output = site.run("watch web -- sh").failure(2);
    assert!(output.stderr.contains("--run"), "{output:?}");
}

#[test]
fn a_container_follows_its_recipe() {
    let Some(site) = machine(false) else { return };
    let script = "trap 'echo bye; exit 0' QUIT; echo has $(cat /srv/word); while :; do sleep 0.05; done";
    let recipe =
        format!("run = [\"sh\", \"-c\", {script:?}]\nstop-signal = \"SIGQUIT\"\n[files]\n\"/srv\" = \"data\"\n");
    site.recipe("live", &[], &recipe);
    site.env.write("live/data/word", "one\n");
    let mut watching = Watching::start(&site, &["live", "--run", "--env", "A=b"]);
    watching.until("has one");
    site.env.write("live/data/word", "two\n");
    watching.until("bye");
    watching.until("has two");

    site.recipe("live", &[], &recipe.replace("data", "nowhere"));
    watching.until("error: live/larder.toml:");
    site.recipe("live", &[], &recipe);
    watching.until("unchanged example.com/live@1.0");
    site.env.write("live/data/word", "three\n");
    // The one that a failed build left running, and only now.
    watching.until("bye");
    watching.until("has three");
    assert_eq!(watching.said.iter().filter(|line| *line == "bye").count(), 2, "{:?}", watching.said);
    let (rest, code) = watching.end("-INT");
    assert!(rest.contains(&"bye".to_owned()) && code == Some(0), "{rest:?} {code:?}");
    let left = fs::read_dir(site.env.store().join("containers")).expect("containers");
    assert_eq!(left.filter(|entry| entry.as_ref().is_ok_and(|entry| entry.file_name() != ".lock")).count(), 0);
}

#[test]
fn a_container_that_ends_by_itself_or_with_its_watcher() {
    let Some(site) = machine(false) else { return };
    let write = |script: &str| site.recipe("live", &[], &format!("run = [\"sh\", \"-c\", {script:?}]\n"));
    write("echo short; exit 5");
    let mut watching = Watching::start(&site, &["live", "--run"]);
    watching.until("note: the container has ended (exit status: 5)");
    write("trap 'echo gone; exit 0' TERM; echo long; while :; do sleep 0.05; done");
    watching.until("long");
    // Nobody is there to end it: the kernel asks it to.
    let (rest, code) = watching.end("-KILL");
    assert!(rest.contains(&"gone".to_owned()) && code.is_none(), "{rest:?} {code:?}");
}
