//! `larder distributions`

use std::process::ExitCode;

use larder_lib::{distributions, provenance};
use serde_json::json;

use super::build::signed_json;
use crate::cli::Context;
use crate::failure::{DONE, Failure};
use crate::{json, ui};

// Arguments of `larder distributions`.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  larder distributions\n  larder distributions --json")]
pub(crate) struct Args {}

pub(crate) fn run(context: &Context, _args: &Args) -> Result<ExitCode, Failure> {
    let host = context.host()?;
    let all = distributions::list(&host.store)?;
    let named: Vec<_> = all.iter().map(|one| (&one.name, &one.digest)).collect();
    let standings = provenance::standings(&host.store, &host.keys, &named)?;
    if context.json {
        let items = all.iter().zip(&standings).map(|(one, standing)| {
            json!({
                "name": one.name.as_str(),
                "version": one.version,
                "digest": one.digest.to_string(),
                "architecture": one.architecture,
                "packages": one.packages,
                "images": one.images,
                "created": one.at,
                "records": one.records,
                "provenance": standing.word(),
                "signed": signed_json(standing.signers()),
            })
        });
        json::print("larder/distributions/v1", items.collect())?;
        return DONE;
    }
    let header = ["NAME", "VERSION", "DIGEST", "PACKAGES", "IMAGES", "CREATED (UTC)", "SIGNED"];
    let mut listing = ui::Listing::new(header).right(3).right(4);
    for (one, standing) in all.iter().zip(&standings) {
        listing.row([
            one.name.to_string(),
            one.version.clone(),
            ui::short(&one.digest),
            one.packages.to_string(),
            one.images.to_string(),
            ui::time(one.at),
            standing.to_string(),
        ]);
    }
    listing.print()?;
    DONE
}
