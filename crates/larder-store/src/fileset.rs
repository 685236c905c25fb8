//! FileSet records: what a set of files is called, what it consists of and what it imports.
//!
//! Nothing that changes from day to day is in a record (no provenance, signatures, index, suite, build time or ancestry):
//! the same content would get a new digest, and sharing would die. Such facts are statements, kept beside it.
//!
//! These types are the middle of the program; [`FileSet::encode`] and [`FileSet::decode`] convert them by hand to the
//! canonical JSON that `docs/formats.md` specifies. The sets among the lists (each says so) are written sorted and
//! without duplicates, whatever their order in memory.

use crate::{FileSetDigest, Name, TreeDigest, TreePath};

pub mod asks;
mod codec;
mod fields;
pub mod install;
pub mod metadata;

pub use asks::{HostAsks, KernelVersion};
pub use fields::RecordError;
pub use install::{
    AlternativeRule, DiversionRule, Follower, GroupRule, InstallRules, LinkRule, NO_ID, ScriptTier, UserRule,
};
pub use metadata::{
    ACTIONS, Actions, DistributionMetadata, FilesMetadata, ImageMetadata, Origin, Override, PackageMetadata,
};

/// What a FileSet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Files, and perhaps install rules, that something else imports.
    Files,
    /// A FileSet that others may require.
    Package,
    /// A FileSet with what to run and how.
    Image,
    /// A curated set of package versions.
    Distribution,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Files, Self::Package, Self::Image, Self::Distribution];

    /// The word in records and listings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Package => "package",
            Self::Image => "image",
            Self::Distribution => "distribution",
        }
    }

    /// The kind of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// An edge: a whole FileSet, shown at a path of another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Import {
    /// Where the imported tree is rooted, such as `packages/debian.org/nginx@1.22`.
    pub path: TreePath,
    /// The imported FileSet's name.
    pub name: Name,
    /// The imported FileSet's version.
    pub version: String,
    /// The imported FileSet.
    pub fileset: FileSetDigest,
}

/// A named, versioned and verified set of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSet {
    /// Its name.
    pub name: Name,
    /// Its version ([`check_version`](crate::name::check_version)).
    pub version: String,
    /// `amd64`, `arm64`, or `all` where it doesn't matter.
    pub architecture: String,
    /// The one time that all its files show, in seconds since 1970.
    pub time: u64,
    /// Its own files.
    pub tree: TreeDigest,
    /// What it imports: a set, by path.
    pub imports: Vec<Import>,
    /// What its kind adds.
    pub metadata: Metadata,
}

/// What a kind of FileSet adds to the record.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "a record is decoded one at a time and mostly one of the two large kinds"
)]
pub enum Metadata {
    /// Of [`Kind::Files`].
    Files(FilesMetadata),
    /// Of [`Kind::Package`].
    Package(PackageMetadata),
    /// Of [`Kind::Image`].
    Image(ImageMetadata),
    /// Of [`Kind::Distribution`].
    Distribution(DistributionMetadata),
}

impl FileSet {
    /// The digest of the encoded record: its identity.
    pub fn digest(&self) -> FileSetDigest {
        FileSetDigest::of(&self.encode())
    }

    /// The kind that the metadata is of.
    pub fn kind(&self) -> Kind {
        match self.metadata {
            Metadata::Files(_) => Kind::Files,
            Metadata::Package(_) => Kind::Package,
            Metadata::Image(_) => Kind::Image,
            Metadata::Distribution(_) => Kind::Distribution,
        }
    }

    /// The declared rules of installation; images and distributions have none.
    pub fn install(&self) -> Option<&InstallRules> {
        match &self.metadata {
            Metadata::Files(files) => Some(&files.install),
            Metadata::Package(package) => Some(&package.install),
            Metadata::Image(_) | Metadata::Distribution(_) => None,
        }
    }

    /// The package's metadata, where it is one.
    pub fn package(&self) -> Option<&PackageMetadata> {
        match &self.metadata {
            Metadata::Package(package) => Some(package),
            _ => None,
        }
    }

    /// The image's metadata, where it is one.
    pub fn image(&self) -> Option<&ImageMetadata> {
        match &self.metadata {
            Metadata::Image(image) => Some(image),
            _ => None,
        }
    }
}
