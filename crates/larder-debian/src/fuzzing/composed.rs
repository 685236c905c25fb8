//! Files of packages that composers read, in a small image.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use larder_store::fileset::{FilesMetadata, ImageMetadata, Import};
use larder_store::plan::{Catalog, InstallPlan, Loaded, install};
use larder_store::{
    Attributes, Entry, FileSet, FileSetDigest, Metadata, Name, ObjectDigest, Tree, TreeBuilder, TreePath,
};
use rustix::fs::{MemfdFlags, memfd_create};

use super::parts;
use crate::compose::{ComposeInput, Composed, ContentError, Contents, compose, current_versions};

/// Contents and FileSets in memory.
#[derive(Default)]
pub(super) struct World {
    contents: std::cell::RefCell<HashMap<ObjectDigest, Vec<u8>>>,
    filesets: HashMap<FileSetDigest, Arc<Loaded>>,
}

impl Contents for World {
    fn open(&self, digest: &ObjectDigest) -> Result<File, ContentError> {
        Ok(in_memory(self.contents.borrow().get(digest).ok_or("it isn't there")?))
    }

    fn read(&self, digest: &ObjectDigest, limit: u64) -> Result<Vec<u8>, ContentError> {
        let content = self.contents.borrow().get(digest).cloned().ok_or("it isn't there")?;
        if content.len() as u64 > limit { Err("it is larger than its limit".into()) } else { Ok(content) }
    }

    fn write(&self, content: &[u8]) -> Result<ObjectDigest, ContentError> {
        let digest = ObjectDigest::of(content);
        self.contents.borrow_mut().insert(digest, content.to_vec());
        Ok(digest)
    }
}

impl Catalog for World {
    type Error = Infallible;

    fn load(&self, digest: &FileSetDigest) -> Result<Arc<Loaded>, Infallible> {
        Ok(Arc::clone(&self.filesets[digest]))
    }
}

/// A file that only this process has.
pub(super) fn in_memory(bytes: &[u8]) -> File {
    let file = File::from(memfd_create("fuzzing", MemfdFlags::CLOEXEC).expect("memory"));
    file.write_all_at(bytes, 0).expect("memory");
    file
}

impl World {
    pub(super) fn keep(&mut self, content: Vec<u8>) {
        self.contents.get_mut().insert(ObjectDigest::of(&content), content);
    }

    /// Takes a FileSet in, and gives its import where packages are.
    pub(super) fn add(&mut self, record: FileSet, tree: Tree) -> Import {
        let digest = record.digest();
        let path = record.name.mount_path(&record.version).expect("the record was checked");
        let import = Import { path, name: record.name.clone(), version: record.version.clone(), fileset: digest };
        self.filesets.insert(digest, Arc::new(Loaded { digest, record, tree }));
        import
    }

    /// A package of these files.
    fn package(&mut self, name: &str, files: &[(&str, &[u8])]) -> Import {
        let mut builder = TreeBuilder::new();
        for (path, content) in files {
            self.keep(content.to_vec());
            let digest = ObjectDigest::of(content);
            let entry = Entry::File { digest, size: content.len() as u64, executable: false };
            let path = TreePath::new(*path).expect("a path");
            builder.insert(path, entry, Attributes::default()).expect("an entry");
        }
        let tree = builder.finish().expect("a tree");
        let record = record(name, &tree, Vec::new(), Metadata::Files(FilesMetadata::default()));
        self.add(record, tree)
    }

    fn plan(&mut self, imports: Vec<Import>) -> Option<InstallPlan> {
        let tree = TreeBuilder::new().finish().expect("a tree");
        let record = record("example.com/image", &tree, imports, Metadata::Image(ImageMetadata::default()));
        let image = Arc::new(Loaded { digest: record.digest(), record, tree });
        install(self, &image).ok()
    }

    /// Composes an image of these packages, twice with the packages turned round: it is refused both times, or the same.
    /// What composers write is a Tree, and nobody has the number that is none.
    pub(super) fn compose_twice(&mut self, imports: Vec<Import>) -> Option<Composed> {
        let versions = current_versions();
        let turned = imports.iter().rev().cloned().collect();
        let [one, other] = [imports, turned].map(|imports| {
            let plan = self.plan(imports)?;
            Some(compose(&ComposeInput { plan: &plan, versions: &versions }, self).map_err(|error| error.to_string()))
        });
        assert_eq!(one, other);
        let composed = one?.ok()?;
        let mut builder = TreeBuilder::new();
        for file in &composed.files {
            builder.insert(file.path.clone(), file.entry.clone(), file.attributes.clone()).expect("each path once");
        }
        builder.finish().expect("a Tree");
        for (_, user) in composed.ids.users() {
            assert!([user.uid, user.gid].iter().chain(&user.supplementary).all(|&id| id != u32::MAX));
        }
        assert!(composed.ids.groups().all(|(_, gid)| gid != u32::MAX));
        Some(composed)
    }

