//! Reading a view.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use larder_runtime::view::{Exception, Mounted, View, ViewEntry, ViewKind, Written};
use rustix::thread::CapabilitySet;

use crate::fixture::{self, Fixture, PACKAGED_TOOL, ROOT, TOOL, inside, skip};
use crate::kernel;

pub(crate) fn every_entry(view: &dyn View, fixture: &Fixture) {
    let mount = view.mount(&fixture.prepare(view), None).unwrap();
    let mut listed: Vec<Vec<u8>> = Vec::new();
    walk(&inside(&mount, ""), &PathBuf::new(), &mut listed);
    listed.sort();
    let tree = fixture.tree();
    let expected: Vec<_> = tree.entries().iter().map(|entry| entry.path.clone()).collect();
    assert_eq!(listed.len(), expected.len());
    assert_eq!(listed, expected);
    let expect = Expect::new(view, fixture);
    for entry in tree.entries() {
        check_entry(&expect, fixture, &mount, entry);
    }
    let root = fs::metadata(inside(&mount, ".")).unwrap();
    assert_eq!((root.mode() & 0o7777, root.mtime()), (ROOT.mode.into(), ROOT.mtime as i64));
}

fn walk(directory: &Path, relative: &Path, listed: &mut Vec<Vec<u8>>) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let path = relative.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            walk(&entry.path(), &path, listed);
        }
        listed.push(path.into_os_string().into_vec());
    }
}

fn check_entry(expect: &Expect, fixture: &Fixture, mount: &Mounted, entry: &ViewEntry) {
    let shown = String::from_utf8_lossy(&entry.path);
    let mut path = inside(mount, OsStr::from_bytes(&entry.path));
    let mut status = fs::symlink_metadata(&path).unwrap_or_else(|error| panic!("{shown}: {error}"));
    let is_link = expect.linked.contains_key(&entry.path);
    if is_link {
        assert!(status.is_symlink(), "{shown} leads to its package");
        let target = fs::read_link(&path).unwrap();
        assert!(target.as_os_str().as_bytes().ends_with(expect.linked[&entry.path].as_slice()), "{shown}: {target:?}");
        status = fs::metadata(&path).unwrap();
        path = inside(mount, OsStr::from_bytes(&expect.linked[&entry.path]));
    }
    let in_package = is_link || entry.path.starts_with(b"packages/");
    match &entry.kind {
        ViewKind::Directory => assert!(status.is_dir(), "{shown}"),
        ViewKind::File { object, size } => {
            assert!(status.is_file(), "{shown}");
            let linked = (expect.hard_links || expect.package_hard_links && in_package) && *size > 0;
            assert_eq!((status.len(), status.nlink() > 1), (*size, linked), "{shown}: {} links", status.nlink());
            assert!(fs::read(&path).unwrap() == fixture.content(object), "{shown}: other content");
        }
        ViewKind::Symlink { target } => {
            assert!(status.is_symlink(), "{shown}");
            assert_eq!(fs::read_link(&path).unwrap().as_os_str().as_bytes(), target, "{shown}");
            assert_eq!(status.len(), target.len() as u64, "{shown}");
        }
    }
    let owner = (expect.id(&expect.uids, entry.uid), expect.id(&expect.gids, entry.gid));
    let mode = if status.is_symlink() { 0o777 } else { u32::from(entry.mode) };
    assert_eq!(status.mode() & 0o7777, mode, "{shown}: mode");
    assert_eq!((status.uid(), status.gid()), owner, "{shown}: owner");
    assert_eq!((status.mtime(), status.mtime_nsec()), (entry.mtime as i64, 0), "{shown}: time");
    if !status.is_symlink() {
        let shows = |name: &[u8]| match name {
            b"security.capability" => expect.capabilities,
            _ => in_package || expect.user_attributes,
        };
        let attributes: BTreeMap<_, _> = entry.xattrs.iter().filter(|(name, _)| shows(name)).cloned().collect();
        assert_eq!(attributes_of(&path), attributes, "{shown}: attributes");
    }
}

