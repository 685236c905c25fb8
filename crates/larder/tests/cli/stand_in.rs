//! Packages in the place of others.

use insta::assert_snapshot;

use super::own::{Own, library, own};
use super::site::{Site, archive, deb};

/// An archive in which `curl` and `wget` need a library that has a soname, and `rust` an exact version of it.
fn site() -> Site {
    let original = deb("libtls", "3.0-1").field("Multi-Arch", "allowed").provides("tls-impl, libtls-abi (= 3)");
    Site::with(
        archive()
            .package(original.file("usr/lib/x86_64-linux-gnu/libtls.so.3", library("libtls.so.3")))
            .package(deb("curl", "7.88").depends("libtls (>= 3.0)").file("usr/share/curl", "curl\n"))
            .package(deb("wget", "1.21").depends("libtls:any (>= 3.0) | gone").file("usr/share/wget", "wget\n"))
            .package(deb("mirror", "1").depends("wget | curl"))
            .package(deb("archive", "1").depends("mirror"))
            .package(deb("browser", "1").depends("tls-impl"))
            .package(deb("rust", "1.63").depends("libtls (= 3.0-1)")),
    )
}

fn tls(version: &str) -> Own {
    own("example.com/tls", version)
        .stands_in_for(&["debian.org/libtls (>= 3)"])
        .provides(&["debian.org/tls-impl", "debian.org/libtls-abi (= 3)"])
        .file("usr/lib/x86_64-linux-gnu/libtls.so.3", library("libtls.so.3"))
}

const PLAIN: &str = "base = \"none\"\n[override]\n\"debian.org/libtls\" = \"example.com/tls\"\n";
const FORCED: &str = "base = \"none\"\n[override]\n\"debian.org/libtls\" = { by = \"example.com/tls\", force = true, \
                      reason = \"it is tested with our clients\" }\n";

/// Documents in which something stands in for something else.
pub(crate) fn documents() -> Vec<String> {
    let site = site();
    tls("3.1").publish(&site);
    site.recipe("web", &["curl", "rust", "archive"], FORCED);
    ["build --json web", "inspect --json example.com/web", "why --json example.com/web tls"]
        .map(|line| site.stdout(line))
        .into()
}

