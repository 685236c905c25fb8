//! How somebody wants a build.

use larder_solver::Update;

use crate::assemble::NewAsks;
use crate::selection::LockUse;

/// How to build.
#[derive(Debug, Clone, Default)]
pub struct BuildOptions {
    /// Use the lock as it is, and fail if there is none or it doesn't match the recipe.
    pub locked: bool,
    /// Which locked packages may move to newer versions, named as somebody typed them.
    pub update: Update,
    /// What becomes of asks that the image's record so far doesn't have.
    pub new_asks: NewAsks,
    /// Whether the recipe's test is run.
    pub test: Test,
}

/// Whether a recipe's `[test]` is run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Test {
    /// Before the image gets its name, unless it has passed already.
    #[default]
    Run,
    /// Not now.
    Skip,
}

impl BuildOptions {
    /// What may become of the lock.
    pub(crate) fn lock_use(&self) -> LockUse {
        LockUse { locked: self.locked, update: self.update.clone() }
    }
}
