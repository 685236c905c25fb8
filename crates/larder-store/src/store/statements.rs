//! Statements: sentences about a FileSet, kept beside it and never inside.

use std::path::{Path, PathBuf};

use super::{Store, by_digest, layout, walk};
use crate::FileSetDigest;
use crate::error::StoreError;
use crate::json::{self, Value};

/// The `schema` member of a statement.
const SCHEMA: &str = "larder/statement/v1";

/// The kind of the statements that name what is to be kept with a FileSet: the body is `{"fileset": "blake3:…"}`. Garbage
/// collection reads it, and nothing else here.
const KEEPS: &str = "keeps";

/// A sentence about a FileSet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// What sort of sentence, such as `origin`.
    pub kind: String,
    /// What it says.
    pub body: Value,
}

impl Store {
    /// The statements about a FileSet, by kind and then by their bytes.
    ///
    /// # Errors
    /// [`StoreError::Text`] for one that is damaged; I/O.
    pub fn statements(&self, about: &FileSetDigest) -> Result<Vec<Statement>, StoreError> {
        let folder = self.statements_dir(about);
        let mut statements = Vec::new();
        for entry in walk::list(&folder)? {
            statements.extend(read(&entry.path(), about)?);
        }
        statements.sort_by(|(a, x), (b, y)| (&a.kind, x).cmp(&(&b.kind, y)));
        Ok(statements.into_iter().map(|(statement, _)| statement).collect())
    }

    /// What is kept with a FileSet, and isn't a part of it: what it can be made again from. Only what is here is listed, and
    /// statements that are damaged keep nothing, as if they were gone.
    ///
    /// # Errors
    /// I/O.
    pub fn kept(&self, with: &FileSetDigest) -> Result<Vec<FileSetDigest>, StoreError> {
        let mut kept = Vec::new();
        for entry in walk::list(&self.statements_dir(with))? {
            let statement = match read(&entry.path(), with) {
                Ok(Some((statement, _))) if statement.kind == KEEPS => statement,
                Ok(_) | Err(StoreError::Text { .. }) => continue,
                Err(error) => return Err(error),
            };
            let named = statement.body.get("fileset").and_then(Value::as_str).and_then(|text| text.parse().ok());
            kept.extend(named.filter(|digest| self.has_fileset(digest)));
        }
        kept.sort_unstable();
        Ok(kept)
    }

    /// The same, for whoever is about to say something again: a damaged file is removed. It may be what a loss of power left of
    /// a statement that was never reported done.
    pub(super) fn renew_statements(&self, about: &FileSetDigest) -> Result<Vec<(PathBuf, Statement)>, StoreError> {
        let mut statements = Vec::new();
        for entry in walk::list(&self.statements_dir(about))? {
            match read(&entry.path(), about) {
                Ok(found) => statements.extend(found.map(|(statement, _)| (entry.path(), statement))),
                Err(StoreError::Text { .. }) => statements.extend(self.mend_statement(&entry.path(), about)?),
                Err(error) => return Err(error),
            }
        }
        Ok(statements)
    }

    /// Removes a statement that was found damaged, unless somebody has said it again since.
    fn mend_statement(&self, path: &Path, about: &FileSetDigest) -> Result<Option<(PathBuf, Statement)>, StoreError> {
        let _alone = self.mending()?;
        match read(path, about) {
            Ok(found) => Ok(found.map(|(statement, _)| (path.to_owned(), statement))),
            Err(StoreError::Text { .. }) => super::remove_file(path).map(|_| None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn statements_dir(&self, about: &FileSetDigest) -> PathBuf {
        by_digest(self.root(), layout::STATEMENTS, &about.hex())
    }

    /// Where a statement is written, and its bytes.
    pub(super) fn prepare_statement(
        &self,
        about: &FileSetDigest,
        kind: &str,
        body: &Value,
    ) -> Result<(PathBuf, Vec<u8>), StoreError> {
        let wrong = |reason: String| StoreError::Statement { kind: kind.to_owned(), reason };
        if !is_kind(kind) {
            return Err(wrong("a kind is 1 to 64 of a-z, 0-9, '-', '.' and '/'".to_owned()));
        }
        let bytes = encode(about, kind, body);
        decode(&bytes, about).map_err(wrong)?;
        let name = format!("{}.json", blake3::hash(&bytes).to_hex());
        Ok((self.statements_dir(about).join(name), bytes))
    }
}

/// Reads a statement that is called after its bytes; nothing where it is gone since it was listed.
fn read(path: &Path, about: &FileSetDigest) -> Result<Option<(Statement, Vec<u8>)>, StoreError> {
    let Some(bytes) = super::write::read(path)? else { return Ok(None) };
    let hash = blake3::hash(&bytes).to_hex();
    if path.file_name().and_then(|name| name.to_str()?.strip_suffix(".json")) != Some(hash.as_str()) {
        return Err(StoreError::text(path, "its bytes have another digest than its name says"));
    }
    let statement = decode(&bytes, about).map_err(|reason| StoreError::text(path, reason))?;
    Ok(Some((statement, bytes)))
}

/// What the statement says that keeps a FileSet.
pub(super) fn keeps(kept: &FileSetDigest) -> (&'static str, Value) {
    (KEEPS, Value::object([("fileset", Value::from(kept.to_string()))]))
}

fn is_kind(kind: &str) -> bool {
    (1..=64).contains(&kind.len()) && kind.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'/'))
}

pub(crate) fn encode(about: &FileSetDigest, kind: &str, body: &Value) -> Vec<u8> {
    let members =
        [("about", about.to_string().into()), ("body", body.clone()), ("kind", kind.into()), ("schema", SCHEMA.into())];
    json::encode(&Value::object(members))
}

pub(crate) fn decode(bytes: &[u8], expected: &FileSetDigest) -> Result<Statement, String> {
    let Value::Object(mut members) = json::decode(bytes).map_err(|e| e.to_string())? else {
        return Err("it is not an object".to_owned());
    };
    let mut take = |key: &str| members.remove(key).ok_or_else(|| format!("it has no {key}"));
    let (about, body, kind, schema) = (take("about")?, take("body")?, take("kind")?, take("schema")?);
    if schema.as_str() != Some(SCHEMA) {
        return Err(format!("its schema is not {SCHEMA}"));
    }
    if about.as_str() != Some(&expected.to_string()) {
        return Err("it is about another FileSet".to_owned());
    }
    match kind {
        Value::String(kind) if is_kind(&kind) && members.is_empty() => Ok(Statement { kind, body }),
        _ => Err("it has an unknown member, or a wrong kind".to_owned()),
    }
}
