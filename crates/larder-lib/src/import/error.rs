//! Why something can't be taken in.

use larder_debian::deb::DebError;
use larder_store::path::PathError;
use larder_store::tree::TreeError;
use larder_store::{Name, TreePath};
use thiserror::Error;

/// Why a folder, an OCI image or a `.deb` can't be taken in.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A name in the domain that the bridge serves.
    #[error("{name} can't be the name of a file that no archive vouches for: debian.org is Debian's")]
    ServedDomain {
        /// The name that was asked for.
        name: Name,
    },
    /// Something has no version of its own, and none was given.
    #[error("it has no version")]
    NoVersion,
    /// What is no folder.
    #[error("{path} is no folder")]
    NoFolder {
        /// What was given.
        path: String,
    },
    /// A set-id file, or one with capabilities.
    #[error("/{path} would raise privileges: {what}")]
    Privileged {
        /// Where.
        path: TreePath,
        /// `it is set-user-id`, `it has file capabilities`.
        what: &'static str,
    },
    /// A device, a fifo or a socket.
    #[error("/{path} is a device, a fifo or a socket")]
    Special {
        /// Where.
        path: TreePath,
    },
    /// A path that is the container's own.
    #[error("/{path} can't be a file of a package or an image: /{top} is Larder's or the kernel's")]
    Reserved {
        /// Where.
        path: TreePath,
        /// The directory.
        top: String,
    },
    /// A path that isn't one.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A path below something that is no directory.
    #[error("/{path} lies below /{parent}, which is no directory")]
    BelowFile {
        /// What has no place.
        path: TreePath,
        /// The file or link.
        parent: TreePath,
    },
    /// Two files that merged-/usr puts in one place.
    #[error("/{path} is there twice, once of them in a directory that is a link into /usr")]
    Collision {
        /// Where.
        path: TreePath,
    },
    /// One of the directories that merged-/usr makes links is something else.
    #[error("/{path} must be a directory, or a link to the same name below /usr")]
    Alias {
        /// Where.
        path: String,
    },
    /// A hard link to nothing.
    #[error("/{path} is a hard link to /{target}, which is no file of the image so far")]
    HardLink {
        /// The link.
        path: TreePath,
        /// What it should link to.
        target: TreePath,
    },
    /// A mark of something removed that can't be one.
    #[error("{path} can't mark anything as removed: {reason}")]
    Whiteout {
        /// The mark's path.
        path: String,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// An owner's number without a name.
    #[error("/{path} belongs to the {what} {id}, and nothing in it gives that number a name")]
    Owner {
        /// Where.
        path: TreePath,
        /// `user` or `group`.
        what: &'static str,
        /// The number.
        id: u64,
    },
    /// An owner's name that is none.
    #[error("/{path} belongs to a {what} whose name isn't one")]
    OwnerName {
        /// Where.
        path: TreePath,
        /// `user` or `group`.
        what: &'static str,
    },
    /// Entries that make no tree.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A tar archive, or a `.deb`.
    #[error(transparent)]
    Archive(#[from] DebError),
    /// What is no OCI image.
    #[error("it is neither an OCI image layout nor what `docker save` writes: {reason}")]
    NoImage {
        /// What is missing or wrong.
        reason: &'static str,
    },
    /// A part of an image that can't be read.
    #[error("the image's {part} can't be read")]
    Json {
        /// `index`, `manifest` or `configuration`.
        part: &'static str,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// A file that an image names and doesn't have.
    #[error("the image names {path}, and doesn't have it")]
    MissingPart {
        /// The file in the archive.
        path: String,
    },
    /// A file that is larger than it may be.
    #[error("the image's {part} has more than {limit} bytes")]
    PartTooLarge {
        /// Which.
        part: &'static str,
        /// The most that it may have.
        limit: u64,
    },
    /// Bytes with another digest.
    #[error("the image's {part} has the digest sha256:{found}, and should have sha256:{wanted}")]
    Digest {
        /// Which part.
        part: String,
        /// What was found.
        found: String,
        /// What the image says.
        wanted: String,
    },
    /// Several images in one archive, and none of them is the one for this machine.
    #[error("it holds {count} images, and not exactly one for {architecture}")]
    Several {
        /// How many.
        count: usize,
        /// What was looked for.
        architecture: String,
    },
    /// A kind of layer that isn't read.
    #[error("a layer is of the kind {kind}, which isn't read")]
    Layer {
        /// Its media type.
        kind: String,
    },
    /// A requirement that isn't one.
    #[error("{text:?} is no requirement, such as debian.org/libc6 >=2.36")]
    Requirement {
        /// What was given.
        text: String,
    },
}

impl ImportError {
    /// What to do next, where the message doesn't say it.
    pub(crate) fn help(&self) -> Option<&'static str> {
        match self {
            Self::ServedDomain { .. } => Some("give it a name in a domain of your own: --name example.com/thing"),
            Self::NoVersion => Some("give it one: --version 1.0"),
            Self::Privileged { .. } => {
                Some("--allow-set-id takes it in as it is; in a container it is inert by default")
            }
            Self::Owner { .. } | Self::OwnerName { .. } => Some("--owner root makes all files root's"),
            Self::Several { .. } => Some("save one image alone, or name the architecture with --arch"),
            _ => None,
        }
    }
}
