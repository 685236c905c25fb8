//! `larder debian capture`, and `captured` in a recipe: maintainer scripts that do good and bad things in a sandbox.

use std::fs;

use insta::assert_snapshot;
use larder_testkit::archive::Deb;
use larder_testkit::{is_root, skip};

use super::run::{furnish, tools};
use super::site::{Site, deb};

const TOOLS: [&str; 14] =
    ["chmod", "chown", "cp", "date", "dd", "ln", "mkdir", "mkfifo", "mknod", "printf", "rm", "seq", "wget", "xargs"];

/// What the scripts of `thing` do: one of everything that is taken, made or refused.
const EVERYTHING: &str = r"#!/bin/sh
set -e
[ $1 = configure ] && [ -z $2 ] && [ $DPKG_MAINTSCRIPT_NAME = postinst ] && [ $DPKG_MAINTSCRIPT_PACKAGE = thing ]
[ $DEBIAN_FRONTEND = noninteractive ] && /usr/sbin/policy-rc.d && exit 1
# Taken.
echo listen 80 > /etc/thing/thing.conf
echo from preinst >> /etc/thing/preinst
ln -s ../../../../../etc/shadow /etc/thing/out
echo thing:x:777: >> /etc/group
echo thing:x:777:777::/var/lib/thing:/bin/sh >> /etc/passwd
mkdir /var/lib/thing
chown 777:777 /var/lib/thing
chmod 750 /var/lib/thing
echo other > /usr/share/thing/own
echo other > /etc/other.conf
# Made by composers.
touch /var/lib/dpkg/alternatives/x /etc/ld.so.cache
# Refused.
echo -----BEGIN PRIVATE KEY----- > /etc/thing/key.pem
printf 'SQLite format 3\000' > /var/lib/thing/db
cat /dev/urandom | dd bs=8 count=1 of=/etc/thing/password 2> /dev/null
cp /usr/bin/busybox /etc/thing/set-id
chmod 4755 /etc/thing/set-id
mkfifo /etc/thing/pipe
rm /etc/thing/removed
echo x > /usr/bin/new
echo x > '/etc/thing/in
two lines'
touch /etc/thing/nobodys
chown 4242 /etc/thing/nobodys
rm -r /etc/thing/folder
ln -s /tmp /etc/thing/folder
echo log > /var/log/thing.log
# None of this is in the layer.
touch /tmp/x /run/x /dev/shm/x
# And this ends with the container.
sleep 1000 &
";

fn thing(version: &str, postinst: &str) -> Deb {
    deb("thing", version)
        .depends("scripttools")
        .file("etc/thing/removed", "")
        .file("etc/thing/folder/file", "")
        .file("usr/share/thing/own", "own\n")
        .directory("var/log")
        .directory("var/lib/dpkg/alternatives")
        .script("preinst", "#!/bin/sh\nset -e\necho $1 $DPKG_MAINTSCRIPT_NAME > /etc/thing/preinst\n")
        .script("postinst", postinst)
}

/// A machine with packages that have scripts; says why not where there can be none.
fn machine(packages: Vec<Deb>) -> Option<Site> {
    if !is_root() {
        skip("capturing maintainer scripts", "it needs root");
        return None;
    }
    furnish(Site::with(with_tools(packages)?))
}

fn with_tools(packages: Vec<Deb>) -> Option<larder_testkit::archive::ArchiveBuilder> {
    let mut package = deb("scripttools", "1").depends("other");
    for tool in TOOLS {
        package = package.symlink(&format!("usr/bin/{tool}"), "busybox");
    }
    let archive = tools()?.package(package).package(deb("other", "1").file("etc/other.conf", "mine\n"));
    Some(packages.into_iter().fold(archive, larder_testkit::archive::ArchiveBuilder::package))
}

/// Writes the recipe of `example.com/NAME`, a package with a script that installs it.
fn own(site: &Site, name: &str, script: &str) {
    let text = format!(
        "[package]\nname = \"example.com/{name}\"\nversion = \"1\"\nsummary = \"x\"\n\
         requires = [\"debian.org/scripttools\"]\n[build]\nfrom = \"debian.org/bookworm\"\n\
         run = \"busybox mkdir -p $OUT/usr/bin; cd $OUT/usr/bin; echo '#!/bin/sh' > {name}; busybox chmod 755 {name}\"\n\
         [install]\nusers = [{{ name = \"{name}\" }}]\nscript = '''\n{script}\n'''\n"
    );
    site.env.write(format!("{name}/larder.toml"), text);
}

