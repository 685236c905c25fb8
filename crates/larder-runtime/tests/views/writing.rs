//! Writing to a view with an upper.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::mem::MaybeUninit;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::process::Command;

use larder_runtime::view::{Exception, Mounted, View};
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, XattrFlags, flock, inotify, linkat, openat};
use rustix::io::Errno;

use crate::fixture::{Fixture, PACKAGED_TOOL, TOOL, Writable, inside};
use crate::kernel;
use crate::reading::attributes_of;

fn writable(view: &dyn View, fixture: &Fixture, name: &str) -> (Mounted, Writable) {
    let upper = fixture.upper(name);
    let mount = view.mount(&fixture.prepare(view), Some(upper.upper())).unwrap();
    (mount, upper)
}

/// Whether an upper leans on the layers below.
fn leans(view: &dyn View, fixture: &Fixture) -> bool {
    view.exceptions().contains(&Exception::OldKernelsLeanOnTheView)
        && !kernel::follows_marks_by_itself(&fixture.directory)
}

/// Whether nothing is kept in an upper.
fn in_memory(view: &dyn View) -> bool {
    view.exceptions().contains(&Exception::WritesAreInMemory)
}

pub(crate) fn new_files(view: &dyn View, fixture: &Fixture) {
    let (mount, _upper) = writable(view, fixture, "new");
    // Names that the image's format keeps whiteouts under, and a directory of the view.
    for path in ["new", "usr/lib/new", "empty/new", "00", "ab/new"] {
        fs::write(inside(&mount, path), path).unwrap();
        assert_eq!(fs::read_to_string(inside(&mount, path)).unwrap(), path);
    }
    fs::create_dir_all(inside(&mount, "ff/inner")).unwrap();
    fs::write(inside(&mount, "ff/inner/file"), "x").unwrap();
    assert_eq!(fs::read_dir(inside(&mount, "ff")).unwrap().count(), 1);
    symlink("somewhere", inside(&mount, "etc/new-link")).unwrap();
    // A set-group directory of the view hands its group down.
    fs::write(inside(&mount, "etc/owner-0-42.d/new"), "x").unwrap();
    let groups =
        ["etc/owner-0-42.d", "etc/owner-0-42.d/new"].map(|path| fs::metadata(inside(&mount, path)).unwrap().gid());
    assert_eq!(groups[0], groups[1]);
}

pub(crate) fn changed_files(view: &dyn View, fixture: &Fixture) {
    let (mount, upper) = writable(view, fixture, "changed");
    for size in [0_usize, 1, 64, 4097, 3_000_001] {
        let name = format!("usr/lib/size-{size}");
        let path = inside(&mount, &name);
        let before = fs::read(&path).unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"more").unwrap();
        assert_eq!(fs::read(&path).unwrap(), [before.as_slice(), b"more"].concat(), "{name}");
        // Whole in the upper: it doesn't lean on the object any more.
        let written = fs::read(upper.upperdir.join(&name)).map(|content| content.len()).map_err(|error| error.kind());
        let expected = if in_memory(view) { Err(ErrorKind::NotFound) } else { Ok(size + 4) };
        assert_eq!(written, expected, "{name}");
        let twin = inside(&mount, format!("packages/debian.org/size-{size}"));
        assert_eq!(fs::read(twin).unwrap(), before, "the same object elsewhere");
        assert!(size == 0 || fs::read(fixture.object_path(blake3::hash(&before).as_bytes())).unwrap() == before);
    }
    let path = inside(&mount, "usr/lib/size-100000");
    let number = fs::metadata(&path).unwrap().ino();
    let mut file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    file.seek(SeekFrom::Start(50_000)).unwrap();
    file.write_all(b"middle").unwrap();
    file.set_len(60_000).unwrap();
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(49_999)).unwrap();
    file.read_to_end(&mut tail).unwrap();
    assert_eq!((tail.len(), &tail[1..7]), (10_001, b"middle".as_slice()));
    let kept = fs::metadata(&path).unwrap().ino() == number;
    assert_eq!(kept, !view.exceptions().contains(&Exception::FilesAreHardLinks), "a file keeps its number");
}

