//! Operations of Larder and what they work on: recipes, locks, builds, runs, queries.
//!
//! Data flows one way: [`recipe`] -> [`solve`] -> [`lock`] -> [`obtain`] (fetch, convert) -> [`assemble`] (record, plan,
//! [`compose`], [`verify`]) -> [`view`] -> [`run`]. The rest are questions about what is there.
//!
//! This library knows no terminal, no environment and no command line; whoever calls it gives it a [`Host`] and somebody
//! to report progress to.

#![forbid(unsafe_code)]

pub mod actions;
pub mod asks;
pub mod assemble;
mod beside;
pub mod build;
pub mod bytecode;
mod caches;
pub mod capture;
mod catalog;
pub mod chain;
pub mod compose;
pub mod config;
mod container;
pub mod contents;
pub mod deep;
pub mod diff;
pub mod distribution;
pub mod distributions;
mod error;
pub mod files;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod history;
mod host;
pub mod image;
mod image_test;
pub mod images;
pub mod import;
pub mod inspect;
mod kept;
pub mod keys;
pub mod lock;
pub mod maintenance;
pub mod obtain;
pub mod overrides;
pub mod package;
pub mod packages;
mod program;
pub mod provenance;
pub mod recipe;
pub mod run;
mod selection;
pub mod size;
pub mod solve;
pub mod supply;
pub mod update;
pub mod verify;
pub mod view;
pub mod watch;
pub mod which;
pub mod why;

pub use error::{Error, Result};
pub use host::{Host, architecture};
pub use larder_debian as debian;
pub use larder_debian::progress;
pub use larder_solver as solver;
pub use larder_store as store;
pub use larder_store::{Entry, FileSetDigest, Kind, Name, Reference, Selector, Store, StoreError, TreePath};
