//! What can go wrong in the bridge.

use thiserror::Error;

/// An error of the Debian bridge.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DebianError {}
