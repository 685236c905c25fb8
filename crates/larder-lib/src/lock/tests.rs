//! Locks are written one way and read strictly.

use std::path::Path;

use larder_store::{FileSetDigest, Sha256Digest};
use proptest::prelude::*;

use super::*;

fn package(version: &str, content: u8, table: Option<u32>) -> LockedPackage {
    LockedPackage {
        version: version.to_owned(),
        architecture: "amd64".to_owned(),
        fileset: FileSetDigest::from_bytes([content; 32]),
        captured: None,
        declarations: table
            .map(|table| LockedDeclarations { fileset: FileSetDigest::from_bytes([table as u8; 32]), table }),
        distribution: None,
        origin: LockedOrigin::Archive(LockedArchive {
            rule: "deb/1".to_owned(),
            path: format!("pool/main/x/x_{version}.deb"),
            size: 42,
            sha256: Sha256Digest::from_bytes([content; 32]),
        }),
    }
}

/// A package of one's own.
fn own(version: &str, content: u8, distribution: Option<&str>) -> LockedPackage {
    LockedPackage {
        distribution: distribution.map(|name| Name::parse(name).expect("name")),
        origin: LockedOrigin::Store,
        ..package(version, content, None)
    }
}

/// A lock with one of everything that format 2 has.
fn newer() -> Lock {
    let name = |text: &str| Name::parse(text).expect("name");
    let mut lock =
        lock(&[("example.com/hello", own("2", 5, Some("example.com/stack"))), ("example.com/tls", own("3", 6, None))]);
    let stack = LockedCurated { version: "1.0".to_owned(), fileset: FileSetDigest::from_bytes([7; 32]) };
    lock.curated = [(name("example.com/stack"), stack)].into();
    let replaced =
        Override { of: name("debian.org/openssl"), by: name("example.com/tls"), forced: Some("a \"test\"".into()) };
    lock.overrides = vec![replaced];
    lock
}

fn lock(packages: &[(&str, LockedPackage)]) -> Lock {
    let named = |(name, package): &(&str, LockedPackage)| (Name::parse(name).expect("name"), package.clone());
    Lock {
        architecture: "amd64".to_owned(),
        asked: vec!["base essential".to_owned(), "package nginx-light".to_owned()],
        distribution: Some(LockedDistribution {
            name: Name::parse("debian.org/bookworm").expect("name"),
            suites: vec![LockedSuite {
                name: "bookworm".to_owned(),
                release: Sha256Digest::from_bytes([1; 32]),
                date: 1_763_632_800,
                key: "4CB50190207B4758A3F73A796ED0E7B82643E131".to_owned(),
            }],
        }),
        curated: BTreeMap::new(),
        overrides: Vec::new(),
        source: None,
        packages: packages.iter().map(named).collect(),
    }
}

fn read(text: &str) -> Result<Lock, LockError> {
    Lock::parse(Path::new("larder.lock"), text)
}

#[test]
fn the_text_is_this() {
    let text =
        lock(&[("debian.org/b", package("1:2.0-1", 2, None)), ("debian.org/a", package("1", 3, Some(4)))]).to_text();
    let (one, two, three, four) = ("01".repeat(32), "02".repeat(32), "03".repeat(32), "04".repeat(32));
    assert_eq!(
        text,
        format!(
            r#"# Written by Larder. Keep it beside the recipe, under version control.
# `larder update` changes it; nobody else should.
format = 1
architecture = "amd64"
asked = [
    "base essential",
    "package nginx-light",
]

[distribution]
name = "debian.org/bookworm"

[[distribution.suite]]
name = "bookworm"
release = "sha256:{one}"
date = 2025-11-20T10:00:00Z
key = "4CB50190207B4758A3F73A796ED0E7B82643E131"

[[package]]
name = "debian.org/a"
version = "1"
architecture = "amd64"
fileset = "blake3:{three}"
declarations = "blake3:{four}"
table = 4
rule = "deb/1"
archive = "pool/main/x/x_1.deb"
size = 42
sha256 = "{three}"

[[package]]
name = "debian.org/b"
version = "1:2.0-1"
architecture = "amd64"
fileset = "blake3:{two}"
rule = "deb/1"
archive = "pool/main/x/x_1:2.0-1.deb"
size = 42
sha256 = "{two}"
"#
        )
    );
}

