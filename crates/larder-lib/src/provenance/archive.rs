//! Where a converted package came from: a statement beside it, never inside it.
//!
//! The chain is signed release file -> package index -> `.deb` -> FileSet. The record itself holds the `.deb`'s digest and
//! the rule; what changes from day to day (which release listed it, who signed that) is here.

use larder_debian::distribution::ArchiveFile;
use larder_store::json::Value;
use larder_store::{FileSetDigest, Ingest, Name, Sha256Digest, Statement, Store};

use crate::Result;

/// The kind of the statement.
pub const KIND: &str = "debian-archive";

/// Writes down where a package came from.
///
/// # Errors
/// A store that can't be written.
pub fn write(ingest: &Ingest<'_>, package: &FileSetDigest, distribution: &Name, file: &ArchiveFile) -> Result<()> {
    let text = |text: &str| Value::String(text.to_owned());
    let body = Value::object([
        ("architecture", text(&file.architecture)),
        ("deb", text(&file.sha256.to_string())),
        ("distribution", text(distribution.as_str())),
        ("filename", text(&file.filename)),
        ("index", text(&file.index.to_string())),
        ("package", text(&file.name)),
        ("release", text(&file.release.to_string())),
        ("rule", text(larder_debian::convert::RULE)),
        ("signer", text(&file.signer)),
        ("size", Value::Integer(i64::try_from(file.size).unwrap_or(i64::MAX))),
        ("suite", text(&file.suite)),
        ("version", text(&file.version)),
    ]);
    Ok(ingest.write_statement(package, KIND, &body)?)
}

/// Reads where a package came from: the distribution, and the archive's file without addresses.
///
/// # Errors
/// A statement that is damaged.
pub fn read(store: &Store, package: &FileSetDigest) -> Result<Option<(Name, ArchiveFile)>> {
    let statements = store.statements(package)?;
    Ok(statements.iter().filter(|statement| statement.kind == KIND).find_map(|statement| parse(&statement.body)))
}

/// Who signed the release that a statement names; `None` for a statement that isn't one.
pub(super) fn signer(statement: &Statement) -> Option<String> {
    parse(&statement.body).map(|(_, file)| file.signer)
}

fn parse(body: &Value) -> Option<(Name, ArchiveFile)> {
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    let digest = |key: &str| text(key)?.parse::<Sha256Digest>().ok();
    let size = match body.get("size") {
        Some(Value::Integer(size)) => u64::try_from(*size).ok()?,
        _ => return None,
    };
    let file = ArchiveFile {
        name: text("package")?.to_owned(),
        version: text("version")?.to_owned(),
        architecture: text("architecture")?.to_owned(),
        urls: Vec::new(),
        filename: text("filename")?.to_owned(),
        size,
        sha256: digest("deb")?,
        suite: text("suite")?.to_owned(),
        release: digest("release")?,
        index: digest("index")?,
        signer: text("signer")?.to_owned(),
    };
    Some((Name::parse(text("distribution")?).ok()?, file))
}