pub(crate) fn attributes_of(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut names = vec![0_u8; 65536];
    let size = rustix::fs::llistxattr(path, &mut names).unwrap();
    let names = names[..size].split(|&byte| byte == 0).filter(|name| !name.is_empty());
    // The host's security modules put their own labels on everything.
    let names = names.filter(|name| *name != b"security.selinux");
    let value = |name: &[u8]| {
        let mut value = vec![0_u8; 65536];
        let size = rustix::fs::lgetxattr(path, name, &mut value).unwrap();
        value[..size].to_vec()
    };
    names.map(|name| (name.to_vec(), value(name))).collect()
}

/// The files of the fixture's package that are in their places too.
fn linked(fixture: &Fixture) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let package = PACKAGED_TOOL.strip_suffix(TOOL).unwrap().as_bytes();
    let files = fixture.entries().iter().filter(|entry| matches!(entry.kind, ViewKind::File { .. }));
    let paths = files.filter_map(|entry| Some((entry.path.strip_prefix(package)?.to_vec(), entry.path.clone())));
    let paths: BTreeMap<_, _> = paths.collect();
    assert!(paths.len() > 5, "{paths:?}");
    paths
}

/// What a way shows, by its table of exceptions.
struct Expect {
    unmapped_are_own: bool,
    hard_links: bool,
    package_hard_links: bool,
    user_attributes: bool,
    /// The paths that are links, with the ends of where they lead.
    linked: BTreeMap<Vec<u8>, Vec<u8>>,
    capabilities: bool,
    uids: Vec<(u32, u32)>,
    gids: Vec<(u32, u32)>,
}

impl Expect {
    fn new(view: &dyn View, fixture: &Fixture) -> Self {
        let map = |path: &str| {
            let text = fs::read_to_string(path).unwrap();
            let numbers =
                |line: &str| -> Vec<u32> { line.split_whitespace().map(|word| word.parse().unwrap()).collect() };
            text.lines().map(|line| (numbers(line)[0], numbers(line)[2])).collect()
        };
        let own = rustix::thread::capabilities(None).unwrap().effective;
        let excepts = |exception| view.exceptions().contains(&exception);
        Self {
            package_hard_links: excepts(Exception::PackagesAreHardLinks),
            user_attributes: !excepts(Exception::OldTmpfsHasNoAttributes) || kernel::tmpfs_has_attributes(),
            linked: if excepts(Exception::PackagesFilesAreLinks) { linked(fixture) } else { BTreeMap::new() },
            hard_links: excepts(Exception::FilesAreHardLinks),
            capabilities: !excepts(Exception::CapabilitiesMayBeMissing) || own.contains(CapabilitySet::SETFCAP),
            unmapped_are_own: excepts(Exception::UnmappedOwnersAreOwn),
            uids: map("/proc/self/uid_map"),
            gids: map("/proc/self/gid_map"),
        }
    }

    /// The suite runs as id 0 of its namespace.
    fn id(&self, map: &[(u32, u32)], id: u32) -> u32 {
        let mapped = map.iter().any(|&(first, count)| id >= first && id - first < count);
        if mapped || !self.unmapped_are_own { id } else { 0 }
    }
}

pub(crate) fn negative_lookups(view: &dyn View, fixture: &Fixture) {
    let mount = view.mount(&fixture.prepare(view), None).unwrap();
    let error = |path: &str| fs::symlink_metadata(inside(&mount, path)).unwrap_err().kind();
    for path in ["00", "ff", "objects", "usr/bin/none", "none/none", "etc/dangling/none", ".wh.x"] {
        assert_eq!(error(path), ErrorKind::NotFound, "{path}");
    }
    assert_eq!(error("usr/bin/ping/none"), ErrorKind::NotADirectory);
    // Objects can't be named through the view.
    for entry in fixture.entries() {
        if let ViewKind::File { object, .. } = &entry.kind {
            let hex = hex::encode(object);
            assert_eq!(error(&format!("{}/{}", &hex[..2], &hex[2..])), ErrorKind::NotFound);
        }
    }
}

pub(crate) fn read_only(view: &dyn View, fixture: &Fixture) {
    let mount = view.mount(&fixture.prepare(view), None).unwrap();
    let refused = |what: &str, result: std::io::Result<()>| {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::ReadOnlyFilesystem, "{what}");
    };
    let file = inside(&mount, "usr/bin/ping");
    refused("write", fs::write(&file, "x"));
    refused("create", fs::write(inside(&mount, "new"), "x"));
    refused("remove", fs::remove_file(&file));
    refused("mkdir", fs::create_dir(inside(&mount, "new")));
    refused("rename", fs::rename(&file, inside(&mount, "usr/bin/pong")));
    refused("link", fs::hard_link(&file, inside(&mount, "usr/bin/pong")));
    refused("chmod", fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o777)));
    refused("chown", std::os::unix::fs::chown(&file, Some(0), Some(0)));
}

