//! `larder build` of packages of one's own, in a sandbox. The tools of the sandbox are a static busybox.

use std::fs;

use insta::assert_snapshot;
use larder_testkit::archive::ArchiveBuilder;
use larder_testkit::{Output, is_root, skip};

use super::run::{furnish, tools};
use super::site::{Site, deb};

const TOOLS: [&str; 15] = [
    "chmod", "cp", "cut", "date", "dd", "grep", "ln", "mkdir", "mkfifo", "mknod", "nproc", "rm", "stat", "test", "wget",
];

pub(crate) fn archive() -> Option<ArchiveBuilder> {
    let mut package = deb("buildtools", "1");
    for tool in TOOLS {
        package = package.symlink(&format!("usr/bin/{tool}"), "busybox");
    }
    let interpreter = deb("snake", "3.11").program("usr/bin/snake", "#!/bin/sh\necho snake\n");
    Some(tools()?.package(package).package(interpreter))
}

/// A machine where sandboxes work; says why not where they don't.
pub(crate) fn machine() -> Option<Site> {
    furnish(Site::with(archive()?))
}

/// The same for an ordinary user.
fn machine_of_user() -> Option<Site> {
    furnish(Site::for_user_with(archive()?)?)
}

/// A recipe of `example.com/NAME`: more keys of `[package]`, the command, and more tables.
pub(crate) fn recipe(site: &Site, name: &str, (keys, run, tables): (&str, &str, &str)) {
    let text = format!(
        "[package]\nname = \"example.com/{name}\"\nversion = \"1.0\"\nsummary = \"A test\"\n{keys}\n\
         [build]\nfrom = \"debian.org/bookworm\"\nwith = [\"buildtools\"]\nrun = '''\n{run}\n'''\n{tables}\n"
    );
    site.env.write(format!("{name}/larder.toml"), text);
}

/// Builds a package that must be refused, and shows what is said.
#[track_caller]
pub(crate) fn refused(site: &Site, name: &str) -> String {
    let output = site.run(&format!("build -q {name}")).failure(1);
    assert_eq!(output.stdout, "");
    let none = site.run(&format!("inspect example.com/{name}"));
    assert_ne!(none.code, 0, "a failed build has given the package its name");
    output.stderr
}

/// The same, without what differs from run to run.
#[track_caller]
pub(crate) fn seen(site: &Site, name: &str) -> String {
    site.redact(&refused(site, name))
}

fn told(site: &Site, output: &Output) -> String {
    site.redact(&output.stderr)
}

#[track_caller]
pub(crate) fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{text}\ndoesn't say\n{word}");
    }
}

/// Documents of builds with everything in them; `None` where sandboxes don't work.
pub(crate) fn documents() -> Option<Vec<String>> {
    let site = machine()?;
    let split = "[split.doc]\npaths = [\"/opt/doc\"]\nsummary = \"x\"";
    recipe(&site, "one", ("", "mkdir -p $OUT/opt/doc\ntouch $OUT/opt/one $OUT/opt/doc/one", split));
    let one = site.stdout("build --json one");
    let text = fs::read_to_string(site.env.path("one/larder.toml")).expect("the recipe");
    site.env.write(
        "one/larder.toml",
        text.replace("[\"buildtools\"]", "[\"hello\", \"snake\"]")
            .replace("mkdir", "busybox mkdir")
            .replace("touch", "busybox touch"),
    );
    Some(vec![one, site.stdout("build --json one"), site.stdout("build --json -j 2 one box")])
}

const MAKE: &str = "mkdir -p $OUT/usr/bin\ncp hello $OUT/usr/bin/hello\nchmod 755 $OUT/usr/bin/hello";

