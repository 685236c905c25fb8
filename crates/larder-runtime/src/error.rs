//! What can go wrong with views and containers.

use thiserror::Error;

/// An error of a view or a container.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RuntimeError {}
