//! The mounts of a specification: made detached, put in place below the container's root.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use oci_spec::runtime::Mount;
use rustix::fs::{CWD, FileType, Mode, fstat, mkdirat, mknodat, symlinkat};
use rustix::mount::MountAttrFlags;

use super::job::MapKind;
use super::resolve::{RootDir, Target, attach_at};
use crate::error::RuntimeError;
use crate::sys::mount::{AttributeChange, Context, Recursive, clone_tree, set_attributes};

/// The devices that every container has, with their numbers.
const DEVICES: &[(&str, u32, u32)] =
    &[("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

/// The links that every container has in `/dev`.
const LINKS: &[(&str, &str)] = &[
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// A mount's options, sorted into what the kernel wants them as.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    attributes: u64,
    bind: bool,
    recursive: bool,
    optional: bool,
    data: BTreeMap<String, Option<String>>,
}

impl Options {
    fn parse(list: &[String]) -> Self {
        let mut options = Self::default();
        for option in list {
            match option.as_str() {
                "ro" | "rro" => options.attributes |= libc::MOUNT_ATTR_RDONLY,
                "nosuid" => options.attributes |= libc::MOUNT_ATTR_NOSUID,
                "nodev" => options.attributes |= libc::MOUNT_ATTR_NODEV,
                "noexec" => options.attributes |= libc::MOUNT_ATTR_NOEXEC,
                "noatime" => options.attributes |= libc::MOUNT_ATTR_NOATIME,
                "strictatime" => options.attributes |= libc::MOUNT_ATTR_STRICTATIME,
                "bind" => options.bind = true,
                "rbind" => (options.bind, options.recursive) = (true, true),
                "nofail" => options.optional = true,
                // What a mount of our own is anyway.
                "rw" | "suid" | "dev" | "exec" | "relatime" | "private" | "rprivate" | "defaults" => {}
                other => {
                    let (key, value) = match other.split_once('=') {
                        Some((key, value)) => (key, Some(value.to_owned())),
                        None => (other, None),
                    };
                    options.data.insert(key.to_owned(), value);
                }
            }
        }
        options
    }
}

/// Makes every mount of the specification, in order.
pub(super) fn mount_all(root: &RootDir, mounts: &[Mount], map: MapKind) -> Result<(), RuntimeError> {
    for mount in mounts {
        let options = Options::parse(mount.options().as_deref().unwrap_or_default());
        let target = mount.destination();
        let done = mount_one(root, mount, &options, map);
        match done {
            Err(_) if options.optional => continue,
            result => result?,
        }
        if target == Path::new("/dev") && !options.bind {
            populate_dev(root)?;
        }
    }
    Ok(())
}

/// Makes the places of the mounts, for another runtime to mount on: what is read-only later has to have them already.
pub(super) fn make_mount_points(root: &RootDir, mounts: &[Mount]) -> Result<(), RuntimeError> {
    for mount in mounts {
        let options = Options::parse(mount.options().as_deref().unwrap_or_default());
        let place = match mount.source().as_deref().map(Path::metadata) {
            Some(Ok(source)) if options.bind && !source.is_dir() => Target::File,
            _ => Target::Directory,
        };
        let target = mount.destination();
        // What lies in a file system that isn't mounted yet is the runtime's.
        if options.bind && root.target(target, place).is_err() {
            return Err(RuntimeError::start(format!("make the mount point {} in the container", target.display()))(
                io::Error::from_raw_os_error(libc::ENOENT),
            ));
        }
    }
    Ok(())
}

fn mount_one(root: &RootDir, mount: &Mount, options: &Options, map: MapKind) -> Result<(), RuntimeError> {
    let shown = mount.destination().display();
    let kind = mount.typ().as_deref().unwrap_or("bind");
    let look = || RuntimeError::start(format!("look at {shown} in the container"));
    let (made, place) = if options.bind || kind == "bind" {
        let source = mount.source().as_deref().unwrap_or(Path::new(""));
        let made = bind(source, options)?;
        let place = if is_directory(&made).map_err(RuntimeError::io("look at", source))? {
            Target::Directory
        } else {
            Target::File
        };
        (made, place)
    } else {
        // Where an image's /proc leads elsewhere, it is the image that chooses what the kernel's files hide.
        if root.has_link(mount.destination()).map_err(look())? {
            return Err(RuntimeError::Specification(format!(
                "the mount point {shown} is a symbolic link in the image"
            )));
        }
        let gid = if map == MapKind::Single { Gid::Leave } else { Gid::Set };
        (file_system(kind, options, gid, mount.destination())?, Target::Directory)
    };
    let target = root.target(mount.destination(), place).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => RuntimeError::Specification(format!(
            "a symbolic link on the way to the mount point {shown} leads to nothing in the container"
        )),
        _ => RuntimeError::start(format!("make the mount point {shown} in the container"))(error),
    })?;
    // A mount over the root would be in the way when the host's root is taken from the same place.
    if root.is_root(&target).map_err(look())? {
        return Err(RuntimeError::Specification(format!(
            "a symbolic link on the way to the mount point {shown} leads to the container's root"
        )));
    }
    attach_at(made, target).map_err(RuntimeError::start(format!("mount {shown} in the container")))
}

