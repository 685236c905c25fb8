//! System calls that no safe crate offers.

pub(crate) mod map;
pub(crate) mod mount;
