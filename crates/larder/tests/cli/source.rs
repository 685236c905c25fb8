//! Sources of packages: what must be true of those that are fetched before a build may see them.

use std::fs;

use insta::assert_snapshot;
use larder_testkit::archive::Key;

use super::again::own;
use super::package::{machine, recipe, refused};
use super::site::Site;

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
    error: gone/larder.toml:13:2: [source] says `sha256` and `signed-by` and `url`; it must say one of `path`, `url` with `sha256`, `url` with `sha256`, `signature` and `signed-by`, or `git` with `commit`
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
