//! An image's digest depends on the set and the files alone.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use larder_testkit::skip;

use super::site::Site;

const FILES: [(&str, &str); 4] = [("site/a", "a\n"), ("site/b", "b\n"), ("site/c/d", "d\n"), ("site/é", "e\n")];

/// Makes the recipe with packages and files in this order, and builds it.
fn build(site: &Site, packages: &[&str], files: impl Iterator<Item = (&'static str, &'static str)>) -> String {
    site.recipe(
        "web",
        packages,
        "env = { B = \"2\", A = \"1\" }\n[files]\n\"/srv\" = \"site\"\n\"/motd\" = \"site/a\"\n",
    );
    for (name, content) in files {
        site.env.write(format!("web/{name}"), content);
    }
    site.stdout("build -q web")
}

fn reference() -> String {
    build(&Site::new(), &["greeter", "httpd", "editor"], FILES.into_iter())
}

#[test]
fn not_on_order_place_and_time() {
    let digest = reference();
    // Another folder and store, other names of packages' order, files made in another order, at another time.
    assert_eq!(build(&Site::new(), &["editor", "httpd", "greeter", "httpd"], FILES.into_iter().rev()), digest);
    let site = Site::new();
    build(&site, &["httpd", "editor", "greeter"], FILES.into_iter());
    let file = fs::File::options().write(true).open(site.env.path("web/site/a")).expect("file");
    file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000)).expect("a time");
    assert_eq!(site.stdout("build -q web"), digest);
    fs::rename(site.env.path("web"), site.env.path("elsewhere")).expect("renamed");
    assert_eq!(site.stdout("build -q elsewhere"), digest);
    assert_eq!(site.stdout("build -q elsewhere/larder.toml"), digest);
}

#[test]
fn not_on_locale_zone_umask_and_home() {
    let digest = reference();
    for (name, value) in
        [("LANG", "tr_TR.UTF-8"), ("LC_ALL", "de_DE.UTF-8"), ("TZ", "Asia/Kathmandu"), ("LARDER_ROOT", "")]
    {
        let mut site = Site::new();
        site.env.set(
            name,
            if name == "LARDER_ROOT" { site.env.path("a/deeper/store").into_os_string() } else { value.into() },
        );
        assert_eq!(build(&site, &["greeter", "httpd", "editor"], FILES.into_iter()), digest, "{name}={value}");
    }
    for umask in ["000", "077"] {
        let site = Site::new();
        build(&site, &["greeter"], FILES.into_iter());
        site.ok("remove example.com/web");
        site.ok("gc");
        fs::remove_dir_all(site.env.path("web")).expect("removed");
        site.recipe(
            "web",
            &["greeter", "httpd", "editor"],
            "env = { B = \"2\", A = \"1\" }\n[files]\n\"/srv\" = \"site\"\n\"/motd\" = \"site/a\"\n",
        );
        let mut script = format!("umask {umask}\n");
        for (name, content) in FILES {
            script += &format!("mkdir -p \"$(dirname web/{name})\"; printf '%s' '{content}' > web/{name}\n");
        }
        let output = site.env.shell(&format!("{script}exec larder build -q web")).success();
        assert_eq!(output.stdout, digest, "umask {umask}");
    }
}

#[test]
fn not_on_the_user() {
    let Some(site) = Site::for_user() else {
        return skip("the digest as another user", "there is no user larder-test; scripts/setup makes it");
    };
    assert_eq!(build(&site, &["greeter", "httpd", "editor"], FILES.into_iter()), reference());
}

#[test]
fn but_on_what_a_container_would_see() {
    let digest = reference();
    let site = Site::new();
    assert_eq!(build(&site, &["greeter", "httpd", "editor"], FILES.into_iter()), digest);
    fs::set_permissions(site.env.path("web/site/a"), fs::Permissions::from_mode(0o755)).expect("permissions");
    let other = site.stdout("build -q web");
    assert_ne!(other, digest, "a program is not a text");
    fs::set_permissions(site.env.path("web/site/a"), fs::Permissions::from_mode(0o644)).expect("permissions");
    assert_eq!(site.stdout("build -q web"), digest);
    site.env.write("web/site/a", "A\n");
    assert_ne!(site.stdout("build -q web"), digest, "the same length, and another text");
}
