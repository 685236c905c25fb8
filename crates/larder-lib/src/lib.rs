//! Operations of Larder and what they work on: recipes, locks, builds, runs, queries.
//!
//! This library knows no terminal, no environment and no command line; whoever calls it gives it a store, a configuration
//! and somebody to report progress to.

#![forbid(unsafe_code)]

pub mod lock;
pub mod recipe;
pub mod verify;
