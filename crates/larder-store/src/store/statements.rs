//! Statements: sentences about a FileSet, kept beside it and never inside.

use std::path::{Path, PathBuf};

use super::{Store, by_digest, layout, walk};
use crate::error::StoreError;
use crate::json::{self, Value};
use crate::{FileSetDigest, ObjectDigest};

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
        statements.sort_by(|a, b| (&a.statement.kind, &a.bytes).cmp(&(&b.statement.kind, &b.bytes)));
        Ok(statements.into_iter().map(|read| read.statement).collect())
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
                Ok(Some(Whole { statement, .. })) if statement.kind == KEEPS => statement,
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
    pub(super) fn renew_statements(&self, about: &FileSetDigest) -> Result<Vec<(ObjectDigest, Statement)>, StoreError> {
        let mut statements = Vec::new();
        for entry in walk::list(&self.statements_dir(about))? {
            match read(&entry.path(), about) {
                Ok(found) => statements.extend(found.map(|found| (found.digest, found.statement))),
                Err(StoreError::Text { .. }) => statements.extend(self.mend_statement(&entry.path(), about)?),
                Err(error) => return Err(error),
            }
        }
        Ok(statements)
    }

    /// Removes a statement that was found damaged, unless somebody has said it again since.
    fn mend_statement(
        &self,
        path: &Path,
        about: &FileSetDigest,
    ) -> Result<Option<(ObjectDigest, Statement)>, StoreError> {
        let _alone = self.mending()?;
        match read(path, about) {
            Ok(found) => Ok(found.map(|found| (found.digest, found.statement))),
            Err(StoreError::Text { .. }) => super::remove_file(path).map(|_| None),
            Err(error) => Err(error),
        }
    }

    /// Whether a statement about a FileSet is there whole, by its bytes' digest.
    pub fn has_statement(&self, about: &FileSetDigest, digest: &ObjectDigest) -> bool {
        let found = super::write::read(&self.statement_path(about, digest));
        found.is_ok_and(|found| found.is_some_and(|bytes| ObjectDigest::of(&bytes) == *digest))
    }

    pub(super) fn statement_path(&self, about: &FileSetDigest, digest: &ObjectDigest) -> PathBuf {
        self.statements_dir(about).join(format!("{}.json", digest.hex()))
    }

    pub(crate) fn statements_dir(&self, about: &FileSetDigest) -> PathBuf {
        by_digest(self.root(), layout::STATEMENTS, &about.hex())
    }

    /// A statement's bytes, with the digest after which it is called.
    pub(super) fn prepare_statement(
        &self,
        about: &FileSetDigest,
        kind: &str,
        body: &Value,
    ) -> Result<(ObjectDigest, Vec<u8>), StoreError> {
        let wrong = |reason: String| StoreError::Statement { kind: kind.to_owned(), reason };
        if !is_kind(kind) {
            return Err(wrong("a kind is 1 to 64 of a-z, 0-9, '-', '.' and '/'".to_owned()));
        }
        let bytes = encode(about, kind, body);
        decode(&bytes, about).map_err(wrong)?;
        Ok((ObjectDigest::of(&bytes), bytes))
    }
}

/// A statement that was read, with its bytes and the digest after which they are called.
struct Whole {
    digest: ObjectDigest,
    bytes: Vec<u8>,
    statement: Statement,
}

/// Reads a statement that is called after its bytes; nothing where it is gone since it was listed.
fn read(path: &Path, about: &FileSetDigest) -> Result<Option<Whole>, StoreError> {
    let Some(bytes) = super::write::read(path)? else { return Ok(None) };
    let digest = ObjectDigest::of(&bytes);
    if path.file_name().and_then(|name| name.to_str()?.strip_suffix(".json")) != Some(digest.hex().as_str()) {
        return Err(StoreError::text(path, "its bytes have another digest than its name says"));
    }
    let statement = decode(&bytes, about).map_err(|reason| StoreError::text(path, reason))?;
    Ok(Some(Whole { digest, bytes, statement }))
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
