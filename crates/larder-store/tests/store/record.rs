//! Records: that each has one encoding, and what is rejected.

use std::collections::{BTreeMap, BTreeSet};

use larder_store::fileset::metadata::{ACTIONS, Actions};
use larder_store::fileset::{
    AlternativeRule, DistributionMetadata, DiversionRule, FilesMetadata, Follower, GroupRule, HostAsks, ImageMetadata,
    Import, InstallRules, KernelVersion, LinkRule, Metadata, Origin, Override, PackageMetadata, RecordError,
    ScriptTier, UserRule,
};
use larder_store::json::{self, Value};
use larder_store::{FileSet, FileSetDigest, Name, Sha256Digest, TreeDigest, TreePath};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use crate::support::{name, path};

fn import(short: &str) -> Import {
    let name = name(&format!("debian.org/{short}"));
    let path = name.mount_path("1:2.0").expect("mount path");
    Import { path, name, version: "1:2.0".to_owned(), fileset: FileSetDigest::from_bytes([3; 32]) }
}

fn record(metadata: Metadata) -> FileSet {
    FileSet {
        name: name("example.com/thing"),
        version: "1.0-1".to_owned(),
        architecture: "amd64".to_owned(),
        time: 1_700_000_000,
        tree: TreeDigest::from_bytes([1; 32]),
        imports: vec![import("b"), import("a")],
        metadata,
    }
}

fn rules() -> InstallRules {
    let user = |name: &str| UserRule {
        name: name.to_owned(),
        uid: Some(33),
        group: name.to_owned(),
        home: "/var/www".to_owned(),
        shell: "/usr/sbin/nologin".to_owned(),
        comment: String::new(),
        supplementary: vec!["ssl-cert".to_owned(), "adm".to_owned()],
    };
    InstallRules {
        replaces_files_of: vec!["b".to_owned(), "a".to_owned(), "b".to_owned()],
        users: vec![user("www-data"), user("backup")],
        groups: vec![GroupRule { name: "adm".to_owned(), gid: None }],
        alternatives: vec![AlternativeRule {
            name: "editor".to_owned(),
            link: path("usr/bin/editor"),
            path: path("usr/bin/vim.basic"),
            priority: -30,
            followers: vec![Follower {
                name: "editor.1.gz".to_owned(),
                link: path("usr/share/man/man1/editor.1.gz"),
                path: path("usr/share/man/man1/vim.1.gz"),
            }],
        }],
        diversions: vec![DiversionRule {
            path: TreePath::new(b"bin/\xff".to_vec()).expect("path"),
            to: path("bin/old"),
        }],
        links: vec![LinkRule { path: path("usr/bin/vi"), target: "vim.basic".to_owned() }],
        shells: vec!["/bin/zsh".to_owned()],
        script: ScriptTier::Skipped(vec!["it starts a service".to_owned()]),
    }
}

fn package() -> PackageMetadata {
    PackageMetadata {
        requires: vec!["libc6 (>= 2.36)".to_owned(), "a | b".to_owned()],
        essential: true,
        description: "a thing".to_owned(),
        licence: Some("MIT".to_owned()),
        origin: Some(Origin { deb: Sha256Digest::from_bytes([2; 32]), rule: "deb/1".to_owned() }),
        stands_in_for: vec!["debian.org/thing (>= 2)".to_owned()],
        asks: asks(),
        actions: [("validate".to_owned(), vec!["thing".to_owned(), "-t".to_owned()])].into(),
        configuration: vec![path("etc/thing.conf")],
        documentation: vec!["https://example.com/thing".to_owned()],
        install: rules(),
        ..PackageMetadata::default()
    }
}

fn asks() -> HostAsks {
    HostAsks {
        kernel: Some(KernelVersion { major: 5, minor: 10, patch: 0 }),
        features: vec!["overlayfs".to_owned(), "io-uring".to_owned()],
        capabilities: vec!["NET_BIND_SERVICE".to_owned()],
        memory: 1 << 30,
        devices: vec!["/dev/net/tun".to_owned(), "/dev/fuse".to_owned()],
    }
}

