//! The values of a recipe, each parsed into a type that can't be wrong.

use std::fmt;
use std::str::FromStr;

use larder_solver::{Base, ParseError, Root};
use larder_store::Name;
use larder_store::name::check_version;
use thiserror::Error;

use super::HostValueError;

/// The domain of Debian's packages.
pub(super) const DEBIAN: &str = "debian.org";

/// Domains in which nothing of one's own is named, and whose they are.
const RESERVED_DOMAINS: [(&str, &str); 2] =
    [(DEBIAN, "the namespace of Debian's packages"), ("host.internal", "where this host keeps what it composes")];

/// A value that breaks its key's rule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ValueError {
    /// Not a name.
    #[error("{text:?} isn't a name: {reason}")]
    Name {
        /// What was written.
        text: String,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// A package in `captured` with a version.
    #[error("{text:?} has a version: `captured` names packages, and which versions they have `packages` says")]
    Captured {
        /// What was written.
        text: String,
    },
    /// A name in a namespace that nobody publishes in.
    #[error("{name} can't be a name of your own: {domain} is {whose}")]
    ReservedName {
        /// What was written.
        name: Name,
        /// Its domain.
        domain: &'static str,
        /// Whose it is.
        whose: &'static str,
    },
    /// Not a version.
    #[error("{text:?} isn't a version: {reason}")]
    Version {
        /// What was written.
        text: String,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// Not a package with its constraints.
    #[error("{0}")]
    Package(#[from] ParseError),
    /// A package of Debian's in a recipe that names no distribution.
    #[error("{text:?} is Debian's, and the recipe has no `from`")]
    ForeignPackage {
        /// What was written.
        text: String,
    },
    /// Not a path to a folder beside the recipe.
    #[error("{text:?} can't be the folder of a recipe: {reason}")]
    RecipePath {
        /// What was written.
        text: String,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// A package of a distribution without its one version.
    #[error("{text:?} names no exact version")]
    NotExact {
        /// What was written.
        text: String,
    },
    /// A package that is listed twice.
    #[error("{name} is there twice")]
    Twice {
        /// The package.
        name: Name,
    },
    /// A text of several lines where one is wanted.
    #[error("it has more than one line")]
    SeveralLines,
    /// A package that can't stand in for another.
    #[error("{by} can't stand in for {of}: {reason}")]
    Override {
        /// What is to be replaced.
        of: Name,
        /// What is to stand in for it.
        by: Name,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// Not a base.
    #[error("{text:?} isn't a base")]
    Base {
        /// What was written.
        text: String,
    },
    /// Not a user.
    #[error("{text:?} isn't a user: {reason}")]
    User {
        /// What was written.
        text: String,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// Not a working directory.
    #[error("{text:?} isn't an absolute, normal path: {reason}")]
    WorkDir {
        /// What was written.
        text: String,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// Not a signal.
    #[error("{text:?} isn't a signal")]
    Signal {
        /// What was written.
        text: String,
        /// The signal whose name is nearest.
        nearest: Option<&'static str>,
    },
    /// Not the name of a variable.
    #[error("{text:?} isn't the name of an environment variable: it is empty, or has a `=` or a NUL in it")]
    EnvironmentName {
        /// What was written.
        text: String,
    },
    /// A value of `[host]`.
    #[error("{0}")]
    Host(#[from] HostValueError),
    /// A command without a program.
    #[error("the list names no program")]
    EmptyCommand,
    /// An empty text where something is needed.
    #[error("it is empty")]
    Empty,
    /// A value that breaks the one rule of its kind.
    #[error("{text:?} isn't {what}: {rule}")]
    Rule {
        /// What was written.
        text: String,
        /// What it should be, with its article.
        what: &'static str,
        /// The rule that it breaks.
        rule: &'static str,
        /// What to write, for example.
        example: &'static str,
    },
    /// A NUL byte, which no argument or variable can hold.
    #[error("it contains a NUL byte")]
    Nul,
}

impl ValueError {
    /// What to write instead.
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Self::Name { .. } | Self::ReservedName { .. } => {
                "a name is a DNS domain of yours, a slash and a word in lower case, such as \"example.com/web\"".to_owned()
            }
            Self::Version { .. } => "write a version such as \"1.0\" or \"2026.11-2\"".to_owned(),
            Self::Captured { .. } => "write names alone, such as captured = [\"libpam-runtime\"]".to_owned(),
            Self::ForeignPackage { .. } => "say in `from` which distribution has it".to_owned(),
            Self::RecipePath { .. } => {
                "write it relative to this recipe's folder, such as { path = \"../hello\" }".to_owned()
            }
            Self::Override { .. } => {
                "write \"debian.org/openssl\" = \"example.com/openssl\", or where the package doesn't say that it can: \
                 { by = \"example.com/openssl\", force = true, reason = \"why\" }"
                    .to_owned()
            }
            Self::Package(_) => {
                "write a package's name, with constraints if you need them: \"openssl\", \"openssl >=3.0\", \"openssl >=3.0, <4\"".to_owned()
            }
            Self::Base { .. } => "write \"essential\" (what Debian's packages assume) or \"none\"".to_owned(),
            Self::User { .. } => "write a name or a number, with a group if you need one: \"www-data\", \"1000:1000\"".to_owned(),
            Self::WorkDir { .. } => "write a path such as \"/srv/app\"".to_owned(),
            Self::Signal { nearest: Some(nearest), .. } => format!("did you mean \"{nearest}\"?"),
            Self::Signal { nearest: None, .. } => "write a name such as \"SIGTERM\" or \"SIGQUIT\"".to_owned(),
            Self::Host(error) => error.help(),
            Self::EmptyCommand => "write the program and its arguments, such as run = [\"nginx\", \"-g\", \"daemon off;\"]".to_owned(),
            Self::Rule { example, .. } => format!("write it as in {example}"),
            Self::NotExact { .. } => {
                "a distribution pins what it lists: write \"example.com/hello =2.12.1\"".to_owned()
            }
            Self::EnvironmentName { .. } | Self::Empty | Self::Nul | Self::Twice { .. } | Self::SeveralLines => return None,
        })
    }
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// As it is written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text! {
    /// The name of an environment variable: not empty, no `=`, no NUL.
    EnvironmentName
}
text! {
    /// A user by name or number, with an optional group after a colon.
    UserSpec
}
text! {
    /// An absolute, normal path.
    WorkDir
}
text! {
    /// A signal by its full name, such as `SIGTERM`.
    StopSignal
}

pub(super) fn name(text: &str) -> Result<Name, ValueError> {
    Name::parse(text).map_err(|error| ValueError::Name { text: text.to_owned(), reason: error.reason })
}

/// The name of an image or package: not one that this host gives to what it makes itself.
pub(super) fn own_name(text: &str) -> Result<Name, ValueError> {
    let name = name(text)?;
    match RESERVED_DOMAINS.into_iter().find(|(domain, _)| *domain == name.domain()) {
        Some((domain, whose)) => Err(ValueError::ReservedName { name, domain, whose }),
        None => Ok(name),
    }
}

pub(super) fn version(text: &str) -> Result<String, ValueError> {
    match check_version(text) {
        Ok(()) => Ok(text.to_owned()),
        Err(error) => Err(ValueError::Version { text: text.to_owned(), reason: error.reason }),
    }
}

/// A root with its constraints in one order, however they were written. Where `from` is one of Debian's suites and nothing else, a full
/// name of Debian's is cut to its short name: they mean the same there.
pub(super) fn root(text: &str, from: &[Name]) -> Result<Root, ValueError> {
    let domain = text.split_once('/').map(|(domain, _)| domain.trim_start());
    let text = match (from, domain) {
        ([], Some(DEBIAN)) => return Err(ValueError::ForeignPackage { text: text.to_owned() }),
        ([only], Some(DEBIAN)) if only.domain() == DEBIAN => &text[text.find('/').map_or(0, |slash| slash + 1)..],
        _ => text,
    };
    let mut root = larder_solver::parse_root(text)?;
    if root.name.contains('/') {
        name(&root.name)?;
    }
    root.constraints.sort_by_cached_key(|(relation, version)| (version.to_string(), relation.as_str()));
    root.constraints.dedup();
    Ok(root)
}

pub(super) fn base(text: &str) -> Result<Base, ValueError> {
    [Base::Essential, Base::None]
        .into_iter()
        .find(|&base| base_word(base) == text)
        .ok_or_else(|| ValueError::Base { text: text.to_owned() })
}

/// The word for a base in recipes and records.
pub fn base_word(base: Base) -> &'static str {
    match base {
        Base::Essential => "essential",
        Base::None => "none",
    }
}

impl FromStr for EnvironmentName {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if text.is_empty() || text.contains(['=', '\0']) {
            return Err(ValueError::EnvironmentName { text: text.to_owned() });
        }
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for UserSpec {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let wrong = |reason| ValueError::User { text: text.to_owned(), reason };
        let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
        for part in std::iter::once(user).chain(group) {
            if part.is_empty() {
                return Err(wrong("a name is empty"));
            }
            if part.bytes().all(|b| b.is_ascii_digit()) {
                if part.parse::<u32>().is_ok_and(|id| id != u32::MAX) {
                    continue;
                }
                return Err(wrong("the number is too large"));
            }
            let first = part.as_bytes()[0];
            let fine = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
            if !(first.is_ascii_alphabetic() || first == b'_') || !part.bytes().all(fine) || part.len() > 32 {
                return Err(wrong("a name has letters, digits and _.- only, begins with a letter, and has at most 32"));
            }
        }
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for WorkDir {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let wrong = |reason| ValueError::WorkDir { text: text.to_owned(), reason };
        let path = text.strip_prefix('/').ok_or_else(|| wrong("it doesn't begin with a slash"))?;
        if !path.is_empty() {
            larder_store::TreePath::try_from(path).map_err(|error| wrong(error.reason))?;
        }
        Ok(Self(text.to_owned()))
    }
}

/// The signals that a program can be asked to end with: it can catch each of them.
const SIGNALS: &[&str] = &[
    "SIGHUP", "SIGINT", "SIGQUIT", "SIGABRT", "SIGUSR1", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM", "SIGCONT",
    "SIGWINCH", "SIGPWR",
];

impl FromStr for StopSignal {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let full = if text.starts_with("SIG") { text.to_owned() } else { format!("SIG{text}") };
        if SIGNALS.contains(&full.as_str()) {
            return Ok(Self(full));
        }
        let upper = full.to_uppercase();
        let upper = upper.strip_prefix("SIGSIG").map_or(upper.clone(), |rest| format!("SIG{rest}"));
        let nearest = SIGNALS
            .iter()
            .map(|&signal| (strsim::damerau_levenshtein(&upper, signal), signal))
            .filter(|&(distance, _)| distance <= 2)
            .min()
            .map(|(_, signal)| signal);
        Err(ValueError::Signal { text: text.to_owned(), nearest })
    }
}
