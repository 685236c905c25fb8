//! Trees: what they accept, and that each has one encoding.

use std::collections::BTreeMap;

use larder_store::tree::{EntryError, MAX_ENTRIES, MAX_FILE_SIZE, TreeError};
use larder_store::{Attributes, Entry, ObjectDigest, Tree, TreeBuilder, TreeEntry, TreePath};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use crate::support::path;

fn directory(at: &str) -> TreeEntry {
    TreeEntry { path: path(at), entry: Entry::Directory, attributes: Attributes::default() }
}

fn file(at: &str) -> TreeEntry {
    let entry = Entry::File { digest: ObjectDigest::of(b""), size: 0, executable: false };
    TreeEntry { path: path(at), entry, attributes: Attributes::default() }
}

fn link(at: &str, target: &[u8]) -> TreeEntry {
    TreeEntry { path: path(at), entry: Entry::Symlink { target: target.into() }, attributes: Attributes::default() }
}

fn with(mut entry: TreeEntry, change: impl FnOnce(&mut Attributes)) -> TreeEntry {
    change(&mut entry.attributes);
    entry
}

fn xattr(name: &str, value: &[u8]) -> impl FnOnce(&mut Attributes) {
    let (name, value) = (name.as_bytes().into(), value.into());
    move |attributes| _ = attributes.xattrs.insert(name, value)
}

#[test]
fn entries_are_sorted_by_bytes_and_found() {
    // `a-b` sorts between `a` and what is below it, because `-` is less than `/`.
    let tree =
        Tree::new(vec![file("a/b"), file("a-b"), directory("a"), file("z"), link("a/a", b"../z")]).expect("tree");
    let paths: Vec<_> = tree.entries().iter().map(|e| e.path.to_string()).collect();
    assert_eq!(paths, ["a", "a-b", "a/a", "a/b", "z"]);
    assert_eq!(tree.get(b"a/b"), Some(&file("a/b")));
    assert_eq!(tree.get(b"a/c"), None);
    assert_eq!(Tree::decode(&tree.encode()), Ok(tree));
}

#[test]
fn a_builder_makes_missing_parents_and_leaves_out_defaults() {
    let mut builder = TreeBuilder::new();
    let attributes =
        Attributes { mode: Some(0o644), owner: Some("root".into()), group: Some("adm".into()), ..Default::default() };
    builder.insert(path("var/log/a/b"), file("x").entry, attributes).expect("insert");
    builder
        .insert(path("var/log"), Entry::Directory, Attributes { mode: Some(0o2775), ..Default::default() })
        .expect("insert");
    let again = builder.insert(path("var/log"), Entry::Directory, Attributes::default());
    assert!(matches!(again, Err(TreeError::Duplicate { .. })));
    let tree = builder.finish().expect("tree");
    let modes: Vec<_> = tree.entries().iter().map(|e| (e.path.to_string(), e.mode())).collect();
    let expected = [("var", 0o755), ("var/log", 0o2775), ("var/log/a", 0o755), ("var/log/a/b", 0o644)];
    assert_eq!(modes, expected.map(|(path, mode)| (path.to_owned(), mode)));
    let attributes = &tree.entries()[3].attributes;
    assert_eq!((attributes.mode, &attributes.owner, attributes.group.as_deref()), (None, &None, Some("adm")));

    let mut builder = TreeBuilder::new();
    builder.insert(path("a"), link("a", b"b").entry, Attributes::default()).expect("insert");
    builder.insert(path("a/b"), Entry::Directory, Attributes::default()).expect("insert");
    assert!(matches!(builder.finish(), Err(TreeError::ParentNotDirectory { .. })));
}