pub(crate) fn changed_attributes(view: &dyn View, fixture: &Fixture) {
    let (mount, upper) = writable(view, fixture, "attributes");
    let path = inside(&mount, "usr/lib/size-4097");
    let before = fs::read(&path).unwrap();
    let number = fs::metadata(&path).unwrap().ino();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    let status = fs::metadata(&path).unwrap();
    let keeps = !view.exceptions().contains(&Exception::FilesAreHardLinks);
    assert_eq!((status.mode() & 0o7777, status.ino() == number), (0o600, keeps));
    assert_eq!(fs::read(&path).unwrap(), before);
    // A change of mode alone copies the content too, unless the kernel is too old for it.
    if !in_memory(view) {
        // A block may be for attributes.
        let copied = fs::metadata(upper.upperdir.join("usr/lib/size-4097")).unwrap();
        assert_eq!((copied.len(), copied.blocks() * 512 < 4097), (4097, leans(view, fixture)), "content in the upper");
    }
    let kept = !view.exceptions().contains(&Exception::OldTmpfsHasNoAttributes) || kernel::tmpfs_has_attributes();
    let set = rustix::fs::setxattr(&path, "user.mine", b"1", XattrFlags::empty());
    assert_eq!(set, if kept { Ok(()) } else { Err(Errno::OPNOTSUPP) });
    assert_eq!(attributes_of(&path).get(b"user.mine".as_slice()), kept.then_some(&b"1".to_vec()));
    let (noted, directory) = (inside(&mount, "etc/noted.d"), inside(&mount, "etc/mode-1777"));
    fs::write(noted.join("new"), "x").unwrap();
    let note = kept.then_some(vec![0, 255, 10]);
    assert_eq!(attributes_of(&noted).get(b"user.note".as_slice()), note.as_ref(), "kept in the copy");
    fs::set_permissions(&directory, PermissionsExt::from_mode(0o755)).unwrap();
    assert_eq!(fs::read_to_string(directory.join("inside")).unwrap(), "inside");
    chown(inside(&mount, "usr/bin/mode-4755"), Some(0), Some(0)).unwrap();
    File::options().write(true).open(&path).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mtime(), 0);
}

pub(crate) fn removed(view: &dyn View, fixture: &Fixture) {
    let (mount, _upper) = writable(view, fixture, "removed");
    let listing = |path: &str| fs::read_dir(inside(&mount, path)).unwrap().count();
    let before = listing("usr/bin");
    fs::remove_file(inside(&mount, "usr/bin/ping")).unwrap();
    assert_eq!(fs::symlink_metadata(inside(&mount, "usr/bin/ping")).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(listing("usr/bin"), before - 1);
    fs::write(inside(&mount, "usr/bin/ping"), "again").unwrap();
    assert_eq!(fs::read_to_string(inside(&mount, "usr/bin/ping")).unwrap(), "again");
    fs::remove_file(inside(&mount, "etc/dangling")).unwrap();
    let full = fs::remove_dir(inside(&mount, "usr/many")).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::DirectoryNotEmpty);
    fs::remove_dir_all(inside(&mount, "usr/many")).unwrap();
    fs::create_dir(inside(&mount, "usr/many")).unwrap();
    assert_eq!(listing("usr/many"), 0, "a directory made again is empty");
    fs::write(inside(&mount, "usr/many/entry-1"), "x").unwrap();
    assert_eq!(listing("usr/many"), 1);
    fs::remove_dir(inside(&mount, "empty")).unwrap();
    fs::write(inside(&mount, "empty"), "a file now").unwrap();
}

pub(crate) fn renamed(view: &dyn View, fixture: &Fixture) {
    let (mount, _upper) = writable(view, fixture, "renamed");
    let at = |path: &str| inside(&mount, path);
    let content = fs::read(at("usr/lib/size-4096")).unwrap();
    fs::rename(at("usr/lib/size-4096"), at("etc/moved")).unwrap();
    assert_eq!(fs::read(at("etc/moved")).unwrap(), content);
    assert!(!at("usr/lib/size-4096").exists());
    fs::rename(at("etc/moved"), at("usr/lib/size-4095")).unwrap();
    assert_eq!(fs::read(at("usr/lib/size-4095")).unwrap(), content, "over another file of the view");
    fs::rename(at("bin"), at("bin-moved")).unwrap();
    assert_eq!(fs::read_link(at("bin-moved")).unwrap().to_str(), Some("usr/bin"));
    // mv and dpkg copy when they are told EXDEV.
    let directory = fs::rename(at("usr/bin"), at("usr/moved")).map_err(|error| error.kind());
    let renames = leans(view, fixture) || view.exceptions().contains(&Exception::DirectoriesCanBeRenamed);
    let expected = if renames { Ok(()) } else { Err(ErrorKind::CrossesDevices) };
    assert_eq!(directory, expected, "a directory of the view");
    fs::create_dir(at("usr/own")).unwrap();
    fs::write(at("usr/own/file"), "x").unwrap();
    fs::rename(at("usr/own"), at("etc/own")).unwrap();
    assert_eq!(fs::read_to_string(at("etc/own/file")).unwrap(), "x");
}

