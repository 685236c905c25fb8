//! `deb/1` on small packages made here: what it gives, what it refuses, what it never does.

#[path = "convert/support.rs"]
mod support;

use std::io::Write as _;

use larder_debian::convert::RULE;
use larder_debian::deb::DebError;
use larder_store::Entry;
use proptest::prelude::*;
use support::*;

fn payload() -> Vec<Item> {
    vec![
        dir("./"),
        symlink("./bin", "usr/bin"),
        dir("./lib/"),
        dir("./lib/sample/"),
        file("./lib/sample/data", "data\n"),
        dir("./usr/"),
        dir("./usr/bin/"),
        Item { mode: 0o755, ..file("./usr/bin/sample", "#!/bin/sh\n") },
        Item { mode: 0o4755, group: "shadow".into(), ..file("./usr/bin/sample-setuid", "s") },
        hard_link("./usr/bin/sample-again", "./usr/bin/sample"),
        symlink("./usr/bin/s", "sample"),
        dir("./usr/share/doc/sample/"),
        file(
            "./usr/share/doc/sample/copyright",
            "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nLicense: MIT\n",
        ),
        Item { mtime: 1_700_000_123, ..file("./etc/sample/Größe", "ü") },
        Item { mode: 0o1777, mtime: 1_900_000_000, ..dir("./var/tmp/") },
    ]
}

fn paths(items: &[Item]) -> Vec<String> {
    let converted = read(&deb(items)).expect("converts");
    converted.tree.entries().iter().map(|e| e.path.to_string()).collect()
}

#[test]
fn a_package_becomes_a_tree_and_a_record() {
    let converted = read(&deb_of(CONTROL, &[("md5sums", "x  y\n"), ("postinst", "#!/bin/sh\n")], tar(&payload())))
        .expect("converts");
    let tree = &converted.tree;
    assert!(tree.get(b"bin").is_none() && tree.get(b"lib").is_none(), "aliases are a composer's");
    let get = |path: &str| tree.get(path.as_bytes()).unwrap_or_else(|| panic!("{path}"));
    assert!(matches!(get("usr/lib/sample/data").entry, Entry::File { size: 5, executable: false, .. }));
    assert_eq!(get("usr/bin/sample").entry, get("usr/bin/sample-again").entry);
    assert_eq!(get("usr/bin/sample-setuid").mode(), 0o4755);
    assert_eq!(get("usr/bin/sample-setuid").attributes.group.as_deref(), Some("shadow"));
    assert_eq!(get("var/tmp").mode(), 0o1777);
    assert!(tree.get("etc/sample/Größe".as_bytes()).is_some());
    let Entry::File { size, .. } = get("var/lib/dpkg/status.d/sample").entry else { panic!("no status.d") };
    assert_eq!(size, CONTROL.len() as u64);
    assert!(tree.get(b"var/lib/dpkg/status.d/sample.md5sums").is_some());

    let record = &converted.record;
    assert_eq!((record.name.as_str(), record.version.as_str()), ("debian.org/sample", "1:2.0-3"));
    assert_eq!(record.time, 1_700_000_123, "the newest file, not the newest directory");
    let package = record.package().expect("package");
    assert_eq!(package.requires, ["libc6 (>= 2.36)", "a | b"]);
    assert_eq!(package.install.replaces_files_of, ["older", "other"]);
    assert_eq!(package.licence.as_deref(), Some("MIT"));
    assert_eq!(package.source.as_deref(), Some("sample 1:2.0-3"));
    assert_eq!(package.origin.as_ref().map(|o| o.rule.as_str()), Some(RULE));
    assert_eq!(record, &larder_store::FileSet::decode(&record.encode()).expect("decodes"));
}

#[test]
fn the_order_of_the_archive_does_not_matter() {
    let mut items = payload();
    let forwards = read(&deb(&items)).expect("converts");
    items.reverse();
    let backwards = read(&deb(&items)).expect("converts");
    assert_eq!(forwards.tree, backwards.tree);
    assert_eq!(forwards.record.time, backwards.record.time);
}

