//! FileSet records.
