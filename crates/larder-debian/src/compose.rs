//! Composers: shared files derived from the set of imported packages.