pub(crate) fn links(view: &dyn View, fixture: &Fixture) {
    let (mount, _upper) = writable(view, fixture, "links");
    let unnamed = openat(&mount, "usr/lib", OFlags::TMPFILE | OFlags::RDWR, Mode::RUSR | Mode::WUSR);
    let none = view.exceptions().contains(&Exception::OldKernelsHaveNoUnnamedFiles)
        && !kernel::overlay_has_unnamed_files(&fixture.directory);
    assert_eq!(unnamed.as_ref().err(), none.then_some(&Errno::OPNOTSUPP));
    if let Ok(unnamed) = unnamed {
        let mut unnamed = File::from(unnamed);
        unnamed.write_all(b"unnamed").unwrap();
        let by_descriptor =
            inside(&mount, "x").parent().unwrap().with_file_name(std::os::fd::AsRawFd::as_raw_fd(&unnamed).to_string());
        linkat(rustix::fs::CWD, &by_descriptor, &mount, "usr/lib/named", AtFlags::SYMLINK_FOLLOW).unwrap();
        assert_eq!(fs::read_to_string(inside(&mount, "usr/lib/named")).unwrap(), "unnamed");
    }
    fs::hard_link(inside(&mount, "usr/lib/size-65"), inside(&mount, "usr/lib/second")).unwrap();
    fs::write(inside(&mount, "usr/lib/second"), "both").unwrap();
    assert_eq!(fs::read_to_string(inside(&mount, "usr/lib/size-65")).unwrap(), "both");
}

pub(crate) fn text_busy(view: &dyn View, fixture: &Fixture) {
    let (mount, _upper) = writable(view, fixture, "busy");
    let program = inside(&mount, "usr/bin/sleep");
    let mut child = Command::new(&program).arg("60").spawn().unwrap();
    let error = OpenOptions::new().write(true).open(&program).unwrap_err();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(error.kind(), ErrorKind::ExecutableFileBusy);
}

pub(crate) fn inotify(view: &dyn View, fixture: &Fixture) {
    let (mount, _upper) = writable(view, fixture, "inotify");
    let watch = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC).unwrap();
    inotify::add_watch(&watch, inside(&mount, "etc/."), inotify::WatchFlags::CREATE | inotify::WatchFlags::MODIFY)
        .unwrap();
    fs::write(inside(&mount, "etc/told"), "x").unwrap();
    OpenOptions::new().append(true).open(inside(&mount, "etc/time-1")).unwrap().write_all(b"x").unwrap();
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = inotify::Reader::new(&watch, &mut buffer);
    let mut names = Vec::new();
    loop {
        match reader.next() {
            Ok(event) => names.extend(event.file_name().map(|name| name.to_string_lossy().into_owned())),
            Err(Errno::AGAIN) => break,
            Err(error) => panic!("{error}"),
        }
    }
    for name in ["told", "time-1"] {
        assert!(names.iter().any(|told| told == name), "{name} in {names:?}");
    }
}

pub(crate) fn locks(view: &dyn View, fixture: &Fixture) {
    let (mount, _upper) = writable(view, fixture, "locks");
    let open = || OpenOptions::new().read(true).append(true).open(inside(&mount, "usr/lib/size-7")).unwrap();
    let (one, other) = (open(), open());
    flock(&one, FlockOperation::NonBlockingLockExclusive).unwrap();
    assert_eq!(flock(&other, FlockOperation::NonBlockingLockExclusive), Err(Errno::WOULDBLOCK));
}

