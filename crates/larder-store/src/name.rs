//! Names rooted in DNS, and references to FileSets.
//!
//! The location is never part of a name. `debian.org/…` is a namespace that the local bridge serves; to this module
//! it is a name like any other.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::{FileSetDigest, TreePath};

/// The longest name, in bytes: a ref's file is called after it, with an ending.
pub const MAX_NAME: usize = 200;
/// The longest segment of a name, in bytes.
pub const MAX_SEGMENT: usize = 128;
/// The longest version, in bytes.
pub const MAX_VERSION: usize = 112;

/// Why a text is not a name, a version or a reference.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is not a {what}: {reason}")]
pub struct NameError {
    /// What was given.
    pub text: String,
    /// `name`, `version`, `architecture` or `reference`.
    pub what: &'static str,
    /// The rule that it breaks.
    pub reason: &'static str,
}

/// `<dns-domain>/<segment>[/<segment>…]`, in lower case: `debian.org/openssl`, `example.com/team/web`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<str>);

impl Name {
    /// Accepts a whole name.
    ///
    /// # Errors
    /// Anything that isn't one; nothing is repaired, upper case included.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        match broken_rule(text) {
            None => Ok(Self(text.into())),
            Some(reason) => Err(NameError { text: text.to_owned(), what: "name", reason }),
        }
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The DNS domain: what stands before the first slash.
    pub fn domain(&self) -> &str {
        self.0.split('/').next().unwrap_or(&self.0)
    }

    /// What stands after the domain and its slash.
    pub fn path(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, path)| path)
    }

    /// The last segment: `nginx` of `debian.org/nginx`.
    pub fn short(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// Where an import of this name and version is mounted: `packages/<domain>/<path>@<version>`, `:` as `%3a`.
    ///
    /// # Errors
    /// A version that isn't one ([`check_version`]).
    pub fn mount_path(&self, version: &str) -> Result<TreePath, NameError> {
        check_version(version)?;
        let path = format!("packages/{}@{}", self.0, version.replace(':', "%3a"));
        TreePath::new(path).map_err(|e| NameError { text: version.to_owned(), what: "version", reason: e.reason })
    }
}

fn broken_rule(text: &str) -> Option<&'static str> {
    if text.len() > MAX_NAME {
        return Some("it is longer than 200 bytes");
    }
    let Some((domain, path)) = text.split_once('/') else {
        return Some("it has no slash (a name is DOMAIN/SEGMENT, such as debian.org/openssl)");
    };
    if !domain.contains('.') {
        return Some("what stands before the first slash is not a DNS domain: it has no dot");
    }
    if !domain.split('.').all(is_label) {
        return Some("its domain has a label that is not 1 to 63 of a-z, 0-9 and inner hyphens");
    }
    (!path.split('/').all(is_segment))
        .then_some("a segment must be 1 to 128 of a-z, 0-9, '.', '+', '_', '-', and begin with a letter or digit")
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

fn is_segment(segment: &str) -> bool {
    segment.len() <= MAX_SEGMENT
        && segment.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && segment.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'+' | b'_' | b'-'))
}

/// Accepts a version: 1 to 112 of letters, digits and `.+-~:_`, beginning with a letter or digit.
///
/// # Errors
/// Anything else.
pub fn check_version(version: &str) -> Result<(), NameError> {
    let wrong = |reason| Err(NameError { text: version.to_owned(), what: "version", reason });
    if version.len() > MAX_VERSION {
        return wrong("it is longer than 112 bytes");
    }
    if !version.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return wrong("it must begin with a letter or digit");
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b".+-~:_".contains(&b);
    if !version.bytes().all(allowed) {
        return wrong("only letters, digits and . + - ~ : _ may stand in it");
    }
    Ok(())
}

