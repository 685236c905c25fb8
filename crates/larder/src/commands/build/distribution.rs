//! `larder build` of a distribution.

use std::process::ExitCode;

use larder_lib::Host;
use larder_lib::distribution::{self, DistributionReport};
use larder_lib::recipe::DistributionRecipe;
use serde_json::{Value, json};

use super::{signed_json, signed_words};
use crate::cli::Context;
use crate::failure::{DONE, Failure};
use crate::json;
use crate::progress::Reporter;
use crate::ui::{self, BOLD, GREEN, RESET};

pub(super) fn run(
    context: &Context,
    host: &Host,
    recipe: &DistributionRecipe,
    progress: &Reporter,
) -> Result<ExitCode, Failure> {
    let report = distribution::build(host, recipe, progress)?;
    if context.json {
        json::print("larder/distribution-build/v1", document(&report))?;
    } else if context.quiet {
        ui::line(report.digest)?;
    } else {
        print(&report)?;
    }
    DONE
}

fn print(report: &DistributionReport) -> Result<(), Failure> {
    for package in &report.packages {
        ui::line(format_args!("  {} {}", package.name, package.version))?;
    }
    for command in &report.tests {
        ui::line(format_args!("{GREEN}passed:{RESET} {command}"))?;
    }
    ui::line(format_args!(
        "{}, {} fetched ({}), tested in an image of {}",
        ui::count(report.packages.len(), "package"),
        report.fetched,
        ui::bytes(report.fetched_bytes),
        report.tested_with,
    ))?;
    let signed = signed_words(&report.signed);
    let state = if report.changed { "built" } else { "unchanged" };
    ui::line(format_args!("{GREEN}{state}{RESET} {BOLD}{}@{}{RESET}, {signed}", report.name, report.version))?;
    Ok(ui::line(report.digest)?)
}

/// The report as `docs/json.md` has it.
fn document(report: &DistributionReport) -> Value {
    json!({
        "name": report.name.as_str(),
        "version": report.version,
        "digest": report.digest.to_string(),
        "signed": signed_json(&report.signed),
        "changed": report.changed,
        "fetched": report.fetched,
        "fetched_bytes": report.fetched_bytes,
        "packages": report.packages.iter().map(|package| json!({
            "name": package.name.as_str(),
            "version": package.version,
            "digest": package.package.to_string(),
        })).collect::<Vec<_>>(),
        "tested_with": report.tested_with,
        "tests": json::texts(&report.tests),
    })
}
