//! Checking a store: that everything is whole and that what needs something has it.
//!
//! It changes nothing and may run beside anything but garbage collection. `deep` also reads and hashes every object, in
//! parallel. What to do about a problem is the caller's choice: [`Store::discard_damaged`] removes what is bad, so that it
//! can be fetched or converted again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;

use crate::error::{Content, StoreError};
use crate::store::Store;
use crate::{FileSet, FileSetDigest, ObjectDigest, TreeDigest};

mod affected;
mod content;
mod discard;
mod names;

pub(crate) use content::hash_file;

/// How to check.
#[derive(Default, Clone, Copy)]
pub struct FsckOptions<'p> {
    /// Read and hash every object.
    pub deep: bool,
    /// Called now and then with how many bytes of objects were hashed, and of how many; from several threads. Only when
    /// `deep`.
    pub progress: Option<&'p (dyn Fn(u64, u64) + Sync)>,
}

impl fmt::Debug for FsckOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FsckOptions").field("deep", &self.deep).finish_non_exhaustive()
    }
}

/// How much was checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checked {
    /// Records.
    pub filesets: u64,
    /// Trees.
    pub trees: u64,
    /// Objects.
    pub objects: u64,
    /// The bytes of the objects that were hashed.
    pub hashed_bytes: u64,
    /// Refs.
    pub refs: u64,
    /// Statements.
    pub statements: u64,
}

/// What a check found.
#[derive(Debug, Default)]
pub struct FsckReport {
    /// How much was checked.
    pub checked: Checked,
    /// What is wrong, by path.
    pub problems: Vec<Problem>,
}

/// Something wrong, and who suffers from it.
#[derive(Debug)]
pub struct Problem {
    /// What is wrong.
    pub kind: ProblemKind,
    /// With which file; it need not be there.
    pub path: PathBuf,
    /// The FileSets that need it, by digest, with their names and versions: directly, or through what they import.
    pub filesets: BTreeMap<FileSetDigest, (String, String)>,
    /// The names of images, with the versions of theirs that need it.
    pub images: BTreeSet<(String, String)>,
}

/// What is wrong.
#[derive(Debug)]
pub enum ProblemKind {
    /// Something needed isn't there.
    Missing(Content),
    /// The bytes have another digest, or another length than a Tree says.
    Damaged(Content),
    /// The bytes have the right digest and break a rule of the format: they were never written by this version.
    Invalid {
        /// What breaks the rule.
        what: Content,
        /// Which rule.
        reason: String,
    },
    /// It can't be read.
    Unreadable {
        /// What the operating system says.
        source: io::Error,
    },
    /// A file that can't be where it is.
    Stray,
    /// A ref, statement or list of roots that isn't one.
    Text {
        /// What is wrong.
        reason: String,
    },
}

impl ProblemKind {
    /// The content that is missing or bad, where it is one.
    pub fn content(&self) -> Option<Content> {
        match self {
            Self::Missing(content) | Self::Damaged(content) | Self::Invalid { what: content, .. } => Some(*content),
            Self::Unreadable { .. } | Self::Stray | Self::Text { .. } => None,
        }
    }
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(content) => write!(f, "{content} is missing"),
            Self::Damaged(content) => write!(f, "{content} is damaged"),
            Self::Invalid { what, reason } => write!(f, "{what} is invalid: {reason}"),
            Self::Unreadable { source } => write!(f, "it can't be read: {source}"),
            Self::Stray => write!(f, "it doesn't belong there"),
            Self::Text { reason } => write!(f, "it is damaged: {reason}"),
        }
    }
}

impl Store {
    /// Checks the store. A problem is part of the report, not an error.
    ///
    /// # Errors
    /// Only where a folder can't be listed or a lock can't be taken.
    pub fn fsck(&self, options: FsckOptions<'_>) -> Result<FsckReport, StoreError> {
        let _lease = self.lease()?;
        let mut check = Check::new(self);
        check.filesets()?;
        check.trees()?;
        check.objects(options)?;
        check.refs()?;
        check.statements()?;
        check.roots()?;
        Ok(check.finish())
    }
}

/// A check under way: what was found to be there.
struct Check<'s> {
    store: &'s Store,
    report: FsckReport,
    records: BTreeMap<FileSetDigest, FileSet>,
    /// The objects of each Tree that could be read.
    trees: HashMap<TreeDigest, Vec<(ObjectDigest, u64)>>,
    /// Records that are there but bad: reported once, and not as missing.
    bad_records: BTreeSet<FileSetDigest>,
    bad_trees: BTreeSet<TreeDigest>,
}

impl<'s> Check<'s> {
    fn new(store: &'s Store) -> Self {
        let (report, records, trees, bad_records, bad_trees) = Default::default();
        Self { store, report, records, trees, bad_records, bad_trees }
    }

    fn problem(&mut self, kind: ProblemKind, path: PathBuf) {
        let (filesets, images) = Default::default();
        self.report.problems.push(Problem { kind, path, filesets, images });
    }

    fn strays(&mut self, paths: Vec<PathBuf>) {
        for path in paths {
            self.problem(ProblemKind::Stray, path);
        }
    }

    fn finish(mut self) -> FsckReport {
        self.find_affected();
        self.report.problems.sort_by(|a, b| a.path.cmp(&b.path));
        self.report
    }
}

/// Turns an error of reading content into what is wrong with it.
fn kind_of(error: StoreError, what: Content) -> ProblemKind {
    match error {
        StoreError::Missing { .. } => ProblemKind::Missing(what),
        StoreError::Damaged { .. } => ProblemKind::Damaged(what),
        StoreError::Io { source, .. } => ProblemKind::Unreadable { source },
        StoreError::Tree { source, .. } => ProblemKind::Invalid { what, reason: source.to_string() },
        StoreError::Record { source, .. } => ProblemKind::Invalid { what, reason: source.to_string() },
        other => ProblemKind::Invalid { what, reason: other.to_string() },
    }
}

/// Whether a path is there at all.
fn exists(path: &std::path::Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}
