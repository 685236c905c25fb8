//! The overlay that each way of the first three ends in: a tree of metadata over the objects, with or without an upper.
//!
//! The options differ by kernel, and each is found by trying: the objects as a data-only layer need `metacopy=on` before
//! about 6.16, layers are given by descriptor from about 6.15 and by path before. Without an old kernel's need `metacopy`
//! and `redirect_dir` stay off, so that an upper holds whole files and renaming a directory of the view says EXDEV.
//!
//! `xino` stays off as well: with it inode numbers pass 2^63, which some readers of JSON collapse. Without it `st_dev` of a
//! file differs from its directory's, so `du -x` counts directories only.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, open};
use rustix::mount::MountAttrFlags;

use super::{LayerEnd, Upper};
use crate::error::RuntimeError;
use crate::sys::mount::{self, Context};

/// Whose attributes lead from the tree to the objects. The two are never mixed: `userxattr` over a tree with trusted
/// attributes reads as zeros without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marks {
    /// `trusted.overlay.*`: root only.
    Trusted,
    /// `user.overlay.*`: anybody.
    User,
}

/// The layers of one overlay.
#[derive(Clone, Copy)]
pub(crate) struct Layers<'a> {
    /// The tree: a directory or a detached mount.
    pub(crate) tree: BorrowedFd<'a>,
    /// Where the tree is, or where a detached one may be attached for a moment.
    pub(crate) tree_path: &'a Path,
    /// Whether `tree` is a detached mount.
    pub(crate) detached: bool,
    /// The directory of objects.
    pub(crate) objects: &'a Path,
    /// The writable layer.
    pub(crate) upper: Option<Upper<'a>>,
    /// The tree's attributes.
    pub(crate) marks: Marks,
}

#[derive(Debug, Clone, Copy)]
struct Attempt {
    by: By,
    metacopy: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Descriptor,
    Path,
}

/// Newest kernels first. With `userxattr` the kernel takes no `metacopy=on`.
const ATTEMPTS: [Attempt; 4] = [
    Attempt { by: By::Descriptor, metacopy: false },
    Attempt { by: By::Descriptor, metacopy: true },
    Attempt { by: By::Path, metacopy: false },
    Attempt { by: By::Path, metacopy: true },
];

/// Mounts the overlay, attached nowhere.
///
/// # Errors
/// The refusal of the attempt for the newest kernels, whose words say most.
pub(crate) fn mount(layers: Layers<'_>) -> Result<OwnedFd, RuntimeError> {
    let mut first = None;
    for attempt in ATTEMPTS {
        if layers.marks == Marks::User && attempt.metacopy {
            continue;
        }
        match try_mount(layers, attempt) {
            Ok(mount) => return Ok(mount),
            Err(error) => {
                first.get_or_insert(error);
            }
        }
    }
    // The first attempt is never left out, so there is an error.
    Err(first.unwrap_or(RuntimeError::NoView(Vec::new())))
}

fn try_mount(layers: Layers<'_>, attempt: Attempt) -> Result<OwnedFd, RuntimeError> {
    let overlay = Context::open("overlay")?;
    overlay.string("source", "larder")?;
    overlay.string("index", "off")?;
    overlay.string("xino", "off")?;
    if layers.upper.is_some_and(|upper| upper.end == LayerEnd::Removed) {
        // Otherwise unmounting writes out the whole file system of the host that the layer is on.
        overlay.flag("volatile")?;
    }
    match layers.marks {
        Marks::User => overlay.flag("userxattr")?,
        Marks::Trusted if attempt.metacopy => {
            overlay.string("metacopy", "on")?;
            overlay.string("redirect_dir", "on")?;
        }
        Marks::Trusted => {
            overlay.string("metacopy", "off")?;
            overlay.string("redirect_dir", "nofollow")?;
        }
    }
    match attempt.by {
        By::Descriptor => {
            overlay.descriptor("lowerdir+", layers.tree)?;
            set_directory(&overlay, "datadir+", layers.objects)?;
            if let Some(upper) = layers.upper {
                set_directory(&overlay, "upperdir", upper.upperdir)?;
                set_directory(&overlay, "workdir", upper.workdir)?;
            }
            finish(overlay, layers)
        }
        By::Path => {
            let _attached = Attached::new(layers)?;
            overlay.string("lowerdir+", layers.tree_path)?;
            overlay.string("datadir+", layers.objects)?;
            if let Some(upper) = layers.upper {
                overlay.string("upperdir", upper.upperdir)?;
                overlay.string("workdir", upper.workdir)?;
            }
            finish(overlay, layers)
        }
    }
}

fn finish(overlay: Context, layers: Layers<'_>) -> Result<OwnedFd, RuntimeError> {
    let attributes = if layers.upper.is_some() { MountAttrFlags::empty() } else { MountAttrFlags::MOUNT_ATTR_RDONLY };
    overlay.mount(attributes)
}

fn set_directory(overlay: &Context, key: &str, path: &Path) -> Result<(), RuntimeError> {
    let directory = open_directory(path)?;
    overlay.descriptor(key, directory.as_fd())
}

/// Opens a directory for reading: kernels before 6.15 take no `O_PATH` descriptors as layers.
pub(crate) fn open_directory(path: &Path) -> Result<OwnedFd, RuntimeError> {
    open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| RuntimeError::io("open", path)(error.into()))
}

