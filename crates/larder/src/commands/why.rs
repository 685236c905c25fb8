//! `larder why`

use std::process::ExitCode;

use larder_lib::solver::Link;
use larder_lib::{Reference, images, why};
use serde_json::json;

use crate::cli::Context;
use crate::failure::{DONE, Failure};
use crate::{json, ui};

// Arguments of `larder why`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  larder why example.com/web libssl3")]
pub(crate) struct Args {
    #[arg(help = "NAME[@VERSION|@blake3:DIGEST]")]
    image: Reference,
    /// The package's name, short or whole
    package: String,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let host = context.host()?;
    let image = images::find(&host.store, &args.image)?;
    let chain = why::why(&host.store, &image.record, &args.package)?;
    if context.json {
        let steps = chain.iter().map(|step| {
            let (kind, by, requirement) = match &step.chosen.link {
                Link::Root(root) => ("asked for", None, Some(root)),
                Link::Base => ("base", None, None),
                Link::Needed { by, requirement } => ("requires", Some(by), Some(requirement)),
                Link::Recommended { by, requirement } => ("recommends", Some(by), Some(requirement)),
            };
            json!({
                "name": step.chosen.name,
                "version": step.chosen.version,
                "link": kind,
                "by": by,
                "requirement": requirement,
                "stands_in_for": json::texts(&step.stands_in_for),
            })
        });
        json::print("larder/why/v1", json!({"image": image.digest.to_string(), "steps": steps.collect::<Vec<_>>()}))?;
        return DONE;
    }
    for (depth, step) in chain.iter().enumerate() {
        let why::Step { chosen, stands_in_for } = step;
        let mut reason = match &chosen.link {
            Link::Root(root) => format!("{} asks for {root}", image.record.name),
            Link::Base => "belongs to the base (Essential)".to_owned(),
            Link::Needed { by, requirement } => format!("{by} requires {requirement}"),
            Link::Recommended { by, requirement } => format!("{by} recommends {requirement}"),
        };
        for of in stands_in_for {
            reason += &format!("; it stands in for {of}, about which {}'s word is void", of.domain());
        }
        ui::line(format_args!("{:indent$}{} {}  ({reason})", "", chosen.name, chosen.version, indent = depth * 2))?;
    }
    DONE
}