fn web() -> ImageMetadata {
    ImageMetadata {
        from: vec![name("debian.org/bookworm")],
        overrides: vec![Override {
            of: name("debian.org/openssl"),
            by: name("example.com/openssl"),
            forced: Some("it is built without legacy ciphers".to_owned()),
        }],
        base: "essential".to_owned(),
        packages: vec!["nginx-light".to_owned(), "ca-certificates".to_owned()],
        run: vec!["nginx".to_owned(), "-g".to_owned(), "daemon off;".to_owned()],
        env: [("LANG".to_owned(), "C.UTF-8".to_owned())].into(),
        composers: [("passwd".to_owned(), 1)].into(),
        ..ImageMetadata::default()
    }
}

#[test]
fn sets_are_written_sorted() {
    let record = record(Metadata::Package(package()));
    let decoded = FileSet::decode(&record.encode()).expect("decode");
    let paths: Vec<_> = decoded.imports.iter().map(|import| import.path.to_string()).collect();
    assert_eq!(paths, ["packages/debian.org/a@1%3a2.0", "packages/debian.org/b@1%3a2.0"]);
    let install = decoded.install().expect("install");
    assert_eq!(install.replaces_files_of, ["a", "b"]);
    assert_eq!(install.users[0].name, "backup");
    assert_eq!(install.users[0].supplementary, ["adm", "ssl-cert"]);
    assert_eq!(decoded.package().expect("package").requires, ["libc6 (>= 2.36)", "a | b"], "a list keeps its order");
    assert_eq!(decoded.digest(), record.digest());
    assert_eq!(FileSet::decode(&decoded.encode()), Ok(decoded));
}

/// Changes the JSON of a record at one place.
fn changed(record: &FileSet, change: impl FnOnce(&mut BTreeMap<String, Value>)) -> Result<FileSet, RecordError> {
    let Value::Object(mut members) = json::decode(&record.encode()).expect("JSON") else { panic!("not an object") };
    change(&mut members);
    FileSet::decode(&json::encode(&Value::Object(members)))
}

fn within<'v>(members: &'v mut BTreeMap<String, Value>, keys: &[&str]) -> &'v mut BTreeMap<String, Value> {
    keys.iter().fold(members, |members, key| {
        let mut value = members.get_mut(*key).unwrap_or_else(|| panic!("no {key}"));
        if let Value::Array(items) = value {
            value = &mut items[0];
        }
        match value {
            Value::Object(inner) => inner,
            _ => panic!("{key} is not an object"),
        }
    })
}

