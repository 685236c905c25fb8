//! `larder packages`

use std::process::ExitCode;

use larder_lib::contents::tier_word;
use larder_lib::{packages, provenance};
use serde_json::json;

use super::build::signed_json;
use crate::cli::Context;
use crate::failure::{DONE, Failure};
use crate::{json, ui};

// Arguments of `larder packages`.
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
    let named: Vec<_> = packages.iter().map(|package| (&package.name, &package.digest)).collect();
    let standings = provenance::standings(&host.store, &host.keys, &named)?;
    if context.json {
        let items = packages.iter().zip(&standings).map(|(package, standing)| {
            json!({
                "name": package.name.as_str(),
                "version": package.version,
                "architecture": package.architecture,
                "digest": package.digest.to_string(),
                "bytes": package.bytes,
                "images": package.images,
                "scripts": package.tier.as_ref().map(tier_word),
                "provenance": standing.word(),
                "signed": signed_json(standing.signers()),
            })
        });
        json::print("larder/packages/v1", items.collect())?;
        return DONE;
    }
    let mut listing =
        ui::Listing::new(["NAME", "VERSION", "DIGEST", "SIZE", "IMAGES", "SCRIPTS", "SIGNED"]).right(3).right(4);
    for (package, standing) in packages.iter().zip(&standings) {
        listing.row([
            package.name.to_string(),
            package.version.clone(),
            ui::short(&package.digest),
            ui::bytes(package.bytes),
            package.images.to_string(),
            package.tier.as_ref().map_or("", tier_word).to_owned(),
            standing.to_string(),
        ]);
    }
    listing.print()?;
    DONE
}