#[test]
fn a_package_is_built_once() {
    let Some(site) = machine() else { return };
    recipe(&site, "hello", ("", MAKE, "[source]\npath = \"src\"\n[test]\nrun = \"hello | grep -q hi\""));
    site.env.write("hello/src/hello", "#!/bin/sh\necho hi\n");
    site.env.write("hello/src/LICENSE", "Do what you like.\n");
    assert_snapshot!(site.session(&["build hello", "build hello"]), @"
    $ larder build hello
    2> fetch and convert 1 package
    2> build example.com/hello@1.0
    2> test example.com/hello@1.0
      example.com/hello 2 files, 36 B
    3 packages in the sandbox, 1 fetched (12.7 KiB); the test passed
    built example.com/hello@1.0, unsigned
    blake3:<1>
    $ larder build hello
      example.com/hello 2 files, 36 B
    built before from the same inputs; nothing was run
    unchanged example.com/hello@1.0, unsigned
    blake3:<1>
    ");
    let logs = site.env.store().join("cache/logs");
    let log = fs::read_to_string(logs.join("example.com@hello.log")).expect("the log");
    assert!(log.starts_with("larder$ mkdir -p /out/usr/bin\n"), "{log}");
    // What isn't run writes no log.
    fs::remove_dir_all(&logs).expect("the logs");
    site.ok("build hello");
    assert!(!logs.exists());
    // A source that changes is built.
    site.env.write("hello/src/hello", "#!/bin/sh\necho hi there\n");
    let changed = site.stdout("build --json hello");
    assert!(changed.contains("\"cached\": false") && changed.contains("\"tested\": true"), "{changed}");
    // And one that changes back isn't.
    site.env.write("hello/src/hello", "#!/bin/sh\necho hi\n");
    let back = site.stdout("build --json hello");
    assert!(back.contains("\"cached\": true") && back.contains("\"changed\": true"), "{back}");
}

/// A key that comes later signs what is built then: what was built before stays what it is.
#[test]
fn who_signed_is_said() {
    let Some(site) = machine() else { return };
    recipe(&site, "hello", ("", "mkdir $OUT/opt\ntouch $OUT/opt/x", ""));
    assert!(site.stdout("build hello").contains("built example.com/hello@1.0, unsigned\n"));
    site.ok("key new --no-passphrase example.com");
    assert!(site.stdout("build hello").contains("unchanged example.com/hello@1.0, unsigned\n"));
    assert!(site.stdout("build --check hello").contains("unchanged example.com/hello@1.0, signed by example.com ("));
    assert!(site.stdout("build hello").contains("unchanged example.com/hello@1.0, signed by example.com ("));
    let document = site.stdout("build --json hello");
    assert!(document.contains("\"provenance\": \"signed\"") && document.contains("\"example.com "), "{document}");
}

#[test]
fn everybody_builds_the_same() {
    let (Some(root), Some(user)) = (machine(), machine_of_user()) else { return };
    let run = "id -u > who\nmkdir -p $OUT/opt/x\ndate -u -d @$SOURCE_DATE_EPOCH > $OUT/opt/x/time\nenv > $OUT/opt/x/env\n\
               hostname >> $OUT/opt/x/env\ncat who >> $OUT/opt/x/env\nstat -c %Y%A%U f >> $OUT/opt/x/env";
    let digests = [root, user].map(|site| {
        recipe(&site, "same", ("", run, "[source]\npath = \".\"\n"));
        site.env.write("same/f", "x");
        site.stdout("build -q --check same")
    });
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn nothing_of_the_host_is_visible() {
    let Some(mut site) = machine() else { return };
    site.env.set("SECRET", "hunter2");
    site.env.write("home/.netrc", "password hunter2\n");
    let home = site.env.path("home");
    let run = format!(
        "test -z \"${{SECRET-}}\"\ntest ! -e {}\ntest ! -e /work\nmkdir -p $OUT/opt\nenv > $OUT/opt/env\n\
         test \"$(pwd) $HOME $TZ $LC_ALL\" = \"/build /build UTC C.UTF-8\"\ntest -z \"$(ls -A)\"\n\
         test \"$(hostname) $(id -u)\" = \"larder-build 65000\"\ntest -n \"$SOURCE_DATE_EPOCH\"",
        home.display()
    );
    recipe(&site, "hermit", ("", &run, ""));
    site.ok("build hermit");
}

#[test]
fn a_failing_build_shows_its_log() {
    let Some(site) = machine() else { return };
    recipe(&site, "broken", ("", "echo compiling\ntrue && cat not-there\necho never", ""));
    assert_snapshot!(seen(&site, "broken"), @r"
    error: building example.com/broken@1.0 failed: `cat not-there` ended with code 1
      | larder$ echo compiling
      | compiling
      | larder$ true
      | larder$ cat not-there
      | cat: can't open 'not-there': No such file or directory
      hint: the whole log is $DIR/store/cache/logs/example.com@broken.log; `larder shell` opens the same sandbox
    ");
    assert!(!site.env.path("broken/larder.lock").exists(), "a failed build has written a lock");
    let log = site.env.store().join("cache/logs/example.com@broken.log");
    says(&fs::read_to_string(&log).expect("the log"), &["compiling\n", "not-there"]);
    site.ok("gc");
    assert!(!log.exists(), "the log of a package without a name outlives a collection");
}

#[test]
fn a_build_that_hangs_is_killed() {
    let Some(site) = machine() else { return };
    recipe(&site, "hang", ("", "echo waiting\nsleep 1000", ""));
    let text = fs::read_to_string(site.env.path("hang/larder.toml")).expect("the recipe");
    site.env.write("hang/larder.toml", text.replace("[build]\n", "[build]\ntimeout = \"1s\"\n"));
    assert_snapshot!(seen(&site, "hang"), @r#"
    error: building example.com/hang@1.0 was stopped: it took longer than 1 s
      | larder$ echo waiting
      | waiting
      | larder$ sleep 1000
      hint: say `timeout = "2h"` in [build] for one that needs longer
      hint: the whole log is $DIR/store/cache/logs/example.com@hang.log; `larder shell` opens the same sandbox
    "#);
}

#[test]
fn a_fork_bomb_ends_with_its_sandbox() {
    let Some(site) = machine() else { return };
    recipe(&site, "bomb", ("", "b() { b | b & }\nset +x\nb 2>/dev/null\nsleep 1000", ""));
    let text = fs::read_to_string(site.env.path("bomb/larder.toml")).expect("the recipe");
    site.env.write("bomb/larder.toml", text.replace("[build]\n", "[build]\ntimeout = \"2s\"\n"));
    says(&refused(&site, "bomb"), &["example.com/bomb@1.0"]);
    // Nothing of it is left: the next build works.
    recipe(&site, "next", ("", "mkdir $OUT/opt\ntouch $OUT/opt/x", ""));
    site.ok("build next");
}

#[test]
fn nothing_survives_its_sandbox() {
    let Some(site) = machine() else { return };
    recipe(&site, "daemon", ("", "sleep 424242 &\nmkdir $OUT/opt\ntouch $OUT/opt/x", ""));
    site.ok("build daemon");
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let left = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    let left: Vec<_> = left.filter(|line| line.windows(6).any(|word| word == b"424242")).collect();
    assert!(left.is_empty(), "{left:?}");
    for folder in ["tmp", "containers"] {
        let entries = fs::read_dir(site.env.store().join(folder)).expect("a folder").flatten();
        let left: Vec<_> = entries.map(|entry| entry.file_name()).filter(|name| name != ".lock").collect();
        assert!(left.is_empty(), "{folder}: {left:?}");
    }
}

#[test]
fn there_is_no_network() {
    let Some(site) = machine() else { return };
    let address = site.server.url();
    recipe(&site, "online", ("", &format!("wget -O $OUT/x {address}/dists/bookworm/InRelease"), ""));
    let text = refused(&site, "online");
    says(&text, &["`wget -O /out/x", "ended with code 1"]);
    recipe(&site, "named", ("", "wget -O $OUT/x http://example.com/", ""));
    says(&refused(&site, "named"), &["hint: a build has no network: name what it needs in [source]"]);
}

#[test]
fn what_is_outside_of_out_is_lost() {
    let Some(site) = machine() else { return };
    recipe(&site, "stray", ("", "touch /tmp/stray stray\nmkdir $OUT/opt\ntouch $OUT/opt/kept", ""));
    site.ok("build stray");
    let built = site.stdout("build --json stray");
    assert!(built.contains("\"files\": 1"), "{built}");
    recipe(&site, "usr", ("", "touch /usr/bin/stray", ""));
    says(&refused(&site, "usr"), &["hint: packages are read-only in a sandbox: install into $OUT"]);
}

#[test]
fn what_no_package_can_have_is_named() {
    let Some(site) = machine() else { return };
    for (name, run, words) in [
        (
            "setuid",
            "mkdir -p $OUT/usr/bin\ncp /usr/bin/busybox $OUT/usr/bin/su\nchmod 4755 $OUT/usr/bin/su",
            "example.com/setuid can't have /usr/bin/su: its mode is 4755, set-user-id",
        ),
        ("pipe", "mkdir -p $OUT/var/lib\nmkfifo $OUT/var/lib/pipe", "can't have /var/lib/pipe: it is a named pipe"),
        ("device", "mknod $OUT/null c 1 3", "`mknod /out/null c 1 3`"),
        (
            "bin",
            "mkdir $OUT/bin\ntouch $OUT/bin/x",
            "can't have /bin: that folder is only another name of one below /usr",
        ),
        ("proc", "mkdir $OUT/proc", "can't have /proc: that folder belongs to Larder or the kernel"),
        ("nothing", "echo done", "building example.com/nothing@1.0 left nothing in $OUT"),
    ] {
        recipe(&site, name, ("", run, ""));
        says(&refused(&site, name), &[words, "hint: "]);
    }
    recipe(
        &site,
        "split",
        ("", "mkdir $OUT/opt\ntouch $OUT/opt/x", "[split.dev]\npaths = [\"/usr/include\"]\nsummary = \"x\""),
    );
    says(
        &refused(&site, "split"),
        &["no file that example.com/split makes is matched by [split.dev] paths = [\"/usr/include\"]"],
    );
    recipe(&site, "conf", ("configuration = [\"/etc/conf\"]", "mkdir $OUT/opt\ntouch $OUT/opt/x", ""));
    says(&refused(&site, "conf"), &["says that /etc/conf is its configuration, and makes no such file"]);
    for (made, taken) in [("$OUT/usr/bin/hi", "/usr/bin/hi"), ("$OUT/usr/bin", "/usr/bin")] {
        let run = format!("mkdir -p $OUT/usr\ntest {made} = $OUT/usr/bin || mkdir $OUT/usr/bin\ntouch {made}");
        recipe(&site, "taken", ("", &run, "[install]\nlinks = { \"/usr/bin/hi\" = \"hello\" }"));
        let words =
            format!("example.com/taken wants a link at /usr/bin/hi and has made something else at {taken}\n  hint: ");
        says(&refused(&site, "taken"), &[&words]);
    }
    recipe(&site, "arm", ("", "true", "[host]\narch = [\"riscv64\"]"));
    says(&refused(&site, "arm"), &["example.com/arm may be built for riscv64, and this host is "]);
    let text = fs::read_to_string(site.env.path("arm/larder.toml")).expect("the recipe");
    site.env.write("arm/larder.toml", text.replace("\"1.0\"", "\"one point oh\""));
    says(&refused(&site, "arm"), &["arm/larder.toml:3:11: `version`: \"one point oh\" isn't a version"]);
}

#[test]
fn a_build_that_differs_is_told_where() {
    let Some(site) = machine() else { return };
    let run = "mkdir -p $OUT/opt\ndate +%s > $OUT/opt/when\ncp /proc/sys/kernel/random/uuid $OUT/opt/random\necho same > $OUT/opt/same";
    recipe(&site, "clock", ("", run, ""));
    site.ok("build clock");
    let output = site.run("build -q --check clock").failure(1);
    let text = told(&site, &output);
    says(
        &text,
        &[
            "two builds of example.com/clock@1.0 differ:",
            "\n  /opt/random: both have 37 bytes; from byte ",
            "\n  /opt/when: both have 11 bytes; from byte ",
            "hint: take times from SOURCE_DATE_EPOCH",
        ],
    );
    assert!(!text.contains("/opt/same"), "{text}");
}

#[test]
fn what_programs_need_is_required() {
    let Some(site) = machine() else { return };
    let run = "mkdir -p $OUT/usr/bin\necho '#!/usr/bin/snake' > $OUT/usr/bin/game\necho '#!/usr/bin/env lizard' > $OUT/usr/bin/other\n\
               echo '#!/bin/sh' > $OUT/usr/bin/fine\nchmod 755 $OUT/usr/bin/*";
    recipe(&site, "game", ("", run, ""));
    let text = fs::read_to_string(site.env.path("game/larder.toml")).expect("the recipe");
    site.env.write("game/larder.toml", text.replace("\"buildtools\"", "\"buildtools\", \"snake\""));
    assert_snapshot!(seen(&site, "game"), @r#"
    error: example.com/game needs what it doesn't require:
      /usr/bin/game of example.com/game needs /usr/bin/snake, which is in debian.org/snake
      /usr/bin/other of example.com/game needs lizard, which no package of the sandbox has
      hint: add to `requires` of example.com/game: "debian.org/snake"
      hint: what no package of the sandbox has must be in `with`, or made by the build itself
    "#);
    let text = text
        .replace("\"buildtools\"", "\"buildtools\", \"snake\"")
        .replace("summary", "requires = [\"debian.org/snake\"]\nsummary");
    site.env.write("game/larder.toml", text.replace("lizard", "game"));
    site.ok("build game");
}

#[test]
fn splits_become_packages() {
    let Some(site) = machine() else { return };
    let run = "mkdir -p $OUT/usr/include/x $OUT/usr/lib\necho h > $OUT/usr/include/x/x.h\necho a > $OUT/usr/lib/x.a\necho so > $OUT/usr/lib/x.so";
    let tables = "[split.dev]\npaths = [\"/usr/include\", \"/usr/lib/*.a\"]\nsummary = \"Headers\"";
    recipe(&site, "lib", ("", run, tables));
    assert_snapshot!(site.session(&["build lib", "packages"]), @"
    $ larder build lib
    2> fetch and convert 1 package
    2> build example.com/lib@1.0
      example.com/lib 1 file, 3 B
      example.com/lib-dev 2 files, 4 B
    3 packages in the sandbox, 1 fetched (12.7 KiB); no test
    built example.com/lib@1.0, unsigned
    blake3:<1>
    $ larder packages
    NAME                   VERSION  DIGEST           SIZE  IMAGES  SCRIPTS   SIGNED
    debian.org/base-files  12.4     <2>             202 B       1  declared  archive
    debian.org/buildtools  1        <3>             184 B       0            archive
    debian.org/hello       2.0      <4>             201 B       1  none      archive
    debian.org/toolbox     1.36     <5>           1.9 MiB       1  none      archive
    example.com/lib        1.0      <1>               3 B       0            unsigned
    example.com/lib-dev    1.0      <6>               4 B       0            unsigned
    ");
}

/// What is declared holds in a container of the package.
#[test]
fn a_package_has_users_and_imports() {
    let Some(site) = machine() else { return };
    let keys = "imports = { \"/opt/held\" = \"debian.org/hello\" }";
    let tables = "[install]\n\
                  users = [{ name = \"greeter\", home = \"/opt\" }]\n\
                  [test]\nrun = \"test $(/opt/held/usr/bin/hello you | cut -c1-5) = hello\\nid -u greeter\"\nwith = [\"buildtools\"]";
    recipe(&site, "held", (keys, "mkdir $OUT/opt\ntouch $OUT/opt/x", tables));
    says(
        &refused(&site, "held"),
        &["example.com/held imports debian.org/hello, which isn't in the sandbox", "hint: add \"hello\" to `with`"],
    );
    let text = fs::read_to_string(site.env.path("held/larder.toml")).expect("the recipe");
    site.env.write("held/larder.toml", text.replacen("\"buildtools\"", "\"buildtools\", \"hello\"", 1));
    site.ok("build held");
    // What it holds stays with it.
    site.ok("remove example.com/box");
    site.ok("gc");
    assert!(site.stdout("packages hello").contains("debian.org/hello"));
}

/// The test's container has it too, and what was built may be the link itself.
#[test]
fn a_package_has_links() {
    let Some(site) = machine() else { return };
    let tables = "[install]\nlinks = { \"/usr/bin/hi\" = \"hey\", \"/opt/hey\" = \"/usr/bin/hey\" }\n\
                  [test]\nrun = \"test $(hi) = hey\\ntest $(/opt/hey) = hey\\ntest ! -e /packages/example.com/linked@1.0/opt\"\nwith = [\"buildtools\"]";
    let make = "mkdir -p $OUT/usr/bin\necho '#!/bin/sh' > $OUT/usr/bin/hey\necho echo hey >> $OUT/usr/bin/hey\nchmod 755 $OUT/usr/bin/hey";
    recipe(&site, "linked", ("", make, tables));
    site.ok("build linked");
    recipe(&site, "linked", ("", &format!("{make}\nln -s hey $OUT/usr/bin/hi"), tables));
    site.ok("build linked");
}

#[test]
fn a_package_has_alternatives() {
    let Some(site) = machine() else { return };
    let tables = "[install]\nalternatives = [{ name = \"greet\", link = \"/usr/bin/greet\", path = \"/usr/bin/hey\", priority = 7, followers = [\n\
                  { name = \"greet.1\", link = \"/opt/greet.1\", path = \"/opt/hey.1\" }] }]\n\
                  [test]\nrun = \"test $(greet) = hey\\ntest $(cat /opt/greet.1) = manual\"\nwith = [\"buildtools\"]";
    let make = "mkdir -p $OUT/usr/bin $OUT/opt\necho '#!/bin/sh' > $OUT/usr/bin/hey\necho echo hey >> $OUT/usr/bin/hey\nchmod 755 $OUT/usr/bin/hey";
    recipe(&site, "choice", ("", make, tables));
    let words = "example.com/choice says that it has /opt/hey.1 for the alternative \"greet.1\", and makes no such file\n  hint: ";
    says(&refused(&site, "choice"), &[words]);
    recipe(&site, "choice", ("", &format!("{make}\necho manual > $OUT/opt/hey.1\ntouch $OUT/usr/bin/greet"), tables));
    says(&refused(&site, "choice"), &["wants a link at /usr/bin/greet and has made something else at /usr/bin/greet"]);
    recipe(&site, "choice", ("", &format!("{make}\necho manual > $OUT/opt/hey.1"), tables));
    site.ok("build choice");
    site.recipe("box", &["example.com/choice"], "run = [\"greet\"]\n");
    site.ok("build -q box");
    assert_eq!(site.stdout("run -q box"), "hey\n");
}

#[test]
fn a_test_must_pass() {
    let Some(site) = machine() else { return };
    let make = "mkdir -p $OUT/opt\necho hi > $OUT/opt/greeting";
    recipe(
        &site,
        "tested",
        ("", make, "[test]\nrun = \"cat /opt/greeting\\ngrep -q hello /opt/greeting\"\nwith = [\"buildtools\"]"),
    );
    assert_snapshot!(seen(&site, "tested"), @r"
    error: testing example.com/tested@1.0 failed: `grep -q hello /opt/greeting` ended with code 1
      | larder$ cat /opt/greeting
      | hi
      | larder$ grep -q hello /opt/greeting
      hint: the whole log is $DIR/store/cache/logs/example.com@tested.test.log; `larder shell` opens the same sandbox
    ");
    // A list is a program with its arguments, without a shell.
    recipe(
        &site,
        "tested",
        ("", make, "[test]\nrun = [\"grep\", \"-q\", \"$0 hello\", \"/opt/greeting\"]\nwith = [\"buildtools\"]"),
    );
    assert_snapshot!(seen(&site, "tested"), @"
    error: testing example.com/tested@1.0 failed: `grep -q $0 hello /opt/greeting` ended with code 1
      hint: the whole log is $DIR/store/cache/logs/example.com@tested.test.log; `larder shell` opens the same sandbox
    ");
    recipe(&site, "tested", ("", make, "[test]\nrun = [\"not-there\"]"));
    says(
        &refused(&site, "tested"),
        &["error: the test of example.com/tested@1.0 can't be run: not-there\n  because: "],
    );
    // The build's packages aren't there.
    recipe(&site, "tested", ("", make, "[test]\nrun = \"snake\""));
    let text = fs::read_to_string(site.env.path("tested/larder.toml")).expect("the recipe");
    site.env.write("tested/larder.toml", text.replace("\"buildtools\"", "\"buildtools\", \"snake\""));
    says(
        &refused(&site, "tested"),
        &["testing example.com/tested@1.0 failed: `snake` ended with code 127", "snake: not found"],
    );
}

#[test]
fn what_was_not_tested_is_not_taken_for_what_passed() {
    let Some(site) = machine() else { return };
    let make = "mkdir -p $OUT/opt\necho hi > $OUT/opt/greeting";
    recipe(&site, "later", ("", make, "[test]\nrun = \"grep -q hello /opt/greeting\"\nwith = [\"buildtools\"]"));
    let report = site.stdout("build --no-test --json later");
    says(&report, &["\"tested\": false"]);
    says(&site.run("build -q later").failure(1).stderr, &["testing example.com/later@1.0 failed"]);
}

#[test]
fn packages_are_built_in_order() {
    let Some(site) = machine() else { return };
    recipe(&site, "lib", ("", "mkdir -p $OUT/opt\necho hi > $OUT/opt/lib", ""));
    recipe(
        &site,
        "app",
        (
            "requires = [\"example.com/lib >=1\"]",
            "mkdir -p $OUT/opt\necho app > $OUT/opt/app",
            "[test]\nrun = \"cat /opt/lib /opt/app\"",
        ),
    );
    says(
        &refused(&site, "app"),
        &["example.com/app requires example.com/lib (>= 1), and there is no such package on this host"],
    );
    let output = site.run("build -q -j 2 app lib").success();
    assert_eq!(output.stdout.lines().count(), 2, "{output:?}");
    let many = site.stdout("build --json -j 2 app lib");
    assert!(many.contains("larder/builds/v1") && many.matches("\"cached\": true").count() == 2, "{many}");
    recipe(&site, "lib", ("requires = [\"example.com/app\"]", "true", ""));
    let output = site.run("build app lib").failure(1);
    says(
        &told(&site, &output),
        &["these packages need each other to be built: example.com/app -> example.com/lib -> example.com/app"],
    );
    recipe(&site, "own", ("requires = [\"example.com/own\"]", "true", ""));
    says(&refused(&site, "own"), &["these packages need each other to be built: example.com/own -> example.com/own"]);
    recipe(&site, "bad", ("", "false", ""));
    let output = site.run("build -q bad lib").failure(1);
    says(
        &told(&site, &output),
        &[
            "building example.com/bad@1.0 failed: `false` ended with code 1",
            "1 of 2 builds failed, the first of bad; 1 weren't begun",
        ],
    );
}

#[test]
fn sources_are_pinned() {
    let Some(site) = machine() else { return };
    let tree = site.env.make("fetched/hello-1.0");
    site.env.write("fetched/hello-1.0/data", "from an archive\n");
    assert!(tree.is_dir());
    let made = site.env.shell("cd fetched && tar --format=ustar --mtime=@1700000000 -czf hello-1.0.tar.gz hello-1.0 && sha256sum hello-1.0.tar.gz").success();
    let sha256 = made.stdout.split(' ').next().expect("a digest").to_owned();
    let url = format!("file://{}", site.env.path("fetched/hello-1.0.tar.gz").display());
    let run = "mkdir -p $OUT/opt\ncp data $OUT/opt/\necho $SOURCE_DATE_EPOCH > $OUT/opt/time\ngrep -q 1700000000 $OUT/opt/time";
    recipe(&site, "fetched", ("", run, &format!("[source]\nurl = \"{url}\"\nsha256 = \"{sha256}\"")));
    site.ok("build fetched");
    // It is in the store: nobody needs to fetch it again.
    fs::rename(site.env.path("fetched/hello-1.0.tar.gz"), site.env.path("moved")).expect("moved");
    site.ok("build --check fetched");
    let other = "0".repeat(64);
    fs::rename(site.env.path("moved"), site.env.path("fetched/hello-1.0.tar.gz")).expect("moved");
    recipe(&site, "swapped", ("", run, &format!("[source]\nurl = \"{url}\"\nsha256 = \"{other}\"")));
    says(
        &refused(&site, "swapped"),
        &[
            "isn't the pinned source: expected sha256:0000",
            &format!("hint: it was changed at its origin: if you trust what is there now, write sha256 = \"{sha256}\""),
        ],
    );
}

#[test]
fn commits_are_sources() {
    let Some(site) = machine() else { return };
    let git = "git -C repo -c user.name=a -c user.email=a@example.com";
    let made = site.env.shell(&format!(
        "git init -q -b main repo && echo one > repo/file && {git} add file && {git} commit -q -m one && {git} rev-parse HEAD && \
         echo two > repo/file && {git} commit -q -a -m two"
    ));
    if made.code != 0 {
        return skip("git as a source", format!("git doesn't work here: {}", made.stderr.trim()));
    }
    let commit = made.stdout.trim().to_owned();
    let url = format!("file://{}", site.env.path("repo").display());
    let run = "grep -q one file\nmkdir $OUT/opt\ncp file $OUT/opt/";
    recipe(&site, "commit", ("", run, &format!("[source]\ngit = \"{url}\"\ncommit = \"{commit}\"")));
    site.ok("build commit");
    recipe(&site, "lost", ("", run, &format!("[source]\ngit = \"{url}\"\ncommit = \"{}\"", "1".repeat(40))));
    says(&refused(&site, "lost"), &[&format!("can't fetch commit {} of file://", "1".repeat(40))]);
}

#[test]
fn a_full_disk_is_named() {
    if !is_root() {
        return skip("a build that fills the disk", "this needs root, for a small file system");
    }
    let Some(site) = machine() else { return };
    recipe(&site, "large", ("", "mkdir $OUT/opt\ndd if=/dev/zero of=$OUT/opt/zero bs=1M", ""));
    let line = "mkdir small && mount -t tmpfs -o size=64m none small && larder --root small/store build -q large";
    let output = site.env.shell(&format!("unshare -m sh -c '{line}'"));
    if output.stderr.contains("unshare") || output.stderr.contains("mount:") {
        return skip("a build that fills the disk", output.stderr.trim());
    }
    let output = output.failure(1);
    says(
        &output.stderr,
        &["building example.com/large@1.0 was stopped: it filled the disk of the store", "hint: make room"],
    );
}

#[test]
fn the_sandbox_can_be_looked_at() {
    let Some(site) = machine() else { return };
    recipe(&site, "look", ("", "false", "[source]\npath = \"src\""));
    site.env.write("look/src/a/file", "here\n");
    let output = site
        .env
        .larder(["shell", "-q", "look", "--", "sh", "-c", "pwd; cat a/file; echo x > a/file; touch $OUT/x; exit 7"])
        .failure(7);
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("/build\nhere\n", ""));
    assert_eq!(fs::read_to_string(site.env.path("look/src/a/file")).expect("the source"), "here\n");
    let output = site.run("shell box").failure(125);
    says(&output.stderr, &["this is the recipe of an image, and that of a package is needed here"]);
    let output = site.run("run look").failure(125);
    says(&output.stderr, &["this is the recipe of a package, and that of an image is needed here"]);
}

#[test]
fn an_ordinary_user_builds() {
    let Some(site) = machine_of_user() else { return };
    recipe(
        &site,
        "closed",
        (
            "",
            "mkdir -p $OUT/opt/closed\necho x > $OUT/opt/closed/file\nchmod 0 $OUT/opt/closed/file $OUT/opt/closed",
            "",
        ),
    );
    site.ok("build closed");
    recipe(&site, "setuid", ("", "mkdir $OUT/opt\ntouch $OUT/opt/x\nchmod 6755 $OUT/opt/x", ""));
    says(&refused(&site, "setuid"), &["can't have /opt/x: its mode is 6755"]);
    let left: Vec<_> =
        fs::read_dir(site.env.store().join("tmp")).expect("tmp").flatten().map(|entry| entry.file_name()).collect();
    assert!(left.is_empty(), "{left:?}");
}