fn bind(source: &Path, options: &Options) -> Result<OwnedFd, RuntimeError> {
    let failed = || RuntimeError::start(format!("bind {} into the container", source.display()));
    let recursive = if options.recursive { Recursive::Yes } else { Recursive::No };
    let tree = clone_tree(CWD, source, recursive).map_err(failed())?;
    change(&tree, options.attributes, recursive).map_err(failed())?;
    Ok(tree)
}

fn change(tree: &OwnedFd, set: u64, recursive: Recursive) -> io::Result<()> {
    let clear = if set & libc::MOUNT_ATTR__ATIME != 0 { libc::MOUNT_ATTR__ATIME } else { 0 };
    set_attributes(tree.as_fd(), c"", AttributeChange { set, clear, ..AttributeChange::default() }, recursive)
}

fn is_directory(fd: &OwnedFd) -> io::Result<bool> {
    Ok(FileType::from_raw_mode(fstat(fd)?.st_mode) == FileType::Directory)
}

/// What becomes of an option that names a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gid {
    Set,
    Leave,
}

fn file_system(kind: &str, options: &Options, gid: Gid, target: &Path) -> Result<OwnedFd, RuntimeError> {
    let name = match kind {
        "proc" => "proc",
        "tmpfs" => "tmpfs",
        "devpts" => "devpts",
        "mqueue" => "mqueue",
        "sysfs" => "sysfs",
        "cgroup" | "cgroup2" => "cgroup2",
        other => return Err(RuntimeError::Specification(format!("file system type {other:?}"))),
    };
    let made = (|| {
        let context = Context::open(name)?;
        context.string("source", name)?;
        for (key, value) in &options.data {
            match value {
                Some(_) if key == "gid" && gid == Gid::Leave => {}
                Some(value) => context.string(key, value.as_str())?,
                // Each devpts and mqueue mounted this way is new; older kernels know no such option.
                None if key == "newinstance" => {}
                None => context.flag(key)?,
            }
        }
        context.mount(MountAttrFlags::from_bits_retain(options.attributes as u32))
    })();
    match made {
        // The network namespace is the host's, and with it the right to see /sys.
        Err(RuntimeError::Mount { source, .. }) if name == "sysfs" && source.raw_os_error() == Some(libc::EPERM) => {
            let sys = Options {
                recursive: true,
                attributes: options.attributes | libc::MOUNT_ATTR_RDONLY,
                ..Options::default()
            };
            bind(Path::new("/sys"), &sys)
        }
        // Without a range of ids no group but the user's own exists.
        Err(RuntimeError::Mount { source, .. })
            if source.raw_os_error() == Some(libc::EINVAL) && gid == Gid::Set && options.data.contains_key("gid") =>
        {
            file_system(kind, options, Gid::Leave, target)
        }
        Err(RuntimeError::Mount { source, log, .. }) => {
            let said = if log.is_empty() { String::new() } else { format!(" ({log})") };
            Err(RuntimeError::start(format!("mount {}{said}", target.display()))(source))
        }
        other => other,
    }
}

