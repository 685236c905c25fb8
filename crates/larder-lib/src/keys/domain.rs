//! Domains.

use std::fmt;
use std::str::FromStr;

use larder_store::Name;
use larder_store::name::NameError;

/// A DNS domain in lower case, as names begin with one. It may stand in a file's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain(Box<str>);

impl Domain {
    /// The domain of a name.
    pub fn of(name: &Name) -> Self {
        Self(name.domain().into())
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Domain {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let wrong = |reason| NameError { text: text.to_owned(), what: "domain", reason };
        if text.contains('/') {
            return Err(wrong("a domain has no slash: it is what stands before the first slash of a name"));
        }
        match Name::parse(&format!("{text}/x")) {
            Ok(name) => Ok(Self::of(&name)),
            Err(error) => Err(wrong(error.reason)),
        }
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
