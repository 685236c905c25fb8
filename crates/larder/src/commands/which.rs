//! `larder which`

use std::process::ExitCode;

use larder_lib::{deep, which};
use serde_json::json;

use crate::cli::Context;
use crate::failure::{DONE, Failure};
use crate::{json, ui};

mod compiled;

// Arguments of `larder which`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  larder which openssl
  larder which libssl3 '<3.0.17-1~deb12u3'
  larder which --all openssl '>=3.0, <3.1'     earlier records too
  larder which --deep log4j-core '<2.17'       what is compiled or packed into files")]
pub(crate) struct Args {
    /// The package's name, short or whole; with --deep, a component's as its ecosystem writes it
    package: String,
    /// Only these versions: '>=3.0, <4'
    range: Option<String>,
    /// Look at earlier records of every image too
    #[arg(long)]
    all: bool,
    /// Look for what is compiled into files: Go modules, Rust crates, Python, npm and Java packages
    #[arg(long)]
    deep: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let host = context.host()?;
    let scope = if args.all { which::Scope::History } else { which::Scope::Current };
    if args.deep {
        return compiled::run(context, args, &deep::which(&host.store, &args.package, args.range.as_deref(), scope)?);
    }
    let holders = which::which(&host.store, &args.package, args.range.as_deref(), scope)?;
    if holders.is_empty()
        && !context.quiet
        && let Some(nearest) = which::nearest(&host.store, &args.package)?
    {
        // Nothing found is an answer that somebody may rely on; a misspelled name is not.
        let mean = if nearest.is_empty() { String::new() } else { format!("; did you mean {}?", nearest.join(" or ")) };
        ui::note(format_args!("no image has ever had a package {}{mean}", args.package));
    }
    if context.json {
        let items = holders.iter().map(|holder| {
            json!({
                "image": holder.image.as_str(),
                "image_version": holder.image_version,
                "image_digest": holder.image_digest.to_string(),
                "package": holder.package.as_str(),
                "version": holder.version,
                "digest": holder.digest.to_string(),
            })
        });
        json::print("larder/which/v1", items.collect())?;
        return DONE;
    }
    let mut listing = ui::Listing::new(["IMAGE", "DIGEST", "PACKAGE", "VERSION"]);
    for holder in &holders {
        listing.row([
            format!("{}@{}", holder.image, holder.image_version),
            ui::short(&holder.image_digest),
            holder.package.to_string(),
            holder.version.clone(),
        ]);
    }
    listing.print()?;
    DONE
}
