//! The Debian bridge: signed indexes, `.deb` conversion, Debian composers.
//!
//! Data flows one way: the machine's apt sources name a mirror ([`sources`]); a signed release file vouches for indexes
//! ([`release`]), which become one mapped [`index`]; a [`distribution`] joins the indexes of its suites into the solver's
//! universe; chosen packages are [`fetch`]ed, read ([`deb`]) and [`convert`]ed to FileSets; what their maintainer scripts
//! would have done is [`declare`]d; and [`compose`] derives the files that depend on the set of packages.

#![forbid(unsafe_code)]

mod archive_file;
pub mod capture;
pub mod compose;
mod config;
pub mod convert;
pub mod deb;
pub mod declare;
pub mod distribution;
pub mod error;
pub mod fetch;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod index;
pub mod progress;
pub mod release;
mod source_index;
pub mod sources;
pub mod tarball;

pub use archive_file::ArchiveFile;
pub use config::{Config, Mirrors, Proxies, Refresh, Retry};
pub use distribution::{AbsentSuite, Description, Distribution, Evidence, SuiteEvidence};
pub use error::{DebianError, ReleaseRefusal};
pub use fetch::{fetch_all, fetch_each};
pub use progress::{Progress, Silent, TaskId};
pub use source_index::{SourceFile, SourcePackage};