/// Frozen: `deb/1` gives these for ever.
#[test]
fn golden_digests_of_packages_made_here() {
    let scripts = [("md5sums", "x  y\n"), ("postinst", "#!/bin/sh\n")];
    let mut reversed = payload();
    reversed.reverse();
    let capability = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let xattrs = vec![
        ("SCHILY.xattr.security.capability".to_owned(), capability.to_vec()),
        ("SCHILY.xattr.user.note".to_owned(), b"text".to_vec()),
    ];
    let packages = [
        ("whole", deb_of(CONTROL, &scripts, tar(&payload()))),
        ("reversed", deb(&reversed)),
        ("empty", deb(&[])),
        ("attributes", deb(&[Item { pax: xattrs, owner: "man".into(), mode: 0o2750, ..file("./sbin/a", "a") }])),
    ];
    let found: Vec<String> = packages
        .iter()
        .map(|(name, deb)| {
            let converted = read(deb).expect(name);
            format!("{name} {} {}", converted.package.hex(), converted.tree.digest().hex())
        })
        .collect();
    assert_eq!(
        found,
        [
            "whole 20067cf8980ecf80e6db3a487aab8f7b312fb66dfc34c9e1ac195f8c2b9e3341 3bf10fb98917672cc5fb9b2bae94ea3c0fe5840447510bba81ea222986f98ed5",
            "reversed da3c47a73a323f8c4571e8ce1c030e75fb4fd596e053dd90cd8e44a1687b5db6 0ae22611ce070a7c3977fedba47fb0fe97cf43b9c1e31c7538f51d5a9058d577",
            "empty 4bba510defebedc8bbcfe8a220e299e16d9f0d2c41c51d4de9f655273fdda2d0 fea7c13d2516fb5b2bdd95e2323f85b9fa58d414735116ea175f8f3f64665c9e",
            "attributes 3675b399438dafe207fe2ff0299c7fac0ae2bd3eac990b3f89471a483abbc720 90e21ae2d2400d83ceec656fa01bdc0d19df0828ad66c4f3b510dd36c48fddd6",
        ]
    );
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("gzip");
    encoder.finish().expect("gzip")
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(bytes).expect("xz");
    encoder.finish().expect("xz")
}

fn zst(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("zstd")
}

fn packed(suffix: &str, data: Vec<u8>) -> Vec<u8> {
    let name = format!("data.tar{suffix}");
    let control = control_tar(&[("control", CONTROL)]);
    ar(&[("debian-binary", b"2.0\n".to_vec()), ("control.tar.gz", gzip(&control)), (&name, data)])
}

#[test]
fn all_compressions_give_one_tree_in_one_stream_or_several() {
    let data = tar(&payload());
    let (head, tail) = data.split_at(data.len() / 3);
    let plain = read(&deb(&payload())).expect("converts").tree;
    let in_two = |pack: fn(&[u8]) -> Vec<u8>| [pack(head), pack(tail)].concat();
    for (suffix, data) in [
        ("", data.clone()),
        (".gz", gzip(&data)),
        (".xz", xz(&data)),
        (".zst", zst(&data)),
        (".gz", in_two(gzip)),
        (".xz", in_two(xz)),
        (".zst", in_two(zst)),
    ] {
        assert_eq!(read(&packed(suffix, data)).expect(suffix).tree, plain, "{suffix}");
    }
}

#[test]
fn long_names_and_pax_records_are_honoured() {
    let long = format!("./usr/share/{}/{}", "d".repeat(120), "f".repeat(120));
    let gnu = [file(&long, "x"), Item { link: long.clone().into_bytes(), ..hard_link("./h", "") }];
    let pax = |key: &str, value: &[u8]| (key.to_owned(), value.to_vec());
    let posix = [
        Item { pax: vec![pax("path", long.as_bytes()), pax("mtime", b"1700000000.9")], ..file("./short", "x") },
        Item { pax: vec![pax("linkpath", long.as_bytes())], ..hard_link("./h", "x") },
    ];
    assert_eq!(paths(&gnu), paths(&posix));
    assert!(paths(&gnu).contains(&long[2..].to_owned()));

    let capability = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let ping = Item { pax: vec![pax("SCHILY.xattr.security.capability", &capability)], ..file("./bin/ping", "x") };
    let converted = read(&deb(&[ping])).expect("converts");
    let attributes = &converted.tree.get(b"usr/bin/ping").expect("ping").attributes;
    assert_eq!(attributes.xattrs.get(b"security.capability".as_slice()).map(|v| &**v), Some(&capability[..]));
}

