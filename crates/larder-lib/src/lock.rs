//! The lock, `larder.lock`: what a recipe was resolved to, down to the last digest.
//!
//! Larder writes it and people read it: TOML, sorted, one package a block, nothing that depends on when or where it was
//! written, so that a version control system shows what an update changed and merges what doesn't touch. It holds no
//! digest of the image: that follows from the lock, the recipe and its files.
//!
//! The lock remembers what the solver was asked, line by line, so that a build with `--locked` can say what in the recipe
//! has changed since.

mod captured;
mod diff;
mod parse;
mod save;
#[cfg(test)]
mod tests;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use larder_store::fileset::Override;
use larder_store::{FileSetDigest, Name, Sha256Digest};
use thiserror::Error;

pub use captured::LockedCapture;
pub use diff::{Change, LockDiff};
pub(crate) use write::seconds;

use crate::recipe::{Place, Recipe};
use crate::solve::{Earlier, solver_name};

/// The newest version of the lock's format that is read. What is written is the oldest that can say it.
pub const FORMAT: i64 = 3;
/// The largest lock that is read.
pub const MAX_LOCK: u64 = 64 << 20;

/// A lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// The architecture that was resolved for.
    pub architecture: String,
    /// What the solver was asked ([`Recipe::solver_inputs`]).
    pub asked: Vec<String>,
    /// The suite of Debian's that was resolved from, if one was.
    pub distribution: Option<LockedDistribution>,
    /// The distributions of one's own.
    pub curated: BTreeMap<Name, LockedCurated>,
    /// Which packages stand in for others: a set.
    pub overrides: Vec<Override>,
    /// The source package that a package of one's own is built from, if it is one of Debian's.
    pub source: Option<LockedSource>,
    /// The packages by name.
    pub packages: BTreeMap<Name, LockedPackage>,
}

/// A source package of Debian's, and what vouches for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedSource {
    /// Its name.
    pub package: String,
    /// Its version.
    pub version: String,
    /// The suite that lists it.
    pub suite: String,
    /// SHA-256 of that suite's signed release file.
    pub release: Sha256Digest,
    /// Fingerprint of the key that signed it, upper-case hexadecimal.
    pub key: String,
    /// SHA-256 of the index of sources.
    pub index: Sha256Digest,
    /// Its files; one of them is the `.dsc`.
    pub files: Vec<LockedFile>,
}

/// A file of a source package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedFile {
    /// Its path in the archive.
    pub path: String,
    /// Its length in bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Sha256Digest,
}

/// The state of a distribution, as its signer left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedDistribution {
    /// Its name, such as `debian.org/bookworm`.
    pub name: Name,
    /// Its suites, in order of preference for equal versions.
    pub suites: Vec<LockedSuite>,
}

/// A distribution of one's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedCurated {
    /// Its version.
    pub version: String,
    /// Its FileSet.
    pub fileset: FileSetDigest,
}

/// One suite's signed state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedSuite {
    /// Its name on the mirror, such as `bookworm-updates`.
    pub name: String,
    /// SHA-256 of the signed release file.
    pub release: Sha256Digest,
    /// The release file's date, in seconds since 1970.
    pub date: u64,
    /// Fingerprint of the key that signed it, upper-case hexadecimal.
    pub key: String,
}

/// One package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedPackage {
    /// Its version.
    pub version: String,
    /// Its architecture, `all` included.
    pub architecture: String,
    /// Its FileSet.
    pub fileset: FileSetDigest,
    /// What its scripts and the reviewed table declare about it, if anything.
    pub declarations: Option<LockedDeclarations>,
    /// What its scripts left in a sandbox, where the image wants that.
    pub captured: Option<LockedCapture>,
    /// The distribution of one's own that pins it, if one does.
    pub distribution: Option<Name>,
    /// Where it comes from.
    pub origin: LockedOrigin,
}

/// Where a package comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockedOrigin {
    /// It was converted from a file of Debian's archive.
    Archive(LockedArchive),
    /// It is one's own: the store has it.
    Store,
}

/// A package's declarations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedDeclarations {
    /// Their FileSet.
    pub fileset: FileSetDigest,
    /// The version of the reviewed table.
    pub table: u32,
}

/// A file of Debian's archive, and how it was converted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedArchive {
    /// The rule of conversion, such as `deb/1`.
    pub rule: String,
    /// Its path in the archive, such as `pool/main/o/openssl/openssl_3.0.17-1_amd64.deb`.
    pub path: String,
    /// Its length in bytes.
    pub size: u64,
    /// Its digest, from the signed index.
    pub sha256: Sha256Digest,
}

