//! Distributions of one's own.

use insta::assert_snapshot;
use larder_testkit::skip;

use super::own::own;
use super::site::{Site, archive, deb};

const STACK: &str = "[distribution]\nname = \"example.com/stack\"\nversion = \"1.0\"\nsummary = \"What we run\"\n\
                     homepage = \"https://example.com/stack\"\nfrom = \"debian.org/bookworm\"\n\
                     packages = [\"debian.org/httpd =1.4\", \"example.com/hello =2\"]\n\
                     [test]\nbase = \"none\"\npackages = [\"hello\", \"httpd\"]\nrun = [\"/usr/bin/busybox\", \"test\", \"-s\", \"/usr/share/hello\"]\n";

/// A static program that can do something.
fn busybox() -> Option<Vec<u8>> {
    std::fs::read("/usr/bin/busybox").or_else(|_| std::fs::read("/bin/busybox")).ok()
}

/// A machine on which tests can be run. `None`, loudly, where they can't.
fn site() -> Option<Site> {
    let Some(program) = busybox() else {
        skip("distributions", "there is no busybox; scripts/setup installs busybox-static");
        return None;
    };
    let site = Site::new();
    let hello = own("example.com/hello", "2")
        .licence("MIT")
        .requires(&["debian.org/libgreet"])
        .file("usr/share/hello", "hello\n");
    hello.program("usr/bin/busybox", program).publish(&site);
    site.env.write("stack/larder.toml", STACK);
    // Asked in another store, so that this one knows no archive yet.
    let mut probe = Site::new();
    own("example.com/tool", "1").program("usr/bin/busybox", busybox()?).publish(&probe);
    probe.env.set("LARDER_OFFLINE", "1");
    let recipe =
        "[image]\nname = \"example.com/probe\"\nversion = \"1\"\nbase = \"none\"\npackages = [\"example.com/tool\"]\n";
    probe.env.write("probe/larder.toml", recipe);
    let output = probe.run("run -q probe -- /usr/bin/busybox true");
    if output.code != 0 {
        let reason = output.stderr.replace('\n', " ");
        let known = ["forbid", "not permitted", "namespace", "denied"];
        assert!(known.iter().any(|word| reason.contains(word)), "{reason}");
        skip("distributions", reason);
        return None;
    }
    Some(site)
}

/// The recipe of an image from the stack and Debian.
fn recipe(site: &Site, packages: &[&str]) {
    let text = format!(
        "[image]\nname = \"example.com/web\"\nversion = \"1.0\"\nfrom = [\"debian.org/bookworm\", \"example.com/stack\"]\n\
         base = \"none\"\npackages = {packages:?}\n"
    );
    site.env.write("web/larder.toml", text);
}

/// A build's document with everything in it; `None` where tests can't be run.
pub(crate) fn document() -> Option<String> {
    Some(site()?.stdout("build --json stack"))
}

/// What is shown of a distribution, with everything in it; `None` where tests can't be run.
pub(crate) fn shown() -> Option<[String; 2]> {
    let site = site()?;
    site.ok("build -q stack");
    recipe(&site, &["hello"]);
    site.ok("build -q web");
    Some(["inspect --json example.com/stack", "distributions --json"].map(|line| site.stdout(line)))
}

