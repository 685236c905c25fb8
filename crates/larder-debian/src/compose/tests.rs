//! What the composers' tests share: made-up and real packages, a plan of them, contents in a folder.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use larder_store::fileset::FileSet;
use larder_store::fileset::{FilesMetadata, ImageMetadata, Import, InstallRules, Metadata};
use larder_store::plan::{Catalog, InstallPlan, Loaded, install};
use larder_store::tree::{Attributes, Tree, TreeBuilder};
use larder_store::{Entry, FileSetDigest, Name, ObjectDigest, TreePath};
use larder_testkit::skip;
use tempfile::TempDir;

use super::{ComposeError, ComposeInput, Composed, ComposedEntry, ContentError, Contents, compose, current_versions};

mod bytecode;
mod caches;
mod certificates;
mod plain;
mod real;

/// Contents, each a file of a folder that goes with it.
pub(super) struct Folder {
    folder: TempDir,
}

impl Folder {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    fn path(&self, digest: &ObjectDigest) -> PathBuf {
        self.folder.path().join(digest.hex())
    }
}

impl Contents for Folder {
    fn open(&self, digest: &ObjectDigest) -> Result<File, ContentError> {
        Ok(File::open(self.path(digest))?)
    }

    fn read(&self, digest: &ObjectDigest, limit: u64) -> Result<Vec<u8>, ContentError> {
        let content = fs::read(self.path(digest))?;
        if content.len() as u64 > limit { Err("larger than its limit".into()) } else { Ok(content) }
    }

    fn write(&self, content: &[u8]) -> Result<ObjectDigest, ContentError> {
        let digest = ObjectDigest::of(content);
        fs::write(self.path(&digest), content)?;
        Ok(digest)
    }
}

/// The FileSets of one test, and the contents of their files.
pub(super) struct World {
    pub(super) contents: Folder,
    loaded: RefCell<HashMap<FileSetDigest, Arc<Loaded>>>,
}

impl Catalog for World {
    type Error = Infallible;

    fn load(&self, digest: &FileSetDigest) -> Result<Arc<Loaded>, Infallible> {
        Ok(Arc::clone(&self.loaded.borrow()[digest]))
    }
}

/// A FileSet in the making.
#[derive(Default)]
pub(super) struct Draw {
    entries: BTreeMap<TreePath, (Entry, Attributes)>,
    pub(super) rules: InstallRules,
}

impl World {
    pub(super) fn new() -> Self {
        Self { contents: Folder::new(), loaded: RefCell::default() }
    }

    pub(super) fn draw(&self, files: &[(&str, &str)]) -> Draw {
        let mut draw = Draw::default();
        for (path, content) in files {
            let digest = self.contents.write(content.as_bytes()).expect("write");
            draw.add(
                path,
                Entry::File { digest, size: content.len() as u64, executable: false },
                Attributes::default(),
            );
        }
        draw
    }

    /// A folder of the host as a FileSet, with the aliases of merged-/usr followed. Owners and times are left out.
    pub(super) fn draw_folder(&self, root: &Path) -> Draw {
        let mut draw = Draw::default();
        self.add_folder(root, root, &mut draw);
        draw
    }

    fn add_folder(&self, root: &Path, folder: &Path, draw: &mut Draw) {
        for item in fs::read_dir(folder).expect("read_dir") {
            let item = item.expect("item").path();
            let relative = item.strip_prefix(root).expect("below").as_os_str().as_bytes().to_vec();
            let top = relative.split(|&b| b == b'/').next().unwrap_or_default();
            let aliased = ["bin", "sbin", "lib", "lib64", "lib32", "libx32"].iter().any(|a| a.as_bytes() == top);
            let kind = item.symlink_metadata().expect("metadata").file_type();
            let entry = if kind.is_dir() {
                self.add_folder(root, &item, draw);
                Entry::Directory
            } else if kind.is_symlink() {
                let target = fs::read_link(&item).expect("link");
                Entry::Symlink { target: target.as_os_str().as_bytes().into() }
            } else {
                let content = fs::read(&item).expect("content");
                let digest = self.contents.write(&content).expect("write");
                Entry::File { digest, size: content.len() as u64, executable: false }
            };
            let path = if aliased { [b"usr/", &relative[..]].concat() } else { relative.clone() };
            let path = TreePath::new(path).expect("path");
            if !aliased || relative.contains(&b'/') || entry == Entry::Directory {
                draw.entries.insert(path, (entry, Attributes::default()));
            }
        }
    }

    pub(super) fn package(&self, name: &str, draw: Draw) -> Import {
        let metadata = Metadata::Files(FilesMetadata { install: draw.rules.clone() });
        self.keep(&format!("debian.org/{name}"), draw.tree(), Vec::new(), metadata)
    }

    pub(super) fn plan(&self, own: Draw, imports: Vec<Import>) -> InstallPlan {
        let metadata = Metadata::Image(ImageMetadata::default());
        let image = self.keep("example.com/image", own.tree(), imports, metadata);
        let image = self.load(&image.fileset).expect("image");
        install(self, &image).expect("a plan")
    }