#[test]
fn what_breaks_a_rule_is_no_tree() {
    let bad: Vec<(&str, Vec<TreeEntry>)> = vec![
        ("twice", vec![file("a"), file("a")]),
        ("twice, different", vec![file("a"), directory("a")]),
        ("no parent", vec![file("a/b")]),
        ("no parent, but a neighbour", vec![directory("a"), directory("a/b-"), file("a/b/c")]),
        ("below a file", vec![file("a"), file("a/b")]),
        ("below a symlink", vec![link("a", b"b"), file("a/b")]),
        ("empty target", vec![link("a", b"")]),
        ("NUL in target", vec![link("a", b"a\0b")]),
        ("long target", vec![link("a", &[b'a'; 4096])]),
        ("mode beyond 7777", vec![with(file("a"), |a| a.mode = Some(0o10000))]),
        ("default mode of a file", vec![with(file("a"), |a| a.mode = Some(0o644))]),
        ("default mode of a directory", vec![with(directory("a"), |a| a.mode = Some(0o755))]),
        ("mode of a symlink", vec![with(link("a", b"b"), |a| a.mode = Some(0o777))]),
        ("root as owner", vec![with(file("a"), |a| a.owner = Some("root".into()))]),
        ("root as group", vec![with(file("a"), |a| a.group = Some("root".into()))]),
        ("empty owner", vec![with(file("a"), |a| a.owner = Some(String::new()))]),
        ("number as owner", vec![with(file("a"), |a| a.owner = Some("1000".into()))]),
        ("colon in owner", vec![with(file("a"), |a| a.owner = Some("a:b".into()))]),
        ("line in group", vec![with(file("a"), |a| a.group = Some("a\nb".into()))]),
        ("long owner", vec![with(file("a"), |a| a.owner = Some("a".repeat(33)))]),
        ("xattr of a symlink", vec![with(link("a", b"b"), xattr("user.a", b""))]),
        ("capability of a directory", vec![with(directory("a"), xattr("security.capability", b""))]),
        ("overlay xattr", vec![with(file("a"), xattr("user.overlay.redirect", b"/b"))]),
        ("trusted overlay xattr", vec![with(file("a"), xattr("trusted.overlay.opaque", b"y"))]),
        ("inner overlay xattr", vec![with(file("a"), xattr("user.x.overlay.y", b""))]),
        ("ACL", vec![with(file("a"), xattr("system.posix_acl_access", b""))]),
        ("SELinux", vec![with(file("a"), xattr("security.selinux", b""))]),
        ("empty user xattr", vec![with(file("a"), xattr("user.", b""))]),
        ("NUL in xattr", vec![with(file("a"), xattr("user.a\0", b""))]),
        ("long xattr name", vec![with(file("a"), xattr(&format!("user.{}", "a".repeat(251)), b""))]),
        ("long xattr value", vec![with(file("a"), xattr("user.a", &[0; 65536]))]),
        (
            "many xattrs",
            vec![with(file("a"), |a| {
                a.xattrs = (0..65).map(|i| (format!("user.{i}").into_bytes().into(), [].into())).collect();
            })],
        ),
    ];
    for (what, entries) in bad {
        assert!(Tree::new(entries).is_err(), "{what}");
    }
    let huge = Entry::File { digest: ObjectDigest::of(b""), size: MAX_FILE_SIZE + 1, executable: false };
    let error = Tree::new(vec![TreeEntry { entry: huge, ..file("a") }]).expect_err("huge");
    assert!(matches!(error, TreeError::Entry { rule: EntryError::FileSize, .. }));
}

