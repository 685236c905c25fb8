//! Archives and mirrors that can't be used or trusted: nothing is built, nothing is lost, and the next build works.

use std::process::Stdio;
use std::time::{Duration, SystemTime};

use insta::assert_snapshot;
use larder_testkit::archive::{Fault, Key, Request};

use super::site::{Site, archive, deb};

const DAY: Duration = Duration::from_secs(86_400);

fn site() -> Site {
    let site = Site::new();
    site.recipe("web", &["greeter"], "");
    site
}

/// A build that fails, what it said, and that nothing came of it.
fn refused(site: &Site) -> String {
    let shown = site.session(&["build --quiet web"]);
    assert!(!site.env.path("web/larder.lock").exists(), "no lock may be written: {shown}");
    assert_eq!(site.stdout("images").lines().count(), 1, "no image may be made: {shown}");
    site.ok("fsck --deep");
    shown
}

#[test]
fn a_key_that_is_not_trusted() {
    let site = site();
    let other = site.env.write("other.gpg", Key::new().public());
    site.configure(&[other]);
    assert_snapshot!(refused(&site), @r"
    $ larder build --quiet web
    2> error: the release file http://mirror/debian/dists/bookworm/InRelease is refused: it is signed by <KEY>, which is not in the keyring $DIR/other.gpg
    2>   hint: the package debian-archive-keyring has the archive's keys; [debian] keyrings in the configuration names others
    [exit code 1]
    ");
}

#[test]
fn no_keyring_or_one_that_holds_no_key() {
    let site = site();
    site.configure(&[site.env.path("nowhere.gpg")]);
    assert_snapshot!(refused(&site), @r"
    $ larder build --quiet web
    2> error: can't read the keyring $DIR/nowhere.gpg
    2>   because: No such file or directory (os error 2)
    [exit code 1]
    ");
    let empty = site.env.write("empty.gpg", "this is no key\n");
    site.configure(&[empty]);
    assert_snapshot!(refused(&site), @r"
    $ larder build --quiet web
    2> error: the keyring $DIR/empty.gpg can't be used: unexpected EOF
    2>   hint: the package debian-archive-keyring has the archive's keys; [debian] keyrings in the configuration names others
    [exit code 1]
    ");
}

#[test]
fn a_key_that_has_expired() {
    let site = Site::with(archive().key(Key::valid_for(10 * DAY)));
    site.recipe("web", &["greeter"], "");
    assert_snapshot!(refused(&site), @r"
    $ larder build --quiet web
    2> error: the release file http://mirror/debian/dists/bookworm/InRelease is refused: the key <KEY> that signed it has expired
    2>   hint: the package debian-archive-keyring has the archive's keys; [debian] keyrings in the configuration names others
    [exit code 1]
    ");
}

#[test]
fn a_key_that_was_revoked() {
    let site = site();
    let keyring = site.env.write("revoked.gpg", site.archive.key().revoked().public());
    site.configure(&[keyring]);
    assert_snapshot!(refused(&site), @r"
    $ larder build --quiet web
    2> error: the release file http://mirror/debian/dists/bookworm/InRelease is refused: the key <KEY> that signed it was revoked
    [exit code 1]
    ");
}

#[test]
fn a_state_whose_time_is_over() {
    let now = SystemTime::now();
    let site = Site::with(archive().date(now - 20 * DAY).valid_until(now - 13 * DAY));
    site.recipe("web", &["greeter"], "");
    assert_snapshot!(refused(&site), @r"
    $ larder build --quiet web
    2> error: the release file http://mirror/debian/dists/bookworm/InRelease is refused: it was valid until <date> and it is <date> now; the mirror is stale or this machine's clock is wrong
    2>   hint: try again later, or name another mirror in LARDER_DEBIAN_MIRROR or, in the configuration, [debian] mirror
    [exit code 1]
    ");
}

#[test]
fn a_state_older_than_one_seen_before() {
    let mut site = site();
    site.ok("build web");
    let before = std::fs::read(site.env.path("web/larder.lock")).expect("a lock");
    site.archive.publish(archive().date(SystemTime::now() - 3 * DAY));
    assert_snapshot!(site.session(&["update --quiet web"]), @r"
    $ larder update --quiet web
    2> error: the release file http://mirror/debian/dists/bookworm/InRelease is refused: it is dated <date>, but one of <date> was seen before; the mirror is behind or replays an old state
    2>   hint: try again later, or name another mirror in LARDER_DEBIAN_MIRROR or, in the configuration, [debian] mirror
    [exit code 1]
    ");
    assert_eq!(std::fs::read(site.env.path("web/larder.lock")).expect("a lock"), before);
    // What is locked can still be built.
    site.ok("build web");
}

#[test]
fn a_release_file_that_was_altered() {
    let site = site();
    let path = site.archive.in_release("bookworm");
    let text = std::fs::read_to_string(&path).expect("a release file");
    std::fs::write(&path, text.replace("Origin: Debian", "Origin: Debiam")).expect("written");
    assert_snapshot!(refused(&site), @r"
    $ larder build --quiet web
    2> error: the release file http://mirror/debian/dists/bookworm/InRelease is refused: its text was altered after <KEY> signed it
    2>   hint: try again later, or name another mirror in LARDER_DEBIAN_MIRROR or, in the configuration, [debian] mirror
    [exit code 1]
    ");
    std::fs::write(&path, "Origin: Debian\n").expect("written");
    assert_snapshot!(refused(&site), @r"
    $ larder build --quiet web
    2> error: the release file http://mirror/debian/dists/bookworm/InRelease is refused: it is not signed
    2>   hint: try again later, or name another mirror in LARDER_DEBIAN_MIRROR or, in the configuration, [debian] mirror
    [exit code 1]
    ");
    std::fs::write(&path, text).expect("written");
    site.ok("build web");
}

#[test]
fn an_index_that_was_altered() {
    let site = site();
    site.server.fault("/main/binary-", Fault::Alter(20));
    assert_snapshot!(refused(&site), @r"
    $ larder build --quiet web
    2> error: http://mirror/debian/dists/bookworm/main/binary-amd64/Packages.xz is not what the signed index lists: expected 908 bytes with sha256:<1>, received 908 bytes with sha256:<2>
    2>   hint: nothing of it was kept: try again later, or name another mirror in LARDER_DEBIAN_MIRROR or, in the configuration, [debian] mirror
    [exit code 1]
    ");
    site.server.heal();
    site.ok("build web");
}

#[test]
fn a_deb_that_was_altered_or_cut() {
    let site = site();
    site.server.fault("/greeter_", Fault::Alter(2000));
    assert_snapshot!(refused(&site), @r"
    $ larder build --quiet web
    2> error: http://mirror/debian/pool/main/greeter/greeter_1.0_amd64.deb is not what the signed index lists: expected 6336 bytes with sha256:<1>, received 6336 bytes with sha256:<2>
    2>   hint: nothing of it was kept: try again later, or name another mirror in LARDER_DEBIAN_MIRROR or, in the configuration, [debian] mirror
    [exit code 1]
    ");
    site.server.heal();
    site.server.fault("/greeter_", Fault::Truncate(2000));
    assert_snapshot!(refused(&site), @r"
    $ larder build --quiet web
    2> error: http://mirror/debian/pool/main/greeter/greeter_1.0_amd64.deb has another size than the signed index lists: expected 6336 bytes, the mirror offers 2000
    2>   hint: nothing of it was kept: try again later, or name another mirror in LARDER_DEBIAN_MIRROR or, in the configuration, [debian] mirror
    [exit code 1]
    ");
    site.server.heal();
    site.server.fault("/greeter_", Fault::Status(404));
    assert_snapshot!(refused(&site), @r"
    $ larder build --quiet web
    2> error: http://mirror/debian/pool/main/greeter/greeter_1.0_amd64.deb does not exist on the mirror (status 404)
    2>   hint: mirrors drop replaced versions: `larder update` takes those that are there now
    [exit code 1]
    ");
    site.server.heal();
    site.ok("build web");
}

#[test]
fn a_mirror_that_dies_half_way_is_resumed_the_next_time() {
    let content = "half of it\n".repeat(30_000);
    let mut site = Site::with(archive().package(deb("large", "1").file("usr/share/large", content)));
    site.recipe("web", &["greeter", "large"], "");
    site.server.fault("/large_", Fault::Slow(Duration::from_millis(25)));
    let mut command = site.env.larder_command(["build", "--quiet", "web"]);
    let build = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    // The server dies when it is in the middle of the one large file.
    let of_large = |request: &Request| request.path.contains("/large_");
    while !site.server.take_requests().iter().any(of_large) {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(300));
    site.server.stop();
    let output = build.wait_with_output().expect("its end");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("/large_1_amd64.deb") && stderr.contains("of 336064 bytes received"), "{stderr}");
    assert!(!site.env.path("web/larder.lock").exists(), "{stderr}");

    site.server = site.archive.serve();
    site.configure(&[site.env.path("keyring.gpg")]);
    site.ok("build web");
    let requests = site.server.take_requests();
    let again: Vec<_> = requests.iter().filter(|request| of_large(request)).collect();
    assert!(again.len() == 1 && again[0].range.is_some_and(|from| from > 0), "resumed: {again:?}");
}

#[test]
fn a_mirror_that_is_gone() {
    let site = site();
    site.server.stop();
    assert_snapshot!(refused(&site), @r"
    $ larder build --quiet web
    2> error: can't fetch http://mirror/debian/dists/bookworm/InRelease: Connection refused (os error 111) (tried 5 times)
    2>   hint: what has come so far is kept: try again later, or name another mirror in LARDER_DEBIAN_MIRROR or, in the configuration, [debian] mirror
    [exit code 1]
    ");
}

#[test]
fn a_mirror_that_has_no_such_suite() {
    let site = site();
    site.env.write(
        "web/larder.toml",
        "[image]\nname = \"example.com/web\"\nversion = \"1\"\nfrom = \"debian.org/trixie\"\npackages = [\"greeter\"]\n",
    );
    assert_snapshot!(refused(&site), @r#"
    $ larder build --quiet web
    2> error: the mirror http://mirror/debian has no suite trixie (http://mirror/debian/dists/trixie/InRelease does not exist)
    2>   hint: check the spelling of `from = "debian.org/trixie"`: bookworm and trixie are suites, for example
    [exit code 1]
    "#);
}

#[test]
fn offline_says_what_is_missing() {
    let mut site = site();
    site.env.set("LARDER_OFFLINE", "1");
    assert_snapshot!(refused(&site), @r"
    $ larder build --quiet web
    2> error: http://mirror/debian/dists/bookworm/InRelease is not in the cache, and the network is not to be used
    2>   hint: unset LARDER_OFFLINE to fetch it
    [exit code 1]
    ");
    site.env.unset("LARDER_OFFLINE");
    site.ok("build web");
    site.env.set("LARDER_OFFLINE", "1");
    site.ok("build web");
    site.recipe("other", &["greeter"], "");
    site.ok("build other");
    site.recipe("more", &["nano"], "");
    assert_snapshot!(site.session(&["build -q more"]), @r"
    $ larder build -q more
    2> error: http://mirror/debian/pool/main/nano/nano_7.2_amd64.deb is not in the cache, and the network is not to be used
    2>   hint: unset LARDER_OFFLINE to fetch it
    [exit code 1]
    ");
}

#[test]
fn an_address_that_is_none() {
    let mut site = site();
    site.env.set("LARDER_DEBIAN_MIRROR", "mirror.example.com/debian");
    assert_snapshot!(refused(&site), @r"
    $ larder build --quiet web
    2> error: mirror.example.com/debian/dists/bookworm/InRelease is no address of a mirror: it begins with none of http://, https:// and file:
    2>   hint: write it as http://HOST/debian, https://HOST/debian or file:///FOLDER/debian
    [exit code 1]
    ");
}
