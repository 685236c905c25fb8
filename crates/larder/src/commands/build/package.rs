//! `larder build` of a package.

use std::process::ExitCode;

use larder_lib::Host;
use larder_lib::contents::tier_word;
use larder_lib::package::{self, PackageOptions, PackageReport};
use larder_lib::recipe::package::PackageRecipe;
use serde_json::{Value, json};

use super::{Args, change_json, change_line, signed_json, standing_words};
use crate::cli::Context;
use crate::failure::{DONE, Failure};
use crate::json;
use crate::progress::Reporter;
use crate::ui::{self, BOLD, FAINT, GREEN, RESET};

pub(super) fn run(context: &Context, host: &Host, recipe: &PackageRecipe, args: &Args) -> Result<ExitCode, Failure> {
    let (locked, check, test) = (args.locked, args.check, super::test(args.no_test));
    let options = PackageOptions { locked, check, test, ..PackageOptions::default() };
    let report = package::build(host, recipe, &options, &Reporter::new(context.quiet))?;
    tell(context, &report, args.verbose)
}

/// Says what a build did, as text or as a document.
pub(in super::super) fn tell(context: &Context, report: &PackageReport, verbose: bool) -> Result<ExitCode, Failure> {
    if context.json {
        json::print("larder/package-build/v1", report_json(report))?;
    } else {
        print(report, verbose, context.quiet)?;
    }
    DONE
}

/// Prints what a build did: the package's name and digest last, where eyes and scripts look for them.
fn print(report: &PackageReport, verbose: bool, quiet: bool) -> Result<(), Failure> {
    if quiet {
        return Ok(ui::line(report.digest)?);
    }
    // A first build adds everything: that is no news.
    let first = report.changes.len() == report.packages;
    for change in report.changes.iter().filter(|_| verbose || !first) {
        ui::line(format_args!("  {}", change_line(change)))?;
    }
    for part in &report.parts {
        ui::line(format_args!(
            "  {} {FAINT}{}, {}{RESET}",
            part.name,
            ui::count(part.files, "file"),
            ui::bytes(part.bytes)
        ))?;
    }
    super::captured_line(report.name.as_str(), &report.script, verbose)?;
    if report.cached {
        ui::line(format_args!("{FAINT}built before from the same inputs; nothing was run{RESET}"))?;
    } else {
        let test = if report.tested { "the test passed" } else { "no test" };
        let check = if report.checked { "; two builds are equal" } else { "" };
        ui::line(format_args!(
            "{} in the sandbox, {} fetched ({}); {test}{check}",
            ui::count(report.packages, "package"),
            report.fetched,
            ui::bytes(report.fetched_bytes),
        ))?;
    }
    let signed = standing_words(&report.standing);
    let state = if report.changed { "built" } else { "unchanged" };
    ui::line(format_args!("{GREEN}{state}{RESET} {BOLD}{}@{}{RESET}, {signed}", report.name, report.version))?;
    Ok(ui::line(report.digest)?)
}

/// The report as `docs/json.md` has it.
fn report_json(report: &PackageReport) -> Value {
    json!({
        "name": report.name.as_str(),
        "version": report.version,
        "digest": report.digest.to_string(),
        "provenance": report.standing.word(),
        "signed": signed_json(report.standing.signers()),
        "changed": report.changed,
        "cached": report.cached,
        "checked": report.checked,
        "tested": report.tested,
        "script": tier_word(&report.script),
        "refused": super::refused(&report.script),
        "parts": report.parts.iter().map(|part| json!({
            "name": part.name.as_str(),
            "version": part.version,
            "digest": part.digest.to_string(),
            "files": part.files,
            "bytes": part.bytes,
        })).collect::<Vec<_>>(),
        "packages": report.packages,
        "fetched": report.fetched,
        "fetched_bytes": report.fetched_bytes,
        "changes": report.changes.iter().map(change_json).collect::<Vec<_>>(),
    })
}
