//! Debian's dependency syntax: `a (>= 1) | b:any`, and comma-separated lists of such clauses.
//!
//! The types here own their text and are for whoever builds or shows requirements. Solving parses the same grammar
//! into borrowed atoms (`raw`), because it reads thousands of clauses of which it keeps few.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use crate::{ParseError, Version};

pub(crate) mod raw;

/// How a version must stand to the one named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Relation {
    /// `<<`: strictly earlier.
    Earlier,
    /// `<=`: earlier or equal.
    EarlierEqual,
    /// `=`: equal.
    Equal,
    /// `>=`: later or equal.
    LaterEqual,
    /// `>>`: strictly later.
    Later,
}

impl Relation {
    /// Whether a version that compares to the named one as `ordering` meets this relation.
    #[must_use]
    pub fn accepts(self, ordering: Ordering) -> bool {
        match self {
            Self::Earlier => ordering == Ordering::Less,
            Self::EarlierEqual => ordering != Ordering::Greater,
            Self::Equal => ordering == Ordering::Equal,
            Self::LaterEqual => ordering != Ordering::Less,
            Self::Later => ordering == Ordering::Greater,
        }
    }

    /// Debian's spelling: `<<`, `<=`, `=`, `>=`, `>>`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Earlier => "<<",
            Self::EarlierEqual => "<=",
            Self::Equal => "=",
            Self::LaterEqual => ">=",
            Self::Later => ">>",
        }
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One alternative of a requirement: a name, perhaps with a qualifier and a constraint on the version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Atom {
    /// The package's name, or that of something provided.
    pub name: String,
    /// The architecture qualifier without its colon: `any`, `native` or an architecture.
    pub qualifier: Option<String>,
    /// The version wanted.
    pub constraint: Option<(Relation, Version)>,
    /// The architectures of `[amd64 arm64]` or `[!i386]`, as written; empty where there is no such list.
    pub architectures: Vec<String>,
}

impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(qualifier) = &self.qualifier {
            write!(f, ":{qualifier}")?;
        }
        if let Some((relation, version)) = &self.constraint {
            write!(f, " ({relation} {version})")?;
        }
        if !self.architectures.is_empty() {
            write!(f, " [{}]", self.architectures.join(" "))?;
        }
        Ok(())
    }
}

/// One clause: any of its alternatives satisfies it, the first being preferred. It has at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// The alternatives, in the order of preference.
    pub alternatives: Vec<Atom>,
}

impl Requirement {
    /// Parses one clause such as `a (>= 1) | b:any`.
    ///
    /// # Errors
    /// [`ParseError::Requirement`] for anything outside the grammar, a comma included; [`ParseError::Version`] for
    /// a bad version.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let alternatives = text.split('|').map(parse_atom).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { alternatives })
    }

    /// Parses a field: clauses between commas. Empty parts (a trailing comma) are passed over.
    ///
    /// # Errors
    /// As [`Requirement::parse`].
    pub fn parse_list(text: &str) -> Result<Vec<Self>, ParseError> {
        text.split(',').filter(|part| !part.trim().is_empty()).map(Self::parse).collect()
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, atom) in self.alternatives.iter().enumerate() {
            if index > 0 {
                f.write_str(" | ")?;
            }
            write!(f, "{atom}")?;
        }
        Ok(())
    }
}

impl FromStr for Requirement {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

/// Something a package provides: a name, perhaps with a version (`Provides: mta, libfoo (= 1.2)`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provide {
    /// The name provided.
    pub name: String,
    /// The version provided; without one, no requirement on a version is met.
    pub version: Option<Version>,
}

impl Provide {
    /// Parses a `Provides` field.
    ///
    /// # Errors
    /// As [`Requirement::parse`], and [`ParseError::Requirement`] for alternatives or a relation other than `=`.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, ParseError> {
        let parse = |part: &str| {
            let fail = |problem| ParseError::Requirement { text: part.trim().to_owned(), problem };
            let atom = parse_atom(part)?;
            match atom.constraint {
                None => Ok(Self { name: atom.name, version: None }),
                Some((Relation::Equal, version)) => Ok(Self { name: atom.name, version: Some(version) }),
                Some(_) => Err(fail("a provided version is written with \"=\"")),
            }
        };
        text.split(',').filter(|part| !part.trim().is_empty()).map(parse).collect()
    }
}

fn parse_atom(text: &str) -> Result<Atom, ParseError> {
    let raw = raw::atom(text).map_err(|problem| ParseError::Requirement { text: text.trim().to_owned(), problem })?;
    let constraint = match raw.constraint {
        None => None,
        Some((relation, version)) => Some((relation, Version::parse(version)?)),
    };
    Ok(Atom {
        name: raw.name.to_owned(),
        qualifier: raw.qualifier.map(str::to_owned),
        constraint,
        architectures: raw.architectures.split_ascii_whitespace().map(str::to_owned).collect(),
    })
}
