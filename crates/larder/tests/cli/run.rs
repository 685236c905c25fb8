//! `larder run`: a container is a process. The workload is a static busybox in a package of its own.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use insta::assert_snapshot;
use larder_testkit::archive::{Archive, ArchiveBuilder};
use larder_testkit::skip;

use super::own::{Own, own};
use super::site::{Site, deb};

const TOOLS: [&str; 14] =
    ["sh", "cat", "tr", "echo", "env", "id", "ls", "sleep", "touch", "true", "false", "pwd", "hostname", "kill"];

/// An archive whose Essential package is a shell with its tools; says why not where the machine has none.
pub(crate) fn tools() -> Option<ArchiveBuilder> {
    let Ok(program) = fs::read("/usr/bin/busybox").or_else(|_| fs::read("/bin/busybox")) else {
        skip("containers on the command line", "there is no busybox; scripts/setup installs busybox-static");
        return None;
    };
    let mut package = deb("toolbox", "1.36").essential().program("usr/bin/busybox", program);
    for tool in TOOLS {
        package = package.symlink(&format!("usr/bin/{tool}"), "busybox");
    }
    let base = deb("base-files", "12.4").essential().directory_with("tmp", 0o1777, "root", "root").directory("root");
    Some(
        Archive::builder()
            .package(package)
            .package(base)
            .package(deb("hello", "2.0").program("usr/bin/hello", "#!/bin/sh\necho hello, $1\n")),
    )
}

/// A machine where containers work; says why not where they don't.
pub(crate) fn machine(user: bool) -> Option<Site> {
    furnish(if user { Site::for_user_with(tools()?)? } else { Site::with(tools()?) })
}

/// Builds an image on a machine, and looks whether a container of it starts.
pub(crate) fn furnish(site: Site) -> Option<Site> {
    site.recipe(
        "box",
        &["hello"],
        "run = [\"hello\", \"world\"]\nenv = { COLOUR = \"red\" }\nlabels = { x = \"y\" }\n",
    );
    site.ok("build box");
    let output = site.run("run -q box -- true");
    if output.code != 0 {
        let reason = output.stderr.replace('\n', " ");
        assert!(
            ["forbid", "not permitted", "namespace", "denied"].iter().any(|word| reason.contains(word)),
            "{reason}"
        );
        skip("containers on the command line", reason);
        return None;
    }
    Some(site)
}

#[test]
fn a_container_is_a_process() {
    let Some(site) = machine(false) else { return };
    assert_snapshot!(site.session(&["run box", "run example.com/box", "run example.com/box -- hello you", "run box -- false", "run box -- nothing"]), @r#"
    $ larder run box
    hello, world
    $ larder run example.com/box
    hello, world
    $ larder run example.com/box -- hello you
    hello, you
    $ larder run box -- false
    [exit code 1]
    $ larder run box -- nothing
    2> error: the container has no program "nothing"
    [exit code 127]
    "#);
    let output = site.env.larder_with(["run", "box", "--", "tr", "a-z", "A-Z"], b"hello\n").success();
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("HELLO\n", ""));
    let output = site.env.larder(["run", "box", "--", "sh", "-c", "echo out; echo err >&2; exit 7"]).failure(7);
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("out\n", "err\n"));
    assert_eq!(site.env.larder(["run", "box", "--", "sh", "-c", "kill -TERM $$"]).code, 143);
    let mut left: Vec<_> = fs::read_dir(site.env.store().join("containers"))
        .expect("containers")
        .map(|e| e.expect("entry").file_name())
        .collect();
    left.retain(|name| name != ".lock");
    assert!(left.is_empty(), "a container that has ended leaves nothing behind: {left:?}");
}

