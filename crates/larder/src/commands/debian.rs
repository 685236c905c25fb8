//! `larder debian`

use std::process::ExitCode;

use larder_lib::Name;
use larder_lib::capture::{self, Captured, Row, Verdict, how_word, verdict_word};
use larder_lib::recipe::Root;
use serde_json::json;

use crate::cli::Context;
use crate::failure::{DONE, Failure};
use crate::json;
use crate::progress::Reporter;
use crate::ui::{self, BOLD, RESET};

// Arguments of `larder debian`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  larder debian capture libpam-runtime
  larder debian capture openssh-server --from debian.org/trixie --json

Images that say captured = [\"libpam-runtime\"] do the same when they are built.")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Run the scripts of a package, and show what is taken of what they leave
    #[command(after_help = "\
Examples:
  larder debian capture libpam-runtime
  larder debian capture openssh-server=1:9.2p1-2+deb12u7
  larder debian capture mariadb-server --from debian.org/trixie --json

The scripts run in a sandbox with the package and what it needs: without network, services or a
terminal, twice, because what isn't the same both times is refused. Private keys and databases are
refused wherever they lie. What was captured of the same inputs before isn't run again.")]
    Capture {
        /// The package: NAME, or NAME=VERSION
        #[arg(value_name = "NAME")]
        package: Root,
        /// The distribution [default: that of the configuration, or debian.org/bookworm]
        #[arg(long, value_name = "NAME")]
        from: Option<Name>,
    },
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let Command::Capture { package, from } = &args.command;
    let host = context.host()?;
    let from = from.as_ref().unwrap_or(&host.distribution);
    let captured = capture::of_name(&host, from, package, &Reporter::new(context.quiet))?;
    if context.json {
        json::print("larder/capture/v1", document(&captured))?;
        return DONE;
    }
    print(&captured, context.quiet)?;
    DONE
}

fn print(captured: &Captured, quiet: bool) -> Result<(), Failure> {
    if quiet {
        return Ok(ui::line(captured.fileset)?);
    }
    let mut listing = ui::Listing::new(["WHAT", "SCRIPTS", "PATH", "WHY"]);
    for verdict in [Verdict::Kept, Verdict::Made, Verdict::Refused] {
        for row in captured.rows.iter().filter(|row| row.verdict == verdict) {
            let (what, how) = (verdict_word(verdict).to_owned(), how_word(row.how).to_owned());
            listing.row([what, how, shown(row), row.reason.clone()]);
        }
    }
    listing.print()?;
    let count = |verdict| captured.rows.iter().filter(|row| row.verdict == verdict).map(|row| row.paths).sum::<u64>();
    let again = if captured.cached { ", as captured before" } else { "" };
    ui::line(format_args!(
        "captured {BOLD}{}@{}{RESET}{again}: {} taken, {} made by composers, {} refused",
        captured.package,
        captured.version,
        count(Verdict::Kept),
        count(Verdict::Made),
        count(Verdict::Refused)
    ))?;
    Ok(ui::line(format_args!(
        "{} ({}, {})",
        captured.fileset,
        ui::count(captured.files, "file"),
        ui::bytes(captured.bytes)
    ))?)
}

fn shown(row: &Row) -> String {
    if row.paths == 1 { row.path.clone() } else { format!("{} ({} paths)", row.path, row.paths) }
}

fn document(captured: &Captured) -> serde_json::Value {
    let row = |row: &Row| {
        json!({
            "path": row.path,
            "how": how_word(row.how),
            "verdict": verdict_word(row.verdict),
            "reason": (!row.reason.is_empty()).then_some(&row.reason),
            "count": row.paths,
        })
    };
    json!({
        "name": captured.package.as_str(),
        "version": captured.version,
        "digest": captured.fileset.to_string(),
        "rule": capture::RULE,
        "files": captured.files,
        "bytes": captured.bytes,
        "cached": captured.cached,
        "paths": captured.rows.iter().map(row).collect::<Vec<_>>(),
    })
}
