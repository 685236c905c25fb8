//! What can go wrong with views and containers.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::view::ViewKindName;

/// An error of a view or a container.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// A file operation failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, as a verb: `"create"`, `"rename"`.
        action: &'static str,
        /// The path it was tried on.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },

    /// The kernel refused a mount.
    #[error("cannot mount {what}{}", said(log))]
    Mount {
        /// Which file system or mount.
        what: String,
        /// What the kernel wrote about it (empty when it said nothing).
        log: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },

    /// The listing of a view breaks a rule.
    #[error("{path:?} cannot be in a view: {reason}")]
    ViewEntry {
        /// The path of the entry.
        path: String,
        /// Which rule.
        reason: &'static str,
    },

    /// The caller could not give the listing of a view.
    #[error("cannot list the files of the view")]
    ViewListing(#[source] Box<dyn std::error::Error + Send + Sync>),

    /// The EROFS writer refused a listing.
    #[error("cannot write the image of the view: {reason}")]
    ViewImage {
        /// The writer's words.
        reason: String,
    },

    /// A mounted view shows something else than the object it should show.
    #[error("the {view} view shows {path:?} with other content than its object")]
    ViewMismatch {
        /// The way the view was made.
        view: ViewKindName,
        /// The path that was read.
        path: String,
    },

    /// No way of making a view works here.
    #[error("no way of making a view works here: {}", tried(.0))]
    NoView(
        /// Each way that was tried, in order, with what stood against it.
        Vec<(ViewKindName, String)>,
    ),
}

impl RuntimeError {
    /// Wraps an I/O error with what was tried on which path.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

fn said(log: &str) -> String {
    if log.is_empty() { String::new() } else { format!(" (the kernel says: {log})") }
}

fn tried(tried: &[(ViewKindName, String)]) -> String {
    let each: Vec<String> = tried.iter().map(|(name, why)| format!("{name}: {why}")).collect();
    each.join("; ")
}
