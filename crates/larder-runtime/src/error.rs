//! What can go wrong with views and containers.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::view::ViewKindName;

/// An error of a view or a container.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// The caller could not write down what the container needs.
    #[error("the container was not started")]
    Refused {
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },

    /// A file operation failed.
    #[error("can't {action} {}", path.display())]
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
    #[error("can't mount {what}{}", said(log))]
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
    #[error("{path:?} can't be in a view: {reason}")]
    ViewEntry {
        /// The path of the entry.
        path: String,
        /// Which rule.
        reason: &'static str,
    },

    /// The caller could not give the listing of a view.
    #[error("can't list the files of the view")]
    ViewListing(#[source] Box<dyn std::error::Error + Send + Sync>),

    /// A kept or handed-over listing of a view ends too early.
    #[error("the listing of the view was cut short")]
    ListingCut,

    /// The key of a view is not lower-case hexadecimal.
    #[error("{key:?} is not the key of a view: expected lower-case hexadecimal digits")]
    ViewKey {
        /// What was given.
        key: String,
    },

    /// A view was to be mounted by another way than the one that made it.
    #[error("a view made as {prepared} can't be mounted as {view}")]
    OtherView {
        /// The way that was asked.
        view: ViewKindName,
        /// The way that made it.
        prepared: ViewKindName,
    },

    /// A writable layer was to be put over another view than its own.
    #[error("the writable layer {} belongs to {was}; over {view} it would show wrong content", upper.display())]
    OtherUpper {
        /// The layer.
        upper: PathBuf,
        /// Its view: way, key and artefact.
        was: String,
        /// The view that was to be mounted.
        view: String,
    },

    /// The EROFS writer refused a listing.
    #[error("can't write the image of the view: {reason}")]
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

    /// A step of starting a container failed.
    #[error("can't {what}{}", hint(remedy))]
    Start {
        /// What was tried, as a phrase after "can't".
        what: String,
        /// What the operator can do about it (empty when there is nothing to say).
        remedy: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },

    /// A limit of the container can't be set here.
    #[error("can't set {limit}: {reason}")]
    Limit {
        /// Which limit, such as "the memory limit of 67108864 bytes".
        limit: String,
        /// What stands against it.
        reason: String,
        /// What the operator can do about it (empty when there is nothing to say).
        remedy: String,
    },

    /// `newuidmap` or `newgidmap` refused.
    #[error("{} refused to map the caller's ids: {said} (see /etc/subuid and /etc/subgid)", tool.display())]
    IdMapRefused {
        /// The program.
        tool: PathBuf,
        /// What it said.
        said: String,
    },

    /// The supervisor gave up for a reason that it put into words.
    #[error("{0}")]
    Supervisor(String),

    /// The program to run is not in the container.
    #[error("the container has no program {0:?}")]
    ProgramNotFound(String),

    /// The program to run is there but can't be executed.
    #[error("can't execute {program:?} in the container")]
    ProgramNotExecutable {
        /// The program as it was asked for.
        program: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },

    /// The container's `/etc/passwd` or `/etc/group` lacks a name.
    #[error("the container has no {what} {name:?}")]
    UnknownUser {
        /// `"user"` or `"group"`.
        what: &'static str,
        /// The name that was asked for.
        name: String,
    },

    /// The specification asks for something that the launcher doesn't do.
    #[error("the container's specification can't be run: {0}")]
    Specification(String),

    /// The container was killed from outside before it could report its end.
    #[error("the container's supervisor was killed")]
    Lost,
}

impl RuntimeError {
    /// The error and its causes in one line.
    pub(crate) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }

    /// What the operator can do about it, where the error knows and does not say so itself.
    pub fn remedy(&self) -> Option<&str> {
        match self {
            Self::Limit { remedy, .. } if !remedy.is_empty() => Some(remedy),
            _ => None,
        }
    }

    /// The exit code of a command that could not run a container, as shells and other launchers have it: 127 for a program that
    /// is not there, 126 for one that can't be executed, 125 for everything else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::ProgramNotFound(_) => 127,
            Self::ProgramNotExecutable { .. } => 126,
            _ => 125,
        }
    }

    /// Wraps the kernel's answer to a step of starting a container.
    pub(crate) fn start(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Start { what, remedy: "", source }
    }

    /// Wraps an I/O error with what was tried on which path.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

fn hint(remedy: &str) -> String {
    if remedy.is_empty() { String::new() } else { format!(" ({remedy})") }
}

fn said(log: &str) -> String {
    if log.is_empty() { String::new() } else { format!(" (the kernel says: {log})") }
}

fn tried(tried: &[(ViewKindName, String)]) -> String {
    let each: Vec<String> = tried.iter().map(|(name, why)| format!("{name}: {why}")).collect();
    each.join("; ")
}
