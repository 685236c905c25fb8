//! Signed release files.
