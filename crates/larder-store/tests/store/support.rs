//! A store in a temporary folder, and small FileSets.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use larder_store::fileset::{FilesMetadata, ImageMetadata, Import, Metadata, PackageMetadata};
use larder_store::{
    Attributes, Entry, FileSet, FileSetDigest, Ingest, Name, RefEntry, RefKind, Store, StoreError, TreeBuilder,
    TreePath,
};
use tempfile::TempDir;

pub(crate) fn store() -> (TempDir, Store) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = Store::open(&folder.path().join("store")).expect("a store");
    (folder, store)
}

pub(crate) fn name(text: &str) -> Name {
    Name::parse(text).expect(text)
}

pub(crate) fn path(text: &str) -> TreePath {
    TreePath::try_from(text).expect(text)
}

/// Writes a package `debian.org/<short>` with these files.
pub(crate) fn package(ingest: &Ingest<'_>, short: &str, files: &[(&str, &[u8])]) -> Result<FileSetDigest, StoreError> {
    let mut tree = TreeBuilder::new();
    for (at, content) in files {
        let (digest, size) = ingest.write_object(&mut &content[..], u64::MAX)?;
        let entry = Entry::File { digest, size, executable: false };
        tree.insert(path(at), entry, Attributes::default()).expect(at);
    }
    ingest.write_fileset(&FileSet {
        name: name(&format!("debian.org/{short}")),
        version: "1.0".to_owned(),
        architecture: "amd64".to_owned(),
        time: 1_700_000_000,
        tree: ingest.write_tree(&tree.finish().expect("a tree"))?,
        imports: Vec::new(),
        metadata: Metadata::Package(PackageMetadata::default()),
    })
}

/// Writes an image `example.com/<short>` that imports these FileSets.
pub(crate) fn image(
    ingest: &Ingest<'_>,
    short: &str,
    version: &str,
    imports: &[FileSetDigest],
) -> Result<FileSetDigest, StoreError> {
    let imports = imports.iter().map(|digest| {
        let fileset = ingest.store().fileset(digest)?;
        let path = fileset.name.mount_path(&fileset.version).expect("a mount path");
        Ok(Import { path, name: fileset.name, version: fileset.version, fileset: *digest })
    });
    ingest.write_fileset(&FileSet {
        name: name(&format!("example.com/{short}")),
        version: version.to_owned(),
        architecture: "amd64".to_owned(),
        time: 1_700_000_000,
        tree: ingest.write_tree(&TreeBuilder::new().finish().expect("a tree"))?,
        imports: imports.collect::<Result<_, StoreError>>()?,
        metadata: Metadata::Image(ImageMetadata { base: "none".to_owned(), ..ImageMetadata::default() }),
    })
}

/// Makes `example.com/<short>` stand for an image.
pub(crate) fn point(store: &Store, short: &str, version: &str, fileset: FileSetDigest) -> Result<(), StoreError> {
    let entry = RefEntry { version: version.to_owned(), fileset, at: 1_700_000_000, action: "build".to_owned() };
    store.refs().set(RefKind::Image, &format!("example.com/{short}"), entry)
}

/// A plain FileSet of one file.
pub(crate) fn files(ingest: &Ingest<'_>, short: &str, content: &[u8]) -> Result<FileSetDigest, StoreError> {
    let digest = ingest.write_bytes(content)?;
    let mut tree = TreeBuilder::new();
    let entry = Entry::File { digest, size: content.len() as u64, executable: false };
    tree.insert(path("file"), entry, Attributes::default()).expect("an entry");
    ingest.write_fileset(&FileSet {
        name: name(&format!("example.com/{short}")),
        version: "1".to_owned(),
        architecture: "all".to_owned(),
        time: 0,
        tree: ingest.write_tree(&tree.finish().expect("a tree"))?,
        imports: Vec::new(),
        metadata: Metadata::Files(FilesMetadata::default()),
    })
}

/// Tells a test that runs in a process of its own where the store is.
pub(crate) const CHILD_STORE: &str = "LARDER_TEST_STORE";

/// The arguments that make this program run one ignored test.
pub(crate) fn child_arguments(test: &str) -> [&str; 5] {
    ["--ignored", "--exact", "--nocapture", "--quiet", test]
}

/// A command that runs one ignored test of this program in a process of its own.
pub(crate) fn child(test: &str, root: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(child_arguments(test)).env(CHILD_STORE, root);
    command
}

/// Says that a test can't run here, past the test harness, which swallows what a passing test prints.
pub(crate) fn skip(what: &str, why: impl std::fmt::Display) {
    _ = std::io::stderr().write_all(format!("SKIPPED {what}: {why}\n").as_bytes());
}
