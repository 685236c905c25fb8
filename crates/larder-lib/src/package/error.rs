//! Why a package could not be built.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use larder_debian::DebianError;
use larder_debian::error::ReleaseRefusal;
use larder_store::{Name, Sha256Digest};
use thiserror::Error;

use super::compare::Difference;

mod hints;

/// A package that can't be built as its recipe says.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PackageError {
    /// The recipe doesn't list this host's architecture.
    #[error("{package} may be built for {}, and this host is {host}", wanted.join(", "))]
    Architecture {
        /// The package.
        package: Name,
        /// The architectures that it lists.
        wanted: Vec<String>,
        /// The host's.
        host: String,
    },
    /// The command of a build or test ended with something other than 0.
    #[error("{phase} {package} failed: {command} {how}{}", tail(last))]
    Failed {
        /// What was being done.
        phase: Phase,
        /// The package, with its version.
        package: String,
        /// The last command that the shell showed, marked as code; `the command` where it showed none.
        command: String,
        /// How it ended.
        how: String,
        /// The last lines of the log.
        last: Vec<String>,
        /// The whole log.
        log: PathBuf,
    },
    /// A build or test was killed.
    #[error("{phase} {package} was stopped: {reason}{}", tail(last))]
    Stopped {
        /// What was being done.
        phase: Phase,
        /// The package, with its version.
        package: String,
        /// Why.
        reason: Stop,
        /// The last lines of the log.
        last: Vec<String>,
        /// The whole log.
        log: PathBuf,
    },
    /// A build that left nothing in `$OUT`.
    #[error("building {package} left nothing in $OUT")]
    NothingMade {
        /// The package, with its version.
        package: String,
        /// The whole log.
        log: PathBuf,
    },
    /// Something in `$OUT` that no package can have.
    #[error("{package} can't have {path}: {problem}")]
    Output {
        /// The package.
        package: Name,
        /// Where, as an absolute path in the package.
        path: String,
        /// What is wrong with it.
        problem: OutputProblem,
    },
    /// A split that no file goes into.
    #[error("no file that {package} makes is matched by [split.{split}] paths = {patterns}")]
    EmptySplit {
        /// The package.
        package: Name,
        /// The split.
        split: String,
        /// Its patterns.
        patterns: String,
    },
    /// A configuration file that the package doesn't have.
    #[error("{package} says that {path} is its configuration, and makes no such file")]
    NoConfiguration {
        /// The package.
        package: Name,
        /// The path.
        path: String,
    },
    /// A link to be made where the package has something else.
    #[error("{package} wants a link at {path} and has made something else at {taken}")]
    LinkTaken {
        /// The package.
        package: Name,
        /// Where the link is to be.
        path: String,
        /// What is in its way.
        taken: String,
    },
    /// An alternative that the package doesn't have.
    #[error("{package} says that it has {path} for the alternative {name:?}, and makes no such file")]
    NoAlternative {
        /// The package.
        package: Name,
        /// The alternative or follower.
        name: String,
        /// What it would point to.
        path: String,
    },
    /// A package that is to be imported isn't in the sandbox.
    #[error("{package} imports {name}, which isn't in the sandbox")]
    NotInSandbox {
        /// The package.
        package: Name,
        /// What it imports.
        name: Name,
    },
    /// Programs need what no requirement provides.
    #[error("{package} needs what it doesn't require:{}", needs(missing))]
    Undeclared {
        /// The package.
        package: Name,
        /// What is missing.
        missing: Vec<Missing>,
    },
    /// Two builds of the same made different files.
    #[error("two builds of {package} differ:{}", differences(found))]
    NotReproducible {
        /// The package, with its version.
        package: String,
        /// What differs.
        found: Vec<Difference>,
    },
    /// A source that isn't the one that was pinned.
    #[error("{url} isn't the pinned source: expected {expected}, received {received}")]
    SourceDigest {
        /// Where it was fetched from.
        url: String,
        /// What the recipe says.
        expected: Sha256Digest,
        /// What came.
        received: Sha256Digest,
    },
    /// A source, or its signature, that can't be fetched.
    #[error("can't fetch the source {url}")]
    NotFetched {
        /// Its address.
        url: String,
        /// Why not.
        source: Box<DebianError>,
    },
    /// A source package that the suite doesn't have.
    #[error("there is no source package {source_package} in {}{}", listed(from), versions(there_is))]
    NoSource {
        /// What was asked for.
        source_package: String,
        /// Where.
        from: Vec<Name>,
        /// The versions that are there, newest first.
        there_is: Vec<String>,
    },
    /// A source whose publisher's signature doesn't hold.
    #[error("the publisher's signature of {url} doesn't hold")]
    NotSigned {
        /// Where the source was fetched from.
        url: String,
        /// Why.
        #[source]
        reason: ReleaseRefusal,
    },
    /// A publisher's key that is none.
    #[error("{path}, which `signed-by` names, has no OpenPGP key: {problem}")]
    PublisherKey {
        /// The file, relative to the recipe's folder.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// Sources that somebody was writing to.
    #[error("the sources in {path:?} changed while they were read")]
    SourcesChanged {
        /// Where they are, in the recipe's folder.
        path: String,
    },
    /// An archive that can't be unpacked.
    #[error("can't unpack {source_name}: {reason}")]
    Archive {
        /// Its address.
        source_name: String,
        /// Why not.
        reason: String,
    },
    /// An archive of sources that holds something which no source needs.
    #[error("{source_name} holds {path:?}, {problem}")]
    ArchiveEntry {
        /// Its address.
        source_name: String,
        /// The entry.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A repository or commit that can't be fetched.
    #[error("can't fetch commit {commit} of {url}: {reason}")]
    Git {
        /// The repository.
        url: String,
        /// The commit.
        commit: String,
        /// git's words.
        reason: String,
    },
    /// There is no git on this host.
    #[error("can't start git, which fetches {url}")]
    NoGit {
        /// The repository.
        url: String,
        /// The system's reason.
        source: io::Error,
    },
    /// A package of one's own that is required and isn't here.
    #[error("{package} requires {requirement}, and {found}")]
    Requirement {
        /// The package.
        package: Name,
        /// What it requires.
        requirement: String,
        /// What is here instead.
        found: String,
    },
    /// Packages that need each other to be built.
    #[error("these packages need each other to be built: {}", circle(names))]
    Cycle {
        /// Each needs the next, and the last the first.
        names: Vec<Name>,
    },
    /// Two recipes of one package.
    #[error("{} and {} are both recipes of {name}", first.display(), second.display())]
    Twice {
        /// The package.
        name: Name,
        /// The one.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
}

/// What was going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// `[build] run`.
    Build,
    /// `[test] run`.
    Test,
    /// Maintainer scripts.
    Configure,
    /// `[package] install.script`.
    Install,
    /// Debian's `dpkg-source`.
    Unpack,
}

/// Why something was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It took longer than it may.
    Timeout(Duration),
    /// It left too little of the disk.
    Disk {
        /// How many bytes are left.
        left: u64,
        /// How many must be.
        needed: u64,
    },
    /// It said too much.
    Log(u64),
}

