//! `deb/1`: from a `.deb` to a FileSet.
