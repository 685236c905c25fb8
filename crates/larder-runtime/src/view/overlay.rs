//! The overlay that each way but the last ends in: a tree over the objects or over nothing, with or without an upper.
//!
//! The options differ by kernel, and each is found by trying: the objects as a data-only layer need `metacopy=on` before
//! about 6.16, layers are given by descriptor from about 6.15, one by one and by path from about 6.7, and before that all in one
//! text, where the objects are an ordinary layer below the tree. Without an old kernel's need `metacopy` and `redirect_dir` stay
//! off, so that an upper holds whole files and renaming a directory of the view says EXDEV.
//!
//! `xino` stays off as well: with it inode numbers pass 2^63, which some readers of JSON collapse. Without it `st_dev` of a
//! file differs from its directory's, so `du -x` counts directories only.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, open};
use rustix::mount::MountAttrFlags;

use super::attached::Attached;
use super::{LayerEnd, Upper};
use crate::error::RuntimeError;
use crate::sys::mount::Context;

/// Whose attributes lead from the tree to the objects. The two are never mixed: `userxattr` over a tree with trusted
/// attributes reads as zeros without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marks {
    /// `trusted.overlay.*`: root only.
    Trusted,
    /// `user.overlay.*`: anybody.
    User,
}

/// What is below a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Below<'a> {
    /// The directory of objects, to which the tree's files lead.
    Objects(&'a Path),
    /// An empty directory: the tree has its files itself, but an overlay without an upper wants two layers.
    Nothing(&'a Path),
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
    /// What the tree lies over.
    pub(crate) below: Below<'a>,
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

/// How layers are named to the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// Each by an open descriptor.
    Descriptor,
    /// Each by its path.
    Path,
    /// All in one text, by the names that `/proc` has for open descriptors: they need no escaping and fit into the one page that old
    /// kernels have for all options.
    Joined,
}

/// Newest kernels first. With `userxattr` the kernel takes no `metacopy=on`, and no kernel that wants the layers in one text follows
/// its marks.
const ATTEMPTS: [Attempt; 5] = [
    Attempt { by: By::Descriptor, metacopy: false },
    Attempt { by: By::Descriptor, metacopy: true },
    Attempt { by: By::Path, metacopy: false },
    Attempt { by: By::Path, metacopy: true },
    Attempt { by: By::Joined, metacopy: true },
];

/// For a tree that leads nowhere.
const PLAIN: [Attempt; 3] = [
    Attempt { by: By::Descriptor, metacopy: false },
    Attempt { by: By::Path, metacopy: false },
    Attempt { by: By::Joined, metacopy: false },
];

impl Layers<'_> {
    fn attempts(&self) -> impl Iterator<Item = Attempt> + use<> {
        let all: &[Attempt] = if matches!(self.below, Below::Nothing(_)) { &PLAIN } else { &ATTEMPTS };
        let by_user = self.marks == Marks::User;
        all.iter().copied().filter(move |attempt| !(by_user && attempt.metacopy))
    }
}

/// Mounts the overlay, attached nowhere.
///
/// # Errors
/// The refusal of the attempt for the newest kernels that this one understands.
pub(crate) fn mount(layers: Layers<'_>) -> Result<OwnedFd, RuntimeError> {
    let (mut first, mut one_text_only, mut attached) = (None, None, None);
    for attempt in layers.attempts() {
        if one_text_only.is_some() && attempt.by != By::Joined {
            continue;
        }
        // Once taken out of the tree a mount can't come back, so it stays for all the attempts that want it there.
        if attached.is_none() && layers.detached && attempt.by != By::Descriptor {
            attached = Some(Attached::new(layers.tree, layers.tree_path)?);
        }
        match try_mount(layers, attempt) {
            Ok(mount) => return Ok(mount),
            // An overlay that takes no descriptors at all takes all options as one text. Trying the others would fill the kernel's log.
            Err(error) if has_no_descriptors(&error) => one_text_only = Some(error),
            Err(error) => {
                first.get_or_insert(error);
            }
        }
    }
    // There is always a first attempt, so there is an error.
    Err(first.or(one_text_only).unwrap_or(RuntimeError::NoView(Vec::new())))
}