#[test]
fn wrong_texts_are_refused_with_their_place() {
    let good = lock(&[("debian.org/a", package("1", 3, Some(4)))]).to_text();
    assert!(read(&good).is_ok());
    for (from, to, expected) in [
        ("format = 1", "format = 4", "has format 4, and this larder reads 3"),
        ("format = 1", "<<<<<<< ours", "larder.lock:3:9: this isn't a lock"),
        ("table = 4", "tabel = 4", "unknown field `tabel`"),
        ("table = 4", "table = 4\ncaptured = \"blake3:\"", "stand together or not at all"),
        ("table = 4\n", "", "larder.lock:20:8: this isn't a lock: `declarations` and `table` stand together"),
        ("\"debian.org/a\"", "\"a\"", "is not a name"),
        ("version = \"1\"", "version = \"1 2\"", "is not a version"),
        ("fileset = \"blake3:03", "fileset = \"blake3:3", "is not a digest"),
        ("sha256 = \"03", "sha256 = \"3", "64 lower-case hexadecimal digits"),
        ("pool/main", "../main", "`.` or `..` component"),
        ("10:00:00Z", "10:00:00+01:00", "a date is written as"),
        ("key = \"4CB", "key = \"zCB", "upper-case hexadecimal"),
        ("size = 42", "size = -42", "this isn't a lock"),
        ("size = 42", "size = \"42\"", "this isn't a lock"),
        ("rule = \"deb/1\"\n", "", "or else `origin = \"store\"`"),
        ("rule = \"deb/1\"\n", "origin = \"store\"\n", "or else `origin = \"store\"`"),
    ] {
        let error = read(&good.replacen(from, to, 1)).expect_err(from).to_string();
        assert!(error.contains(expected), "{error}\n  should contain\n{expected}");
    }
    let block = &good[good.find("[[package]]").expect("block")..];
    let error = read(&format!("{good}{block}")).expect_err("twice").to_string();
    assert!(error.contains("debian.org/a is there twice"), "{error}");
    assert!(read("").is_err());
}

#[test]
fn what_was_captured_is_written_file_by_file() {
    let captured = LockedCapture {
        fileset: FileSetDigest::from_bytes([8; 32]),
        rule: "capture/1".to_owned(),
        files: vec!["/etc/a\\x20b 0644 root:root blake3:00".to_owned(), "/var/lib/a 0750 a:a folder".to_owned()],
    };
    let captured = LockedPackage { captured: Some(captured), ..package("1", 3, Some(4)) };
    let lock = lock(&[("debian.org/a", captured), ("debian.org/b", package("1", 2, None))]);
    let text = lock.to_text();
    let eight = "08".repeat(32);
    let expected = format!(
        r#"table = 4
captured = "blake3:{eight}"
capture-rule = "capture/1"
captured-files = [
    "/etc/a\\x20b 0644 root:root blake3:00",
    "/var/lib/a 0750 a:a folder",
]
rule = "deb/1""#
    );
    assert!(text.contains("format = 3\n") && text.contains(&expected), "{text}");
    assert_eq!(read(&text).expect("lock"), lock);
    let diff = Lock::diff(&Lock { packages: BTreeMap::new(), ..lock.clone() }, &lock);
    assert_eq!(diff.changes.len(), 2);
}

