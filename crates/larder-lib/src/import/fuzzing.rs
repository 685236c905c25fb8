//! What the fuzz targets of [`crate::fuzzing`] need of this module's inside.

use std::path::Path;

use larder_store::{Entry, ObjectDigest};

use super::Privileges;
use super::layers::Root;
use super::nodes::Node;
use crate::Error;

/// Layers, parted by a line, are refused, or leave nothing that isn't below directories, raises privileges, or is the kernel's. The same
/// layer a second time changes no path.
pub fn layers(bytes: &[u8]) {
    let mut root = Root::default();

    let layers: Vec<&[u8]> = match bytes.windows(MARK.len()).position(|part| part == MARK) {
        Some(at) => vec![&bytes[..at], &bytes[at + MARK.len()..]],
        None => vec![bytes],
    };
    for layer in layers {
        let applied = root.apply(&mut &*layer, Privileges::Refused, &mut |content, size| {
            let mut bytes = Vec::new();
            // An archive may be cut short within a content.
            content.read_to_end(&mut bytes).map_err(Error::io("read", Path::new("a layer")))?;
            assert_eq!(bytes.len() as u64, size);
            Ok(ObjectDigest::of(&bytes))
        });
        if applied.is_err() {
            return;
        }
        for (path, node) in &root.nodes {
            let top = path.as_bytes().split(|&b| b == b'/').next().unwrap_or_default();
            assert!(![&b"dev"[..], b"proc", b"sys", b"packages", b"bin", b"lib"].contains(&top), "{path}");
            assert!(!matches!(node.entry, Entry::File { .. }) || node.mode & 0o6000 == 0, "{path}");
            for parent in path.ancestors() {
                let there = root.nodes.get(&parent);
                assert!(there.is_none_or(|node| matches!(node, Node { entry: Entry::Directory, .. })), "{path}");
            }
        }
    }
}

/// What parts two layers in an input.
const MARK: &[u8] = b"\nNEXT LAYER\n";
