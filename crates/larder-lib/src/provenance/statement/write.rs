//! Statements as JSON.

use larder_store::json::Value;

use super::{BUILDER, PREDICATE_TYPE, STATEMENT_TYPE, Statement, build_type, time};
use crate::provenance::{Dependency, Subject};

pub(super) fn statement(statement: &Statement) -> Value {
    let Statement { facts, records, larder, rules } = statement;
    let subjects = facts.subjects.iter().zip(records).map(|(subject, record)| {
        let digest = [("blake3", subject.fileset.hex().into()), ("sha256", record.hex().into())];
        resource(subject, Value::object(digest))
    });
    let texts = |map: &std::collections::BTreeMap<String, String>| {
        Value::object(map.iter().map(|(key, text)| (key.as_str(), Value::from(text.as_str()))))
    };
    let definition = Value::object([
        ("buildType", build_type(facts.kind).into()),
        ("externalParameters", Value::Object(facts.parameters.clone())),
        ("internalParameters", Value::object([("larder", larder.as_str().into()), ("rules", texts(rules))])),
        ("resolvedDependencies", facts.dependencies.iter().map(dependency).collect()),
    ]);
    let metadata = Value::object([
        ("finishedOn", time::write(facts.finished).into()),
        ("invocationId", invocation(statement, &definition).into()),
        ("startedOn", time::write(facts.started).into()),
    ]);
    let builder =
        Value::object([("id", BUILDER.into()), ("version", Value::object([("larder", Value::from(larder.as_str()))]))]);
    Value::object([
        ("_type", STATEMENT_TYPE.into()),
        (
            "predicate",
            Value::object([
                ("buildDefinition", definition),
                ("runDetails", Value::object([("builder", builder), ("metadata", metadata)])),
            ]),
        ),
        ("predicateType", PREDICATE_TYPE.into()),
        ("subject", subjects.collect()),
    ])
}

/// Tells runs apart: the beginning of a digest of what was made, from what and when. A number of chance would say no more.
fn invocation(statement: &Statement, definition: &Value) -> String {
    let facts = &statement.facts;
    let mut hasher = blake3::Hasher::new();
    hasher.update(&larder_store::json::encode(definition));
    for subject in &facts.subjects {
        hasher.update(subject.fileset.as_bytes());
    }
    hasher.update(&facts.started.to_le_bytes()).update(&facts.finished.to_le_bytes());
    hex::encode(&hasher.finalize().as_bytes()[..16])
}

fn dependency(dependency: &Dependency) -> Value {
    match dependency {
        Dependency::FileSet(subject) => {
            resource(subject, Value::object([("blake3", Value::from(subject.fileset.hex()))]))
        }
        Dependency::Source { uri, digests } => {
            let digests = digests.iter().map(|(algorithm, digest)| (algorithm.as_str(), digest.as_str().into()));
            Value::object([("digest", Value::object(digests)), ("uri", uri.as_str().into())])
        }
    }
}

fn resource(subject: &Subject, digest: Value) -> Value {
    Value::object([
        ("annotations", Value::object([("version", Value::from(subject.version.as_str()))])),
        ("digest", digest),
        ("name", subject.name.as_str().into()),
    ])
}
