//! What this kernel can do, found without the code under test: which exceptions are to be expected.

use std::fs;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, XattrFlags, openat};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen,
};

/// The kernel's version, for tests that must know what to expect; the views themselves never look at it.
pub(crate) fn version() -> (u32, u32) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Whether an overlay follows a lower file's `metacopy` mark into a data-only layer with `metacopy=off`.
pub(crate) fn follows_marks_by_itself(place: &Path) -> bool {
    let directory = tempfile::tempdir_in(place).unwrap();
    let [tree, objects] = ["tree", "objects"].map(|name| directory.path().join(name));
    fs::create_dir(&tree).unwrap();
    fs::create_dir(&objects).unwrap();
    fs::write(objects.join("object"), "content").unwrap();
    let file = tree.join("file");
    fs::File::create(&file).unwrap().set_len(7).unwrap();
    rustix::fs::setxattr(&file, "trusted.overlay.metacopy", b"", XattrFlags::empty()).unwrap();
    rustix::fs::setxattr(&file, "trusted.overlay.redirect", b"/object", XattrFlags::empty()).unwrap();
    shows(&tree, &objects).is_ok_and(|content| content == "content")
}

/// Whether a tmpfs keeps `user.*` attributes.
pub(crate) fn tmpfs_has_attributes() -> bool {
    let tmpfs = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).unwrap();
    fsconfig_create(tmpfs.as_fd()).unwrap();
    let mount = fsmount(tmpfs.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).unwrap();
    let root = format!("/proc/self/fd/{}/.", mount.as_raw_fd());
    rustix::fs::setxattr(root, "user.test", b"1", XattrFlags::empty()).is_ok()
}

/// Whether `O_TMPFILE` works in an overlay.
pub(crate) fn overlay_has_unnamed_files(place: &Path) -> bool {
    let directory = tempfile::tempdir_in(place).unwrap();
    let overlay = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).unwrap();
    let [lower, upper, work] = ["lower", "upper", "work"].map(|name| directory.path().join(name));
    for (key, path) in [("lowerdir", &lower), ("upperdir", &upper), ("workdir", &work)] {
        fs::create_dir(path).unwrap();
        fsconfig_set_string(overlay.as_fd(), key, path).unwrap();
    }
    // Anybody may mount it so.
    fsconfig_set_flag(overlay.as_fd(), "userxattr").unwrap();
    fsconfig_create(overlay.as_fd()).unwrap();
    let mount = fsmount(overlay.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).unwrap();
    openat(&mount, ".", OFlags::TMPFILE | OFlags::RDWR, Mode::RUSR | Mode::WUSR).is_ok()
}

fn shows(tree: &Path, objects: &Path) -> std::io::Result<String> {
    let overlay = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    let options = [("source", "test"), ("metacopy", "off"), ("redirect_dir", "nofollow")];
    for (key, value) in options {
        fsconfig_set_string(overlay.as_fd(), key, value)?;
    }
    fsconfig_set_string(overlay.as_fd(), "lowerdir+", tree)?;
    fsconfig_set_string(overlay.as_fd(), "datadir+", objects)?;
    fsconfig_create(overlay.as_fd())?;
    let mount = fsmount(overlay.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
    fs::read_to_string(format!("/proc/self/fd/{}/file", mount.as_raw_fd()))
}
