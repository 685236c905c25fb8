use super::*;
use crate::config::{Config, Mirrors};

const CLASSIC: &str = "\
# a comment
deb http://mirror.test/debian bookworm main contrib # trailing
deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://mirror.test/debian bookworm-updates main
deb-src http://mirror.test/debian bookworm main
deb http://mirror.test/debian-security bookworm-security main
";

const STANZAS: &str = "\
Types: deb deb-src
URIs: http://mirror.test/debian/
# in between
Suites: bookworm
  bookworm-updates
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mDMEAAAA
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
Enabled: no
URIs: http://off.test/debian
Suites: bookworm
Components: main
";

/// Found by the fuzz target `sources-list`: the empty word between two commas was an architecture that no machine has.
#[test]
fn an_empty_architecture_is_none() {
    let architectures = |text| list::parse(text, "list").unwrap().remove(0).architectures;
    assert_eq!(architectures("deb [arch=amd64,,arm64,] http://x y z"), ["amd64", "arm64"]);
    assert!(architectures("deb [arch=] http://x y z").is_empty());
}

fn apt(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("sources.list.d")).unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn config(apt: &tempfile::TempDir) -> Config {
    Config::new(Mirrors::Apt(apt.path().to_owned()), "/nowhere", "amd64")
}

fn addresses(place: &Place) -> Vec<&str> {
    place.mirrors.iter().map(|mirror| mirror.url.as_str()).collect()
}

#[test]
fn the_one_line_form() {
    let sources = list::parse(CLASSIC, "sources.list").unwrap();
    assert_eq!(sources.len(), 3);
    assert_eq!(sources[0].components, ["main", "contrib"]);
    assert_eq!(sources[1].architectures, ["amd64"]);
    let keyring = PathBuf::from("/usr/share/keyrings/debian-archive-keyring.gpg");
    assert_eq!(sources[1].signed_by, Some(SignedBy::Files(vec![keyring])));
    for wrong in ["deb", "deb http://x", "rpm http://x y z", "deb [arch=amd64 http://x y z", "deb [arch] http://x y z"]
    {
        let error = list::parse(wrong, "sources.list").unwrap_err().to_string();
        assert!(error.starts_with("sources.list, line 1:"), "{error}");
    }
}

/// Found by fuzzing: the mark that excludes subkeys, alone, became a fingerprint of no letters.
#[test]
fn no_fingerprint_is_empty() {
    let sources =
        list::parse("deb [signed-by=0123abcd!,!,!!] http://mirror.test/debian x main", "sources.list").unwrap();
    let prints = ["0123ABCD", "!", "!!"].map(str::to_owned).into();
    assert_eq!(sources[0].signed_by, Some(SignedBy::Fingerprints(prints)));
}

#[test]
fn the_stanza_form() {
    let sources = deb822::parse(STANZAS, "debian.sources").unwrap();
    assert_eq!(sources.len(), 1);
    assert_eq!(sources[0].suites, ["bookworm", "bookworm-updates"]);
    let Some(SignedBy::Inline(key)) = &sources[0].signed_by else { panic!("{sources:?}") };
    assert_eq!(key, "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEAAAA\n-----END PGP PUBLIC KEY BLOCK-----\n");
    assert!(deb822::parse("Types: deb\nSuites: x\n", "f").unwrap_err().to_string().contains("no URIs"));
    assert!(deb822::parse("Types deb\n", "f").unwrap_err().to_string().contains("colon"));
    assert!(deb822::parse(" more\n", "f").unwrap_err().to_string().contains("continuation"));
}

#[test]
fn the_suite_is_found_where_it_is_named() {
    let apt = apt(&[("sources.list", CLASSIC)]);
    let config = config(&apt);
    assert_eq!(addresses(&locate(&config, "bookworm", Part::Main).unwrap()), ["http://mirror.test/debian"]);
    let security = locate(&config, "bookworm-security", Part::Security).unwrap();
    assert_eq!(addresses(&security), ["http://mirror.test/debian-security"]);
    assert!(!security.derived);
}

#[test]
fn another_suite_uses_the_same_mirrors() {
    let apt = apt(&[("sources.list", CLASSIC)]);
    let config = config(&apt);
    assert_eq!(addresses(&locate(&config, "trixie", Part::Main).unwrap()), ["http://mirror.test/debian"]);
    let security = locate(&config, "trixie-security", Part::Security).unwrap();
    assert_eq!(addresses(&security), ["http://mirror.test/debian-security"]);
}

#[test]
fn a_missing_security_mirror_is_looked_for_beside() {
    let apt = apt(&[("sources.list", "deb http://mirror.test/debian bookworm main\n")]);
    let security = locate(&config(&apt), "bookworm-security", Part::Security).unwrap();
    assert_eq!(addresses(&security), ["http://mirror.test/debian-security"]);
    assert!(security.derived);
}

#[test]
fn third_parties_are_not_taken_for_debian() {
    let apt = apt(&[
        ("sources.list", CLASSIC),
        ("sources.list.d/a.list", "deb [signed-by=/k/other.gpg] http://other.test/php bookworm main\n"),
        (
            "sources.list.d/b.list",
            "deb http://cloud.test/apt cloud-bookworm main\ndeb http://d.test/linux bookworm stable\n",
        ),
    ]);
    assert_eq!(addresses(&locate(&config(&apt), "bookworm", Part::Main).unwrap()), ["http://mirror.test/debian"]);
    assert_eq!(addresses(&locate(&config(&apt), "trixie", Part::Main).unwrap()), ["http://mirror.test/debian"]);
}

#[test]
fn a_machine_without_debian_says_so() {
    let apt = apt(&[("sources.list.d/a.list", "deb http://d.test/linux bookworm stable\n")]);
    let error = locate(&config(&apt), "bookworm", Part::Main).unwrap_err();
    assert!(matches!(error, DebianError::NoMirror { .. }), "{error}");
}

#[test]
fn a_mirror_list_is_read() {
    let apt = apt(&[
        (
            "sources.list.d/debian.sources",
            "Types: deb\nURIs: mirror+file:///etc/apt/mirrors.list\nSuites: bookworm\nComponents: main\n",
        ),
        ("mirrors.list", "# ours\nhttp://a.test/debian/\tpriority:1\nhttp://b.test/debian\n"),
    ]);
    let place = locate(&config(&apt), "bookworm", Part::Main).unwrap();
    assert_eq!(addresses(&place), ["http://a.test/debian", "http://b.test/debian"]);
}

#[test]
fn keys_come_from_the_configuration_else_the_source_else_the_system() {
    let apt = apt(&[("sources.list", "deb [signed-by=/k/one.gpg] http://mirror.test/debian bookworm main\n")]);
    let mut config = config(&apt);
    config.system_keyrings = vec![PathBuf::from("/k/system.gpg")];
    let keys = |config: &Config, suite| locate(config, suite, Part::Main).unwrap().mirrors[0].keys.clone();
    let own = KeySource::File(PathBuf::from("/k/one.gpg"));
    let system = KeySource::IfPresent(PathBuf::from("/k/system.gpg"));
    assert_eq!(keys(&config, "bookworm"), std::slice::from_ref(&own));
    assert_eq!(keys(&config, "trixie"), [own, system]);
    config.keyrings = vec![PathBuf::from("/k/given.gpg")];
    assert_eq!(keys(&config, "bookworm"), [KeySource::File(PathBuf::from("/k/given.gpg"))]);
}
