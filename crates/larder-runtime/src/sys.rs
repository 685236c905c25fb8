//! System calls that no safe crate offers.

pub(crate) mod mount;
