//! What a verification found.

use std::fmt;

use larder_store::{FileSetDigest, Kind, Name};

use crate::provenance::Signer;

/// Everything that was looked at, importers and what was made first, then what they were made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The FileSets, each once. The first is the one that was asked for.
    pub items: Vec<Item>,
}

/// A FileSet and what was looked at about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its name.
    pub name: Name,
    /// Its version.
    pub version: String,
    /// Its identity.
    pub digest: FileSetDigest,
    /// Whose import or input it is; `None` for what was asked for.
    pub of: Option<FileSetDigest>,
    /// Of which kind; `None` where its record can't be read.
    pub kind: Option<Kind>,
    /// Who signed how it was made.
    pub signers: Vec<Signer>,
    /// What was looked at.
    pub links: Vec<Link>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// What.
    pub kind: LinkKind,
    /// And how it is.
    pub state: State,
}

/// What can be looked at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum LinkKind {
    /// The record has its digest, its name and its version.
    Record,
    /// Each file has its digest.
    Contents,
    /// The statement is whole, understood and about this FileSet.
    Statement,
    /// The statement's signatures hold, by keys that are trusted for the domain.
    Signature,
    /// The statement names all that the record holds.
    Inputs,
    /// A source that the statement names.
    Source(String),
    /// The publisher's signature of a source holds, by the key that the statement names.
    Publisher,
    /// The record was made from the `.deb` that the statement names.
    Deb,
    /// The package list that the statement names lists the `.deb`.
    List,
    /// The release file that the statement names lists the package list, and its signature holds.
    Release,
    /// The archive lists the `.deb` today.
    Archive,
    /// Made again, it is the same.
    Rebuild,
}

impl fmt::Display for LinkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Record => "record",
            Self::Contents => "contents",
            Self::Statement => "statement",
            Self::Signature => "signature",
            Self::Inputs => "inputs",
            Self::Source(uri) => return write!(f, "source {uri}"),
            Self::Publisher => "publisher",
            Self::Deb => "deb",
            Self::List => "list",
            Self::Release => "release",
            Self::Archive => "archive",
            Self::Rebuild => "rebuild",
        })
    }
}

/// How a link is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It holds.
    Holds,
    /// It isn't kept here, and was not checked again.
    NotKept,
    /// It can't be checked: why.
    NotChecked(String),
    /// Nobody has signed it.
    Unsigned,
    /// It doesn't hold: why.
    Broken(String),
}

impl From<larder_debian::distribution::Link> for State {
    fn from(link: larder_debian::distribution::Link) -> Self {
        use larder_debian::distribution::Link;
        match link {
            Link::Holds => Self::Holds,
            Link::NotKept => Self::NotKept,
            Link::Broken(reason) => Self::broken(reason),
        }
    }
}

impl State {
    /// Broken, for what an error and its causes say.
    pub(super) fn broken(error: impl std::error::Error) -> Self {
        let mut text = error.to_string();
        let mut next = error.source();
        while let Some(cause) = next {
            text.push_str(&format!(": {cause}"));
            next = cause.source();
        }
        Self::Broken(text)
    }

    /// The state as a word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::NotKept => "not kept",
            Self::NotChecked(_) => "not checked",
            Self::Unsigned => "unsigned",
            Self::Broken(_) => "broken",
        }
    }

    /// What there is to say besides the word.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::NotChecked(reason) | Self::Broken(reason) => Some(reason),
            Self::Holds | Self::NotKept | Self::Unsigned => None,
        }
    }
}

impl Item {
    pub(super) fn new(name: Name, version: String, digest: FileSetDigest, of: Option<FileSetDigest>) -> Self {
        Self { name, version, digest, of, kind: None, signers: Vec::new(), links: Vec::new() }
    }

    /// The links that don't hold.
    pub fn broken(&self) -> impl Iterator<Item = (&LinkKind, &str)> {
        self.links.iter().filter_map(|link| match &link.state {
            State::Broken(reason) => Some((&link.kind, reason.as_str())),
            _ => None,
        })
    }
}

impl Report {
    /// Whether everything that was looked at holds.
    pub fn holds(&self) -> bool {
        self.items.iter().all(|item| item.broken().next().is_none())
    }
}