/// Each hostile payload with what the refusal must say.
#[test]
fn hostile_payloads_are_refused_and_say_why() {
    let xattr = |name: &str| Item { pax: vec![(format!("SCHILY.xattr.{name}"), b"x".to_vec())], ..file("./a", "x") };
    let pax = |key: &str, value: &str| Item { pax: vec![(key.into(), value.as_bytes().to_vec())], ..file("./a", "x") };
    let cases: Vec<(&str, Vec<Item>)> = vec![
        ("`.` or `..` component", vec![file("./../etc/passwd", "x")]),
        ("`.` or `..` component", vec![file("./usr/../../etc/passwd", "x")]),
        ("its path is absolute", vec![file("/etc/passwd", "x")]),
        ("its path is absolute", vec![hard_link("./a", "/etc/passwd")]),
        ("empty component", vec![file("./usr//bin/x", "x")]),
        ("no file of the same package", vec![hard_link("./a", "./b")]),
        ("no file of the same package", vec![dir("./d"), hard_link("./a", "./d")]),
        ("hard link to a directory", vec![hard_link("./a", "./")]),
        ("devices, fifos or sockets", vec![item(b'3', "./dev/null")]),
        ("devices, fifos or sockets", vec![item(b'4', "./dev/sda")]),
        ("devices, fifos or sockets", vec![item(b'6', "./run/fifo")]),
        ("kind that isn't supported", vec![item(b'7', "./a")]),
        ("kind that isn't supported", vec![item(b'S', "./a")]),
        ("stands twice", vec![file("./a", "x"), file("./a", "x")]),
        ("stands twice", vec![file("./bin/a", "x"), file("./usr/bin/a", "x")]),
        ("stands twice", vec![dir("./a"), Item { mode: 0o700, ..dir("./a") }]),
        ("stands twice", vec![symlink("./a", "b"), dir("./a")]),
        ("stands twice", vec![file("./var/lib/dpkg/status.d/sample", "x")]),
        ("something that is not a directory", vec![symlink("./a", "/etc"), file("./a/passwd", "x")]),
        ("something that is not a directory", vec![file("./a/b", "x"), file("./a", "x")]),
        ("link to the same name below /usr", vec![symlink("./bin", "/tmp")]),
        ("it must be a directory", vec![file("./lib64", "x")]),
        ("user.overlay.redirect", vec![xattr("user.overlay.redirect")]),
        ("trusted.overlay.opaque", vec![xattr("trusted.overlay.opaque")]),
        ("security.selinux", vec![xattr("security.selinux")]),
        ("is malformed", vec![pax("size", "x")]),
        ("keyword that isn't supported", vec![pax("GNU.sparse.major", "1")]),
        ("has content", vec![Item { content: b"x".to_vec(), ..dir("./a") }]),
        ("path ends with a slash", vec![file("./a/", "x")]),
        (
            "a file's size exceeds",
            vec![Item { pax: vec![("size".into(), b"99999999999999".to_vec())], ..file("./a", "x") }],
        ),
        ("cut short", vec![Item { size: Some(1 << 30), ..file("./a", "x") }]),
        ("not a name of a user", vec![Item { owner: "a:b".into(), ..file("./a", "x") }]),
        ("only a directory can be the root", vec![symlink("./", "/etc")]),
        ("target must be", vec![symlink("./a", "")]),
    ];
    for (wanted, items) in cases {
        let error = read(&deb(&items)).map(|_| ()).expect_err(wanted).to_string();
        assert!(error.contains(wanted), "{wanted:?} expected, but: {error}");
    }
}