/// A script of `thing` that must be refused, and what is said.
fn refused(postinst: &str) -> Option<String> {
    let site = machine(vec![thing("1.0", &format!("#!/bin/sh\nset -e\n{postinst}\n"))])?;
    let output = site.run("debian capture -q thing").failure(1);
    assert_eq!(output.stdout, "");
    assert!(!site.env.store().join("cache/captures").exists(), "something is told of it");
    site.ok("fsck --deep");
    let tmp: Vec<_> = fs::read_dir(site.env.store().join("tmp")).into_iter().flatten().flatten().collect();
    assert!(tmp.is_empty(), "{tmp:?}");
    Some(site.redact(&output.stderr))
}

/// Documents with everything in them; `None` where nothing can be captured.
pub(crate) fn documents() -> Option<Vec<String>> {
    let site = machine(vec![thing("1.0", EVERYTHING)])?;
    site.recipe("web", &["thing"], "captured = [\"thing\"]\n");
    let captured = site.stdout("debian capture --json thing");
    let image = [site.stdout("build --json web"), site.stdout("inspect --json example.com/web")];
    own(&site, "tool", "echo x > /etc/tool.conf; echo x > /usr/bin/new");
    Some(vec![
        captured,
        image[0].clone(),
        image[1].clone(),
        site.stdout("build --json tool"),
        site.stdout("inspect --json example.com/tool"),
    ])
}

