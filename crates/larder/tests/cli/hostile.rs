//! Packages that want more than to be unpacked. They are signed, so only what is in them can give them away.

use insta::assert_snapshot;
use larder_testkit::archive::Deb;
use tar::EntryType;

use super::site::{Site, archive, deb};

/// What a build says that needs a hostile package; afterwards everything is as before, and an honest build works.
fn build(deb: Deb) -> String {
    let site = Site::with(archive().package(deb));
    site.recipe("web", &["evil"], "");
    let shown = site.session(&["build --quiet web"]);
    assert!(!site.env.path("web/larder.lock").exists(), "no lock may be written");
    assert!(!site.env.path("escaped").exists() && !site.env.store().join("escaped").exists(), "nothing escapes");
    assert_eq!(site.stdout("packages evil").lines().count(), 1, "no package may come of it");
    site.ok("fsck --deep");
    site.recipe("web", &["greeter"], "");
    site.ok("build web");
    shown
}

fn evil() -> Deb {
    deb("evil", "6.66")
}

#[test]
fn paths_that_lead_outside() {
    assert_snapshot!(build(evil().without_parents().raw(b"./../escaped", EntryType::Regular, None, b"x")), @r#"
    $ larder build --quiet web
    2> error: evil 6.66 can't be used
    2>   because: "../escaped" can't be a path in a tree: it has a `.` or `..` component
    2>   hint: nothing of it was kept: leave the package out, or take another version of it
    [exit code 1]
    "#);
    assert_snapshot!(build(evil().without_parents().raw(b"./usr/../../../escaped", EntryType::Regular, None, b"x")), @r#"
    $ larder build --quiet web
    2> error: evil 6.66 can't be used
    2>   because: "usr/../../../escaped" can't be a path in a tree: it has a `.` or `..` component
    2>   hint: nothing of it was kept: leave the package out, or take another version of it
    [exit code 1]
    "#);
}

#[test]
fn device_nodes() {
    assert_snapshot!(build(evil().raw(b"./usr/null", EntryType::Char, None, b"")), @r#"
    $ larder build --quiet web
    2> error: evil 6.66 can't be used
    2>   because: "./usr/null": a package may not hold devices, fifos or sockets
    2>   hint: nothing of it was kept: leave the package out, or take another version of it
    [exit code 1]
    "#);
    assert_snapshot!(build(evil().raw(b"./usr/disk", EntryType::Block, None, b"")), @r#"
    $ larder build --quiet web
    2> error: evil 6.66 can't be used
    2>   because: "./usr/disk": a package may not hold devices, fifos or sockets
    2>   hint: nothing of it was kept: leave the package out, or take another version of it
    [exit code 1]
    "#);
    assert_snapshot!(build(evil().raw(b"./usr/pipe", EntryType::Fifo, None, b"")), @r#"
    $ larder build --quiet web
    2> error: evil 6.66 can't be used
    2>   because: "./usr/pipe": a package may not hold devices, fifos or sockets
    2>   hint: nothing of it was kept: leave the package out, or take another version of it
    [exit code 1]
    "#);
}

#[test]
fn absurd_sizes() {
    assert_snapshot!(build(evil().file("usr/share/x", "x").claim_size(1 << 50)), @r"
    $ larder build --quiet web
    2> error: evil 6.66 can't be used
    2>   because: a file's size exceeds the limit of 17179869184
    2>   hint: nothing of it was kept: leave the package out, or take another version of it
    [exit code 1]
    ");
    assert_snapshot!(build(evil().file("usr/share/x", "x").claim_size(100_000)), @r"
    $ larder build --quiet web
    2> error: evil 6.66 can't be used
    2>   because: it is cut short
    2>   hint: nothing of it was kept: leave the package out, or take another version of it
    [exit code 1]
    ");
}

#[test]
fn names_that_are_there_twice() {
    assert_snapshot!(build(evil().file("usr/share/x", "1").file("usr/share/x", "2")), @r"
    $ larder build --quiet web
    2> error: evil 6.66 can't be used
    2>   because: usr/share/x stands twice in the tree
    2>   hint: nothing of it was kept: leave the package out, or take another version of it
    [exit code 1]
    ");
}

#[test]
fn links_as_parents() {
    assert_snapshot!(build(evil().without_parents().directory("usr").symlink("usr/x", "/").file("usr/x/escaped", "x")), @r"
    $ larder build --quiet web
    2> error: evil 6.66 can't be used
    2>   because: usr/x/escaped stands below something that is not a directory
    2>   hint: nothing of it was kept: leave the package out, or take another version of it
    [exit code 1]
    ");
}

#[test]
fn hard_links_to_what_is_not_in_the_package() {
    assert_snapshot!(build(evil().hard_link("usr/share/shadow", "etc/shadow")), @r"
    $ larder build --quiet web
    2> error: evil 6.66 can't be used
    2>   because: usr/share/shadow is a hard link to etc/shadow, which is no file of the same package
    2>   hint: nothing of it was kept: leave the package out, or take another version of it
    [exit code 1]
    ");
}

#[test]
fn attributes_of_overlays() {
    assert_snapshot!(build(evil().file("usr/share/x", "x").attribute("trusted.overlay.redirect", "/etc/shadow")), @r#"
    $ larder build --quiet web
    2> error: evil 6.66 can't be used
    2>   because: usr/share/x: the extended attribute "trusted.overlay.redirect" can't stand in a tree
    2>   hint: nothing of it was kept: leave the package out, or take another version of it
    [exit code 1]
    "#);
    assert_snapshot!(build(evil().file("usr/share/x", "x").attribute("user.overlay.metacopy", "")), @r#"
    $ larder build --quiet web
    2> error: evil 6.66 can't be used
    2>   because: usr/share/x: the extended attribute "user.overlay.metacopy" can't stand in a tree
    2>   hint: nothing of it was kept: leave the package out, or take another version of it
    [exit code 1]
    "#);
}

#[test]
fn files_where_other_packages_are_shown() {
    let site = Site::with(archive().package(evil().file("packages/debian.org/greeter@1.0/usr/bin/more", "x")));
    site.recipe("web", &["evil", "greeter"], "");
    assert_snapshot!(site.session(&["build --quiet web", "images"]), @r"
    $ larder build --quiet web
    2> error: /packages/debian.org of debian.org/evil@6.66 can't be there: /packages is where packages are shown
    [exit code 1]
    $ larder images
    NAME  VERSION  DIGEST  PACKAGES  CREATED (UTC)  SIGNED
    ");
}

#[test]
fn text_that_would_move_a_terminals_cursor() {
    assert_snapshot!(build(evil().without_parents().raw(b"./usr/\x1b[2J/../x", EntryType::Regular, None, b"x")), @r#"
    $ larder build --quiet web
    2> error: evil 6.66 can't be used
    2>   because: "usr/\u{1b}[2J/../x" can't be a path in a tree: it has a `.` or `..` component
    2>   hint: nothing of it was kept: leave the package out, or take another version of it
    [exit code 1]
    "#);
}
