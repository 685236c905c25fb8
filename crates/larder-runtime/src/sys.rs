//! System calls that no safe crate offers.

pub(crate) mod clone;
pub(crate) mod loopdev;
pub(crate) mod map;
pub(crate) mod mount;
pub(crate) mod namespace;
pub(crate) mod net;
pub(crate) mod seccomp;
pub(crate) mod signal;