#[test]
fn what_is_not_a_record_is_rejected() {
    let package = record(Metadata::Package(package()));
    let web = record(Metadata::Image(web()));
    assert!(changed(&package, |_| {}).is_ok() && changed(&web, |_| {}).is_ok());
    for key in ["schema", "kind", "name", "version", "architecture", "time", "tree"] {
        let missing = changed(&package, |record| _ = record.remove(key));
        assert_eq!(missing, Err(RecordError::Missing { field: key.to_owned() }));
    }
    let text = Value::from;
    let numbers = |count: usize| Value::Array(vec![Value::Integer(1); count]);
    let bad: Vec<(&FileSet, &[&str], &str, Value)> = vec![
        (&package, &[], "schema", text("larder/fileset/v2")),
        (&package, &[], "kind", text("bundle")),
        (&package, &[], "kind", text("image")),
        (&package, &[], "name", text("Example.com/thing")),
        (&package, &[], "version", text("1/0")),
        (&package, &[], "architecture", text("AMD64")),
        (&package, &[], "time", text("0")),
        (&package, &[], "tree", text("sha256:00")),
        (&package, &[], "tree", text(&TreeDigest::from_bytes([0xab; 32]).to_string().to_uppercase())),
        (&package, &[], "signature", text("")),
        (&package, &[], "imports", Value::Array(Vec::new())),
        (&package, &[], "imports", Value::Null),
        (&package, &[], "metadata", Value::Array(Vec::new())),
        (&package, &["imports"], "path", text("../x")),
        (&package, &["imports"], "path", text("packages/debian.org/b@1%3a2.0")),
        (&package, &["imports"], "path_b64", text("YQ==")),
        (&package, &["imports"], "name", text("a")),
        (&package, &["imports"], "extra", text("a")),
        (&package, &["metadata"], "unknown", text("a")),
        (&package, &["metadata"], "essential", Value::Bool(false)),
        (&package, &["metadata"], "section", text("")),
        (&package, &["metadata"], "recommends", Value::Array(Vec::new())),
        (&package, &["metadata"], "recommends", numbers(1)),
        (&package, &["metadata"], "homepage", Value::Null),
        (&package, &["metadata", "origin"], "deb", text("blake3:00")),
        (&package, &["metadata", "origin"], "suite", text("bookworm")),
        (&package, &["metadata", "install"], "replaces_files_of", Value::from_iter(["b", "a"])),
        (&package, &["metadata", "install"], "replaces_files_of", Value::from_iter(["a", "a"])),
        (&package, &["metadata", "install"], "shells", Value::from_iter(["zsh"])),
        (&package, &["metadata", "install"], "shells", Value::from_iter(["/bin/a\nb"])),
        (&package, &["metadata", "install"], "script", text("declared")),
        (&package, &["metadata", "install"], "script", text("none")),
        (&package, &["metadata", "install", "users"], "name", text("a:b")),
        (&package, &["metadata", "install", "users"], "name", text("www-data")),
        (&package, &["metadata", "install", "users"], "home", text("/a:b")),
        (&package, &["metadata", "install", "users"], "comment", text("x\nroot::0:0")),
        (&package, &["metadata", "install", "users"], "uid", Value::Integer(1 << 32)),
        // 2^32-1 means "as before" to the kernel: root.
        (&package, &["metadata", "install", "users"], "uid", Value::Integer(u32::MAX.into())),
        (&package, &["metadata", "install", "groups"], "gid", Value::Integer(u32::MAX.into())),
        (&package, &["metadata", "install", "users"], "supplementary", Value::from_iter(["a,b"])),
        (&package, &["metadata", "install", "groups"], "gid", text("4")),
        (&package, &["metadata", "install", "alternatives"], "name", text("../x")),
        (&package, &["metadata", "install", "alternatives"], "priority", Value::Integer(3)),
        (&package, &["metadata", "install", "alternatives"], "priority", text("+3")),
        (&package, &["metadata", "install", "alternatives"], "priority", text("-0")),
        (&package, &["metadata", "install", "diversions"], "path_b64", text("YmluL2E=")),
        (&package, &["metadata", "install", "diversions"], "path_b64", text("YmluL/9=")),
        (&package, &["metadata", "install", "diversions"], "path", text("bin/a")),
        (&package, &["metadata", "install", "links"], "target", text("")),
        (&package, &["metadata", "install", "links"], "target", text("a\0b")),
        (&package, &["metadata", "asks"], "kernel", text("5.10.0")),
        (&package, &["metadata", "asks"], "kernel", text("new")),
        (&package, &["metadata", "asks"], "memory", Value::Integer(0)),
        (&package, &["metadata", "asks"], "capabilities", Value::from_iter(["CAP_SYS_ADMIN"])),
        (&package, &["metadata", "asks"], "devices", Value::from_iter(["/dev/../etc/shadow"])),
        (&package, &["metadata", "asks"], "features", Value::from_iter(["io uring"])),
        (&package, &["metadata", "actions"], "explode", Value::from_iter(["true"])),
        (&package, &["metadata", "actions"], "start", Value::Array(Vec::new())),
        (&package, &["metadata", "actions"], "start", Value::from_iter([""])),
        (&package, &["metadata", "actions"], "start", Value::from_iter(["a\0b"])),
        (&package, &["metadata", "configuration"], "path", text("/etc/thing")),
        (&web, &["metadata", "overrides"], "forced", text("")),
        (&web, &["metadata", "overrides"], "by", text("openssl")),
        (&web, &["metadata"], "from", Value::from_iter(["debian.org/bookworm"])),
        (&web, &["metadata"], "from", Value::from_iter(["debian.org/bookworm", "bookworm"])),
        (&web, &["metadata"], "base", text("all")),
        (&web, &["metadata"], "from", text("bookworm")),
        (&web, &["metadata"], "packages", Value::from_iter(["b", "a"])),
        (&web, &["metadata"], "run", Value::from_iter(["a\0b"])),
        (&web, &["metadata", "env"], "A=B", text("c")),
        (&web, &["metadata", "env"], "", text("c")),
        (&web, &["metadata", "env"], "A", Value::Integer(1)),
        (&web, &["metadata", "composers"], "ld.so.cache", text("1")),
    ];
    for (record, keys, key, value) in bad {
        let result = changed(record, |members| _ = within(members, keys).insert(key.to_owned(), value.clone()));
        assert!(result.is_err(), "{keys:?} {key} = {value:?}");
    }
    let error = changed(&package, |members| _ = within(members, &["metadata", "install", "users"]).remove("home"));
    assert_eq!(error.expect_err("missing").to_string(), "the record has no metadata.install.users[0].home");
    assert!(FileSet::decode(b"{}").is_err() && FileSet::decode(b"[]").is_err() && FileSet::decode(b"").is_err());
}

