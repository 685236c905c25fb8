//! `larder key`, and what becomes of keys that can't be used.

use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use insta::assert_snapshot;
use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};

use super::site::Site;

/// A machine with a recipe, and a key for its image's domain.
pub(crate) fn signing() -> Site {
    let site = Site::new();
    site.recipe("web", &["greeter"], "");
    site.ok("key new --no-passphrase example.com");
    site
}

fn secret(site: &Site) -> std::path::PathBuf {
    site.env.path("home/.config/larder/keys/secret/example.com.pem")
}

#[test]
fn keys_are_made_exported_trusted_and_forgotten() {
    let (site, other) = (Site::new(), Site::new());
    assert_snapshot!(site.session(&[
        "key list",
        "key export example.com",
        "key new example.com --no-passphrase",
        "key new example.com --no-passphrase",
        "key list",
    ]), @r"
    $ larder key list
    DOMAIN  KEY  SECRET  FILE
    $ larder key export example.com
    2> error: there is no key of example.com
    2>   hint: `larder key new example.com` makes one; `larder key trust example.com FILE` trusts somebody else's
    [exit code 1]
    $ larder key new example.com --no-passphrase
    2> note: keep a copy of $DIR/home/.config/larder/keys/secret/example.com.pem: nobody can make it again; `larder key export example.com` prints the public half
    made the key <1> of example.com
    $ larder key new example.com --no-passphrase
    2> error: there is a key of example.com already: $DIR/home/.config/larder/keys/secret/example.com.pem
    2>   hint: `larder key export example.com` prints it; `larder key forget example.com` removes it for ever
    [exit code 1]
    $ larder key list
    DOMAIN       KEY           SECRET         FILE
    example.com  <1>           no passphrase  $DIR/home/.config/larder/keys/secret/example.com.pem
    ");
    let pem = site.stdout("key export example.com");
    assert!(pem.starts_with("-----BEGIN PUBLIC KEY-----\n") && pem.ends_with("-----END PUBLIC KEY-----\n"), "{pem}");
    other.env.write("example.pem", pem);
    assert_snapshot!(other.session(&[
        "key trust example.com example.pem",
        "key trust example.com example.pem",
        "key list",
        "key forget example.com --key 00000000000000",
        "key forget example.com",
        "key forget example.com",
        "key trust example.com nowhere.pem",
        "key trust example example.pem",
    ]), @r#"
    $ larder key trust example.com example.pem
    the key <1> is trusted for example.com
    $ larder key trust example.com example.pem
    the key <1> is trusted for example.com (it was already)
    $ larder key list
    DOMAIN       KEY           SECRET  FILE
    example.com  <1>                   $DIR/home/.config/larder/keys/trusted/example.com/<1>.pem
    $ larder key forget example.com --key 00000000000000
    2> error: there is no key 00000000000000 of example.com
    2>   hint: `larder key new example.com` makes one; `larder key trust example.com FILE` trusts somebody else's
    [exit code 1]
    $ larder key forget example.com
    the key <1> is no longer trusted for example.com
    $ larder key forget example.com
    2> error: there is no key of example.com
    2>   hint: `larder key new example.com` makes one; `larder key trust example.com FILE` trusts somebody else's
    [exit code 1]
    $ larder key trust example.com nowhere.pem
    2> error: can't read nowhere.pem
    2>   because: No such file or directory (os error 2)
    [exit code 1]
    $ larder key trust example example.pem
    2> error: invalid value 'example' for '<DOMAIN>': "example" is not a domain: what stands before the first slash is not a DNS domain: it has no dot
    2>
    2> For more information, try '--help'.
    [exit code 2]
    "#);
    other.env.write("secret.pem", fs::read(secret(&site)).expect("a key"));
    other.env.write("text.pem", "hello\n");
    assert_snapshot!(other.session(&["key trust example.com secret.pem", "key trust example.com text.pem"]), @r"
    $ larder key trust example.com secret.pem
    2> error: secret.pem is no public key: it is a secret key, which must be given to nobody
    2>   hint: `larder key export DOMAIN` prints a public key as it must be
    [exit code 1]
    $ larder key trust example.com text.pem
    2> error: text.pem is no public key: it has no line -----BEGIN PUBLIC KEY-----
    2>   hint: `larder key export DOMAIN` prints a public key as it must be
    [exit code 1]
    ");
}

#[test]
fn a_secret_key_that_cannot_be_used_stops_the_build_and_nothing_is_lost() {
    let site = signing();
    let good = fs::read(secret(&site)).expect("a key");
    fs::set_permissions(secret(&site), Permissions::from_mode(0o644)).expect("permissions");
    assert_snapshot!(site.session(&["build -q web"]), @r"
    $ larder build -q web
    2> error: the secret key $DIR/home/.config/larder/keys/secret/example.com.pem isn't used: its mode is 0644, so that others can read it
    2>   hint: if nobody else can have read it: chmod 600 $DIR/home/.config/larder/keys/secret/example.com.pem; else make a new one
    [exit code 1]
    ");
    fs::set_permissions(secret(&site), Permissions::from_mode(0o600)).expect("permissions");
    fs::write(secret(&site), &good[..40]).expect("a file");
    assert_snapshot!(site.session(&["build -q web"]), @r"
    $ larder build -q web
    2> error: $DIR/home/.config/larder/keys/secret/example.com.pem is no secret key: it is not PEM with a PKCS#8 key (PEM error: PEM error in pre-encapsulation boundary)
    2>   hint: put it back from where its copy is kept
    [exit code 1]
    ");
    let elsewhere = Site::new();
    elsewhere.ok("key new --no-passphrase example.com");
    fs::copy(secret(&elsewhere), secret(&site)).expect("another key");
    assert_snapshot!(site.session(&["build -q web", "images"]), @r"
    $ larder build -q web
    2> error: $DIR/home/.config/larder/keys/secret/example.com.pem is another key than $DIR/home/.config/larder/keys/public/example.com.pem: it is <1>, and that is <2>
    2>   hint: put it back from where its copy is kept
    [exit code 1]
    $ larder images
    NAME  VERSION  DIGEST  PACKAGES  CREATED (UTC)  SIGNED
    ");
    fs::write(secret(&site), good).expect("a file");
    site.ok("build -q web");
    site.ok("verify --require-signed example.com/web");
}

#[test]
fn a_passphrase_comes_from_a_file() {
    let mut site = Site::new();
    site.recipe("web", &["greeter"], "");
    let right = site.env.write("passphrase", "correct horse\n");
    let wrong = site.env.write("wrong", "correct house\n");
    assert_snapshot!(site.session(&["key new example.com"]), @r"
    $ larder key new example.com
    2> error: can't get the passphrase of the key of example.com
    2>   because: there is no terminal to ask at
    2>   hint: name a file that holds it with LARDER_KEY_PASSPHRASE_FILE, or run larder in a terminal
    [exit code 1]
    ");
    site.env.set("LARDER_KEY_PASSPHRASE_FILE", &right);
    site.ok("key new example.com");
    site.env.set("LARDER_KEY_PASSPHRASE_FILE", &wrong);
    assert_snapshot!(site.session(&["build -q web"]), @r"
    $ larder build -q web
    2> error: the passphrase of the key of example.com is wrong, or $DIR/home/.config/larder/keys/secret/example.com.pem was altered
    2>   hint: try again, or name the right one's file with LARDER_KEY_PASSPHRASE_FILE
    [exit code 1]
    ");
    site.env.set("LARDER_KEY_PASSPHRASE_FILE", site.env.path("nowhere"));
    assert_snapshot!(site.session(&["build -q web"]), @r"
    $ larder build -q web
    2> error: can't get the passphrase of the key of example.com
    2>   because: can't read $DIR/nowhere: No such file or directory (os error 2)
    2>   hint: name a file that holds it with LARDER_KEY_PASSPHRASE_FILE, or run larder in a terminal
    [exit code 1]
    ");
    site.env.unset("LARDER_KEY_PASSPHRASE_FILE");
    assert_snapshot!(site.session(&["build -q web"]), @r"
    $ larder build -q web
    2> error: can't get the passphrase of the key of example.com
    2>   because: there is no terminal to ask at
    2>   hint: name a file that holds it with LARDER_KEY_PASSPHRASE_FILE, or run larder in a terminal
    [exit code 1]
    ");
    site.env.set("LARDER_KEY_PASSPHRASE_FILE", &right);
    assert_snapshot!(site.session(&["build web"]), @r"
    $ larder build web
    4 packages, 0 fetched (0 B), scripts: 3 none, 1 declared, 0 skipped
    built example.com/web@1.0, signed by example.com (<1>         )
    blake3:<2>
    ");
    // What is signed already is not signed again, so that nobody is asked.
    site.env.unset("LARDER_KEY_PASSPHRASE_FILE");
    assert_snapshot!(site.session(&["build web", "verify --require-signed example.com/web"]), @r"
    $ larder build web
    4 packages, 0 fetched (0 B), scripts: 3 none, 1 declared, 0 skipped
    unchanged example.com/web@1.0, signed by example.com (<1>         )
    blake3:<2>
    $ larder verify --require-signed example.com/web
    ok     example.com/web@1.0  record, contents, statement, signature, inputs; signed by example.com (<1>         )
             source larder.toml not checked: it is pinned by sha256:<3>, and not kept here
    ok       debian.org/base-files/declarations@12.4+table1  record, contents, statement, deb, list, release
    ok       debian.org/base-files@12.4  record, contents, statement, deb, list, release
    ok       debian.org/greeter@1.0  record, contents, statement, deb, list, release
    ok       debian.org/libgreet@1.0  record, contents, statement, deb, list, release
    ok       debian.org/shell@5.2  record, contents, statement, deb, list, release
    6 FileSets: 0 broken, 0 unsigned; 0 links not kept here, 1 not checked
    ");
}

/// Runs `larder` with a terminal as its input, types, and gives what the terminal showed.
fn typed(site: &Site, arguments: &[&str], lines: &str) -> (String, i32) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
    unlockpt(&master).expect("unlock");
    let name = ptsname(&master, Vec::new()).expect("name");
    let slave = File::options().read(true).write(true).open(name.to_str().expect("UTF-8")).expect("the other side");
    let mut command = site.env.larder_command(arguments);
    command.stdin(slave).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("larder");
    drop(command);
    let mut master = File::from(master);
    let mut shown = String::new();
    let mut buffer = [0; 4096];
    for line in lines.split_inclusive('\n') {
        // Typed when it is asked for: what is typed before that is thrown away with the echo.
        while !shown.ends_with(": ") {
            let count = master.read(&mut buffer).expect("a question");
            shown += std::str::from_utf8(&buffer[..count]).expect("UTF-8");
        }
        shown += "|";
        master.write_all(line.as_bytes()).expect("typed");
    }
    while let Ok(count @ 1..) = master.read(&mut buffer) {
        shown += std::str::from_utf8(&buffer[..count]).expect("UTF-8");
    }
    (shown, child.wait().expect("an end").code().expect("a code"))
}

#[test]
fn a_passphrase_is_typed_and_not_shown() {
    let site = Site::new();
    site.recipe("web", &["greeter"], "");
    let (shown, code) = typed(&site, &["key", "new", "example.com"], "secret words\nother words\n");
    assert_eq!((shown.contains("words"), code), (false, 1), "{shown:?}");
    let (shown, code) = typed(&site, &["key", "new", "example.com"], "secret words\nsecret words\n");
    assert_eq!(shown, "passphrase of the key of example.com: |\r\nthe same again: |\r\n");
    assert_eq!(code, 0);
    let (shown, code) = typed(&site, &["build", "-q", "web"], "secret words\n");
    assert_eq!((shown.as_str(), code), ("passphrase of the key of example.com: |\r\n", 0));
    site.ok("verify --require-signed example.com/web");
}