    fn keep(&self, name: &str, tree: Tree, imports: Vec<Import>, metadata: Metadata) -> Import {
        let name = Name::parse(name).expect("name");
        let record = FileSet {
            name: name.clone(),
            version: "1".to_owned(),
            architecture: "all".to_owned(),
            time: 1_000_000_000,
            tree: tree.digest(),
            imports,
            metadata,
        };
        let digest = record.digest();
        self.loaded.borrow_mut().insert(digest, Arc::new(Loaded { digest, record, tree }));
        let path = name.mount_path("1").expect("mount path");
        Import { path, name, version: "1".to_owned(), fileset: digest }
    }

    pub(super) fn compose(&self, plan: &InstallPlan) -> Result<Made<'_>, ComposeError> {
        let versions = current_versions();
        let composed = compose(&ComposeInput { plan, versions: &versions }, &self.contents)?;
        Ok(Made { world: self, composed })
    }

    /// Composes an image of these packages, and again in the opposite order: the results must be one.
    pub(super) fn compose_all(&self, own: &[(&str, &str)], imports: Vec<Import>) -> Result<Made<'_>, ComposeError> {
        let mut turned = imports.clone();
        turned.reverse();
        let made = self.compose(&self.plan(self.draw(own), imports));
        let again = self.compose(&self.plan(self.draw(own), turned));
        match (&made, &again) {
            (Ok(made), Ok(again)) => assert_eq!(made.composed, again.composed),
            (made, again) => assert_eq!(made.is_ok(), again.is_ok()),
        }
        made
    }
}

impl Draw {
    pub(super) fn add(&mut self, path: &str, entry: Entry, attributes: Attributes) {
        self.entries.insert(TreePath::try_from(path).expect("path"), (entry, attributes));
    }

    pub(super) fn with(mut self, change: impl FnOnce(&mut InstallRules)) -> Self {
        change(&mut self.rules);
        self
    }

    fn tree(self) -> Tree {
        let mut builder = TreeBuilder::new();
        for (path, (entry, attributes)) in self.entries {
            builder.insert(path, entry, attributes).expect("entry");
        }
        builder.finish().expect("tree")
    }
}

/// What composers made, to be asked.
pub(super) struct Made<'a> {
    world: &'a World,
    pub(super) composed: Composed,
}

impl Made<'_> {
    pub(super) fn at(&self, path: &str) -> Option<&ComposedEntry> {
        self.composed.files.iter().find(|file| file.path.as_bytes() == path.as_bytes())
    }

    pub(super) fn bytes(&self, path: &str) -> Vec<u8> {
        let file = self.at(path).unwrap_or_else(|| panic!("{path} isn't there"));
        let Entry::File { digest, .. } = &file.entry else { panic!("{path} is no file") };
        self.world.contents.read(digest, 1 << 30).expect("content")
    }

    pub(super) fn text(&self, path: &str) -> String {
        String::from_utf8(self.bytes(path)).expect("UTF-8")
    }

    pub(super) fn target(&self, path: &str) -> String {
        let file = self.at(path).unwrap_or_else(|| panic!("{path} isn't there"));
        let Entry::Symlink { target } = &file.entry else { panic!("{path} is no link") };
        String::from_utf8_lossy(target).into_owned()
    }

    /// Lays what composers wrote into a folder of the host.
    pub(super) fn write_below(&self, root: &Path) {
        for file in &self.composed.files {
            let path = root.join(file.path.to_string());
            match &file.entry {
                Entry::Directory => fs::create_dir_all(&path).expect("directory"),
                Entry::Symlink { target } => {
                    fs::create_dir_all(path.parent().expect("parent")).expect("directory");
                    std::os::unix::fs::symlink(std::ffi::OsStr::from_bytes(target), &path).expect("link");
                }
                Entry::File { .. } => {
                    fs::create_dir_all(path.parent().expect("parent")).expect("directory");
                    fs::write(&path, self.bytes(&file.path.to_string())).expect("file");
                }
            }
        }
    }
}

/// Unpacks packages of the archive into one folder with merged-/usr aliases, with the machine's own apt and dpkg.
pub(super) fn unpacked(test: &str, packages: &[&str]) -> Option<TempDir> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let debs = folder.path().join(".debs");
    let root = folder.path().join("root");
    fs::create_dir(&debs).expect("directory");
    for directory in ["usr/bin", "usr/sbin", "usr/lib", "usr/lib64"] {
        fs::create_dir_all(root.join(directory)).expect("directory");
    }
    for alias in ["bin", "sbin", "lib", "lib64"] {
        std::os::unix::fs::symlink(format!("usr/{alias}"), root.join(alias)).expect("link");
    }
    let got = Command::new("apt-get").args(["-q", "download"]).args(packages).current_dir(&debs).output();
    if !got.is_ok_and(|got| got.status.success()) {
        skip(test, "the archive can't be reached with apt-get");
        return None;
    }
    for deb in fs::read_dir(&debs).expect("debs").map(|deb| deb.expect("deb").path()) {
        let data = Command::new("dpkg-deb").arg("--fsys-tarfile").arg(&deb).output().expect("dpkg-deb");
        let tar = folder.path().join("data.tar");
        fs::write(&tar, data.stdout).expect("tar");
        let done = Command::new("tar")
            .arg("-x")
            .arg("--keep-directory-symlink")
            .arg("-C")
            .arg(&root)
            .arg("-f")
            .arg(&tar)
            .status();
        assert!(done.expect("tar").success());
        fs::remove_file(tar).expect("remove");
    }
    Some(folder)
}
