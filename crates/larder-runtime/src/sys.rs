//! System calls that no safe crate offers.
