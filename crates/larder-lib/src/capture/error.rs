//! Why scripts' work can't be captured.

use larder_runtime::view::ViewKindName;
use larder_store::{FileSetDigest, Name};
use thiserror::Error;

/// What keeps the work of scripts from being captured. Nothing is kept then.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// An ordinary user can't run scripts that give files to others.
    #[error(
        "the scripts of {package} can't be run by an ordinary user: they give files to several users, as only root can"
    )]
    NeedsRoot {
        /// The package.
        package: Name,
    },
    /// A package without scripts that install or configure it.
    #[error("{package}@{version} has no scripts that install or configure it: there is nothing to capture")]
    NoScripts {
        /// The package.
        package: Name,
        /// Its version.
        version: String,
    },
    /// A name in `captured` that no package of the image has.
    #[error("`captured` names {name}, which isn't among the image's packages")]
    NotInImage {
        /// The name, as it was written.
        name: String,
        /// Packages with names like it.
        nearest: Vec<String>,
    },
    /// A name in `captured` of a package that isn't Debian's.
    #[error("`captured` names {package}, which is no package of Debian's: only theirs have maintainer scripts")]
    NotDebians {
        /// The package.
        package: Name,
    },
    /// A view that keeps writes in memory.
    #[error("what the scripts of {package} write can't be found in a view of the kind {view}")]
    View {
        /// The package.
        package: Name,
        /// The way in which the view was made.
        view: ViewKindName,
    },
    /// A folder that was renamed, on a kernel that only notes it.
    #[error("the scripts of {package} renamed {path}, which can't be followed on this kernel")]
    Renamed {
        /// The package.
        package: Name,
        /// The new path.
        path: String,
    },
    /// More paths than a package's scripts have any reason to make.
    #[error("the scripts of {package} left more than {limit} files")]
    TooMany {
        /// The package.
        package: Name,
        /// How many may be.
        limit: usize,
    },
    /// More bytes than a package's scripts have any reason to make.
    #[error("the scripts of {package} left {path} of {size} bytes: all that is kept of them may have {limit}")]
    TooLarge {
        /// The package.
        package: Name,
        /// The file with which it was too much.
        path: String,
        /// Its size.
        size: u64,
        /// How many bytes may be.
        limit: u64,
    },
    /// What was left makes no Tree or record.
    #[error("what the scripts of {package} left can't be a FileSet: {problem}")]
    NoFileSet {
        /// The package.
        package: Name,
        /// Why not.
        problem: String,
    },
    /// Another capture than the lock has.
    #[error(
        "the scripts of {package} left something else than the lock has (locked {locked}, found {found}): {differs}"
    )]
    Differs {
        /// The package.
        package: Name,
        /// What the lock has.
        locked: FileSetDigest,
        /// What was found.
        found: FileSetDigest,
        /// The first difference, in words.
        differs: String,
    },
}

impl CaptureError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NeedsRoot { .. } => "run it as root; what root captured and locked can be built and run by anybody who has the store"
                .to_owned(),
            Self::NoScripts { package, .. } => format!("leave {} out of `captured`", package.short()),
            Self::NotInImage { nearest, .. } => match nearest.as_slice() {
                [] => "`captured` takes short names of packages that the image has, as `larder packages` lists them".to_owned(),
                names => format!("did you mean {}?", names.join(" or ")),
            },
            Self::NotDebians { .. } => "a package of one's own says `install.script` in its recipe".to_owned(),
            Self::View { .. } => "leave out --view, or choose another".to_owned(),
            Self::Renamed { .. } | Self::TooMany { .. } | Self::TooLarge { .. } | Self::NoFileSet { .. } => {
                "nothing was kept: leave the package out of `captured`, and put what it lacks into the image with [files]"
                    .to_owned()
            }
            Self::Differs { package, .. } => format!(
                "`larder update RECIPE {}` takes what is found now; or leave it out of `captured`",
                package.short()
            ),
        })
    }
}
