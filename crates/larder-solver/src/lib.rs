//! Pure dependency solving: versions, requirements, resolution, explanations.
//!
//! The crate decides *which* packages an image holds. It reads nothing but what a [`Universe`] tells it: no file,
//! no clock, no environment, no thread. The same universe and the same set of roots give the same answer, in
//! whatever order the roots are written.
//!
//! [`resolve`] turns a [`Request`] into a [`Solution`], or into a [`Failure`] whose [`Failure::explain`] says why in
//! sentences. The rules are Debian's (versions, alternatives, provides, conflicts), and among several valid answers
//! the one that apt would give is preferred: see `resolve.rs`.

#![forbid(unsafe_code)]

mod error;
mod failure;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod nearest;
mod request;
mod requirement;
mod resolve;
mod root;
mod solution;
mod universe;
mod version;

pub use error::ParseError;
pub use failure::{Exclusion, Failure, Place, Reason};
pub use nearest::nearest_names;
pub use request::{Base, Request, Update};
pub use requirement::{Atom, Provide, Relation, Requirement};
pub use resolve::resolve;
pub use root::{Root, parse_root};
pub use solution::{Chosen, Link, Solution, Why, why};
pub use universe::{PackageId, PackageInfo, Priority, Universe};
pub use version::{Version, compare};