#[test]
fn hostile_containers_are_refused_and_say_why() {
    let binary = || ("debian-binary", b"2.0\n".to_vec());
    let control = || ("control.tar", control_tar(&[("control", CONTROL)]));
    let data = || ("data.tar", tar(&payload()));
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("not an ar archive", b"PK\x03\x04".to_vec()),
        ("it is empty", ar(&[])),
        ("first member is not debian-binary", ar(&[control(), data()])),
        ("format is not 2.0", ar(&[("debian-binary", b"3.0\n".to_vec()), control(), data()])),
        ("control.tar is missing", ar(&[binary(), data(), control()])),
        ("data.tar is missing", ar(&[binary(), control()])),
        ("member after data.tar", ar(&[binary(), control(), data(), ("data.tar", tar(&payload()))])),
        ("compressed in a way", ar(&[binary(), control(), ("data.tar.bz2", b"BZh9".to_vec())])),
        ("data.tar is damaged", ar(&[binary(), control(), ("data.tar.xz", tar(&payload()))])),
        (
            "data.tar is damaged",
            ar(&[binary(), control(), ("data.tar.gz", [gzip(&tar(&payload())), b"junk".to_vec()].concat())]),
        ),
        ("bytes after its end mark", ar(&[binary(), control(), ("data.tar", [tar(&[]), vec![1; 512]].concat())])),
        ("end mark is missing", ar(&[binary(), control(), ("data.tar", Vec::new())])),
        ("a malformed number", ar(&[binary(), control(), ("data.tar", vec![b'x'; 1024])])),
        ("the control file is missing", ar(&[binary(), ("control.tar", control_tar(&[])), data()])),
        (
            "may only hold plain files",
            ar(&[binary(), ("control.tar", tar(&[symlink("./control", "/etc/shadow")])), data()]),
        ),
        ("Package: evil", deb_of(&CONTROL.replace("Package: sample", "Package: evil"), &[], tar(&payload()))),
        ("Version: 9", deb_of(&CONTROL.replace("1:2.0-3", "9"), &[], tar(&payload()))),
        ("Architecture: armhf", deb_of(&CONTROL.replace("amd64", "armhf"), &[], tar(&payload()))),
        ("not a field", deb_of("Package\n", &[], tar(&payload()))),
    ];
    for (wanted, bytes) in cases {
        let error = read(&bytes).map(|_| ()).expect_err(wanted).to_string();
        assert!(error.contains(wanted), "{wanted:?} expected, but: {error}");
    }
}

#[test]
fn a_bomb_is_cut_off() {
    let zeros = vec![0; 200 << 20];
    let big = Item { content: zeros, ..file("./a", "") };
    let bytes = packed(".zst", zst(&tar(&[big])));
    assert!(bytes.len() < 100_000);
    assert!(matches!(read(&bytes), Err(DebError::Limit { .. })));
}

#[test]
fn a_cut_or_altered_package_is_never_accepted() {
    let whole = packed(".xz", xz(&tar(&payload())));
    let expected = expected(sha256(&whole));
    assert!(read_as(whole.as_slice(), &expected).is_ok());
    for length in (0..whole.len()).step_by(7) {
        assert!(read_as(&whole[..length], &expected).is_err(), "cut at {length}");
    }
    for at in 0..whole.len() {
        let mut altered = whole.clone();
        altered[at] ^= 0x20;
        assert!(read_as(altered.as_slice(), &expected).is_err(), "altered at {at}");
    }
    assert!(read_as([whole.as_slice(), b"\n"].concat().as_slice(), &expected).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let _ = read(&bytes);
        let _ = read(&[b"!<arch>\n".as_slice(), &bytes].concat());
        let _ = read(&deb_of(CONTROL, &[], bytes.clone()));
        let _ = read(&deb_of(&String::from_utf8_lossy(&bytes), &[], tar(&[])));
        let _ = read(&packed(".zst", bytes.clone()));
        let _ = read(&packed(".xz", bytes));
    }

    #[test]
    fn altered_archives_never_panic(changes in proptest::collection::vec((0usize..20_000, any::<u8>()), 1..12)) {
        let mut data = tar(&payload());
        for (at, byte) in changes {
            let length = data.len();
            data[at % length] = byte;
        }
        let _ = read(&deb_of(CONTROL, &[], data));
    }
}
