//! Sources of packages: what must be true of those that are fetched before a build may see them.

use std::fs;

use insta::assert_snapshot;
use larder_testkit::archive::{ArchiveBuilder, Key, Source};

use super::again::own;
use super::package::{archive, machine, recipe, refused, says};
use super::run::furnish;
use super::site::{Site, deb};

/// Writes a file that a project publishes with a signature; gives the lines of `[source]` that fetch it.
fn published(site: &Site, content: &str, signature: &[u8]) -> String {
    let file = site.env.write("far/data", content);
    let signature = site.env.write("far/data.sig", signature);
    let sum = site.env.shell("sha256sum far/data").success().stdout;
    format!(
        "url = \"file://{}\"\nsha256 = \"{}\"\nsignature = \"file://{}\"\nsigned-by = \"keys/author.gpg\"",
        file.display(),
        sum.split(' ').next().expect("a digest"),
        signature.display(),
    )
}

const TAKE: &str = "mkdir $OUT/opt\ncp data $OUT/opt/";

#[test]
fn a_publishers_signature_is_checked() {
    let Some(site) = machine() else { return };
    let author = Key::new();
    let lines = published(&site, "from far away\n", &author.sign_detached(b"from far away\n"));
    recipe(&site, "far", ("", TAKE, &format!("[source]\n{lines}")));
    site.env.write("far/keys/author.gpg", author.public_armoured());
    site.ok("build -q far");
    // It is told apart from one that nobody has signed, with the same bytes.
    let unsigned: String = lines.lines().take(2).map(|line| format!("{line}\n")).collect();
    recipe(&site, "unsigned", ("", TAKE, &format!("[source]\n{unsigned}")));
    site.ok("build -q unsigned");
    let text = site.session(&[
        "verify example.com/far",
        "verify --fetch --rebuild example.com/far",
        "provenance example.com/far",
        "verify --fetch example.com/unsigned",
    ]);
    let text: String = text
        .lines()
        .filter(|line| !line.contains("debian.org/") && !line.starts_with("2>"))
        .collect::<Vec<_>>()
        .join("\n");
    assert_snapshot!(text, @"
    $ larder verify example.com/far
    ok     example.com/far@1.0  record, contents, statement, inputs; unsigned; not checked: publisher
             source file://$DIR/far/data not checked: it is pinned by sha256:<1>, and not kept here
             source file://$DIR/far/data.sig holds
             source openpgp4fpr:<KEY> holds
             source larder.toml holds
    ok       host.internal/sandbox-user@1  record, contents, statement, inputs; unsigned
    6 FileSets: 0 broken, 2 unsigned; 0 links not kept here, 2 not checked
    $ larder verify --fetch --rebuild example.com/far
    ok     example.com/far@1.0  record, contents, statement, inputs, publisher, rebuild; unsigned
             source file://$DIR/far/data holds
             source file://$DIR/far/data.sig holds
             source openpgp4fpr:<KEY> holds
             source larder.toml holds
    ok       host.internal/sandbox-user@1  record, contents, statement, inputs, rebuild; unsigned
    6 FileSets: 0 broken, 2 unsigned; 0 links not kept here, 0 not checked
    $ larder provenance example.com/far
    what:         example.com/far@1.0
    digest:       blake3:<2>
    made:         built in a sandbox, by larder 0.1.0
    when:         YYYY-MM-DD hh:mm to YYYY-MM-DD hh:mm
    signed:       unsigned
    parameter:    architecture = amd64
    parameter:    env = {}
    parameter:    inputs = blake3:<3>
    parameter:    rule = build/1
    parameter:    run = mkdir $OUT/opt
    cp data $OUT/opt/

    parameter:    source_date_epoch = 363620310
    parameter:    with = buildtools
    source:       file://$DIR/far/data sha256:<1>
    source:       file://$DIR/far/data.sig sha256:<4>
    source:       openpgp4fpr:<KEY> sha256:<5>
    source:       larder.toml sha256:<6>
    input:        host.internal/sandbox-user@1 <11>
    $ larder verify --fetch example.com/unsigned
    ok     example.com/unsigned@1.0  record, contents, statement, inputs; unsigned
             source file://$DIR/far/data holds
             source larder.toml holds
    ok       host.internal/sandbox-user@1  record, contents, statement, inputs; unsigned
    6 FileSets: 0 broken, 2 unsigned; 0 links not kept here, 0 not checked
    ");
}

#[test]
fn what_its_publisher_did_not_sign_is_refused() {
    let Some(site) = machine() else { return };
    let (author, other) = (Key::new(), Key::new());
    let good = author.sign_detached(b"from far away\n");
    let build = |name: &str, signature: &[u8], key: &[u8]| {
        let lines = published(&site, "from far away\n", signature);
        recipe(&site, name, ("", TAKE, &format!("[source]\n{lines}")));
        site.env.write(format!("{name}/keys/author.gpg"), key);
        let said =
            refused(&site, name).replace(&author.fingerprint(), "<AUTHOR>").replace(&other.fingerprint(), "<OTHER>");
        site.redact(&said)
    };
    // Although somebody else has fetched the same bytes before, and nobody asked who had signed them.
    let lines = published(&site, "from far away\n", &good);
    let unsigned: String = lines.lines().take(2).map(|line| format!("{line}\n")).collect();
    recipe(&site, "before", ("", TAKE, &format!("[source]\n{unsigned}")));
    site.ok("build -q before");
    let altered = author.sign_detached(b"from far away!\n");
    let said = [
        ("another's signature", build("other", &other.sign_detached(b"from far away\n"), &author.public())),
        ("of another file", build("altered", &altered, &author.public())),
        ("no signature", build("text", b"not a signature\n", &author.public())),
        ("an empty one", build("empty", b"", &author.public())),
        ("no key", build("keyless", &good, b"not a key\n")),
        ("a revoked key", build("revoked", &good, &author.revoked().public())),
    ];
    let said: String = said.iter().map(|(what, said)| format!("{what}:\n{said}")).collect();
    assert_snapshot!(said, @"
    another's signature:
    error: the publisher's signature of file://$DIR/far/data doesn't hold
      because: it is signed by <OTHER>, which is not in the keyring `signed-by`
      hint: `signed-by` must have that key: take it from the publisher in a way that you trust, not from beside the file
    of another file:
    error: the publisher's signature of file://$DIR/far/data doesn't hold
      because: its text was altered after <AUTHOR> signed it
      hint: don't use it: either the file isn't what the publisher signed, or the signature is of another file
    no signature:
    error: the publisher's signature of file://$DIR/far/data doesn't hold
      because: it is no signature that can be read: unexpected EOF
      hint: `signature` must be a detached OpenPGP signature of the file as it is fetched, as `gpg --detach-sign` makes it
    an empty one:
    error: the publisher's signature of file://$DIR/far/data doesn't hold
      because: it is no signature that can be read: Malformed Message: Malformed OpenPGP message
      hint: `signature` must be a detached OpenPGP signature of the file as it is fetched, as `gpg --detach-sign` makes it
    no key:
    error: keys/author.gpg, which `signed-by` names, has no OpenPGP key: unexpected EOF
      hint: `gpg --export --armor KEY` writes one
    a revoked key:
    error: the publisher's signature of file://$DIR/far/data doesn't hold
      because: the key <AUTHOR> that signed it was revoked
      hint: don't use it: whoever has that key now may not be the publisher
    ");
    fs::remove_file(site.env.path("far/data.sig")).expect("gone");
    let lines = format!("[source]\n{lines}");
    recipe(&site, "gone", ("", TAKE, &lines));
    let without_key = site.redact(&refused(&site, "gone"));
    site.env.write("gone/keys/author.gpg", author.public());
    assert_snapshot!(format!("{without_key}{}", site.redact(&refused(&site, "gone"))), @r#"
    error: gone/larder.toml:17:13: keys/author.gpg: there is no such file or folder
       |
    17 | signed-by = "keys/author.gpg"
       |             ^^^^^^^^^^^^^^^^^
      hint: sources in [files] are relative to the recipe's folder: check the spelling
    error: can't fetch the source file://$DIR/far/data.sig
      because: file://$DIR/far/data.sig does not exist on the mirror (status 404)
      hint: check the address, or look where the project has moved it
    "#);
    // A signature beside the recipe, and none at all.
    site.env.write("gone/data.sig", &good);
    let url = lines.lines().find(|line| line.starts_with("signature")).expect("a line");
    recipe(&site, "gone", ("", TAKE, &lines.replace(url, "signature = \"data.sig\"")));
    site.ok("build -q gone");
    recipe(&site, "gone", ("", TAKE, &lines.replace(url, "")));
    assert_snapshot!(site.redact(&site.run("build -q gone").failure(1).stderr), @"
    error: gone/larder.toml:13:2: [source] says `sha256` and `signed-by` and `url`; it must say one of `path`, `url` with `sha256`, `url` with `sha256`, `signature` and `signed-by`, `git` with `commit`, or `deb-src`
       |
    13 | [source]
       |  ^^^^^^
    ");
}

/// A signature that a key of a later recipe doesn't accept is looked for again, though the source is in the store.
#[test]
fn another_key_is_another_question() {
    let Some(site) = machine() else { return };
    let (author, other) = (Key::new(), Key::new());
    let lines = published(&site, "from far away\n", &author.sign_detached(b"from far away\n"));
    recipe(&site, "far", ("", TAKE, &format!("[source]\n{lines}")));
    site.env.write("far/keys/author.gpg", author.public());
    site.ok("build -q far");
    site.env.write("far/keys/author.gpg", other.public());
    assert!(site.run("build -q far").failure(1).stderr.contains("which is not in the keyring `signed-by`"));
    // What was built before still says who had signed it.
    let text = own(&site.stdout("verify --fetch example.com/far"));
    assert!(text.contains("contents, statement, inputs, publisher; unsigned"), "{text}");
}

/// An archive with a source package. What stands in for `dpkg-source` knows nothing of formats: it copies.
fn with_sources(version: &str, greeting: &str) -> Option<ArchiveBuilder> {
    let program = "#!/bin/sh\nset -e\ntest \"$1 $2\" = '--no-check -x'\ntest -f \"$3\"\nmkdir -p \"$4/debian\"\n\
                   cp *.script \"$4/hello\"\ncp *.changelog \"$4/debian/changelog\"\n";
    let changelog =
        format!("hello ({version}) unstable; urgency=low\n\n -- A <a@example.com>  Mon, 26 Dec 2022 16:30:00 +0100\n");
    let source = Source::new("hello", version)
        .file(&format!("hello_{version}.script"), format!("#!/bin/sh\necho {greeting}\n"))
        .file(&format!("hello_{version}.changelog"), changelog);
    Some(archive()?.package(deb("dpkg-dev", "1.21").program("usr/bin/dpkg-source", program)).source(source))
}

const INSTALL: &str = "mkdir -p $OUT/usr/bin\ncp hello $OUT/usr/bin/hello\nchmod 755 $OUT/usr/bin/hello\n\
                       test $SOURCE_DATE_EPOCH = 1672068600";

#[test]
fn a_source_package_is_found_through_the_signed_release() {
    let Some(mut site) = with_sources("1.0-1", "hi").and_then(|archive| furnish(Site::with(archive))) else { return };
    recipe(&site, "hello", ("", INSTALL, "[source]\ndeb-src = \"hello\"\n[test]\nrun = \"hello | grep -q hi\""));
    let text = site.session(&["build hello", "build hello", "verify --rebuild example.com/hello"]);
    let text: String =
        text.lines().filter(|line| !line.contains(" debian.org/")).flat_map(|line| [line, "\n"]).collect();
    assert_snapshot!(text, @"
    $ larder build hello
    2> fetch and convert 2 packages
    2> fetch the list of sources of bookworm
    2> fetch hello_1.0-1.dsc
    2> fetch hello_1.0-1.script
    2> fetch hello_1.0-1.changelog
    2> unpack hello 1.0-1
    2> build example.com/hello@1.0
    2> test example.com/hello@1.0
      example.com/hello 1 file, 18 B
    4 packages in the sandbox, 2 fetched (18.9 KiB); the test passed
    built example.com/hello@1.0, unsigned
    blake3:<1>
    $ larder build hello
      example.com/hello 1 file, 18 B
    built before from the same inputs; nothing was run
    unchanged example.com/hello@1.0, unsigned
    blake3:<1>
    $ larder verify --rebuild example.com/hello
    2> fetch base-files 12.4
    2> fetch buildtools 1
    2> fetch dpkg-dev 1.21
    2> fetch toolbox 1.36
    2> build example.com/hello@1.0
    ok     example.com/hello@1.0  record, contents, statement, inputs, list, release, rebuild; unsigned
             source pool/main/hello/hello_1.0-1.dsc not checked: it is pinned by sha256:<2>, and not kept here
             source pool/main/hello/hello_1.0-1.script not checked: it is pinned by sha256:<3>, and not kept here
             source pool/main/hello/hello_1.0-1.changelog not checked: it is pinned by sha256:<4>, and not kept here
             source larder.toml holds
    ok       host.internal/sandbox-user@1  record, contents, statement, inputs, rebuild; unsigned
    7 FileSets: 0 broken, 2 unsigned; 0 links not kept here, 3 not checked
    ");
    let lock = fs::read_to_string(site.env.path("hello/larder.lock")).expect("a lock");
    let at = lock.find("[source]").expect("a source");
    let end = lock.find("[[package]]").expect("packages");
    assert_snapshot!(site.redact(&lock[at..end]), @r#"
    [source]
    package = "hello"
    version = "1.0-1"
    suite = "bookworm"
    release = "sha256:<1>"
    key = "<KEY>"
    index = "sha256:<2>"

    [[source.file]]
    path = "pool/main/hello/hello_1.0-1.dsc"
    size = 238
    sha256 = "<3>"

    [[source.file]]
    path = "pool/main/hello/hello_1.0-1.script"
    size = 18
    sha256 = "<4>"

    [[source.file]]
    path = "pool/main/hello/hello_1.0-1.changelog"
    size = 92
    sha256 = "<5>"
    "#);
    // The lock keeps the version; an update moves to another.
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
    site.archive.publish(with_sources("1.0-2", "howdy").expect("an archive").date(later));
    site.ok("build -q hello");
    fs::remove_file(site.archive.root().join("debian/pool/main/hello/hello_1.0-1.dsc")).expect("a file");
    let fetch = site.stdout("verify --fetch example.com/hello");
    says(&fetch, &["source pool/main/hello/hello_1.0-1.dsc not checked: can't fetch the source http://"]);
    recipe(&site, "hello", ("", INSTALL, "[source]\ndeb-src = \"hello\"\n[test]\nrun = \"hello | grep -q howdy\""));
    assert_eq!(site.run("build -q hello").code, 1, "the lock has 1.0-1");
    site.ok("update -q hello");
    assert!(fs::read_to_string(site.env.path("hello/larder.lock")).expect("a lock").contains("version = \"1.0-2\""));
    let text = site.stdout("verify --fetch example.com/hello");
    says(&text, &["source pool/main/hello/hello_1.0-2.dsc holds", "inputs, list, release; unsigned"]);
}

#[test]
fn a_source_package_that_is_not_there_is_told() {
    let Some(site) = with_sources("1.0-1", "hi").and_then(|archive| furnish(Site::with(archive))) else { return };
    let of = |source: &str| {
        recipe(&site, "hello", ("", INSTALL, &format!("[source]\ndeb-src = \"{source}\"")));
        site.redact(&refused(&site, "hello"))
    };
    let said = [of("hello =2.0"), of("hallo"), of("debian.org/hello"), of("hello |")].concat();
    assert_snapshot!(said, @r#"
    error: there is no source package hello =2.0 in debian.org/bookworm: there is 1.0-1
      hint: change the version, or name a suite in `from` that has it
    error: there is no source package hallo in debian.org/bookworm
      hint: it is the name of the source that counts (`Source:` in `larder inspect debian.org/PACKAGE`), of a Debian suite in `from`
    error: hello/larder.toml:16:11: `deb-src`: "debian.org/hello" isn't a source package: its name has no domain: it is one of the suite's in `from`
       |
    16 | deb-src = "debian.org/hello"
       |           ^^^^^^^^^^^^^^^^^^
      hint: write it as in "hello" or "hello =2.10-3"
    error: hello/larder.toml:16:11: `deb-src`: "hello |" is not a package: a constraint begins with one of < <= = >= > (write "name", "name =1.2-3" or "name >=1.2, <2")
       |
    16 | deb-src = "hello |"
       |           ^^^^^^^^^
      hint: write a package's name, with constraints if you need them: "openssl", "openssl >=3.0", "openssl >=3.0, <4"
    "#);
    // With a lock, and without one that fits.
    recipe(&site, "hello", ("", INSTALL, "[source]\ndeb-src = \"hello\""));
    site.ok("build -q hello");
    site.ok("build -q --locked hello");
    recipe(&site, "hello", ("", INSTALL, "[source]\ndeb-src = \"hello >=1.0-2\""));
    assert_snapshot!(site.redact(&site.run("build -q --locked hello").failure(1).stderr), @"
    error: hello/larder.lock doesn't match the recipe:
      the recipe has, and the lock hasn't: deb-src hello >=1.0-2
      the lock has, and the recipe hasn't: deb-src hello 1.0-1
      hint: build without --locked to write the lock anew
    ");
}

#[test]
fn a_file_that_the_index_does_not_list_is_refused() {
    let Some(site) = with_sources("1.0-1", "hi").and_then(|archive| furnish(Site::with(archive))) else { return };
    recipe(&site, "hello", ("", INSTALL, "[source]\ndeb-src = \"hello\""));
    let script = site.archive.root().join("debian/pool/main/hello/hello_1.0-1.script");
    let good = fs::read(&script).expect("a file");
    fs::write(&script, "#!/bin/sh\necho no\n").expect("another");
    let other = site.redact(&refused(&site, "hello"));
    fs::write(&script, "#!/bin/sh\nrm -rf /\n").expect("another");
    let longer = site.redact(&refused(&site, "hello"));
    fs::write(&script, &good).expect("as it was");
    assert_snapshot!(format!("{other}{longer}"), @"
    error: http://mirror/debian/pool/main/hello/hello_1.0-1.script is not what the signed index lists: expected 18 bytes with sha256:<1>, received 18 bytes with sha256:<2>
      hint: nothing of it was kept: try again later, or name another mirror in LARDER_DEBIAN_MIRROR or, in the configuration, [debian] mirror
    error: http://mirror/debian/pool/main/hello/hello_1.0-1.script has another size than the signed index lists: expected 18 bytes, the mirror offers 19
      hint: nothing of it was kept: try again later, or name another mirror in LARDER_DEBIAN_MIRROR or, in the configuration, [debian] mirror
    ");
    site.ok("build -q hello");
    // A lock that was changed by hand asks for a file that nobody has.
    let lock = fs::read_to_string(site.env.path("hello/larder.lock")).expect("a lock");
    site.env.write("hello/larder.lock", lock.replace("hello_1.0-1.script", "hello_1.0-0.script"));
    recipe(&site, "hello", ("", &format!("{INSTALL}\ntrue"), "[source]\ndeb-src = \"hello\""));
    site.ok("gc");
    assert!(site.run("build -q hello").failure(1).stderr.contains("hello_1.0-0.script"));
}

#[test]
fn a_zip_archive_is_unpacked() {
    let Some(site) = machine() else { return };
    let file = site.env.write("far/hello-1.zip", include_bytes!("../../../../fuzz/seeds/zip/deflated"));
    let sum = site.env.shell("sha256sum far/hello-1.zip").success().stdout;
    let sum = sum.split(' ').next().expect("a digest");
    let source = format!("[source]\nurl = \"file://{}\"\nsha256 = \"{sum}\"", file.display());
    let run = "test -x run && test -L link && test $SOURCE_DATE_EPOCH = 1735732802\nmkdir $OUT/opt\ncp run $OUT/opt/";
    recipe(&site, "zipped", ("", run, &source));
    site.ok("build --check zipped");
    site.env.write("far/hello-1.zip", "PK\x03\x04 and no more");
    let other = site.env.shell("sha256sum far/hello-1.zip").success().stdout;
    recipe(&site, "broken", ("", run, &source.replace(sum, other.split(' ').next().expect("a digest"))));
    assert_snapshot!(site.redact(&refused(&site, "broken")), @"
    error: can't unpack file://$DIR/far/hello-1.zip: it is no zip archive, or a damaged one: Missing end of central directory
    ");
}
