//! What is asked of the solver.

use std::collections::{BTreeMap, BTreeSet};

use crate::Root;

/// What every image holds besides its roots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Base {
    /// Debian's Essential packages, which all its others assume.
    #[default]
    Essential,
    /// Nothing: what the roots need and no more.
    None,
}

/// Which of the locked names may change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Update {
    /// None: what is locked stays, unless constraints force it.
    #[default]
    None,
    /// These names get their newest version; the others stay, unless constraints force them.
    Some(BTreeSet<String>),
    /// All: the lock is not looked at.
    All,
}

/// A question to [`crate::resolve`]. The order of the roots does not matter, and neither do repetitions.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The packages asked for.
    pub roots: &'a [Root],
    /// What is there besides.
    pub base: Base,
    /// Whether `Recommends` are installed too, where they can be.
    pub recommends: bool,
    /// The versions of an earlier answer, by name; they are favoured, not required.
    pub locked: &'a BTreeMap<String, String>,
    /// Which of them may change.
    pub update: Update,
}

impl Request<'_> {
    /// The version that is locked and not freed, if any.
    pub(crate) fn favoured(&self, name: &str) -> Option<&str> {
        let freed = match &self.update {
            Update::None => false,
            Update::Some(names) => names.contains(name),
            Update::All => true,
        };
        if freed { None } else { self.locked.get(name).map(String::as_str) }
    }
}
