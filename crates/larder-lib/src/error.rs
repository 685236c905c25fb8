//! What can go wrong in an operation, with the facts that a message needs.

use std::io;
use std::path::PathBuf;

use larder_debian::DebianError;
use larder_debian::compose::ComposeError;
use larder_debian::deb::DebError;
use larder_runtime::RuntimeError;
use larder_solver::Failure;
use larder_store::fileset::Override;
use larder_store::name::NameError;
use larder_store::path::PathError;
use larder_store::plan::PlanError;
use larder_store::tree::TreeError;
use larder_store::{FileSetDigest, Kind, Name, Reference, StoreError, TreePath};
use thiserror::Error;

use crate::asks::Asking;
use crate::asks::check::Lack;
use crate::distribution::Lacking;
use crate::import::ImportError;
use crate::keys::KeyError;
use crate::lock::{LockError, Mismatch};
use crate::recipe::RecipeError;
use crate::verify::{Finding, VerifyError};

mod advice;
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
    /// A folder, an OCI image or a `.deb` that can't be taken in.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// Which source an error is about.
    #[error("can't take in {}", path.display())]
    TakeIn {
        /// The folder or file.
        path: PathBuf,
        /// Why not.
        source: Box<Self>,
    },
    /// A view or a container.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The recipe.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyError),
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
    /// A package that can't be built.
    #[error(transparent)]
    Build(Box<crate::package::PackageError>),
    /// The work of scripts can't be captured.
    #[error(transparent)]
    Capture(Box<crate::capture::CaptureError>),
    /// A distribution that no bridge serves.
    #[error("{name} is no distribution that this host knows")]
    UnknownDistribution {
        /// What was asked for.
        name: Name,
    },
    /// The solver has no answer.
    #[error("can't choose packages from {from}:\n{}", indent(&failure.explain()))]
    Unsolvable {
        /// The distributions.
        from: String,
        /// Why not.
        failure: Failure,
        /// What was to stand in for what.
        overrides: Vec<Override>,
    },
    /// Two of Debian's suites: each has all of Debian's packages.
    #[error("{first} and {second} are both suites of Debian's, and an image is of one")]
    TwoSuites {
        /// One.
        first: Name,
        /// The other.
        second: Name,
    },
    /// A base was asked for, and no distribution has one.
    #[error("{from} has no base for the image")]
    NoBase {
        /// The distributions.
        from: String,
    },
    /// A short name of different packages in two distributions.
    #[error("{package} is {}", found.iter().map(|(name, from)| format!("{name} in {from}")).collect::<Vec<_>>().join(" and "))]
    AmbiguousPackage {
        /// The short name.
        package: String,
        /// The packages, each with a distribution that has it.
        found: Vec<(Name, Name)>,
    },
    /// Two distributions pin different things under one name.
    #[error("{package} is {} in {} and {} in {}", pin(&first.1, &second.1, 1), first.0, pin(&second.1, &first.1, 2), second.0)]
    PinnedTwice {
        /// The package.
        package: Name,
        /// A distribution, and the version that it pins.
        first: (Name, String),
        /// Another.
        second: (Name, String),
    },
    /// A package was built from a recipe beside the image's, and a distribution pins something else.
    #[error("{package} was built beside the recipe, and {distribution} pins another")]
    BuiltAndPinned {
        /// The package.
        package: Name,
        /// The distribution.
        distribution: Name,
    },
    /// A package of one's own that the store doesn't have.
    #[error("there is no package {package} in the store")]
    NoOwnPackage {
        /// What was asked for.
        package: Name,
        /// Names like it that are there.
        nearest: Vec<String>,
    },
    /// A short name of several packages of an image.
    #[error("{package} is {} in the image", names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and "))]
    SeveralInImage {
        /// What was asked for.
        package: String,
        /// The packages.
        names: Vec<Name>,
    },
    /// A FileSet that should be a package is something else.
    #[error("{name} is no package: its kind is {kind}")]
    NotAPackage {
        /// Its name.
        name: Name,
        /// What it is.
        kind: &'static str,
    },
    /// A FileSet that should be a distribution is something else.
    #[error("{name} is no distribution: its kind is {kind}")]
    NotADistribution {
        /// Its name.
        name: Name,
        /// What it is.
        kind: &'static str,
    },
    /// A distribution lists what isn't there.
    #[error("{distribution} lists what isn't there:{}", lacking_lines(lacking))]
    DistributionLacks {
        /// The distribution.
        distribution: Name,
        /// What.
        lacking: Vec<Lacking>,
    },
    /// A distribution's test has nothing that could fail.
    #[error("the test of {distribution} says nothing that could fail")]
    NothingToTest {
        /// The distribution.
        distribution: Name,
    },
    /// The image of a distribution's test doesn't use the distribution.
    #[error("the test of {distribution} has an image, {image}, that isn't from it")]
    TestWithout {
        /// The distribution.
        distribution: Name,
        /// The image.
        image: Name,
    },
    /// The image of a distribution's test can't be built.
    #[error("the image that tests {distribution} can't be built")]
    DistributionImage {
        /// The distribution.
        distribution: Name,
        /// Why not.
        source: Box<Self>,
    },
    /// A test can't be run.
    #[error("the test of {what} can't be run: {command}")]
    TestNotRun {
        /// Whose test it is, with its version.
        what: String,
        /// What was to be run.
        command: String,
        /// Why not.
        source: Box<Self>,
    },
    /// The test of an image or a distribution failed.
    #[error("testing {what} failed: {how}{}", said_lines(last))]
    TestFailed {
        /// Whose test it is, with its version.
        what: String,
        /// What that is.
        kind: Kind,
        /// What ran last, and how it ended.
        how: String,
        /// The last lines of what it said.
        last: Vec<String>,
        /// All that it said.
        log: PathBuf,
    },
    /// Two recipes beside an image's make packages of one name.
    #[error("{first} and {second} both make {name}")]
    SameName {
        /// The name.
        name: Name,
        /// One folder.
        first: String,
        /// The other.
        second: String,
    },
    /// An override of a package that isn't there.
    #[error("{of} isn't in {from}, so there is nothing to stand in for")]
    NothingToReplace {
        /// What was to be replaced.
        of: Name,
        /// Where it was looked for.
        from: String,
        /// Names like it that are there.
        nearest: Vec<String>,
    },
    /// A package doesn't say that it can stand in.
    #[error("{by} {by_version} doesn't say that it can stand in for {of} {version}{}", only_for(says))]
    DoesNotStandIn {
        /// What was to stand in.
        by: Name,
        /// Its version.
        by_version: String,
        /// For what.
        of: Name,
        /// Of which version.
        version: String,
        /// What it does say.
        says: Vec<String>,
    },
    /// A package says that it can stand in, and doesn't give what the other gives.
    #[error("{by} {version} can't stand in for {of} {of_version}: {}", lacking.join("; "))]
    LacksWhatItReplaces {
        /// What was to stand in.
        by: Name,
        /// Its version.
        version: String,
        /// For what.
        of: Name,
        /// Of which version.
        of_version: String,
        /// What is missing.
        lacking: Vec<String>,
    },
    /// An override that nothing in the image is about.
    #[error("nothing in the image needs {of}, so the override of it does nothing")]
    UnusedOverride {
        /// What was to be replaced.
        of: Name,
    },
    /// The lock names something that only this host's store could have, and it hasn't.
    #[error("the lock has {name} {version} ({fileset}), which isn't in the store")]
    LockedMissing {
        /// The package or distribution.
        name: Name,
        /// Its version.
        version: String,
        /// Its identity.
        fileset: FileSetDigest,
    },
    /// The lock gives a package a FileSet of something else.
    #[error("the lock has {fileset} for {package}, and that is {is}")]
    LockOther {
        /// The package.
        package: Name,
        /// The FileSet.
        fileset: FileSetDigest,
        /// What it is.
        is: Name,
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
    /// `--locked`, and a package whose recipe is beside the image's has become something other than the lock says.
    #[error("{package} is built to {found}, and the lock has {locked}")]
    LockBuilt {
        /// The package.
        package: Name,
        /// What the lock has.
        locked: FileSetDigest,
        /// What was built.
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
    /// A recipe for machines of other kinds.
    #[error("{} is for {}, and this host is {host}", recipe.display(), architectures.join(" or "))]
    RecipeArchitecture {
        /// The recipe.
        recipe: PathBuf,
        /// What it is for.
        architectures: Vec<String>,
        /// What this host is.
        host: String,
    },
    /// An image without a command was to be run without one.
    #[error("{image} doesn't say what to run")]
    NothingToRun {
        /// The image.
        image: String,
    },
    /// The host doesn't have what an image asks for.
    #[error("{image} can't run on this host:{}", lines(lacks))]
    HostLacks {
        /// The image.
        image: String,
        /// Everything that is missing.
        lacks: Vec<Lack>,
    },
    /// An image asks for more than containers get, and the operator hasn't allowed it.
    #[error("{image} asks for more than a container gets unless you allow it:{}", lines(asks))]
    NotAllowed {
        /// The image.
        image: String,
        /// Its name.
        name: Name,
        /// Everything that isn't allowed.
        asks: Vec<Asking>,
    },
    /// A new record of an image asks for more than the one before.
    #[error("{name} would begin to ask for more of the host:{}", lines(asks))]
    NewAsks {
        /// The image.
        name: Name,
        /// What is new.
        asks: Vec<Asking>,
    },
    /// A device that was there when it was looked for.
    #[error("the container can't be given a device: {source}")]
    Device {
        /// Why not.
        source: larder_runtime::launch::DeviceError,
    },
    /// Nothing in the image has such an action.
    #[error("{image} has no action {action}")]
    NoAction {
        /// The image.
        image: String,
        /// What was asked for.
        action: String,
        /// The actions that there are.
        known: Vec<String>,
    },
    /// Two packages have the action, and the image doesn't say which it means.
    #[error("{image} doesn't say which {action} it means: {} have one", by.join(" and "))]
    AmbiguousAction {
        /// The image.
        image: String,
        /// What was asked for.
        action: String,
        /// The packages.
        by: Vec<String>,
    },
    /// Packages of the test that would change the image.
    #[error("the packages of [test] don't go with {package} {version} of the image")]
    TestPackages {
        /// A package that would be another.
        package: Name,
        /// Its version in the image.
        version: String,
    },
    /// A folder that can't be watched.
    #[error("can't watch {}", path.display())]
    Watch {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
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

impl From<crate::package::PackageError> for Error {
    fn from(error: crate::package::PackageError) -> Self {
        Self::Build(Box::new(error))
    }
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

    /// Says which folder or file an error is about.
    #[must_use]
    pub(crate) fn about_import(self, path: &std::path::Path) -> Self {
        Self::TakeIn { path: path.to_owned(), source: Box::new(self) }
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
}

/// The two versions that two distributions pin; where they are equal, that what they pin isn't.
fn pin(version: &str, other: &str, number: usize) -> String {
    match (version == other, number) {
        (false, _) => version.to_owned(),
        (true, 1) => format!("one {version}"),
        (true, _) => format!("another {version}"),
    }
}

fn lacking_lines(lacking: &[Lacking]) -> String {
    let line = |lacking: &Lacking| match lacking.there_is.as_slice() {
        [] => format!("\n  {} {}: there is no such package", lacking.name, lacking.version),
        versions => format!("\n  {} {}: there is {}", lacking.name, lacking.version, versions.join(", ")),
    };
    lacking.iter().map(line).collect()
}

fn only_for(says: &[String]) -> String {
    if says.is_empty() { String::new() } else { format!(", only for {}", says.join(", ")) }
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

fn lines<T: std::fmt::Display>(items: &[T]) -> String {
    items.iter().map(|item| format!("\n  {item}")).collect()
}

fn said_lines(said: &[String]) -> String {
    said.iter().map(|line| format!("\n  | {line}")).collect()
}

fn finding_lines(findings: &[Finding]) -> String {
    findings.iter().map(|finding| format!("\n  {finding}")).collect()
}
