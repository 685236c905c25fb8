//! `larder.toml`, the recipe that a person writes.
