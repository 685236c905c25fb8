//! The file system that a container sees.
