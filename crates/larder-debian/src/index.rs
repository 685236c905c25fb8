//! The compact binary package index.
