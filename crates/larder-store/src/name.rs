//! Names rooted in DNS, and references to FileSets.