/// A lock that can't be read or written.
#[derive(Debug, Error)]
pub enum LockError {
    /// The system refuses.
    #[error("can't {action} {}", file.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The lock.
        file: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A lock that this program doesn't know how to read.
    #[error("{} has format {format}, and this larder reads {FORMAT}: use a newer larder", file.display())]
    Later {
        /// The lock.
        file: PathBuf,
        /// Its format.
        format: i64,
    },
    /// A text that is no lock.
    #[error("{}:{}:{}: this isn't a lock: {reason}; restore it, or delete it and build again", file.display(), place.line, place.column)]
    Text {
        /// The lock.
        file: PathBuf,
        /// Where in it.
        place: Box<Place>,
        /// What is wrong.
        reason: String,
    },
}

/// How a recipe differs from what its lock was written for. Lines are those of [`Recipe::solver_inputs`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// What the recipe asks and the lock doesn't know.
    pub added: Vec<String>,
    /// What the lock was written for and the recipe no longer asks.
    pub removed: Vec<String>,
}

impl Lock {
    /// Reads a lock; `None` when there is no such file.
    ///
    /// # Errors
    /// A file that can't be read, and whatever [`Lock::parse`] refuses.
    pub fn load(file: &Path) -> Result<Option<Self>, LockError> {
        Self::read(file)?.map(|text| Self::parse(file, &text)).transpose()
    }

    /// Reads a lock's text; `None` when there is no such file.
    ///
    /// # Errors
    /// A file that can't be read.
    pub fn read(file: &Path) -> Result<Option<String>, LockError> {
        let failed = |source| LockError::Io { action: "read", file: file.to_owned(), source };
        let opened = match File::open(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(failed)?,
        };
        // It is read at once, and not in pieces of a size that has to be found.
        let size = opened.metadata().map_err(failed)?.len().min(MAX_LOCK);
        let mut text = String::with_capacity(size as usize + 1);
        opened.take(MAX_LOCK + 1).read_to_string(&mut text).map_err(failed)?;
        if text.len() as u64 > MAX_LOCK {
            return Err(failed(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 64 MiB")));
        }
        Ok(Some(text))
    }

    /// Parses a lock's text; `file` names it in errors.
    ///
    /// # Errors
    /// [`LockError::Later`] and [`LockError::Text`]: anything that [`Lock::to_text`] doesn't write, except that order and
    /// layout don't matter.
    pub fn parse(file: &Path, text: &str) -> Result<Self, LockError> {
        parse::lock(file, text)
    }

    /// The lock's text. Equal locks give equal texts.
    pub fn to_text(&self) -> String {
        write::text(self)
    }

    /// Writes the lock beside the recipe: whole or not at all, and not when it is there already. It lasts when this returns.
    /// Says whether it wrote.
    ///
    /// # Errors
    /// A folder that can't be written.
    pub fn save(&self, file: &Path) -> Result<bool, LockError> {
        let text = self.to_text();
        if fs::read(file).is_ok_and(|old| old == text.as_bytes()) {
            return Ok(false);
        }
        let failed = |source| LockError::Io { action: "write", file: file.to_owned(), source };
        save::replace(file, &text).map_err(failed)?;
        Ok(true)
    }

    /// Whether the lock was written for what the recipe asks now; if not, what differs.
    ///
    /// # Errors
    /// The differences.
    pub fn check(&self, recipe: &Recipe) -> Result<(), Mismatch> {
        let asked = recipe.solver_inputs();
        let (now, then): (BTreeSet<_>, BTreeSet<_>) = (asked.iter().collect(), self.asked.iter().collect());
        if now == then {
            return Ok(());
        }
        let lines = |lines: &BTreeSet<&String>, other: &BTreeSet<&String>| {
            lines.difference(other).map(|&line| line.clone()).collect()
        };
        Err(Mismatch { added: lines(&now, &then), removed: lines(&then, &now) })
    }

    /// What the solver is to keep where it can.
    pub fn earlier(&self) -> Earlier {
        let own = self.packages.iter().filter(|(_, package)| package.origin == LockedOrigin::Store);
        Earlier {
            versions: self
                .packages
                .iter()
                .map(|(name, package)| (solver_name(name).to_owned(), package.version.clone()))
                .collect(),
            filesets: own.map(|(name, package)| (name.clone(), package.fileset)).collect(),
            distributions: self.curated.iter().map(|(name, curated)| (name.clone(), curated.fileset)).collect(),
        }
    }

    /// The oldest version of the format that can say what this lock says.
    fn format(&self) -> i64 {
        let is_new = |package: &LockedPackage| package.origin == LockedOrigin::Store || package.distribution.is_some();
        let needs_new = !self.curated.is_empty() || !self.overrides.is_empty() || self.packages.values().any(is_new);
        let is_newest = self.source.is_some() || self.packages.values().any(|package| package.captured.is_some());
        match (is_newest, needs_new) {
            (true, _) => FORMAT,
            (false, true) => 2,
            (false, false) => 1,
        }
    }

    /// What became of the packages between two locks.
    pub fn diff(old: &Self, new: &Self) -> LockDiff {
        diff::diff(old, new)
    }
}