#[test]
fn what_is_taken_made_and_refused() {
    let Some(site) = machine(vec![thing("1.0", EVERYTHING)]) else { return };
    assert_snapshot!(site.session(&["debian capture thing", "debian capture -q thing", "debian capture -q thing=1.0"]), @r"
    $ larder debian capture thing
    2> fetch and convert 3 packages
    2> fetch thing 1.0
    2> configure debian.org/thing@1.0 in a sandbox
    WHAT     SCRIPTS  PATH                          WHY
    taken    changed  /etc/other.conf               it takes the place of debian.org/other's
    taken    added    /etc/thing/in\ntwo\x20lines
    taken    added    /etc/thing/out
    taken    added    /etc/thing/preinst
    taken    added    /etc/thing/thing.conf
    taken    changed  /usr/share/thing/own
    taken    added    /var/lib/thing
    made     changed  /etc/group                    the composer of users makes it of all packages' users
    made     added    /etc/ld.so.cache              a composer makes it of all packages
    made     changed  /etc/passwd                   the composer of users makes it of all packages' users
    made     added    /var/lib/dpkg/alternatives/x  alternatives are declared and chosen by a composer
    refused  changed  /etc/thing/folder             it stands in a folder's place
    refused  removed  /etc/thing/folder/file        it was removed, and a package can only add and change
    refused  added    /etc/thing/key.pem            it holds a private key, which every image would share
    refused  added    /etc/thing/nobodys            its owner is number 4242, which is nobody's
    refused  added    /etc/thing/password           it is another each time the scripts are run: it holds a time, a number or a secret
    refused  added    /etc/thing/pipe               it is a named pipe
    refused  removed  /etc/thing/removed            it was removed, and a package can only add and change
    refused  added    /etc/thing/set-id             it is set-user-id or set-group-id
    refused  added    /tmp/x                        it is a log, a backup or a leftover: it differs each time
    refused  added    /usr/bin/new                  no place that a package's scripts may fill
    refused  added    /var/lib/thing/db             it is a database (SQLite)
    refused  added    /var/log/thing.log            it is a log, a backup or a leftover: it differs each time
    captured debian.org/thing@1.0: 7 taken, 4 made by composers, 12 refused
    blake3:<1> (6 files, 53 B)
    $ larder debian capture -q thing
    blake3:<1>
    $ larder debian capture -q thing=1.0
    blake3:<1>
    ");
}

/// A password, a time and a name that are others each time, and a key that lies where the list allows files.
#[test]
fn what_is_another_each_time_and_keys_never_reach_the_store() {
    let secrets = "#!/bin/sh
set -e
echo secret $(cat /proc/sys/kernel/random/uuid) > /etc/thing/password
date > /etc/thing/time
touch /var/lib/dpkg-$(cat /proc/sys/kernel/random/uuid)
echo -----BEGIN OPENSSH PRIVATE KEY----- not-for-everybody > /etc/thing/plain
";
    let Some(site) = machine(vec![thing("1.0", secrets)]) else { return };
    let digest = site.stdout("debian capture -q thing");
    let again = Site::with(with_tools(vec![thing("1.0", secrets)]).expect("tools"));
    assert_eq!(again.stdout("debian capture -q thing"), digest, "another machine captures the same");
    let shown = site.stdout("provenance debian.org/thing/declarations@1.0+captured1 --json");
    assert!(
        shown.contains("larder:build/capture/v1") && shown.contains("pool/main/thing/thing_1.0_amd64.deb"),
        "{shown}"
    );
    for root in [site.env.store(), again.env.store()] {
        let objects = walk(&root.join("objects"));
        assert!(!objects.is_empty());
        for object in objects {
            let text = String::from_utf8_lossy(&fs::read(&object).expect("an object")).into_owned();
            // The script itself is in the sandbox, and says it as well.
            let is_script = text.starts_with("#!");
            assert!(is_script || !text.contains("not-for-everybody") && !text.contains("secret "), "{text}");
        }
    }
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.flat_map(|entry| if entry.path().is_dir() { walk(&entry.path()) } else { vec![entry.path()] }).collect()
}

#[test]
fn scripts_that_fail_and_that_want_a_network() {
    let Some(failed) = refused("echo about to fail\ncat /nowhere") else { return };
    assert_snapshot!(failed, @r"
    error: configuring debian.org/thing@1.0 failed: `/var/lib/dpkg/info/thing.postinst configure` ended with code 1
      | larder$ export 'DPKG_MAINTSCRIPT_NAME=preinst'
      | larder$ /var/lib/dpkg/tmp.ci/preinst install
      | larder$ export 'DPKG_MAINTSCRIPT_NAME=postinst'
      | larder$ /var/lib/dpkg/info/thing.postinst configure
      | about to fail
      | cat: can't open '/nowhere': No such file or directory
      hint: nothing was kept: leave the package out of `captured`, and put what it lacks into the image with [files]
      hint: the whole log is $DIR/store/cache/logs/debian.org@thing.script.log
    ");
    let network = refused("wget http://192.0.2.1/x").expect("root");
    assert_snapshot!(network, @r"
    error: configuring debian.org/thing@1.0 failed: `/var/lib/dpkg/info/thing.postinst configure` ended with code 1
      | larder$ export 'DPKG_MAINTSCRIPT_NAME=preinst'
      | larder$ /var/lib/dpkg/tmp.ci/preinst install
      | larder$ export 'DPKG_MAINTSCRIPT_NAME=postinst'
      | larder$ /var/lib/dpkg/info/thing.postinst configure
      | Connecting to 192.0.2.1 (192.0.2.1:80)
      | wget: can't connect to remote host (192.0.2.1): Network is unreachable
      hint: scripts have no network: what they would fetch must be in a package
      hint: the whole log is $DIR/store/cache/logs/debian.org@thing.script.log
    ");
    let device = refused("mknod /etc/thing/device c 1 3").expect("root");
    assert_snapshot!(device, @r"
    error: configuring debian.org/thing@1.0 failed: `/var/lib/dpkg/info/thing.postinst configure` ended with code 1
      | larder$ export 'DPKG_MAINTSCRIPT_NAME=preinst'
      | larder$ /var/lib/dpkg/tmp.ci/preinst install
      | larder$ export 'DPKG_MAINTSCRIPT_NAME=postinst'
      | larder$ /var/lib/dpkg/info/thing.postinst configure
      | mknod: /etc/thing/device: Operation not permitted
      hint: nothing was kept: leave the package out of `captured`, and put what it lacks into the image with [files]
      hint: the whole log is $DIR/store/cache/logs/debian.org@thing.script.log
    ");
}

#[test]
fn scripts_that_leave_too_much() {
    let Some(many) = refused("mkdir /etc/thing/many; cd /etc/thing/many; seq 1 200500 | xargs touch") else { return };
    assert_snapshot!(many, @r"
    error: the scripts of debian.org/thing left more than 200000 files
      hint: nothing was kept: leave the package out of `captured`, and put what it lacks into the image with [files]
    ");
    let large = refused("dd if=/dev/null of=/etc/thing/large bs=1024 seek=2097152 2> /dev/null").expect("root");
    assert_snapshot!(large, @r"
    error: the scripts of debian.org/thing left /etc/thing/large of 2147483648 bytes: all that is kept of them may have 1073741824
      hint: nothing was kept: leave the package out of `captured`, and put what it lacks into the image with [files]
    ");
}

#[test]
fn what_cannot_be_captured() {
    let Some(site) = machine(vec![thing("1.0", "#!/bin/sh\n")]) else { return };
    site.recipe("own", &[], "");
    assert_snapshot!(site.session(&[
        "debian capture -q hello",
        "debian capture -q nothing",
        "debian capture -q thing=2.0",
        "debian capture -q thing --from example.com/stack",
    ]), @r#"
    $ larder debian capture -q hello
    2> error: debian.org/hello@2.0 has no scripts that install or configure it: there is nothing to capture
    2>   hint: leave hello out of `captured`
    [exit code 1]
    $ larder debian capture -q nothing
    2> error: can't choose packages from debian.org/bookworm:
    2>   nothing is called "nothing", and nothing provides it; did you mean thing?
    [exit code 1]
    $ larder debian capture -q thing=2.0
    2> error: can't choose packages from debian.org/bookworm:
    2>   no version meets "thing =2.0": there is 1.0
    [exit code 1]
    $ larder debian capture -q thing --from example.com/stack
    2> error: example.com/stack is no distribution that this host knows
    2>   hint: `larder build` its recipe first; Debian's suites are known, such as debian.org/bookworm
    [exit code 1]
    "#);
}

#[test]
fn an_ordinary_user_is_told_why_not() {
    let Some(archive) = with_tools(vec![thing("1.0", EVERYTHING)]) else { return };
    let Some(site) = Site::for_user_with(archive).and_then(furnish) else { return };
    assert_snapshot!(site.session(&["debian capture -q thing"]), @r"
    $ larder debian capture -q thing
    2> error: the scripts of debian.org/thing can't be run by an ordinary user: they give files to several users, as only root can
    2>   hint: run it as root; what root captured and locked can be built and run by anybody who has the store
    [exit code 1]
    ");
}

#[test]
fn an_image_takes_what_was_captured() {
    let Some(site) = machine(vec![thing("1.0", EVERYTHING)]) else { return };
    site.recipe("web", &["thing"], "captured = [\"thing\"]\n");
    assert_snapshot!(site.session(&[
        "build web",
        "build web",
        "inspect example.com/web",
        "run -q web -- cat /etc/thing/thing.conf /etc/thing/preinst /etc/other.conf /usr/share/thing/own",
        "run -q web -- busybox stat -c %A:%U:%G:%Y /var/lib/thing",
        "run -q web -- ls /etc/thing",
    ]), @"
    $ larder build web
    2> fetch and convert 3 packages
    2> fetch thing 1.0
    2> configure debian.org/thing@1.0 in a sandbox
    captured: debian.org/thing: refused /etc/thing/folder/file: it was removed, and a package can only add and change (and 11 more)
    override: /etc/other.conf of debian.org/thing/declarations@1.0+captured1 instead of debian.org/other@1's
    5 packages, 3 fetched (32.6 KiB), scripts: 3 none, 1 declared, 1 captured, 0 skipped
    built example.com/web@1.0, unsigned
    blake3:<1>
    $ larder build web
    captured: debian.org/thing: refused /etc/thing/folder/file: it was removed, and a package can only add and change (and 11 more)
    override: /etc/other.conf of debian.org/thing/declarations@1.0+captured1 instead of debian.org/other@1's
    5 packages, 0 fetched (0 B), scripts: 3 none, 1 declared, 1 captured, 0 skipped
    unchanged example.com/web@1.0, unsigned
    blake3:<1>
    $ larder inspect example.com/web
    image:        example.com/web@1.0
    digest:       blake3:<1>
    signed:       unsigned
    architecture: amd64
    from:         debian.org/bookworm, base essential
    asked for:    thing
    own files:    0 (0 B)
    packages:     5 (1.9 MiB)
      PACKAGE                 VERSION     SIZE  SCRIPTS   SIGNED   DIGEST
      debian.org/base-files   12.4       202 B  declared  archive  <2>
      debian.org/other        1          179 B  none      archive  <3>
      debian.org/scripttools  1          201 B  none      archive  <4>
      debian.org/thing        1.0        201 B  captured  archive  <5>
      debian.org/toolbox      1.36     1.9 MiB  none      archive  <6>
    $ larder run -q web -- cat /etc/thing/thing.conf /etc/thing/preinst /etc/other.conf /usr/share/thing/own
    listen 80
    install preinst
    from preinst
    other
    other
    $ larder run -q web -- busybox stat -c %A:%U:%G:%Y /var/lib/thing
    drwxr-x---:thing:thing:1700000000
    $ larder run -q web -- ls /etc/thing
    folder
    in?two lines
    out
    preinst
    removed
    thing.conf
    ");
    assert_snapshot!(site.redact(&lines_about(&site, "captured", 9)), @r#"
    captured = "blake3:<1>"
    capture-rule = "capture/1"
    captured-files = [
        "/etc/other.conf 0644 root:root blake3:<2>",
        "/etc/thing/in\\ntwo\\x20lines 0644 root:root blake3:<3>",
        "/etc/thing/out 0777 root:root -> ../../../../../etc/shadow",
        "/etc/thing/preinst 0644 root:root blake3:<4>",
        "/etc/thing/thing.conf 0644 root:root blake3:<5>",
        "/usr/share/thing/own 0644 root:root blake3:<2>",
    "#);
    // What was captured comes from nowhere else, and every link of it holds.
    site.ok("verify example.com/web");
}

/// Lines of the lock of `web`, from the first that begins with a word.
fn lines_about(site: &Site, word: &str, count: usize) -> String {
    let lock = fs::read_to_string(site.env.path("web/larder.lock")).expect("a lock");
    let lines = lock.lines().skip_while(|line| !line.starts_with(word)).take(count);
    lines.collect::<Vec<_>>().join("\n")
}

/// A lock alone brings the capture back, by running the scripts again; and if they leave something else, that is said.
#[test]
fn a_lock_pins_what_was_captured() {
    let Some(site) = machine(vec![thing("1.0", EVERYTHING)]) else { return };
    site.recipe("web", &["thing"], "captured = [\"thing\"]\n");
    let digest = site.stdout("build -q web");
    let lock = fs::read_to_string(site.env.path("web/larder.lock")).expect("a lock");
    let again = Site::with(with_tools(vec![thing("1.0", EVERYTHING)]).expect("tools"));
    again.recipe("web", &["thing"], "captured = [\"thing\"]\n");
    again.env.write("web/larder.lock", &lock);
    // Archives of two machines are signed by two keys, but their files are the same.
    assert_eq!(again.stdout("build -q --locked web"), digest);
    let other = Site::with(with_tools(vec![thing("1.0", EVERYTHING)]).expect("tools"));
    other.recipe("web", &["thing"], "captured = [\"thing\"]\n");
    let at = lock.find("captured = \"blake3:").expect("a capture") + "captured = \"blake3:".len();
    let forged = format!("{}{}{}", &lock[..at], "ab".repeat(32), &lock[at + 64..]);
    let line = forged.lines().find(|line| line.contains("/etc/thing/thing.conf")).expect("a line").to_owned();
    other.env.write("web/larder.lock", forged.replace(&line, &line.replace("0644", "0600")));
    assert_snapshot!(other.session(&["build -q --locked web", "images"]), @r"
    $ larder build -q --locked web
    2> error: the scripts of debian.org/thing left something else than the lock has (locked blake3:<1>, found blake3:<2>): /etc/thing/thing.conf is another
    2>   hint: `larder update RECIPE thing` takes what is found now; or leave it out of `captured`
    [exit code 1]
    $ larder images
    NAME  VERSION  DIGEST  PACKAGES  CREATED (UTC)  SIGNED
    ");
    other.ok("update -q web thing");
    other.ok("build -q --locked web");
    // Without the package in `captured` its scripts are what they were.
    site.recipe("web", &["thing"], "");
    assert_snapshot!(site.session(&["build -q --locked web"]), @r"
    $ larder build -q --locked web
    2> error: web/larder.lock doesn't match the recipe:
    2>   the lock has, and the recipe hasn't: captured thing
    2>   hint: build without --locked to write the lock anew
    [exit code 1]
    ");
    site.ok("build -q web");
    let lock = fs::read_to_string(site.env.path("web/larder.lock")).expect("a lock");
    assert!(lock.contains("format = 1\n") && !lock.contains("captured"), "{lock}");
}

#[test]
fn what_an_image_cannot_capture() {
    let Some(site) = machine(vec![thing("1.0", "#!/bin/sh\nexit 3\n")]) else { return };
    site.recipe("typo", &["thing"], "captured = [\"thin\"]\n");
    site.recipe("versioned", &["thing"], "captured = [\"thing >=1\"]\n");
    site.recipe("plain", &["hello"], "captured = [\"hello\"]\n");
    site.recipe("failing", &["thing"], "captured = [\"thing\"]\n");
    let text = "[package]\nname = \"example.com/own\"\nversion = \"1\"\nsummary = \"x\"\n\
                [build]\nfrom = \"debian.org/bookworm\"\nrun = \"echo x > $OUT/x\"\n";
    site.env.write("own/larder.toml", text);
    site.ok("build -q own");
    site.recipe("owns", &["example.com/own"], "captured = [\"example.com/own\"]\n");
    assert_snapshot!(site.session(&[
        "build -q typo",
        "build -q versioned",
        "build -q plain",
        "build -q owns",
        "build -q failing",
        "images",
    ]), @r#"
    $ larder build -q typo
    2> error: `captured` names thin, which isn't among the image's packages
    2>   hint: did you mean thing?
    [exit code 1]
    $ larder build -q versioned
    2> error: versioned/larder.toml:6:13: `captured`: "thing >=1" has a version: `captured` names packages, and which versions they have `packages` says
    2>   |
    2> 6 | captured = ["thing >=1"]
    2>   |             ^^^^^^^^^^^
    2>   hint: write names alone, such as captured = ["libpam-runtime"]
    [exit code 1]
    $ larder build -q plain
    2> error: debian.org/hello@2.0 has no scripts that install or configure it: there is nothing to capture
    2>   hint: leave hello out of `captured`
    [exit code 1]
    $ larder build -q owns
    2> error: `captured` names example.com/own, which is no package of Debian's: only theirs have maintainer scripts
    2>   hint: a package of one's own says `install.script` in its recipe
    [exit code 1]
    $ larder build -q failing
    2> error: configuring debian.org/thing@1.0 failed: `/var/lib/dpkg/info/thing.postinst configure` ended with code 3
    2>   | larder$ export 'DPKG_MAINTSCRIPT_NAME=preinst'
    2>   | larder$ /var/lib/dpkg/tmp.ci/preinst install
    2>   | larder$ export 'DPKG_MAINTSCRIPT_NAME=postinst'
    2>   | larder$ /var/lib/dpkg/info/thing.postinst configure
    2>   hint: nothing was kept: leave the package out of `captured`, and put what it lacks into the image with [files]
    2>   hint: the whole log is $DIR/store/cache/logs/debian.org@thing.script.log
    [exit code 1]
    $ larder images
    NAME             VERSION  DIGEST        PACKAGES  CREATED (UTC)     SIGNED
    example.com/box  1.0      <1>                  3  YYYY-MM-DD hh:mm  unsigned
    "#);
    assert!(!site.env.path("failing/larder.lock").exists());
}

/// A newer version is captured anew, from the recipe's folder and by the image's name alone.
#[test]
fn an_update_captures_the_newer_version() {
    let newer = "#!/bin/sh\necho listen 81 > /etc/thing/thing.conf\n";
    let Some(mut site) = machine(vec![thing("1.0", EVERYTHING)]) else { return };
    site.recipe("web", &["thing"], "captured = [\"thing\"]\n");
    site.recipe("other", &["thing"], "captured = [\"thing\"]\n");
    site.ok("build -q web other");
    site.archive.publish(with_tools(vec![thing("2.0", newer)]).expect("tools"));
    for line in ["update -q web thing", "update -q example.com/other thing"] {
        site.ok(line);
    }
    for image in ["example.com/web", "example.com/other"] {
        let shown = site.stdout(&format!("inspect {image}"));
        assert!(shown.lines().any(|line| line.contains("2.0") && line.contains("captured")), "{shown}");
        assert_eq!(site.stdout(&format!("run -q {image} -- cat /etc/thing/thing.conf")), "listen 81\n");
    }
}

/// A package's own script runs where the package is installed, with what it requires; what it leaves becomes the package's.
#[test]
fn a_package_has_a_script_of_its_own() {
    let Some(site) = machine(Vec::new()) else { return };
    let script = "[ -x /usr/bin/tool ] && [ $(id -u) = 0 ] && printf 'made with %s\\n' $(hostname) > /etc/tool.conf\n\
                  mkdir -p /var/lib/tool && chown tool:tool /var/lib/tool && chmod 750 /var/lib/tool\n\
                  echo -----BEGIN PRIVATE KEY----- > /etc/tool.pem\n\
                  date > /etc/when; echo x > /usr/bin/other; echo theirs > /etc/other.conf";
    own(&site, "tool", script);
    site.recipe("web", &["example.com/tool"], "");
    assert_snapshot!(site.session(&[
        "build tool",
        "build tool",
        "build --check tool",
        "packages",
        "build web",
        "run -q web -- cat /etc/tool.conf /etc/other.conf",
        "run -q web -- busybox stat -c %A:%U:%G:%Y /var/lib/tool",
        "run -q web -- ls /etc/tool.pem /etc/when /usr/bin/other",
        "inspect example.com/web",
    ]), @"
    $ larder build tool
    2> fetch and convert 2 packages
    2> build example.com/tool@1
    2> install example.com/tool@1
      example.com/tool 3 files, 40 B
    captured: example.com/tool: refused /etc/tool.pem: it holds a private key, which every image would share (and 2 more)
    4 packages in the sandbox, 2 fetched (17.9 KiB); no test
    built example.com/tool@1, unsigned
    blake3:<1>
    $ larder build tool
      example.com/tool 3 files, 40 B
    captured: example.com/tool: refused /etc/tool.pem: it holds a private key, which every image would share (and 2 more)
    built before from the same inputs; nothing was run
    unchanged example.com/tool@1, unsigned
    blake3:<1>
    $ larder build --check tool
    2> build example.com/tool@1
    2> build example.com/tool@1
    2> install example.com/tool@1
      example.com/tool 3 files, 40 B
    captured: example.com/tool: refused /etc/tool.pem: it holds a private key, which every image would share (and 2 more)
    4 packages in the sandbox, 0 fetched (0 B); no test; two builds are equal
    unchanged example.com/tool@1, unsigned
    blake3:<1>
    $ larder packages
    NAME                    VERSION  DIGEST           SIZE  IMAGES  SCRIPTS   SIGNED
    debian.org/base-files   12.4     <2>             202 B       1  declared  archive
    debian.org/hello        2.0      <3>             201 B       1  none      archive
    debian.org/other        1        <4>             179 B       0            archive
    debian.org/scripttools  1        <5>             201 B       0            archive
    debian.org/toolbox      1.36     <6>           1.9 MiB       1  none      archive
    example.com/tool        1        <1>              40 B       0  captured  unsigned
    $ larder build web
    captured: example.com/tool: refused /etc/tool.pem: it holds a private key, which every image would share (and 2 more)
    override: /etc/other.conf of example.com/tool@1 instead of debian.org/other@1's
    5 packages, 0 fetched (0 B), scripts: 3 none, 1 declared, 1 captured, 0 skipped
    built example.com/web@1.0, unsigned
    blake3:<7>
    $ larder run -q web -- cat /etc/tool.conf /etc/other.conf
    made with larder-build
    theirs
    $ larder run -q web -- busybox stat -c %A:%U:%G:%Y /var/lib/tool
    drwxr-x---:tool:tool:432679132
    $ larder run -q web -- ls /etc/tool.pem /etc/when /usr/bin/other
    2> ls: /etc/tool.pem: No such file or directory
    2> ls: /etc/when: No such file or directory
    2> ls: /usr/bin/other: No such file or directory
    [exit code 1]
    $ larder inspect example.com/web
    image:        example.com/web@1.0
    digest:       blake3:<7>
    signed:       unsigned
    architecture: amd64
    from:         debian.org/bookworm, base essential
    asked for:    example.com/tool
    own files:    0 (0 B)
    packages:     5 (1.9 MiB)
      PACKAGE                 VERSION     SIZE  SCRIPTS   SIGNED    DIGEST
      debian.org/base-files   12.4       202 B  declared  archive   <2>
      debian.org/other        1          179 B  none      archive   <4>
      debian.org/scripttools  1          201 B  none      archive   <5>
      debian.org/toolbox      1.36     1.9 MiB  none      archive   <6>
      example.com/tool        1           40 B  captured  unsigned  <1>
    ");
    site.ok("verify example.com/web");
    site.ok("fsck --deep");
}

#[test]
fn a_script_of_a_package_that_fails() {
    let Some(site) = machine(Vec::new()) else { return };
    own(&site, "tool", "echo on my way; wget http://192.0.2.1/x");
    assert_snapshot!(site.session(&["build -q tool", "packages"]), @r"
    $ larder build -q tool
    2> error: installing example.com/tool@1 failed: `wget http://192.0.2.1/x` ended with code 1
    2>   | larder$ echo on my way
    2>   | on my way
    2>   | larder$ wget http://192.0.2.1/x
    2>   | Connecting to 192.0.2.1 (192.0.2.1:80)
    2>   | wget: can't connect to remote host (192.0.2.1): Network is unreachable
    2>   hint: scripts have no network: what they would fetch must be in a package
    2>   hint: the whole log is $DIR/store/cache/logs/example.com@tool.script.log
    [exit code 1]
    $ larder packages
    NAME                    VERSION  DIGEST           SIZE  IMAGES  SCRIPTS   SIGNED
    debian.org/base-files   12.4     <1>             202 B       1  declared  archive
    debian.org/hello        2.0      <2>             201 B       1  none      archive
    debian.org/other        1        <3>             179 B       0            archive
    debian.org/scripttools  1        <4>             201 B       0            archive
    debian.org/toolbox      1.36     <5>           1.9 MiB       1  none      archive
    ");
    assert!(!site.env.path("tool/larder.lock").exists());
    own(&site, "tool", "");
    assert_snapshot!(site.session(&["build -q tool"]), @r"
    $ larder build -q tool
    2> error: tool/larder.toml:11:10: `script`: it is empty
    2>    |
    2> 11 | script = '''
    2>    |          ^^^
    [exit code 1]
    ");
}

/// Folders deeper than any path may be, names of any bytes, links in a circle, a daemon that goes on writing, and a hundred processes.
#[test]
fn what_hostile_scripts_leave_is_no_trouble() {
    let hostile = "#!/bin/sh
cd /etc/thing
for n in $(seq 1 2500); do mkdir d && cd d; done
cd /etc/thing
printf 'x' > \"$(printf 'bytes\\377\\033[31m')\"
ln -s b a; ln -s a b; ln -s / root
mkdir -p /proc/x /sys/x /dev/x /packages/x 2>/dev/null
mkdir closed; touch closed/file; chmod 0 closed/file closed
(while :; do cat /proc/sys/kernel/random/uuid >> /etc/thing/growing; done) &
for n in $(seq 1 100); do sleep 1000 & done
exit 0
";
    let Some(site) = machine(vec![thing("1.0", hostile)]) else { return };
    let shown = site.stdout("debian capture thing");
    let (growing, others): (Vec<&str>, Vec<&str>) = shown.lines().partition(|line| line.contains("growing"));
    assert!(growing.iter().all(|line| line.starts_with("refused")), "{growing:?}");
    let rows: Vec<&str> =
        others.into_iter().filter(|line| line.contains("/etc/thing") && !line.contains("/d/d")).collect();
    assert_snapshot!(rows.join("\n"), @r"
    taken    added    /etc/thing/a
    taken    added    /etc/thing/b
    taken    added    /etc/thing/bytes�\u{1b}[31m
    taken    added    /etc/thing/closed
    taken    added    /etc/thing/closed/file
    taken    added    /etc/thing/d
    taken    added    /etc/thing/preinst
    taken    added    /etc/thing/root
    ");
    let deep = shown.lines().find(|line| line.starts_with("refused") && line.contains("/d/d")).unwrap_or(&shown);
    assert!(deep.contains("128 levels"), "{deep}");
    let tmp: Vec<_> = fs::read_dir(site.env.store().join("tmp")).into_iter().flatten().flatten().collect();
    assert!(tmp.is_empty(), "{tmp:?}");
    site.recipe("web", &["thing"], "captured = [\"thing\"]\n");
    site.ok("build -q web");
    site.ok("fsck --deep");
}
