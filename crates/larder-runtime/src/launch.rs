//! Starting a container.
