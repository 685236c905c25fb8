//! A small store and a listing with everything a view must be able to show.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};

use larder_runtime::view::{
    LayerEnd, Prepared, RootAttributes, Upper, View, ViewEntry, ViewKind, ViewRequest, ViewTree, Written,
};

/// Says aloud that something was not tested: the harness hides what passing tests print with macros, but not this.
pub(crate) fn skip(what: &str, why: &str) {
    std::io::stderr().write_all(format!("SKIPPED {what}: {why}\n").as_bytes()).unwrap();
}

/// A directory on the disk of the build, since file-backed EROFS refuses tmpfs.
pub(crate) fn directory() -> tempfile::TempDir {
    let parent = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(parent).unwrap();
    directory_in(parent)
}

fn directory_in(parent: &Path) -> tempfile::TempDir {
    tempfile::Builder::new().prefix("views-").tempdir_in(parent).unwrap()
}

/// Whether a path is on a tmpfs.
pub(crate) fn is_tmpfs(path: &Path) -> bool {
    const TMPFS_MAGIC: u64 = 0x0102_1994;
    rustix::fs::statfs(path).is_ok_and(|status| status.f_type as u64 == TMPFS_MAGIC)
}

/// A store, and what its views are made of.
pub(crate) struct Fixture {
    pub(crate) directory: PathBuf,
    pub(crate) objects: PathBuf,
    pub(crate) views: PathBuf,
    contents: BTreeMap<[u8; 32], Vec<u8>>,
    entries: Vec<ViewEntry>,
    /// What is asked of its views.
    pub(crate) written: Written,
    _kept: Option<tempfile::TempDir>,
}

/// A program of the fixture's package.
pub(crate) const TOOL: &str = "usr/bin/tool";
/// Its place below `packages`.
pub(crate) const PACKAGED_TOOL: &str = "packages/example.org/tool@1.0/usr/bin/tool";

