//! `larder inspect` of a distribution.

use larder_lib::Name;
use larder_lib::distributions::DistributionInspection;
use larder_lib::provenance::Standing;
use serde_json::{Value, json};

use super::super::build::{signed_json, standing_words};
use super::{package_json, print_packages};
use crate::failure::Failure;
use crate::{json, ui};

pub(super) fn print(found: &DistributionInspection, standings: &[Standing]) -> Result<(), Failure> {
    let field = |name: &str, value: String| ui::line(format_args!("{:13} {value}", format!("{name}:")));
    field("distribution", format!("{}@{}", found.record.name, found.record.version))?;
    field("digest", found.digest.to_string())?;
    let signed = standings.first().map(standing_words).unwrap_or_default();
    field("signed", signed.trim_start_matches("signed ").to_owned())?;
    field("architecture", found.record.architecture.clone())?;
    if !found.metadata.description.is_empty() {
        field("summary", found.metadata.description.clone())?;
    }
    if let Some(homepage) = &found.metadata.homepage {
        field("homepage", homepage.clone())?;
    }
    if !found.metadata.from.is_empty() {
        field("from", found.metadata.from.iter().map(Name::as_str).collect::<Vec<_>>().join(", "))?;
    }
    let images = if found.images.is_empty() { String::new() } else { format!(" ({})", found.images.join(", ")) };
    field("images", format!("{}{images}", found.images.len()))?;
    field("packages", format!("{} ({})", found.packages.len(), ui::bytes(found.package_bytes)))?;
    print_packages(&found.packages, standings)
}

/// The inspection as `docs/json.md` has it.
pub(super) fn document(found: &DistributionInspection, standings: &[Standing]) -> Value {
    json!({
        "name": found.record.name.as_str(),
        "version": found.record.version,
        "digest": found.digest.to_string(),
        "architecture": found.record.architecture,
        "provenance": standings.first().map(Standing::word),
        "signed": signed_json(standings.first().map(Standing::signers).unwrap_or_default()),
        "summary": found.metadata.description,
        "homepage": found.metadata.homepage,
        "from": json::texts(&found.metadata.from),
        "images": found.images,
        "package_bytes": found.package_bytes,
        "packages": found.packages.iter().zip(standings.iter().skip(1)).map(package_json).collect::<Vec<_>>(),
    })
}
