//! The text of a build's answers: canonical JSON of arrays, in the order of the fields. Only this program reads it, and one of
//! another build takes it for absent.

use larder_store::fileset::ScriptTier;
use larder_store::json::{self, Value};
use larder_store::{Name, TreePath};

use super::{Done, Kept};
use crate::assemble::OverrideLine;
use crate::build::report::BuiltPackage;
use crate::verify::{Finding, Reason, Severity};

pub(super) fn encode(kept: &Kept) -> String {
    let text = |value: &dyn ToString| Value::String(value.to_string());
    let read = kept.read.iter().map(|(path, digest)| list([bytes(path), text(digest)]));
    let value = list([
        text(&kept.key),
        read.collect(),
        kept.exactly.as_ref().map_or(Value::Null, |tree| text(tree)),
        kept.trees.iter().map(|tree| text(tree)).collect(),
        kept.packages.iter().map(package).collect(),
        kept.overridden.iter().map(|line| list([bytes(&line.path), text(&line.by), text(&line.of)])).collect(),
        kept.findings.iter().map(finding).collect(),
        kept.done.map_or(Value::Null, |Done { of, statement }| list([text(&of), text(&statement)])),
    ]);
    // Canonical JSON is UTF-8.
    String::from_utf8_lossy(&json::encode(&value)).into_owned()
}

fn list<const N: usize>(values: [Value; N]) -> Value {
    Value::Array(values.into())
}

/// A path may be any bytes.
fn bytes(path: &TreePath) -> Value {
    match std::str::from_utf8(path.as_bytes()) {
        Ok(text) => text.into(),
        Err(_) => path.as_bytes().iter().map(|byte| Value::Integer((*byte).into())).collect(),
    }
}

fn optional(text: Option<&String>) -> Value {
    text.map_or(Value::Null, |text| text.as_str().into())
}

fn package(package: &BuiltPackage) -> Value {
    let none = Vec::new();
    let (word, reasons) = match &package.tier {
        ScriptTier::None => ("none", &none),
        ScriptTier::Declared => ("declared", &none),
        ScriptTier::Captured(refused) => ("captured", refused),
        ScriptTier::Skipped(reasons) => ("skipped", reasons),
    };
    let tier = list([word.into(), reasons.iter().map(String::as_str).collect()]);
    list([package.name.as_str().into(), package.version.as_str().into(), package.digest.to_string().into(), tier])
}

fn finding(finding: &Finding) -> Value {
    let (word, about, elsewhere) = match &finding.reason {
        Reason::Interpreter { interpreter } => ("interpreter", interpreter.as_str(), None),
        Reason::AssumedInterpreter { interpreter } => ("assumed", interpreter.as_str(), None),
        Reason::WrongInterpreter { interpreter } => ("wrong", interpreter.as_str(), None),
        Reason::Program { program } => ("program", program.as_str(), None),
        Reason::Library { library, elsewhere } => ("library", library.as_str(), elsewhere.as_ref()),
        Reason::BrokenLink { target } => ("broken", target.as_str(), None),
        Reason::CircularLink => ("circular", "", None),
        Reason::Malformed { reason } => ("malformed", reason.as_ref(), None),
    };
    let severity = match finding.severity {
        Severity::Failure => "failure",
        Severity::Finding => "finding",
    };
    list([
        severity.into(),
        finding.path.as_str().into(),
        finding.owner.as_str().into(),
        word.into(),
        about.into(),
        optional(elsewhere),
        optional(finding.needed_by.as_ref()),
    ])
}

/// `None` for whatever [`encode`] doesn't write.
pub(super) fn decode(text: &str) -> Option<Kept> {
    let [key, read, exactly, trees, packages, overridden, findings, done] =
        fields(json::decode(text.as_bytes()).ok()?)?;
    Some(Kept {
        key: string(key)?.parse().ok()?,
        read: each(read, |value| {
            let [path, digest] = fields(value)?;
            Some((to_path(path)?, string(digest)?.parse().ok()?))
        })?
        .into_iter()
        .collect(),
        exactly: match exactly {
            Value::Null => None,
            tree => Some(string(tree)?.parse().ok()?),
        },
        trees: each(trees, |tree| string(tree)?.parse().ok())?,
        packages: each(packages, to_package)?,
        overridden: each(overridden, |value| {
            let [path, by, of] = fields(value)?;
            Some(OverrideLine { path: to_path(path)?, by: string(by)?, of: string(of)? })
        })?,
        findings: each(findings, to_finding)?,
        done: match done {
            Value::Null => None,
            done => {
                let [of, statement] = fields(done)?;
                Some(Done { of: string(of)?.parse().ok()?, statement: string(statement)?.parse().ok()? })
            }
        },
    })
}

fn array(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(values) => Some(values),
        _ => None,
    }
}

fn fields<const N: usize>(value: Value) -> Option<[Value; N]> {
    array(value)?.try_into().ok()
}

fn each<T>(value: Value, read: impl Fn(Value) -> Option<T>) -> Option<Vec<T>> {
    array(value)?.into_iter().map(read).collect()
}

fn string(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn maybe(value: Value) -> Option<Option<String>> {
    match value {
        Value::Null => Some(None),
        value => string(value).map(Some),
    }
}

fn to_path(value: Value) -> Option<TreePath> {
    let bytes = match value {
        Value::String(text) => text.into_bytes(),
        Value::Array(bytes) => bytes
            .into_iter()
            .map(|byte| match byte {
                Value::Integer(byte) => u8::try_from(byte).ok(),
                _ => None,
            })
            .collect::<Option<_>>()?,
        _ => return None,
    };
    TreePath::new(bytes).ok()
}

fn to_package(value: Value) -> Option<BuiltPackage> {
    let [name, version, digest, tier] = fields(value)?;
    let [word, reasons] = fields(tier)?;
    let reasons = each(reasons, string)?;
    let tier = match string(word)?.as_str() {
        "none" => ScriptTier::None,
        "declared" => ScriptTier::Declared,
        "captured" => ScriptTier::Captured(reasons),
        "skipped" => ScriptTier::Skipped(reasons),
        _ => return None,
    };
    let (name, digest) = (Name::parse(&string(name)?).ok()?, string(digest)?.parse().ok()?);
    Some(BuiltPackage { name, version: string(version)?, digest, tier })
}

fn to_finding(value: Value) -> Option<Finding> {
    let [severity, path, owner, word, about, elsewhere, needed_by] = fields(value)?;
    let (about, elsewhere) = (string(about)?, maybe(elsewhere)?);
    let reason = match string(word)?.as_str() {
        "interpreter" => Reason::Interpreter { interpreter: about },
        "assumed" => Reason::AssumedInterpreter { interpreter: about },
        "wrong" => Reason::WrongInterpreter { interpreter: about },
        "program" => Reason::Program { program: about },
        "library" => Reason::Library { library: about, elsewhere },
        "broken" => Reason::BrokenLink { target: about },
        "circular" => Reason::CircularLink,
        "malformed" => Reason::Malformed { reason: about.into() },
        _ => return None,
    };
    let severity = match string(severity)?.as_str() {
        "failure" => Severity::Failure,
        "finding" => Severity::Finding,
        _ => return None,
    };
    Some(Finding { severity, path: string(path)?, owner: string(owner)?, reason, needed_by: maybe(needed_by)? })
}
