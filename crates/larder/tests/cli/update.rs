//! `larder update`

use insta::assert_snapshot;

use super::site::{Site, archive, deb, greeter, library};

/// Makes the archive newer: `libgreet` and `greeter` go to 1.1 together, `httpd` to 1.5.
fn publish(site: &mut Site) {
    let newer = archive()
        .package(library("1.1"))
        .package(greeter("1.1"))
        .package(deb("httpd", "1.5").depends("libgreet").file("etc/httpd/httpd.conf", "listen 80\n"));
    site.archive.publish(newer);
}

fn built() -> Site {
    let mut site = Site::new();
    site.recipe("web", &["greeter", "httpd"], "");
    site.ok("build web");
    publish(&mut site);
    site
}

fn lock(site: &Site) -> String {
    std::fs::read_to_string(site.env.path("web/larder.lock")).expect("a lock")
}

#[test]
fn without_an_update_nothing_moves() {
    let site = built();
    let before = lock(&site);
    assert_snapshot!(site.session(&["build web"]), @r"
    $ larder build web
    5 packages, 0 fetched (0 B), scripts: 3 none, 2 declared, 0 skipped
    unchanged example.com/web@1.0, unsigned
    blake3:<1>
    ");
    assert_eq!(lock(&site), before);
}

#[test]
fn one_package_of_a_recipe_moves_alone() {
    let site = built();
    let before = lock(&site);
    assert_snapshot!(site.session(&["update web httpd"]), @r"
    $ larder update web httpd
    2> fetch the package list of bookworm
    2> fetch and convert 1 package
      ~ debian.org/httpd 1.4 -> 1.5
    5 packages, 1 fetched (6.2 KiB), scripts: 4 none, 1 declared, 0 skipped
    built example.com/web@1.0, unsigned
    blake3:<1>
    ");
    let after = lock(&site);
    let part = |lock: &str, httpd: bool| -> Vec<String> {
        let paragraphs = lock.split("\n\n").filter(|part| part.starts_with("[[package]]"));
        paragraphs.filter(|part| part.contains("debian.org/httpd") == httpd).map(str::to_owned).collect()
    };
    assert_eq!(part(&before, false), part(&after, false), "nothing else may change");
    assert_ne!(part(&before, true), part(&after, true));
}

#[test]
fn what_constraints_force_moves_too() {
    let site = built();
    assert_snapshot!(site.session(&["update web greeter"]), @r"
    $ larder update web greeter
    2> fetch the package list of bookworm
    2> fetch and convert 2 packages
      ~ debian.org/greeter 1.0 -> 1.1
      ~ debian.org/libgreet 1.0 -> 1.1
    5 packages, 2 fetched (12.4 KiB), scripts: 3 none, 2 declared, 0 skipped
    built example.com/web@1.0, unsigned
    blake3:<1>
    ");
}

#[test]
fn everything_moves_when_nothing_is_named() {
    let site = built();
    assert_snapshot!(site.session(&["update web", "update web"]), @r"
    $ larder update web
    2> fetch the package list of bookworm
    2> fetch and convert 3 packages
      ~ debian.org/greeter 1.0 -> 1.1
      ~ debian.org/httpd 1.4 -> 1.5
      ~ debian.org/libgreet 1.0 -> 1.1
    5 packages, 3 fetched (18.6 KiB), scripts: 4 none, 1 declared, 0 skipped
    built example.com/web@1.0, unsigned
    blake3:<1>
    $ larder update web
    5 packages, 0 fetched (0 B), scripts: 4 none, 1 declared, 0 skipped
    unchanged example.com/web@1.0, unsigned
    blake3:<1>
    ");
}

#[test]
fn an_image_alone_is_updated_without_its_recipe() {
    let site = built();
    std::fs::remove_dir_all(site.env.path("web")).expect("removed");
    assert_snapshot!(site.session(&[
        "update example.com/web httpd",
        "update example.com/web debian.org/httpd",
        "history example.com/web",
        "update example.com/web",
    ]), @r"
    $ larder update example.com/web httpd
    2> fetch the package list of bookworm
    2> fetch and convert 1 package
      ~ debian.org/httpd 1.4 -> 1.5
    5 packages, 1 fetched (6.2 KiB), scripts: 4 none, 1 declared, 0 skipped
    built example.com/web@1.0, unsigned
    blake3:<1>
    $ larder update example.com/web debian.org/httpd
    5 packages, 0 fetched (0 B), scripts: 4 none, 1 declared, 0 skipped
    unchanged example.com/web@1.0, unsigned
    blake3:<1>
    $ larder history example.com/web
       VERSION  DIGEST                                                                   WHEN (UTC)        BY
    *  1.0      blake3:<1>  YYYY-MM-DD hh:mm  update
       1.0      blake3:<2>  YYYY-MM-DD hh:mm  build
    $ larder update example.com/web
    2> fetch and convert 2 packages
      ~ debian.org/greeter 1.0 -> 1.1
      ~ debian.org/libgreet 1.0 -> 1.1
    5 packages, 2 fetched (12.4 KiB), scripts: 4 none, 1 declared, 0 skipped
    built example.com/web@1.0, unsigned
    blake3:<3>
    ");
}

#[test]
fn the_recipe_and_the_image_alone_come_to_the_same() {
    let site = built();
    let first = site.stdout("update -q example.com/web");
    assert_eq!(site.stdout("update -q web"), first);
}

#[test]
fn a_package_that_is_not_there_is_named_with_its_nearest() {
    let site = built();
    assert_snapshot!(site.session(&[
        "update web htpd",
        "update example.com/web libgret",
        "update example.com/web zzz",
        "update example.com/wb",
        "update nowhere",
    ]), @r#"
    $ larder update web htpd
    2> error: htpd is not in the image
    2>   hint: did you mean httpd?
    [exit code 1]
    $ larder update example.com/web libgret
    2> error: libgret is not in the image
    2>   hint: did you mean libgreet?
    [exit code 1]
    $ larder update example.com/web zzz
    2> error: zzz is not in the image
    2>   hint: `larder inspect IMAGE` lists what is in an image
    [exit code 1]
    $ larder update example.com/wb
    2> error: there is no image example.com/wb on this host
    2>   hint: did you mean example.com/web?
    [exit code 1]
    $ larder update nowhere
    2> error: "nowhere" is neither a folder with a larder.toml in it nor a name such as debian.org/redis-server
    2>   hint: `larder images` lists the images that are here
    [exit code 1]
    "#);
}

#[test]
fn an_image_without_packages_has_nothing_to_update() {
    let site = Site::new();
    site.env.write("own/larder.toml", "[image]\nname = \"example.com/own\"\nversion = \"1\"\nbase = \"none\"\n");
    site.ok("build own");
    assert_snapshot!(site.session(&["update example.com/own", "update own"]), @r"
    $ larder update example.com/own
    2> error: example.com/own@1 names no distribution to update from
    2>   hint: say `from` in its recipe, and build it
    [exit code 1]
    $ larder update own
    0 packages, 0 fetched (0 B), scripts: 0 none, 0 declared, 0 skipped
    unchanged example.com/own@1, unsigned
    blake3:<1>
    ");
}
