//! `larder provenance` and `larder verify`: what is said of an image and its packages, and each way in which it can be wrong.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime};

use insta::assert_snapshot;
use larder_testkit::skip;

use super::key::signing;
use super::site::{Site, archive, deb};

fn hex(site: &Site, line: &str) -> String {
    let digest = site.stdout(line);
    digest.trim().strip_prefix("blake3:").expect("a digest").to_owned()
}

/// The files with statements about a FileSet.
fn statements(site: &Site, hex: &str) -> Vec<PathBuf> {
    let folder = site.env.store().join("statements").join(&hex[..2]).join(&hex[2..]);
    fs::read_dir(folder).map_or_else(|_| Vec::new(), |entries| entries.map(|e| e.expect("entry").path()).collect())
}

/// A session's text with a name for where the statements about a FileSet are.
fn placed(shown: &str, hex: &str) -> String {
    shown.replace(&format!("{}/{}", &hex[..2], &hex[2..]), "<ID>")
}

/// Puts a statement with other bytes in a statement's place, under the name that its bytes have: what somebody would do who
/// knows the store.
fn forge(path: &PathBuf, change: impl Fn(String) -> String) {
    let text = change(fs::read_to_string(path).expect("a statement"));
    fs::remove_file(path).expect("gone");
    let name = format!("{}.json", blake3::hash(text.as_bytes()).to_hex());
    fs::write(path.with_file_name(name), text).expect("a statement");
}

/// The digest of a package, as `inspect` has it.
fn package(site: &Site, name: &str) -> String {
    let document = site.stdout("packages --json");
    let after = document.split(&format!("\"name\": \"{name}\"")).next().expect("a part");
    let line = after.lines().rev().find(|line| line.contains("\"digest\"")).expect("a digest");
    line.split("blake3:").nth(1).expect("hex")[..64].to_owned()
}