#[test]
fn what_a_package_replaces_is_not_there_and_all_say_so() {
    let site = site();
    tls("3.1").publish(&site);
    site.recipe("web", &["curl", "wget"], PLAIN);
    assert_snapshot!(site.session(&[
        "build web",
        "build web",
        "inspect example.com/web",
        "why example.com/web tls",
        "why example.com/web libtls",
        "update example.com/web",
        "build --locked web",
    ]), @"
    $ larder build web
    2> fetch the package list of bookworm
    2> fetch the package list of bookworm-security
    2> fetch the package list of bookworm-updates
    2> fetch and convert 2 packages
    2> fetch and convert 1 package
    stand-in: example.com/tls 3.1 for debian.org/libtls, about which debian.org's word is void; tested with the original: debian.org/curl 7.88, debian.org/wget 1.21
    3 packages, 2 fetched (12.4 KiB), scripts: 3 none, 0 declared, 0 skipped
    built example.com/web@1.0, unsigned
    blake3:<1>
    $ larder build web
    stand-in: example.com/tls 3.1 for debian.org/libtls, about which debian.org's word is void; tested with the original: debian.org/curl 7.88, debian.org/wget 1.21
    3 packages, 0 fetched (0 B), scripts: 3 none, 0 declared, 0 skipped
    unchanged example.com/web@1.0, unsigned
    blake3:<1>
    $ larder inspect example.com/web
    image:        example.com/web@1.0
    digest:       blake3:<1>
    signed:       unsigned
    architecture: amd64
    from:         debian.org/bookworm, base none
    asked for:    curl, wget
    own files:    0 (0 B)
    stand-in:     example.com/tls 3.1 for debian.org/libtls, about which debian.org's word is void; tested with the original: debian.org/curl 7.88, debian.org/wget 1.21
    packages:     3 (674 B)
      PACKAGE          VERSION   SIZE  SCRIPTS  SIGNED        DIGEST
      debian.org/curl  7.88     205 B  none     archive       <2>
      debian.org/wget  1.21     216 B  none     archive       <3>
      example.com/tls  3.1      253 B  none     no statement  <4>
    $ larder why example.com/web tls
    curl 7.88  (example.com/web asks for curl)
      example.com/tls 3.1  (curl requires libtls (>= 3.0); it stands in for debian.org/libtls, about which debian.org's word is void)
    $ larder why example.com/web libtls
    curl 7.88  (example.com/web asks for curl)
      example.com/tls 3.1  (curl requires libtls (>= 3.0); it stands in for debian.org/libtls, about which debian.org's word is void)
    $ larder update example.com/web
    stand-in: example.com/tls 3.1 for debian.org/libtls, about which debian.org's word is void; tested with the original: debian.org/curl 7.88, debian.org/wget 1.21
    3 packages, 0 fetched (0 B), scripts: 3 none, 0 declared, 0 skipped
    unchanged example.com/web@1.0, unsigned
    blake3:<1>
    $ larder build --locked web
    stand-in: example.com/tls 3.1 for debian.org/libtls, about which debian.org's word is void; tested with the original: debian.org/curl 7.88, debian.org/wget 1.21
    3 packages, 0 fetched (0 B), scripts: 3 none, 0 declared, 0 skipped
    unchanged example.com/web@1.0, unsigned
    blake3:<1>
    ");
    let lock = std::fs::read_to_string(site.env.path("web/larder.lock")).expect("a lock");
    assert!(lock.contains("[[override]]\nof = \"debian.org/libtls\"\nby = \"example.com/tls\"\n"), "{lock}");
    site.recipe("web", &["curl", "wget"], "base = \"none\"\n");
    assert_snapshot!(site.session(&["build web", "diff example.com/web@1.0 example.com/web", "build --locked web"]), @"
    $ larder build web
      + debian.org/libtls 3.0-1
      - example.com/tls 3.1
    3 packages, 0 fetched (0 B), scripts: 3 none, 0 declared, 0 skipped
    built example.com/web@1.0, unsigned
    blake3:<1>
    $ larder diff example.com/web@1.0 example.com/web
    no difference
    $ larder build --locked web
    3 packages, 0 fetched (0 B), scripts: 3 none, 0 declared, 0 skipped
    unchanged example.com/web@1.0, unsigned
    blake3:<1>
    ");
}

/// What needs a package that was tested with the original was tested with it as well.
#[test]
fn whatever_was_tested_with_the_original_is_listed() {
    let site = site();
    tls("3.1").publish(&site);
    own("example.com/tool", "1").requires(&["debian.org/archive"]).publish(&site);
    site.recipe("web", &["example.com/tool", "browser", "example.com/tls"], PLAIN);
    let built = site.stdout("build web");
    let line = built.lines().find(|line| line.starts_with("stand-in: ")).expect("a line");
    assert_snapshot!(line, @"stand-in: example.com/tls 3.1 for debian.org/libtls, about which debian.org's word is void; tested with the original: debian.org/browser 1, debian.org/wget 1.21, and 3 packages that need these");
    let document: serde_json::Value =
        serde_json::from_str(&site.stdout("inspect --json example.com/web")).expect("JSON");
    let through = ["debian.org/archive 1", "debian.org/mirror 1", "example.com/tool 1"];
    assert_eq!(document["stand_ins"][0]["through"], serde_json::json!(through));
}

#[test]
fn what_does_not_fit_is_refused_unless_it_is_forced() {
    let site = site();
    let mut said = String::new();
    let mut attempt = |packages: &[&str], rest: &str| {
        site.recipe("web", packages, rest);
        said += &site.session(&["build web"]);
    };
    attempt(&["curl"], PLAIN);
    // It doesn't say that it can; then only for others.
    own("example.com/tls", "3.1").publish(&site);
    attempt(&["curl"], PLAIN);
    tls("3.2").stands_in_for(&["debian.org/libtls (>= 4)"]).publish(&site);
    attempt(&["curl"], PLAIN);
    // It says so, and lacks what the original has.
    own("example.com/tls", "3.3").stands_in_for(&["debian.org/libtls"]).publish(&site);
    attempt(&["curl"], PLAIN);
    // Somebody needs another version.
    tls("3.4").publish(&site);
    attempt(&["curl", "rust"], PLAIN);
    attempt(&["curl", "rust"], FORCED);
    attempt(&["curl"], "base = \"none\"\n[override]\n\"debian.org/libtsl\" = \"example.com/tls\"\n");
    attempt(&["nano"], PLAIN);
    assert_snapshot!(said, @r#"
    $ larder build web
    2> fetch the package list of bookworm
    2> fetch the package list of bookworm-security
    2> fetch the package list of bookworm-updates
    2> error: there is no package example.com/tls in the store
    2>   hint: `larder build` its recipe first, or name the folder of the recipe: { path = "../hello" }
    [exit code 1]
    $ larder build web
    2> error: example.com/tls 3.1 doesn't say that it can stand in for debian.org/libtls 3.0-1
    2>   hint: let its recipe say stands-in-for = ["debian.org/libtls"], or force it and say why: { by = …, force = true, reason = "…" }
    [exit code 1]
    $ larder build web
    2> error: example.com/tls 3.2 doesn't say that it can stand in for debian.org/libtls 3.0-1, only for libtls (>= 4)
    2>   hint: let its recipe say stands-in-for = ["debian.org/libtls"], or force it and say why: { by = …, force = true, reason = "…" }
    [exit code 1]
    $ larder build web
    2> fetch and convert 1 package
    2> fetch and convert 1 package
    2> error: example.com/tls 3.3 can't stand in for debian.org/libtls 3.0-1: it doesn't provide libtls-abi (= 3); it doesn't provide tls-impl; it has no library libtls.so.3
    2>   hint: build it with what is missing, or force it and say why: { by = …, force = true, reason = "…" }
    [exit code 1]
    $ larder build web
    2> error: can't choose packages from debian.org/bookworm:
    2>   rust can't be installed:
    2>     rust 1.63 needs libtls (= 3.0-1), which does not exist
    2>   hint: by [override] example.com/tls answers for debian.org/libtls, at its own version unless it is forced
    [exit code 1]
    $ larder build web
    2> fetch and convert 1 package
    stand-in: example.com/tls 3.4 for debian.org/libtls, about which debian.org's word is void (forced: it is tested with our clients); tested with the original: debian.org/curl 7.88, debian.org/rust 1.63
    3 packages, 1 fetched (4.2 KiB), scripts: 3 none, 0 declared, 0 skipped
    built example.com/web@1.0, unsigned
    blake3:<1>
    $ larder build web
    2> error: debian.org/libtsl isn't in debian.org/bookworm, so there is nothing to stand in for
    2>   hint: did you mean libtls?
    [exit code 1]
    $ larder build web
    2> error: nothing in the image needs debian.org/libtls, so the override of it does nothing
    2>   hint: take it out of [override]
    [exit code 1]
    "#);
}

#[test]
fn a_forced_one_is_recorded_with_its_reason() {
    let site = site();
    own("example.com/tls", "2026").publish(&site);
    site.recipe("web", &["curl", "rust"], FORCED);
    assert_snapshot!(site.session(&["build -q web", "inspect example.com/web", "why example.com/web tls"]), @"
    $ larder build -q web
    blake3:<1>
    $ larder inspect example.com/web
    image:        example.com/web@1.0
    digest:       blake3:<1>
    signed:       unsigned
    architecture: amd64
    from:         debian.org/bookworm, base none
    asked for:    curl, rust
    own files:    0 (0 B)
    stand-in:     example.com/tls 2026 for debian.org/libtls, about which debian.org's word is void (forced: it is tested with our clients); tested with the original: debian.org/curl 7.88, debian.org/rust 1.63
    packages:     3 (406 B)
      PACKAGE          VERSION   SIZE  SCRIPTS  SIGNED        DIGEST
      debian.org/curl  7.88     205 B  none     archive       <2>
      debian.org/rust  1.63     201 B  none     archive       <3>
      example.com/tls  2026       0 B  none     no statement  <4>
    $ larder why example.com/web tls
    curl 7.88  (example.com/web asks for curl)
      example.com/tls 2026  (curl requires libtls (>= 3.0); it stands in for debian.org/libtls, about which debian.org's word is void)
    ");
    let lock = std::fs::read_to_string(site.env.path("web/larder.lock")).expect("a lock");
    assert!(lock.contains("\nforced = \"it is tested with our clients\"\n"), "{lock}");
}
