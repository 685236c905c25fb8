//! Statements from JSON. What is not asked for here is caught by writing the statement again.

use std::collections::BTreeMap;

use larder_store::json::Value;
use larder_store::name::check_version;
use larder_store::{FileSetDigest, Name, Sha256Digest};

use super::{MAX_ITEMS, PREDICATE_TYPE, STATEMENT_TYPE, Statement, kind, time};
use crate::provenance::{BuildFacts, Dependency, Subject};

type Result<T> = std::result::Result<T, String>;

pub(super) fn statement(value: &Value) -> Result<Statement> {
    expect(value, "_type", STATEMENT_TYPE)?;
    expect(value, "predicateType", PREDICATE_TYPE)?;
    let predicate = member(value, "predicate")?;
    let definition = member(predicate, "buildDefinition")?;
    let metadata = member(member(predicate, "runDetails")?, "metadata")?;
    let mut subjects = Vec::new();
    let mut records = Vec::new();
    for item in list(value, "subject")? {
        subjects.push(subject(item)?);
        let digest = text(member(item, "digest")?, "sha256")?;
        records.push(Sha256Digest::from_hex(digest).map_err(|error| error.to_string())?);
    }
    if subjects.is_empty() {
        return Err("it has no subject".to_owned());
    }
    let build_type = text(definition, "buildType")?;
    let internal = member(definition, "internalParameters")?;
    Ok(Statement {
        facts: BuildFacts {
            kind: kind(build_type).ok_or_else(|| format!("its buildType {build_type:?} is unknown"))?,
            subjects,
            parameters: object(definition, "externalParameters")?.clone(),
            dependencies: list(definition, "resolvedDependencies")?.iter().map(dependency).collect::<Result<_>>()?,
            started: moment(metadata, "startedOn")?,
            finished: moment(metadata, "finishedOn")?,
        },
        records,
        larder: text(internal, "larder")?.to_owned(),
        rules: texts(internal, "rules")?,
    })
}

fn subject(item: &Value) -> Result<Subject> {
    let version = text(member(item, "annotations")?, "version")?;
    check_version(version).map_err(|error| error.to_string())?;
    Ok(Subject {
        name: Name::parse(text(item, "name")?).map_err(|error| error.to_string())?,
        version: version.to_owned(),
        fileset: FileSetDigest::from_hex(text(member(item, "digest")?, "blake3")?)
            .map_err(|error| error.to_string())?,
    })
}

fn dependency(item: &Value) -> Result<Dependency> {
    if item.get("name").is_some() {
        return Ok(Dependency::FileSet(subject(item)?));
    }
    let digests = texts(item, "digest")?;
    let is_digest = |text: &str| !text.is_empty() && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if digests.is_empty() || !digests.values().all(|digest| is_digest(digest)) {
        return Err("a source has no digest, or one that is not in hexadecimal digits".to_owned());
    }
    Ok(Dependency::Source { uri: text(item, "uri")?.to_owned(), digests })
}

fn member<'v>(value: &'v Value, key: &str) -> Result<&'v Value> {
    value.get(key).ok_or_else(|| format!("it has no {key}"))
}

fn text<'v>(value: &'v Value, key: &str) -> Result<&'v str> {
    member(value, key)?.as_str().ok_or_else(|| format!("its {key} is not a text"))
}

fn expect(value: &Value, key: &str, expected: &str) -> Result<()> {
    let found = text(value, key)?;
    if found == expected { Ok(()) } else { Err(format!("its {key} is {found:?}, and not {expected:?}")) }
}

fn object<'v>(value: &'v Value, key: &str) -> Result<&'v BTreeMap<String, Value>> {
    match member(value, key)? {
        Value::Object(members) => Ok(members),
        _ => Err(format!("its {key} is not an object")),
    }
}

fn texts(value: &Value, key: &str) -> Result<BTreeMap<String, String>> {
    let members = object(value, key)?.iter();
    let pairs = members.map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    pairs.collect::<Option<_>>().ok_or_else(|| format!("its {key} is not an object of texts"))
}

fn list<'v>(value: &'v Value, key: &str) -> Result<&'v [Value]> {
    match member(value, key)? {
        Value::Array(items) if items.len() <= MAX_ITEMS => Ok(items),
        Value::Array(_) => Err(format!("its {key} has more than {MAX_ITEMS} items")),
        _ => Err(format!("its {key} is not a list")),
    }
}

fn moment(value: &Value, key: &str) -> Result<u64> {
    let found = text(value, key)?;
    time::read(found).ok_or_else(|| format!("its {key} {found:?} is not a time in UTC"))
}