#[test]
fn what_only_the_newer_format_says_is_written_in_it() {
    let lock = newer();
    let text = lock.to_text();
    let (five, six, seven) = ("05".repeat(32), "06".repeat(32), "07".repeat(32));
    let expected = format!(
        r#"
[[curated]]
name = "example.com/stack"
version = "1.0"
fileset = "blake3:{seven}"

[[override]]
of = "debian.org/openssl"
by = "example.com/tls"
forced = "a \"test\""

[[package]]
name = "example.com/hello"
version = "2"
architecture = "amd64"
fileset = "blake3:{five}"
distribution = "example.com/stack"
origin = "store"

[[package]]
name = "example.com/tls"
version = "3"
architecture = "amd64"
fileset = "blake3:{six}"
origin = "store"
"#
    );
    assert!(text.contains("\nformat = 2\n") && text.ends_with(&expected), "{text}");
    assert_eq!(read(&text).expect("lock"), lock);
    for (from, to, expected) in [
        ("origin = \"store\"", "origin = \"shop\"", "or else `origin = \"store\"`"),
        ("of = \"debian.org/openssl\"", "of = \"openssl\"", "is not a name"),
        ("version = \"1.0\"", "version = \"1 0\"", "is not a version"),
        ("distribution = \"example.com/stack\"", "distribution = \"stack\"", "is not a name"),
    ] {
        let error = read(&text.replacen(from, to, 1)).expect_err(from).to_string();
        assert!(error.contains(expected), "{error}\n  should contain\n{expected}");
    }
    for block in ["[[curated]]", "[[override]]"] {
        let begin = text.find(block).expect("block");
        let end = text[begin..].find("\n\n").expect("end") + begin;
        let error = read(&format!("{text}\n{}\n", &text[begin..end])).expect_err("twice").to_string();
        assert!(error.contains("is there twice"), "{error}");
    }
}

#[test]
fn a_lock_knows_what_it_was_written_for() {
    let recipe = |packages: &str| {
        let text = format!(
            "[image]\nname = \"a.b/c\"\nversion = \"1\"\nfrom = \"debian.org/bookworm\"\npackages = {packages}\n"
        );
        Recipe::parse(Path::new("larder.toml"), &text).expect("recipe")
    };
    let mut lock = lock(&[]);
    lock.asked = recipe("[\"git\", \"nginx\"]").solver_inputs();
    assert_eq!(lock.check(&recipe("[\"nginx\", \"git\"]")), Ok(()));
    let mismatch = lock.check(&recipe("[\"nginx\", \"git >=2\"]")).expect_err("differs");
    assert_eq!(mismatch.added, ["package git >=2"]);
    assert_eq!(mismatch.removed, ["package git"]);
}

#[test]
fn differences_are_by_package() {
    let old = lock(&[
        ("d.org/content", package("1", 1, None)),
        ("d.org/declared", package("1", 1, Some(1))),
        ("d.org/gone", package("1", 1, None)),
        ("d.org/newer", package("1", 1, None)),
        ("d.org/same", package("1", 1, None)),
    ]);
    let new = lock(&[
        ("d.org/content", package("1", 2, None)),
        ("d.org/declared", package("1", 1, Some(2))),
        ("d.org/fresh", package("3", 1, None)),
        ("d.org/newer", package("2", 2, None)),
        ("d.org/same", package("1", 1, None)),
    ]);
    let said: Vec<_> =
        Lock::diff(&old, &new).changes.iter().map(|(name, change)| format!("{}: {change}", name.short())).collect();
    assert_eq!(
        said,
        [
            "content: 1, other content",
            "declared: 1, other declarations",
            "fresh: added 3",
            "gone: removed 1",
            "newer: 1 -> 2",
        ]
    );
    assert!(Lock::diff(&old, &old).is_empty());
}

#[test]
fn saving_is_whole_and_only_when_needed() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("larder.lock");
    assert_eq!(Lock::load(&file).expect("no lock"), None);
    let lock = lock(&[("debian.org/a", package("1", 3, Some(4)))]);
    assert!(lock.save(&file).expect("save"));
    assert!(!lock.save(&file).expect("save again"));
    assert_eq!(Lock::load(&file).expect("load"), Some(lock.clone()));
    assert_eq!(std::fs::read_dir(folder.path()).expect("list").count(), 1);
    let error = lock.save(&folder.path().join("absent/larder.lock")).expect_err("no folder");
    assert!(error.to_string().starts_with("can't write "), "{error}");
}

/// Found by an attack: whoever builds as root in another user's folder would have written through this link.
/// A build that was killed between writing and renaming left its file beside the recipe, for ever: the name holds the
/// number of a process that will not come back.
#[test]
fn what_killed_writers_left_is_removed() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("larder.lock");
    let place = |name: &str| folder.path().join(name);
    std::fs::write(place("larder.lock.4194305.new"), "half").expect("file");
    std::fs::write(place("larder.lock.old.new"), "somebody's own").expect("file");
    let writing = std::fs::File::create(place("larder.lock.4194306.new")).expect("file");
    writing.lock().expect("lock");
    assert!(lock(&[]).save(&file).expect("save"));
    let mut names: Vec<_> =
        std::fs::read_dir(folder.path()).expect("list").map(|e| e.expect("entry").file_name()).collect();
    names.sort();
    assert_eq!(names, ["larder.lock", "larder.lock.4194306.new", "larder.lock.old.new"]);
}

