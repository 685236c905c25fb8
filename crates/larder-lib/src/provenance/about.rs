//! What is known of where one thing came from, for people and for other programs.

use larder_store::json::Value;
use larder_store::{FileSetDigest, Kind, Name, Reference, StoreError};

use super::standing::{self, Read, judge};
use super::statement::{BUILDER, PREDICATE_TYPE, STATEMENT_TYPE, Statement};
use super::{FromArchive, ProvenanceError, Signer, from_archive};
use crate::{Host, Result, chain};

/// Where a FileSet came from.
#[derive(Debug, Clone, PartialEq)]
pub struct About {
    /// Its name.
    pub name: Name,
    /// Its version.
    pub version: String,
    /// Its identity.
    pub digest: FileSetDigest,
    /// Of which kind it is.
    pub kind: Kind,
    /// How it came about.
    pub origin: Origin,
}

/// How something came about.
#[derive(Debug, Clone, PartialEq)]
pub enum Origin {
    /// It was made, as a statement says.
    Made {
        /// The newest statement; one that is signed comes before all that aren't.
        statement: Box<Statement>,
        /// Who signed that.
        signers: Vec<Signer>,
        /// The envelope.
        envelope: Value,
    },
    /// It was converted from a file of an archive.
    Archive(Box<FromArchive>),
    /// Nothing is said.
    Missing,
    /// What is said can't be believed.
    Broken(ProvenanceError),
}

/// Looks up where an image or package came from.
///
/// # Errors
/// No such image or package; a store or keys that can't be read.
pub fn about(host: &Host, reference: &Reference) -> Result<About> {
    let (version, digest) = chain::target(host, reference)?;
    let record = host.store.fileset(&digest)?;
    let origin = origin(host, &record.name, &digest)?;
    Ok(About { kind: record.kind(), name: record.name, version, digest, origin })
}

fn origin(host: &Host, name: &Name, digest: &FileSetDigest) -> Result<Origin> {
    let statements = match host.store.statements(digest) {
        Err(StoreError::Text { path, reason }) => {
            return Ok(Origin::Broken(ProvenanceError::Damaged { file: path, reason }));
        }
        statements => statements?,
    };
    let mut best: Option<Read> = None;
    for found in statements.iter().filter(|found| found.kind == standing::KIND) {
        let read = match judge(&host.keys, name, digest, &found.body)? {
            Ok(read) => read,
            Err(error) => return Ok(Origin::Broken(error)),
        };
        if best.as_ref().is_none_or(|best| read.rank() >= best.rank()) {
            best = Some(read);
        }
    }
    if let Some(Read { envelope, statement, signers }) = best {
        return Ok(Origin::Made { statement: Box::new(statement), signers, envelope: envelope.to_json() });
    }
    let archive = statements.iter().find_map(from_archive);
    Ok(archive.map_or(Origin::Missing, |archive| Origin::Archive(Box::new(archive))))
}

impl About {
    /// The in-toto statement: the one that was made, or for what came from an archive one that says the same as the archive's
    /// chain. `None` where nothing is said that can be believed.
    pub fn statement(&self) -> Option<Value> {
        match &self.origin {
            Origin::Made { statement, .. } => larder_store::json::decode(&statement.encode()).ok(),
            Origin::Archive(archive) => Some(converted(self, archive)),
            Origin::Missing | Origin::Broken(_) => None,
        }
    }
}

/// The chain of an archive as an in-toto statement. Nobody has signed this form of it: what is signed is the release file.
fn converted(about: &About, archive: &FromArchive) -> Value {
    let file = &archive.file;
    let text = |text: &str| Value::from(text);
    let sha256 = |digest: &larder_store::Sha256Digest| Value::object([("sha256", Value::from(digest.hex()))]);
    let mut dependencies = vec![Value::object([("digest", sha256(&file.sha256)), ("name", text(&file.filename))])];
    if !archive.is_pinned() {
        dependencies.push(Value::object([("digest", sha256(&file.index)), ("name", text("Packages"))]));
    }
    dependencies.push(Value::object([
        ("annotations", Value::object([("signer", text(&file.signer))])),
        ("digest", sha256(&file.release)),
        ("name", Value::from(format!("dists/{}/InRelease", file.suite))),
    ]));
    let mut rules = vec![("convert", text(&archive.rule))];
    rules.extend(archive.table.map(|table| ("declare", Value::from(table.to_string()))));
    let parameters = [
        ("architecture", text(&file.architecture)),
        ("distribution", text(archive.distribution.as_str())),
        ("package", text(&file.name)),
        ("version", text(&file.version)),
    ];
    let definition = Value::object([
        ("buildType", text("larder:convert/v1")),
        ("externalParameters", Value::object(parameters)),
        ("internalParameters", Value::object([("rules", Value::object(rules))])),
        ("resolvedDependencies", Value::Array(dependencies)),
    ]);
    let subject = Value::object([
        ("annotations", Value::object([("version", text(&about.version))])),
        ("digest", Value::object([("blake3", Value::from(about.digest.hex()))])),
        ("name", text(about.name.as_str())),
    ]);
    let run = Value::object([("builder", Value::object([("id", text(BUILDER))]))]);
    Value::object([
        ("_type", text(STATEMENT_TYPE)),
        ("predicate", Value::object([("buildDefinition", definition), ("runDetails", run)])),
        ("predicateType", text(PREDICATE_TYPE)),
        ("subject", Value::Array(vec![subject])),
    ])
}