pub(crate) fn persistent(view: &dyn View, fixture: &Fixture) {
    let (mount, upper) = writable(view, fixture, "persistent");
    // All of the view may be gone, the file that each mount reads among it.
    let never_written = view.exceptions().contains(&Exception::PackagesAreNeverWritten);
    for directory in ["usr", "packages", "names"] {
        let removed = fs::remove_dir_all(inside(&mount, directory));
        assert_eq!(removed.is_err(), directory == "packages" && never_written, "{directory}: {removed:?}");
    }
    fs::write(inside(&mount, "etc/new"), "kept").unwrap();
    drop(mount);
    let mount = view.mount(&fixture.prepare(view), Some(upper.upper())).unwrap();
    let kept = fs::read_to_string(inside(&mount, "etc/new")).ok();
    assert_eq!(kept.as_deref(), (!in_memory(view)).then_some("kept"));
    assert_eq!(inside(&mount, "usr").exists(), in_memory(view));
}

/// A package's file is changed for this container only, if at all; the other name of the same content stays.
pub(crate) fn packages_written(view: &dyn View, fixture: &Fixture) {
    let (mount, _upper) = writable(view, fixture, "packages");
    let never = view.exceptions().contains(&Exception::PackagesAreNeverWritten);
    let expected = if never { Err(ErrorKind::ReadOnlyFilesystem) } else { Ok(()) };
    for (path, twin) in [(PACKAGED_TOOL, TOOL), ("usr/lib/tool/data", "usr/lib/tool/deep/same")] {
        let before = fs::read(inside(&mount, twin)).unwrap();
        let written = fs::write(inside(&mount, path), "changed").map_err(|error| error.kind());
        assert_eq!(written, expected, "{path}");
        assert!(fs::read(inside(&mount, twin)).unwrap() == before, "{twin} is another file");
    }
    let fixed = view.mount(&fixture.prepare(view), None).unwrap();
    assert_eq!(fs::read_to_string(inside(&fixed, "usr/lib/tool/data")).unwrap(), "data of the tool");
}

/// What a package has in `etc` is changed for the container; below `packages` it stays, although the view is one in which a file that nobody
/// writes may be there once for both.
pub(crate) fn outside_packages(view: &dyn View, fixture: &Fixture) {
    let (mount, _upper) = writable(view, fixture, "outside-packages");
    let number = |path: &str| fs::metadata(inside(&mount, path)).unwrap().ino();
    let packaged = |path: &str| format!("{}{path}", PACKAGED_TOOL.strip_suffix(TOOL).unwrap());
    let one = view.exceptions().contains(&Exception::PackagesFilesAreOne);
    assert!(!one || number(TOOL) == number(PACKAGED_TOOL), "one file for both");
    assert!(!one || number("etc/tool.conf") != number(&packaged("etc/tool.conf")), "one that may be written is two");
    let before = fs::read(inside(&mount, packaged("etc/tool.conf"))).unwrap();
    let never = view.exceptions().contains(&Exception::PackagesAreNeverWritten);
    let written = fs::write(inside(&mount, "etc/tool.conf"), "changed").map_err(|error| error.kind());
    assert_eq!(written, if never { Err(ErrorKind::ReadOnlyFilesystem) } else { Ok(()) });
    fs::write(inside(&mount, "usr/lib/tool/new"), "new").unwrap();
    let shown = fs::read(inside(&mount, "etc/tool.conf")).unwrap();
    assert_eq!(shown, if never { before.as_slice() } else { b"changed" });
    assert_eq!(fs::read(inside(&mount, packaged("etc/tool.conf"))).unwrap(), before);
    assert!(!inside(&mount, packaged("usr/lib/tool/new")).exists());
}

pub(crate) fn side_by_side(view: &dyn View, fixture: &Fixture) {
    let upper = fixture.upper("side");
    let prepared = fixture.prepare(view);
    let fixed = view.mount(&prepared, None).unwrap();
    let changing = view.mount(&prepared, Some(upper.upper())).unwrap();
    fs::write(inside(&changing, "usr/lib/size-64"), "changed").unwrap();
    fs::remove_file(inside(&changing, "usr/lib/size-65")).unwrap();
    assert_eq!(fs::read(inside(&fixed, "usr/lib/size-64")).unwrap().len(), 64);
    assert_eq!(fs::read(inside(&fixed, "usr/lib/size-65")).unwrap().len(), 65);
}
