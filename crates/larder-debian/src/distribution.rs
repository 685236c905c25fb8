//! A distribution: the suites that are known to work together.