/// Every rule that the decoder could miss, as bytes.
#[test]
fn what_is_not_canonical_is_rejected() {
    let digest = "00".repeat(32);
    let file = |tail: &str| format!("8301818541610158 20{digest}{tail}a0");
    let good = [
        "83018 0a0".to_owned(),
        "830181824161 00a0".to_owned(),
        file("00f4"),
        "83018183416102416 2a0".to_owned(),
        "830181824161 00a100a1001901ed".replace("1901ed", "1901c0"),
        "830181824161 00a100a10163616263".to_owned(),
        "830181824161 00a100a103a246757365722e614046757365722e6240".to_owned(),
        // A longer name comes after a shorter one, whatever its letters.
        "830181824161 00a100a103a246757365722e624047757365722e616140".to_owned(),
    ];
    for text in good {
        let tree = Tree::decode(&bytes(&text)).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(tree.encode(), bytes(&text));
    }
    let bad = [
        ("nothing", String::new()),
        ("an empty map", "a0".into()),
        ("two fields", "820180".into()),
        ("four fields", "840180a080".into()),
        ("version 0", "830080a0".into()),
        ("version 2", "830280a0".into()),
        ("version as text", "83613180a0".into()),
        ("a long version", "83180180a0".into()),
        ("a longer version", "83190001 80a0".into()),
        ("an indefinite tree", "9f0180a0ff".into()),
        ("indefinite entries", "83019fffa0".into()),
        ("indefinite attributes", "830180bfff".into()),
        ("a long head of the tree", "98030180a0".into()),
        ("a long head of the entries", "83019800a0".into()),
        ("a long head of the attributes", "830180b800".into()),
        ("something after it", "830180a000".into()),
        ("a tag", "c0830180a0".into()),
        ("cut short", "830180".into()),
        ("more entries than bytes", "83019a000fffffa0".into()),
        ("more entries than a tree may have", "83019a00100001a0".into()),
        ("2^64-1 entries", "83019bffffffffffffffffa0".into()),
        ("2^64-1 attributes", "830180bbffffffffffffffff".into()),
        ("a path of 2^63 bytes", "830181825b800000000000000061 00a0".into()),
        ("a path as text", "83018182616100a0".into()),
        ("an indefinite path", "830181825f4161ff00a0".into()),
        ("a path with a long head", "83018182580161 00a0".into()),
        ("an empty path", "830181824000a0".into()),
        ("an absolute path", "83018182422f6100a0".into()),
        ("a trailing slash", "8301828241610082 42612f00a0".into()),
        ("dot", "83018182412e00a0".into()),
        ("dot dot", "83018182422e2e00a0".into()),
        ("dot dot inside", "830182824161008245612f2e2e2f00a0".into()),
        ("NUL", "83018182420061 00a0".into()),
        ("unsorted", "830182824162 00824161 00a0".into()),
        ("twice", "830182824161 00824161 00a0".into()),
        ("no parent", "8301818243612f6200a0".into()),
        ("an unknown kind", "830181824161 03a0".into()),
        ("a device", "830181844161 030101a0".into()),
        ("kind 256", "830181824161190100a0".into()),
        ("a directory with more", "830181834161 0000a0".into()),
        ("a file without executable", format!("830181844161015820{digest}00a0")),
        ("executable as a number", file("0001")),
        ("executable null", file("00f6")),
        ("a size with a long head", file("1800f4")),
        ("a negative size", file("20f4")),
        ("a float size", file("f90000f4")),
        ("a size of 2^53", file("1b0020000000000000f4")),
        ("a digest of 31 bytes", format!("83018185416101581f{}00f4a0", "00".repeat(31))),
        ("a digest of 33 bytes", format!("830181854161015821{}00f4a0", "00".repeat(33))),
        ("an empty target", "830181834161 0240a0".into()),
        ("a target as text", "830181834161 026162a0".into()),
        ("attributes of nothing", "830180a100a1001901c0".into()),
        ("attributes of entry 2^64-1", "830181824161 00a11bffffffffffffffffa1001901c0".into()),
        ("empty attributes", "830181824161 00a100a0".into()),
        ("empty extended attributes", "830181824161 00a100a103a0".into()),
        ("the same index twice", "830181824161 00a200a1001901c000a1001901c0".into()),
        ("indexes unsorted", "830182824161 008241 6200a201a1001901c000a1001901c0".into()),
        ("an index with a long head", "830181824161 00a11800a1001901c0".into()),
        ("keys unsorted", "830181824161 00a100a20161610019 01c0".into()),
        ("a key twice", "830181824161 00a100a2001901c0001901c0".into()),
        ("an unknown key", "830181824161 00a100a10400".into()),
        ("the default mode", "830181824161 00a100a1001901ed".into()),
        ("a mode with a long head", "830181824161 00a100a1001a000001c0".into()),
        ("mode 65536", "830181824161 00a100a1001a00010000".into()),
        ("root", "830181824161 00a100a10164726f6f74".into()),
        ("an owner as bytes", "830181824161 00a100a10143616263".into()),
        ("an owner that isn't UTF-8", "830181824161 00a100a10163ff6263".into()),
        ("xattrs by letters and not by length", "830181824161 00a100a103a247757365722e61614046757365722e6240".into()),
        ("an xattr twice", "830181824161 00a100a103a246757365722e614046757365722e6140".into()),
        ("an overlay xattr", "830181824161 00a100a103a14e757365722e6f7665726c61792e7840".into()),
        ("an xattr's name as text", "830181824161 00a100a103a166757365722e6140".into()),
    ];
    for (what, text) in bad {
        assert!(Tree::decode(&bytes(&text)).is_err(), "{what}: {text}");
    }
}

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text.replace(' ', "")).expect("hexadecimal digits")
}

