//! `larder.lock`: every name, version, digest, origin, rule version and signing root.
