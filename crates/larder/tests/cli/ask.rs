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
    NAME              VERSION  DIGEST        PACKAGES  CREATED (UTC)
    example.com/shop  1.0      <1>                  5  YYYY-MM-DD hh:mm
    example.com/web   1.0      <2>                  5  YYYY-MM-DD hh:mm
    $ larder packages
    NAME                   VERSION  DIGEST         SIZE  IMAGES  SCRIPTS
    debian.org/base-files  12.4     <3>           212 B       2  declared
    debian.org/greeter     1.0      <4>           223 B       2  none
    debian.org/httpd       1.4      <5>           214 B       1  declared
    debian.org/libgreet    1.0      <6>           201 B       2  none
    debian.org/shell       5.2      <7>           210 B       2  none
    debian.org/tool        0.1      <8>           194 B       1  none
    $ larder packages greet
    NAME                 VERSION  DIGEST         SIZE  IMAGES  SCRIPTS
    debian.org/greeter   1.0      <4>           223 B       2  none
    debian.org/libgreet  1.0      <6>           201 B       2  none
    $ larder packages nothing
    NAME  VERSION  DIGEST  SIZE  IMAGES  SCRIPTS
    ");
}

#[test]
fn listings_of_an_empty_store() {
    let site = Site::new();
    assert_snapshot!(site.session(&["images", "packages", "which sh", "df", "gc", "fsck"]), @r"
    $ larder images
    NAME  VERSION  DIGEST  PACKAGES  CREATED (UTC)
    $ larder packages
    NAME  VERSION  DIGEST  SIZE  IMAGES  SCRIPTS
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
    architecture: amd64
    from:         debian.org/bookworm, base essential
    asked for:    greeter, httpd
    run:          sh -c 'echo '\''a b'\'''
    user:         httpd
    env:          A=b c
    own files:    0 (0 B)
    packages:     5 (1.0 KiB)
      PACKAGE                VERSION   SIZE  SCRIPTS   DIGEST
      debian.org/base-files  12.4     212 B  declared  <2>
      debian.org/greeter     1.0      223 B  none      <3>
      debian.org/httpd       1.4      214 B  declared  <4>
      debian.org/libgreet    1.0      201 B  none      <5>
      debian.org/shell       5.2      210 B  none      <6>
    $ larder inspect example.com/shop
    image:        example.com/shop@1.0
    digest:       blake3:<7>
    architecture: amd64
    from:         debian.org/bookworm, base essential
    asked for:    tool
    label:        team=shop
    own files:    1 (5 B)
    privileged:   /usr/bin/su of debian.org/tool@0.1: set-user-id root
    packages:     5 (1.0 KiB)
      PACKAGE                VERSION   SIZE  SCRIPTS   DIGEST
      debian.org/base-files  12.4     212 B  declared  <2>
      debian.org/greeter     1.0      223 B  none      <3>
      debian.org/libgreet    1.0      201 B  none      <5>
      debian.org/shell       5.2      210 B  none      <6>
      debian.org/tool        0.1      194 B  none      <8>
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
        "files example.com/web",
        "files example.com/shop /etc/shop",
        "files example.com/web usr/bin/",
        "files example.com/web /nowhere",
        "files example.com/web ../etc",
    ]), @r"
    $ larder files example.com/web
    l0777         root:root          - /bin -> usr/bin  (usr-merge)
    d0755         root:root          - /boot  (usr-merge)
    d0755         root:root          - /dev  (usr-merge)
    d0755         root:root          - /etc  (debian.org/base-files/declarations@12.4+table1)
    d0755         root:root          - /etc/dpkg  (debian.org/base-files/declarations@12.4+table1)
    d0755         root:root          - /etc/dpkg/origins  (debian.org/base-files/declarations@12.4+table1)
    l0777         root:root          - /etc/dpkg/origins/default -> debian  (debian.org/base-files/declarations@12.4+table1)
    -0644         root:root        449 /etc/group  (users)
    -0640       root:shadow        374 /etc/gshadow  (users)
    -0644         root:root         10 /etc/hostname  (seeds)
    -0644         root:root        105 /etc/hosts  (seeds)
    d0755         root:root          - /etc/httpd  (debian.org/httpd@1.4)
    -0644         root:root         10 /etc/httpd/httpd.conf  (debian.org/httpd@1.4)
    l0777         root:root          - /etc/mtab -> ../proc/self/mounts  (seeds)
    -0644         root:root        226 /etc/nsswitch.conf  (seeds)
    d0755         root:root          - /etc/opt  (debian.org/base-files/declarations@12.4+table1)
    l0777         root:root          - /etc/os-release -> ../usr/lib/os-release  (debian.org/base-files@12.4)
    -0644         root:root        891 /etc/passwd  (users)
    -0644         root:root          0 /etc/resolv.conf  (seeds)
    -0640       root:shadow        406 /etc/shadow  (users)
    -0644         root:root         34 /etc/shells  (seeds)
    d0755         root:root          - /home  (usr-merge)
    l0777         root:root          - /lib -> usr/lib  (usr-merge)
    d0755         root:root          - /media  (debian.org/base-files/declarations@12.4+table1)
    d0755         root:root          - /mnt  (debian.org/base-files/declarations@12.4+table1)
    d0755         root:root          - /opt  (debian.org/base-files/declarations@12.4+table1)
    d0755         root:root          - /proc  (usr-merge)
    d0700         root:root          - /root  (usr-merge)
    d0755         root:root          - /run  (debian.org/base-files/declarations@12.4+table1)
    d1777         root:root          - /run/lock  (debian.org/base-files/declarations@12.4+table1)
    l0777         root:root          - /sbin -> usr/sbin  (usr-merge)
    d0755         root:root          - /srv  (debian.org/base-files/declarations@12.4+table1)
    d0755         root:root          - /sys  (usr-merge)
    d1777         root:root          - /tmp  (debian.org/base-files@12.4)
    d0755         root:root          - /usr  (debian.org/base-files/declarations@12.4+table1)
    d0755         root:root          - /usr/bin  (debian.org/greeter@1.0)
    -0755         root:root         16 /usr/bin/greet  (debian.org/greeter@1.0)
    -0755         root:root         19 /usr/bin/sh  (debian.org/shell@5.2)
    d0755         root:root          - /usr/lib  (debian.org/base-files@12.4)
    -0644         root:root         19 /usr/lib/libgreet.txt  (debian.org/libgreet@1.0)
    -0644         root:root         10 /usr/lib/os-release  (debian.org/base-files@12.4)
    d0755         root:root          - /usr/local  (debian.org/base-files/declarations@12.4+table1)
    d0755         root:root          - /usr/local/bin  (debian.org/base-files/declarations@12.4+table1)
    d0755         root:root          - /usr/local/etc  (debian.org/base-files/declarations@12.4+table1)
    d0755         root:root          - /usr/local/games  (debian.org/base-files/declarations@12.4+table1)
    d0755         root:root          - /usr/local/include  (debian.org/base-files/declarations@12.4+table1)
    d0755         root:root          - /usr/local/lib  (debian.org/base-files/declarations@12.4+table1)
    l0777         root:root          - /usr/local/man -> share/man  (debian.org/base-files/declarations@12.4+table1)
    d0755         root:root          - /usr/local/sbin  (debian.org/base-files/declarations@12.4+table1)
    d0755         root:root          - /usr/local/share  (debian.org/base-files/declarations@12.4+table1)
    d0755         root:root          - /usr/local/share/man  (debian.org/base-files/declarations@12.4+table1)
    d0755         root:root          - /usr/local/src  (debian.org/base-files/declarations@12.4+table1)
    d0755         root:root          - /usr/sbin  (usr-merge)
    d0755         root:root          - /usr/share  (usr-merge)
    d0755         root:root          - /var  (debian.org/base-files/declarations@12.4+table1)
    d0755         root:root          - /var/cache  (usr-merge)
    d0755         root:root          - /var/lib  (debian.org/base-files@12.4)
    d0755         root:root          - /var/lib/dpkg  (debian.org/base-files@12.4)
    d0755         root:root          - /var/lib/dpkg/info  (status)
    -0644         root:root        148 /var/lib/dpkg/info/base-files.list  (status)
    -0644         root:root          2 /var/lib/dpkg/info/format  (status)
    -0644         root:root        114 /var/lib/dpkg/info/greeter.list  (status)
    -0644         root:root        169 /var/lib/dpkg/info/httpd.list  (status)
    -0644         root:root        122 /var/lib/dpkg/info/libgreet.list  (status)
    -0644         root:root        109 /var/lib/dpkg/info/shell.list  (status)
    -0644         root:root       1126 /var/lib/dpkg/status  (status)
    d0755         root:root          - /var/lib/dpkg/status.d  (debian.org/base-files@12.4)
    -0644         root:root        202 /var/lib/dpkg/status.d/base-files  (debian.org/base-files@12.4)
    -0644         root:root        207 /var/lib/dpkg/status.d/greeter  (debian.org/greeter@1.0)
    -0644         root:root        194 /var/lib/dpkg/status.d/httpd  (debian.org/httpd@1.4)
    -0644         root:root        182 /var/lib/dpkg/status.d/libgreet  (debian.org/libgreet@1.0)
    -0644         root:root        191 /var/lib/dpkg/status.d/shell  (debian.org/shell@5.2)
    d0755         root:root          - /var/lib/dpkg/updates  (status)
    l0777         root:root          - /var/lock -> /run/lock  (debian.org/base-files/declarations@12.4+table1)
    d0755         root:root          - /var/log  (usr-merge)
    d2775         root:mail          - /var/mail  (debian.org/base-files/declarations@12.4+table1)
    d0755         root:root          - /var/opt  (debian.org/base-files/declarations@12.4+table1)
    l0777         root:root          - /var/run -> /run  (debian.org/base-files/declarations@12.4+table1)
    d0755         root:root          - /var/spool  (debian.org/base-files/declarations@12.4+table1)
    l0777         root:root          - /var/spool/mail -> ../mail  (debian.org/base-files/declarations@12.4+table1)
    d1777         root:root          - /var/tmp  (usr-merge)
    d0755         root:root          - /var/www  (debian.org/httpd@1.4)
    d0755         root:root          - /var/www/html  (debian.org/httpd@1.4)
    -0644         root:root         10 /var/www/html/index.html  (debian.org/httpd@1.4)
    $ larder files example.com/shop /etc/shop
    -0644         root:root          5 /etc/shop  (example.com/shop@1.0)
    $ larder files example.com/web usr/bin/
    d0755         root:root          - /usr/bin  (debian.org/greeter@1.0)
    -0755         root:root         16 /usr/bin/greet  (debian.org/greeter@1.0)
    -0755         root:root         19 /usr/bin/sh  (debian.org/shell@5.2)
    $ larder files example.com/web /nowhere
    2> error: example.com/web@1.0 has no /nowhere
    2>   hint: `larder files example.com/web@1.0` lists what is there
    [exit code 1]
    $ larder files example.com/web ../etc
    2> error: example.com/web@1.0 has no /../etc
    2>   hint: `larder files example.com/web@1.0` lists what is there
    [exit code 1]
    ");
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
    2> error: invalid value 'web' for '<IMAGE>': "web" is not a name: it has no slash (a name is DOMAIN/SEGMENT, such as debian.org/openssl)
    2>
    2> For more information, try '--help'.
    [exit code 2]
    $ larder inspect example.com/web@2.0
    2> error: example.com/web has no record of version 2.0
    2>   hint: it has 1.0; `larder history example.com/web` lists its records
    [exit code 1]
    $ larder inspect example.com/web@blake3:12
    2> error: invalid value 'example.com/web@blake3:12' for '<IMAGE>': "example.com/web@blake3:12" is not a reference: after @ stands a version, or blake3: and 64 lower-case hexadecimal digits
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
    2> error: there is no image debian.org/greeter on this host
    2>   hint: `larder images` lists those that are here
    [exit code 1]
    "#);
}