/// A detached tree attached for as long as the overlay needs a path to it.
struct Attached<'a>(Option<&'a Path>);

impl<'a> Attached<'a> {
    fn new(layers: Layers<'a>) -> Result<Self, RuntimeError> {
        if !layers.detached {
            return Ok(Self(None));
        }
        mount::attach(layers.tree, layers.tree_path).map_err(RuntimeError::io("mount on", layers.tree_path))?;
        Ok(Self(Some(layers.tree_path)))
    }
}

impl Drop for Attached<'_> {
    fn drop(&mut self) {
        if let Some(path) = self.0 {
            // It can only fail when it isn't mounted any more.
            let _ = mount::detach(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsRawFd;
    use std::process::Command;

    use super::*;
    use crate::view::erofs::{Erofs, mount_image};
    use crate::view::stubs::Stubs;
    use crate::view::way::Way;
    use crate::view::witness::{Witness, object_path};
    use crate::view::{RootAttributes, ViewEntry, ViewKind, ViewKindName, ViewTree};

    /// The attempts for older kernels work on newer ones too, so all of them can be tried in one place.
    #[test]
    fn every_attempt_shows_the_objects() {
        if !rustix::process::geteuid().is_root() {
            // Not through a macro, whose output the harness would hide.
            let said = std::io::Write::write_all(
                &mut std::io::stderr(),
                b"SKIPPED the overlays for older kernels: it needs root\n",
            );
            return said.unwrap();
        }
        // Attaching a mount for a moment wants a mount namespace of its own.
        let output = Command::new("unshare")
            .args(["-m", "--propagation", "private"])
            .arg(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "view::overlay::tests::every_attempt"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
    }

    #[test]
    #[ignore = "run by the test above, in a mount namespace"]
    fn every_attempt() {
        let directory = tempfile::tempdir().unwrap();
        let objects = directory.path().join("objects");
        let object = object_path(&objects, &[7; 32]);
        fs::create_dir_all(object.parent().unwrap()).unwrap();
        fs::write(&object, "content").unwrap();
        let entry = ViewEntry {
            path: b"file".to_vec(),
            kind: ViewKind::File { object: [7; 32], size: 7 },
            mode: 0o600,
            uid: 0,
            gid: 0,
            mtime: 0,
            xattrs: Vec::new(),
        };
        let root = RootAttributes { mode: 0o755, uid: 0, gid: 0, mtime: 0 };
        let tree = ViewTree::new(root, vec![entry]).unwrap();
        for way in ["erofs", "stubs"] {
            fs::create_dir(directory.path().join(way)).unwrap();
        }
        Erofs.write(&tree, &directory.path().join("erofs")).unwrap();
        Stubs.write(&tree, &directory.path().join("stubs")).unwrap();
        for (index, attempt) in ATTEMPTS.into_iter().enumerate() {
            let upper = directory.path().join(format!("upper-{index}"));
            let work = directory.path().join(format!("work-{index}"));
            fs::create_dir(&upper).unwrap();
            fs::create_dir(&work).unwrap();
            let upper = Some(Upper { upperdir: &upper, workdir: &work, end: LayerEnd::Kept });
            let path = directory.path().join("erofs/mountpoint");
            let image = mount_image(&directory.path().join("erofs")).unwrap();
            let layers = Layers {
                tree: image.as_fd(),
                tree_path: &path,
                detached: true,
                objects: &objects,
                upper,
                marks: Marks::Trusted,
            };
            check(try_mount(layers, attempt), attempt);
            assert!(fs::read_dir(&path).unwrap().next().is_none(), "{attempt:?}: still attached");

            if !attempt.metacopy {
                let path = directory.path().join("stubs/tree");
                let stubs = open_directory(&path).unwrap();
                let layers = Layers {
                    tree: stubs.as_fd(),
                    tree_path: &path,
                    detached: false,
                    upper: None,
                    marks: Marks::User,
                    ..layers
                };
                check(try_mount(layers, attempt), attempt);
            }
        }
        mixed_marks_are_found(directory.path(), &objects, &tree);
    }

    /// Cause: `userxattr` over an image with trusted attributes reads as zeros without an error.
    fn mixed_marks_are_found(directory: &Path, objects: &Path, tree: &ViewTree) {
        let image = mount_image(&directory.join("erofs")).unwrap();
        let layers = Layers {
            tree: image.as_fd(),
            tree_path: directory,
            detached: true,
            objects,
            upper: None,
            marks: Marks::User,
        };
        let mount = try_mount(layers, ATTEMPTS[0]).unwrap();
        assert_eq!(fs::read(format!("/proc/self/fd/{}/file", mount.as_raw_fd())).unwrap(), [0; 7]);
        let witness = Witness::choose(tree, objects).unwrap().unwrap();
        let error = witness.check(mount.as_fd(), objects, ViewKindName::Erofs).unwrap_err();
        assert!(matches!(error, RuntimeError::ViewMismatch { .. }), "{error}");
    }

    fn check(mount: Result<OwnedFd, RuntimeError>, attempt: Attempt) {
        let mount = mount.unwrap_or_else(|error| panic!("{attempt:?}: {}", error.chain()));
        let file = format!("/proc/self/fd/{}/file", mount.as_raw_fd());
        assert_eq!(fs::read_to_string(file).unwrap(), "content", "{attempt:?}");
    }
}