/// One object read through one view is in memory for the other.
pub(crate) fn shared_page_cache(view: &dyn View, fixture: &Fixture) {
    let resident = |path: &Path| -> Option<u64> {
        let output = Command::new("fincore").args(["-nbo", "RES"]).arg(path).output().ok()?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Some(String::from_utf8_lossy(&output.stdout).trim().parse().unwrap())
    };
    let prepared = [fixture.prepare(view), fixture.prepare_as(view, "fedcba")];
    let [one, other] = prepared.each_ref().map(|prepared| view.mount(prepared, None).unwrap());
    let size = 3_000_001;
    let name = format!("usr/lib/size-{size}");
    let packaged = format!("packages/debian.org/size-{size}");
    if resident(&inside(&one, &name)).is_none() {
        return skip("two views share the page cache", "it needs the program fincore");
    }
    let object = blake3::hash(&fs::read(inside(&one, &name)).unwrap());
    let object = fixture.object_path(object.as_bytes());
    if fixture::is_tmpfs(&fixture.directory) {
        // What the store keeps in memory can't be dropped from it.
        return view.remove(&fixture.views, "fedcba").unwrap();
    }
    fs::File::open(&object).unwrap().sync_all().unwrap();
    if view.exceptions().contains(&Exception::PackagesFilesAreLinks) {
        // The image's own files are copies in memory; packages' are shared, and placed by links.
        rustix::fs::fadvise(fs::File::open(inside(&one, &packaged)).unwrap(), 0, None, rustix::fs::Advice::DontNeed)
            .unwrap();
        assert_eq!(resident(&inside(&other, &packaged)), Some(0), "dropped from memory");
        fs::read(inside(&one, &packaged)).unwrap();
        assert!(resident(&inside(&other, &packaged)).unwrap() >= size, "in memory by the other view");
        let [one, other] = [&one, &other].map(|mount| fs::metadata(inside(mount, &name)).unwrap().dev());
        assert_ne!(one, other, "each container has a copy of the image's own files");
        return view.remove(&fixture.views, "fedcba").unwrap();
    }
    for path in [&object, &inside(&one, &name), &inside(&one, &packaged)] {
        rustix::fs::fadvise(fs::File::open(path).unwrap(), 0, None, rustix::fs::Advice::DontNeed).unwrap();
    }
    assert_eq!(resident(&inside(&other, &name)), Some(0), "dropped from memory");
    fs::read(inside(&one, &name)).unwrap();
    assert!(resident(&inside(&other, &name)).unwrap() >= size, "in memory by the other view");
    // The same object with another mode and group.
    let copied = view.exceptions().contains(&Exception::AttributesCostACopy);
    assert_eq!(resident(&inside(&other, &packaged)).unwrap() < size, copied, "other attributes");
    view.remove(&fixture.views, "fedcba").unwrap();
}

/// A package's file is the same in its package and in its place.
pub(crate) fn packages_twice(view: &dyn View, fixture: &Fixture) {
    let mount = view.mount(&fixture.prepare(view), None).unwrap();
    let [placed, packaged] = [TOOL, PACKAGED_TOOL].map(|path| fs::metadata(inside(&mount, path)).unwrap());
    let shown = |status: &fs::Metadata| (status.mode(), status.len(), status.mtime(), status.uid(), status.gid());
    assert_eq!(shown(&placed), shown(&packaged));
    let same = (placed.dev(), placed.ino()) == (packaged.dev(), packaged.ino());
    let mut excepted = vec![Exception::FilesAreHardLinks, Exception::PackagesFilesAreLinks];
    if fixture.written == Written::OutsidePackages {
        excepted.push(Exception::PackagesFilesAreOne);
    }
    assert_eq!(same, view.exceptions().iter().any(|one| excepted.contains(one)), "one file under two names");
    for path in [TOOL, PACKAGED_TOOL] {
        let output = Command::new(inside(&mount, path)).arg("0").output().unwrap();
        assert!(output.status.success(), "{path} runs from its map: {output:?}");
    }
}
