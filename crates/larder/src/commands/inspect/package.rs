//! `larder inspect` of a package.

use larder_lib::asks::consent::Grant;
use larder_lib::contents::tier_word;
use larder_lib::deep::Contained;
use larder_lib::inspect::PackageInspection;
use larder_lib::provenance::Standing;
use larder_lib::store::fileset::{AlternativeRule, ScriptTier};
use serde_json::{Value, json};

use super::{compiled, words};
use crate::commands::build::{refused, signed_json, standing_words};
use crate::failure::Failure;
use crate::ui;

pub(super) fn print(
    package: &PackageInspection,
    standing: Option<&Standing>,
    deep: Option<&[Contained]>,
) -> Result<(), Failure> {
    let (record, metadata) = (&package.record, &package.metadata);
    let field = |name: &str, value: &str| match value {
        "" => Ok(()),
        value => ui::line(format_args!("{:13} {value}", format!("{name}:"))),
    };
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    field("package", &format!("{}@{}", record.name, record.version))?;
    field("digest", &package.digest.to_string())?;
    field("signed", &standing.map(standing_words).unwrap_or_default())?;
    field("architecture", &record.architecture)?;
    field("summary", &metadata.description)?;
    field("licence", &text(&metadata.licence))?;
    field("homepage", &text(&metadata.homepage))?;
    field("documents", &metadata.documentation.join(", "))?;
    field("source", &text(&metadata.source))?;
    for (name, others) in relations(package) {
        field(name, &others.join(", "))?;
    }
    for import in &record.imports {
        field("holds", &format!("{}@{} at /{}", import.name, import.version, import.path))?;
    }
    for asking in &package.asks {
        let consent = Grant::needed(&asking.ask).map(|grant| format!(" (needs --allow {grant})")).unwrap_or_default();
        field("asks for", &format!("{}{consent}", asking.ask))?;
    }
    for (action, command) in &metadata.actions {
        field("action", &format!("{action} = {}", words(command)))?;
    }
    for link in &metadata.install.links {
        field("link", &format!("/{} -> {}", link.path, link.target))?;
    }
    for AlternativeRule { name, link, path, priority, .. } in &metadata.install.alternatives {
        field("alternative", &format!("{name} at /{link} -> /{path}, priority {priority}"))?;
    }
    for user in &metadata.install.users {
        field("user", &user.name)?;
    }
    for path in &metadata.configuration {
        field("config file", &format!("/{path}"))?;
    }
    for special in &package.privileged {
        field("privileged", &format!("/{}: {}", special.path, special.what))?;
    }
    if matches!(metadata.install.script, ScriptTier::Captured(_)) {
        field("script", tier_word(&metadata.install.script))?;
    }
    for refusal in refused(&metadata.install.script) {
        field("refused", refusal)?;
    }
    field("files", &format!("{} ({})", package.files, ui::bytes(package.bytes)))?;
    field("in images", &package.images.join(", "))?;
    deep.map_or(Ok(()), compiled::print)
}

fn alternative_json(rule: &AlternativeRule) -> Value {
    json!({
        "name": rule.name,
        "link": format!("/{}", rule.link),
        "path": format!("/{}", rule.path),
        "priority": rule.priority,
        "followers": rule.followers.iter().map(|follower| json!({
            "name": follower.name,
            "link": format!("/{}", follower.link),
            "path": format!("/{}", follower.path),
        })).collect::<Vec<_>>(),
    })
}

/// What it says of other packages, with the word for each.
fn relations(package: &PackageInspection) -> [(&'static str, &Vec<String>); 7] {
    let metadata = &package.metadata;
    [
        ("requires", &metadata.requires),
        ("recommends", &metadata.recommends),
        ("provides", &metadata.provides),
        ("conflicts", &metadata.conflicts),
        ("breaks", &metadata.breaks),
        ("replaces", &metadata.replaces),
        ("stand-in for", &metadata.stands_in_for),
    ]
}

/// The document as `docs/json.md` has it.
pub(super) fn document(package: &PackageInspection, standing: Option<&Standing>, deep: Option<&[Contained]>) -> Value {
    let (record, metadata) = (&package.record, &package.metadata);
    let mut document = json!({
        "name": record.name.as_str(),
        "version": record.version,
        "digest": package.digest.to_string(),
        "architecture": record.architecture,
        "time": record.time,
        "tree": record.tree.to_string(),
        "provenance": standing.map(Standing::word),
        "signed": signed_json(standing.map(Standing::signers).unwrap_or_default()),
        "summary": metadata.description,
        "licence": metadata.licence,
        "homepage": metadata.homepage,
        "documentation": metadata.documentation,
        "source": metadata.source,
        "imports": record.imports.iter().map(|import| json!({
            "path": format!("/{}", import.path),
            "name": import.name.as_str(),
            "version": import.version,
            "digest": import.fileset.to_string(),
        })).collect::<Vec<_>>(),
        "asks": package.asks.iter().map(|asking| json!({
            "kind": asking.ask.kind(),
            "value": asking.ask.value(),
            "allow": Grant::needed(&asking.ask).map(|grant| grant.to_string()),
        })).collect::<Vec<_>>(),
        "actions": metadata.actions.iter().map(|(action, command)| json!({
            "action": action, "command": command,
        })).collect::<Vec<_>>(),
        "links": metadata.install.links.iter().map(|link| json!({
            "path": format!("/{}", link.path), "target": link.target,
        })).collect::<Vec<_>>(),
        "alternatives": metadata.install.alternatives.iter().map(alternative_json).collect::<Vec<_>>(),
        "users": metadata.install.users.iter().map(|user| user.name.as_str()).collect::<Vec<_>>(),
        "configuration": metadata.configuration.iter().map(|path| format!("/{path}")).collect::<Vec<_>>(),
        "privileged": package.privileged.iter().map(|p| json!({
            "path": format!("/{}", p.path), "what": p.what,
        })).collect::<Vec<_>>(),
        "script": tier_word(&metadata.install.script),
        "refused": refused(&metadata.install.script),
        "files": package.files,
        "bytes": package.bytes,
        "images": package.images,
        "compiled": deep.map_or(Value::Null, compiled::document),
    });
    for (name, others) in relations(package) {
        document[name.replace("stand-in for", "stands_in_for")] = json!(others);
    }
    document
}
