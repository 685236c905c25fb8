//! Keys in a folder of their own.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{Domain, KeyError, Keys, NoPassphrases, Passphrases, Protection, PublicKey, Purpose};

/// Says always the same.
struct Says(&'static str);

impl Passphrases for Says {
    fn passphrase(&self, _domain: &Domain, _purpose: Purpose) -> io::Result<Zeroizing<String>> {
        Ok(Zeroizing::new(self.0.to_owned()))
    }
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join("keys").join(name)
    }

    fn keys(&self) -> Keys {
        self.keys_with(NoPassphrases)
    }

    fn keys_with(&self, passphrases: impl Passphrases + 'static) -> Keys {
        Keys::new(Some(self.path("")), Vec::new(), Box::new(passphrases))
    }
}

fn domain(text: &str) -> Domain {
    text.parse().expect("a domain")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("metadata").permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("permissions");
}

#[test]
fn a_new_key_signs_and_is_trusted_for_its_domain() {
    let folder = Folder::new();
    let (keys, example) = (folder.keys(), domain("example.com"));
    assert!(keys.secret(&example).expect("none").is_none());
    assert_eq!(keys.signer(&example).expect("none"), None);
    assert!(matches!(keys.export(&example), Err(KeyError::Missing { .. })));

    let made = keys.create(&example, Protection::None).expect("a key");
    let secret = keys.secret(&example).expect("readable").expect("it is there");
    assert_eq!(keys.signer(&example).expect("readable").map(|key| key.id()), Some(made.id.clone()));
    assert_eq!((mode(&folder.path("secret/example.com.pem")), mode(&folder.path("secret"))), (0o600, 0o700));
    let signature = secret.sign(b"message");
    let trusted = keys.trusted(&example).expect("trusted");
    assert!(trusted.len() == 1 && trusted[0].has_signed(b"message", &signature));
    assert!(!trusted[0].has_signed(b"other", &signature));
    assert_eq!(keys.trusted(&domain("sub.example.com")).expect("none"), []);
    assert_eq!(keys.list().expect("a list"), [made]);
    assert!(matches!(keys.create(&example, Protection::None), Err(KeyError::Exists { .. })));
}

