//! Development only: hermetic environment, fixtures, tidiness checks.

#![forbid(unsafe_code)]

pub mod archive;
pub mod env;
pub mod hostile;
pub mod power;
pub mod skip;

pub use env::{Output, TestEnv, Who, is_root};
pub use skip::skip;
