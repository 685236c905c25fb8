//! Surgical updates.