#[test]
fn a_planted_link_is_not_written_through() {
    let folder = tempfile::tempdir().expect("folder");
    let (victim, file) = (folder.path().join("victim"), folder.path().join("larder.lock"));
    std::fs::write(&victim, "precious").expect("write");
    let planted = folder.path().join(format!("larder.lock.{}.new", std::process::id()));
    std::os::unix::fs::symlink(&victim, planted).expect("link");
    assert!(lock(&[]).save(&file).expect("save"));
    assert_eq!(std::fs::read_to_string(victim).expect("read"), "precious");
    assert!(file.symlink_metadata().expect("lock").is_file());
}

proptest! {
    #[test]
    fn dates_round_trip(seconds in 0_u64..253_402_300_800) {
        let mut lock = lock(&[]);
        lock.distribution.as_mut().expect("distribution").suites[0].date = seconds;
        prop_assert_eq!(read(&lock.to_text()).expect("lock"), lock);
    }

    #[test]
    fn texts_round_trip(
        asked in proptest::collection::vec(any::<String>(), 0..4),
        rule in any::<String>(),
        packages in proptest::collection::btree_map("[a-z0-9][a-z0-9+.-]{0,8}", ("[0-9][a-zA-Z0-9.+~:-]{0,8}", any::<u8>(), any::<u64>(), any::<Option<u32>>()), 0..6),
    ) {
        let mut lock = lock(&[]);
        lock.asked = asked;
        for (name, (version, content, size, table)) in packages {
            let mut package = package(&version, content, table);
            if let LockedOrigin::Archive(archive) = &mut package.origin {
                archive.rule = rule.clone();
                archive.size = size >> 1;
            }
            lock.packages.insert(Name::parse(&format!("debian.org/{name}")).expect("name"), package);
        }
        prop_assert_eq!(read(&lock.to_text()).expect("lock"), lock);
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        let _ = read(&text);
        let _ = read(&format!("format = 1\n{text}"));
    }
}

#[test]
fn a_source_package_is_locked_with_its_files() {
    let file = |path: &str, n| LockedFile {
        path: format!("pool/main/h/hello/{path}"),
        size: 7,
        sha256: Sha256Digest::from_bytes([n; 32]),
    };
    let mut locked = lock(&[]);
    locked.source = Some(LockedSource {
        package: "hello".to_owned(),
        version: "2.10-3".to_owned(),
        suite: "bookworm".to_owned(),
        release: Sha256Digest::from_bytes([1; 32]),
        key: "4CB50190207B4758A3F73A796ED0E7B82643E131".to_owned(),
        index: Sha256Digest::from_bytes([2; 32]),
        files: vec![file("hello_2.10-3.dsc", 3), file("hello_2.10.orig.tar.gz", 4)],
    });
    let text = locked.to_text();
    assert!(
        text.contains("format = 3\n")
            && text.contains("\n[[source.file]]\npath = \"pool/main/h/hello/hello_2.10-3.dsc\"\nsize = 7\n"),
        "{text}"
    );
    assert_eq!(read(&text).expect("lock"), locked);
    for (from, to) in [
        ("hello_2.10-3.dsc", "hello_2.10-3.desc"),
        ("hello_2.10.orig.tar.gz", "hello_2.11.dsc"),
        ("pool/main/h/hello/hello_2.10-3.dsc", "../hello_2.10-3.dsc"),
        ("package = \"hello\"", "package = \"hello | x\""),
        ("key = \"4CB50190207B4758A3F73A796ED0E7B82643E131\"\nindex", "key = \"4cb5\"\nindex"),
    ] {
        assert!(text.contains(from), "{from}");
        assert!(read(&text.replace(from, to)).is_err(), "{from} -> {to}");
    }
}
