//! Packages of one's own and distributions: an image's digest depends on which take part, not on when or in which order they came.

use std::collections::BTreeMap;
use std::fs;
use std::sync::OnceLock;

use larder_store::fileset::{DistributionMetadata, Import, PackageMetadata};
use larder_store::refs::{RefEntry, RefKind};
use larder_store::tree::Attributes;
use larder_store::{Entry, FileSet, FileSetDigest, Metadata, Name, Tree, TreeBuilder, TreePath};
use larder_testkit::archive::Archive;
use proptest::prelude::*;
use proptest::sample::subsequence;

use super::machine::{Machine, archive};

/// `name`, `version`, what it requires, what it provides.
type Drawn = (&'static str, &'static str, &'static [&'static str], &'static [&'static str]);

/// Packages of two domains that need each other's, their own and Debian's.
const OWN: [Drawn; 6] = [
    ("example.com/app", "1", &["lib (>= 1)", "debian.org/greeter"], &[]),
    ("example.com/app", "2", &["lib (>= 2) | example.org/lib", "debian.org/libgreet (>= 1.0)"], &[]),
    ("example.com/lib", "1", &[], &[]),
    ("example.com/lib", "2.0", &["example.org/data | debian.org/vim"], &[]),
    ("example.org/data", "1", &[], &["example.com/words (= 1)"]),
    ("example.org/lib", "5", &["example.com/words"], &[]),
];
/// What a store has besides, and nothing asks for.
const OTHERS: [Drawn; 2] = [
    ("example.net/nano", "9", &[], &["debian.org/nano (= 9)", "debian.org/vim"]),
    ("example.net/words", "1", &[], &["example.com/words (= 9)"]),
];
const ROOTS: [&str; 6] = ["example.com/app", "example.com/lib <2", "example.org/lib", "httpd", "editor", "data"];
const FROM: [&str; 3] = ["debian.org/bookworm", "example.com/stack", "example.org/stack"];

fn shared() -> &'static Archive {
    static ARCHIVE: OnceLock<Archive> = OnceLock::new();
    ARCHIVE.get_or_init(|| archive("amd64"))
}

fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

fn publish(machine: &Machine, &(package, version, requires, provides): &Drawn) -> FileSetDigest {
    let texts = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect();
    let ingest = machine.host.store.begin().expect("ingest");
    let content = format!("{package} {version}\n");
    let digest = ingest.write_bytes(content.as_bytes()).expect("an object");
    let entry = Entry::File { digest, size: content.len() as u64, executable: false };
    let mut tree = TreeBuilder::new();
    let path = TreePath::try_from(format!("usr/share/{package}").as_str()).expect("a path");
    tree.insert(path, entry, Attributes::default()).expect("an entry");
    let metadata = PackageMetadata { requires: texts(requires), provides: texts(provides), ..Default::default() };
    let tree = ingest.write_tree(&tree.finish().expect("a tree")).expect("a tree");
    let fileset = ingest.write_fileset(&record(package, version, tree, Metadata::Package(metadata))).expect("a record");
    let _lease = ingest.commit_leased().expect("commit");
    keep(machine, RefKind::Package, (package, version), fileset);
    fileset
}

fn record(text: &str, version: &str, tree: larder_store::TreeDigest, metadata: Metadata) -> FileSet {
    FileSet {
        name: name(text),
        version: version.to_owned(),
        architecture: "all".to_owned(),
        time: 1_700_000_000,
        tree,
        imports: Vec::new(),
        metadata,
    }
}

fn keep(machine: &Machine, kind: RefKind, (name, version): (&str, &str), fileset: FileSetDigest) {
    let entry = RefEntry { version: version.to_owned(), fileset, at: machine.host.now, action: "build".to_owned() };
    machine.host.store.refs().set(kind, name, entry).expect("a ref");
}

/// A distribution that pins a package.
fn pin(machine: &Machine, stack: &str, (package, version, fileset): (&str, &str, FileSetDigest)) {
    let ingest = machine.host.store.begin().expect("ingest");
    let tree = ingest.write_tree(&Tree::default()).expect("a tree");
    let mut distribution = record(stack, "1", tree, Metadata::Distribution(DistributionMetadata::default()));
    let package = name(package);
    let path = package.mount_path(version).expect("a path");
    distribution.imports = vec![Import { path, name: package, version: version.to_owned(), fileset }];
    let digest = ingest.write_fileset(&distribution).expect("a record");
    let _lease = ingest.commit_leased().expect("commit");
    keep(machine, RefKind::Distribution, (stack, "1"), digest);
}

/// What differs between those who build it.
#[derive(Debug, Clone)]
struct Circumstances {
    published: Vec<Drawn>,
    roots: Vec<&'static str>,
    from: Vec<&'static str>,
    time: u64,
}

fn any_circumstances(roots: Vec<&'static str>) -> impl Strategy<Value = Circumstances> {
    // The versions of one name come in any order too: which of them is newest is no question of time.
    let published = (Just(OWN.to_vec()).prop_shuffle(), any::<[bool; 2]>()).prop_map(|(mut all, first)| {
        for (other, first) in OTHERS.into_iter().zip(first) {
            all.insert(if first { 0 } else { all.len() }, other);
        }
        all
    });
    let from = Just(FROM.to_vec()).prop_shuffle();
    (published, Just(roots).prop_shuffle(), from, 1_000_000_u64..4_000_000_000)
        .prop_map(|(published, roots, from, time)| Circumstances { published, roots, from, time })
}

/// The image's digest and its lock, or why there is none.
fn build(how: &Circumstances) -> Result<(String, String), String> {
    let machine = Machine::new(shared(), "amd64", how.time);
    let digests: BTreeMap<_, _> =
        how.published.iter().map(|drawn| ((drawn.0, drawn.1), publish(&machine, drawn))).collect();
    pin(&machine, "example.com/stack", ("example.com/lib", "1", digests[&("example.com/lib", "1")]));
    pin(&machine, "example.org/stack", ("example.org/data", "1", digests[&("example.org/data", "1")]));
    let keys = format!("from = {:?}\npackages = {:?}\n", how.from, how.roots);
    machine.write("web/larder.toml", &format!("[image]\nname = \"example.com/web\"\nversion = \"1\"\n{keys}"));
    let report = machine.try_build("web", &Default::default()).map_err(|error| error.to_string())?;
    Ok((report.digest.to_string(), fs::read_to_string(machine.path("web/larder.lock")).expect("a lock")))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 16, max_shrink_iters: 50, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn circumstances_mean_nothing(
        (one, other) in subsequence(ROOTS.to_vec(), 1..=ROOTS.len()).prop_flat_map(|roots| {
            (any_circumstances(roots.clone()), any_circumstances(roots))
        })
    ) {
        prop_assert_eq!(build(&one), build(&other));
    }
}

#[test]
fn what_nothing_asks_for_takes_no_part() {
    let how = Circumstances {
        published: OWN.iter().chain(&OTHERS).copied().collect(),
        roots: vec!["example.org/lib", "editor"],
        from: FROM.to_vec(),
        time: 1_700_000_000,
    };
    let (_, lock) = build(&how).expect("an image");
    assert!(lock.contains("debian.org/nano") && lock.contains("example.org/data"), "{lock}");
    assert!(!lock.contains("example.net/"), "{lock}");
}
