//! What the fuzz targets call: each takes any bytes and panics where something that must hold doesn't.

mod plan;

use crate::tree::MAX_ENCODED;
use crate::{FileSet, FileSetDigest, Name, Reference, Tree, TreePath, json, refs, store};

pub use plan::plan;

/// Canonical JSON is refused, or encodes to the same bytes again.
pub fn json(bytes: &[u8]) {
    if let Ok(value) = json::decode(bytes) {
        assert_eq!(json::encode(&value), bytes);
    }
}

/// A Tree is refused, or encodes to the same bytes again; its entries make the same Tree.
pub fn tree(bytes: &[u8]) {
    if let Ok(tree) = Tree::decode(bytes) {
        assert_eq!(tree.encode(), bytes);
        assert!(bytes.len() as u64 <= MAX_ENCODED as u64);
        assert!(tree.entries().iter().all(|entry| tree.get(entry.path.as_bytes()) == Some(entry)));
        assert_eq!(Tree::new(tree.entries().to_vec()), Ok(tree));
    }
}

/// A FileSet record is refused, or encodes to the same bytes again. No user has the number that is none.
pub fn record(bytes: &[u8]) {
    if let Ok(record) = FileSet::decode(bytes) {
        assert_eq!(record.encode(), bytes);
        assert_eq!(record.digest(), FileSetDigest::of(bytes));
        let rules = match &record.metadata {
            crate::Metadata::Package(package) => &package.install,
            crate::Metadata::Files(files) => &files.install,
            _ => return,
        };
        let ids = rules.users.iter().map(|user| user.uid).chain(rules.groups.iter().map(|group| group.gid));
        assert!(ids.flatten().all(|id| id != u32::MAX));
    }
}

/// A ref is refused, or encodes to the same bytes again; what it stands for is one of its entries.
pub fn reference(bytes: &[u8]) {
    if let Ok(record) = refs::decode(bytes) {
        assert_eq!(refs::encode(&record), bytes);
        assert!(record.entries.contains(record.current_entry()));
    }
}

/// A statement is refused, or is about what it says and makes the same bytes again.
pub fn statement(bytes: &[u8]) {
    let about = json::decode(bytes).ok().and_then(|value| value.get("about")?.as_str()?.parse().ok());
    let about: FileSetDigest = about.unwrap_or_else(|| FileSetDigest::of(b""));
    if let Ok(statement) = store::decode_statement(bytes, &about) {
        assert_eq!(store::encode_statement(&about, &statement.kind, &statement.body), bytes);
        let other = FileSetDigest::of(bytes);
        assert!(store::decode_statement(bytes, &other).is_err());
    }
}

/// The roots of a container or view are refused, or written and read again are the same; a key is one folder's name.
pub fn roots(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(roots) = store::parse_roots(text) else { return };
    let written: String = roots.iter().map(|root| format!("{root}\n")).collect();
    assert_eq!(store::parse_roots(&written).as_ref(), Ok(&roots));
    for root in &roots {
        if let crate::Root::View(key) = root {
            assert!(!key.contains('/') && !key.starts_with('.'));
        }
    }
}

/// Names, references and paths are refused, or are written as they were read; none leads outside.
pub fn name(bytes: &[u8]) {
    if let Ok(path) = TreePath::new(bytes) {
        assert_eq!(path.as_bytes(), bytes);
        assert!(bytes.len() <= 4094 && !bytes.contains(&0));
        assert!(bytes.split(|&b| b == b'/').all(|part| !matches!(part, b"" | b"." | b"..") && part.len() <= 255));
        assert!(path.ancestors().all(|above| path.is_below(above.as_bytes())));
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(name) = Name::parse(text) {
        assert_eq!(name.as_str(), text);
        assert_eq!(format!("{}/{}", name.domain(), name.path()), text);
        assert!(TreePath::new(text).is_ok() && name.mount_path("1:2~3").is_ok());
    }
    if let Ok(reference) = text.parse::<Reference>() {
        assert_eq!(reference.to_string(), text);
    }
}

#[cfg(test)]
mod tests {
    use larder_testkit::hostile::feed;

    #[test]
    fn decoders_take_any_bytes() {
        feed("json", 8000, super::json);
        feed("name", 8000, super::name);
        feed("record", 8000, super::record);
        feed("ref", 4000, super::reference);
        feed("roots", 4000, super::roots);
        feed("statement", 4000, super::statement);
        feed("tree", 20000, super::tree);
    }

    #[test]
    fn plans_take_any_packages() {
        feed("plan", 3000, super::plan);
    }
}
