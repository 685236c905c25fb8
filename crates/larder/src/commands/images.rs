//! `larder images`

use std::process::ExitCode;

use larder_lib::{images, provenance};
use serde_json::json;

use super::build::signed_json;
use crate::cli::Context;
use crate::failure::{DONE, Failure};
use crate::{json, ui};

// Arguments of `larder images`.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  larder images\n  larder images --json")]
pub(crate) struct Args {}

pub(crate) fn run(context: &Context, _args: &Args) -> Result<ExitCode, Failure> {
    let host = context.host()?;
    let images = images::list(&host.store)?;
    let named: Vec<_> = images.iter().map(|image| (&image.name, &image.digest)).collect();
    let standings = provenance::standings(&host.store, &host.keys, &named)?;
    if context.json {
        let items = images.iter().zip(&standings).map(|(image, standing)| {
            json!({
                "name": image.name.as_str(),
                "version": image.version,
                "digest": image.digest.to_string(),
                "architecture": image.architecture,
                "packages": image.packages,
                "created": image.at,
                "records": image.records,
                "provenance": standing.word(),
                "signed": signed_json(standing.signers()),
            })
        });
        json::print("larder/images/v1", items.collect())?;
        return DONE;
    }
    let mut listing = ui::Listing::new(["NAME", "VERSION", "DIGEST", "PACKAGES", "CREATED (UTC)", "SIGNED"]).right(3);
    for (image, standing) in images.iter().zip(&standings) {
        listing.row([
            image.name.to_string(),
            image.version.clone(),
            ui::short(&image.digest),
            image.packages.to_string(),
            ui::time(image.at),
            standing.to_string(),
        ]);
    }
    listing.print()?;
    DONE
}
