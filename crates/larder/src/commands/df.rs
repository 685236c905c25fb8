//! `larder df`

use std::process::ExitCode;

use larder_lib::maintenance;
use serde_json::json;

use crate::cli::Context;
use crate::failure::{DONE, Failure};
use crate::{json, ui};

// Arguments of `larder df`.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  larder df\n\nALONE is what removing that record would free: what nothing else needs."
)]
pub(crate) struct Args {}

pub(crate) fn run(context: &Context, _args: &Args) -> Result<ExitCode, Failure> {
    let host = context.host()?;
    let usage = maintenance::df(&host.store)?;
    if context.json {
        let images = usage.images.iter().map(|image| {
            json!({
                "name": image.name, "version": image.version, "digest": image.fileset.to_string(),
                "current": image.current, "bytes": image.bytes, "own_bytes": image.own_bytes,
            })
        });
        json::print(
            "larder/df/v1",
            json!({
                "objects": usage.objects, "object_bytes": usage.object_bytes, "disk_bytes": usage.disk_bytes,
                "record_bytes": usage.record_bytes, "view_bytes": usage.view_bytes,
                "shared_bytes": usage.shared_bytes, "unneeded_bytes": usage.unneeded_bytes,
                "images": images.collect::<Vec<_>>(),
            }),
        )?;
        return DONE;
    }
    let mut listing = ui::Listing::new(["IMAGE", "", "DIGEST", "SIZE", "ALONE"]).right(3).right(4);
    for image in &usage.images {
        listing.row([
            format!("{}@{}", image.name, image.version),
            if image.current { "*" } else { "" }.to_owned(),
            ui::short(&image.fileset),
            ui::bytes(image.bytes),
            ui::bytes(image.own_bytes),
        ]);
    }
    listing.print()?;
    for (what, bytes) in [
        ("files", usage.object_bytes),
        ("  shared between images", usage.shared_bytes),
        ("  needed by nothing (larder gc)", usage.unneeded_bytes),
        ("records and trees", usage.record_bytes),
        ("cached views", usage.view_bytes),
        ("on disk", usage.disk_bytes + usage.view_bytes),
    ] {
        ui::line(format_args!("{what:34} {:>10}", ui::bytes(bytes)))?;
    }
    DONE
}
