//! Removing what a build or a script may have made: folders in folders, as deep as anybody likes.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, chmodat, openat, renameat, unlinkat};
use rustix::io::Errno;

/// How many levels are open at a time. The standard library's way opens one descriptor for each level and calls itself as often.
const LEVELS: usize = 64;

/// Removes a folder with everything in it, however deep that is. Nothing outside of it is touched, whatever links are in it.
///
/// # Errors
/// It isn't a folder, or something in it can't be removed.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    let top = folder(CWD, path)?;
    let mut moved = 0;
    loop {
        let before = moved;
        empty(top.as_fd(), (top.as_fd(), 0), &mut moved)?;
        if moved == before {
            break;
        }
    }
    Ok(unlinkat(CWD, path, AtFlags::REMOVEDIR)?)
}

/// Empties a folder that is so deep below the top. What is deeper than can be open at a time is moved to the top, for another round.
fn empty(top: BorrowedFd<'_>, (within, depth): (BorrowedFd<'_>, usize), moved: &mut u64) -> io::Result<()> {
    for name in names(within)? {
        match unlinkat(within, &name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => continue,
            // It is a folder.
            Err(Errno::ISDIR | Errno::PERM) => {}
            Err(error) => return Err(error.into()),
        }
        if depth == LEVELS {
            renameat(within, &name, top, format!(".deep-{moved}"))?;
            *moved += 1;
            continue;
        }
        let inner = folder(within, &name)?;
        empty(top, (inner.as_fd(), depth + 1), moved)?;
        unlinkat(within, &name, AtFlags::REMOVEDIR)?;
    }
    Ok(())
}

fn names(folder: BorrowedFd<'_>) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let name = entry?.file_name().to_owned();
        if name.as_bytes() != b"." && name.as_bytes() != b".." {
            names.push(name);
        }
    }
    Ok(names)
}

/// Opens a folder, also one that its owner has closed.
fn folder<P: rustix::path::Arg + Copy>(within: impl AsFd, name: P) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || openat(&within, name, flags, Mode::empty());
    let opened = match open() {
        Err(Errno::ACCESS) => {
            chmodat(&within, name, Mode::RWXU, AtFlags::empty())?;
            open()
        }
        opened => opened,
    };
    Ok(opened?)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rustix::fs::mkdirat;

    use super::*;

    #[test]
    fn folders_of_any_depth_are_removed_and_links_are_not_followed() {
        let dir = tempfile::tempdir().expect("folder");
        let (tree, outside) = (dir.path().join("tree"), dir.path().join("outside"));
        fs::create_dir_all(tree.join("a/b")).expect("folders");
        fs::write(&outside, "kept").expect("file");
        std::os::unix::fs::symlink(dir.path(), tree.join("a/link")).expect("link");
        fs::write(tree.join("a/b/file"), "x").expect("file");
        // Deeper than a path can be long, and than descriptors can be open.
        let mut at = folder(CWD, tree.as_path()).expect("open");
        for _ in 0..20_000 {
            mkdirat(&at, "d", Mode::RWXU).expect("folder");
            at = folder(&at, "d").expect("open");
        }
        drop(at);
        remove_tree(&tree).expect("removed");
        assert!(!tree.exists() && outside.exists());
        assert!(remove_tree(&outside).is_err() && outside.exists());
    }
}
