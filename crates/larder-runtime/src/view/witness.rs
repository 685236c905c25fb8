//! The one file that is read after each mount.
//!
//! A wrong mix of overlay options shows zeros *without an error*, so a view that mounts is not yet a view that works. The
//! smallest file with some other byte than zero is chosen when the view is prepared and kept beside it:
//!
//! ```text
//! <object, 64 hexadecimal digits> <size in decimal>\n<path, raw>
//! ```
//!
//! A view without such a file has an empty `witness` and is not checked.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

use super::{ViewKind, ViewKindName, ViewTree};
use crate::error::RuntimeError;

/// No more than this is compared.
const LIMIT: u64 = 64 * 1024;

/// A file of a view and the object that it must show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Witness {
    path: Vec<u8>,
    object: [u8; 32],
    size: u64,
}

impl Witness {
    /// Chooses one.
    pub(crate) fn choose(tree: &ViewTree, objects: &Path) -> Result<Option<Self>, RuntimeError> {
        let files: Vec<_> = tree
            .entries()
            .iter()
            .filter_map(|entry| match entry.kind {
                ViewKind::File { object, size } if size > 0 => Some(Reverse((size, object, &entry.path))),
                _ => None,
            })
            .collect();
        // Nearly always the first will do, so they are not all sorted.
        let mut files = BinaryHeap::from(files);
        while let Some(Reverse((size, object, path))) = files.pop() {
            if head_of_object(objects, &object)?.iter().any(|&byte| byte != 0) {
                return Ok(Some(Self { path: path.clone(), object, size }));
            }
        }
        Ok(None)
    }

    /// Keeps the choice in a prepared view.
    pub(crate) fn store(witness: Option<&Self>, view: &Path) -> Result<(), RuntimeError> {
        let mut bytes = Vec::new();
        if let Some(Self { path, object, size }) = witness {
            bytes.extend_from_slice(format!("{} {size}\n", hex::encode(object)).as_bytes());
            bytes.extend_from_slice(path);
        }
        let file = view.join("witness");
        let write = || -> io::Result<()> {
            let mut out = File::create(&file)?;
            out.write_all(&bytes)?;
            out.sync_all()
        };
        write().map_err(RuntimeError::io("write", &file))
    }

    /// Reads the choice of a prepared view.
    pub(crate) fn load(view: &Path) -> Result<Option<Self>, RuntimeError> {
        let file = view.join("witness");
        let bytes = fs::read(&file).map_err(RuntimeError::io("read", &file))?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let witness = Self::parse(&bytes).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData));
        witness.map(Some).map_err(RuntimeError::io("understand", &file))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let line = bytes.iter().position(|&byte| byte == b'\n')?;
        let (object_hex, size) = std::str::from_utf8(&bytes[..line]).ok()?.split_once(' ')?;
        let mut object = [0; 32];
        hex::decode_to_slice(object_hex, &mut object).ok()?;
        Some(Self { path: bytes[line + 1..].to_vec(), object, size: size.parse().ok()? })
    }

    /// Compares what the mounted view shows with the object.
    pub(crate) fn check(&self, mount: BorrowedFd<'_>, objects: &Path, view: ViewKindName) -> Result<(), RuntimeError> {
        let shown = PathBuf::from(String::from_utf8_lossy(&self.path).into_owned());
        // A way may show it through a link of its own.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = openat2(mount, self.path.as_slice(), flags, Mode::empty(), ResolveFlags::IN_ROOT)
            .map_err(|error| RuntimeError::io("open in the mounted view", &shown)(error.into()))?;
        let (head, length) =
            head_and_length(File::from(file)).map_err(RuntimeError::io("read in the mounted view", &shown))?;
        if length == self.size && head == head_of_object(objects, &self.object)? {
            Ok(())
        } else {
            Err(RuntimeError::ViewMismatch { view, path: shown.to_string_lossy().into_owned() })
        }
    }
}

/// Where an object is.
pub(crate) fn object_path(objects: &Path, object: &[u8; 32]) -> PathBuf {
    let hex = hex::encode(object);
    objects.join(&hex[..2]).join(&hex[2..])
}

fn head_of_object(objects: &Path, object: &[u8; 32]) -> Result<Vec<u8>, RuntimeError> {
    let path = object_path(objects, object);
    let read = || head_and_length(File::open(&path)?);
    Ok(read().map_err(RuntimeError::io("read", &path))?.0)
}

fn head_and_length(file: File) -> io::Result<(Vec<u8>, u64)> {
    let length = file.metadata()?.len();
    let mut head = Vec::new();
    file.take(LIMIT).read_to_end(&mut head)?;
    Ok((head, length))
}