#[test]
fn options_reach_the_container() {
    let Some(mut site) = machine(false) else { return };
    site.env.set("FROM_OUTSIDE", "yes");
    site.env.write("data/file", "from the host\n");
    let out = |arguments: &[&str]| site.env.larder([&["run", "-q"], arguments].concat()).success().stdout;
    assert_eq!(out(&["--env", "COLOUR=blue", "box", "--", "sh", "-c", "echo $COLOUR"]), "blue\n");
    assert_eq!(
        out(&["-e", "FROM_OUTSIDE", "-e", "NOT_SET", "box", "--", "sh", "-c", "echo $FROM_OUTSIDE ${NOT_SET-unset}"]),
        "yes unset\n"
    );
    assert_eq!(out(&["box", "--", "sh", "-c", "echo ${FROM_OUTSIDE-unset} $COLOUR"]), "unset red\n");
    assert_eq!(out(&["--workdir", "/usr/bin", "box", "--", "pwd"]), "/usr/bin\n");
    assert_eq!(out(&["--user", "1234:5678", "box", "--", "id", "-u"]), "1234\n");
    assert_eq!(out(&["--mount", "data:/data:ro", "box", "--", "cat", "/data/file"]), "from the host\n");
    let output = site.env.larder(["run", "--mount", "data:/data:ro", "box", "--", "touch", "/data/new"]).failure(1);
    assert!(output.stderr.contains("Read-only file system"), "{output:?}");
    _ = site.env.larder(["run", "--mount", "data:/data", "box", "--", "touch", "/data/new"]).success();
    assert!(Path::new(&site.env.path("data/new")).exists());
    let output = site.env.larder(["run", "box", "--", "touch", "/usr/bin/new"]).failure(1);
    assert!(output.stderr.contains("Read-only file system"), "{output:?}");
    _ = site.env.larder(["run", "--writable", "box", "--", "touch", "/usr/bin/new"]).success();
    _ = site.env.larder(["run", "box", "--", "ls", "/packages/debian.org/hello@2.0/usr/bin/hello"]).success();
}

#[test]
fn the_view_can_be_chosen_and_an_unusual_one_is_said() {
    let Some(site) = machine(false) else { return };
    for (way, words) in [("checkout", "a checkout"), ("symlink", "symbolic links")] {
        let output = site.env.larder(["run", "--view", way, "box", "--", "cat", "/usr/bin/hello"]).success();
        assert!(output.stderr.contains(&format!("the image is shown through {words}")), "{output:?}");
        assert!(output.stderr.contains(&format!("--view {way}; docs/views.md")), "{output:?}");
        let usual = site.env.larder(["run", "box", "--", "cat", "/usr/bin/hello"]).success();
        assert_eq!(output.stdout, usual.stdout);
        assert!(!usual.stderr.contains("is shown through"), "{usual:?}");
        fs::write(site.env.path("chosen.toml"), format!("view = \"{way}\"\n")).expect("a file");
        let output = site.env.larder(["--config", "chosen.toml", "run", "box", "--", "true"]).success();
        assert!(output.stderr.contains(&format!("--view {way}")), "{output:?}");
    }
    let output = site.env.larder(["run", "--view", "overlay", "box"]).failure(2);
    assert!(output.stderr.contains("erofs, erofs-loop, stubs, checkout, symlink"), "{output:?}");
}

