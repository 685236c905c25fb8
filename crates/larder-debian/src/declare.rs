//! The declared tier: what maintainer scripts would have done, as data.