#[test]
fn a_passphrase_is_wanted_by_whoever_signs_and_by_nobody_else() {
    let folder = Folder::new();
    let example = domain("example.com");
    let right = folder.keys_with(Says("correct horse"));
    right.create(&example, Protection::Passphrase).expect("a key");
    let text = fs::read_to_string(folder.path("secret/example.com.pem")).expect("a file");
    assert!(text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"), "{text}");
    right.secret(&example).expect("the passphrase is right").expect("it is there");
    let wrong = folder.keys_with(Says("correct house")).secret(&example).expect_err("a wrong passphrase");
    assert!(matches!(wrong, KeyError::Locked { .. }), "{wrong}");
    let nobody = folder.keys().secret(&example).expect_err("nobody to ask");
    assert!(matches!(nobody, KeyError::Passphrase { .. }), "{nobody}");
    assert!(folder.keys().signer(&example).expect("without a passphrase").is_some());
    assert_eq!(folder.keys().list().expect("a list")[0].secret, Some(Protection::Passphrase));
}

#[test]
fn a_key_that_others_can_reach_is_not_used() {
    let folder = Folder::new();
    let (keys, example) = (folder.keys(), domain("example.com"));
    keys.create(&example, Protection::None).expect("a key");
    let file = folder.path("secret/example.com.pem");
    for (bits, what) in [(0o644, "read"), (0o640, "read"), (0o620, "change"), (0o602, "change")] {
        set_mode(&file, bits);
        let refused = keys.secret(&example).expect_err("exposed");
        assert!(matches!(&refused, KeyError::Exposed { can, mode, .. } if *can == what && *mode == bits), "{refused}");
        assert!(refused.hint().is_some_and(|hint| hint.contains("chmod 600")), "{refused:?}");
    }
    set_mode(&file, 0o600);
    set_mode(&folder.path("secret"), 0o777);
    let refused = keys.secret(&example).expect_err("replaceable");
    assert!(matches!(refused, KeyError::Exposed { can: "replace", .. }), "{refused}");
    set_mode(&folder.path("secret"), 0o700);
    keys.secret(&example).expect("nothing was lost").expect("it is there");
}

#[test]
fn damaged_altered_and_foreign_files_are_refused_by_name() {
    let folder = Folder::new();
    let (keys, example) = (folder.keys(), domain("example.com"));
    keys.create(&example, Protection::None).expect("a key");
    keys.create(&domain("other.org"), Protection::None).expect("a key");
    let file = folder.path("secret/example.com.pem");
    let good = fs::read(&file).expect("a file");
    let write = |bytes: &[u8]| {
        fs::write(&file, bytes).expect("a file");
        keys.secret(&example).expect_err("no key")
    };
    let rsa = b"-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    for bytes in
        [&b""[..], b"hello", &good[..good.len() / 2], &good[..good.len() - 30], rsa, b"\xff\xfe", &[b'x'; 20_000]]
    {
        let error = write(bytes);
        assert!(matches!(&error, KeyError::Malformed { file: named, .. } if *named == file), "{error}");
    }
    let pair = write(&fs::read(folder.path("secret/other.org.pem")).expect("a file"));
    assert!(matches!(pair, KeyError::Pair { .. }), "{pair}");
    fs::write(&file, good).expect("a file");
    keys.secret(&example).expect("a key again").expect("it is there");

    // A trusted key is the one that its file is named after.
    let [trusted] = &keys.trusted(&example).expect("trusted")[..] else { panic!("one key") };
    let place = folder.path(&format!("trusted/example.com/{}.pem", trusted.id()));
    let other = &keys.trusted(&domain("other.org")).expect("trusted")[0];
    fs::write(&place, other.to_pem()).expect("a file");
    let altered = keys.trusted(&example).expect_err("another key in its place").to_string();
    assert!(altered.contains("it was altered"), "{altered}");
}

#[test]
fn a_public_key_is_trusted_and_forgotten() {
    let (ours, theirs) = (Folder::new(), Folder::new());
    let example = domain("example.com");
    let made = theirs.keys().create(&example, Protection::None).expect("a key");
    let (keys, public) = (ours.keys(), theirs.path("public/example.com.pem"));
    assert_eq!(keys.trust(&example, &public).expect("trusted"), (made.id.clone(), true));
    assert_eq!(keys.trust(&example, &public).expect("trusted"), (made.id.clone(), false));
    assert_eq!(keys.export(&example).expect("the only one")[0].id(), made.id);
    let secret = keys.trust(&example, &theirs.path("secret/example.com.pem")).expect_err("a secret key").to_string();
    assert!(secret.contains("it is a secret key, which must be given to nobody"), "{secret}");
    assert!(matches!(keys.trust(&example, &ours.path("none.pem")), Err(KeyError::Io { .. })));
    let other = if made.id.to_string().starts_with("00") { "11" } else { "00" };
    assert!(matches!(keys.forget(&example, Some(other)), Err(KeyError::Missing { .. })));
    assert_eq!(keys.forget(&example, Some(&made.id.short())).expect("forgotten"), std::slice::from_ref(&made.id));
    assert_eq!(keys.trusted(&example).expect("none"), []);

    // Whoever forgets a domain's own key has no secret half either.
    let keys = theirs.keys();
    assert_eq!(keys.forget(&example, None).expect("forgotten"), [made.id]);
    assert!(keys.secret(&example).expect("none").is_none() && keys.list().expect("none").is_empty());
}

#[test]
fn the_administrators_keys_are_trusted_too() {
    let (system, user) = (Folder::new(), Folder::new());
    let example = domain("example.com");
    let made = system.keys().create(&example, Protection::None).expect("a key");
    let keys = Keys::new(Some(user.path("")), vec![system.path("")], Box::new(NoPassphrases));
    assert_eq!(keys.trusted(&example).expect("trusted")[0].id(), made.id);
    assert_eq!(keys.signer(&example).expect("none"), None, "they don't sign");
    assert!(matches!(Keys::none().create(&example, Protection::None), Err(KeyError::NoPlace)));
}

#[test]
fn ids_are_those_of_tuf() {
    // The public key of RFC 8032, 7.1, test 1, and its id as securesystemslib computes it.
    let pem = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";
    let key = PublicKey::from_pem(Path::new("key.pem"), pem).expect("a key");
    assert_eq!(key.id().to_string(), "74c181c7ad8a0855d4b55e44d2ba87aabdddb196832571f15f92fece332e4916");
    assert_eq!(key.to_pem(), pem);
    let weak = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n-----END PUBLIC KEY-----\n";
    assert!(PublicKey::from_pem(Path::new("key.pem"), weak).is_err());
}

#[test]
fn domains_are_dns_names() {
    for wrong in ["", "example", "Example.com", "example.com/web", "../x.y", "a..b", "-a.b", "example.com."] {
        assert!(wrong.parse::<Domain>().is_err(), "{wrong}");
    }
}
