//! `larder rollback`

use std::process::ExitCode;

use larder_lib::{Reference, history};
use serde_json::json;

use crate::cli::Context;
use crate::failure::{DONE, Failure};
use crate::json;
use crate::ui::{self, BOLD, GREEN, RESET};

// Arguments of `larder rollback`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  larder rollback example.com/web              to the record before the current one
  larder rollback example.com/web@blake3:…     to that record")]
pub(crate) struct Args {
    /// NAME, or NAME@VERSION or NAME@blake3:DIGEST for a certain record
    image: Reference,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let host = context.host()?;
    let entry = history::rollback(&host.store, &args.image)?;
    if context.json {
        let name = args.image.name.as_str();
        json::print(
            "larder/rollback/v1",
            json!({"name": name, "version": entry.version, "digest": entry.fileset.to_string()}),
        )?;
        return DONE;
    }
    ui::line(format_args!("{GREEN}now{RESET} {BOLD}{}@{}{RESET}", args.image.name, entry.version))?;
    ui::line(entry.fileset)?;
    DONE
}
