//! Tests that can't run here say so.

use std::fmt::Display;
use std::io::Write;

/// Prints `SKIPPED what: why` past the test harness, which swallows what a passing test prints. The summary of
/// `scripts/test` counts these lines, so call it once for a test, and return.
pub fn skip(what: impl Display, why: impl Display) {
    // One write, so that tests running beside this one don't get into the line. Nobody can be told when it fails.
    _ = std::io::stderr().write_all(format!("SKIPPED {what}: {why}\n").as_bytes());
}
