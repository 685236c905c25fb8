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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_whole_grammar() {
        let text = "libc6 (>= 2.36) | libc6.1:any (<< 3) [amd64 arm64] | x+y:native (= 1:2-3) [!i386]";
        let requirement = Requirement::parse(text).unwrap();
        assert_eq!(requirement.to_string(), text);
        assert_eq!(requirement.alternatives[1].qualifier.as_deref(), Some("any"));
        assert_eq!(requirement.alternatives[2].architectures, ["!i386"]);
    }

    #[test]
    fn names_may_have_a_domain() {
        let requirement = Requirement::parse("example.com/team/hello:any (>= 2) | debian.org/hello").unwrap();
        assert_eq!(requirement.alternatives[0].name, "example.com/team/hello");
        assert_eq!(requirement.to_string(), "example.com/team/hello:any (>= 2) | debian.org/hello");
        let provides = Provide::parse_list("example.com/greeter (= 2), mta").unwrap();
        assert_eq!(provides[0].name, "example.com/greeter");
    }

    #[test]
    fn spaces_and_old_spellings() {
        let list = Requirement::parse_list(" a(>=1)|b , c ( < 2 ),, d(>3) ,").unwrap();
        let texts: Vec<String> = list.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["a (>= 1) | b", "c (<= 2)", "d (>= 3)"]);
    }

    #[test]
    fn what_is_refused() {
        for text in [
            "",
            "a |",
            "| a",
            "a (1)",
            "a (>= )",
            "a (>= 1",
            "a [",
            "a []",
            "a (>= 1) b",
            "a b",
            "a:",
            "é",
            "a, b",
            "a (=> 1)",
            "-a",
            "a/b",
            "a.b/",
            "a.b//c",
            "/b",
        ] {
            assert!(Requirement::parse(text).is_err(), "{text:?} was taken");
        }
        assert!(matches!(Requirement::parse("a (>= 1:)"), Err(ParseError::Version { .. })));
    }

    #[test]
    fn provides() {
        let provides = Provide::parse_list("mta, libfoo (= 1.2), ").unwrap();
        assert_eq!(provides[0], Provide { name: "mta".to_owned(), version: None });
        assert_eq!(provides[1].version.as_ref().unwrap().as_str(), "1.2");
        assert!(Provide::parse_list("a (>= 1)").is_err());
        assert!(Provide::parse_list("a | b").is_err());
    }

    fn atom() -> impl Strategy<Value = Atom> {
        let qualifier = prop::option::of("(any|native|amd64)");
        let relations =
            [Relation::Earlier, Relation::EarlierEqual, Relation::Equal, Relation::LaterEqual, Relation::Later];
        let version =
            "([0-9]:)?[0-9][a-z0-9.+~]{0,6}(-[a-z0-9.+~]{1,4})?".prop_map(|text| Version::parse(&text).unwrap());
        let constraint = prop::option::of((prop::sample::select(relations.to_vec()), version));
        let architectures = prop::collection::vec("!?[a-z][a-z0-9-]{0,5}", 0..3);
        ("([a-z]{1,3}[.][a-z]{1,3}/)?[a-z0-9][a-z0-9+.-]{0,10}", qualifier, constraint, architectures).prop_map(
            |(name, qualifier, constraint, architectures)| Atom { name, qualifier, constraint, architectures },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(alternatives in prop::collection::vec(atom(), 1..4)) {
            let requirement = Requirement { alternatives };
            prop_assert_eq!(Requirement::parse(&requirement.to_string()).unwrap(), requirement);
        }

        #[test]
        fn nothing_panics(text in "\\PC*", listed in "[a-c (<>=|),0-9:.\\[\\]!~-]*") {
            for text in [text, listed] {
                if let Ok(list) = Requirement::parse_list(&text) {
                    let again: Vec<String> = list.iter().map(ToString::to_string).collect();
                    prop_assert_eq!(Requirement::parse_list(&again.join(", ")).unwrap(), list);
                }
                let _ = Provide::parse_list(&text);
                let _ = crate::parse_root(&text);
            }
        }
    }
}
