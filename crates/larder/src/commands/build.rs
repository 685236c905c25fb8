//! `larder build`

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

use larder_lib::Name;
use larder_lib::build::{self, BuildOptions, BuildReport, NewAsks, Test};
use larder_lib::contents::tier_word;
use larder_lib::lock::Change;
use larder_lib::overrides::StandIn;
use larder_lib::provenance::{Signer, Standing};
use larder_lib::recipe::Document;
use larder_lib::store::fileset::ScriptTier;
use serde_json::{Value, json};

use crate::cli::Context;
use crate::failure::{DONE, Failure};
use crate::json::{self, texts};
use crate::progress::Reporter;
use crate::ui::{self, BOLD, FAINT, GREEN, RED, RESET, YELLOW};

mod distribution;
mod many;
pub(super) mod package;

// Arguments of `larder build`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  larder build                  the recipe of this folder
  larder build examples/web     writes examples/web/larder.lock beside the recipe
  larder build examples/stack   a distribution: it is tested before it gets its name
  larder build --locked         use the lock as it is; fail if it doesn't match the recipe
  larder build --check hello-c  build a package twice, and say which files differ and how
  larder build -j 4 lib app     several recipes, each after the packages that it needs")]
pub(crate) struct Args {
    /// The folder with the recipe, or the recipe itself
    #[arg(default_value = ".", value_name = "DIR")]
    recipes: Vec<PathBuf>,
    /// Use the lock as it is, and fail if it doesn't match the recipe
    #[arg(long)]
    locked: bool,
    /// Accept that the image begins to ask for more of the host
    #[arg(long)]
    accept_asks: bool,
    /// Leave out the recipe's test
    #[arg(long)]
    no_test: bool,
    /// Build packages twice, whatever was built before, and compare what was made
    #[arg(long)]
    check: bool,
    /// How many recipes are built at a time
    #[arg(long, short, value_name = "N", default_value = "1")]
    jobs: NonZeroUsize,
    /// List every package with what became of its scripts
    #[arg(long, short)]
    verbose: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let [recipe] = args.recipes.as_slice() else { return many::run(context, args) };
    let host = context.host()?;
    let progress = Reporter::new(context.quiet);
    let options = BuildOptions {
        locked: args.locked,
        new_asks: new_asks(args.accept_asks),
        test: test(args.no_test),
        ..BuildOptions::default()
    };
    let recipe = match Document::load(recipe).map_err(larder_lib::Error::from)? {
        Document::Package(recipe) => return package::run(context, &host, &recipe, args),
        Document::Distribution(recipe) => return distribution::run(context, &host, &recipe, &progress),
        Document::Image(recipe) => *recipe,
    };
    if args.check {
        return Err(Failure::usage("--check compares two builds of a package, and this is the recipe of an image")
            .hint("an image's digest depends on its packages and files alone: leave --check out"));
    }
    let report = build::build_recipe(&host, recipe, &options, &progress)?;
    if context.json {
        json::print("larder/build/v1", report_json(&report))?;
    } else {
        print(&report, args.verbose, context.quiet)?;
    }
    DONE
}

/// What `--accept-asks` means.
pub(crate) fn new_asks(accept: bool) -> NewAsks {
    if accept { NewAsks::Accept } else { NewAsks::Refuse }
}

/// What `--no-test` means.
pub(crate) fn test(skip: bool) -> Test {
    if skip { Test::Skip } else { Test::Run }
}

/// Prints what a build did: the image's name and digest last, where eyes and scripts look for them.
pub(crate) fn print(report: &BuildReport, verbose: bool, quiet: bool) -> Result<(), Failure> {
    if quiet {
        return Ok(ui::line(report.digest)?);
    }
    // A first build adds everything: that is no news.
    let is_new = |(_, change): &(Name, Change)| matches!(change, Change::Added { .. });
    let first = report.changes.len() == report.packages.len() && report.changes.iter().all(is_new);
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
    for package in &report.packages {
        captured_line(package.name.as_str(), &package.tier, verbose)?;
    }
    for overridden in &report.overridden {
        ui::line(format_args!(
            "{YELLOW}override:{RESET} /{} of {} instead of {}'s",
            overridden.path, overridden.by, overridden.of
        ))?;
    }
    for stand_in in &report.stand_ins {
        ui::line(format_args!("{YELLOW}stand-in:{RESET} {}", stand_in_line(stand_in)))?;
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
        "{}, {} fetched ({}), scripts: {} none, {} declared,{} {} skipped{}",
        ui::count(report.packages.len(), "package"),
        report.fetched,
        ui::bytes(report.fetched_bytes),
        tiers("none"),
        tiers("declared"),
        Some(tiers("captured"))
            .filter(|count| *count > 0)
            .map_or_else(String::new, |count| format!(" {count} captured,")),
        tiers("skipped"),
        if report.tested { "; the test passed" } else { "" },
    ))?;
    let state = if report.changed { "built" } else { "unchanged" };
    let signed = signed_words(&report.signed);
    ui::line(format_args!("{GREEN}{state}{RESET} {BOLD}{}@{}{RESET}, {signed}", report.name, report.version))?;
    Ok(ui::line(report.digest)?)
}

