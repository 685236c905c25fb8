//! A store that processes share, and small things to put into it.

use std::path::{Path, PathBuf};

use shuttle::thread::{self, JoinHandle};
use tempfile::TempDir;

use super::step::Run;
use crate::fileset::{FilesMetadata, Import};
use crate::{
    Attributes, Entry, FileSet, FileSetDigest, FsckOptions, GcOptions, GcReport, Ingest, Metadata, Name, RefEntry,
    RefKind, Store, StoreError, Tree, TreeBuilder, TreePath,
};

/// Where the processes of a scenario meet.
pub(super) struct World {
    pub(super) root: PathBuf,
    _folder: TempDir,
}

impl World {
    pub(super) fn new() -> Self {
        // In memory where that can be had: nothing here is about what lasts, and a run writes a hundred files.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder");
        Self { root: folder.path().join("store"), _folder: folder }
    }

    /// Only paths that contain one of these are points at which processes meet, for fewer orders.
    pub(super) fn watch(&self, only: &'static [&'static str]) {
        Run::watch(only);
    }

    pub(super) fn store(&self) -> Store {
        Store::open(&self.root).expect("a store")
    }

    /// Starts a process; it meets the others from its first point on.
    pub(super) fn process<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl FnOnce(&Store) -> T + Send + 'static,
    ) -> Process<T> {
        let store = self.store();
        self.bare_process(name, move |_| work(&store))
    }

    /// The same, and opens the store itself.
    pub(super) fn bare_process<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl FnOnce(&Path) -> T + Send + 'static,
    ) -> Process<T> {
        Run::name(name);
        let root = self.root.clone();
        Process(thread::spawn(move || work(&root)))
    }

    /// Nothing is wrong with the store, and nothing is left on its way.
    pub(super) fn is_whole(&self) {
        let store = self.store();
        let report = store.fsck(FsckOptions::default()).expect("fsck");
        assert!(report.problems.is_empty(), "{:?}", report.problems);
        // What `deep` would do, for small objects.
        for found in crate::store::digests(&store.objects_dir()).expect("objects") {
            store.read_object(&crate::ObjectDigest::from_bytes(found.digest), 1000).expect("an object");
        }
        assert_eq!(crate::store::list(&store.tmp_dir()).expect("tmp").len(), 0, "nothing is left on its way");
    }
}

/// A process under way.
pub(super) struct Process<T>(JoinHandle<T>);

impl<T> Process<T> {
    pub(super) fn end(self) -> T {
        self.0.join().expect("no process fails")
    }
}

pub(super) fn tree(files: &[(&str, &[u8])]) -> Tree {
    let mut tree = TreeBuilder::new();
    for (path, content) in files {
        let digest = crate::ObjectDigest::of(content);
        let entry = Entry::File { digest, size: content.len() as u64, executable: false };
        tree.insert(TreePath::try_from(*path).expect("a path"), entry, Attributes::default()).expect("an entry");
    }
    tree.finish().expect("a tree")
}

/// Writes a FileSet with these files, that imports the others.
pub(super) fn write(
    ingest: &Ingest<'_>,
    name: &str,
    files: &[(&str, &[u8])],
    imports: &[FileSetDigest],
) -> Result<FileSetDigest, StoreError> {
    for (_, content) in files {
        ingest.write_bytes(content)?;
    }
    let imports = imports.iter().map(|digest| {
        let fileset = ingest.store().fileset(digest)?;
        let path = fileset.name.mount_path(&fileset.version).expect("a path");
        Ok(Import { path, name: fileset.name, version: fileset.version, fileset: *digest })
    });
    let imports = imports.collect::<Result<_, StoreError>>()?;
    ingest.write_fileset(&FileSet {
        name: Name::parse(&format!("example.com/{name}")).expect("a name"),
        version: "1".to_owned(),
        architecture: "all".to_owned(),
        time: 0,
        tree: ingest.write_tree(&tree(files))?,
        imports,
        metadata: Metadata::Files(FilesMetadata::default()),
    })
}

pub(super) fn entry(version: &str, fileset: FileSetDigest) -> RefEntry {
    RefEntry { version: version.to_owned(), fileset, at: 0, action: "build".to_owned() }
}

pub(super) const WEB: &str = "example.com/web";

/// A package and what imports it, with a ref to that: as a build does it.
pub(super) fn build(store: &Store, version: &str) -> Result<FileSetDigest, StoreError> {
    let ingest = store.begin()?;
    let package = write(&ingest, "package", &[("a", b"a"), ("b", b"b")], &[])?;
    let image = write(&ingest, "image", &[("own", b"own")], &[package])?;
    store.refs().set_committing(RefKind::Image, WEB, entry(version, image), ingest)?;
    Ok(image)
}

/// Collects with the patience that users have; it may find the store in use.
pub(super) fn gc(store: &Store) -> Option<GcReport> {
    match store.gc(GcOptions::default()) {
        Ok(report) => Some(report),
        Err(StoreError::Busy { .. }) => None,
        Err(error) => panic!("gc: {error}"),
    }
}

/// A FileSet is there with all that it needs, and whole.
pub(super) fn is_there(store: &Store, digest: FileSetDigest) {
    let record = store.fileset(&digest).expect("the record");
    for (object, _) in store.tree(&record.tree).expect("its tree").files() {
        store.read_object(&object, u64::MAX).expect("its objects");
    }
    record.imports.iter().for_each(|import| is_there(store, import.fileset));
}
