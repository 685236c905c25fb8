//! The recipe of a package of one's own: where its sources are, how it is built, what it is called and what it needs.
//!
//! Absent on purpose: steps, phases and functions. `run` is one command for the sandbox's shell; whatever more a build needs is in a
//! script beside the sources.

mod glob;
mod parse;
#[cfg(test)]
mod tests;
mod values;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use larder_solver::Root;
use larder_store::fileset::install::UserRule;
use larder_store::fileset::{Actions, AlternativeRule, HostAsks, LinkRule};
use larder_store::{Name, Sha256Digest, TreePath};

pub use glob::Glob;
pub(super) use parse::parse;
pub use values::Requirement;
pub(super) use values::address;
pub(crate) use values::{ALIASES, RESERVED};

use super::{EnvironmentName, FileSource, LOCK_NAME, PackagePath, RecipeError, TestTable, folder_of};

/// How long a build may take that says nothing about it.
pub const TIMEOUT: Duration = Duration::from_secs(3600);

/// A recipe of a package.
#[derive(Debug, Clone, PartialEq)]
pub struct PackageRecipe {
    /// The file that it was read from.
    pub file: PathBuf,
    /// The digest of the recipe's text.
    pub text: Sha256Digest,
    /// The text itself: it is kept with what is built from it.
    pub written: String,
    /// The package's name.
    pub name: Name,
    /// Its version.
    pub version: String,
    /// One line.
    pub summary: String,
    /// The licence, as an SPDX expression.
    pub license: Option<String>,
    /// The project's page.
    pub homepage: Option<String>,
    /// What it says about other packages.
    pub relations: Relations,
    /// Where its documentation is.
    pub documentation: Vec<String>,
    /// Which of its files are its default configuration.
    pub configuration: Vec<TreePath>,
    /// Where its sources are; none where `run` makes everything.
    pub source: Option<SourceSpec>,
    /// How it is built.
    pub build: BuildSpec,
    /// What it asks of the host.
    pub asks: HostAsks,
    /// The architectures that it may be built for; any when empty.
    pub architectures: Vec<String>,
    /// Parts that become packages of their own: by the end of their name.
    pub splits: BTreeMap<String, Split>,
    /// Packages of the sandbox that it holds whole: by where they are shown in it.
    pub imports: BTreeMap<TreePath, Name>,
    /// Links to be made in the container's root.
    pub links: Vec<LinkRule>,
    /// Names that several packages may answer to, and what this one has for them.
    pub alternatives: Vec<AlternativeRule>,
    /// Users that must exist, each with its group.
    pub users: Vec<UserRule>,
    /// What is run once in a container of the package, before it is one.
    pub script: Option<String>,
    /// What can be done with it when it runs.
    pub actions: Actions,
    /// What must pass in a container of it.
    pub test: Option<TestTable>,
}

/// What a package says about others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Relations {
    /// What must be there.
    pub requires: Vec<Requirement>,
    /// What usually should be there.
    pub recommends: Vec<Requirement>,
    /// The names that it also answers to.
    pub provides: Vec<Requirement>,
    /// What can't be there.
    pub conflicts: Vec<Requirement>,
    /// Whose files it may take over.
    pub replaces: Vec<Requirement>,
    /// What it may be put in the place of.
    pub stands_in_for: Vec<Requirement>,
}

/// Where sources come from. Each is pinned: by what lies beside the recipe, or by a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceSpec {
    /// A folder or file beside the recipe.
    Path(FileSource),
    /// A file or an archive that is fetched.
    Url {
        /// Its address.
        url: String,
        /// Its digest.
        sha256: Sha256Digest,
        /// Its publisher's signature, where it is to be checked.
        signature: Option<SignatureSpec>,
    },
    /// A source package of the build's Debian suite.
    Debian(Root),
    /// A commit of a git repository.
    Git {
        /// The repository's address.
        url: String,
        /// The commit's full hash.
        commit: String,
    },
}

/// A publisher's detached signature of a file that is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureSpec {
    /// Where the signature is.
    pub at: SignatureAt,
    /// The publisher's OpenPGP key, beside the recipe.
    pub key: FileSource,
}

/// Where a signature is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignatureAt {
    /// It is fetched.
    Url(String),
    /// It is beside the recipe.
    Path(FileSource),
}

/// How a package is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildSpec {
    /// The distributions of the packages that it is built with, a set: sorted, not empty.
    pub from: Vec<Name>,
    /// Those packages, besides the base.
    pub with: Vec<Root>,
    /// Packages whose recipes are beside this one: built first, and there as well.
    pub paths: Vec<PackagePath>,
    /// What the sandbox's shell is given.
    pub run: String,
    /// After which time it is killed.
    pub timeout: Duration,
    /// Variables of its environment.
    pub env: BTreeMap<EnvironmentName, String>,
}

/// A part of what was built that becomes a package of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Which files; a folder means all in it.
    pub paths: Vec<Glob>,
    /// One line.
    pub summary: String,
    /// What must be there besides the package itself.
    pub requires: Vec<Requirement>,
}

impl PackageRecipe {
    /// Parses a recipe's text; `file` is where it came from.
    ///
    /// # Errors
    /// The first thing in the text that breaks a rule, with its place.
    pub fn parse(file: &Path, text: &str) -> Result<Self, RecipeError> {
        parse(file, text)
    }

    /// The folder that holds the recipe.
    pub fn folder(&self) -> &Path {
        folder_of(&self.file)
    }

    /// Where the lock of the build's packages is.
    pub fn lock_file(&self) -> PathBuf {
        self.folder().join(LOCK_NAME)
    }

    /// The full name of a part.
    pub fn split_name(&self, end: &str) -> String {
        format!("{}-{end}", self.name)
    }
}