pub(crate) const KEY: &str = "0123456789abcdef";
pub(crate) const ROOT: RootAttributes = RootAttributes { mode: 0o755, uid: 0, gid: 0, mtime: 1_234_567_890 };

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::keeping(directory())
    }

    /// A store in memory, where there is a tmpfs.
    pub(crate) fn on_tmpfs() -> Option<Self> {
        let parent = Path::new("/dev/shm");
        is_tmpfs(parent).then(|| Self::keeping(directory_in(parent)))
    }

    fn keeping(kept: tempfile::TempDir) -> Self {
        let mut fixture = Self::at(kept.path().to_owned());
        fixture._kept = Some(kept);
        fixture
    }

    pub(crate) fn at(directory: PathBuf) -> Self {
        let mut fixture = Self {
            objects: directory.join("objects"),
            views: directory.join("views"),
            directory,
            contents: BTreeMap::new(),
            entries: Vec::new(),
            written: Written::Anything,
            _kept: None,
        };
        fs::create_dir_all(&fixture.objects).unwrap();
        fixture.fill();
        fixture
    }

    /// Stores an object.
    pub(crate) fn object(&mut self, content: &[u8]) -> [u8; 32] {
        let object = *blake3::hash(content).as_bytes();
        let path = self.object_path(&object);
        if !content.is_empty() && !path.exists() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o444)).unwrap();
        }
        self.contents.insert(object, content.to_vec());
        object
    }

    pub(crate) fn object_path(&self, object: &[u8; 32]) -> PathBuf {
        let hex = hex::encode(object);
        self.objects.join(&hex[..2]).join(&hex[2..])
    }

    pub(crate) fn content(&self, object: &[u8; 32]) -> &[u8] {
        &self.contents[object]
    }

    pub(crate) fn entries(&self) -> &[ViewEntry] {
        &self.entries
    }

    pub(crate) fn add(&mut self, path: &str, kind: ViewKind, mode: u16) -> &mut ViewEntry {
        let mtime = 1_000_000_000 + self.entries.len() as u64 * 86_399;
        self.entries.push(ViewEntry { path: path.into(), kind, mode, uid: 0, gid: 0, mtime, xattrs: Vec::new() });
        self.entries.last_mut().unwrap()
    }

    pub(crate) fn file(&mut self, path: &str, content: &[u8], mode: u16) -> &mut ViewEntry {
        let object = self.object(content);
        self.add(path, ViewKind::File { object, size: content.len() as u64 }, mode)
    }

    pub(crate) fn tree(&self) -> ViewTree {
        ViewTree::new(ROOT, self.entries.clone()).unwrap().with_read_only([b"usr".to_vec()])
    }

    pub(crate) fn prepare(&self, view: &dyn View) -> Prepared {
        self.prepare_as(view, KEY)
    }

    pub(crate) fn prepare_as(&self, view: &dyn View, key: &str) -> Prepared {
        view.prepare(&self.request(key, &|| Ok(self.tree()))).unwrap()
    }

    pub(crate) fn request<'a>(&'a self, key: &'a str, tree: &'a larder_runtime::view::ListTree<'a>) -> ViewRequest<'a> {
        ViewRequest { tree, key, objects: &self.objects, views: &self.views, written: self.written }
    }

    /// A new writable layer.
    pub(crate) fn upper(&self, name: &str) -> Writable {
        let directory = self.directory.join("uppers").join(name);
        let writable = Writable { upperdir: directory.join("upper"), workdir: directory.join("work") };
        fs::create_dir_all(&writable.upperdir).unwrap();
        fs::create_dir_all(&writable.workdir).unwrap();
        writable
    }

    /// Nothing half-made is left in `views`.
    pub(crate) fn assert_no_leavings(&self) {
        let names: Vec<_> = fs::read_dir(&self.views).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        let left: Vec<_> = names.iter().filter(|name| name.as_encoded_bytes().starts_with(b".new-")).collect();
        assert!(left.is_empty(), "left: {left:?}");
    }

    fn fill(&mut self) {
        for directory in
            ["usr", "usr/bin", "usr/lib", "etc", "packages", "packages/debian.org", "empty", "ab", "usr/many"]
        {
            self.add(directory, ViewKind::Directory, 0o755);
        }
        // A directory and names that sort between it and its children.
        self.file("usr/lib-a", b"beside", 0o644);
        self.file("usr/lib.b", b"beside", 0o644);
        self.fill_contents();
        self.fill_attributes();
        self.fill_names();
        self.fill_links();
        self.fill_package();
        let shell = fs::read("/bin/sleep").unwrap();
        self.file("usr/bin/sleep", &shell, 0o755);
    }

    /// A package as containers have it: whole below `packages`, and each of its files in its place with the same attributes.
    fn fill_package(&mut self) {
        let mut root = "packages/example.org/tool@1.0".to_owned();
        self.add("packages/example.org", ViewKind::Directory, 0o755);
        self.add(&root, ViewKind::Directory, 0o755);
        root.push('/');
        let program = fs::read("/bin/sleep").unwrap();
        for prefix in [root.as_str(), ""] {
            for directory in ["usr", "usr/bin", "usr/lib", "usr/lib/tool", "usr/lib/tool/deep", "etc"] {
                if !prefix.is_empty() || directory.starts_with("usr/lib/") {
                    self.add(&format!("{prefix}{directory}"), ViewKind::Directory, 0o755).mtime = 1_600_000_000;
                }
            }
            for (path, content, mode) in [
                (TOOL, program.as_slice(), 0o755),
                ("usr/lib/tool/data", b"data of the tool".as_slice(), 0o644),
                ("usr/lib/tool/deep/same", b"data of the tool", 0o644),
                ("usr/lib/tool/set-id", b"set-id", 0o4755),
                ("usr/lib/tool/noted", b"noted", 0o644),
                ("usr/lib/tool/empty", b"", 0o644),
                ("etc/tool.conf", b"configuration", 0o640),
            ] {
                let entry = self.file(&format!("{prefix}{path}"), content, mode);
                entry.mtime = 1_600_000_000;
                if path.ends_with("noted") {
                    entry.xattrs = vec![(b"user.note".to_vec(), b"of the tool".to_vec())];
                }
            }
            let target = b"data".to_vec();
            self.add(&format!("{prefix}usr/lib/tool/link"), ViewKind::Symlink { target }, 0o777).mtime = 1_600_000_000;
        }
    }

    fn fill_contents(&mut self) {
        for size in [0_usize, 1, 7, 63, 64, 65, 4095, 4096, 4097, 100_000, 3_000_001] {
            let content: Vec<u8> = (0..size).map(|index| (index * 31 + size) as u8).collect();
            self.file(&format!("usr/lib/size-{size}"), &content, 0o644);
            // The same object twice, with other attributes.
            self.file(&format!("packages/debian.org/size-{size}"), &content, 0o755).gid = 50;
        }
        self.file("usr/lib/zeros", &[0; 5000], 0o644);
        for index in 0..600 {
            self.file(&format!("usr/many/entry-{index}"), &[(index % 255) as u8 + 1; 3], 0o644);
        }
    }

    fn fill_attributes(&mut self) {
        for mode in [0o4755, 0o2755, 0o6755, 0o600, 0o640, 0o000, 0o444, 0o777, 0o7777] {
            self.file(&format!("usr/bin/mode-{mode:o}"), b"#!/bin/sh\n", mode);
        }
        for mode in [0o1777, 0o1733, 0o2775, 0o700, 0o000, 0o555] {
            self.add(&format!("etc/mode-{mode:o}"), ViewKind::Directory, mode);
            self.file(&format!("etc/mode-{mode:o}/inside"), b"inside", 0o644);
        }
        for (uid, gid) in [(0, 42), (33, 33), (1, 0), (1000, 1000), (65534, 65534), (70_000, 70_001)] {
            let entry = self.file(&format!("etc/owner-{uid}-{gid}"), b"owned", 0o6755);
            (entry.uid, entry.gid) = (uid, gid);
            let entry = self.add(&format!("etc/owner-{uid}-{gid}.d"), ViewKind::Directory, 0o2750);
            (entry.uid, entry.gid) = (uid, gid);
            let entry =
                self.add(&format!("etc/owner-{uid}-{gid}.l"), ViewKind::Symlink { target: b"x".to_vec() }, 0o777);
            (entry.uid, entry.gid) = (uid, gid);
        }
        for mtime in [0, 1, 315_619_200, 2_147_483_647, 4_102_444_800] {
            self.file(&format!("etc/time-{mtime}"), b"timed", 0o644).mtime = mtime;
            self.add(&format!("etc/time-{mtime}.d"), ViewKind::Directory, 0o755).mtime = mtime;
        }
        // cap_net_raw+ep, revision 2.
        let capability = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let entry = self.file("usr/bin/ping", b"ping", 0o755);
        entry.xattrs = vec![
            (b"user.note".to_vec(), b"with a note".to_vec()),
            (b"security.capability".to_vec(), capability.to_vec()),
        ];
        self.file("usr/bin/other-owner-ping", b"ping", 0o755).xattrs =
            vec![(b"security.capability".to_vec(), capability.to_vec())];
        self.entries.last_mut().unwrap().uid = 33;
        self.file("etc/empty-attribute", b"", 0o644).xattrs = vec![(b"user.empty".to_vec(), Vec::new())];
        self.add("etc/noted.d", ViewKind::Directory, 0o755).xattrs = vec![(b"user.note".to_vec(), vec![0, 255, 10])];
        self.file("etc/large-attributes", b"large", 0o644).xattrs =
            vec![(b"user.a".to_vec(), vec![1; 1500]), (b"user.b".to_vec(), vec![2; 1500])];
    }

    fn fill_names(&mut self) {
        self.add("names", ViewKind::Directory, 0o755);
        for name in ["with space", "new\nline", "back\\slash", "co,lon:equals=", "-dash", "ünïcödé", "...", "#x#"] {
            self.file(&format!("names/{name}"), name.as_bytes(), 0o644);
        }
        self.file("names/replaced", b"not UTF-8", 0o644).path = b"names/\xff\xfe".to_vec();
        self.file(&format!("names/{}", "n".repeat(255)), b"long", 0o644);
        let mut path = "names".to_owned();
        for depth in 0..60 {
            path = format!("{path}/deep-{depth}");
            self.add(&path, ViewKind::Directory, 0o755);
        }
        self.file(&format!("{path}/bottom"), b"bottom", 0o644);
    }

    fn fill_links(&mut self) {
        let long = "t".repeat(4095);
        let targets = [
            ("bin", "usr/bin"),
            ("etc/absolute", "/usr/bin"),
            ("etc/dangling", "no/where"),
            ("etc/up", "../.."),
            ("etc/long", &long),
        ];
        for (path, target) in targets {
            self.add(path, ViewKind::Symlink { target: target.into() }, 0o777);
        }
    }
}

/// A writable layer's directories.
pub(crate) struct Writable {
    pub(crate) upperdir: PathBuf,
    pub(crate) workdir: PathBuf,
}

impl Writable {
    pub(crate) fn upper(&self) -> Upper<'_> {
        Upper { upperdir: &self.upperdir, workdir: &self.workdir, end: LayerEnd::Kept }
    }
}

/// A path inside a mount that is attached nowhere; other processes of the same user can follow it as well.
pub(crate) fn inside(mount: &impl AsFd, path: impl AsRef<Path>) -> PathBuf {
    Path::new(&format!("/proc/{}/fd/{}", std::process::id(), mount.as_fd().as_raw_fd())).join(path)
}
