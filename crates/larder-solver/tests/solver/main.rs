//! The solver as its users see it.

#![expect(clippy::unwrap_used, reason = "the helpers of these tests fail by panicking")]

mod dpkg;
mod explanations;
mod oracle;
mod rules;
mod universe;
mod updates;