#[test]
fn two_imports_at_one_path_are_rejected() {
    let mut record = record(Metadata::Files(FilesMetadata::default()));
    record.imports[1] = Import { version: "3".to_owned(), ..record.imports[0].clone() };
    assert!(matches!(FileSet::decode(&record.encode()), Err(RecordError::Field { .. })));
}

fn text() -> impl Strategy<Value = String> {
    any::<String>().prop_map(|text| text.replace('\0', ""))
}

fn any_path() -> impl Strategy<Value = TreePath> {
    vec(1..=255_u8, 1..12).prop_filter_map("not a path", |bytes| TreePath::new(bytes).ok())
}

fn any_import() -> impl Strategy<Value = Import> {
    (any_path(), "[a-z]{1,5}\\.org/[a-z0-9][a-z0-9+.-]{0,9}", "[0-9][a-zA-Z0-9.+~:-]{0,9}", any::<[u8; 32]>()).prop_map(
        |(path, text, version, digest)| Import {
            path,
            name: name(&text),
            version,
            fileset: FileSetDigest::from_bytes(digest),
        },
    )
}

fn any_rules() -> impl Strategy<Value = InstallRules> {
    let account = || "[a-z][a-z0-9-]{0,8}";
    let user = (account(), option::of(0..u32::MAX), account(), "/[a-z/]{0,9}", "[A-Za-z ,]{0,9}", vec(account(), 0..3))
        .prop_map(|(name, uid, group, home, comment, supplementary)| UserRule {
            name,
            uid,
            group,
            shell: home.clone(),
            home,
            comment,
            supplementary,
        });
    let group = (account(), option::of(0..u32::MAX)).prop_map(|(name, gid)| GroupRule { name, gid });
    let follower =
        ("[a-z][a-z.]{0,5}", any_path(), any_path()).prop_map(|(name, link, path)| Follower { name, link, path });
    let alternative = ("[a-z][a-z.]{0,5}", any_path(), any_path(), any::<i64>(), vec(follower, 0..3))
        .prop_map(|(name, link, path, priority, followers)| AlternativeRule { name, link, path, priority, followers });
    let diversion = (any_path(), any_path()).prop_map(|(path, to)| DiversionRule { path, to });
    let script = prop_oneof![
        Just(ScriptTier::None),
        Just(ScriptTier::Declared),
        vec(text(), 0..3).prop_map(ScriptTier::Captured),
        vec(text(), 0..3).prop_map(ScriptTier::Skipped),
    ];
    (
        vec(text(), 0..3),
        vec(user, 0..3),
        vec(group, 0..3),
        vec(alternative, 0..3),
        vec(diversion, 0..3),
        vec((any_path(), "[a-z./]{1,9}").prop_map(|(path, target)| LinkRule { path, target }), 0..3),
        vec("/[a-z]{1,5}", 0..3),
        script,
    )
        .prop_map(|(replaces_files_of, users, groups, alternatives, diversions, links, shells, script)| {
            InstallRules { replaces_files_of, users, groups, alternatives, diversions, links, shells, script }
        })
}

