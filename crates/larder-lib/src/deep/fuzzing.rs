//! What the fuzz targets of [`crate::fuzzing`] need of this module's inside.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use larder_store::TreePath;
use rustix::fs::{MemfdFlags, memfd_create};

use super::{Failed, Format, MAX_COMPONENTS, MAX_TEXT, Reading, codec};

/// A program or library is refused, or says what is in it.
pub fn compiled(bytes: &[u8]) {
    read(Format::Elf, bytes);
}

/// The same of a Python distribution's metadata and of an npm package's description.
pub fn described(bytes: &[u8]) {
    read(Format::Python, bytes);
    read(Format::Npm, bytes);
}

/// The same of a Java archive.
pub fn jar(bytes: &[u8]) {
    read(Format::Java, bytes);
}

/// What was found is within its bounds, can be shown on a terminal, and is the same when it was kept. Reading never fails.
fn read(format: Format, bytes: &[u8]) {
    let file = File::from(memfd_create("deep", MemfdFlags::CLOEXEC).expect("memory"));
    file.write_all_at(bytes, 0).expect("memory");
    let found = match format.read(&file) {
        Ok(found) => found,
        Err(Failed::Refused(refused)) => return assert!(!refused.to_string().is_empty()),
        Err(Failed::Io(error)) => panic!("a file in memory can be read: {error}"),
    };
    assert!(found.len() <= 2 * MAX_COMPONENTS);
    let path = TreePath::try_from("file").expect("path");
    let components: Vec<_> = found.into_iter().map(|found| found.at(&path)).collect();
    for component in &components {
        let texts = [Some(&component.name), component.version.as_ref(), component.inside.as_ref()];
        for text in texts.into_iter().flatten() {
            assert!(!text.is_empty() && text.len() <= MAX_TEXT && !text.chars().any(char::is_control), "{text:?}");
        }
    }
    let reading = Reading { components, unread: Vec::new() };
    assert_eq!(codec::decode(&codec::encode(&reading)), Some(reading));
}
