//! Which way works here: found by trying.

use std::fs;
use std::path::{Path, PathBuf};

use super::artefact::Scratch;
use super::checkout::Checkout;
use super::erofs::Erofs;
use super::erofs_loop::ErofsLoop;
use super::stubs::Stubs;
use super::symlink::Symlink;
use super::way::{Making, Way};
use super::witness::{Witness, object_path};
use super::{Prepared, RootAttributes, View, ViewEntry, ViewKind, ViewKindName, ViewTree, Written};
use crate::error::RuntimeError;

/// The way with this name, whether it works here or not.
pub fn by_name(name: ViewKindName) -> Box<dyn View> {
    match name {
        ViewKindName::Erofs => Box::new(Erofs),
        ViewKindName::ErofsLoop => Box::new(ErofsLoop),
        ViewKindName::Stubs => Box::new(Stubs),
        ViewKindName::Checkout => Box::new(Checkout),
        ViewKindName::Symlink => Box::new(Symlink),
    }
}

/// Gives the first way that works here, in the order of [`ViewKindName::ALL`]. Each is tried for real: a view of one file
/// is made under `views`, mounted and read.
///
/// # Errors
/// [`RuntimeError::NoView`] when none works, with what each met; whatever stands against all ways, such as a full disk.
pub fn probe(views: &Path) -> Result<Box<dyn View>, RuntimeError> {
    probe_among(&ViewKindName::ALL, views)
}

/// As [`probe`], among these ways and in this order.
///
/// # Errors
/// As [`probe`].
pub fn probe_among(ways: &[ViewKindName], views: &Path) -> Result<Box<dyn View>, RuntimeError> {
    let scratch = Scratch::new(views)?;
    let sample = Sample::new(scratch.path())?;
    let mut tried = Vec::new();
    for &name in ways {
        let mounted = match name {
            ViewKindName::Erofs => sample.mount(&Erofs),
            ViewKindName::Stubs => sample.mount(&Stubs),
            ViewKindName::Checkout => sample.mount(&Checkout),
            ViewKindName::ErofsLoop => sample.mount(&ErofsLoop),
            ViewKindName::Symlink => sample.mount(&Symlink),
        };
        match mounted {
            Ok(()) => return Ok(by_name(name)),
            Err(error) => tried.push((name, error.chain())),
        }
    }
    Err(RuntimeError::NoView(tried))
}

/// A view of one file, with its object.
struct Sample<'a> {
    directory: &'a Path,
    objects: PathBuf,
    tree: ViewTree,
}

impl<'a> Sample<'a> {
    /// No digest: nothing checks that an object's content matches its name here.
    const OBJECT: [u8; 32] = [0xab; 32];
    const CONTENT: &'static [u8] = b"larder\n";

    fn new(directory: &'a Path) -> Result<Self, RuntimeError> {
        let objects = directory.join("objects");
        let object = object_path(&objects, &Self::OBJECT);
        if let Some(parent) = object.parent() {
            fs::create_dir_all(parent).map_err(RuntimeError::io("create", parent))?;
        }
        fs::write(&object, Self::CONTENT).map_err(RuntimeError::io("write", &object))?;
        let root = RootAttributes { mode: 0o755, uid: 0, gid: 0, mtime: 0 };
        let file = ViewEntry {
            path: b"file".to_vec(),
            kind: ViewKind::File { object: Self::OBJECT, size: Self::CONTENT.len() as u64 },
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: 0,
            xattrs: Vec::new(),
        };
        Ok(Self { directory, objects, tree: ViewTree::new(root, vec![file])? })
    }

    fn mount<W: Way>(&self, way: &W) -> Result<(), RuntimeError> {
        let path = self.directory.join(W::NAME.as_str());
        fs::create_dir(&path).map_err(RuntimeError::io("create", &path))?;
        let (views, written) = (self.directory, Written::Anything);
        way.write(&Making { tree: &self.tree, objects: &self.objects, views, directory: &path, written })?;
        let witness = Witness::choose(&self.tree, &self.objects)?;
        let prepared = Prepared { kind: W::NAME, path, objects: self.objects.clone(), made: true, witness };
        way.mount(&prepared, None).map(drop)
    }
}