fn any_asks() -> impl Strategy<Value = HostAsks> {
    let kernel = (any::<u16>(), any::<u16>(), any::<u16>()).prop_map(|(major, minor, patch)| KernelVersion {
        major,
        minor,
        patch,
    });
    let names = || vec("[a-z0-9-]{1,6}", 0..3);
    (option::of(kernel), names(), vec("[A-Z_]{1,6}", 0..3), 0..1_u64 << 53, names()).prop_map(
        |(kernel, features, capabilities, memory, devices)| HostAsks {
            kernel,
            features,
            capabilities,
            memory,
            devices: devices.into_iter().map(|device| format!("/dev/{device}")).collect(),
        },
    )
}

/// What packages and images have in common.
fn any_more() -> impl Strategy<Value = (HostAsks, Actions, Vec<String>)> {
    let action = proptest::sample::select(ACTIONS).prop_map(str::to_owned);
    let words = ("[a-z]{1,5}", vec("[^\0]{0,5}", 0..3)).prop_map(|(program, rest)| [vec![program], rest].concat());
    (any_asks(), btree_map(action, words, 0..3), vec(text(), 0..3))
}

fn any_from() -> impl Strategy<Value = Vec<Name>> {
    vec("[a-z]{1,3}", 0..4).prop_map(|names| names.iter().map(|short| name(&format!("example.com/{short}"))).collect())
}

fn any_metadata() -> impl Strategy<Value = Metadata> {
    let lists = vec(vec(text(), 0..3), 7);
    let options = vec(option::of(text()), 5);
    let origin = option::of((any::<[u8; 32]>(), text()))
        .prop_map(|origin| origin.map(|(deb, rule)| Origin { deb: Sha256Digest::from_bytes(deb), rule }));
    let configuration = vec(any_path(), 0..3);
    let package = (lists, options, any::<bool>(), text(), text(), origin, any_more(), configuration, any_rules())
        .prop_map(|(mut lists, mut options, essential, description, section, origin, more, configuration, install)| {
            let mut list = || lists.pop().unwrap_or_default();
            let mut option = || options.pop().unwrap_or_default();
            Metadata::Package(PackageMetadata {
                requires: list(),
                recommends: list(),
                provides: list(),
                conflicts: list(),
                breaks: list(),
                replaces: list(),
                multi_arch: option(),
                essential,
                description,
                section,
                homepage: option(),
                licence: option(),
                source: option(),
                maintainer: option(),
                origin,
                stands_in_for: list(),
                asks: more.0,
                actions: more.1,
                configuration,
                documentation: more.2,
                install,
            })
        });
    let map = || btree_map("[A-Za-z_€😀]{1,6}", text(), 0..4);
    let image = (
        vec(text(), 0..4),
        vec(text(), 0..4),
        map(),
        map(),
        btree_map(text(), 0..1_u64 << 53, 0..4),
        option::of(text()),
        any::<bool>(),
        any_from(),
        any_more(),
    )
        .prop_map(|(packages, run, env, labels, composers, user, recommends, from, more)| {
            let by = name("example.com/by");
            let forced = user.clone().filter(|reason| !reason.is_empty());
            let overrides = from.iter().map(|of| Override { of: of.clone(), by: by.clone(), forced: forced.clone() });
            Metadata::Image(ImageMetadata {
                overrides: overrides.collect::<BTreeSet<_>>().into_iter().collect(),
                asks: more.0,
                actions: more.1,
                documentation: more.2,
                from,
                base: "none".to_owned(),
                recommends,
                packages,
                run,
                env,
                workdir: user.clone(),
                stop_signal: None,
                user,
                labels,
                composers,
            })
        });
    prop_oneof![
        any_rules().prop_map(|install| Metadata::Files(FilesMetadata { install })),
        package,
        image,
        (text(), option::of(text()), any_from()).prop_map(|(description, homepage, from)| {
            Metadata::Distribution(DistributionMetadata { description, homepage, from })
        }),
    ]
}

