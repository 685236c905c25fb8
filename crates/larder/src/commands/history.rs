//! `larder history`

use std::process::ExitCode;

use larder_lib::{Reference, history};
use serde_json::json;

use crate::cli::Context;
use crate::failure::{DONE, Failure};
use crate::{json, ui};

// Arguments of `larder history`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  larder history example.com/web")]
pub(crate) struct Args {
    /// The image's name
    image: Reference,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let host = context.host()?;
    let history = history::history(&host.store, &args.image.name)?;
    let entries = history.entries.iter().enumerate().rev();
    if context.json {
        let items = entries.map(|(index, entry)| {
            json!({
                "version": entry.version, "digest": entry.fileset.to_string(), "at": entry.at,
                "action": entry.action, "current": index == history.current,
            })
        });
        json::print(
            "larder/history/v1",
            json!({"name": args.image.name.as_str(), "items": items.collect::<Vec<_>>()}),
        )?;
        return DONE;
    }
    let mut listing = ui::Listing::new(["", "VERSION", "DIGEST", "WHEN (UTC)", "BY"]);
    for (index, entry) in entries {
        listing.row([
            if index == history.current { "*" } else { "" }.to_owned(),
            entry.version.clone(),
            entry.fileset.to_string(),
            ui::time(entry.at),
            entry.action.clone(),
        ]);
    }
    listing.print()?;
    DONE
}
