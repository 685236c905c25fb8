//! An image's files, as a container sees them, and whose they are; a package's own.

use std::sync::Arc;

use larder_debian::progress::Progress;
use larder_store::plan::Loaded;
use larder_store::{Entry, ObjectDigest, Reference, TreeEntry, TreePath};

use crate::images::{self, Found};
use crate::view::{self, Packages};
use crate::{Error, Host, Result, compose, inspect};

/// A path of an image.
#[derive(Debug, Clone)]
pub struct FileLine {
    /// Where.
    pub path: TreePath,
    /// What.
    pub kind: FileKind,
    /// Permission bits, set-id and sticky included.
    pub mode: u16,
    /// The owner's name.
    pub owner: String,
    /// The group's name.
    pub group: String,
    /// `name@version` of whose it is, or the composer that made it.
    pub of: String,
}

/// What stands at a path.
#[derive(Debug, Clone)]
pub enum FileKind {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// Its content.
        digest: ObjectDigest,
        /// Its length in bytes.
        size: u64,
    },
    /// A symbolic link.
    Symlink {
        /// Where it points.
        target: Box<[u8]>,
    },
}

/// Lists an image's root, or what a package has, or the part at and below `path`. A path below `/packages` is looked up there.
///
/// # Errors
/// No such image or package, no such path in it, or an image that can't be composed.
pub fn files(host: &Host, reference: &Reference, path: Option<&str>, progress: &dyn Progress) -> Result<Vec<FileLine>> {
    let wanted = path.map(|path| path.trim_matches('/')).filter(|path| !path.is_empty());
    let inside = |at: &TreePath| wanted.is_none_or(|w| at.as_bytes() == w.as_bytes() || at.is_below(w.as_bytes()));
    let lines: Vec<_> = match inspect::package(host, reference)? {
        Some(package) => of_package(host, &package)?,
        None => of_image(host, reference, wanted, progress)?,
    };
    let lines: Vec<_> = lines.into_iter().filter(|line| inside(&line.path)).collect();
    match wanted {
        Some(path) if lines.is_empty() => Err(Error::NoPath { image: reference.to_string(), path: format!("/{path}") }),
        _ => Ok(lines),
    }
}

fn of_package(host: &Host, Found { record, .. }: &Found) -> Result<Vec<FileLine>> {
    let of = format!("{}@{}", record.name, record.version);
    let tree = host.store.tree(&record.tree)?;
    Ok(tree.entries().iter().map(|entry| line(entry.path.clone(), entry.clone(), of.clone())).collect())
}

fn of_image(
    host: &Host,
    reference: &Reference,
    wanted: Option<&str>,
    progress: &dyn Progress,
) -> Result<Vec<FileLine>> {
    let Found { digest, record } = images::find(&host.store, reference)?;
    let tree = host.store.tree(&record.tree)?;
    let image = Arc::new(Loaded { digest, record, tree });
    let composition = compose::compose(host, &image, progress)?;
    let packages = match wanted {
        Some(path) if path.split('/').next() == Some("packages") => Packages::Shown,
        _ => Packages::Hidden,
    };
    let shown = view::shown(&composition.plan, &composition.files, packages)?;
    Ok(shown.into_iter().map(|(at, shown)| line(at, shown.entry, shown.of)).collect())
}

fn line(path: TreePath, entry: TreeEntry, of: String) -> FileLine {
    let mode = entry.mode();
    let attributes = entry.attributes;
    let name = |name: Option<String>| name.unwrap_or_else(|| "root".to_owned());
    FileLine {
        path,
        mode,
        owner: name(attributes.owner),
        group: name(attributes.group),
        of,
        kind: match entry.entry {
            Entry::Directory => FileKind::Directory,
            Entry::File { digest, size, .. } => FileKind::File { digest, size },
            Entry::Symlink { target } => FileKind::Symlink { target },
        },
    }
}
