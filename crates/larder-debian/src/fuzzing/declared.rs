//! Maintainer scripts and payload that declares.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use larder_store::fileset::PackageMetadata;
use larder_store::{Attributes, Entry, FileSet, Metadata, Name, ObjectDigest, Sha256Digest, TreeBuilder, TreePath};

use super::{deb, parts};
use crate::convert::{Control, Converted};
use crate::declare;

/// A package whose files scripts are written about.
static PACKAGE: LazyLock<Converted> = LazyLock::new(|| {
    let mut builder = TreeBuilder::new();
    let file = |executable| Entry::File { digest: ObjectDigest::of(b"x"), size: 1, executable };
    for (path, entry) in [
        ("etc/sample/sample.conf", file(false)),
        ("usr/bin/sample", file(true)),
        ("usr/bin/sample-link", Entry::Symlink { target: b"sample".as_slice().into() }),
        ("usr/share/sample/default.conf", file(false)),
        ("var/lib/sample", Entry::Directory),
    ] {
        builder.insert(TreePath::new(path).expect("a path"), entry, Attributes::default()).expect("an entry");
    }
    let tree = builder.finish().expect("a tree");
    let record = FileSet {
        name: Name::parse("debian.org/sample").expect("a name"),
        version: "1.0-1".to_owned(),
        architecture: "amd64".to_owned(),
        time: 1_000_000_000,
        tree: tree.digest(),
        imports: Vec::new(),
        metadata: Metadata::Package(PackageMetadata::default()),
    };
    let text = b"Package: sample\nVersion: 1.0-1\nArchitecture: amd64\n";
    Converted {
        deb: Sha256Digest::from_bytes([0; 32]),
        package: record.digest(),
        record,
        tree,
        control: Control::parse(text).expect("a control file"),
        scripts: BTreeMap::new(),
        texts: BTreeMap::new(),
    }
});

/// The `postinst` and `preinst` of a package. Whatever they do, declarations of it can be written and read again, and
/// are the same each time.
pub fn script(bytes: &[u8]) {
    let [postinst, preinst] = parts(bytes);
    let mut package = PACKAGE.clone();
    for (name, text) in [("postinst", postinst), ("preinst", preinst)] {
        // Nothing else is followed, and most changes would end here.
        let text = if text.starts_with(b"#!") { text.to_vec() } else { [b"#!/bin/sh\n", text].concat() };
        package.scripts.insert(name.to_owned(), text);
    }
    check(&package);
}

/// A file of sysusers.d and one of tmpfiles.d.
pub fn units(bytes: &[u8]) {
    let [sysusers, tmpfiles] = parts(bytes);
    let mut package = PACKAGE.clone();
    for (path, text) in [("usr/lib/sysusers.d/a.conf", sysusers), ("usr/lib/tmpfiles.d/a.conf", tmpfiles)] {
        package.texts.insert(TreePath::new(path).expect("a path"), text.to_vec());
    }
    check(&package);
}

fn check(package: &Converted) {
    let declared = declare::declare(package).expect("what a package declares is no error");
    deb::check(&declared.record, &declared.tree);
    let again = declare::declare(package).expect("the same again");
    assert_eq!(again.record, declared.record);
    assert!(again.contents().eq(declared.contents()));
}