#[test]
fn the_recipe_says_how() {
    let Some(site) = machine(false) else { return };
    let script = "id -u; pwd; echo $COLOUR; trap 'echo quit; exit 3' QUIT; echo ready; while :; do sleep 0.05; done";
    site.recipe(
        "served",
        &["hello"],
        &format!(
            "run = [\"sh\", \"-c\", {script:?}]\nenv = {{ COLOUR = \"green\" }}\nuser = \"1234\"\n\
             workdir = \"/usr/bin\"\nstop-signal = \"SIGQUIT\"\n"
        ),
    );
    site.ok("build served");
    let mut command = site.env.larder_command(["run", "-q", "served"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("larder run");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines().map(|line| line.expect("a line"));
    assert_eq!(lines.by_ref().take(4).collect::<Vec<_>>(), ["1234", "/usr/bin", "green", "ready"]);
    let kill = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill");
    assert!(kill.success());
    assert_eq!(lines.collect::<Vec<_>>(), ["quit"]);
    assert_eq!(child.wait().expect("an end").code(), Some(3));
}

#[test]
fn a_terminal_of_its_own() {
    let Some(site) = machine(false) else { return };
    if !Path::new("/usr/bin/script").exists() {
        return skip("a container with a terminal", "there is no program script, of Debian's bsdutils");
    }
    let inside = "larder run -q -it box -- sh -c 'test -t 0 && test -t 1 && echo on a terminal; exit 7'";
    let output = site.env.shell(&format!("script -qec \"{inside}\" /dev/null </dev/null")).failure(7);
    assert!(output.stdout.contains("on a terminal\r\n"), "{output:?}");
}

#[test]
fn what_cannot_be_run_says_why() {
    let Some(site) = machine(false) else { return };
    site.recipe("empty", &[], "");
    site.env.write("box2/larder.toml", "[image]\nname = \"example.com/box2\"\nversion = \"1\"\nfrom = \"debian.org/bookworm\"\n[files]\n\"/plain\" = \"larder.toml\"\n");
    assert_snapshot!(site.session(&[
        "run -q empty",
        "run -q box2 -- /plain",
        "run -q box2 -- /nowhere/at/all",
        "run -q --user nobody-here box",
        "run -q --workdir /nowhere box",
    ]), @r#"
    $ larder run -q empty
    2> error: example.com/empty@1.0 doesn't say what to run
    2>   hint: say it after two dashes: larder run IMAGE -- COMMAND, or set `run` in the recipe
    [exit code 125]
    $ larder run -q box2 -- /plain
    2> error: can't execute "/plain" in the container
    2>   because: Permission denied (os error 13)
    [exit code 126]
    $ larder run -q box2 -- /nowhere/at/all
    2> error: the container has no program "/nowhere/at/all"
    [exit code 127]
    $ larder run -q --user nobody-here box
    2> error: the container has no user "nobody-here"
    [exit code 125]
    $ larder run -q --workdir /nowhere box
    2> error: can't enter the working directory /nowhere of the container
    2>   because: No such file or directory (os error 2)
    [exit code 125]
    "#);
}

#[test]
fn a_package_is_run_without_a_recipe() {
    let Some(site) = machine(false) else { return };
    assert_snapshot!(site.session(&["run -q debian.org/hello", "run debian.org/hello -- hello you", "images"]), @r"
    $ larder run -q debian.org/hello
    hello,
    $ larder run debian.org/hello -- hello you
    hello, you
    $ larder images
    NAME              VERSION  DIGEST        PACKAGES  CREATED (UTC)     SIGNED
    debian.org/hello  2.0      <1>                  3  YYYY-MM-DD hh:mm  unsigned
    example.com/box   1.0      <2>                  3  YYYY-MM-DD hh:mm  unsigned
    ");
}

#[test]
fn an_ordinary_user_runs_containers() {
    let Some(site) = machine(true) else { return };
    assert_snapshot!(site.session(&["run box"]), @r"
    $ larder run box
    hello, world
    ");
    assert_eq!(site.env.larder(["run", "box", "--", "sh", "-c", "exit 7"]).code, 7);
}

#[test]
fn a_recipe_is_built_when_it_changed_and_only_then() {
    let Some(site) = machine(false) else { return };
    _ = site.server.take_requests();
    assert_eq!(site.stdout("run box"), "hello, world\n");
    assert!(site.server.take_requests().is_empty());
    site.recipe("box", &["hello"], "run = [\"hello\", \"there\"]\n");
    assert_eq!(site.stdout("run -q box"), "hello, there\n");
    assert_eq!(site.stdout("history --json example.com/box").matches("\"digest\"").count(), 2);
}

/// Starts a container that says when it runs, and waits for that.
fn start(site: &Site, script: &str) -> (Child, impl Read + use<>) {
    let mut command = site.env.larder_command(["run", "-q", "box", "--", "sh", "-c", script]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut child = command.spawn().expect("started");
    let mut stdout = child.stdout.take().expect("piped");
    let mut ready = [0; 6];
    stdout.read_exact(&mut ready).expect("the container's word");
    assert_eq!(&ready, b"ready\n");
    (child, stdout)
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status();
    assert!(status.expect("kill").success());
}

#[test]
fn signals_reach_the_container() {
    let Some(site) = machine(false) else { return };
    for (name, code) in [("-TERM", 143), ("-INT", 130)] {
        let (mut child, _stdout) = start(&site, "echo ready; exec sleep 100");
        signal(&child, name);
        let status = child.wait().expect("its end");
        assert_eq!(status.code(), Some(code), "{name}: {status:?}");
    }
    let (mut child, mut stdout) = start(&site, "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.1; done");
    signal(&child, "-TERM");
    let mut last = String::new();
    stdout.read_to_string(&mut last).expect("its last word");
    assert_eq!((last.as_str(), child.wait().expect("its end").code()), ("bye\n", Some(3)));
    assert_eq!(containers(&site), 0);
}

#[test]
fn a_killed_container_leaves_nothing_and_the_next_command_tidies_up() {
    let Some(site) = machine(false) else { return };
    let (mut child, _stdout) = start(&site, "echo ready; exec sleep 4321");
    assert_eq!(containers(&site), 1);
    signal(&child, "-KILL");
    child.wait().expect("its end");
    // Everything in the container goes with its supervisor, but not at once.
    for _ in 0..100 {
        site.ok("images");
        if containers(&site) == 0 {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(containers(&site), 0);
    let running = site.env.shell("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '").stdout;
    assert!(!running.contains("sleep 4321"), "the workload outlived its supervisor");
}

#[test]
fn limits_hold_or_are_said_to_be_impossible() {
    let Some(site) = machine(false) else { return };
    let output = site.env.larder(["run", "--memory", "64m", "box", "--", "true"]);
    if output.code != 0 {
        let said = format!("{} {}", output.code, output.stderr);
        assert!(said.starts_with("125 error: can't set the memory limit of 67108864 bytes: "), "{said}");
        assert!(said.contains("hint: "), "{said}");
        return skip("limits on the command line", said.replace('\n', " "));
    }
    let hog = "x=0123456789abcdef; while :; do x=$x$x; done";
    let output = site.env.larder(["run", "--memory", "64m", "box", "--", "sh", "-c", hog]).failure(137);
    assert_eq!(
        output.stderr,
        "note: the container reached its memory limit of 64.0 MiB: the kernel killed 1 process in it\n"
    );
    let forks = "for n in 1 2 3 4; do sleep 60 >/dev/null 2>&1 & echo $n; done";
    let limits = ["run", "--pids-limit", "3", "--cpus", "0.5", "-m", "64m", "box", "--", "sh", "-c", forks];
    let output = site.env.larder(limits);
    assert!(output.code != 0 && output.stdout == "1\n2\n" && output.stderr.contains("can't fork"), "{output:?}");
}

#[test]
fn another_runtime_runs_the_container() {
    let Some(mut site) = machine(false) else { return };
    for (name, path) in [("runc", "/usr/sbin/runc"), ("crun", "/usr/bin/crun")] {
        if !Path::new(path).exists() {
            skip(format!("larder run --runtime {name}"), format!("there is no {name}; scripts/setup installs it"));
            continue;
        }
        let output = site.env.larder(["run", "--runtime", name, "box", "--", "sh", "-c", "echo $COLOUR; exit 7"]);
        if output.code == 125 {
            assert!(output.stderr.contains(&format!("error: {name} can't run the container: ")), "{output:?}");
            skip(format!("larder run --runtime {name}"), output.stderr.replace('\n', " "));
            continue;
        }
        assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (7, "red\n", ""), "{name}");
        let output = site.env.larder(["run", "--runtime", name, "box", "--", "touch", "/usr/bin/new"]).failure(1);
        assert!(output.stderr.contains("Read-only file system"), "{output:?}");
        _ = site.env.larder(["run", "--runtime", name, "--writable", "box", "--", "touch", "/usr/bin/new"]).success();
        assert_eq!(containers(&site), 0);
    }
    if !Path::new("/usr/sbin/crun").exists() && !Path::new("/usr/local/sbin/crun").exists() {
        site.env.set("PATH", "/nowhere");
        assert_snapshot!(site.session(&["run --runtime crun box"]), @r"
        $ larder run --runtime crun box
        2> error: --runtime crun: there is no program crun on this host
        2>   hint: install Debian's package crun, or leave --runtime out
        [exit code 125]
        ");
    }
}

#[test]
fn what_a_running_container_needs_is_kept() {
    let Some(site) = machine(false) else { return };
    let (mut child, mut stdout) = start(&site, "echo ready; read line; hello $line");
    site.ok("remove example.com/box");
    site.ok("gc");
    _ = site.run("fsck --deep").success();
    child.stdin.take().expect("piped").write_all(b"again\n").expect("its input");
    let mut said = String::new();
    stdout.read_to_string(&mut said).expect("its output");
    assert_eq!((said.as_str(), child.wait().expect("its end").code()), ("hello, again\n", Some(0)));
    site.ok("gc");
    assert!(site.stdout("packages").lines().count() == 1, "now it can go");
}

/// How many containers the store has a folder of.
pub(crate) fn containers(site: &Site) -> usize {
    let entries = fs::read_dir(site.env.store().join("containers")).expect("containers");
    entries.filter(|entry| entry.as_ref().is_ok_and(|entry| entry.file_name() != ".lock")).count()
}

/// A package that says hello from `/usr/bin/hey`, with the program that it is run by in Debian's Essential package.
fn hey(version: &str) -> Own {
    own("example.com/hey", version)
        .requires(&["debian.org/hello"])
        .program("usr/bin/hey", format!("#!/bin/sh\necho hey, $1 from {version}; hello $1\n"))
}

#[test]
fn a_package_of_ones_own_is_run() {
    let Some(site) = machine(false) else { return };
    hey("1").publish(&site);
    assert_snapshot!(site.session(&[
        "run example.com/hey",
        "run example.com/hey -- hey you",
        "run example.com/hey -- hostname",
        "images",
        "inspect example.com/hey/run",
    ]), @"
    $ larder run example.com/hey
    hey, from 1
    hello,
    $ larder run example.com/hey -- hey you
    hey, you from 1
    hello, you
    $ larder run example.com/hey -- hostname
    hey
    $ larder images
    NAME                 VERSION  DIGEST        PACKAGES  CREATED (UTC)     SIGNED
    example.com/box      1.0      <1>                  3  YYYY-MM-DD hh:mm  unsigned
    example.com/hey/run  1        <2>                  4  YYYY-MM-DD hh:mm  unsigned
    $ larder inspect example.com/hey/run
    image:        example.com/hey/run@1
    digest:       blake3:<2>
    signed:       unsigned
    architecture: amd64
    from:         debian.org/bookworm, base essential
    asked for:    example.com/hey =1
    run:          hey
    own files:    0 (0 B)
    packages:     4 (1.9 MiB)
      PACKAGE                VERSION     SIZE  SCRIPTS   SIGNED        DIGEST
      debian.org/base-files  12.4       202 B  declared  archive       <3>
      debian.org/hello       2.0        201 B  none      archive       <4>
      debian.org/toolbox     1.36     1.9 MiB  none      archive       <5>
      example.com/hey        1           40 B  none      no statement  <6>
    ");
    // Another package, another image; what it was can be run as well.
    hey("2").publish(&site);
    assert_snapshot!(site.session(&[
        "run example.com/hey -- hey me",
        "run example.com/hey@1 -- hey me",
        "run example.com/hey@3",
        "rollback example.com/hey",
        "run example.com/hey -- hey me",
        "history example.com/hey/run",
    ]), @"
    $ larder run example.com/hey -- hey me
    hey, me from 2
    hello, me
    $ larder run example.com/hey@1 -- hey me
    hey, me from 1
    hello, me
    $ larder run example.com/hey@3
    2> error: example.com/hey has no record of version 3
    2>   hint: it has 1, 2; `larder history example.com/hey` lists its records
    [exit code 125]
    $ larder rollback example.com/hey
    now example.com/hey@1
    blake3:<1>
    $ larder run example.com/hey -- hey me
    hey, me from 1
    hello, me
    $ larder history example.com/hey/run
       VERSION  DIGEST                                                                   WHEN (UTC)        BY
    *  1        blake3:<2>  YYYY-MM-DD hh:mm  run
       2        blake3:<3>  YYYY-MM-DD hh:mm  run
       1        blake3:<2>  YYYY-MM-DD hh:mm  run
    ");
    // What it says itself goes before its name, and what asks for more needs consent as always.
    hey("3").action("start", &["hey", "start"]).publish(&site);
    own("example.com/none", "1").file("opt/x", "x").publish(&site);
    own("example.com/needy", "1").requires(&["absent"]).publish(&site);
    assert_snapshot!(site.session(&[
        "run example.com/hey",
        "run --action validate example.com/hey",
        "run example.com/none",
        "run example.com/none -- cat /opt/x",
        "run example.com/needy",
        "run example.com/nothing",
    ]), @"
    $ larder run example.com/hey
    hey, start from 3
    hello, start
    $ larder run --action validate example.com/hey
    2> error: example.com/hey/run@3 has no action validate
    2>   hint: it has start
    [exit code 125]
    $ larder run example.com/none
    2> error: example.com/none/run@1 doesn't say what to run
    2>   hint: say it after two dashes: larder run IMAGE -- COMMAND, or set `run` in the recipe
    [exit code 125]
    $ larder run example.com/none -- cat /opt/x
    x$ larder run example.com/needy
    2> error: can't choose packages from debian.org/bookworm:
    2>   example.com/needy can't be installed:
    2>     example.com/needy 1 needs example.com/absent, which does not exist
    2>   hint: packages of one's own come from the store: `larder build` their recipes first
    [exit code 125]
    $ larder run example.com/nothing
    2> error: there is no image example.com/nothing on this host
    2>   hint: `larder images` lists those that are here
    [exit code 125]
    ");
    // An image of the name goes before a package.
    site.env.write("hey/larder.toml", "[image]\nname = \"example.com/hey\"\nversion = \"9\"\nfrom = \"debian.org/bookworm\"\nrun = [\"echo\", \"an image\"]\n");
    site.ok("build -q hey");
    assert_eq!(site.stdout("run -q example.com/hey"), "an image\n");
}

/// A program that is a link which its package wants made.
#[test]
fn a_made_link_is_a_program() {
    let Some(site) = machine(false) else { return };
    own("example.com/linked", "1")
        .program("opt/linked", "#!/bin/sh\necho linked\n")
        .links(&[("usr/bin/linked", "/opt/linked")])
        .publish(&site);
    assert_eq!(site.stdout("run -q example.com/linked"), "linked\n");
}
