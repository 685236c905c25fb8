//! Verification below the packages' own word: interpreters, sonames, links.
