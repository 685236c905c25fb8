use std::fs;
use std::path::Path;

use larder_testkit::archive::{Archive, Key};

use super::*;
use crate::sources::KeySource;

const DAY: Duration = Duration::from_secs(86_400);

fn keyring(path: &Path) -> Keyring {
    Keyring::load("bookworm", &[KeySource::File(path.to_owned())]).unwrap()
}

fn open(archive: &Archive) -> Result<Release, ReleaseRefusal> {
    Release::open(&fs::read(archive.in_release("bookworm")).unwrap(), &keyring(&archive.keyring()), SystemTime::now())
}

/// Changes bytes of the release file as they lie on disk.
fn spoil(archive: &Archive, change: impl FnOnce(String) -> String) -> ReleaseRefusal {
    let path = archive.in_release("bookworm");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, change(text)).unwrap();
    open(archive).unwrap_err()
}

#[test]
fn a_good_release_names_its_signer() {
    let archive = Archive::builder().build();
    let release = open(&archive).unwrap();
    assert_eq!(release.signer, archive.key().fingerprint());
    assert_eq!(release.codename, "bookworm");
    assert!(release.by_hash && release.all_included);
    for asked in ["bookworm", "stable"] {
        release.check(asked, SystemTime::now(), Some(release.date)).unwrap();
    }
}

#[test]
fn an_armoured_keyring_serves_too() {
    let archive = Archive::builder().build();
    fs::write(archive.keyring(), archive.key().public_armoured()).unwrap();
    open(&archive).unwrap();
    let inline = KeySource::Inline { place: "sources:1".to_owned(), text: archive.key().public_armoured() };
    Keyring::load("bookworm", &[inline]).unwrap();
}

#[test]
fn a_wrong_key_is_named() {
    let archive = Archive::builder().build();
    let other = Key::new();
    archive.resign("bookworm", &other, |text| text);
    let error = open(&archive).unwrap_err();
    assert!(
        matches!(&error, ReleaseRefusal::WrongKey { signers, .. } if *signers == [other.fingerprint()]),
        "{error:?}"
    );
    assert!(error.to_string().contains(&archive.keyring().display().to_string()), "{error}");
}

#[test]
fn altered_text_is_refused() {
    let archive = Archive::builder().build();
    let error = spoil(&archive, |text| text.replace("Components: main", "Components: mein"));
    assert_eq!(error, ReleaseRefusal::Tampered { signer: archive.key().fingerprint() });
}

#[test]
fn what_is_not_one_signed_text_is_refused() {
    type Change = fn(String) -> String;
    let cases: [(&str, Change, &str); 6] = [
        ("unsigned", |text| text.lines().skip(3).take(4).collect::<Vec<_>>().join("\n"), "not signed"),
        ("text before", |text| format!("Origin: Evil\n\n{text}"), "before the signed part"),
        ("text after", |text| text + "\nOrigin: Evil\n", "after the signature"),
        ("twice", |text| text.clone() + &text, "exactly one"),
        ("cut", |text| text[..text.len() - 60].to_owned(), "ends before"),
        (
            "no signature inside",
            |text| {
                let begin = text.find("-----BEGIN PGP SIGNATURE-----").unwrap();
                format!("{}-----BEGIN PGP SIGNATURE-----\n\n-----END PGP SIGNATURE-----\n", &text[..begin])
            },
            "",
        ),
    ];
    for (name, change, problem) in cases {
        let error = spoil(&Archive::builder().build(), change).to_string();
        assert!(error.contains(problem), "{name}: {error}");
    }
    assert!(Release::open(b"", &keyring(&Archive::builder().build().keyring()), SystemTime::now()).is_err());
}

#[test]
fn an_expired_key_is_refused_even_when_it_signed_in_time() {
    let key = Key::valid_for(29 * DAY);
    let archive = Archive::builder().key(key.clone()).build();
    let text = fs::read_to_string(archive.in_release("bookworm").with_file_name("Release")).unwrap();
    let in_time = key.sign_at(&text, SystemTime::now() - 2 * DAY);
    let expired = ReleaseRefusal::KeyExpired { signer: key.fingerprint() };
    let open = |bytes: &[u8], now| Release::open(bytes, &keyring(&archive.keyring()), now);
    assert_eq!(open(&in_time, SystemTime::now()).unwrap_err(), expired);
    open(&in_time, SystemTime::now() - 2 * DAY).unwrap();
    assert_eq!(open(&fs::read(archive.in_release("bookworm")).unwrap(), SystemTime::now()).unwrap_err(), expired);
}

#[test]
fn a_revoked_key_is_refused() {
    let archive = Archive::builder().build();
    fs::write(archive.keyring(), archive.key().revoked().public()).unwrap();
    assert_eq!(open(&archive).unwrap_err(), ReleaseRefusal::KeyRevoked { signer: archive.key().fingerprint() });
}

#[test]
fn one_good_signature_of_several_is_enough_but_the_keyring_decides() {
    let archive = Archive::builder().build();
    let other = Key::new();
    fs::write(archive.keyring(), [other.public(), archive.key().public()].concat()).unwrap();
    open(&archive).unwrap();
    archive.resign("bookworm", &other, |text| text);
    assert_eq!(open(&archive).unwrap().signer, other.fingerprint());
}

#[test]
fn time_and_suite_are_judged() {
    let now = SystemTime::now();
    let archive = Archive::builder().valid_until(now + DAY).build();
    let release = open(&archive).unwrap();
    let date = release.date;
    release.check("bookworm", now, None).unwrap();
    assert!(matches!(release.check("bookworm", now + 2 * DAY, None), Err(ReleaseRefusal::Expired { .. })));
    assert!(matches!(release.check("bookworm", now - DAY, None), Err(ReleaseRefusal::FromTheFuture { .. })));
    assert_eq!(
        release.check("bookworm", now, Some(date + 1)),
        Err(ReleaseRefusal::RolledBack { date, seen: date + 1 })
    );
    let error = release.check("trixie", now, None).unwrap_err().to_string();
    assert_eq!(error, "it is for bookworm (stable), not for trixie");
}

#[test]
fn keyrings_that_cannot_serve_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring.gpg");
    let load = |source| Keyring::load("bookworm", &[source]).unwrap_err().to_string();
    assert!(load(KeySource::File(path.clone())).contains("can't read the keyring"));
    assert!(load(KeySource::IfPresent(path.clone())).contains("no keyring to verify bookworm with: looked at"));
    fs::write(&path, "no key").unwrap();
    assert!(load(KeySource::File(path)).contains("can't be used"));
}

#[test]
fn a_detached_signature_is_that_of_its_content_and_key() {
    let (key, other) = (Key::new(), Key::new());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring.gpg");
    fs::write(&path, key.public()).unwrap();
    let (keyring, now) = (keyring(&path), SystemTime::now());
    let signature = key.sign_detached(b"source");
    let check = |signature: &[u8], content: &'static [u8]| verify_detached(signature, content, &keyring, now);
    assert_eq!(check(&signature, b"source").unwrap(), key.fingerprint());
    assert!(matches!(check(&signature, b"sauce"), Err(ReleaseRefusal::Tampered { .. })));
    assert!(matches!(check(&other.sign_detached(b"source"), b"source"), Err(ReleaseRefusal::WrongKey { .. })));
    for junk in [&b""[..], b"junk", &signature[..signature.len() / 2]] {
        assert!(check(junk, b"source").is_err());
    }
}
