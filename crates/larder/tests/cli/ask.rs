//! `larder images`, `packages`, `inspect`, `why`, `which`, `files`, `diff`

use insta::assert_snapshot;

use super::site::{Site, archive, deb};

/// Two images that share packages.
fn two() -> Site {
    let site = Site::with(archive().package(deb("tool", "0.1").depends("greeter").file_with(
        "usr/bin/su",
        "su\n",
        0o4755,
        "root",
        "root",
    )));
    site.recipe(
        "web",
        &["greeter", "httpd"],
        "run = [\"sh\", \"-c\", \"echo 'a b'\"]\nuser = \"httpd\"\nenv = { A = \"b c\" }\n",
    );
    site.recipe("shop", &["tool"], "labels = { team = \"shop\" }\n[files]\n\"/etc/shop\" = \"shop.conf\"\n");
    site.env.write("shop/shop.conf", "open\n");
    site.ok("build web");
    site.ok("build shop");
    site
}

#[test]
fn listings() {
    let site = two();
    assert_snapshot!(site.session(&["images", "packages", "packages greet", "packages nothing"]), @r"
    $ larder images
    NAME              VERSION  DIGEST        PACKAGES  CREATED (UTC)     SIGNED
    example.com/shop  1.0      <1>                  5  YYYY-MM-DD hh:mm  unsigned
    example.com/web   1.0      <2>                  5  YYYY-MM-DD hh:mm  unsigned
    $ larder packages
    NAME                   VERSION  DIGEST         SIZE  IMAGES  SCRIPTS   SIGNED
    debian.org/base-files  12.4     <3>           212 B       2  declared  archive
    debian.org/greeter     1.0      <4>           223 B       2  none      archive
    debian.org/httpd       1.4      <5>           214 B       1  declared  archive
    debian.org/libgreet    1.0      <6>           201 B       2  none      archive
    debian.org/shell       5.2      <7>           210 B       2  none      archive
    debian.org/tool        0.1      <8>           194 B       1  none      archive
    $ larder packages greet
    NAME                 VERSION  DIGEST         SIZE  IMAGES  SCRIPTS  SIGNED
    debian.org/greeter   1.0      <4>           223 B       2  none     archive
    debian.org/libgreet  1.0      <6>           201 B       2  none     archive
    $ larder packages nothing
    NAME  VERSION  DIGEST  SIZE  IMAGES  SCRIPTS  SIGNED
    ");
}

#[test]
fn listings_of_an_empty_store() {
    let site = Site::new();
    assert_snapshot!(site.session(&["images", "packages", "which sh", "df", "gc", "fsck"]), @r"
    $ larder images
    NAME  VERSION  DIGEST  PACKAGES  CREATED (UTC)  SIGNED
    $ larder packages
    NAME  VERSION  DIGEST  SIZE  IMAGES  SCRIPTS  SIGNED
    $ larder which sh
    2> note: no image has ever had a package sh
    IMAGE  DIGEST  PACKAGE  VERSION
    $ larder df
    IMAGE     DIGEST  SIZE  ALONE
    files                                     0 B
      shared between images                   0 B
      needed by nothing (larder gc)           0 B
    records and trees                         0 B
    cached views                              0 B
    on disk                                   0 B
    $ larder gc
    removed 0 FileSets and 0 objects (0 B), 0 objects left
    $ larder fsck
    checked 0 FileSets, 0 objects
    nothing wrong
    ");
}

#[test]
fn inspect_shows_what_an_image_is() {
    let site = two();
    assert_snapshot!(site.session(&["inspect example.com/web", "inspect example.com/shop"]), @r"
    $ larder inspect example.com/web
    image:        example.com/web@1.0
    digest:       blake3:<1>
    signed:       unsigned
    architecture: amd64
    from:         debian.org/bookworm, base essential
    asked for:    greeter, httpd
    run:          sh -c 'echo '\''a b'\'''
    user:         httpd
    env:          A=b c
    own files:    0 (0 B)
    packages:     5 (1.0 KiB)
      PACKAGE                VERSION   SIZE  SCRIPTS   SIGNED   DIGEST
      debian.org/base-files  12.4     212 B  declared  archive  <2>
      debian.org/greeter     1.0      223 B  none      archive  <3>
      debian.org/httpd       1.4      214 B  declared  archive  <4>
      debian.org/libgreet    1.0      201 B  none      archive  <5>
      debian.org/shell       5.2      210 B  none      archive  <6>
    $ larder inspect example.com/shop
    image:        example.com/shop@1.0
    digest:       blake3:<7>
    signed:       unsigned
    architecture: amd64
    from:         debian.org/bookworm, base essential
    asked for:    tool
    label:        team=shop
    own files:    1 (5 B)
    privileged:   /usr/bin/su of debian.org/tool@0.1: set-user-id root
    packages:     5 (1.0 KiB)
      PACKAGE                VERSION   SIZE  SCRIPTS   SIGNED   DIGEST
      debian.org/base-files  12.4     212 B  declared  archive  <2>
      debian.org/greeter     1.0      223 B  none      archive  <3>
      debian.org/libgreet    1.0      201 B  none      archive  <5>
      debian.org/shell       5.2      210 B  none      archive  <6>
      debian.org/tool        0.1      194 B  none      archive  <8>
    ");
}

#[test]
fn why_gives_the_chain() {
    let site = two();
    assert_snapshot!(site.session(&[
        "why example.com/shop libgreet",
        "why example.com/shop debian.org/tool",
        "why example.com/shop shell",
        "why example.com/shop libgret",
        "why example.com/shop httpd",
        "why example.com/sho tool",
    ]), @r"
    $ larder why example.com/shop libgreet
    tool 0.1  (example.com/shop asks for tool)
      greeter 1.0  (tool requires greeter)
        libgreet 1.0  (greeter requires libgreet (>= 1.0))
    $ larder why example.com/shop debian.org/tool
    tool 0.1  (example.com/shop asks for tool)
    $ larder why example.com/shop shell
    shell 5.2  (belongs to the base (Essential))
    $ larder why example.com/shop libgret
    2> error: libgret is not in the image
    2>   hint: did you mean libgreet?
    [exit code 1]
    $ larder why example.com/shop httpd
    2> error: httpd is not in the image
    2>   hint: `larder inspect IMAGE` lists what is in an image
    [exit code 1]
    $ larder why example.com/sho tool
    2> error: there is no image example.com/sho on this host
    2>   hint: did you mean example.com/shop or example.com/web?
    [exit code 1]
    ");
}

#[test]
fn which_finds_the_images_of_a_package() {
    let site = two();
    assert_snapshot!(site.session(&[
        "which greeter",
        "which greeter >=1.1",
        "which debian.org/greeter <<2",
        "which gretter",
        "which nothing",
        "which greeter >>",
    ]), @r#"
    $ larder which greeter
    IMAGE                 DIGEST        PACKAGE             VERSION
    example.com/shop@1.0  <1>           debian.org/greeter  1.0
    example.com/web@1.0   <2>           debian.org/greeter  1.0
    $ larder which greeter >=1.1
    IMAGE  DIGEST  PACKAGE  VERSION
    $ larder which debian.org/greeter <<2
    IMAGE                 DIGEST        PACKAGE             VERSION
    example.com/shop@1.0  <1>           debian.org/greeter  1.0
    example.com/web@1.0   <2>           debian.org/greeter  1.0
    $ larder which gretter
    2> note: no image has ever had a package gretter; did you mean greeter?
    IMAGE  DIGEST  PACKAGE  VERSION
    $ larder which nothing
    2> note: no image has ever had a package nothing
    IMAGE  DIGEST  PACKAGE  VERSION
    $ larder which greeter >>
    2> error: "greeter >>" is not a package: a constraint has no version (write "name", "name =1.2-3" or "name >=1.2, <2")
    [exit code 1]
    "#);
    site.ok("build web");
    site.recipe("web", &["editor"], "");
    site.ok("build web");
    assert_snapshot!(site.session(&["which httpd", "which --all httpd"]), @r"
    $ larder which httpd
    IMAGE  DIGEST  PACKAGE  VERSION
    $ larder which --all httpd
    IMAGE                DIGEST        PACKAGE           VERSION
    example.com/web@1.0  <1>           debian.org/httpd  1.4
    ");
}

#[test]
fn files_say_whose_they_are() {
    let site = two();
    assert_snapshot!(site.session(&[
        "files example.com/web /usr/bin",
        "files example.com/web /etc/httpd",
        "files example.com/web /bin",
        "files example.com/shop /etc/shop",
        "files example.com/web usr/bin/",
        "files example.com/web /nowhere",
        "files example.com/web ../etc",
    ]), @"
    $ larder files example.com/web /usr/bin
    d0755         root:root          - /usr/bin  (debian.org/greeter@1.0)
    -0755         root:root         16 /usr/bin/greet  (debian.org/greeter@1.0)
    -0755         root:root         19 /usr/bin/sh  (debian.org/shell@5.2)
    $ larder files example.com/web /etc/httpd
    d0755         root:root          - /etc/httpd  (debian.org/httpd@1.4)
    -0644         root:root         10 /etc/httpd/httpd.conf  (debian.org/httpd@1.4)
    $ larder files example.com/web /bin
    l0777         root:root          - /bin -> usr/bin  (usr-merge)
    $ larder files example.com/shop /etc/shop
    -0644         root:root          5 /etc/shop  (example.com/shop@1.0)
    $ larder files example.com/web usr/bin/
    d0755         root:root          - /usr/bin  (debian.org/greeter@1.0)
    -0755         root:root         16 /usr/bin/greet  (debian.org/greeter@1.0)
    -0755         root:root         19 /usr/bin/sh  (debian.org/shell@5.2)
    $ larder files example.com/web /nowhere
    2> error: example.com/web has no /nowhere
    2>   hint: `larder files example.com/web` lists what is there
    [exit code 1]
    $ larder files example.com/web ../etc
    2> error: example.com/web has no /../etc
    2>   hint: `larder files example.com/web` lists what is there
    [exit code 1]
    ");
}

#[test]
fn files_are_the_whole_root_and_the_packages() {
    let site = two();
    let listing = site.stdout("files example.com/web");
    let of = |path: &str| {
        let line =
            listing.lines().find(|line| line.contains(&format!(" {path}  "))).unwrap_or_else(|| panic!("{path}"));
        line.rsplit("  (").next().and_then(|last| last.strip_suffix(')')).expect("an owner").to_owned()
    };
    assert_eq!(of("/etc/passwd"), "users");
    assert_eq!(of("/var/lib/dpkg/status"), "status");
    assert_eq!(of("/usr/bin/greet"), "debian.org/greeter@1.0");
    let listing = site.stdout("files example.com/web /packages/debian.org/greeter@1.0/usr");
    assert_eq!(listing.lines().count(), 3, "{listing}");
}

#[test]
fn diff_compares_two_images() {
    let site = two();
    assert_snapshot!(site.session(&[
        "diff example.com/web example.com/shop",
        "diff example.com/web example.com/web@1.0",
        "diff example.com/web example.com/nothing",
    ]), @r"
    $ larder diff example.com/web example.com/shop
    - debian.org/httpd 1.4
    + debian.org/tool 0.1
    - declarations of debian.org/httpd 1.4+table1
    + /etc/shop 0644
    - env.A b c
    + labels.team shop
    ~ packages greeter, httpd -> tool
    - run sh -c echo 'a b'
    - user httpd
    $ larder diff example.com/web example.com/web@1.0
    no difference
    $ larder diff example.com/web example.com/nothing
    2> error: there is no image example.com/nothing on this host
    2>   hint: `larder images` lists those that are here
    [exit code 1]
    ");
}

#[test]
fn an_image_that_is_not_there_is_named_with_its_nearest() {
    let site = two();
    assert_snapshot!(site.session(&[
        "inspect example.com/wen",
        "inspect web",
        "inspect example.com/web@2.0",
        "inspect example.com/web@blake3:12",
        "files EXAMPLE.com/web",
        "history example.org/none",
        "inspect debian.org/greeter",
    ]), @r#"
    $ larder inspect example.com/wen
    2> error: there is no image example.com/wen on this host
    2>   hint: did you mean example.com/web?
    [exit code 1]
    $ larder inspect web
    2> error: invalid value 'web' for '<NAME>': "web" is not a name: it has no slash (a name is DOMAIN/SEGMENT, such as debian.org/openssl)
    2>
    2> For more information, try '--help'.
    [exit code 2]
    $ larder inspect example.com/web@2.0
    2> error: example.com/web has no record of version 2.0
    2>   hint: it has 1.0; `larder history example.com/web` lists its records
    [exit code 1]
    $ larder inspect example.com/web@blake3:12
    2> error: invalid value 'example.com/web@blake3:12' for '<NAME>': "example.com/web@blake3:12" is not a reference: after @ stands a version, or blake3: and 64 lower-case hexadecimal digits
    2>
    2> For more information, try '--help'.
    [exit code 2]
    $ larder files EXAMPLE.com/web
    2> error: invalid value 'EXAMPLE.com/web' for '<IMAGE>': "EXAMPLE.com/web" is not a name: its domain has a label that is not 1 to 63 of a-z, 0-9 and inner hyphens
    2>
    2> For more information, try '--help'.
    [exit code 2]
    $ larder history example.org/none
    2> error: there is no image example.org/none on this host
    2>   hint: `larder images` lists those that are here
    [exit code 1]
    $ larder inspect debian.org/greeter
    package:      debian.org/greeter@1.0
    digest:       blake3:<1>
    signed:       archive
    architecture: amd64
    summary:      test package greeter
    source:       greeter 1.0
    requires:     libgreet (>= 1.0)
    files:        2 (223 B)
    in images:    example.com/shop@1.0, example.com/web@1.0
    "#);
}
