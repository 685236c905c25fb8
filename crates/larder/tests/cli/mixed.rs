//! Packages of one's own beside Debian's.

use insta::assert_snapshot;

use super::own::{Own, own};
use super::site::{Site, archive, deb};

/// `hello` needs Debian's `libgreet` and its own `hello-data`.
fn hello(version: &str) -> Own {
    own("example.com/hello", version)
        .requires(&["debian.org/libgreet (>= 1.0)", "hello-data | debian.org/nano"])
        .file("usr/share/hello/version", version)
}

fn data() -> Own {
    own("example.com/hello-data", "1").file("usr/share/hello/data", "data\n")
}

fn furnished() -> Site {
    let site = Site::new();
    data().publish(&site);
    hello("2.0").publish(&site);
    site
}

#[test]
fn an_image_imports_them_with_what_they_need() {
    let site = furnished();
    site.recipe("web", &["greeter", "example.com/hello >=2"], "base = \"none\"\n");
    assert_snapshot!(site.session(&[
        "build web",
        "build web",
        "build --locked web",
        "why example.com/web libgreet",
        "why example.com/web hello-data",
        "which hello",
        "which example.com/hello >=3",
        "files example.com/web /usr/share/hello",
    ]), @"
    $ larder build web
    2> fetch the package list of bookworm
    2> fetch the package list of bookworm-security
    2> fetch the package list of bookworm-updates
    2> fetch and convert 2 packages
    1 finding off the beaten path: `larder build --verbose` lists them
    4 packages, 2 fetched (12.4 KiB), scripts: 4 none, 0 declared, 0 skipped
    built example.com/web@1.0, unsigned
    blake3:<1>
    $ larder build web
    1 finding off the beaten path: `larder build --verbose` lists them
    4 packages, 0 fetched (0 B), scripts: 4 none, 0 declared, 0 skipped
    unchanged example.com/web@1.0, unsigned
    blake3:<1>
    $ larder build --locked web
    1 finding off the beaten path: `larder build --verbose` lists them
    4 packages, 0 fetched (0 B), scripts: 4 none, 0 declared, 0 skipped
    unchanged example.com/web@1.0, unsigned
    blake3:<1>
    $ larder why example.com/web libgreet
    example.com/hello 2.0  (example.com/web asks for example.com/hello >=2)
      libgreet 1.0  (example.com/hello requires libgreet (>= 1.0))
    $ larder why example.com/web hello-data
    example.com/hello 2.0  (example.com/web asks for example.com/hello >=2)
      example.com/hello-data 1  (example.com/hello requires example.com/hello-data | nano)
    $ larder which hello
    IMAGE                DIGEST        PACKAGE            VERSION
    example.com/web@1.0  <1>           example.com/hello  2.0
    $ larder which example.com/hello >=3
    IMAGE  DIGEST  PACKAGE  VERSION
    $ larder files example.com/web /usr/share/hello
    d0755         root:root          - /usr/share/hello  (example.com/hello-data@1)
    -0644         root:root          5 /usr/share/hello/data  (example.com/hello-data@1)
    -0644         root:root          3 /usr/share/hello/version  (example.com/hello@2.0)
    ");
    let lock = std::fs::read_to_string(site.env.path("web/larder.lock")).expect("a lock");
    let own = lock.find("[[package]]\nname = \"example.com").expect("own packages");
    assert_snapshot!(site.redact(&lock[own..]), @r#"
    [[package]]
    name = "example.com/hello"
    version = "2.0"
    architecture = "all"
    fileset = "blake3:<1>"
    origin = "store"

    [[package]]
    name = "example.com/hello-data"
    version = "1"
    architecture = "all"
    fileset = "blake3:<2>"
    origin = "store"
    "#);
    assert_snapshot!(site.session(&["inspect example.com/web", "packages", "fsck --deep", "gc"]), @"
    $ larder inspect example.com/web
    image:        example.com/web@1.0
    digest:       blake3:<1>
    signed:       unsigned
    architecture: amd64
    from:         debian.org/bookworm, base none
    asked for:    example.com/hello >=2, greeter
    own files:    0 (0 B)
    packages:     4 (432 B)
      PACKAGE                 VERSION   SIZE  SCRIPTS  SIGNED        DIGEST
      debian.org/greeter      1.0      223 B  none     archive       <2>
      debian.org/libgreet     1.0      201 B  none     archive       <3>
      example.com/hello       2.0        3 B  none     no statement  <4>
      example.com/hello-data  1          5 B  none     no statement  <5>
    $ larder packages
    NAME                    VERSION  DIGEST         SIZE  IMAGES  SCRIPTS  SIGNED
    debian.org/greeter      1.0      <2>           223 B       1  none     archive
    debian.org/libgreet     1.0      <3>           201 B       1  none     archive
    example.com/hello       2.0      <4>             3 B       1  none     no statement
    example.com/hello-data  1        <5>             5 B       1  none     no statement
    $ larder fsck --deep
    2> hash every object
    checked 6 FileSets, N objects, N KiB hashed
    nothing wrong
    $ larder gc
    removed 0 FileSets and 0 objects (0 B), N objects left
    ");
}

#[test]
fn an_image_of_nothing_else_needs_no_archive() {
    let site = Site::new();
    site.server.stop();
    own("example.com/tool", "1").file("usr/share/tool", "tool\n").publish(&site);
    site.env.write(
        "web/larder.toml",
        "[image]\nname = \"example.com/web\"\nversion = \"1\"\nbase = \"none\"\npackages = [\"example.com/tool\"]\n",
    );
    assert_snapshot!(site.session(&["build web", "files example.com/web /usr/share"]), @"
    $ larder build web
    1 package, 0 fetched (0 B), scripts: 1 none, 0 declared, 0 skipped
    built example.com/web@1, unsigned
    blake3:<1>
    $ larder files example.com/web /usr/share
    d0755         root:root          - /usr/share  (example.com/tool@1)
    -0644         root:root          5 /usr/share/tool  (example.com/tool@1)
    ");
    own("example.com/tool", "2").file("usr/share/tool", "a better tool\n").publish(&site);
    assert_snapshot!(site.session(&[
        "build web",
        "update example.com/web",
        "rollback example.com/web",
        "update web",
        "diff example.com/web@1 example.com/web",
    ]), @"
    $ larder build web
    1 package, 0 fetched (0 B), scripts: 1 none, 0 declared, 0 skipped
    unchanged example.com/web@1, unsigned
    blake3:<1>
    $ larder update example.com/web
      ~ example.com/tool 1 -> 2
    1 package, 0 fetched (0 B), scripts: 1 none, 0 declared, 0 skipped
    built example.com/web@1, unsigned
    blake3:<2>
    $ larder rollback example.com/web
    now example.com/web@1
    blake3:<1>
    $ larder update web
      ~ example.com/tool 1 -> 2
    1 package, 0 fetched (0 B), scripts: 1 none, 0 declared, 0 skipped
    built example.com/web@1, unsigned
    blake3:<2>
    $ larder diff example.com/web@1 example.com/web
    no difference
    ");
}

#[test]
fn what_is_locked_stays_until_it_is_updated() {
    let mut site = furnished();
    site.recipe("web", &["greeter", "example.com/hello"], "");
    site.ok("build web");
    // The same version again with other files, a newer one, and newer packages of Debian's.
    hello("2.0").file("usr/share/hello/new", "new\n").publish(&site);
    hello("2.1").publish(&site);
    let newer = archive().package(deb("nano", "8.0").provides("text-editor"));
    site.archive.publish(newer);
    site.recipe("web", &["greeter", "example.com/hello", "nano"], "");
    assert_snapshot!(site.session(&["build web", "update web example.com/hello", "update web hello"]), @"
    $ larder build web
    2> fetch and convert 1 package
      + debian.org/nano 7.2
      - example.com/hello-data 1
    6 packages, 1 fetched (6.2 KiB), scripts: 5 none, 1 declared, 0 skipped
    built example.com/web@1.0, unsigned
    blake3:<1>
    $ larder update web example.com/hello
    2> fetch the package list of bookworm
      ~ example.com/hello 2.0 -> 2.1
    6 packages, 0 fetched (0 B), scripts: 5 none, 1 declared, 0 skipped
    built example.com/web@1.0, unsigned
    blake3:<2>
    $ larder update web hello
    6 packages, 0 fetched (0 B), scripts: 5 none, 1 declared, 0 skipped
    unchanged example.com/web@1.0, unsigned
    blake3:<2>
    ");
}

#[test]
fn a_package_that_was_rolled_back_is_not_taken() {
    let site = furnished();
    hello("2.1").publish(&site);
    site.recipe("web", &["example.com/hello"], "");
    assert_snapshot!(site.session(&[
        "build web",
        "history example.com/hello",
        "rollback example.com/hello",
        "build web",
        "update web hello",
    ]), @"
    $ larder build web
    2> fetch the package list of bookworm
    2> fetch the package list of bookworm-security
    2> fetch the package list of bookworm-updates
    2> fetch and convert 3 packages
    5 packages, 3 fetched (20.1 KiB), scripts: 4 none, 1 declared, 0 skipped
    built example.com/web@1.0, unsigned
    blake3:<1>
    $ larder history example.com/hello
       VERSION  DIGEST                                                                   WHEN (UTC)        BY
    *  2.1      blake3:<2>  YYYY-MM-DD hh:mm  build
       2.0      blake3:<3>  YYYY-MM-DD hh:mm  build
    $ larder rollback example.com/hello
    now example.com/hello@2.0
    blake3:<3>
    $ larder build web
    5 packages, 0 fetched (0 B), scripts: 4 none, 1 declared, 0 skipped
    unchanged example.com/web@1.0, unsigned
    blake3:<1>
    $ larder update web hello
      ~ example.com/hello 2.1 -> 2.0
    5 packages, 0 fetched (0 B), scripts: 4 none, 1 declared, 0 skipped
    built example.com/web@1.0, unsigned
    blake3:<4>
    ");
}

#[test]
fn what_is_not_there_is_said() {
    let site = furnished();
    let mut said = String::new();
    for (packages, rest) in [
        (["example.com/helo"].as_slice(), ""),
        (&["exampel.org/nothing"], ""),
        (&["example.com/hello >=3"], ""),
        (&["example.com/"], ""),
        (&["hello"], ""),
    ] {
        site.recipe("web", packages, rest);
        said += &site.session(&["build web"]);
    }
    own("example.com/needy", "1").requires(&["absent", "debian.org/gone (>= 2)"]).publish(&site);
    site.recipe("web", &["example.com/needy"], "");
    said += &site.session(&["build web"]);
    own("example.com/rude", "1").conflicts(&["debian.org/libgreet"]).publish(&site);
    site.recipe("web", &["example.com/rude", "example.com/hello"], "");
    said += &site.session(&["build web"]);
    assert_snapshot!(said, @r#"
    $ larder build web
    2> fetch the package list of bookworm
    2> fetch the package list of bookworm-security
    2> fetch the package list of bookworm-updates
    2> error: there is no package example.com/helo in the store
    2>   hint: did you mean example.com/hello?
    [exit code 1]
    $ larder build web
    2> error: there is no package exampel.org/nothing in the store
    2>   hint: `larder build` its recipe first, or name the folder of the recipe: { path = "../hello" }
    [exit code 1]
    $ larder build web
    2> error: can't choose packages from debian.org/bookworm:
    2>   no version meets "example.com/hello >=3": there is 2.0
    [exit code 1]
    $ larder build web
    2> error: web/larder.toml:5:13: `packages`: "example.com/" is not a package name: it needs lower-case letters, digits and "+-."
    2>   |
    2> 5 | packages = ["example.com/"]
    2>   |             ^^^^^^^^^^^^^^
    2>   hint: write a package's name, with constraints if you need them: "openssl", "openssl >=3.0", "openssl >=3.0, <4"
    [exit code 1]
    $ larder build web
    2> error: can't choose packages from debian.org/bookworm:
    2>   nothing is called "hello", and nothing provides it
    [exit code 1]
    $ larder build web
    2> error: can't choose packages from debian.org/bookworm:
    2>   example.com/needy can't be installed:
    2>     example.com/needy 1 needs example.com/absent, which does not exist
    2>   hint: packages of one's own come from the store: `larder build` their recipes first
    [exit code 1]
    $ larder build web
    2> error: can't choose packages from debian.org/bookworm:
    2>   example.com/hello and example.com/rude can't be installed together:
    2>     example.com/rude 1 conflicts with libgreet 1.0 (needed by example.com/hello 2.0) ("Conflicts: libgreet")
    [exit code 1]
    "#);
}

#[test]
fn a_locked_package_that_the_store_lost_is_an_error() {
    let mut site = furnished();
    site.recipe("web", &["example.com/hello"], "");
    site.ok("build web");
    site.env.set("LARDER_ROOT", site.env.path("other"));
    assert_snapshot!(site.session(&["build --locked web", "build web"]), @r"
    $ larder build --locked web
    2> error: the lock has example.com/hello 2.0 (blake3:<1>), which isn't in the store
    2>   hint: `larder build` the recipe of example.com/hello, or `larder update example.com/hello` to take what the store has
    [exit code 1]
    $ larder build web
    2> error: the lock has example.com/hello 2.0 (blake3:<1>), which isn't in the store
    2>   hint: `larder build` the recipe of example.com/hello, or `larder update example.com/hello` to take what the store has
    [exit code 1]
    ");
}

#[test]
fn damage_is_told_and_the_next_build_mends_it() {
    let site = furnished();
    site.recipe("web", &["example.com/hello", "greeter"], "");
    site.ok("build web");
    super::keep::damage(&super::keep::object(&site, "data\n"));
    assert_snapshot!(site.session(&["fsck --deep", "fsck --deep --repair"]), @r"
    $ larder fsck --deep
    2> hash every object
    object blake3:<1> is damaged
      at $DIR/store/objects/51/f855e8f080df9cbc2a561b6ddaad85e1bbf884ea4b73f3455e8c86202d0422
      needed by example.com/hello-data 1
      needed by example.com/web 1.0
    checked 9 FileSets, N objects, N KiB hashed
    1 problem; `larder fsck --repair` fetches again what it can
    [exit code 1]
    $ larder fsck --deep --repair
    2> hash every object
    2> hash every object
    object blake3:<1> is damaged
      at $DIR/store/objects/51/f855e8f080df9cbc2a561b6ddaad85e1bbf884ea4b73f3455e8c86202d0422
      needed by example.com/hello-data 1
      needed by example.com/web 1.0
    can't be fetched: example.com/hello-data 1 (build it again from its recipe)
    can't be fetched: example.com/web 1.0 (build it again from its recipe)
    checked 9 FileSets, N objects, N KiB hashed
    1 problem left
    [exit code 1]
    ");
    data().publish(&site);
    assert_snapshot!(site.session(&["fsck --deep"]), @r"
    $ larder fsck --deep
    2> hash every object
    checked 9 FileSets, N objects, N KiB hashed
    nothing wrong
    ");
}

#[test]
fn an_own_package_may_be_what_debians_need() {
    let site = Site::with(archive().package(deb("mailer", "1").depends("smtp-server")));
    own("example.com/smtp", "3").provides(&["debian.org/smtp-server (= 3)"]).publish(&site);
    site.recipe("web", &["mailer"], "");
    let alone = site.session(&["build web"]);
    site.recipe("web", &["mailer", "example.com/smtp"], "");
    assert_snapshot!(alone + &site.session(&["build web", "why example.com/web smtp"]), @"
    $ larder build web
    2> fetch the package list of bookworm
    2> fetch the package list of bookworm-security
    2> fetch the package list of bookworm-updates
    2> error: can't choose packages from debian.org/bookworm:
    2>   mailer can't be installed:
    2>     mailer 1 needs smtp-server, which does not exist
    [exit code 1]
    $ larder build web
    2> fetch and convert 3 packages
    4 packages, 3 fetched (18.1 KiB), scripts: 3 none, 1 declared, 0 skipped
    built example.com/web@1.0, unsigned
    blake3:<1>
    $ larder why example.com/web smtp
    example.com/smtp 3  (example.com/web asks for example.com/smtp)
    ");
}

#[test]
fn one_short_name_in_two_domains() {
    let site = Site::new();
    own("example.com/greeter", "9").file("usr/share/greeter", "ours\n").publish(&site);
    site.recipe("web", &["greeter", "example.com/greeter"], "");
    assert_snapshot!(site.session(&[
        "build -q web",
        "why example.com/web example.com/greeter",
        "why example.com/web greeter",
        "which greeter",
        "update web greeter",
        "update web debian.org/greeter",
    ]), @"
    $ larder build -q web
    blake3:<1>
    $ larder why example.com/web example.com/greeter
    example.com/greeter 9  (example.com/web asks for example.com/greeter)
    $ larder why example.com/web greeter
    greeter 1.0  (example.com/web asks for greeter)
    $ larder which greeter
    IMAGE                DIGEST        PACKAGE              VERSION
    example.com/web@1.0  <1>           debian.org/greeter   1.0
    example.com/web@1.0  <1>           example.com/greeter  9
    $ larder update web greeter
    2> error: greeter is example.com/greeter and debian.org/greeter in the image
    2>   hint: write the full name
    [exit code 1]
    $ larder update web debian.org/greeter
    5 packages, 0 fetched (0 B), scripts: 4 none, 1 declared, 0 skipped
    unchanged example.com/web@1.0, unsigned
    blake3:<1>
    ");
}

#[test]
fn files_may_be_taken_over_by_full_names_only() {
    let site = Site::new();
    let conf = |replaces: &[&str]| {
        let package = own("example.com/httpd-conf", "1").requires(&["debian.org/httpd"]);
        package.replaces_files_of(replaces).file("etc/httpd/httpd.conf", "listen 8080\n").publish(&site)
    };
    site.recipe("web", &["example.com/httpd-conf"], "");
    let mut said = String::new();
    for replaces in [["httpd"], ["debian.org/httpd"]] {
        conf(&replaces);
        said += &site.session(&["update web"]);
    }
    assert_snapshot!(said, @"
    $ larder update web
    2> fetch the package list of bookworm
    2> fetch the package list of bookworm-security
    2> fetch the package list of bookworm-updates
    2> fetch and convert 4 packages
    2> error: /etc/httpd/httpd.conf is in both debian.org/httpd@1.4 and example.com/httpd-conf@1, with different content
    2>   hint: leave one of the two out, or put a file of your own there with [files]
    [exit code 1]
    $ larder update web
    override: /etc/httpd/httpd.conf of example.com/httpd-conf@1 instead of debian.org/httpd@1.4's
    5 packages, 0 fetched (0 B), scripts: 3 none, 2 declared, 0 skipped
    built example.com/web@1.0, unsigned
    blake3:<1>
    ");
}
