//! `larder which --deep`: images by what is compiled into their files.

use std::process::ExitCode;

use larder_lib::deep::Answer;
use serde_json::json;

use super::Args;
use crate::cli::Context;
use crate::commands::inspect::compiled::{shown, words};
use crate::failure::{DONE, Failure};
use crate::{json, ui};

/// Prints the answer. What it can't know is said too: somebody may rely on it.
pub(super) fn run(context: &Context, args: &Args, answer: &Answer) -> Result<ExitCode, Failure> {
    if !context.quiet {
        if let Some(nearest) = &answer.nearest {
            let mean =
                if nearest.is_empty() { String::new() } else { format!("; did you mean {}?", nearest.join(" or ")) };
            ui::note(format_args!("nothing that says what is compiled into it has {}{mean}", args.package));
        }
        if answer.unread > 0 {
            let files = ui::count(answer.unread, "file");
            ui::note(format_args!("{files} can't be read: `larder inspect --deep` names them and says why"));
        }
    }
    if context.json {
        let items = answer.holders.iter().map(|holder| {
            json!({
                "image": holder.image.as_str(),
                "image_version": holder.image_version,
                "image_digest": holder.image_digest.to_string(),
                "package": holder.package.as_str(),
                "version": holder.version,
                "digest": holder.digest.to_string(),
                "file": format!("/{}", holder.component.file),
                "inside": holder.component.inside,
                "ecosystem": holder.component.ecosystem.as_str(),
                "component": holder.component.name,
                "component_version": holder.component.version,
            })
        });
        json::print("larder/which-deep/v1", json!({ "items": items.collect::<Vec<_>>(), "unread": answer.unread }))?;
        return DONE;
    }
    let mut listing = ui::Listing::new(["IMAGE", "DIGEST", "PACKAGE", "COMPILED IN", "FILE"]);
    for holder in &answer.holders {
        let inside = holder.component.inside.as_ref().map(|inside| format!(", in {inside}")).unwrap_or_default();
        listing.row([
            format!("{}@{}", holder.image, holder.image_version),
            ui::short(&holder.image_digest),
            format!("{} {}", holder.package, holder.version),
            words(&holder.component),
            format!("/{}{inside}", shown(&holder.component.file)),
        ]);
    }
    listing.print()?;
    DONE
}