#[test]
fn they_are_listed_and_inspected() {
    let Some(site) = site() else { return };
    site.ok("build -q stack");
    let before = site.stdout("build -q stack");
    site.env.write("stack/larder.toml", STACK.replace("\"1.0\"", "\"1.1\""));
    site.ok("build -q stack");
    recipe(&site, &["hello"]);
    site.ok("build -q web");
    let earlier = format!("inspect example.com/stack@{}", before.trim());
    assert_snapshot!(site.session(&[
        "distributions",
        "inspect example.com/stack",
        "inspect example.com/stack@1.0",
        &earlier,
        "inspect example.com/stack@2",
        "inspect --deep example.com/stack",
        "inspect example.com/stak",
    ]), @"
    $ larder distributions
    NAME               VERSION  DIGEST        PACKAGES  IMAGES  CREATED (UTC)     SIGNED
    example.com/stack  1.1      <1>                  2       1  YYYY-MM-DD hh:mm  unsigned
    $ larder inspect example.com/stack
    distribution: example.com/stack@1.1
    digest:       blake3:<1>
    signed:       unsigned
    architecture: amd64
    summary:      What we run
    homepage:     https://example.com/stack
    from:         debian.org/bookworm
    images:       1 (example.com/web@1.0)
    packages:     2 (1.9 MiB)
      PACKAGE            VERSION     SIZE  SCRIPTS   SIGNED        DIGEST
      debian.org/httpd   1.4        214 B  declared  archive       <2>
      example.com/hello  2        1.9 MiB  none      no statement  <3>
    $ larder inspect example.com/stack@1.0
    distribution: example.com/stack@1.0
    digest:       blake3:<4>
    signed:       unsigned
    architecture: amd64
    summary:      What we run
    homepage:     https://example.com/stack
    from:         debian.org/bookworm
    images:       1 (example.com/web@1.0)
    packages:     2 (1.9 MiB)
      PACKAGE            VERSION     SIZE  SCRIPTS   SIGNED        DIGEST
      debian.org/httpd   1.4        214 B  declared  archive       <2>
      example.com/hello  2        1.9 MiB  none      no statement  <3>
    $ larder inspect example.com/stack@blake3:<4>
    distribution: example.com/stack@1.0
    digest:       blake3:<4>
    signed:       unsigned
    architecture: amd64
    summary:      What we run
    homepage:     https://example.com/stack
    from:         debian.org/bookworm
    images:       1 (example.com/web@1.0)
    packages:     2 (1.9 MiB)
      PACKAGE            VERSION     SIZE  SCRIPTS   SIGNED        DIGEST
      debian.org/httpd   1.4        214 B  declared  archive       <2>
      example.com/hello  2        1.9 MiB  none      no statement  <3>
    $ larder inspect example.com/stack@2
    2> error: example.com/stack has no record of version 2
    2>   hint: it has 1.0, 1.1; `larder history example.com/stack` lists its records
    [exit code 1]
    $ larder inspect --deep example.com/stack
    2> error: --deep reads files, and example.com/stack is a distribution, which has none of its own
    2>   hint: leave --deep out, or inspect an image that is from it
    [exit code 2]
    $ larder inspect example.com/stak
    2> error: there is no image example.com/stak on this host
    2>   hint: `larder images` lists those that are here
    [exit code 1]
    ");
}

#[test]
fn it_is_tested_before_it_gets_its_name_and_pins_what_images_take() {
    let Some(mut site) = site() else { return };
    recipe(&site, &["hello", "httpd"]);
    assert_snapshot!(site.session(&["build web", "build stack", "build stack", "build web"]), @"
    $ larder build web
    2> error: example.com/stack is no distribution that this host knows
    2>   hint: `larder build` its recipe first; Debian's suites are known, such as debian.org/bookworm
    [exit code 1]
    $ larder build stack
    2> fetch the package list of bookworm
    2> fetch the package list of bookworm-security
    2> fetch the package list of bookworm-updates
    2> fetch and convert 1 package
    2> fetch and convert 1 package
    2> test example.com/stack@1.0
      debian.org/httpd 1.4
      example.com/hello 2
    passed: /usr/bin/busybox test -s /usr/share/hello
    2 packages, 1 fetched (9.7 KiB), tested in an image of 3
    built example.com/stack@1.0, unsigned
    blake3:<1>
    $ larder build stack
    2> test example.com/stack@1.0
      debian.org/httpd 1.4
      example.com/hello 2
    passed: /usr/bin/busybox test -s /usr/share/hello
    2 packages, 0 fetched (0 B), tested in an image of 3
    unchanged example.com/stack@1.0, unsigned
    blake3:<1>
    $ larder build web
    3 packages, 0 fetched (0 B), scripts: 2 none, 1 declared, 0 skipped
    built example.com/web@1.0, unsigned
    blake3:<2>
    ");
    // Debian has a newer one, and so has the store: the stack hasn't.
    let newer = archive().package(deb("httpd", "1.5").depends("libgreet")).package(deb("nano", "8"));
    site.archive.publish(newer);
    own("example.com/hello", "3").publish(&site);
    recipe(&site, &["hello", "httpd", "nano"]);
    assert_snapshot!(site.session(&["update web", "update example.com/web", "why example.com/web hello"]), @"
    $ larder update web
    2> fetch the package list of bookworm
    2> fetch and convert 1 package
      + debian.org/nano 8
    4 packages, 1 fetched (4.2 KiB), scripts: 3 none, 1 declared, 0 skipped
    built example.com/web@1.0, unsigned
    blake3:<1>
    $ larder update example.com/web
    4 packages, 0 fetched (0 B), scripts: 3 none, 1 declared, 0 skipped
    unchanged example.com/web@1.0, unsigned
    blake3:<1>
    $ larder why example.com/web hello
    example.com/hello 2  (example.com/web asks for example.com/hello)
    ");
    let lock = std::fs::read_to_string(site.env.path("web/larder.lock")).expect("a lock");
    let curated = lock.find("[[curated]]").expect("the stack");
    assert_snapshot!(site.redact(&lock[curated..]), @r#"
    [[curated]]
    name = "example.com/stack"
    version = "1.0"
    fileset = "blake3:<1>"

    [[package]]
    name = "debian.org/httpd"
    version = "1.4"
    architecture = "amd64"
    fileset = "blake3:<2>"
    declarations = "blake3:<3>"
    table = 1
    distribution = "example.com/stack"
    rule = "deb/1"
    archive = "pool/main/httpd/httpd_1.4_amd64.deb"
    size = 9920
    sha256 = "<4>"

    [[package]]
    name = "debian.org/libgreet"
    version = "1.0"
    architecture = "amd64"
    fileset = "blake3:<5>"
    rule = "deb/1"
    archive = "pool/main/libgreet/libgreet_1.0_amd64.deb"
    size = 6336
    sha256 = "<6>"

    [[package]]
    name = "debian.org/nano"
    version = "8"
    architecture = "amd64"
    fileset = "blake3:<7>"
    rule = "deb/1"
    archive = "pool/main/nano/nano_8_amd64.deb"
    size = 4288
    sha256 = "<8>"

    [[package]]
    name = "example.com/hello"
    version = "2"
    architecture = "all"
    fileset = "blake3:<9>"
    distribution = "example.com/stack"
    origin = "store"
    "#);
    // A newer stack moves the image when it is asked to, and not before.
    let stack = STACK.replace("\"1.0\"", "\"1.1\"").replace("httpd =1.4", "httpd =1.5").replace("hello =2", "hello =3");
    site.env.write("stack/larder.toml", stack.replace("\"test\", \"-s\"", "\"true\""));
    assert_snapshot!(site.session(&["build stack"]), @r#"
    $ larder build stack
    2> fetch and convert 1 package
    2> test example.com/stack@1.1
    2> error: the test of example.com/stack@1.1 can't be run: /usr/bin/busybox true /usr/share/hello
    2>   because: the container has no program "/usr/bin/busybox"
    [exit code 1]
    "#);
    own("example.com/hello", "4").program("usr/bin/busybox", busybox().expect("busybox")).publish(&site);
    let stack = stack
        .replace("hello =3", "hello =4")
        .replace("\"test\", \"-s\"", "\"test\", \"-x\"")
        .replace("/usr/share/hello", "/usr/bin/busybox");
    site.env.write("stack/larder.toml", stack);
    recipe(&site, &["hello", "httpd", "nano", "vim-tiny"]);
    assert_snapshot!(site.session(&[
        "build stack",
        "history example.com/stack",
        "build web",
        "update web example.com/stack",
        "update example.com/web",
        "fsck --deep",
        "gc",
    ]), @"
    $ larder build stack
    2> test example.com/stack@1.1
      debian.org/httpd 1.5
      example.com/hello 4
    passed: /usr/bin/busybox test -x /usr/bin/busybox
    2 packages, 0 fetched (0 B), tested in an image of 3
    built example.com/stack@1.1, unsigned
    blake3:<1>
    $ larder history example.com/stack
       VERSION  DIGEST                                                                   WHEN (UTC)        BY
    *  1.1      blake3:<1>  YYYY-MM-DD hh:mm  build
       1.0      blake3:<2>  YYYY-MM-DD hh:mm  build
    $ larder build web
    2> fetch and convert 1 package
      + debian.org/vim-tiny 9.0
    1 finding off the beaten path: `larder build --verbose` lists them
    5 packages, 1 fetched (6.2 KiB), scripts: 4 none, 1 declared, 0 skipped
    built example.com/web@1.0, unsigned
    blake3:<3>
    $ larder update web example.com/stack
      ~ debian.org/httpd 1.4 -> 1.5
      ~ example.com/hello 2 -> 4
    1 finding off the beaten path: `larder build --verbose` lists them
    5 packages, 0 fetched (0 B), scripts: 5 none, 0 declared, 0 skipped
    built example.com/web@1.0, unsigned
    blake3:<4>
    $ larder update example.com/web
    1 finding off the beaten path: `larder build --verbose` lists them
    5 packages, 0 fetched (0 B), scripts: 5 none, 0 declared, 0 skipped
    unchanged example.com/web@1.0, unsigned
    blake3:<4>
    $ larder fsck --deep
    2> hash every object
    checked 25 FileSets, N objects, N MiB hashed
    nothing wrong
    $ larder gc
    removed 6 FileSets and N object (N KiB), N objects left
    ");
}

#[test]
fn a_test_that_fails_publishes_nothing() {
    let Some(site) = site() else { return };
    site.env.write("stack/larder.toml", STACK.replace("/usr/share/hello\"]", "/usr/share/absent\"]"));
    assert_snapshot!(site.session(&["build stack", "history example.com/stack"]), @"
    $ larder build stack
    2> fetch the package list of bookworm
    2> fetch the package list of bookworm-security
    2> fetch the package list of bookworm-updates
    2> fetch and convert 1 package
    2> fetch and convert 1 package
    2> test example.com/stack@1.0
    2> error: testing example.com/stack@1.0 failed: `/usr/bin/busybox test -s /usr/share/absent` ended with code 1
    2>   hint: the whole log is $DIR/store/cache/logs/example.com@stack.test.log; the name stands for what it did before
    [exit code 1]
    $ larder history example.com/stack
    2> error: there is no image example.com/stack on this host
    2>   hint: `larder images` lists those that are here
    [exit code 1]
    ");
    site.env.write("stack/larder.toml", STACK.replace("\"hello\", \"httpd\"", "\"hello\", \"nginx\""));
    assert_snapshot!(site.session(&["build stack"]), @r#"
    $ larder build stack
    2> error: the image that tests example.com/stack can't be built
    2>   because: can't choose packages from debian.org/bookworm, example.com/stack:
    2>   nothing is called "nginx", and nothing provides it
    [exit code 1]
    "#);
}

#[test]
fn its_test_may_be_an_image_with_a_recipe_of_its_own() {
    let Some(site) = site() else { return };
    let start = STACK.find("[test]").expect("a test");
    site.env.write("stack/larder.toml", format!("{}[test]\nimage = \"test\"\n", &STACK[..start]));
    let image = "[image]\nname = \"example.com/trial\"\nversion = \"1\"\nfrom = [\"example.com/stack\", \"debian.org/bookworm\"]\n\
                 base = \"none\"\npackages = [\"hello\"]\n";
    site.env.write("stack/test/larder.toml", image.replace("\"example.com/stack\", ", ""));
    assert_snapshot!(site.session(&["build stack"]), @r#"
    $ larder build stack
    2> fetch the package list of bookworm
    2> fetch the package list of bookworm-security
    2> fetch the package list of bookworm-updates
    2> fetch and convert 1 package
    2> error: the image that tests example.com/stack can't be built
    2>   because: the test of example.com/stack has an image, example.com/trial, that isn't from it
    2>   hint: add "example.com/stack" to its `from`
    [exit code 1]
    "#);
    site.env.write("stack/test/larder.toml", image);
    assert_snapshot!(site.session(&["build stack"]), @r"
    $ larder build stack
    2> fetch and convert 1 package
    2> error: the test of example.com/stack says nothing that could fail
    2>   hint: say `run` in [test], or let the image or a package have the action `validate`
    [exit code 1]
    ");
    let run = "[test]\nimage = \"test\"\nrun = [\"/usr/bin/busybox\", \"true\"]\n";
    site.env.write("stack/larder.toml", format!("{}{run}", &STACK[..start]));
    assert_snapshot!(site.session(&["build stack", "images"]), @"
    $ larder build stack
    2> test example.com/stack@1.0
      debian.org/httpd 1.4
      example.com/hello 2
    passed: /usr/bin/busybox true
    2 packages, 0 fetched (0 B), tested in an image of 2
    built example.com/stack@1.0, unsigned
    blake3:<1>
    $ larder images
    NAME  VERSION  DIGEST  PACKAGES  CREATED (UTC)  SIGNED
    ");
}

#[test]
fn what_it_lists_must_be_there() {
    let Some(site) = site() else { return };
    let packages =
        "\"debian.org/httpd =1.9\", \"example.com/hello =7\", \"example.com/absent =1\", \"debian.org/absent =1\"";
    let stack = STACK.replace("\"debian.org/httpd =1.4\", \"example.com/hello =2\"", packages);
    site.env.write("stack/larder.toml", &stack);
    let mut said = site.session(&["build stack"]);
    site.env
        .write("stack/larder.toml", STACK.replace("from = \"debian.org/bookworm\"", "from = \"example.org/other\""));
    said += &site.session(&["build stack"]);
    site.env.write("stack/larder.toml", STACK.replace("hello =2", "hello >=2"));
    said += &site.session(&["build stack"]);
    assert_snapshot!(said, @r#"
    $ larder build stack
    2> fetch the package list of bookworm
    2> fetch the package list of bookworm-security
    2> fetch the package list of bookworm-updates
    2> error: example.com/stack lists what isn't there:
    2>   debian.org/absent 1: there is no such package
    2>   debian.org/httpd 1.9: there is 1.4
    2>   example.com/absent 1: there is no such package
    2>   example.com/hello 7: there is 2
    2>   hint: say in `from` which distributions have it; `larder build` the recipes of packages of one's own first
    [exit code 1]
    $ larder build stack
    2> error: example.org/other is no distribution that this host knows
    2>   hint: `larder build` its recipe first; Debian's suites are known, such as debian.org/bookworm
    [exit code 1]
    $ larder build stack
    2> error: stack/larder.toml:7:38: `packages`: "example.com/hello >=2" names no exact version
    2>   |
    2> 7 | packages = ["debian.org/httpd =1.4", "example.com/hello >=2"]
    2>   |                                      ^^^^^^^^^^^^^^^^^^^^^^^
    2>   hint: a distribution pins what it lists: write "example.com/hello =2.12.1"
    [exit code 1]
    "#);
}

#[test]
fn names_and_pins_that_clash_are_said() {
    let Some(site) = site() else { return };
    own("example.com/greeter", "9").publish(&site);
    let stack = STACK.replace("\"example.com/hello =2\"", "\"example.com/hello =2\", \"example.com/greeter =9\"");
    site.env.write("stack/larder.toml", &stack);
    site.ok("build stack");
    let other = stack.replace("example.com/stack\"", "example.org/other\"").replace("greeter =9", "greeter =8");
    own("example.com/greeter", "8").publish(&site);
    site.env.write("other/larder.toml", other);
    site.ok("build other");
    let mut said = String::new();
    let mut attempt = |from: &[&str], packages: &[&str]| {
        recipe(&site, packages);
        let text = std::fs::read_to_string(site.env.path("web/larder.toml")).expect("recipe");
        let text = text.replace("[\"debian.org/bookworm\", \"example.com/stack\"]", &format!("{from:?}"));
        site.env.write("web/larder.toml", text);
        said += &site.session(&["build web"]);
    };
    attempt(&["debian.org/bookworm", "example.com/stack"], &["greeter"]);
    attempt(&["debian.org/bookworm", "example.com/stack"], &["debian.org/greeter"]);
    attempt(&["example.org/other", "example.com/stack"], &["example.com/greeter"]);
    attempt(&["debian.org/bookworm", "debian.org/trixie"], &["httpd"]);
    attempt(&["debian.org/bookworm", "example.com/none"], &["httpd"]);
    assert_snapshot!(said, @r#"
    $ larder build web
    2> error: greeter is debian.org/greeter in debian.org/bookworm and example.com/greeter in example.com/stack
    2>   hint: write the full name: "debian.org/greeter" or "example.com/greeter"
    [exit code 1]
    $ larder build web
    2> fetch and convert 1 package
    1 finding off the beaten path: `larder build --verbose` lists them
    2 packages, 1 fetched (6.2 KiB), scripts: 2 none, 0 declared, 0 skipped
    built example.com/web@1.0, unsigned
    blake3:<1>
    $ larder build web
    2> error: example.com/greeter is 9 in example.com/stack and 8 in example.org/other
    2>   hint: leave one of the two out of `from`
    [exit code 1]
    $ larder build web
    2> error: debian.org/bookworm and debian.org/trixie are both suites of Debian's, and an image is of one
    2>   hint: leave one of them out of `from`
    [exit code 1]
    $ larder build web
    2> error: example.com/none is no distribution that this host knows
    2>   hint: `larder build` its recipe first; Debian's suites are known, such as debian.org/bookworm
    [exit code 1]
    "#);
}

#[test]
fn order_means_nothing() {
    let Some(site) = site() else { return };
    site.ok("build stack");
    let mut digests = std::collections::BTreeSet::new();
    for (from, packages) in [
        (r#"["debian.org/bookworm", "example.com/stack"]"#, r#"["hello", "httpd", "nano"]"#),
        (r#"["example.com/stack", "debian.org/bookworm"]"#, r#"["nano", "hello", "httpd", "hello"]"#),
        (r#"["example.com/stack", "debian.org/bookworm", "example.com/stack"]"#, r#"["httpd", "nano", "hello"]"#),
    ] {
        let text = format!(
            "[image]\nname = \"example.com/web\"\nversion = \"1\"\nfrom = {from}\nbase = \"none\"\npackages = {packages}\n"
        );
        site.env.write("web/larder.toml", text);
        _ = std::fs::remove_file(site.env.path("web/larder.lock"));
        digests.insert(site.stdout("build -q web"));
    }
    assert_eq!(digests.len(), 1, "{digests:?}");
}
