//! `larder packages`

use std::process::ExitCode;

use larder_lib::contents::tier_word;
use larder_lib::packages;
use serde_json::json;

use crate::cli::Context;
use crate::failure::{DONE, Failure};
use crate::{json, ui};

/// Arguments of `larder packages`.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  larder packages\n  larder packages openssl --json")]
pub(crate) struct Args {
    /// Only packages whose name holds this text
    text: Option<String>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let host = context.host()?;
    let mut packages = packages::list(&host.store)?;
    if let Some(text) = &args.text {
        packages.retain(|package| package.name.as_str().contains(text.as_str()));
    }
    if context.json {
        let items = packages.iter().map(|package| {
            json!({
                "name": package.name.as_str(),
                "version": package.version,
                "architecture": package.architecture,
                "digest": package.digest.to_string(),
                "bytes": package.bytes,
                "images": package.images,
                "scripts": package.tier.as_ref().map(tier_word),
            })
        });
        json::print("larder/packages/v1", items.collect())?;
        return DONE;
    }
    let mut listing = ui::Listing::new(["NAME", "VERSION", "DIGEST", "SIZE", "IMAGES", "SCRIPTS"]).right(3).right(4);
    for package in &packages {
        listing.row([
            package.name.to_string(),
            package.version.clone(),
            ui::short(&package.digest),
            ui::bytes(package.bytes),
            package.images.to_string(),
            package.tier.as_ref().map_or("", tier_word).to_owned(),
        ]);
    }
    listing.print()?;
    DONE
}
