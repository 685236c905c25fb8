//! The configuration of a server as a package of its own: the examples `nginx-conf` and `web-conf`, on a small archive.

use std::path::Path;

use insta::assert_snapshot;

use super::run::{furnish, tools};
use super::site::{Site, deb};

/// An nginx that can only test its configuration, and what its sandbox needs.
fn machine() -> Option<Site> {
    let nginx = deb("nginx-light", "1.22").depends("nginx-common");
    let nginx = nginx.program("usr/sbin/nginx", "#!/bin/sh\ncat /etc/nginx/nginx.conf > /dev/null\n");
    let common = deb("nginx-common", "1.22").file("etc/nginx/nginx.conf", "# Debian's\n");
    let copy = deb("cp", "1").essential().symlink("usr/bin/cp", "busybox").symlink("usr/bin/mkdir", "busybox");
    furnish(Site::with(tools()?.package(nginx).package(common).package(copy)))
}

#[test]
fn it_is_updated_and_rolled_back_without_touching_the_server() {
    let Some(site) = machine() else { return };
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    for name in ["nginx-conf", "web-conf"] {
        site.env.copy(examples.join(name));
    }
    assert_snapshot!(site.session(&["build web-conf", "build web-conf"]), @"
    $ larder build web-conf
    2> build example.com/nginx-conf@1.0
    2> fetch and convert 2 packages
    2> test example.com/nginx-conf@1.0
    2> test example.com/web-conf@1.0
    override: /etc/nginx/nginx.conf of example.com/nginx-conf@1.0 instead of debian.org/nginx-common@1.22's
    6 packages, 0 fetched (0 B), scripts: 4 none, 2 declared, 0 skipped; the test passed
    built example.com/web-conf@1.0, unsigned
    blake3:<1>
    $ larder build web-conf
    override: /etc/nginx/nginx.conf of example.com/nginx-conf@1.0 instead of debian.org/nginx-common@1.22's
    6 packages, 0 fetched (0 B), scripts: 4 none, 2 declared, 0 skipped
    unchanged example.com/web-conf@1.0, unsigned
    blake3:<1>
    ");
    let lock = || std::fs::read_to_string(site.env.path("web-conf/larder.lock")).expect("a lock");
    let server = |lock: &str| lock.split("\n\n").filter(|part| part.contains("debian.org/")).collect::<String>();
    let first = lock();

    // Another configuration: the server's packages stay, and so does the image's own page.
    let file = "nginx-conf/files/nginx.conf";
    let text = std::fs::read_to_string(site.env.path(file)).expect("the configuration");
    site.env.write(file, text.replace("keepalive_timeout 30", "keepalive_timeout 5"));
    assert_snapshot!(site.session(&["build --locked web-conf", "build web-conf", "files example.com/web-conf /etc/nginx"]), @"
    $ larder build --locked web-conf
    2> build example.com/nginx-conf@1.0
    2> test example.com/nginx-conf@1.0
    2> error: example.com/nginx-conf is built to blake3:<1>, and the lock has blake3:<2>
    2>   hint: build without --locked to take what its recipe has become
    [exit code 1]
    $ larder build web-conf
    2> test example.com/web-conf@1.0
      ~ example.com/nginx-conf 1.0, other content
    override: /etc/nginx/nginx.conf of example.com/nginx-conf@1.0 instead of debian.org/nginx-common@1.22's
    6 packages, 0 fetched (0 B), scripts: 4 none, 2 declared, 0 skipped; the test passed
    built example.com/web-conf@1.0, unsigned
    blake3:<3>
    $ larder files example.com/web-conf /etc/nginx
    d0755         root:root          - /etc/nginx  (debian.org/nginx-common/declarations@1.22+table1)
    -0644         root:root        875 /etc/nginx/nginx.conf  (example.com/nginx-conf@1.0)
    d0755         root:root          - /etc/nginx/sites-enabled  (debian.org/nginx-common/declarations@1.22+table1)
    l0777         root:root          - /etc/nginx/sites-enabled/default -> /etc/nginx/sites-available/default  (debian.org/nginx-common/declarations@1.22+table1)
    ");
    assert_eq!(server(&first), server(&lock()), "nothing of the server may change");
    assert_ne!(first, lock());
    let shown = || site.stdout("run -q example.com/web-conf -- cat /etc/nginx/nginx.conf");
    assert!(shown().contains("keepalive_timeout 5"));
    assert_snapshot!(site.session(&["rollback example.com/web-conf"]), @r"
    $ larder rollback example.com/web-conf
    now example.com/web-conf@1.0
    blake3:<1>
    ");
    assert!(shown().contains("keepalive_timeout 30"));

    // A version of its own, taken by the image alone.
    let recipe = std::fs::read_to_string(site.env.path("nginx-conf/larder.toml")).expect("a recipe");
    site.env.write("nginx-conf/larder.toml", recipe.replace("\"1.0\"", "\"1.1\""));
    site.ok("build nginx-conf");
    assert_snapshot!(site.session(&[
        "update example.com/web-conf nginx-conf",
        "rollback example.com/web-conf",
        "which nginx-conf",
    ]), @"
    $ larder update example.com/web-conf nginx-conf
      ~ example.com/nginx-conf 1.0 -> 1.1
    override: /etc/nginx/nginx.conf of example.com/nginx-conf@1.1 instead of debian.org/nginx-common@1.22's
    6 packages, 0 fetched (0 B), scripts: 4 none, 2 declared, 0 skipped
    built example.com/web-conf@1.0, unsigned
    blake3:<1>
    $ larder rollback example.com/web-conf
    now example.com/web-conf@1.0
    blake3:<2>
    $ larder which nginx-conf
    IMAGE                     DIGEST        PACKAGE                 VERSION
    example.com/web-conf@1.0  <2>           example.com/nginx-conf  1.0
    ");
}

#[test]
fn what_is_beside_must_be_a_package() {
    let Some(site) = machine() else { return };
    let mut said = String::new();
    for path in ["../box", "../absent"] {
        site.recipe("web", &[], &format!("packages = [{{ path = {path:?} }}]\n"));
        let text = std::fs::read_to_string(site.env.path("web/larder.toml")).expect("recipe");
        site.env.write("web/larder.toml", text.replace("packages = []\n", ""));
        said += &site.session(&["build web"]);
    }
    assert_snapshot!(said, @r"
    $ larder build web
    2> error: web/../box/larder.toml: this is the recipe of an image, and that of a package is needed here
    2>   hint: name the folder of the other recipe
    [exit code 1]
    $ larder build web
    2> error: web/../absent: there is no recipe here
    2>   hint: name a folder that holds a larder.toml, or write one: docs/recipe.md shows how
    [exit code 1]
    ");
}
