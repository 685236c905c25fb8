use larder_store::fileset::ScriptTier;
use larder_store::{Attributes, TreeBuilder};
use proptest::prelude::*;

use super::*;
use crate::verify::{Reason, Severity};

fn path(bytes: &[u8]) -> TreePath {
    TreePath::new(bytes).expect("a path")
}

fn any_reason() -> impl Strategy<Value = Reason> {
    let text = || ".{0,12}";
    prop_oneof![
        text().prop_map(|interpreter| Reason::Interpreter { interpreter }),
        text().prop_map(|interpreter| Reason::AssumedInterpreter { interpreter }),
        text().prop_map(|interpreter| Reason::WrongInterpreter { interpreter }),
        text().prop_map(|program| Reason::Program { program }),
        (text(), prop::option::of(text())).prop_map(|(library, elsewhere)| Reason::Library { library, elsewhere }),
        text().prop_map(|target| Reason::BrokenLink { target }),
        Just(Reason::CircularLink),
        text().prop_map(|reason| Reason::Malformed { reason: reason.into() }),
    ]
}

fn any_finding() -> impl Strategy<Value = Finding> {
    let severity = prop::sample::select(vec![Severity::Failure, Severity::Finding]);
    (severity, ".{0,12}", ".{0,12}", any_reason(), prop::option::of(".{0,12}"))
        .prop_map(|(severity, path, owner, reason, needed_by)| Finding { severity, path, owner, reason, needed_by })
}

fn any_tier() -> impl Strategy<Value = ScriptTier> {
    prop_oneof![
        Just(ScriptTier::None),
        Just(ScriptTier::Declared),
        prop::collection::vec(".{0,8}", 0..3).prop_map(ScriptTier::Captured),
        prop::collection::vec(".{0,8}", 0..3).prop_map(ScriptTier::Skipped),
    ]
}

fn any_kept() -> impl Strategy<Value = Kept> {
    let paths = || prop::sample::select(vec![&b"etc/a"[..], b"srv/\xff\xfe", "é".as_bytes()]).prop_map(path);
    let read = prop::collection::btree_map(paths(), any::<[u8; 32]>().prop_map(ObjectDigest::from_bytes), 0..3);
    let overridden = prop::collection::vec((paths(), ".{0,8}", ".{0,8}"), 0..3);
    let packages = prop::collection::vec((".{0,8}", any::<[u8; 32]>(), any_tier()), 0..3);
    let trees = prop::collection::vec(any::<[u8; 32]>().prop_map(TreeDigest::from_bytes), 0..3);
    let exactly = prop::option::of(any::<[u8; 32]>().prop_map(TreeDigest::from_bytes));
    let findings = prop::collection::vec(any_finding(), 0..4);
    let digest = || any::<[u8; 32]>().prop_map(ObjectDigest::from_bytes);
    let done = prop::option::of((digest(), digest()).prop_map(|(of, statement)| Done { of, statement }));
    (any::<[u8; 32]>(), read, exactly, trees, packages, overridden, findings, done).prop_map(
        |(key, read, exactly, trees, packages, overridden, findings, done)| Kept {
            key: ObjectDigest::from_bytes(key),
            read,
            exactly,
            trees,
            packages: packages
                .into_iter()
                .map(|(version, digest, tier)| BuiltPackage {
                    name: Name::parse("debian.org/a").expect("a name"),
                    version,
                    digest: FileSetDigest::from_bytes(digest),
                    tier,
                })
                .collect(),
            overridden: overridden.into_iter().map(|(path, by, of)| OverrideLine { path, by, of }).collect(),
            findings,
            done,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(kept in any_kept()) {
        let text = codec::encode(&kept);
        prop_assert_eq!(codec::decode(&text), Some(kept));
        prop_assert_eq!(codec::decode(&text[..text.len() - 1]), None);
    }
}

fn tree(files: &[(&str, &str, bool)]) -> Tree {
    let mut builder = TreeBuilder::new();
    for (at, content, executable) in files {
        let (digest, size) = (ObjectDigest::of(content.as_bytes()), content.len() as u64);
        let entry = Entry::File { digest, size, executable: *executable };
        builder.insert(path(at.as_bytes()), entry, Attributes::default()).expect("an entry");
    }
    builder.finish().expect("a tree")
}

#[test]
fn a_listing_without_contents_has_all_the_rest() {
    let masked = |files: &[(&str, &str, bool)]| without_contents(&tree(files)).expect("a tree").digest();
    let one = masked(&[("srv/a", "1", false), ("srv/b", "2", true)]);
    assert_eq!(one, masked(&[("srv/a", "another", false), ("srv/b", "", true)]));
    for other in [
        &[("srv/a", "1", true), ("srv/b", "2", true)][..],
        &[("srv/a", "1", false), ("srv/c", "2", true)],
        &[("srv/a", "1", false)],
    ] {
        assert_ne!(one, masked(other));
    }
}
