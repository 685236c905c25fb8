//! `larder fsck`

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use larder_lib::maintenance::{self, FsckReport};
use larder_lib::progress::Progress;
use serde_json::json;

use crate::cli::Context;
use crate::failure::{DONE, Failure};
use crate::json;
use crate::progress::Reporter;
use crate::ui::{self, GREEN, RED, RESET};

// Arguments of `larder fsck`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  larder fsck                 that everything is there
  larder fsck --deep          and that every byte is what it was
  larder fsck --deep --repair fetch again what isn't

Exit code: 0 where nothing is wrong, or all of it was mended; 1 otherwise.")]
pub(crate) struct Args {
    /// Read and hash every object
    #[arg(long)]
    deep: bool,
    /// Fetch again what is missing or damaged
    #[arg(long)]
    repair: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let host = context.host()?;
    let reporter = Reporter::new(context.quiet);
    let report = check(&host, args.deep, &reporter)?;
    if !context.json {
        print_problems(&report)?;
    }
    let repair = match args.repair && !report.problems.is_empty() {
        true => Some(maintenance::repair(&host, &report, &reporter)?),
        false => None,
    };
    let left = match &repair {
        Some(_) => check(&host, args.deep, &reporter)?.problems.len(),
        None => report.problems.len(),
    };
    let code = if left == 0 { DONE } else { Ok(ExitCode::FAILURE) };
    if context.json {
        let problems = report.problems.iter().map(|problem| {
            json!({
                "path": problem.path.to_string_lossy(),
                "problem": problem.kind.to_string(),
                "filesets": problem.filesets.iter().map(|(digest, (name, version))| json!({
                    "digest": digest.to_string(), "name": name, "version": version,
                })).collect::<Vec<_>>(),
                "images": problem.images.iter().map(|(name, version)| format!("{name}@{version}")).collect::<Vec<_>>(),
            })
        });
        let checked = report.checked;
        json::print(
            "larder/fsck/v1",
            json!({
                "deep": args.deep, "filesets": checked.filesets, "trees": checked.trees, "objects": checked.objects,
                "hashed_bytes": checked.hashed_bytes, "refs": checked.refs, "statements": checked.statements,
                "problems": problems.collect::<Vec<_>>(), "left": left,
                "repaired": repair.as_ref().map(|repair| repair.packages.clone()),
                "composed": repair.as_ref().map(|repair| repair.composed.clone()),
                "lost": repair.as_ref().map(|repair| repair.lost.iter().map(|(name, reason)| {
                    json!({"name": name, "reason": reason})
                }).collect::<Vec<_>>()),
            }),
        )?;
        return code;
    }
    if let Some(repair) = &repair {
        for package in &repair.packages {
            ui::line(format_args!("{GREEN}fetched again:{RESET} {package}"))?;
        }
        for image in &repair.composed {
            ui::line(format_args!("{GREEN}composed again:{RESET} {image}"))?;
        }
        for (lost, reason) in &repair.lost {
            ui::line(format_args!("{RED}can't be fetched:{RESET} {lost} ({reason})"))?;
        }
    }
    let checked = report.checked;
    let hashed = if args.deep { format!(", {} hashed", ui::bytes(checked.hashed_bytes)) } else { String::new() };
    ui::line(format_args!("checked {} FileSets, {} objects{hashed}", checked.filesets, checked.objects))?;
    match (left, args.repair) {
        (0, _) => ui::line(format_args!("{GREEN}nothing wrong{RESET}"))?,
        (_, false) => ui::line(format_args!(
            "{RED}{}{RESET}; `larder fsck --repair` fetches again what it can",
            ui::count(left, "problem")
        ))?,
        (_, true) => ui::line(format_args!("{RED}{} left{RESET}", ui::count(left, "problem")))?,
    }
    code
}

fn print_problems(report: &FsckReport) -> std::io::Result<()> {
    for problem in &report.problems {
        ui::line(format_args!("{RED}{}{RESET}\n  at {}", problem.kind, problem.path.display()))?;
        // By name: a digest's place says nothing to anybody.
        let needed: BTreeSet<_> = problem.filesets.values().collect();
        for (name, version) in needed {
            ui::line(format_args!("  needed by {name} {version}"))?;
        }
    }
    Ok(())
}

fn check(host: &larder_lib::Host, deep: bool, reporter: &Reporter) -> Result<FsckReport, Failure> {
    if !deep {
        return Ok(maintenance::fsck(&host.store, false, None)?);
    }
    let task = reporter.start("hash every object", None);
    let seen = AtomicU64::new(0);
    let report = maintenance::fsck(
        &host.store,
        true,
        Some(&|done, _total| {
            let before = seen.fetch_max(done, Ordering::Relaxed);
            reporter.advance(task, done.saturating_sub(before));
        }),
    );
    reporter.finish(task);
    Ok(report?)
}