fn populate_dev(root: &RootDir) -> Result<(), RuntimeError> {
    let dev = root.place(Path::new("/dev")).map_err(RuntimeError::start("open /dev of the container"))?;
    for &(name, major, minor) in DEVICES {
        let mode = Mode::from_raw_mode(0o666);
        let made = mknodat(&dev, name, FileType::CharacterDevice, mode, rustix::fs::makedev(major, minor));
        if made.is_err() {
            // A user namespace has no device nodes of its own.
            bind_device(root, name)?;
        }
    }
    for &(name, target) in LINKS {
        symlinkat(target, &dev, name)
            .map_err(|error| RuntimeError::start(format!("make /dev/{name}"))(error.into()))?;
    }
    for name in ["pts", "shm", "mqueue"] {
        let _ = mkdirat(&dev, name, Mode::from_raw_mode(0o755));
    }
    Ok(())
}

fn bind_device(root: &RootDir, name: &str) -> Result<(), RuntimeError> {
    let path = PathBuf::from("/dev").join(name);
    let failed = || RuntimeError::start(format!("bind {} into the container", path.display()));
    let device = clone_tree(CWD, &path, Recursive::No).map_err(failed())?;
    let target = root.target(&path, Target::File).map_err(failed())?;
    attach_at(device, target).map_err(failed())
}

/// Binds what is at each path over itself, read-only. What is not there is left out, and what lies in a mount that was asked for is left as asked.
pub(super) fn make_read_only(root: &RootDir, paths: &[PathBuf], mounts: &[Mount]) -> Result<(), RuntimeError> {
    for path in paths {
        let path = Path::new("/").join(path);
        if mounts.iter().any(|mount| path.starts_with(mount.destination())) {
            continue;
        }
        bind_read_only(root, &path)?;
    }
    Ok(())
}

/// Binds what is at `path` over itself, read-only; the mounts below stay as they are.
pub(super) fn bind_read_only(root: &RootDir, path: &Path) -> Result<(), RuntimeError> {
    let failed = || RuntimeError::start(format!("make {} read-only in the container", path.display()));
    let place = match root.place(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        place => place.map_err(failed())?,
    };
    let tree = clone_tree(place.as_fd(), "", Recursive::Yes).map_err(failed())?;
    change(&tree, libc::MOUNT_ATTR_RDONLY, Recursive::No).map_err(failed())?;
    attach_at(tree, place).map_err(failed())
}

fn is_null_device(fd: &OwnedFd) -> io::Result<bool> {
    let found = fstat(fd)?;
    let character = FileType::from_raw_mode(found.st_mode) == FileType::CharacterDevice;
    Ok(character && found.st_rdev == rustix::fs::makedev(1, 3))
}

/// Hides what is at each path: a file behind `/dev/null`, a directory behind an empty read-only one.
pub(super) fn mask(root: &RootDir, paths: &[String]) -> Result<(), RuntimeError> {
    let mut empty: Option<OwnedFd> = None;
    for path in paths {
        let failed = || RuntimeError::start(format!("mask {path}"));
        let place = match root.place(Path::new(path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            place => place.map_err(failed())?,
        };
        let cover = if is_directory(&place).map_err(failed())? {
            match &empty {
                Some(fd) => clone_tree(fd.as_fd(), "", Recursive::No).map_err(failed())?,
                None => {
                    let context = Context::open("tmpfs")?;
                    context.string("mode", "755")?;
                    context.string("size", "0")?;
                    let attributes = libc::MOUNT_ATTR_RDONLY
                        | libc::MOUNT_ATTR_NOSUID
                        | libc::MOUNT_ATTR_NODEV
                        | libc::MOUNT_ATTR_NOEXEC;
                    let made = context.mount(MountAttrFlags::from_bits_retain(attributes as u32))?;
                    attach_at(&made, place).map_err(failed())?;
                    empty = Some(made);
                    continue;
                }
            }
        } else {
            let null = root
                .place(Path::new("/dev/null"))
                .map_err(RuntimeError::start("open /dev/null of the container, behind which files are hidden"))?;
            // A mount over /dev may have put anything there, the very file that is to be hidden included.
            if !is_null_device(&null).map_err(failed())? {
                return Err(RuntimeError::Specification(
                    "/dev/null of the container is not the null device, behind which files are hidden".to_owned(),
                ));
            }
            clone_tree(null.as_fd(), "", Recursive::No).map_err(failed())?
        };
        attach_at(cover, place).map_err(failed())?;
    }
    Ok(())
}