    fn text(&self, composed: &Composed, path: &str) -> Vec<u8> {
        let file = composed.files.iter().find(|file| file.path.as_bytes() == path.as_bytes()).expect("composed");
        let Entry::File { digest, .. } = &file.entry else { panic!("{path} is no file") };
        self.read(digest, u64::MAX).expect("content")
    }
}

fn record(name: &str, tree: &Tree, imports: Vec<Import>, metadata: Metadata) -> FileSet {
    FileSet {
        name: Name::parse(name).expect("a name"),
        version: "1".to_owned(),
        architecture: "all".to_owned(),
        time: 1_000_000_000,
        tree: tree.digest(),
        imports,
        metadata,
    }
}

/// An image's own passwd and group: refused, or every account keeps its number, and what was written is read again as it is.
pub fn passwd(bytes: &[u8]) {
    let [passwd, group, shells] = parts(bytes);
    let mut world = World::default();
    let files = [("etc/passwd", passwd), ("etc/group", group), ("etc/shells", shells)];
    let import = world.package("debian.org/accounts", &files);
    let Some(first) = world.compose_twice(vec![import]) else { return };
    // The package's own files stay, so what composers write is seen where it has masters instead.
    let masters = [("usr/share/base-passwd/passwd.master", passwd), ("usr/share/base-passwd/group.master", group)];
    let import = world.package("debian.org/masters", &masters);
    let Some(composed) = world.compose_twice(vec![import]) else { return };
    let (passwd, group) = (world.text(&composed, "etc/passwd"), world.text(&composed, "etc/group"));
    let import = world.package("debian.org/again", &[("etc/passwd", &passwd), ("etc/group", &group)]);
    let again = world.compose_twice(vec![import]).expect("what was composed can be read");
    for (name, user) in composed.ids.users() {
        assert_eq!(again.ids.user(name).map(|user| (user.uid, user.gid)), Some((user.uid, user.gid)), "{name}");
        assert!(first.ids.user(name).is_some());
    }
}

/// A configuration of the dynamic linker and a file that it includes, over a few directories with libraries.
pub fn ld_so(bytes: &[u8]) {
    let [configuration, included, library] = parts(bytes);
    let mut world = World::default();
    let import = world.package(
        "debian.org/libraries",
        &[
            ("etc/ld.so.conf", configuration),
            ("etc/ld.so.conf.d/a.conf", included),
            ("etc/ld.so.conf.d/b.conf", b"include /etc/ld.so.conf.d/*.conf\n/opt/b\n"),
            ("opt/a/liba.so.1", library),
            ("opt/b/libb.so.1", library),
            ("usr/lib/libc.so.1", library),
            ("usr/lib/x86_64-linux-gnu/libd.so.1", library),
            ("usr/lib/x86_64-linux-gnu/glibc-hwcaps/x86-64-v3/libd.so.1", library),
        ],
    );
    world.compose_twice(vec![import]);
}

/// A file named like a library: none of the linker's, or linked under a plain name beside it.
pub fn soname(bytes: &[u8]) {
    let mut world = World::default();
    let import = world.package(
        "debian.org/library",
        &[("usr/lib/x86_64-linux-gnu/libx.so.1.2", bytes), ("usr/lib/x86_64-linux-gnu/libx.so.1.10", bytes)],
    );
    let composed = world.compose_twice(vec![import]).expect("a library can always be left out");
    let mut links: BTreeMap<&[u8], usize> = BTreeMap::new();
    for file in composed.files.iter().filter(|file| file.composer == "ld.so.cache") {
        if let Entry::Symlink { target } = &file.entry {
            assert!(file.path.as_bytes().starts_with(b"usr/lib/x86_64-linux-gnu/") && !target.contains(&b'/'));
            *links.entry(target).or_default() += 1;
        }
    }
    assert!(links.values().all(|&count| count == 1) && links.len() <= 2);
}

/// A certificate of a package and the administrator's choice of them.
pub fn certificates(bytes: &[u8]) {
    let [certificate, chosen] = parts(bytes);
    let mut world = World::default();
    let import = world.package(
        "debian.org/certificates",
        &[
            ("usr/share/ca-certificates/a.crt", certificate),
            ("usr/share/ca-certificates/mozilla/b.crt", certificate),
            ("usr/local/share/ca-certificates/c.crt", certificate),
            ("etc/ca-certificates.conf", chosen),
            ("usr/bin/java", b""),
        ],
    );
    world.compose_twice(vec![import]);
}
