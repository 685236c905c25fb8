//! Roots: the packages that a recipe asks for by name, perhaps pinned.

use std::fmt;
use std::str::FromStr;

use crate::requirement::raw::is_name;
use crate::{ParseError, Relation, Version};

/// A package asked for by name, with the constraints its version must meet (all of them).
///
/// Written `openssl`, `openssl =3.0.1-1`, `openssl >=3.0` or `openssl >=3.0, <4`. Here `<` and `>` are strict, unlike
/// in Debian's fields; `<<` and `>>` mean the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// The package's name, or that of something provided.
    pub name: String,
    /// What its version must meet; empty for any version.
    pub constraints: Vec<(Relation, Version)>,
}

impl Root {
    /// A root without a pin. The name is not checked.
    #[must_use]
    pub fn any(name: &str) -> Self {
        Self { name: name.to_owned(), constraints: Vec::new() }
    }

    /// Whether a version meets every constraint.
    #[must_use]
    pub fn accepts(&self, version: &str) -> bool {
        self.constraints.iter().all(|(relation, wanted)| relation.accepts(crate::compare(version, wanted.as_str())))
    }
}

/// Parses a root as a recipe writes it.
///
/// # Errors
/// [`ParseError::Name`], [`ParseError::Version`] or [`ParseError::Root`].
pub fn parse_root(text: &str) -> Result<Root, ParseError> {
    let fail = |problem| ParseError::Root { text: text.to_owned(), problem };
    let trimmed = text.trim();
    let end = trimmed.find(|c: char| c.is_whitespace() || "<>=,(".contains(c)).unwrap_or(trimmed.len());
    let (name, rest) = trimmed.split_at(end);
    if name.is_empty() {
        return Err(fail("the name is missing"));
    }
    if !is_name(name) {
        return Err(ParseError::Name { text: name.to_owned() });
    }
    let rest = rest.trim();
    let mut constraints = Vec::new();
    if !rest.is_empty() {
        for part in rest.split(',') {
            let part = part.trim();
            let end = part.find(|c| !"<>=".contains(c)).unwrap_or(part.len());
            let (relation, version) = part.split_at(end);
            let relation = match relation {
                "<" | "<<" => Relation::Earlier,
                "<=" => Relation::EarlierEqual,
                "=" | "==" => Relation::Equal,
                ">=" => Relation::LaterEqual,
                ">" | ">>" => Relation::Later,
                _ => return Err(fail("a constraint begins with one of < <= = >= >")),
            };
            let version = version.trim();
            if version.is_empty() {
                return Err(fail("a constraint has no version"));
            }
            constraints.push((relation, Version::parse(version)?));
        }
    }
    Ok(Root { name: name.to_owned(), constraints })
}

impl FromStr for Root {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse_root(text)
    }
}

impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for (index, (relation, version)) in self.constraints.iter().enumerate() {
            let relation = match relation {
                Relation::Earlier => "<",
                Relation::Later => ">",
                other => other.as_str(),
            };
            f.write_str(if index == 0 { " " } else { ", " })?;
            write!(f, "{relation}{version}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_recipe_may_say() {
        for (text, shown) in [
            ("openssl", "openssl"),
            ("openssl >=3.0", "openssl >=3.0"),
            ("openssl = 3.0.1-1", "openssl =3.0.1-1"),
            ("openssl==3.0.1-1", "openssl =3.0.1-1"),
            ("openssl >= 3.0 , <4", "openssl >=3.0, <4"),
            ("  g++ >>1, <=2", "g++ >1, <=2"),
            ("openjdk-17-jre >1:0~", "openjdk-17-jre >1:0~"),
            ("example.com/team/hello>=2", "example.com/team/hello >=2"),
        ] {
            let root = parse_root(text).unwrap();
            assert_eq!(root.to_string(), shown);
            assert_eq!(parse_root(shown).unwrap(), root);
        }
    }

    #[test]
    fn what_it_may_not_say() {
        let message = |text| parse_root(text).unwrap_err().to_string();
        assert_eq!(
            message("openssl 3.0"),
            "\"openssl 3.0\" is not a package: a constraint begins with one of < <= = >= > \
             (write \"name\", \"name =1.2-3\" or \"name >=1.2, <2\")"
        );
        assert_eq!(
            message("OpenSSL_/x"),
            "\"OpenSSL_/x\" is not a package name: it needs lower-case letters, digits and \"+-.\""
        );
        for text in [
            "a.b/", "/a", "a/b", "a.b//c", "a.b/-c", ".a/b", "", " ", ">=1", "a >=", "a >=1,", "a =>1", "a (>= 1)",
            "a >=1 2", "é", "+a", "-",
        ] {
            assert!(parse_root(text).is_err(), "{text:?} was taken");
        }
    }
}