fn has_no_descriptors(error: &RuntimeError) -> bool {
    matches!(error, RuntimeError::Mount { source, .. } if source.raw_os_error() == Some(libc::EOPNOTSUPP))
}

/// One attempt. A detached tree must be attached already where the attempt isn't by descriptor.
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
        By::Descriptor => by_descriptor(&overlay, layers)?,
        By::Path => by_path(&overlay, layers)?,
        By::Joined => {
            let _open = joined(&overlay, layers)?;
            // The names in `/proc` are looked up while the overlay is made.
            return finish(overlay, layers);
        }
    }
    finish(overlay, layers)
}

/// The option for what is below, and where that is.
fn below(layers: Layers<'_>) -> (&'static str, &Path) {
    match layers.below {
        Below::Objects(path) => ("datadir+", path),
        Below::Nothing(path) => ("lowerdir+", path),
    }
}

fn by_descriptor(overlay: &Context, layers: Layers<'_>) -> Result<(), RuntimeError> {
    let (key, path) = below(layers);
    overlay.descriptor("lowerdir+", layers.tree)?;
    set_directory(overlay, key, path)?;
    if let Some(upper) = layers.upper {
        set_directory(overlay, "upperdir", upper.upperdir)?;
        set_directory(overlay, "workdir", upper.workdir)?;
    }
    Ok(())
}

fn by_path(overlay: &Context, layers: Layers<'_>) -> Result<(), RuntimeError> {
    let (key, path) = below(layers);
    overlay.string("lowerdir+", layers.tree_path)?;
    overlay.string(key, path)?;
    if let Some(upper) = layers.upper {
        overlay.string("upperdir", upper.upperdir)?;
        overlay.string("workdir", upper.workdir)?;
    }
    Ok(())
}

/// Gives the descriptors that must stay open until the overlay is made.
fn joined(overlay: &Context, layers: Layers<'_>) -> Result<Vec<OwnedFd>, RuntimeError> {
    let name = |fd: BorrowedFd<'_>| format!("/proc/self/fd/{}", fd.as_raw_fd());
    let lower = open_directory(below(layers).1)?;
    overlay.string("lowerdir", format!("{}:{}", name(layers.tree), name(lower.as_fd())))?;
    let mut open = vec![lower];
    if let Some(upper) = layers.upper {
        for (key, path) in [("upperdir", upper.upperdir), ("workdir", upper.workdir)] {
            let directory = open_directory(path)?;
            overlay.string(key, name(directory.as_fd()))?;
            open.push(directory);
        }
    }
    Ok(open)
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsRawFd;
    use std::process::Command;

    use super::*;
    use crate::view::erofs::{Erofs, mount_image};
    use crate::view::stubs::Stubs;
    use crate::view::way::{Making, Way};
    use crate::view::witness::{Witness, object_path};
    use crate::view::{RootAttributes, ViewEntry, ViewKind, ViewKindName, ViewTree, Written};

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
        let write = |way: &dyn Fn(&Making<'_>) -> Result<(), RuntimeError>, name: &str| {
            let (objects, directory) = (&objects, &directory.path().join(name));
            let written = Written::Anything;
            way(&Making { tree: &tree, objects, views: directory, directory, written }).unwrap();
        };
        write(&|making| Erofs.write(making), "erofs");
        write(&|making| Stubs.write(making), "stubs");
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
                below: Below::Objects(&objects),
                upper,
                marks: Marks::Trusted,
            };
            let attached = (attempt.by != By::Descriptor).then(|| Attached::new(image.as_fd(), &path).unwrap());
            check(try_mount(layers, attempt), attempt);
            drop(attached);
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
        for attempt in PLAIN {
            let [tree, empty] = ["plain", "empty"].map(|name| directory.path().join(name));
            fs::create_dir_all(&tree).unwrap();
            fs::create_dir_all(&empty).unwrap();
            fs::write(tree.join("file"), "content").unwrap();
            let open = open_directory(&tree).unwrap();
            for marks in [Marks::Trusted, Marks::User] {
                let below = Below::Nothing(&empty);
                let (tree, tree_path) = (open.as_fd(), tree.as_path());
                let layers = Layers { tree, tree_path, detached: false, below, upper: None, marks };
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
            below: Below::Objects(objects),
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
