//! `larder inspect` and `larder files` of packages.

use insta::assert_snapshot;
use larder_lib::TreePath;
use larder_lib::store::fileset::{HostAsks, PackageMetadata};
use larder_testkit::hostile;

use super::own::{Own, own};
use super::site::{Site, deb};

/// A package that says all that a package can say.
fn talkative(site: &Site) -> Own {
    let words = own("example.com/words", "3").file("usr/share/words", "plum\n").publish(site);
    let seed = |target: &str, name: &str| std::fs::read(hostile::folder(target).join(name)).expect("a seed");
    let list = |items: &[&str]| items.iter().map(|&item| item.to_owned()).collect::<Vec<_>>();
    let saying = |metadata: &mut PackageMetadata| {
        metadata.description = "Talks".to_owned();
        metadata.licence = Some("MIT".to_owned());
        metadata.homepage = Some("https://example.com/talk".to_owned());
        metadata.documentation = list(&["https://example.com/talk/manual"]);
        metadata.source = Some("talk 1".to_owned());
        metadata.recommends = list(&["debian.org/greeter"]);
        metadata.breaks = list(&["example.com/mute (<< 2)"]);
        metadata.replaces = list(&["example.com/mute"]);
        metadata.asks = HostAsks { capabilities: list(&["NET_ADMIN"]), memory: 64 << 20, ..HostAsks::default() };
        metadata.configuration = vec![TreePath::try_from("etc/talk.conf").expect("a path")];
    };
    own("example.com/talk", "1")
        .requires(&["debian.org/libgreet (>= 1)"])
        .provides(&["example.com/speech"])
        .conflicts(&["example.com/hush"])
        .stands_in_for(&["debian.org/httpd (>= 1)"])
        .saying(saying)
        .holding("usr/lib/talk/words", ("example.com/words", "3"), words)
        .links(&[("usr/bin/say", "talk")])
        .action("start", &["talk", "to me"])
        .program("usr/bin/talk", seed("compiled", "go"))
        .file("etc/talk.conf", "loud\n")
        .file("usr/share/java/app.jar", seed("jar", "nested"))
        .file("usr/share/java/broken.jar", "PK\n")
}

/// Documents in which every field of a package's has a value at some time.
pub(crate) fn documents() -> Vec<String> {
    let tool = deb("tool", "1").file_with("usr/bin/su", "su\n", 0o4755, "root", "root");
    let mut site = Site::with(super::site::archive().package(tool));
    talkative(&site).publish(&site);
    site.recipe("web", &["tool"], "base = \"none\"\n");
    site.ok("build web");
    site.ok("key new --no-passphrase example.com");
    site.env.write("root/usr/share/thing", "thing\n");
    site.ok("package from-dir root --name example.com/thing --version 1");
    site.env.set("LARDER_OFFLINE", "1");
    ["inspect --deep --json example.com/talk", "inspect --json debian.org/tool", "inspect --json example.com/thing"]
        .map(|line| site.stdout(line))
        .into()
}

#[test]
fn a_package_is_shown_with_all_that_it_says() {
    let site = Site::new();
    talkative(&site).publish(&site);
    assert_snapshot!(site.session(&[
        "inspect --deep example.com/talk",
        "files example.com/talk",
        "files example.com/talk /usr/bin",
        "files example.com/talk /opt",
        "inspect example.com/talc",
    ]), @"
    $ larder inspect --deep example.com/talk
    package:      example.com/talk@1
    digest:       blake3:<1>
    signed:       no statement
    architecture: all
    summary:      Talks
    licence:      MIT
    homepage:     https://example.com/talk
    documents:    https://example.com/talk/manual
    source:       talk 1
    requires:     debian.org/libgreet (>= 1)
    recommends:   debian.org/greeter
    provides:     example.com/speech
    conflicts:    example.com/hush
    breaks:       example.com/mute (<< 2)
    replaces:     example.com/mute
    stand-in for: debian.org/httpd (>= 1)
    holds:        example.com/words@3 at /usr/lib/talk/words
    asks for:     memory 64m
    asks for:     capability NET_ADMIN (needs --allow cap:NET_ADMIN)
    action:       start = talk 'to me'
    link:         /usr/bin/say -> talk
    config file:  /etc/talk.conf
    files:        4 (1.3 KiB)
    compiled in:  6 components
      example.com/talk 1
        /usr/bin/talk
          go example.com/new v1.1.0
          go example.com/tool (devel)
          go golang.org/x/text v0.3.7
          go stdlib 1.22.3
        /usr/share/java/app.jar
          java app 1
          java org.apache.logging.log4j:log4j-core 2.14.1  in BOOT-INF/lib/log4j-core-2.14.1.jar
        /usr/share/java/broken.jar  unread: the archive can't be read: it is no zip file, or a damaged one
    $ larder files example.com/talk
    d0755         root:root          - /etc  (example.com/talk@1)
    -0644         root:root          5 /etc/talk.conf  (example.com/talk@1)
    d0755         root:root          - /usr  (example.com/talk@1)
    d0755         root:root          - /usr/bin  (example.com/talk@1)
    -0755         root:root        589 /usr/bin/talk  (example.com/talk@1)
    d0755         root:root          - /usr/share  (example.com/talk@1)
    d0755         root:root          - /usr/share/java  (example.com/talk@1)
    -0644         root:root        774 /usr/share/java/app.jar  (example.com/talk@1)
    -0644         root:root          3 /usr/share/java/broken.jar  (example.com/talk@1)
    $ larder files example.com/talk /usr/bin
    d0755         root:root          - /usr/bin  (example.com/talk@1)
    -0755         root:root        589 /usr/bin/talk  (example.com/talk@1)
    $ larder files example.com/talk /opt
    2> error: example.com/talk has no /opt
    2>   hint: `larder files example.com/talk` lists what is there
    [exit code 1]
    $ larder inspect example.com/talc
    2> error: there is no image example.com/talc on this host
    2>   hint: `larder images` lists those that are here
    [exit code 1]
    ");
}

#[test]
fn the_version_is_the_one_that_the_name_stands_for() {
    let site = Site::new();
    for version in ["1", "2"] {
        own("example.com/hello", version).file("usr/share/hello", version).publish(&site);
    }
    site.ok("rollback example.com/hello");
    assert_snapshot!(site.session(&[
        "inspect example.com/hello",
        "inspect example.com/hello@2",
        "inspect example.com/hello@3",
        "files example.com/hello@2 /usr/share/hello",
    ]), @"
    $ larder inspect example.com/hello
    package:      example.com/hello@1
    digest:       blake3:<1>
    signed:       no statement
    architecture: all
    files:        1 (1 B)
    $ larder inspect example.com/hello@2
    package:      example.com/hello@2
    digest:       blake3:<2>
    signed:       no statement
    architecture: all
    files:        1 (1 B)
    $ larder inspect example.com/hello@3
    2> error: there is no image example.com/hello@3 on this host
    2>   hint: `larder images` lists those that are here
    [exit code 1]
    $ larder files example.com/hello@2 /usr/share/hello
    -0644         root:root          1 /usr/share/hello  (example.com/hello@2)
    ");
}
