//! Parallel, resumable downloads.
