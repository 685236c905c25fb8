//! What this kernel can do, found without the code under test: which exceptions are to be expected.

use std::fs;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use rustix::fs::XattrFlags;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen};

use crate::fixture::directory;

/// The kernel's version, for tests that must know what to expect; the views themselves never look at it.
pub(crate) fn version() -> (u32, u32) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Whether an overlay follows a lower file's `metacopy` mark into a data-only layer with `metacopy=off`.
pub(crate) fn follows_marks_by_itself() -> bool {
    let directory = directory();
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
