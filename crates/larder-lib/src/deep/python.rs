//! A Python distribution's own metadata: `Name` and `Version` among the fields of `*.dist-info/METADATA`, `*.egg-info/PKG-INFO`, or of the
//! file `*.egg-info` itself.

use std::fs::File;

use larder_store::TreePath;

use super::{Ecosystem, Found, Read, Refused, whole};

/// The longest file: real ones hold a project's whole README.
const MAX_METADATA: u64 = 4 << 20;

/// Whether a file is a distribution's metadata.
pub(super) fn is_metadata(path: &TreePath) -> bool {
    let path = path.as_bytes();
    path.ends_with(b".dist-info/METADATA") || path.ends_with(b".egg-info/PKG-INFO") || path.ends_with(b".egg-info")
}

/// Its name and version.
pub(super) fn read(file: &File) -> Read<Option<Found>> {
    let what = "the metadata of a distribution";
    let bytes = whole(file, what, MAX_METADATA)?;
    let wrong = |reason| Refused::Malformed { what, reason };
    let text = String::from_utf8_lossy(&bytes);
    let (mut name, mut version) = (None, None);
    // The fields end at the first empty line; a line that begins with a blank goes on with the one above.
    for line in text.lines().take_while(|line| !line.is_empty()) {
        let Some((field, value)) = line.split_once(':') else { continue };
        let slot = match field {
            _ if field.eq_ignore_ascii_case("name") => &mut name,
            _ if field.eq_ignore_ascii_case("version") => &mut version,
            _ => continue,
        };
        if slot.replace(value.trim()).is_some() {
            return Err(wrong("it has its name or version twice").into());
        }
    }
    let name = name.ok_or_else(|| wrong("it has no name"))?;
    Ok(Some(Found::new(Ecosystem::Python, name, version)?))
}
