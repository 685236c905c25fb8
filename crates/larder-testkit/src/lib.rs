//! Development only: hermetic environment, fixtures, tidiness checks.

#![forbid(unsafe_code)]

pub mod archive;