/// Accepts an architecture's name as Debian writes it: 1 to 32 of `a-z`, `0-9` and inner hyphens.
///
/// # Errors
/// Anything else.
pub fn check_architecture(architecture: &str) -> Result<(), NameError> {
    if is_label(architecture) && architecture.len() <= 32 {
        return Ok(());
    }
    let reason = "it must be 1 to 32 of a-z, 0-9 and inner hyphens";
    Err(NameError { text: architecture.to_owned(), what: "architecture", reason })
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Which of a name's FileSets is meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Selector {
    /// The one that the name's ref points to.
    Latest,
    /// The newest one with this version.
    Version(String),
    /// This one.
    Digest(FileSetDigest),
}

/// `NAME[@VERSION|@blake3:…]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// The name.
    pub name: Name,
    /// Which of its FileSets.
    pub selector: Selector,
}

impl FromStr for Reference {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (name, selector) = match text.split_once('@') {
            None => (text, Selector::Latest),
            Some((name, digest)) if digest.starts_with("blake3:") => {
                let reason = "after @ stands a version, or blake3: and 64 lower-case hexadecimal digits";
                let wrong = |_| NameError { text: text.to_owned(), what: "reference", reason };
                (name, Selector::Digest(digest.parse().map_err(wrong)?))
            }
            Some((name, version)) => {
                check_version(version)?;
                (name, Selector::Version(version.to_owned()))
            }
        };
        Ok(Self { name: Name::parse(name)?, selector })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.selector {
            Selector::Latest => write!(f, "{}", self.name),
            Selector::Version(version) => write!(f, "{}@{version}", self.name),
            Selector::Digest(digest) => write!(f, "{}@{digest}", self.name),
        }
    }
}

impl From<Name> for Reference {
    fn from(name: Name) -> Self {
        Self { name, selector: Selector::Latest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_rooted_in_dns() {
        for good in
            ["debian.org/nginx", "debian.org/libstdc++6", "a.b/c/d.e", "xn--e1a.example/0ad", "x.y/nginx/declarations"]
        {
            assert_eq!(Name::parse(good).expect(good).as_str(), good);
        }
        for bad in [
            "",
            "nginx",
            "debian/nginx",
            "debian.org",
            "debian.org/",
            "/nginx",
            "debian.org//nginx",
            "Debian.org/nginx",
            "debian.org/Nginx",
            "debian.org/-x",
            "debian.org/.x",
            "-a.org/x",
            "a-.org/x",
            "a..org/x",
            ".org/x",
            "a.org./x",
            "a.org/x y",
            "a.org/x@1",
            "a.org/é",
            "a_b.org/x",
            "a.org/..",
        ] {
            assert!(Name::parse(bad).is_err(), "{bad:?}");
        }
        let name = Name::parse("example.com/team/web").expect("name");
        assert_eq!((name.domain(), name.path(), name.short()), ("example.com", "team/web", "web"));
        assert!(Name::parse(&format!("{}.org/x", "a".repeat(64))).is_err());
        assert!(Name::parse(&format!("a.org/{}", "a".repeat(129))).is_err());
    }

    #[test]
    fn mount_paths_hide_the_colon() {
        let name = Name::parse("debian.org/git").expect("name");
        assert_eq!(
            name.mount_path("1:2.39.5-0+deb12u2").expect("path").as_bytes(),
            b"packages/debian.org/git@1%3a2.39.5-0+deb12u2"
        );
        for bad in ["", "a/b", "1%3a2", "1 2", "-1", "~1", ".."] {
            assert!(name.mount_path(bad).is_err(), "{bad:?}");
        }
        let longest = Name::parse(&format!("a.org/{}", "a".repeat(128))).expect("name");
        assert!(longest.mount_path(&"1".repeat(112)).is_ok());
        assert!(longest.mount_path(&"1".repeat(113)).is_err());
    }

    #[test]
    fn references_round_trip() {
        let digest = FileSetDigest::from_bytes([7; 32]);
        for text in ["debian.org/git".to_owned(), "debian.org/git@1:2.39.5".to_owned(), format!("a.org/b@{digest}")] {
            assert_eq!(text.parse::<Reference>().expect(&text).to_string(), text);
        }
        for bad in ["git", "a.org/b@", "a.org/b@blake3:00", "a.org/b@1@2", "@1"] {
            assert!(bad.parse::<Reference>().is_err(), "{bad:?}");
        }
    }
}
