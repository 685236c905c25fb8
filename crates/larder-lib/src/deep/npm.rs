//! An npm package's `package.json`: its name and version.
//!
//! Only the file of a package itself counts, directly below `node_modules` (and where Debian puts packages, below `nodejs`) or a scope
//! there. Others of that name are fixtures, templates and parts of packages.

use std::fs::File;

use larder_store::TreePath;
use serde::Deserialize;

use super::{Ecosystem, Found, Read, Refused, whole};

/// The longest file.
const MAX_PACKAGE: u64 = 4 << 20;

/// Whether a file is a package's own description.
pub(super) fn is_package(path: &TreePath) -> bool {
    let mut parts = path.as_bytes().rsplit(|&b| b == b'/');
    if parts.next() != Some(b"package.json") || parts.next().is_none() {
        return false;
    }
    let is_folder = |part: Option<&[u8]>| matches!(part, Some(b"node_modules" | b"nodejs"));
    match parts.next() {
        Some(scope) if scope.starts_with(b"@") => is_folder(parts.next()),
        folder => is_folder(folder),
    }
}

/// What it says of itself. Everything else in it may be anything.
#[derive(Deserialize)]
struct Package {
    name: Option<String>,
    version: Option<String>,
}

/// Its name and version; none where it has no name, which the registry would not take either.
pub(super) fn read(file: &File) -> Read<Option<Found>> {
    let what = "the description of a package";
    let bytes = whole(file, what, MAX_PACKAGE)?;
    let package: Package = serde_json::from_slice(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes))
        .map_err(|_| Refused::Malformed { what, reason: "it is not a package's JSON" })?;
    let Some(name) = package.name else { return Ok(None) };
    Ok(Some(Found::new(Ecosystem::Npm, &name, package.version.as_deref())?))
}