#[test]
fn what_nobody_has_signed_is_shown_as_that() {
    let site = Site::new();
    site.recipe("web", &["greeter"], "[files]\n\"/srv/page\" = \"page\"\n");
    site.env.write("web/page", "hello\n");
    assert_snapshot!(site.session(&[
        "build web",
        "build web",
        "images",
        "packages",
        "inspect example.com/web",
        "provenance example.com/web",
        "provenance debian.org/greeter",
        "verify example.com/web",
        "verify --require-signed example.com/web",
        "verify debian.org/greeter --verbose",
    ]), @r"
    $ larder build web
    2> fetch the package list of bookworm
    2> fetch the package list of bookworm-security
    2> fetch the package list of bookworm-updates
    2> fetch and convert 4 packages
    4 packages, 4 fetched (26.2 KiB), scripts: 3 none, 1 declared, 0 skipped
    built example.com/web@1.0, unsigned
    blake3:<1>
    $ larder build web
    4 packages, 0 fetched (0 B), scripts: 3 none, 1 declared, 0 skipped
    unchanged example.com/web@1.0, unsigned
    blake3:<1>
    $ larder images
    NAME             VERSION  DIGEST        PACKAGES  CREATED (UTC)     SIGNED
    example.com/web  1.0      <1>                  4  YYYY-MM-DD hh:mm  unsigned
    $ larder packages
    NAME                   VERSION  DIGEST         SIZE  IMAGES  SCRIPTS   SIGNED
    debian.org/base-files  12.4     <2>           212 B       1  declared  archive
    debian.org/greeter     1.0      <3>           223 B       1  none      archive
    debian.org/libgreet    1.0      <4>           201 B       1  none      archive
    debian.org/shell       5.2      <5>           210 B       1  none      archive
    $ larder inspect example.com/web
    image:        example.com/web@1.0
    digest:       blake3:<1>
    signed:       unsigned
    architecture: amd64
    from:         debian.org/bookworm, base essential
    asked for:    greeter
    own files:    1 (6 B)
    packages:     4 (846 B)
      PACKAGE                VERSION   SIZE  SCRIPTS   SIGNED   DIGEST
      debian.org/base-files  12.4     212 B  declared  archive  <2>
      debian.org/greeter     1.0      223 B  none      archive  <3>
      debian.org/libgreet    1.0      201 B  none      archive  <4>
      debian.org/shell       5.2      210 B  none      archive  <5>
    $ larder provenance example.com/web
    what:         example.com/web@1.0
    digest:       blake3:<1>
    made:         put together from packages and files, by larder 0.1.0
    when:         YYYY-MM-DD hh:mm to YYYY-MM-DD hh:mm
    signed:       unsigned
    parameter:    architecture = amd64
    parameter:    base = essential
    parameter:    from = debian.org/bookworm
    parameter:    packages = greeter
    parameter:    recommends = false
    source:       larder.toml sha256:<6>
    source:       larder:files larderTree:<7>
    input:        debian.org/base-files/declarations@12.4+table1 <8>
    input:        debian.org/base-files@12.4 <2>
    input:        debian.org/greeter@1.0 <3>
    input:        debian.org/libgreet@1.0 <4>
    input:        debian.org/shell@5.2 <5>
    $ larder provenance debian.org/greeter
    what:         debian.org/greeter@1.0
    digest:       blake3:<3>
    made:         converted by the rule deb/1
    deb:          pool/main/greeter/greeter_1.0_amd64.deb sha256:<9>
    list:         sha256:<10>
    release:      bookworm of debian.org/bookworm, sha256:<11>
    signer:       <KEY>
    $ larder verify example.com/web
    ok     example.com/web@1.0  record, contents, statement, inputs; unsigned
             source larder.toml not checked: it is pinned by sha256:<6>, and not kept here
    ok       debian.org/base-files/declarations@12.4+table1  record, contents, statement, deb, list, release
    ok       debian.org/base-files@12.4  record, contents, statement, deb, list, release
    ok       debian.org/greeter@1.0  record, contents, statement, deb, list, release
    ok       debian.org/libgreet@1.0  record, contents, statement, deb, list, release
    ok       debian.org/shell@5.2  record, contents, statement, deb, list, release
    6 FileSets: 0 broken, 1 unsigned; 0 links not kept here, 1 not checked
    $ larder verify --require-signed example.com/web
    2> error: example.com/web is not verified: the signature of example.com/web@1.0 doesn't hold: nobody has signed it, and --require-signed wants that
    broken example.com/web@1.0  record, contents, statement, inputs
             signature broken: nobody has signed it, and --require-signed wants that
             source larder.toml not checked: it is pinned by sha256:<6>, and not kept here
    ok       debian.org/base-files/declarations@12.4+table1  record, contents, statement, deb, list, release
    ok       debian.org/base-files@12.4  record, contents, statement, deb, list, release
    ok       debian.org/greeter@1.0  record, contents, statement, deb, list, release
    ok       debian.org/libgreet@1.0  record, contents, statement, deb, list, release
    ok       debian.org/shell@5.2  record, contents, statement, deb, list, release
    6 FileSets: 1 broken, 0 unsigned; 0 links not kept here, 1 not checked
    [exit code 1]
    $ larder verify debian.org/greeter --verbose
    ok     debian.org/greeter@1.0  record, contents, statement, deb, list, release
             record holds
             contents holds
             statement holds
             deb holds
             list holds
             release holds
    1 FileSet: 0 broken, 0 unsigned; 0 links not kept here, 0 not checked
    ");
}

#[test]
fn what_is_signed_names_domain_and_key() {
    let site = signing();
    assert_snapshot!(site.session(&[
        "build web",
        "build web",
        "images",
        "inspect example.com/web",
        "verify --require-signed example.com/web",
    ]), @r"
    $ larder build web
    2> fetch the package list of bookworm
    2> fetch the package list of bookworm-security
    2> fetch the package list of bookworm-updates
    2> fetch and convert 4 packages
    4 packages, 4 fetched (26.2 KiB), scripts: 3 none, 1 declared, 0 skipped
    built example.com/web@1.0, signed by example.com (<1>         )
    blake3:<2>
    $ larder build web
    4 packages, 0 fetched (0 B), scripts: 3 none, 1 declared, 0 skipped
    unchanged example.com/web@1.0, signed by example.com (<1>         )
    blake3:<2>
    $ larder images
    NAME             VERSION  DIGEST        PACKAGES  CREATED (UTC)     SIGNED
    example.com/web  1.0      <2>                  4  YYYY-MM-DD hh:mm  example.com
    $ larder inspect example.com/web
    image:        example.com/web@1.0
    digest:       blake3:<2>
    signed:       by example.com (<1>         )
    architecture: amd64
    from:         debian.org/bookworm, base essential
    asked for:    greeter
    own files:    0 (0 B)
    packages:     4 (846 B)
      PACKAGE                VERSION   SIZE  SCRIPTS   SIGNED   DIGEST
      debian.org/base-files  12.4     212 B  declared  archive  <3>
      debian.org/greeter     1.0      223 B  none      archive  <4>
      debian.org/libgreet    1.0      201 B  none      archive  <5>
      debian.org/shell       5.2      210 B  none      archive  <6>
    $ larder verify --require-signed example.com/web
    ok     example.com/web@1.0  record, contents, statement, signature, inputs; signed by example.com (<1>         )
             source larder.toml not checked: it is pinned by sha256:<7>, and not kept here
    ok       debian.org/base-files/declarations@12.4+table1  record, contents, statement, deb, list, release
    ok       debian.org/base-files@12.4  record, contents, statement, deb, list, release
    ok       debian.org/greeter@1.0  record, contents, statement, deb, list, release
    ok       debian.org/libgreet@1.0  record, contents, statement, deb, list, release
    ok       debian.org/shell@5.2  record, contents, statement, deb, list, release
    6 FileSets: 0 broken, 0 unsigned; 0 links not kept here, 1 not checked
    ");
    assert_eq!(statements(&site, &hex(&site, "build -q web")).len(), 1, "the same is said once");
    let envelope = site.stdout("provenance example.com/web --envelope");
    assert!(
        envelope.starts_with("{\"payload\":\"") && envelope.contains("\"signatures\":[{\"keyid\":\""),
        "{envelope}"
    );
    let statement = site.stdout("provenance example.com/web --json");
    assert!(statement.starts_with("{\"_type\":\"https://in-toto.io/Statement/v1\",\"predicate\":{"), "{statement}");
}

#[test]
fn a_key_that_comes_later_signs_with_the_next_build() {
    let site = Site::new();
    site.recipe("web", &["greeter"], "");
    site.ok("build -q web");
    site.ok("key new -q --no-passphrase example.com");
    assert_snapshot!(site.session(&["verify -q example.com/web", "build web", "verify -q --require-signed example.com/web"]), @r"
    $ larder verify -q example.com/web
    $ larder build web
    4 packages, 0 fetched (0 B), scripts: 3 none, 1 declared, 0 skipped
    unchanged example.com/web@1.0, signed by example.com (<1>         )
    blake3:<2>
    $ larder verify -q --require-signed example.com/web
    ");
}

#[test]
fn an_altered_statement_is_told_by_its_file() {
    let site = signing();
    let digest = hex(&site, "build -q web");
    let [path] = &statements(&site, &digest)[..] else { panic!("one statement") };
    let mut bytes = fs::read(path).expect("a statement");
    bytes[100] ^= 1;
    fs::remove_file(path).expect("gone");
    fs::write(path, bytes).expect("a statement");
    assert_snapshot!(placed(&site.session(&["verify example.com/web", "provenance example.com/web", "images"]), &digest), @r"
    $ larder verify example.com/web
    2> error: example.com/web is not verified: the statement of example.com/web@1.0 doesn't hold: $DIR/store/statements/<ID>/<1>.json is damaged: its bytes have another digest than its name says
    broken example.com/web@1.0  record, contents
             statement broken: $DIR/store/statements/<ID>/<1>.json is damaged: its bytes have another digest than its name says
    ok       debian.org/base-files/declarations@12.4+table1  record, contents, statement, deb, list, release
    ok       debian.org/base-files@12.4  record, contents, statement, deb, list, release
    ok       debian.org/greeter@1.0  record, contents, statement, deb, list, release
    ok       debian.org/libgreet@1.0  record, contents, statement, deb, list, release
    ok       debian.org/shell@5.2  record, contents, statement, deb, list, release
    6 FileSets: 1 broken, 0 unsigned; 0 links not kept here, 0 not checked
    [exit code 1]
    $ larder provenance example.com/web
    2> error: what is said of example.com/web@1.0 can't be believed: $DIR/store/statements/<ID>/<1>.json is damaged: its bytes have another digest than its name says
    2>   hint: `larder verify example.com/web` says more; building it again says it anew
    [exit code 1]
    $ larder images
    NAME             VERSION  DIGEST        PACKAGES  CREATED (UTC)     SIGNED
    example.com/web  1.0      <2>                  4  YYYY-MM-DD hh:mm  broken
    ");
    // Making it again says it again.
    site.ok("build -q web");
    site.ok("verify --require-signed example.com/web");
    site.ok("fsck --deep");
}

#[test]
fn an_altered_payload_breaks_the_signature() {
    let site = signing();
    let digest = hex(&site, "build -q web");
    let [path] = &statements(&site, &digest)[..] else { panic!("one statement") };
    // Another first sign of the signature: other bytes, and base64 still.
    forge(path, |text| {
        let at = text.find("\"sig\":\"").expect("a signature") + 7;
        let mut text = text.into_bytes();
        text[at] = if text[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(text).expect("UTF-8")
    });
    assert_snapshot!(site.session(&["verify -q example.com/web", "images"]), @r"
    $ larder verify -q example.com/web
    2> error: example.com/web is not verified: the signature of example.com/web@1.0 doesn't hold: the signature of the key <1> doesn't hold: the statement or the signature was altered
    [exit code 1]
    $ larder images
    NAME             VERSION  DIGEST        PACKAGES  CREATED (UTC)     SIGNED
    example.com/web  1.0      <2>                  4  YYYY-MM-DD hh:mm  broken
    ");
}

#[test]
fn a_statement_about_another_image_is_refused() {
    let site = signing();
    site.recipe("shop", &["editor"], "");
    let (web, shop) = (hex(&site, "build -q web"), hex(&site, "build -q shop"));
    let ([web_file], [shop_file]) = (&statements(&site, &web)[..], &statements(&site, &shop)[..]) else {
        panic!("one statement each")
    };
    let other = fs::read_to_string(web_file).expect("a statement");
    // As it is, it is about another FileSet; and so is what is signed in it.
    forge(shop_file, |_| other.clone());
    assert_snapshot!(placed(&site.session(&["verify -q example.com/shop"]), &shop), @r"
    $ larder verify -q example.com/shop
    2> error: example.com/shop is not verified: the statement of example.com/shop@1.0 doesn't hold: $DIR/store/statements/<ID>/<1>.json is damaged: it is about another FileSet
    [exit code 1]
    ");
    let [shop_file] = &statements(&site, &shop)[..] else { panic!("one statement") };
    forge(shop_file, |_| other.replace(&web, &shop));
    assert_snapshot!(site.session(&["verify -q example.com/shop", "verify -q example.com/web"]), @r"
    $ larder verify -q example.com/shop
    2> error: example.com/shop is not verified: the statement of example.com/shop@1.0 doesn't hold: it is about example.com/web@1.0 blake3:<1>, and not about blake3:<2>
    [exit code 1]
    $ larder verify -q example.com/web
    ");
}

#[test]
fn a_signature_of_an_unknown_key_fails() {
    let site = signing();
    site.ok("build -q web");
    let pem = site.stdout("key export example.com");
    site.env.write("example.pem", pem);
    site.ok("key forget example.com");
    site.ok("key trust other.org example.pem");
    assert_snapshot!(site.session(&["verify -q example.com/web", "images", "provenance example.com/web"]), @r"
    $ larder verify -q example.com/web
    2> error: example.com/web is not verified: the signature of example.com/web@1.0 doesn't hold: it is signed by the key <1>, which isn't trusted for example.com
    [exit code 1]
    $ larder images
    NAME             VERSION  DIGEST        PACKAGES  CREATED (UTC)     SIGNED
    example.com/web  1.0      <2>                  4  YYYY-MM-DD hh:mm  broken
    $ larder provenance example.com/web
    2> error: what is said of example.com/web@1.0 can't be believed: it is signed by the key <1>, which isn't trusted for example.com
    2>   hint: `larder verify example.com/web` says more; building it again says it anew
    [exit code 1]
    ");
    site.ok("key trust example.com example.pem");
    site.ok("verify --require-signed example.com/web");
}

#[test]
fn a_missing_statement_fails_and_comes_back_with_the_next_build() {
    let site = Site::new();
    site.recipe("web", &["greeter"], "");
    let digest = hex(&site, "build -q web");
    for path in statements(&site, &digest) {
        fs::remove_file(path).expect("gone");
    }
    for path in statements(&site, &package(&site, "debian.org/libgreet")) {
        fs::remove_file(path).expect("gone");
    }
    assert_snapshot!(site.session(&["verify example.com/web", "provenance example.com/web", "images"]), @r"
    $ larder verify example.com/web
    2> error: example.com/web is not verified: the statement of example.com/web@1.0 doesn't hold: there is none: nothing says where it came from (and 1 FileSet more)
    broken example.com/web@1.0  record, contents
             statement broken: there is none: nothing says where it came from
    ok       debian.org/base-files/declarations@12.4+table1  record, contents, statement, deb, list, release
    ok       debian.org/base-files@12.4  record, contents, statement, deb, list, release
    ok       debian.org/greeter@1.0  record, contents, statement, deb, list, release
    broken   debian.org/libgreet@1.0  record, contents
               statement broken: there is none: nothing says where it came from
    ok       debian.org/shell@5.2  record, contents, statement, deb, list, release
    6 FileSets: 2 broken, 0 unsigned; 0 links not kept here, 0 not checked
    [exit code 1]
    $ larder provenance example.com/web
    2> error: nothing says where example.com/web@1.0 came from
    2>   hint: build it again: every build writes down how it was made
    [exit code 1]
    $ larder images
    NAME             VERSION  DIGEST        PACKAGES  CREATED (UTC)     SIGNED
    example.com/web  1.0      <1>                  4  YYYY-MM-DD hh:mm  no statement
    ");
    site.ok("build -q web");
    assert_snapshot!(site.session(&["verify -q example.com/web"]), @r"
    $ larder verify -q example.com/web
    2> error: example.com/web is not verified: the statement of debian.org/libgreet@1.0 doesn't hold: there is none: nothing says where it came from
    [exit code 1]
    ");
}

#[test]
fn a_statement_that_names_another_deb_is_told() {
    let site = Site::new();
    site.recipe("web", &["greeter"], "");
    site.ok("build -q web");
    let [path] = &statements(&site, &package(&site, "debian.org/libgreet"))[..] else { panic!("one statement") };
    forge(path, |text| {
        let at = text.find("\"deb\":\"sha256:").expect("a digest") + 14;
        let old = text[at..at + 64].to_owned();
        text.replace(&old, &"0".repeat(64))
    });
    assert_snapshot!(site.session(&["verify -q example.com/web"]), @r"
    $ larder verify -q example.com/web
    2> error: example.com/web is not verified: the deb of debian.org/libgreet@1.0 doesn't hold: the statement names sha256:<1>, and the record was converted from sha256:<2>
    [exit code 1]
    ");
}

#[test]
fn an_altered_content_is_told_though_every_statement_holds() {
    let site = signing();
    site.ok("build -q web");
    let object = blake3::hash(b"greetings from 1.0\n").to_hex().to_string();
    let path = site.env.store().join("objects").join(&object[..2]).join(&object[2..]);
    fs::remove_file(&path).expect("gone");
    fs::write(&path, "greetings from 6.6\n").expect("another");
    assert_snapshot!(site.session(&["verify -q example.com/web"]), @r"
    $ larder verify -q example.com/web
    2> error: example.com/web is not verified: the contents of debian.org/libgreet@1.0 doesn't hold: the content blake3:<1> was altered
    [exit code 1]
    ");
}

#[test]
fn what_the_archive_no_longer_signs_is_told() {
    let site = Site::new();
    site.recipe("web", &["greeter"], "");
    site.ok("build -q web");
    let cache = site.env.store().join("cache/debian");
    let releases: Vec<_> =
        fs::read_dir(cache.join("releases")).expect("releases").map(|e| e.expect("entry").path()).collect();
    let texts: Vec<_> = releases.iter().map(|path| fs::read_to_string(path).expect("a release file")).collect();
    for (path, text) in releases.iter().zip(&texts) {
        fs::write(path, text.replace("Description: a test", "Description: a trap")).expect("altered");
    }
    assert_snapshot!(site.session(&["verify -q debian.org/greeter"]), @"
    $ larder verify -q debian.org/greeter
    2> error: debian.org/greeter is not verified: the release of debian.org/greeter@1.0 doesn't hold: the release file sha256:<1> was altered in the cache
    [exit code 1]
    ");
    for (path, text) in releases.iter().zip(&texts) {
        fs::write(path, text).expect("as it was");
    }
    // The list that the statement names, with other bytes.
    for entry in fs::read_dir(cache.join("lists")).expect("lists") {
        let path = entry.expect("entry").path();
        let mut bytes = fs::read(&path).expect("a list");
        bytes.push(b'\n');
        fs::write(&path, bytes).expect("altered");
    }
    assert_snapshot!(site.session(&["verify -q debian.org/greeter"]), @r"
    $ larder verify -q debian.org/greeter
    2> error: debian.org/greeter is not verified: the list of debian.org/greeter@1.0 doesn't hold: the package list sha256:<1> was altered in the cache
    [exit code 1]
    ");
}

#[test]
fn what_is_not_kept_is_asked_of_the_archive() {
    let mut site = Site::new();
    site.recipe("web", &["greeter"], "");
    site.ok("build -q web");
    let later = SystemTime::now() + Duration::from_secs(60);
    site.archive.publish(archive().package(deb("news", "1")).date(later));
    site.ok("update -q web");
    fs::remove_dir_all(site.env.store().join("cache/debian/lists")).expect("gone");
    assert_snapshot!(site.session(&["verify example.com/web", "verify --fetch debian.org/greeter"]), @"
    $ larder verify example.com/web
    2> note: --fetch asks the archive for what isn't kept here
    ok     example.com/web@1.0  record, contents, statement, inputs; unsigned
             source larder.toml not checked: it is pinned by sha256:<1>, and not kept here
    ok       debian.org/base-files/declarations@12.4+table1  record, contents, statement, deb, release; not kept here: list
    ok       debian.org/base-files@12.4  record, contents, statement, deb, release; not kept here: list
    ok       debian.org/greeter@1.0  record, contents, statement, deb, release; not kept here: list
    ok       debian.org/libgreet@1.0  record, contents, statement, deb, release; not kept here: list
    ok       debian.org/shell@5.2  record, contents, statement, deb, release; not kept here: list
    6 FileSets: 0 broken, 1 unsigned; 5 links not kept here, 1 not checked
    $ larder verify --fetch debian.org/greeter
    ok     debian.org/greeter@1.0  record, contents, statement, deb, release, archive; not kept here: list
    1 FileSet: 0 broken, 0 unsigned; 1 link not kept here, 0 not checked
    ");
    // What nothing rests on any more goes, and what the suites are now stays.
    let releases = || fs::read_dir(site.env.store().join("cache/debian/releases")).expect("releases").count();
    assert_eq!(releases(), 6, "two of each suite");
    site.ok("gc");
    assert_eq!(releases(), 4, "packages rest on the older one of bookworm");
    // A later version has taken its place.
    let later = SystemTime::now() + Duration::from_secs(120);
    let moved = super::site::library("1.1");
    site.archive.publish(archive().package(moved).date(later));
    assert_snapshot!(site.session(&["verify --fetch --verbose debian.org/libgreet"]), @"
    $ larder verify --fetch --verbose debian.org/libgreet
    2> fetch the package list of bookworm
    ok     debian.org/libgreet@1.0  record, contents, statement, deb, release, archive; not kept here: list
             record holds
             contents holds
             statement holds
             deb holds
             list not kept
             release holds
             archive holds
    1 FileSet: 0 broken, 0 unsigned; 1 link not kept here, 0 not checked
    ");
    site.ok("remove example.com/web");
    site.ok("gc");
    let left = fs::read_dir(site.env.store().join("cache/debian/releases")).expect("releases").count();
    assert_eq!(left, 3, "one of each suite");
}

#[test]
fn everything_is_made_again_and_compared() {
    let site = signing();
    site.ok("build -q web");
    assert_snapshot!(site.session(&["verify --rebuild example.com/web"]), @r"
    $ larder verify --rebuild example.com/web
    2> fetch base-files 12.4
    2> fetch greeter 1.0
    2> fetch libgreet 1.0
    2> fetch shell 5.2
    ok     example.com/web@1.0  record, contents, statement, signature, inputs, rebuild; signed by example.com (<1>         )
             source larder.toml not checked: it is pinned by sha256:<2>, and not kept here
    ok       debian.org/base-files/declarations@12.4+table1  record, contents, statement, deb, list, release, rebuild
    ok       debian.org/base-files@12.4  record, contents, statement, deb, list, release, rebuild
    ok       debian.org/greeter@1.0  record, contents, statement, deb, list, release, rebuild
    ok       debian.org/libgreet@1.0  record, contents, statement, deb, list, release, rebuild
    ok       debian.org/shell@5.2  record, contents, statement, deb, list, release, rebuild
    6 FileSets: 0 broken, 0 unsigned; 0 links not kept here, 1 not checked
    ");
    assert_eq!(
        fs::read_dir(site.env.store().join("cache/debian/debs")).map_or(0, Iterator::count),
        0,
        "nothing stays behind"
    );
}

/// The Python that has the packages in-toto and securesystemslib: what `scripts/setup` made, or what is named.
fn python() -> Option<PathBuf> {
    let made = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/python/bin/python3"));
    let python = std::env::var_os("LARDER_TEST_PYTHON").map_or(made, PathBuf::from);
    let works = Command::new(&python).args(["-c", "import in_toto, securesystemslib, cryptography"]).output();
    works.is_ok_and(|output| output.status.success()).then_some(python)
}

#[test]
fn verifiers_of_others_accept_an_envelope_and_refuse_an_altered_one() {
    let Some(python) = python() else {
        return skip(
            "in-toto's own verifier",
            "there is no Python with the packages in-toto and securesystemslib; scripts/setup installs them where it can",
        );
    };
    let site = signing();
    let digest = hex(&site, "build -q web");
    let envelope = site.env.write("envelope.json", site.stdout("provenance example.com/web --envelope"));
    let key = site.env.write("key.pem", site.stdout("key export example.com"));
    let record = site.env.store().join("filesets").join(&digest[..2]).join(&digest[2..]);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/verifier.py");
    let output = Command::new(python).arg(script).args([&envelope, &key, &record]).output().expect("python");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "accepted, and refused when altered\n");
}

#[test]
fn a_name_that_is_not_here_is_told() {
    let site = signing();
    site.ok("build -q web");
    assert_snapshot!(site.session(&[
        "verify example.com/wep",
        "provenance example.com/wep",
        "verify example.com/web@2.0",
        "verify web",
        "provenance debian.org/greeter --envelope",
    ]), @r#"
    $ larder verify example.com/wep
    2> error: there is no image example.com/wep on this host
    2>   hint: did you mean example.com/web?
    [exit code 1]
    $ larder provenance example.com/wep
    2> error: there is no image example.com/wep on this host
    2>   hint: did you mean example.com/web?
    [exit code 1]
    $ larder verify example.com/web@2.0
    2> error: example.com/web has no record of version 2.0
    2>   hint: it has 1.0; `larder history example.com/web` lists its records
    [exit code 1]
    $ larder verify web
    2> error: invalid value 'web' for '<NAME>': "web" is not a name: it has no slash (a name is DOMAIN/SEGMENT, such as debian.org/openssl)
    2>
    2> For more information, try '--help'.
    [exit code 2]
    $ larder provenance debian.org/greeter --envelope
    2> error: debian.org/greeter@1.0 came from an archive, whose release file is what is signed: there is no envelope
    2>   hint: --json prints the chain as an in-toto statement
    [exit code 1]
    "#);
}