/// What is wrong with a file of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputProblem {
    /// It is set-user-id or set-group-id.
    SetId(u16),
    /// It is no file, folder or symbolic link.
    Special(&'static str),
    /// It is in one of Debian's aliases of folders of `/usr`.
    Alias,
    /// It is where Larder or the kernel puts something.
    Reserved,
    /// With this many bytes it is more than the disk of the store has room for.
    NoRoom(u64),
    /// Its path or name breaks a rule.
    Path(String),
}

/// A library or interpreter that no requirement provides.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    /// Which of the packages that were built has the file.
    pub part: Name,
    /// The file that needs it, as an absolute path.
    pub file: String,
    /// What it needs: the name of a library or the path of a program.
    pub needs: String,
    /// The packages of the sandbox that have it.
    pub providers: Vec<Name>,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Build => "building",
            Self::Test => "testing",
            Self::Configure => "configuring",
            Self::Install => "installing",
            Self::Unpack => "unpacking the source of",
        })
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout(limit) => write!(f, "it took longer than {} s", limit.as_secs()),
            Self::Disk { left, needed } => write!(
                f,
                "it filled the disk of the store, which has {} MiB left; {} MiB must be",
                left >> 20,
                needed >> 20
            ),
            Self::Log(limit) => write!(f, "it wrote more than {} MiB to its log", limit >> 20),
        }
    }
}

impl fmt::Display for OutputProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetId(mode) => write!(f, "its mode is {mode:04o}, set-user-id or set-group-id"),
            Self::Special(kind) => write!(f, "it is {kind}"),
            Self::Alias => f.write_str("that folder is only another name of one below /usr"),
            Self::Reserved => f.write_str("that folder belongs to Larder or the kernel"),
            Self::NoRoom(bytes) => write!(f, "with {bytes} bytes it is more than the disk of the store has room for"),
            Self::Path(rule) => f.write_str(rule),
        }
    }
}

fn listed(from: &[Name]) -> String {
    match from {
        [] => "no distribution".to_owned(),
        names => names.iter().map(Name::as_str).collect::<Vec<_>>().join(", "),
    }
}

fn versions(there_is: &[String]) -> String {
    if there_is.is_empty() { String::new() } else { format!(": there is {}", there_is.join(", ")) }
}

fn tail(last: &[String]) -> String {
    last.iter().map(|line| format!("\n  | {line}")).collect()
}

fn differences(found: &[Difference]) -> String {
    found.iter().map(|difference| format!("\n  {difference}")).collect()
}

fn needs(missing: &[Missing]) -> String {
    missing
        .iter()
        .map(|missing| {
            let who = match missing.providers.as_slice() {
                [] => "which no package of the sandbox has".to_owned(),
                names => format!("which is in {}", names.iter().map(Name::as_str).collect::<Vec<_>>().join(", ")),
            };
            format!("\n  {} of {} needs {}, {who}", missing.file, missing.part, missing.needs)
        })
        .collect()
}

fn circle(names: &[Name]) -> String {
    names.iter().chain(names.first()).map(Name::as_str).collect::<Vec<_>>().join(" -> ")
}
