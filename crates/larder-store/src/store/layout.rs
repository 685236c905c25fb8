//! The folders of a store, their creation, and what is refused.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

use super::lock::{Hold, Lock};
use super::step;
use super::write::{replace_file, sync_folder};
use crate::error::StoreError;

/// The version of the layout that this code reads and writes.
pub(super) const VERSION: u64 = 1;
/// The file that says so: `larder store 1` and a newline. It is written last, so that where it is, all else is.
const FILE: &str = "layout";
const PREFIX: &str = "larder store ";

pub(super) const OBJECTS: &str = "objects";
pub(super) const TREES: &str = "trees";
pub(super) const FILESETS: &str = "filesets";
pub(super) const STATEMENTS: &str = "statements";
pub(super) const REFS: &str = "refs";
pub(super) const VIEWS: &str = "views";
pub(super) const CONTAINERS: &str = "containers";
/// Files under a temporary name. What is here while nobody holds `gc.lock` shared is a dead process's.
pub(super) const TMP: &str = "tmp";
pub(crate) const GC_LOCK: &str = "gc.lock";
pub(super) const MEND_LOCK: &str = "mend.lock";
pub(crate) const INDEX_LOCK: &str = "index.lock";

const FOLDERS: [&str; 8] = [OBJECTS, TREES, FILESETS, STATEMENTS, REFS, VIEWS, CONTAINERS, TMP];

/// Whether a store can be changed; if not, why not.
pub(super) type Writable = Result<(), io::Error>;

/// Finds the store at a folder, or makes one there.
pub(super) fn prepare(root: &Path) -> Result<Writable, StoreError> {
    // Asked first: making a folder that is there, on a disk that can't answer, says that it exists.
    match fs::metadata(root) {
        Ok(found) if found.is_dir() => {}
        Err(e) if e.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => {
            return Err(StoreError::io("look at", root)(e));
        }
        _ => DirBuilder::new().recursive(true).mode(0o755).create(root).map_err(StoreError::io("create", root))?,
    }
    refuse_foreign(root)?;
    refuse_network(root)?;
    if !check_version(root)? {
        create(root)?;
    }
    Ok(writable(root))
}

/// Whether the layout file is there; refuses what it says where that isn't known here.
fn check_version(root: &Path) -> Result<bool, StoreError> {
    step("look at", root);
    let text = match fs::read(root.join(FILE)) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(source) => return Err(StoreError::Unreadable { root: root.into(), source }),
    };
    let text = String::from_utf8_lossy(&text);
    let found = text.trim_end().strip_prefix(PREFIX).and_then(|version| version.parse::<u64>().ok());
    match found {
        Some(VERSION) => Ok(true),
        Some(found) if found > VERSION => Err(StoreError::LaterVersion { root: root.into(), found, known: VERSION }),
        _ => Err(StoreError::NotAStore { root: root.into() }),
    }
}

/// Makes a store in an empty folder, or finishes one that was begun.
fn create(root: &Path) -> Result<(), StoreError> {
    let known = |name: &str| FOLDERS.contains(&name) || name == GC_LOCK;
    step("list", root);
    let entries = fs::read_dir(root).map_err(|source| StoreError::Unreadable { root: root.into(), source })?;
    for entry in entries {
        let entry = entry.map_err(StoreError::io("list", root))?;
        if !entry.file_name().to_str().is_some_and(|name| known(name) || name == FILE) {
            // Another process may have made the store since, and use it.
            return if check_version(root)? { Ok(()) } else { Err(StoreError::NotAStore { root: root.into() }) };
        }
    }
    // Two processes may find the folder empty at once.
    let _lock = Lock::wait(&root.join(GC_LOCK), Hold::Exclusive)?;
    for folder in FOLDERS {
        let path = root.join(folder);
        step("create", &path);
        DirBuilder::new().recursive(true).mode(0o755).create(&path).map_err(StoreError::io("create", &path))?;
    }
    // They last before the file that says that they are there: from then on nobody asks.
    sync_folder(root)?;
    let text = format!("{PREFIX}{VERSION}\n");
    replace_file(&root.join(TMP), &root.join(FILE), text.as_bytes())
}

fn writable(root: &Path) -> Writable {
    let objects = root.join(OBJECTS);
    rustix::fs::access(&objects, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK)?;
    File::options().read(true).write(true).create(true).truncate(false).open(root.join(GC_LOCK)).map(drop)
}

/// A store is trusted: its views are mounted and its links followed. So it must be this user's own, or root's.
fn refuse_foreign(root: &Path) -> Result<(), StoreError> {
    let owner = fs::metadata(root).map_err(StoreError::io("look at", root))?.uid();
    if owner == 0 || owner == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    Err(StoreError::Foreign { root: root.into(), owner })
}

fn refuse_network(root: &Path) -> Result<(), StoreError> {
    let found = rustix::fs::statfs(root).map_err(StoreError::sys("look at the file system of", root))?;
    // The type's width and sign differ between architectures; the numbers all fit into 32 bits.
    match network_kind(found.f_type as u32) {
        Some(kind) => Err(StoreError::NetworkFileSystem { root: root.into(), kind }),
        None => Ok(()),
    }
}

/// The numbers of `linux/magic.h`.
fn network_kind(magic: u32) -> Option<&'static str> {
    match magic {
        0x6969 => Some("NFS"),
        0xff53_4d42 => Some("CIFS"),
        0xfe53_4d42 => Some("SMB"),
        0x5346_414f => Some("AFS"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_known_by_number() {
        assert_eq!(network_kind(0x6969), Some("NFS"));
        assert_eq!(network_kind(0xef53), None);
        let error = StoreError::NetworkFileSystem { root: "/srv/x".into(), kind: "NFS" };
        assert!(error.to_string().contains("NFS") && error.to_string().contains("LARDER_ROOT"), "{error}");
    }
}
