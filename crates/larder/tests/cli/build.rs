//! `larder build`

use insta::assert_snapshot;

use super::site::Site;

#[test]
fn a_recipe_becomes_an_image_and_a_second_build_changes_nothing() {
    let site = Site::new();
    site.recipe("web", &["greeter", "httpd"], "");
    assert_snapshot!(site.session(&["build web", "build web"]), @r"
    $ larder build web
    2> fetch the package list of bookworm
    2> fetch the package list of bookworm-security
    2> fetch the package list of bookworm-updates
    2> fetch and convert 5 packages
    5 packages, 5 fetched (35.9 KiB), scripts: 3 none, 2 declared, 0 skipped
    built example.com/web@1.0, unsigned
    blake3:<1>
    $ larder build web
    5 packages, 0 fetched (0 B), scripts: 3 none, 2 declared, 0 skipped
    unchanged example.com/web@1.0, unsigned
    blake3:<1>
    ");
}

#[test]
fn the_lock_says_what_was_taken_and_from_where() {
    let site = Site::new();
    site.recipe("web", &["greeter"], "base = \"none\"\n");
    site.ok("build web");
    let lock = std::fs::read_to_string(site.env.path("web/larder.lock")).expect("a lock");
    assert_snapshot!(site.redact(&lock), @r#"
    # Written by Larder. Keep it beside the recipe, under version control.
    # `larder update` changes it; nobody else should.
    format = 1
    architecture = "amd64"
    asked = [
        "base none",
        "from debian.org/bookworm",
        "package greeter",
    ]

    [distribution]
    name = "debian.org/bookworm"

    [[distribution.suite]]
    name = "bookworm"
    release = "sha256:<1>"
    date = <date>
    key = "<KEY>"

    [[distribution.suite]]
    name = "bookworm-updates"
    release = "sha256:<2>"
    date = <date>
    key = "<KEY>"

    [[distribution.suite]]
    name = "bookworm-security"
    release = "sha256:<3>"
    date = <date>
    key = "<KEY>"

    [[package]]
    name = "debian.org/greeter"
    version = "1.0"
    architecture = "amd64"
    fileset = "blake3:<4>"
    rule = "deb/1"
    archive = "pool/main/greeter/greeter_1.0_amd64.deb"
    size = 6336
    sha256 = "<5>"

    [[package]]
    name = "debian.org/libgreet"
    version = "1.0"
    architecture = "amd64"
    fileset = "blake3:<6>"
    rule = "deb/1"
    archive = "pool/main/libgreet/libgreet_1.0_amd64.deb"
    size = 6336
    sha256 = "<7>"
    "#);
}

#[test]
fn own_files_win_and_the_report_says_so() {
    let site = Site::new();
    let files = "[files]\n\"/etc/httpd/httpd.conf\" = \"httpd.conf\"\n\"/var/www/html\" = \"site\"\n";
    site.recipe("web", &["httpd"], files);
    site.env.write("web/httpd.conf", "listen 8080\n");
    site.env.write("web/site/index.html", "<h1>Hello</h1>\n");
    assert_snapshot!(site.session(&["build web --verbose", "files example.com/web /var/www"]), @r"
    $ larder build web --verbose
    2> fetch the package list of bookworm
    2> fetch the package list of bookworm-security
    2> fetch the package list of bookworm-updates
    2> fetch and convert 4 packages
      + debian.org/base-files 12.4
      + debian.org/httpd 1.4
      + debian.org/libgreet 1.0
      + debian.org/shell 5.2
      debian.org/base-files 12.4  scripts: declared
      debian.org/httpd 1.4  scripts: declared
      debian.org/libgreet 1.0  scripts: none
      debian.org/shell 5.2  scripts: none
    override: /etc/httpd/httpd.conf of the recipe instead of debian.org/httpd@1.4's
    override: /var/www/html/index.html of the recipe instead of debian.org/httpd@1.4's
    4 packages, 4 fetched (29.8 KiB), scripts: 2 none, 2 declared, 0 skipped
    built example.com/web@1.0, unsigned
    blake3:<1>
    $ larder files example.com/web /var/www
    d0755         root:root          - /var/www  (debian.org/httpd@1.4)
    d0755         root:root          - /var/www/html  (debian.org/httpd@1.4)
    -0644         root:root         15 /var/www/html/index.html  (example.com/web@1.0)
    ");
}

#[test]
fn a_changed_recipe_gives_a_new_image_and_says_what_changed() {
    let site = Site::new();
    site.recipe("web", &["greeter"], "");
    site.ok("build web");
    site.recipe("web", &["httpd"], "user = \"httpd\"\n");
    assert_snapshot!(site.session(&["build web"]), @r"
    $ larder build web
    2> fetch and convert 1 package
      - debian.org/greeter 1.0
      + debian.org/httpd 1.4
    4 packages, 1 fetched (9.7 KiB), scripts: 2 none, 2 declared, 0 skipped
    built example.com/web@1.0, unsigned
    blake3:<1>
    ");
}

#[test]
fn quiet_is_the_digest_alone() {
    let site = Site::new();
    site.recipe("web", &["greeter"], "");
    assert_snapshot!(site.session(&["build --quiet web", "-q build web"]), @r"
    $ larder build --quiet web
    blake3:<1>
    $ larder -q build web
    blake3:<1>
    ");
}

#[test]
fn a_lock_that_matches_is_all_that_locked_needs() {
    let site = Site::new();
    site.recipe("web", &["greeter"], "");
    assert_snapshot!(site.session(&["build --locked web"]), @r"
    $ larder build --locked web
    2> error: there is no lock web/larder.lock, and --locked forbids to make one
    2>   hint: build once without --locked, and keep the lock
    [exit code 1]
    ");
    site.ok("build web");
    let lock = std::fs::read(site.env.path("web/larder.lock")).expect("a lock");
    // Newer packages don't matter, and neither does a mirror that is gone: everything is here.
    site.server.stop();
    assert_snapshot!(site.session(&["build --locked web"]), @r"
    $ larder build --locked web
    4 packages, 0 fetched (0 B), scripts: 3 none, 1 declared, 0 skipped
    unchanged example.com/web@1.0, unsigned
    blake3:<1>
    ");
    assert_eq!(lock, std::fs::read(site.env.path("web/larder.lock")).expect("a lock"));
    site.recipe("web", &["httpd", "nano >= 7"], "recommends = true\n");
    assert_snapshot!(site.session(&["build --locked web"]), @r"
    $ larder build --locked web
    2> error: web/larder.lock doesn't match the recipe:
    2>   the recipe has, and the lock hasn't: package httpd
    2>   the recipe has, and the lock hasn't: package nano >=7
    2>   the recipe has, and the lock hasn't: recommends
    2>   the lock has, and the recipe hasn't: package greeter
    2>   hint: build without --locked to write the lock anew
    [exit code 1]
    ");
}

#[test]
fn an_empty_store_is_filled_from_the_lock_alone() {
    let mut site = Site::new();
    site.recipe("web", &["greeter"], "");
    let digest = site.stdout("build -q web");
    site.env.set("LARDER_ROOT", site.env.path("other"));
    _ = site.server.take_requests();
    assert_eq!(site.stdout("build -q --locked web"), digest);
    let paths: Vec<String> = site.server.take_requests().into_iter().map(|request| request.path).collect();
    assert!(paths.iter().all(|path| path.contains("/pool/")), "no index is needed: {paths:?}");
}

#[test]
fn a_lock_that_was_changed_by_hand_is_refused() {
    let site = Site::new();
    site.recipe("web", &["greeter"], "");
    site.ok("build web");
    let good = std::fs::read_to_string(site.env.path("web/larder.lock")).expect("a lock");
    let at = good.find("fileset = \"blake3:").expect("a digest") + "fileset = \"blake3:".len();
    let mut other = good.clone();
    other.replace_range(at..at + 4, if &good[at..at + 4] == "0000" { "1111" } else { "0000" });
    site.env.write("web/larder.lock", other);
    assert_snapshot!(site.session(&["build web"]), @r"
    $ larder build web
    2> error: debian.org/base-files converts to blake3:<1>, and the lock has blake3:<2>
    2>   hint: the lock was changed by hand, or by another version of larder: build without the lock to compare
    [exit code 1]
    ");
    site.env.write("web/larder.lock", good.replace("fileset", "filest"));
    assert_snapshot!(site.session(&["build web"]), @r"
    $ larder build web
    2> error: web/larder.lock:36:1: this isn't a lock: unknown field `filest`, expected one of `name`, `version`, `architecture`, `fileset`, `declarations`, `table`, `captured`, `capture-rule`, `captured-files`, `distribution`, `origin`, `rule`, `archive`, `size`, `sha256`; restore it, or delete it and build again
    [exit code 1]
    ");
    site.env.write("web/larder.lock", "what?\n");
    assert_snapshot!(site.session(&["build web"]), @r"
    $ larder build web
    2> error: web/larder.lock:1:6: this isn't a lock: key with no value, expected `=`; restore it, or delete it and build again
    [exit code 1]
    ");
}

#[test]
fn an_image_of_own_files_needs_no_archive() {
    let site = Site::new();
    site.server.stop();
    site.env.write(
        "own/larder.toml",
        "[image]\nname = \"example.com/own\"\nversion = \"1\"\nbase = \"none\"\n[files]\n\"/hello\" = \"hello\"\n",
    );
    site.env.write("own/hello", "hello\n");
    assert_snapshot!(site.session(&["build own", "files example.com/own /hello"]), @r"
    $ larder build own
    0 packages, 0 fetched (0 B), scripts: 0 none, 0 declared, 0 skipped
    built example.com/own@1, unsigned
    blake3:<1>
    $ larder files example.com/own /hello
    -0644         root:root          6 /hello  (example.com/own@1)
    ");
}
