//! `larder build`

use std::path::PathBuf;
use std::process::ExitCode;

use larder_lib::Name;
use larder_lib::build::{self, BuildOptions, BuildReport};
use larder_lib::contents::tier_word;
use larder_lib::lock::Change;
use larder_lib::provenance::Signer;
use serde_json::{Value, json};

use crate::cli::Context;
use crate::failure::{DONE, Failure};
use crate::json::{self, texts};
use crate::progress::Reporter;
use crate::ui::{self, BOLD, FAINT, GREEN, RED, RESET, YELLOW};

/// Arguments of `larder build`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  larder build                  the recipe of this folder
  larder build examples/web     writes examples/web/larder.lock beside the recipe
  larder build --locked         use the lock as it is; fail if it doesn't match the recipe")]
pub(crate) struct Args {
    /// The folder with the recipe, or the recipe itself
    #[arg(default_value = ".", value_name = "DIR")]
    recipe: PathBuf,
    /// Use the lock as it is, and fail if it doesn't match the recipe
    #[arg(long)]
    locked: bool,
    /// List every package with what became of its scripts
    #[arg(long, short)]
    verbose: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let host = context.host()?;
    let progress = Reporter::new(context.quiet);
    let report =
        build::build(&host, &args.recipe, &BuildOptions { locked: args.locked, ..BuildOptions::default() }, &progress)?;
    if context.json {
        json::print("larder/build/v1", report_json(&report))?;
    } else {
        print(&report, args.verbose, context.quiet)?;
    }
    DONE
}

/// Prints what a build did: the image's name and digest last, where eyes and scripts look for them.
pub(crate) fn print(report: &BuildReport, verbose: bool, quiet: bool) -> Result<(), Failure> {
    if quiet {
        return Ok(ui::line(report.digest)?);
    }
    // A first build adds everything: that is no news.
    let first = report.changes.len() == report.packages.len();
    for change in report.changes.iter().filter(|_| verbose || !first) {
        ui::line(format_args!("  {}", change_line(change)))?;
    }
    if verbose {
        for package in &report.packages {
            let (word, colour) = tier_colour(package.tier_word());
            ui::line(format_args!(
                "  {} {FAINT}{}{RESET}  scripts: {colour}{word}{RESET}",
                package.name, package.version
            ))?;
        }
    }
    for package in report.packages.iter().filter(|package| !package.skipped().is_empty()) {
        let reasons = package.skipped();
        let more = match reasons.len().saturating_sub(1) {
            0 => String::new(),
            _ if verbose => format!("; {}", reasons[1..].join("; ")),
            more => format!(" (and {more} more)"),
        };
        ui::line(format_args!("{YELLOW}skipped:{RESET} {}: {}{more}", package.name, reasons[0]))?;
    }
    for overridden in &report.overridden {
        ui::line(format_args!(
            "{YELLOW}override:{RESET} /{} of {} instead of {}'s",
            overridden.path, overridden.by, overridden.of
        ))?;
    }
    for finding in report.findings.iter().filter(|_| verbose) {
        ui::line(format_args!("{YELLOW}finding:{RESET} {finding}"))?;
    }
    if !verbose && !report.findings.is_empty() {
        let count = ui::count(report.findings.len(), "finding");
        ui::line(format_args!("{FAINT}{count} off the beaten path: `larder build --verbose` lists them{RESET}"))?;
    }
    let tiers = |word: &str| report.packages.iter().filter(|package| package.tier_word() == word).count();
    ui::line(format_args!(
        "{}, {} fetched ({}), scripts: {} none, {} declared, {} skipped",
        ui::count(report.packages.len(), "package"),
        report.fetched,
        ui::bytes(report.fetched_bytes),
        tiers("none"),
        tiers("declared"),
        tiers("skipped"),
    ))?;
    let state = if report.changed { "built" } else { "unchanged" };
    let signed = signed_words(&report.signed);
    ui::line(format_args!("{GREEN}{state}{RESET} {BOLD}{}@{}{RESET}, {signed}", report.name, report.version))?;
    Ok(ui::line(report.digest)?)
}

/// Who signed how something was made, in words.
pub(crate) fn signed_words(signers: &[Signer]) -> String {
    match signers {
        [] => "unsigned".to_owned(),
        signers => format!("signed by {}", signers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// The same as `docs/json.md` has it.
pub(crate) fn signed_json(signers: &[Signer]) -> Value {
    signers.iter().map(|signer| format!("{} {}", signer.domain, signer.key)).collect()
}

fn tier_colour(word: &'static str) -> (&'static str, &'static str) {
    (word, if word == "skipped" { YELLOW } else { "" })
}

/// A change of a package in one line.
pub(crate) fn change_line((name, change): &(Name, Change)) -> String {
    match change {
        Change::Added { version } => format!("{GREEN}+{RESET} {name} {version}"),
        Change::Removed { version } => format!("{RED}-{RESET} {name} {version}"),
        other => format!("{YELLOW}~{RESET} {name} {other}"),
    }
}

/// A change of a package, with the version before and after.
fn change_json((name, change): &(Name, Change)) -> Value {
    let (kind, old, new) = match change {
        Change::Added { version } => ("added", None, Some(version)),
        Change::Removed { version } => ("removed", Some(version), None),
        Change::Version { old, new } => ("version", Some(old), Some(new)),
        Change::Content { version } => ("content", Some(version), Some(version)),
        Change::Declarations { version } => ("declarations", Some(version), Some(version)),
    };
    json!({"name": name.as_str(), "change": kind, "old": old, "new": new})
}

/// The report as `docs/json.md` has it.
pub(crate) fn report_json(report: &BuildReport) -> Value {
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
            "digest": package.digest.to_string(),
            "scripts": tier_word(&package.tier),
            "skipped": package.skipped(),
        })).collect::<Vec<_>>(),
        "changes": report.changes.iter().map(change_json).collect::<Vec<_>>(),
        "overridden": report.overridden.iter().map(|o| json!({
            "path": format!("/{}", o.path), "by": o.by, "of": o.of,
        })).collect::<Vec<_>>(),
        "findings": texts(&report.findings),
    })
}
