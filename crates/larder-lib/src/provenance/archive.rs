//! Where a converted package came from: a statement beside it, never inside it.
//!
//! The chain is signed release file -> package list -> `.deb` -> FileSet. The record itself holds the `.deb`'s digest and
//! the rule; what changes from day to day (which release listed it, who signed that) is here. What is declared about the
//! package is a FileSet of its own, made from the same `.deb` and the reviewed table, and has a statement too.
//!
//! A package that was taken by the digest that a lock has pinned was looked up in no list, so its statement names none.

use std::collections::BTreeMap;

use larder_debian::ArchiveFile;
use larder_store::json::Value;
use larder_store::{FileSetDigest, Ingest, Name, Sha256Digest, Statement, Store};

use crate::Result;

/// The kind of the statement.
pub const KIND: &str = "debian-archive";

/// Where a package came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FromArchive {
    /// The distribution.
    pub distribution: Name,
    /// The archive's file, without addresses. Where a lock has pinned it, its index is its own digest.
    pub file: ArchiveFile,
    /// The frozen rule that it was converted by.
    pub rule: String,
    /// The version of the reviewed table, where the FileSet is what is declared about the package.
    pub table: Option<u32>,
}

impl FromArchive {
    /// Whether a lock named the file, and no package list.
    pub fn is_pinned(&self) -> bool {
        self.file.index == self.file.sha256
    }
}

/// Writes down where a package came from.
///
/// # Errors
/// A store that can't be written.
pub fn write(ingest: &Ingest<'_>, package: &FileSetDigest, distribution: &Name, file: &ArchiveFile) -> Result<()> {
    ingest.write_statement(package, KIND, &body(distribution, file, None))?;
    Ok(())
}

/// Writes down what a package's declarations were made from.
///
/// # Errors
/// A store that can't be written.
pub fn write_declared(
    ingest: &Ingest<'_>,
    declarations: &FileSetDigest,
    distribution: &Name,
    file: &ArchiveFile,
) -> Result<()> {
    let table = larder_debian::declare::TABLE_VERSION;
    ingest.write_statement(declarations, KIND, &body(distribution, file, Some(table)))?;
    Ok(())
}

fn body(distribution: &Name, file: &ArchiveFile, table: Option<u32>) -> Value {
    let text = |text: &str| Value::String(text.to_owned());
    let mut body = BTreeMap::from([
        ("architecture", text(&file.architecture)),
        ("deb", text(&file.sha256.to_string())),
        ("distribution", text(distribution.as_str())),
        ("filename", text(&file.filename)),
        ("package", text(&file.name)),
        ("release", text(&file.release.to_string())),
        ("rule", text(larder_debian::convert::RULE)),
        ("signer", text(&file.signer)),
        ("size", Value::Integer(i64::try_from(file.size).unwrap_or(i64::MAX))),
        ("suite", text(&file.suite)),
        ("version", text(&file.version)),
    ]);
    if file.index != file.sha256 {
        body.insert("index", text(&file.index.to_string()));
    }
    if let Some(table) = table {
        body.insert("table", Value::Integer(table.into()));
    }
    Value::object(body)
}

/// Reads where a package came from: the distribution, and the archive's file without addresses.
///
/// # Errors
/// A statement that is damaged.
pub fn read(store: &Store, package: &FileSetDigest) -> Result<Option<(Name, ArchiveFile)>> {
    let found = store.statements(package)?.iter().find_map(from_archive);
    Ok(found.map(|found| (found.distribution, found.file)))
}

/// What a statement says of where a package came from; `None` for another kind, and for one that can't be understood.
pub fn from_archive(statement: &Statement) -> Option<FromArchive> {
    if statement.kind != KIND {
        return None;
    }
    let body = &statement.body;
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    let digest = |key: &str| text(key)?.parse::<Sha256Digest>().ok();
    let size = match body.get("size") {
        Some(Value::Integer(size)) => u64::try_from(*size).ok()?,
        _ => return None,
    };
    let table = match body.get("table") {
        None => None,
        Some(Value::Integer(table)) => Some(u32::try_from(*table).ok()?),
        Some(_) => return None,
    };
    let deb = digest("deb")?;
    let file = ArchiveFile {
        name: text("package")?.to_owned(),
        version: text("version")?.to_owned(),
        architecture: text("architecture")?.to_owned(),
        urls: Vec::new(),
        filename: text("filename")?.to_owned(),
        size,
        sha256: deb,
        suite: text("suite")?.to_owned(),
        release: digest("release")?,
        index: if body.get("index").is_some() { digest("index")? } else { deb },
        signer: text("signer")?.to_owned(),
    };
    let distribution = Name::parse(text("distribution")?).ok()?;
    Some(FromArchive { distribution, file, rule: text("rule")?.to_owned(), table })
}
