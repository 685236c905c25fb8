//! How long work reports its progress.