fn any_record() -> impl Strategy<Value = FileSet> {
    (vec(any_import(), 0..4), any_metadata(), 0..1_u64 << 53).prop_map(|(imports, metadata, time)| FileSet {
        imports,
        time,
        ..record(metadata)
    })
}

/// Two rules for one user, or two imports at one path, are no record.
fn is_clash(error: &RecordError) -> bool {
    matches!(error, RecordError::Field { reason, .. } if reason == "two of its items have the same key")
}

proptest! {
    #[test]
    fn every_record_round_trips(record in any_record()) {
        let encoded = record.encode();
        match FileSet::decode(&encoded) {
            Ok(decoded) => {
                prop_assert_eq!(decoded.encode(), encoded);
                prop_assert_eq!(FileSet::decode(&decoded.encode()), Ok(decoded));
            }
            Err(e) => prop_assert!(is_clash(&e), "{}", e),
        }
    }

    #[test]
    fn the_order_of_sets_means_nothing(record in any_record()) {
        let mut other = record.clone();
        other.imports.reverse();
        match &mut other.metadata {
            Metadata::Files(files) => reverse(&mut files.install),
            Metadata::Package(package) => {
                reverse(&mut package.install);
                package.stands_in_for.reverse();
                package.configuration.reverse();
                package.documentation.reverse();
                package.asks.capabilities.reverse();
                package.asks.devices.reverse();
            }
            Metadata::Image(image) => {
                image.packages.reverse();
                image.from.reverse();
                image.overrides.reverse();
                image.documentation.reverse();
                image.asks.features.reverse();
            }
            Metadata::Distribution(distribution) => distribution.from.reverse(),
        }
        prop_assert_eq!(other.digest(), record.digest());
    }

    #[test]
    fn changed_bytes_are_rejected_or_stand_for_themselves(record in any_record(), at: usize, byte: u8, how in 0..4_u8) {
        let mut bytes = record.encode();
        let at = at % bytes.len();
        match how {
            0 => bytes[at] = byte,
            1 => bytes[at] ^= 1 << (byte % 8),
            2 => bytes.truncate(at),
            _ => bytes.insert(at, byte),
        }
        if let Ok(other) = FileSet::decode(&bytes) {
            prop_assert_eq!(other.encode(), bytes);
        }
    }
}

fn reverse(install: &mut InstallRules) {
    install.replaces_files_of.reverse();
    install.users.reverse();
    install.users.iter_mut().for_each(|user| user.supplementary.reverse());
    install.groups.reverse();
    install.alternatives.reverse();
    install.alternatives.iter_mut().for_each(|alternative| alternative.followers.reverse());
    install.diversions.reverse();
    install.links.reverse();
    install.shells.reverse();
    if let ScriptTier::Skipped(reasons) | ScriptTier::Captured(reasons) = &mut install.script {
        reasons.reverse();
    }
}
