//! What images have from packages of one's own and may have instead: default configuration and documentation.

use insta::assert_snapshot;

use super::own::own;
use super::site::Site;

fn site() -> Site {
    let site = Site::new();
    own("example.com/hello", "1")
        .program("usr/bin/hello", "hello")
        .file("etc/hello/hello.conf", "greeting = hello\n")
        .file("etc/hello/words", "hello\n")
        .describes(
            &["etc/hello/hello.conf", "etc/hello/words"],
            &["https://example.com/hello", "https://example.com/hello/2"],
        )
        .publish(&site);
    site
}

/// An image of these packages that says more.
fn image(site: &Site, packages: &[&str], (keys, files): (&str, &str)) {
    let text = format!(
        "[image]\nname = \"example.com/web\"\nversion = \"1\"\nbase = \"none\"\npackages = {packages:?}\n{keys}\n[files]\n{files}\n"
    );
    site.env.write("web/larder.toml", text);
}

/// What an image has, and then what it has instead.
pub(crate) fn documents() -> Vec<String> {
    let site = site();
    image(&site, &["example.com/hello"], ("documentation = [\"https://example.com/web\"]", ""));
    site.ok("build -q web");
    vec![site.stdout("inspect --json example.com/web")]
}

#[test]
fn configuration_and_documentation_are_inherited() {
    let site = site();
    image(&site, &["example.com/hello"], ("", ""));
    site.ok("build -q web");
    let files = "files example.com/web /etc/hello";
    assert_snapshot!(site.session(&[files, "inspect example.com/web"]), @"
    $ larder files example.com/web /etc/hello
    d0755         root:root          - /etc/hello  (example.com/hello@1)
    -0644         root:root         17 /etc/hello/hello.conf  (example.com/hello@1)
    -0644         root:root          6 /etc/hello/words  (example.com/hello@1)
    $ larder inspect example.com/web
    image:        example.com/web@1
    digest:       blake3:<1>
    signed:       unsigned
    architecture: amd64
    asked for:    example.com/hello
    config:       /etc/hello/hello.conf (example.com/hello@1)
    config:       /etc/hello/words (example.com/hello@1)
    docs:         https://example.com/hello (example.com/hello@1)
    docs:         https://example.com/hello/2 (example.com/hello@1)
    own files:    0 (0 B)
    packages:     1 (28 B)
      PACKAGE            VERSION  SIZE  SCRIPTS  SIGNED        DIGEST
      example.com/hello  1        28 B  none     no statement  <2>
    ");
    // A file of the image's goes before, and what it says of its documentation before what its packages say.
    let before = site.stdout("build -q web");
    site.env.write("web/conf", "greeting = good morning\n");
    let files_of = "\"/etc/hello/hello.conf\" = \"conf\"";
    image(&site, &["example.com/hello"], ("documentation = [\"https://example.com/web\"]", files_of));
    let diff = format!("diff example.com/web@{} example.com/web", before.trim());
    assert_snapshot!(site.session(&["build web", files, "inspect example.com/web", &diff]), @"
    $ larder build web
    override: /etc/hello/hello.conf of the recipe instead of example.com/hello@1's
    1 package, 0 fetched (0 B), scripts: 1 none, 0 declared, 0 skipped
    built example.com/web@1, unsigned
    blake3:<1>
    $ larder files example.com/web /etc/hello
    d0755         root:root          - /etc/hello  (example.com/hello@1)
    -0644         root:root         24 /etc/hello/hello.conf  (example.com/web@1)
    -0644         root:root          6 /etc/hello/words  (example.com/hello@1)
    $ larder inspect example.com/web
    image:        example.com/web@1
    digest:       blake3:<1>
    signed:       unsigned
    architecture: amd64
    asked for:    example.com/hello
    config:       /etc/hello/hello.conf (example.com/hello@1; example.com/web@1's instead)
    config:       /etc/hello/words (example.com/hello@1)
    docs:         https://example.com/web (example.com/web@1)
    docs:         https://example.com/hello (example.com/hello@1; not used)
    docs:         https://example.com/hello/2 (example.com/hello@1; not used)
    own files:    1 (24 B)
    packages:     1 (28 B)
      PACKAGE            VERSION  SIZE  SCRIPTS  SIGNED        DIGEST
      example.com/hello  1        28 B  none     no statement  <2>
    $ larder diff example.com/web@blake3:<3> example.com/web
    + /etc/hello/hello.conf 0644
    + documentation https://example.com/web
    ");
    // So does that of a package that replaces it.
    own("example.com/words", "1")
        .replaces_files_of(&["hello"])
        .file("etc/hello/words", "good morning\n")
        .publish(&site);
    image(&site, &["example.com/hello", "example.com/words"], ("", ""));
    assert_snapshot!(site.session(&["build web", files, "inspect example.com/web"]), @"
    $ larder build web
      + example.com/words 1
    override: /etc/hello/words of example.com/words@1 instead of example.com/hello@1's
    2 packages, 0 fetched (0 B), scripts: 2 none, 0 declared, 0 skipped
    built example.com/web@1, unsigned
    blake3:<1>
    $ larder files example.com/web /etc/hello
    d0755         root:root          - /etc/hello  (example.com/hello@1)
    -0644         root:root         17 /etc/hello/hello.conf  (example.com/hello@1)
    -0644         root:root         13 /etc/hello/words  (example.com/words@1)
    $ larder inspect example.com/web
    image:        example.com/web@1
    digest:       blake3:<1>
    signed:       unsigned
    architecture: amd64
    asked for:    example.com/hello, example.com/words
    config:       /etc/hello/hello.conf (example.com/hello@1)
    config:       /etc/hello/words (example.com/hello@1; example.com/words@1's instead)
    docs:         https://example.com/hello (example.com/hello@1)
    docs:         https://example.com/hello/2 (example.com/hello@1)
    own files:    0 (0 B)
    packages:     2 (41 B)
      PACKAGE            VERSION  SIZE  SCRIPTS  SIGNED        DIGEST
      example.com/hello  1        28 B  none     no statement  <2>
      example.com/words  1        13 B  none     no statement  <3>
    ");
}
