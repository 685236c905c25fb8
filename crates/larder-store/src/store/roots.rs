//! What containers and cached views need beyond the refs: the files `containers/<id>/roots` and `views/<key>/roots`.
//!
//! A line each: `fileset blake3:…`, `tree blake3:…`, `object blake3:…` or `view <key>`, sorted, each once. A container's
//! are roots of garbage collection for as long as its folder is there, running or not; a view's aren't: a view whose needs
//! are gone goes with them.
//!
//! Neither is synced: no container outlives a crash of the machine, and a view without its needs is made again. A start
//! would wait for the disk otherwise.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use super::{Store, replace_cache, step};
use crate::error::{Content, StoreError};

const FILE: &str = "roots";

/// Something that is needed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Root {
    /// Content: a FileSet with its Tree and imports, a Tree with its objects, or an object.
    Content(Content),
    /// The cached view with this key.
    View(String),
}

/// A set of things that are needed.
pub type Roots = BTreeSet<Root>;

impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Content(content) => content.fmt(f),
            Self::View(key) => write!(f, "view {key}"),
        }
    }
}

impl Root {
    fn parse(line: &str) -> Option<Self> {
        let (kind, text) = line.split_once(' ')?;
        Some(match kind {
            "fileset" => Self::Content(Content::FileSet(text.parse().ok()?)),
            "tree" => Self::Content(Content::Tree(text.parse().ok()?)),
            "object" => Self::Content(Content::Object(text.parse().ok()?)),
            "view" if is_folder_name(text) => Self::View(text.to_owned()),
            _ => return None,
        })
    }
}

impl Store {
    /// Writes down what a container needs, replacing what was written before; its folder is made if need be.
    ///
    /// Hold a [`Lease`](super::Lease) from before this call until the container's content has been looked up.
    ///
    /// # Errors
    /// An id that can't be a folder's name; a store that can only be read; I/O.
    pub fn write_container_roots(&self, id: &str, roots: &Roots) -> Result<(), StoreError> {
        self.write_roots(&self.containers_dir(), id, roots, "container")
    }

    /// Writes down what a cached view needs; its folder is made if need be.
    ///
    /// # Errors
    /// As of [`write_container_roots`](Self::write_container_roots).
    pub fn write_view_roots(&self, key: &str, roots: &Roots) -> Result<(), StoreError> {
        self.check_writable()?;
        // So that its file isn't taken for a dead process's on the way.
        let _lease = self.lease()?;
        self.write_roots(&self.views_dir(), key, roots, "view")
    }

    fn write_roots(&self, parent: &Path, name: &str, roots: &Roots, what: &'static str) -> Result<(), StoreError> {
        self.check_writable()?;
        if !is_folder_name(name) {
            return Err(StoreError::BadName { name: name.to_owned(), what });
        }
        let text: String = roots.iter().map(|root| format!("{root}\n")).collect();
        replace_cache(&self.tmp_dir(), &parent.join(name).join(FILE), text.as_bytes())
    }

    /// What a container needs; nothing where it hasn't been written down.
    ///
    /// # Errors
    /// [`StoreError::Text`] for a line that means nothing; I/O.
    pub fn container_roots(&self, id: &str) -> Result<Roots, StoreError> {
        read_roots(&self.containers_dir().join(id)).map(Option::unwrap_or_default)
    }
}

/// Reads the roots of a container's or view's folder.
pub(crate) fn read_roots(folder: &Path) -> Result<Option<Roots>, StoreError> {
    let path = folder.join(FILE);
    step("read", &path);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(None),
        Err(e) if e.kind() == io::ErrorKind::InvalidData => return Err(StoreError::text(path, "it is not UTF-8")),
        Err(e) => return Err(StoreError::io("read", path)(e)),
    };
    let wrong = |line| StoreError::text(&path, format_args!("the line {line:?} names nothing that can be needed"));
    parse(&text).map(Some).map_err(wrong)
}

/// Reads the lines; the first that names nothing is the error.
pub(crate) fn parse(text: &str) -> Result<Roots, &str> {
    text.lines().map(|line| Root::parse(line).ok_or(line)).collect()
}

fn is_folder_name(name: &str) -> bool {
    (1..=200).contains(&name.len())
        && !name.starts_with('.')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-+".contains(&b))
}
