//! Stores that can't be used.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use insta::assert_snapshot;
use larder_testkit::env::is_root;
use larder_testkit::skip;

use super::site::Site;

#[test]
fn a_later_version() {
    let site = Site::new();
    site.ok("images");
    let file = site.env.store().join("layout");
    let text = fs::read_to_string(&file).expect("the store's version");
    fs::write(&file, text.replace(char::is_numeric, "99")).expect("written");
    assert_snapshot!(site.session(&["images", "fsck", "run example.com/web"]), @r"
    $ larder images
    2> error: the store at $DIR/store has layout version 99, and this version of Larder knows up to 1; use the newer Larder that made it, or another store
    [exit code 1]
    $ larder fsck
    2> error: the store at $DIR/store has layout version 99, and this version of Larder knows up to 1; use the newer Larder that made it, or another store
    [exit code 1]
    $ larder run example.com/web
    2> error: the store at $DIR/store has layout version 99, and this version of Larder knows up to 1; use the newer Larder that made it, or another store
    [exit code 125]
    ");
    fs::write(&file, "what?\n").expect("written");
    assert_snapshot!(site.session(&["images"]), @r"
    $ larder images
    2> error: $DIR/store is not a Larder store, and it is not empty; name another folder
    2>   hint: --root or LARDER_ROOT names another store
    [exit code 1]
    ");
}

#[test]
fn a_folder_that_is_something_else() {
    let mut site = Site::new();
    site.env.write("photos/cat.png", "meow");
    site.env.set("LARDER_ROOT", site.env.path("photos"));
    assert_snapshot!(site.session(&["images", "--root photos/cat.png images"]), @r"
    $ larder images
    2> error: $DIR/photos is not a Larder store, and it is not empty; name another folder
    2>   hint: --root or LARDER_ROOT names another store
    [exit code 1]
    $ larder --root photos/cat.png images
    2> error: can't create $DIR/photos/cat.png
    2>   because: File exists (os error 17)
    [exit code 1]
    ");
}

#[test]
fn a_store_that_this_user_cannot_read() {
    let Some(site) = Site::for_user() else {
        return skip("an unreadable store", "there is no user larder-test; scripts/setup makes it");
    };
    site.ok("images");
    fs::set_permissions(site.env.store(), fs::Permissions::from_mode(0o0)).expect("permissions");
    assert_snapshot!(site.session(&["images", "fsck"]), @r"
    $ larder images
    2> error: the store at $DIR/store can't be read by this user
    2>   because: Permission denied (os error 13)
    2>   hint: --root or LARDER_ROOT names another store
    [exit code 1]
    $ larder fsck
    2> error: the store at $DIR/store can't be read by this user
    2>   because: Permission denied (os error 13)
    2>   hint: --root or LARDER_ROOT names another store
    [exit code 1]
    ");
}

#[test]
fn a_store_that_can_only_be_read() {
    let Some(site) = Site::for_user() else {
        return skip("a read-only store", "there is no user larder-test; scripts/setup makes it");
    };
    site.recipe("web", &["greeter"], "");
    site.ok("build web");
    close(&site.env.store());
    assert_snapshot!(site.session(&["images", "why example.com/web libgreet", "fsck"]), @r"
    $ larder images
    NAME             VERSION  DIGEST        PACKAGES  CREATED (UTC)     SIGNED
    example.com/web  1.0      <1>                  4  YYYY-MM-DD hh:mm  unsigned
    $ larder why example.com/web libgreet
    greeter 1.0  (example.com/web asks for greeter)
      libgreet 1.0  (greeter requires libgreet (>= 1.0))
    $ larder fsck
    checked 7 FileSets, N objects
    nothing wrong
    ");
    site.recipe("web", &["nano"], "");
    assert_snapshot!(site.session(&["build -q web", "rollback example.com/web", "gc"]), @r"
    $ larder build -q web
    2> error: the store at $DIR/store can only be read: Permission denied (os error 13)
    2>   hint: --root or LARDER_ROOT names another store
    [exit code 1]
    $ larder rollback example.com/web
    2> error: the store at $DIR/store can only be read: Permission denied (os error 13)
    2>   hint: --root or LARDER_ROOT names another store
    [exit code 1]
    $ larder gc
    2> error: the store at $DIR/store can only be read: Permission denied (os error 13)
    2>   hint: --root or LARDER_ROOT names another store
    [exit code 1]
    ");
}

/// Takes away the right to write.
fn close(folder: &Path) {
    for entry in fs::read_dir(folder).expect("folder") {
        let entry = entry.expect("entry");
        if entry.file_type().expect("kind").is_dir() {
            close(&entry.path());
        }
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o555)).expect("permissions");
}

#[test]
fn a_read_only_file_system() {
    if !is_root() {
        return skip("a store on a read-only file system", "only root can mount one");
    }
    let site = Site::new();
    site.recipe("web", &["greeter"], "");
    site.ok("build web");
    site.recipe("more", &["nano"], "");
    let mount = "mount --bind store store && mount -o remount,bind,ro store";
    let script = |line: &str| format!("unshare -m sh -c '{mount} && larder {line}'");
    if site.env.shell(&script("--version")).code != 0 {
        return skip("a store on a read-only file system", "mount is forbidden here");
    }
    let shown = |line: &str| {
        site.redact(&{
            let output = site.env.shell(&script(line));
            format!("{}{}[exit code {}]", output.stderr, output.stdout, output.code)
        })
    };
    assert_snapshot!(shown("images"), @r"
    NAME             VERSION  DIGEST        PACKAGES  CREATED (UTC)     SIGNED
    example.com/web  1.0      <1>                  4  YYYY-MM-DD hh:mm  unsigned
    [exit code 0]
    ");
    assert_snapshot!(shown("fsck"), @r"
    checked 7 FileSets, N objects
    nothing wrong
    [exit code 0]
    ");
    assert_snapshot!(shown("build -q more"), @r"
    error: the store at $DIR/store can only be read: Read-only file system (os error 30)
      hint: --root or LARDER_ROOT names another store
    [exit code 1]
    ");
    assert_snapshot!(shown("gc"), @r"
    error: the store at $DIR/store can only be read: Read-only file system (os error 30)
      hint: --root or LARDER_ROOT names another store
    [exit code 1]
    ");
}

#[test]
fn a_disk_that_is_full() {
    if !is_root() {
        return skip("a store on a full disk", "only root can mount a small one");
    }
    let site = Site::new();
    site.recipe("web", &["greeter"], "");
    site.env.make("store");
    let script = "mount -t tmpfs -o size=64k none store && larder build -q web";
    let output = site.env.shell(&format!("unshare -m sh -c '{script}'"));
    if output.stderr.contains("mount:") {
        return skip("a store on a full disk", "mount is forbidden here");
    }
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stderr.contains("No space left on device") && output.stderr.contains("store/"), "{output:?}");
}

#[test]
fn a_configuration_that_cannot_be_used() {
    let site = Site::new();
    site.env.write("home/.config/larder/config.toml", "[debian]\nmiror = \"x\"\n");
    assert_snapshot!(site.session(&["images", "--config nowhere.toml images"]), @r#"
    $ larder images
    2> error: the configuration $DIR/home/.config/larder/config.toml can't be used: TOML parse error at line 2, column 1
    2>   |
    2> 2 | miror = "x"
    2>   | ^^^^^
    2> unknown field `miror`, expected one of `mirror`, `security-mirror`, `keyrings`, `proxy`
    2>   hint: docs/configuration.md lists the keys
    [exit code 1]
    $ larder --config nowhere.toml images
    2> error: can't read nowhere.toml: No such file or directory (os error 2)
    [exit code 1]
    "#);
}

#[test]
fn a_user_without_a_home() {
    let Some(mut site) = Site::for_user() else {
        return skip("a user without a home", "there is no user larder-test; scripts/setup makes it");
    };
    for name in ["LARDER_ROOT", "HOME", "XDG_DATA_HOME"] {
        site.env.unset(name);
    }
    assert_snapshot!(site.session(&["images"]), @r"
    $ larder images
    2> error: there is no place for the store: this user has no home directory
    2>   hint: name one with --root or LARDER_ROOT
    [exit code 1]
    ");
}