#[test]
fn counts_are_limited_before_they_are_believed() {
    let entries = vec![file("a"); MAX_ENTRIES + 1];
    assert!(matches!(Tree::new(entries), Err(TreeError::TooManyEntries { .. })));
    assert!(matches!(Tree::decode(&bytes("83019a00100001")), Err(TreeError::TooManyEntries { .. })));
}

/// Paths that often share parents, with bytes around the slash.
fn any_path() -> impl Strategy<Value = TreePath> {
    let component = prop_oneof![
        "[a-c]{1,2}".prop_map(String::into_bytes),
        vec(prop_oneof![Just(b'-'), Just(b'0'), Just(b'.'), 1..=255_u8], 1..4),
    ];
    vec(component, 1..5).prop_filter_map("not a path", |parts| TreePath::new(parts.join(&b'/')).ok())
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let file = (any::<[u8; 32]>(), 0..=MAX_FILE_SIZE, any::<bool>()).prop_map(|(digest, size, executable)| {
        Entry::File { digest: ObjectDigest::from_bytes(digest), size, executable }
    });
    let target = vec(1..=255_u8, 1..20).prop_map(|target| Entry::Symlink { target: target.into() });
    prop_oneof![Just(Entry::Directory), file, target]
}

fn any_attributes() -> impl Strategy<Value = Attributes> {
    let name = prop_oneof![
        Just(b"security.capability".to_vec()),
        "[a-z]{1,9}".prop_map(|name| format!("user.{name}").into_bytes()),
    ];
    let owner = || option::of("[a-z_][a-z0-9_-]{0,31}");
    (option::of(0..=0o7777_u16), owner(), owner(), btree_map(name, vec(any::<u8>(), 0..9), 0..4)).prop_map(
        |(mode, owner, group, xattrs)| {
            let xattrs: BTreeMap<Box<[u8]>, Box<[u8]>> =
                xattrs.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
            Attributes { mode, owner, group, xattrs }
        },
    )
}

/// Any valid Tree: what a builder refuses is left out.
fn any_tree() -> impl Strategy<Value = Tree> {
    let attributes = prop_oneof![3 => Just(Attributes::default()), 1 => any_attributes()];
    vec((any_path(), any_entry(), attributes), 0..20).prop_map(|entries| {
        let mut builder = TreeBuilder::new();
        for (path, entry, attributes) in entries {
            let fits = path.ancestors().all(|above| {
                !matches!(builder.get(above.as_bytes()), Some((Entry::File { .. } | Entry::Symlink { .. }, _)))
            });
            if fits {
                // A duplicate, or attributes that don't fit the kind.
                _ = builder.insert(path, entry, attributes);
            }
        }
        // An entry may have come before its parent was found to be a file.
        builder.finish().unwrap_or_default()
    })
}

proptest! {
    #[test]
    fn every_tree_round_trips(tree in any_tree()) {
        let encoded = tree.encode();
        prop_assert_eq!(Tree::decode(&encoded), Ok(tree.clone()));
        let mut shuffled = tree.entries().to_vec();
        shuffled.reverse();
        prop_assert_eq!(Tree::new(shuffled), Ok(tree));
    }

    #[test]
    fn changed_bytes_are_rejected_or_stand_for_themselves(tree in any_tree(), at: usize, byte: u8, how in 0..4_u8) {
        let mut bytes = tree.encode();
        let at = at % bytes.len();
        match how {
            0 => bytes[at] = byte,
            1 => bytes[at] ^= 1 << (byte % 8),
            2 => bytes.truncate(at),
            _ => bytes.insert(at, byte),
        }
        if let Ok(other) = Tree::decode(&bytes) {
            prop_assert_eq!(other.encode(), bytes);
        }
    }

    #[test]
    fn any_bytes_are_safe(bytes: Vec<u8>) {
        let bytes = [&[0x83, 0x01][..], &bytes].concat();
        if let Ok(tree) = Tree::decode(&bytes) {
            prop_assert_eq!(tree.encode(), bytes);
        }
    }
}
