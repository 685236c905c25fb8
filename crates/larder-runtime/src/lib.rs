//! Views and containers: mounts, launcher, supervisor.
//!
//! This crate knows neither packages nor images: it is given a listing of paths and objects, makes a file system of it
//! ([`view`]), and runs a process in it ([`launch`]). It is the only crate with `unsafe`, all of it in `sys`.

pub mod error;
pub mod features;
pub mod launch;
pub mod map;
pub mod signals;
mod sys;
pub mod view;

pub use error::RuntimeError;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub use launch::fuzzing;
