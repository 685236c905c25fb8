//! `[install] links`: links that packages want made in a container's root.

use insta::assert_snapshot;

use super::own::own;
use super::run::machine;
use super::site::Site;

/// An image of these packages and nothing else.
fn image(site: &Site, packages: &[&str], rest: &str) {
    let text = format!(
        "[image]\nname = \"example.com/web\"\nversion = \"1\"\nbase = \"none\"\npackages = {packages:?}\n{rest}"
    );
    site.env.write("web/larder.toml", text);
}

/// Documents of what differs between an image without links and one with them.
pub(crate) fn documents() -> Vec<String> {
    let site = Site::new();
    own("example.com/plain", "1").file("usr/bin/hi", "hi").publish(&site);
    own("example.com/tool", "1").file("usr/bin/hello", "x").links(&[("usr/bin/hi", "hello")]).publish(&site);
    let digests = ["plain", "tool"].map(|name| {
        image(&site, &[&format!("example.com/{name}")], "");
        site.stdout("build -q web").trim().to_owned()
    });
    let diff = |a: &str, b: &str| site.stdout(&format!("diff --json example.com/web@{a} example.com/web@{b}"));
    vec![diff(&digests[0], &digests[1]), diff(&digests[1], &digests[0])]
}

#[test]
fn links_are_made_and_shown() {
    let site = Site::new();
    let tool = |target: &str| {
        let links = [("usr/bin/hi", target), ("opt/tools/hi", "/usr/bin/hi")];
        own("example.com/tool", "1").program("usr/bin/hello", "hello").file("usr/bin/hey", "hey").links(&links)
    };
    tool("hello").publish(&site);
    image(&site, &["example.com/tool"], "");
    site.ok("build -q web");
    tool("hey").publish(&site);
    site.env.write("web/hi", "mine\n");
    image(&site, &["example.com/tool"], "[files]\n\"/opt/tools/hi\" = \"hi\"\n");
    let before = site.stdout("files example.com/web /usr/bin") + &site.stdout("files example.com/web /packages");
    assert_snapshot!(site.redact(&before), @"
    d0755         root:root          - /usr/bin  (example.com/tool@1)
    -0755         root:root          5 /usr/bin/hello  (example.com/tool@1)
    -0644         root:root          3 /usr/bin/hey  (example.com/tool@1)
    l0777         root:root          - /usr/bin/hi -> hello  (example.com/tool@1)
    d0755         root:root          - /packages  (example.com/web@1)
    d0755         root:root          - /packages/example.com  (example.com/web@1)
    d0755         root:root          - /packages/example.com/tool@1  (example.com/tool@1)
    d0755         root:root          - /packages/example.com/tool@1/usr  (example.com/tool@1)
    d0755         root:root          - /packages/example.com/tool@1/usr/bin  (example.com/tool@1)
    -0755         root:root          5 /packages/example.com/tool@1/usr/bin/hello  (example.com/tool@1)
    -0644         root:root          3 /packages/example.com/tool@1/usr/bin/hey  (example.com/tool@1)
    ");
    assert_snapshot!(site.session(&["update web", "files example.com/web /usr/bin/hi"]), @"
    $ larder update web
      ~ example.com/tool 1, other content
    override: /opt/tools/hi of the recipe instead of example.com/tool@1's
    1 package, 0 fetched (0 B), scripts: 1 none, 0 declared, 0 skipped
    built example.com/web@1, unsigned
    blake3:<1>
    $ larder files example.com/web /usr/bin/hi
    l0777         root:root          - /usr/bin/hi -> hey  (example.com/tool@1)
    ");
    let records = site.stdout("history --json example.com/web");
    let records: serde_json::Value = serde_json::from_str(&records).expect("JSON");
    let oldest = records["items"][1]["digest"].as_str().expect("a digest");
    let diff = site.stdout(&format!("diff example.com/web@{oldest} example.com/web"));
    assert_snapshot!(site.redact(&diff), @"
    ~ example.com/tool 1, other content
        <1>          -> <2>
    + /opt/tools/hi 0644
    ~ link /usr/bin/hi hello (example.com/tool) -> hey (example.com/tool)
    ");
}

#[test]
fn two_packages_that_want_one_path_are_named() {
    let site = Site::new();
    let mut said = String::new();
    let file = own("example.com/file", "1").file("usr/bin/hi", "file");
    for other in [file.clone(), own("example.com/file", "1").links(&[("usr/bin/hi", "hey")]), file] {
        other.publish(&site);
        own("example.com/tool", "1").file("usr/bin/hello", "x").links(&[("usr/bin/hi", "hello")]).publish(&site);
        image(&site, &["example.com/tool", "example.com/file"], "");
        said += &site.session(&["update web"]);
    }
    own("example.com/tool", "2")
        .replaces_files_of(&["file"])
        .file("usr/bin/hello", "x")
        .links(&[("usr/bin/hi", "hello")])
        .publish(&site);
    said += &site.session(&["update web"]);
    assert_snapshot!(said, @"
    $ larder update web
    2> error: example.com/tool@1 wants a link to hello at /usr/bin/hi, where example.com/file@1 has a file
    2>   hint: leave one of the two out, or put a file of your own there with [files]
    [exit code 1]
    $ larder update web
    2> error: example.com/tool@1 wants a link to hello at /usr/bin/hi, where example.com/file@1 has a link to hey
    2>   hint: leave one of the two out, or put a file of your own there with [files]
    [exit code 1]
    $ larder update web
    2> error: example.com/tool@1 wants a link to hello at /usr/bin/hi, where example.com/file@1 has a file
    2>   hint: leave one of the two out, or put a file of your own there with [files]
    [exit code 1]
    $ larder update web
    override: /usr/bin/hi of example.com/tool@2 instead of example.com/file@1's
    2 packages, 0 fetched (0 B), scripts: 2 none, 0 declared, 0 skipped
    built example.com/web@1, unsigned
    blake3:<1>
    ");
}

#[test]
fn a_link_that_leads_nowhere_is_no_image_on_path() {
    let site = Site::new();
    own("example.com/tool", "1")
        .file("etc/tool", "x")
        .links(&[("usr/bin/hi", "hello"), ("opt/hi", "hello")])
        .publish(&site);
    image(&site, &["example.com/tool"], "");
    let failed = site.session(&["build web"]);
    own("example.com/tool", "1").file("etc/tool", "x").links(&[("opt/hi", "hello")]).publish(&site);
    assert_snapshot!(failed + &site.session(&["update -v web"]), @"
    $ larder build web
    2> error: the image would not work:
    2>   /usr/bin/hi (example.com/tool@1): it points to /usr/bin/hello, which isn't in the image
    2>   hint: add the package that has what is missing, or put a file of your own there with [files]
    [exit code 1]
    $ larder update -v web
      + example.com/tool 1
      example.com/tool 1  scripts: none
    finding: /opt/hi (example.com/tool@1): it points to /opt/hello, which isn't in the image
    1 package, 0 fetched (0 B), scripts: 1 none, 0 declared, 0 skipped
    built example.com/web@1, unsigned
    blake3:<1>
    ");
}

/// No record that a recipe makes wants these; one that somebody else made might.
#[test]
fn hostile_links_go_nowhere() {
    let site = Site::new();
    let mut said = String::new();
    for path in ["packages/example.com/tool@1/x", "packages", "usr", "usr/share/tool/x", "bin/hi", "etc/alternatives"] {
        own("example.com/tool", "1").file("usr/share/tool", "x").links(&[(path, "/tmp")]).publish(&site);
        image(&site, &["example.com/tool"], "");
        let output = site.run("update -q web");
        said += &format!("{path}: {} {}", output.code, output.stderr);
    }
    assert_snapshot!(site.redact(&said), @"
    packages/example.com/tool@1/x: 1 error: /packages/example.com/tool@1/x of example.com/tool@1 can't be there: /packages is where packages are shown
    packages: 1 error: /packages of example.com/tool@1 can't be there: /packages is where packages are shown
    usr: 1 error: example.com/tool@1 wants a link to /tmp at /usr, where example.com/tool@1 has a directory
    usr/share/tool/x: 1 error: /usr/share/tool/x of example.com/tool@1 lies below /usr/share/tool, which is no directory in example.com/tool@1
    bin/hi: 1 error: /bin/hi of example.com/tool@1 lies below /bin, which is a link to /usr/bin: place it at /usr/bin/hi
    etc/alternatives: 0
    ");
}

#[test]
fn a_hundred_thousand_links_are_made() {
    let site = Site::new();
    let links: Vec<String> = (0..100_000).map(|n| format!("opt/links/{n:05}")).collect();
    let links: Vec<_> = links.iter().map(|path| (path.as_str(), "/etc/tool")).collect();
    own("example.com/tool", "1").file("etc/tool", "x").links(&links).publish(&site);
    image(&site, &["example.com/tool"], "");
    site.ok("build -q web");
    assert_eq!(site.stdout("files example.com/web /opt/links").lines().count(), 100_001);
}

#[test]
fn every_view_has_them() {
    let Some(site) = machine(false) else { return };
    let links = [("usr/bin/hi", "hello"), ("opt/deep/er/hi", "/usr/bin/hi")];
    own("example.com/tool", "1")
        .requires(&["debian.org/hello"])
        .links(&links)
        .file("usr/share/tool", "x")
        .publish(&site);
    site.recipe("linked", &["example.com/tool"], "");
    site.ok("build -q linked");
    let mut ways = 0;
    for way in ["erofs", "erofs-loop", "stubs", "checkout", "symlink"] {
        let script = "/opt/deep/er/hi $(ls -l /usr/bin/hi | tr -d ' ' | tr '>' ' ')";
        let output = site.env.larder(["run", "-q", "--view", way, "linked", "--", "sh", "-c", script]);
        if output.code == 0 {
            assert!(output.stdout.starts_with("hello, lrwxrwxrwx"), "{way}: {output:?}");
            let sealed = site.env.larder(["run", "-q", "--view", way, "linked", "--", "touch", "/opt/deep/new"]);
            assert!(sealed.stderr.contains("Read-only file system"), "{way}: {sealed:?}");
            ways += 1;
        } else {
            assert!(output.stderr.contains(&format!("--view {way}")) || output.stderr.contains("can't"), "{output:?}");
        }
    }
    assert!(ways >= 2, "{ways}");
}
