//! What can go wrong in an operation, with the facts that a message needs.

use std::io;
use std::path::PathBuf;

use larder_debian::DebianError;
use larder_debian::compose::ComposeError;
use larder_debian::deb::DebError;
use larder_runtime::RuntimeError;
use larder_solver::Failure;
use larder_store::name::NameError;
use larder_store::path::PathError;
use larder_store::plan::PlanError;
use larder_store::tree::TreeError;
use larder_store::{FileSetDigest, Name, Reference, StoreError, TreePath};
use thiserror::Error;

use crate::keys::KeyError;
use crate::lock::{LockError, Mismatch};
use crate::provenance::SourceRefused;
use crate::recipe::RecipeError;
use crate::verify::{Finding, VerifyError};

mod hints;

/// The result of an operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation did not do what it was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused something about a file.
    #[error("can't {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The Debian archive.
    #[error(transparent)]
    Debian(#[from] DebianError),
    /// A `.deb`.
    #[error(transparent)]
    Deb(#[from] DebError),
    /// A package that can't be converted.
    #[error("{package} can't be used")]
    Package {
        /// Its name and version.
        package: String,
        /// Why not.
        source: Box<Self>,
    },
    /// A composer.
    #[error(transparent)]
    Compose(#[from] ComposeError),
    /// Bytecode that an image's interpreter made.
    #[error(transparent)]
    Bytecode(#[from] larder_debian::compose::python::BytecodeError),
    /// What a library's program made.
    #[error(transparent)]
    Cache(#[from] larder_debian::compose::caches::CacheError),
    /// A view or a container.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The recipe.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A source's publisher.
    #[error(transparent)]
    SourceRefused(#[from] SourceRefused),
    /// The lock.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A name or version that isn't one.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A package as a recipe or command line writes it.
    #[error(transparent)]
    Root(#[from] larder_solver::ParseError),
    /// Entries that make no tree.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// FileSets that can't be put together.
    #[error(transparent)]
    Plan(#[from] PlanError<StoreError>),
    /// An image whose files can't be checked.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// A distribution that no bridge serves.
    #[error("{name} is no distribution that this host knows")]
    UnknownDistribution {
        /// What was asked for.
        name: Name,
    },
    /// The solver has no answer.
    #[error("can't choose packages from {from}:\n{}", indent(&failure.explain()))]
    Unsolvable {
        /// The distribution.
        from: Name,
        /// Why not.
        failure: Failure,
    },
    /// A package that isn't in the image or lock.
    #[error("{package} is not in the image")]
    NotInImage {
        /// What was asked for.
        package: String,
        /// Names like it that are.
        nearest: Vec<String>,
    },
    /// `--locked` without a lock.
    #[error("there is no lock {}, and --locked forbids to make one", file.display())]
    NoLock {
        /// Where it should be.
        file: PathBuf,
    },
    /// `--locked` with a lock that was written for something else.
    #[error("{} doesn't match the recipe:{}", file.display(), mismatch_lines(mismatch))]
    LockMismatch {
        /// The lock.
        file: PathBuf,
        /// What differs.
        mismatch: Mismatch,
    },
    /// `--locked` with a lock of another architecture.
    #[error("{} is for {locked}, and this machine is {wanted}", file.display())]
    LockArchitecture {
        /// The lock.
        file: PathBuf,
        /// Its architecture.
        locked: String,
        /// The machine's.
        wanted: String,
    },
    /// A package that converts to something other than the lock says.
    #[error("{package} converts to {found}, and the lock has {locked}")]
    LockDigest {
        /// The package.
        package: Name,
        /// What the lock has.
        locked: FileSetDigest,
        /// What was made.
        found: FileSetDigest,
    },
    /// A lock that was written with a rule of conversion that this program doesn't have.
    #[error("{package} was converted by the rule {rule}, which this larder doesn't have")]
    UnknownRule {
        /// The package.
        package: Name,
        /// The rule.
        rule: String,
    },
    /// Verification refuses the image.
    #[error("the image would not work:{}", finding_lines(findings))]
    Verification {
        /// What is wrong.
        findings: Vec<Finding>,
    },
    /// An owner that no composer has a number for.
    #[error("/{path} of {owner} belongs to the {what} {name}, which nothing declares")]
    UnknownOwner {
        /// Where.
        path: TreePath,
        /// Whose file.
        owner: String,
        /// `user` or `group`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// An image has a file where a composer needs a directory.
    #[error("/{above} of {owner} is no directory, so /{path}, which the composer {composer} makes, has no place")]
    BelowFile {
        /// What the composer makes.
        path: TreePath,
        /// The composer.
        composer: &'static str,
        /// The file.
        above: TreePath,
        /// Whose that is.
        owner: String,
    },
    /// A path that is too long in a view.
    #[error("a package's path is too long below /packages")]
    ViewPath {
        /// Which limit.
        source: PathError,
    },
    /// There is no such image.
    #[error("there is no image {reference} on this host")]
    NoImage {
        /// What was asked for.
        reference: Box<Reference>,
        /// Names like it that are here.
        nearest: Vec<String>,
    },
    /// The name is there, and that record of it isn't.
    #[error("{name} has no record {selector}")]
    NoRecord {
        /// The name.
        name: Name,
        /// The version or digest that was asked for.
        selector: String,
        /// Those that are there.
        present: Vec<String>,
    },
    /// Declarations about a package that the image doesn't import.
    #[error("the image imports declarations about {package}, and not {package}")]
    StrayDeclarations {
        /// The package.
        package: String,
    },
    /// An image's own records don't satisfy each other.
    #[error("the packages of {image} don't satisfy each other:\n{}", indent(&failure.explain()))]
    Inconsistent {
        /// The image.
        image: String,
        /// Why not.
        failure: Failure,
    },
    /// An image for machines of another kind.
    #[error("{image} is for {architecture}, and this host is {host}")]
    OtherArchitecture {
        /// The image.
        image: String,
        /// What it is for.
        architecture: String,
        /// What this host is.
        host: String,
    },
    /// An image without a command was to be run without one.
    #[error("{image} doesn't say what to run")]
    NothingToRun {
        /// The image.
        image: String,
    },
    /// A target of `run` or `update` that is neither a folder nor a name.
    #[error("{target:?} is neither a folder with a larder.toml in it nor a name such as debian.org/redis-server")]
    NoTarget {
        /// What was given.
        target: String,
        /// Images whose last word is like it.
        nearest: Vec<String>,
    },
    /// A path that isn't in the image.
    #[error("{image} has no {path}")]
    NoPath {
        /// The image.
        image: String,
        /// What was asked for.
        path: String,
    },
    /// An image that was made without a distribution has nothing to update from.
    #[error("{image} names no distribution to update from")]
    NoDistribution {
        /// The image.
        image: String,
    },
    /// The image's own program failed while composing.
    #[error("{program} failed in a container of the image while making {what}")]
    ComposerProgram {
        /// The program.
        program: String,
        /// What it was to make.
        what: &'static str,
        /// How it ended, and what it said.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// Wraps what the system says about a file.
    pub(crate) fn io(action: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// Says which package an error is about.
    #[must_use]
    pub fn about_package(self, package: String) -> Self {
        Self::Package { package, source: Box::new(self) }
    }

    /// The exit code that a shell would give for a command that couldn't be started: 126 or 127; `None` for other errors.
    pub fn exit_code(&self) -> Option<u8> {
        match self {
            Self::Runtime(error) => Some(error.exit_code()),
            _ => None,
        }
    }

    /// The lines of a recipe that are meant, marked; empty for other errors.
    pub fn excerpt(&self) -> String {
        match self {
            Self::Recipe(error) => error.excerpt(),
            _ => String::new(),
        }
    }

    /// What to do next, one sentence each; none where the message says it all.
    pub fn hints(&self) -> Vec<String> {
        let did_you_mean = |nearest: &[String]| match nearest {
            [] => None,
            names => Some(format!("did you mean {}?", names.join(" or "))),
        };
        let hint = match self {
            Self::UnknownDistribution { .. } => {
                Some("Debian's suites are known, such as debian.org/bookworm or debian.org/trixie".to_owned())
            }
            Self::NotInImage { nearest, .. } => {
                did_you_mean(nearest).or_else(|| Some("`larder inspect IMAGE` lists what is in an image".to_owned()))
            }
            Self::NoImage { nearest, .. } => {
                did_you_mean(nearest).or_else(|| Some("`larder images` lists those that are here".to_owned()))
            }
            Self::NoRecord { name, present, .. } => {
                Some(format!("it has {}; `larder history {name}` lists its records", present.join(", ")))
            }
            Self::NoTarget { nearest, .. } => {
                did_you_mean(nearest).or_else(|| Some("`larder images` lists the images that are here".to_owned()))
            }
            Self::NoPath { image, .. } => Some(format!("`larder files {image}` lists what is there")),
            Self::BelowFile { .. } => Some("put the file somewhere else".to_owned()),
            Self::NoDistribution { .. } => Some("say `from` in its recipe, and build it".to_owned()),
            Self::Verification { .. } => Some(
                "add the package that has what is missing, or put a file of your own there with [files]".to_owned(),
            ),
            Self::Plan(PlanError::Conflict { .. }) => {
                Some("leave one of the two out, or put a file of your own there with [files]".to_owned())
            }
            Self::Debian(error) => return hints::debian(error).into_iter().collect(),
            Self::Store(error) => return hints::store(error).into_iter().collect(),
            Self::NoLock { .. } => Some("build once without --locked, and keep the lock".to_owned()),
            Self::LockArchitecture { .. } => {
                Some("build without --locked to write the lock for this machine".to_owned())
            }
            Self::LockMismatch { .. } => Some("build without --locked to write the lock anew".to_owned()),
            Self::LockDigest { .. } => Some(
                "the lock was changed by hand, or by another version of larder: build without the lock to compare"
                    .to_owned(),
            ),
            Self::UnknownRule { .. } => Some("use the larder that wrote the lock, or a newer one".to_owned()),
            Self::NothingToRun { .. } => {
                Some("say it after two dashes: larder run IMAGE -- COMMAND, or set `run` in the recipe".to_owned())
            }
            Self::Recipe(error) => error.help(),
            Self::Key(error) => error.hint(),
            Self::Runtime(error) => error.remedy().map(str::to_owned),
            Self::Package { source, .. } => {
                return source.hints().into_iter().chain([hints::REFUSED_PACKAGE.to_owned()]).collect();
            }
            _ => None,
        };
        hint.into_iter().collect()
    }
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

fn mismatch_lines(mismatch: &Mismatch) -> String {
    let added = mismatch.added.iter().map(|line| format!("\n  the recipe has, and the lock hasn't: {line}"));
    added
        .chain(mismatch.removed.iter().map(|line| format!("\n  the lock has, and the recipe hasn't: {line}")))
        .collect()
}

fn finding_lines(findings: &[Finding]) -> String {
    findings.iter().map(|finding| format!("\n  {finding}")).collect()
}