/// Says what was captured of scripts, if anything was.
fn captured_line(name: &str, tier: &ScriptTier, verbose: bool) -> Result<(), Failure> {
    let ScriptTier::Captured(refused) = tier else { return Ok(()) };
    let said = match refused.as_slice() {
        [] => "nothing was refused".to_owned(),
        [one] => format!("refused {one}"),
        all if verbose => format!("refused {}", all.join("; ")),
        [first, others @ ..] => format!("refused {first} (and {} more)", others.len()),
    };
    Ok(ui::line(format_args!("{YELLOW}captured:{RESET} {name}: {said}"))?)
}

/// What an override means, in one line.
pub(crate) fn stand_in_line(stand_in: &StandIn) -> String {
    let StandIn { of, by, version, forced, affected, through } = stand_in;
    let mut line = format!("{by} {version} for {of}, about which {}'s word is void", stand_in.publisher());
    if let Some(reason) = forced {
        line += &format!(" (forced: {reason})");
    }
    if !affected.is_empty() {
        line += &format!("; tested with the original: {}", affected.join(", "));
        match through.len() {
            0 => {}
            1 => line += ", and 1 package that needs these",
            many => line += &format!(", and {many} packages that need these"),
        }
    }
    line
}

/// What an override means, as `docs/json.md` has it.
pub(crate) fn stand_ins_json(stand_ins: &[StandIn]) -> Value {
    let one = |stand_in: &StandIn| {
        json!({
            "of": stand_in.of.as_str(),
            "by": stand_in.by.as_str(),
            "version": stand_in.version,
            "void": stand_in.publisher(),
            "forced": stand_in.forced,
            "affected": stand_in.affected,
            "through": stand_in.through,
        })
    };
    stand_ins.iter().map(one).collect()
}

/// Who signed how something was made, in words.
pub(crate) fn signed_words(signers: &[Signer]) -> String {
    match signers {
        [] => "unsigned".to_owned(),
        signers => format!("signed by {}", signers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// What is known of how something was made, with the reason where that can't be believed.
pub(crate) fn standing_words(standing: &Standing) -> String {
    match standing {
        Standing::Signed(signers) => signed_words(signers),
        Standing::Broken(reason) => format!("what is said of it can't be believed: {reason}"),
        other => other.to_string(),
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

/// What was refused of a package's captured scripts.
pub(crate) fn refused(tier: &ScriptTier) -> &[String] {
    if let ScriptTier::Captured(refused) = tier { refused } else { &[] }
}

/// The report as `docs/json.md` has it.
pub(crate) fn report_json(report: &BuildReport) -> Value {
    json!({
        "name": report.name.as_str(),
        "version": report.version,
        "digest": report.digest.to_string(),
        "signed": signed_json(&report.signed),
        "changed": report.changed,
        "tested": report.tested,
        "fetched": report.fetched,
        "fetched_bytes": report.fetched_bytes,
        "packages": report.packages.iter().map(|package| json!({
            "name": package.name.as_str(),
            "version": package.version,
            "digest": package.digest.to_string(),
            "scripts": tier_word(&package.tier),
            "skipped": package.skipped(),
            "refused": refused(&package.tier),
        })).collect::<Vec<_>>(),
        "changes": report.changes.iter().map(change_json).collect::<Vec<_>>(),
        "overridden": report.overridden.iter().map(|o| json!({
            "path": format!("/{}", o.path), "by": o.by, "of": o.of,
        })).collect::<Vec<_>>(),
        "stand_ins": stand_ins_json(&report.stand_ins),
        "findings": texts(&report.findings),
    })
}
