//! `larder gc`

use std::process::ExitCode;
use std::time::Duration;

use larder_lib::maintenance;
use serde_json::json;

use crate::cli::Context;
use crate::failure::{DONE, Failure};
use crate::{json, ui};

// Arguments of `larder gc`.
#[derive(clap::Args)]
#[command(after_help = "\
Removes what no image, no earlier record of one and no container needs. Earlier records keep their packages until
`larder remove --earlier NAME` drops them.

Example:
  larder gc --dry-run")]
pub(crate) struct Args {
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,
    /// List what is removed
    #[arg(long, short)]
    verbose: bool,
    /// Keep what was written within so many minutes, needed or not
    #[arg(long, value_name = "MINUTES", default_value_t = 0)]
    keep_newer: u64,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let host = context.host()?;
    let report = maintenance::gc(&host.store, args.dry_run, Duration::from_secs(args.keep_newer.saturating_mul(60)))?;
    if context.json {
        let filesets = report.filesets.iter().map(|removed| {
            let (name, version) = removed.named.clone().unzip();
            json!({"digest": removed.fileset.to_string(), "name": name, "version": version})
        });
        json::print(
            "larder/gc/v1",
            json!({
                "dry_run": args.dry_run, "filesets": filesets.collect::<Vec<_>>(), "trees": report.trees,
                "objects": report.objects, "views": report.views.len(), "bytes": report.bytes,
                "kept_objects": report.kept_objects,
            }),
        )?;
        return DONE;
    }
    for removed in report.filesets.iter().filter(|_| args.verbose) {
        match &removed.named {
            Some((name, version)) => ui::line(format_args!("  {name} {version}"))?,
            None => ui::line(format_args!("  {}", removed.fileset))?,
        }
    }
    let verb = if args.dry_run { "would remove" } else { "removed" };
    ui::line(format_args!(
        "{verb} {} and {} ({}), {} left",
        ui::count(report.filesets.len(), "FileSet"),
        ui::count(usize::try_from(report.objects).unwrap_or(usize::MAX), "object"),
        ui::bytes(report.bytes),
        ui::count(usize::try_from(report.kept_objects).unwrap_or(usize::MAX), "object"),
    ))?;
    DONE
}
