//! Readings: what a reader found in the files of a Tree, kept so that the files needn't be read again.
//!
//! A cache: one file for each reader and Tree, `cache/readings/<reader>/<tree>.json`, replaced without a lock of its own and without a sync, never
//! needed, and gone with its Tree. It holds the reader's version; that of another version, and a damaged one, count as absent.

use std::fs;
use std::path::PathBuf;

use super::{Store, list, remove_file, replace_cache};
use crate::TreeDigest;
use crate::error::StoreError;
use crate::json::{self, Value};

const FOLDER: &str = "cache/readings";
/// The `schema` member of a reading.
const SCHEMA: &str = "larder/reading/v1";

/// Who read, and how: what another version found may be something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reader {
    /// 1 to 64 of a-z and '-'.
    pub name: &'static str,
    /// Counts the changes of what it finds.
    pub version: u32,
}

impl Store {
    /// What this version of a reader found in a Tree before.
    ///
    /// # Errors
    /// I/O.
    pub fn reading(&self, reader: Reader, of: &TreeDigest) -> Result<Option<Value>, StoreError> {
        let path = self.reading_path(reader, of);
        match fs::read(&path) {
            Ok(bytes) => Ok(decode(&bytes, reader, of)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io("read", path)(error)),
        }
    }

    /// Keeps what a reader found in a Tree. In a store that can only be read, and where it is more than a document may be,
    /// nothing is kept.
    ///
    /// # Errors
    /// I/O.
    pub fn keep_reading(&self, reader: Reader, of: &TreeDigest, found: &Value) -> Result<(), StoreError> {
        let bytes = encode(reader, of, found);
        if self.is_read_only() || bytes.len() > json::MAX_BYTES {
            return Ok(());
        }
        // So that its file isn't taken for a dead process's on the way.
        let _lease = self.lease()?;
        replace_cache(&self.tmp_dir(), &self.reading_path(reader, of), &bytes)
    }

    /// Removes what was read in Trees that `stays` doesn't want.
    pub(crate) fn forget_readings(&self, stays: impl Fn(&TreeDigest) -> bool) -> Result<(), StoreError> {
        for reader in list(&self.path(FOLDER))? {
            for file in list(&reader.path())? {
                let name = file.file_name();
                let of = name.to_str().and_then(|name| TreeDigest::from_hex(name.strip_suffix(".json")?).ok());
                if !of.is_some_and(|of| stays(&of)) {
                    remove_file(&file.path())?;
                }
            }
        }
        Ok(())
    }

    fn reading_path(&self, reader: Reader, of: &TreeDigest) -> PathBuf {
        self.path(FOLDER).join(reader.name).join(format!("{}.json", of.hex()))
    }
}

fn encode(reader: Reader, of: &TreeDigest, found: &Value) -> Vec<u8> {
    json::encode(&Value::object([
        ("found", found.clone()),
        ("schema", SCHEMA.into()),
        ("tree", of.to_string().into()),
        ("version", Value::Integer(reader.version.into())),
    ]))
}

fn decode(bytes: &[u8], reader: Reader, of: &TreeDigest) -> Option<Value> {
    let Value::Object(mut members) = json::decode(bytes).ok()? else { return None };
    let known = members.get("schema")?.as_str() == Some(SCHEMA)
        && members.get("tree")?.as_str() == Some(&of.to_string())
        && members.get("version")? == &Value::Integer(reader.version.into());
    if known { members.remove("found") } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_and_damage_count_as_absent() {
        let folder = tempfile::tempdir().expect("folder");
        let store = Store::open(folder.path()).expect("store");
        let (one, two) = (Reader { name: "test", version: 1 }, Reader { name: "test", version: 2 });
        let (tree, other) = (TreeDigest::of(b"tree"), TreeDigest::of(b"other"));
        assert_eq!(store.reading(one, &tree).expect("reading"), None);
        store.keep_reading(one, &tree, &"found".into()).expect("keep");
        assert_eq!(store.reading(one, &tree).expect("reading"), Some("found".into()));
        assert_eq!(store.reading(two, &tree).expect("reading"), None);
        assert_eq!(store.reading(one, &other).expect("reading"), None);
        let path = store.reading_path(one, &tree);
        fs::rename(&path, store.reading_path(one, &other)).expect("rename");
        assert_eq!(store.reading(one, &other).expect("reading"), None, "it is of another Tree");
        fs::write(&path, b"\0\0\0").expect("damage");
        assert_eq!(store.reading(one, &tree).expect("reading"), None);
        store.keep_reading(two, &tree, &"again".into()).expect("keep");
        assert_eq!(store.reading(two, &tree).expect("reading"), Some("again".into()));
    }
}
