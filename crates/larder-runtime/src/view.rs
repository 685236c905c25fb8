//! The file system that a container sees: one listing of paths and objects, made visible in one of five ways.
//!
//! A view is *prepared* once and kept on disk as `views/<key>/<artefact>/`, where `<artefact>` names the way, the version of
//! its writer and, for stubs, the map of users. It is then *mounted* as often as containers want it. Preparing works
//! under a temporary name and renames the finished directory into place, so a half-made view is never used and two
//! processes may prepare the same one at once.
//!
//! Ways are tried in the order of [`ViewKindName::ALL`] and never chosen by kernel version ([`probe`]).
//!
//! # Where to call what
//! [`probe`], [`View::prepare`], [`View::mount`] and [`View::remove`] belong in the supervisor: in a mount namespace of its
//! own (older kernels need a mount to be attached for a moment) and, for an ordinary user, in the container's user
//! namespace, because the owners of stubs are made by its map. `erofs` may be prepared anywhere.
//!
//! # Absent on purpose
//! No view is ever stacked on another overlay: the writable layer is part of the same one.

mod artefact;
mod attached;
mod checkout;
mod erofs;
mod erofs_loop;
mod exception;
mod name;
mod overlay;
mod owners;
mod planter;
mod probe;
mod stubs;
mod symlink;
mod tree;
mod way;
pub(crate) mod wire;
mod witness;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::RuntimeError;

pub use checkout::sweep as sweep_twins;
pub use exception::Exception;
pub use name::ViewKindName;
pub use probe::{by_name, probe, probe_among};
pub use tree::{RootAttributes, ViewEntry, ViewKind, ViewTree};
use witness::Witness;

/// Gives the listing of a view; called only when no prepared view is found.
pub type ListTree<'a> = dyn Fn() -> Result<ViewTree, Box<dyn std::error::Error + Send + Sync>> + 'a;

/// What may be written over a view. Whoever mounts one with an upper sees to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Written {
    /// Everything.
    Anything,
    /// Nothing below `packages` and below what [`ViewTree::read_only`] names: those are mounted read-only over the view. A file that is in
    /// both then needs one inode only. Written to all the same, it would change under both names until the kernel forgets it, and
    /// then be lost under one.
    OutsidePackages,
}

/// What is needed to prepare a view.
#[derive(Clone, Copy)]
pub struct ViewRequest<'a> {
    /// The listing, called only when the prepared view is missing.
    pub tree: &'a ListTree<'a>,
    /// The cache key, lower-case hexadecimal: the digest of everything the listing is made from.
    pub key: &'a str,
    /// The directory of objects: `ab/cdef…` by lower-case hexadecimal digest.
    pub objects: &'a Path,
    /// The directory of prepared views.
    pub views: &'a Path,
    /// What will be written over it.
    pub written: Written,
}

/// A view that is ready to be mounted.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The way it was made; only a [`View`] of that kind mounts it.
    pub kind: ViewKindName,
    /// The finished artefact, `views/<key>/<artefact>`.
    pub path: PathBuf,
    /// The directory of objects that it leads to.
    pub objects: PathBuf,
    /// Whether this call made it (`false`: it was there).
    pub made: bool,
    pub(crate) witness: Option<Witness>,
}

/// What becomes of a container's writable layer when the container ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerEnd {
    /// It is removed. It is empty and can be mounted once; nothing is written to the disk for its own sake, so `fsync` in it does nothing,
    /// and its end doesn't wait for the disk.
    Removed,
    /// It may be mounted again.
    Kept,
}

/// A container's writable layer.
///
/// An upper belongs to one view key *and* one kind of view: mounted over another plan it would show new bytes cut to the
/// old length, and another kind reads other marks (`trusted.overlay.*` or `user.overlay.*`). The work directory of one that is
/// kept says which it is, and a mount over another is refused.
#[derive(Debug, Clone, Copy)]
pub struct Upper<'a> {
    /// Where the container's writes go.
    pub upperdir: &'a Path,
    /// An empty directory on the same file system, for the kernel's use.
    pub workdir: &'a Path,
    /// What becomes of the layer when its container ends.
    pub end: LayerEnd,
}

/// A mounted view, attached nowhere; the descriptor is the mount's.
#[derive(Debug)]
pub struct Mounted {
    root: OwnedFd,
    /// A mount that the root is made of, for which the root needs no name any more. It is closed with this value and not before: the
    /// kernel waits for all processors then, which takes it up to milliseconds, and whoever starts a container has other things to do first.
    #[expect(dead_code, reason = "held, not used")]
    below: Option<OwnedFd>,
}

impl AsFd for Mounted {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }
}

impl From<OwnedFd> for Mounted {
    fn from(root: OwnedFd) -> Self {
        Self { root, below: None }
    }
}

/// A way of making views.
///
/// Implementations keep no state between calls: what is on disk is the state. Any process may call, as often as it likes.
pub trait View {
    /// Which way this is.
    fn kind(&self) -> ViewKindName;

    /// The view, if it is there.
    ///
    /// # Errors
    /// It can't be read.
    fn find(&self, request: &ViewRequest<'_>) -> Result<Option<Prepared>, RuntimeError>;

    /// Makes the view unless it is there. After a failure or a kill nothing that could be mistaken for a finished view is left.
    ///
    /// # Errors
    /// The listing fails or breaks a rule, or the disk refuses.
    fn prepare(&self, request: &ViewRequest<'_>) -> Result<Prepared, RuntimeError>;

    /// Mounts the view and gives the mount, attached nowhere: read-only without `upper`, writable with it. One file is
    /// read through it and compared to its object before it is handed out. May be called several times for one prepared view.
    ///
    /// # Errors
    /// The kernel refuses ([`RuntimeError::Mount`]), what it shows is wrong ([`RuntimeError::ViewMismatch`]), or the upper belongs to
    /// another view ([`RuntimeError::OtherUpper`]).
    fn mount(&self, prepared: &Prepared, upper: Option<Upper<'_>>) -> Result<Mounted, RuntimeError>;

    /// What this way can't do.
    fn exceptions(&self) -> &'static [Exception];

    /// Removes what this way has prepared for `key`, made by any version of its writer, if anything.
    ///
    /// # Errors
    /// The disk refuses; stubs with a range of ids can only be removed inside the user namespace.
    fn remove(&self, views: &Path, key: &str) -> Result<(), RuntimeError>;
}
