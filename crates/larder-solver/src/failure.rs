//! Why there is no answer: a tree of reasons, and the sentences that say it.

use std::fmt;

/// Why a request has no answer. [`Failure::explain`] turns it into sentences.
///
/// `roots` is a smallest set of roots that can't be had together: without any one of them there would be an answer. It is
/// empty where each reason stands for itself (a name that does not exist, a pin that no version meets).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The roots that can't be had together, as written; those of the base by their names.
    pub roots: Vec<String>,
    /// Why.
    pub reasons: Vec<Reason>,
}

/// A package that a reason is about, and how it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The packages (`name version`) that lead to it, from a root's down to the one that needs it; empty for a root's own.
    pub path: Vec<String>,
}

/// Which field says that two packages do not go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exclusion {
    /// `Conflicts`.
    Conflicts,
    /// `Breaks`.
    Breaks,
}

/// One reason.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Nothing is called so, and nothing provides it.
    Missing {
        /// The name asked for.
        name: String,
        /// Names like it, the best first.
        nearest: Vec<String>,
    },
    /// No version meets a root's pin.
    NoVersion {
        /// The root as written.
        root: String,
        /// The versions there are, newest first; empty where the name is only provided, and not in such a version.
        versions: Vec<String>,
    },
    /// A package needs what no package is or provides.
    Unknown {
        /// The package.
        package: Place,
        /// The clause of its `Depends` or `Pre-Depends`.
        requirement: String,
        /// What there is of the names in the clause, as `name version`.
        there_is: Vec<String>,
    },
    /// Two packages exclude each other.
    Excluded {
        /// The package whose field says so.
        by: Place,
        /// Which field.
        field: Exclusion,
        /// The clause of the field.
        clause: String,
        /// The package excluded.
        package: Place,
    },
    /// Another version of this package is needed elsewhere.
    OtherVersion {
        /// The package that would be needed.
        package: Place,
        /// The version needed elsewhere, and by whom.
        taken: Place,
        /// The root or clause that allows no other.
        because: String,
    },
    /// A requirement (or, without `package`, a root) has several ways to be met, and none works.
    Unmet {
        /// The package that needs it.
        package: Option<Place>,
        /// The root or the clause.
        requirement: String,
        /// Why each way fails.
        options: Vec<Self>,
    },
    /// No single cause can be named: some versions fit each requirement, but none fit all.
    Together,
}

impl Failure {
    /// The reasons as sentences, one a line without a full stop; a line that explains another stands indented below it.
    #[must_use]
    pub fn explain(&self) -> String {
        let mut lines = Vec::new();
        let depth = match self.roots.as_slice() {
            [] => 0,
            [only] => {
                lines.push(format!("{only} can't be installed:"));
                1
            }
            [first @ .., last] => {
                lines.push(format!("{} and {last} can't be installed together:", first.join(", ")));
                1
            }
        };
        for reason in &self.reasons {
            reason.render(depth, &mut lines);
        }
        lines.join("\n")
    }
}

impl Reason {
    fn render(&self, depth: usize, lines: &mut Vec<String>) {
        let indent = "  ".repeat(depth);
        let sentence = match self {
            Self::Missing { name, nearest } if nearest.is_empty() => {
                format!("nothing is called \"{name}\", and nothing provides it")
            }
            Self::Missing { name, nearest } => {
                format!("nothing is called \"{name}\", and nothing provides it; did you mean {}?", either(nearest))
            }
            Self::NoVersion { root, versions } if versions.is_empty() => {
                format!("nothing provides a version that meets \"{root}\"")
            }
            Self::NoVersion { root, versions } => {
                format!("no version meets \"{root}\": there is {}", listed(versions))
            }
            Self::Unknown { package, requirement, there_is } if there_is.is_empty() => {
                format!("{package} needs {requirement}, which does not exist")
            }
            Self::Unknown { package, requirement, there_is } => {
                format!("{package} needs {requirement}, but there is only {}", listed(there_is))
            }
            Self::Excluded { by, field, clause, package } => {
                let (verb, field) = match field {
                    Exclusion::Conflicts => ("conflicts with", "Conflicts"),
                    Exclusion::Breaks => ("breaks", "Breaks"),
                };
                format!("{by} {verb} {package} (\"{field}: {clause}\")")
            }
            Self::OtherVersion { package, taken, because } => {
                format!("{package} can't stand beside {taken}, which \"{because}\" asks for")
            }
            Self::Unmet { package: Some(package), requirement, .. } => {
                format!("{package} needs {requirement}, and nothing that meets it can be installed:")
            }
            Self::Unmet { package: None, requirement, .. } => {
                format!("nothing that meets {requirement} can be installed:")
            }
            Self::Together => "some versions meet each requirement, but none meet all of them".to_owned(),
        };
        lines.push(format!("{indent}{sentence}"));
        if let Self::Unmet { options, .. } = self {
            for option in options {
                option.render(depth + 1, lines);
            }
        }
    }
}

fn listed(words: &[String]) -> String {
    joined(words, "and")
}

fn either(words: &[String]) -> String {
    joined(words, "or")
}

fn joined(words: &[String], last_word: &str) -> String {
    match words {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} {last_word} {last}", first.join(", ")),
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)?;
        match self.path.as_slice() {
            [] => Ok(()),
            [parent] => write!(f, " (needed by {parent})"),
            [root, .., parent] => write!(f, " (needed by {parent}, for {root})"),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.explain())
    }
}

impl std::error::Error for Failure {}
