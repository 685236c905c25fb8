//! `larder remove`

use std::process::ExitCode;

use larder_lib::{Reference, Selector, history};
use serde_json::json;

use crate::cli::Context;
use crate::failure::{DONE, Failure};
use crate::{json, ui};

// Arguments of `larder remove`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  larder remove example.com/web                the name and all its records
  larder remove --earlier example.com/web      only the records before the current one
  larder gc                                    afterwards: frees the space")]
pub(crate) struct Args {
    /// The image's name
    image: Reference,
    /// Keep the current record, and drop those before it
    #[arg(long)]
    earlier: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<ExitCode, Failure> {
    if args.image.selector != Selector::Latest {
        return Err(Failure::usage(format!("remove takes a name alone, not {}", args.image))
            .hint("a record goes with its name, or with --earlier when it is not the current one"));
    }
    let host = context.host()?;
    let name = &args.image.name;
    let dropped = if args.earlier {
        history::forget_earlier(&host.store, name)?
    } else {
        let records = history::history(&host.store, name)?.entries.len();
        history::remove(&host.store, name)?;
        records
    };
    if context.json {
        json::print("larder/remove/v1", json!({"name": name.as_str(), "records": dropped}))?;
    } else {
        ui::line(format_args!(
            "dropped {} of {name}; `larder gc` frees what only they needed",
            ui::count(dropped, "record")
        ))?;
    }
    DONE
}
