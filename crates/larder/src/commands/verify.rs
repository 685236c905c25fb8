//! `larder verify`

use std::process::ExitCode;

use larder_lib::Reference;
use larder_lib::chain::{self, Item, LinkKind, Report, State, VerifyOptions};
use serde_json::{Value, json};

use super::build::{signed_json, signed_words};
use crate::cli::Context;
use crate::failure::{DONE, Failure};
use crate::json;
use crate::progress::Reporter;
use crate::ui::{self, BOLD, FAINT, GREEN, RED, RESET, YELLOW};

// Arguments of `larder verify`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  larder verify example.com/web
  larder verify example.com/web --require-signed    what nobody has signed fails
  larder verify debian.org/openssl --fetch          ask the archive for what isn't kept here
  larder verify example.com/hello --fetch           fetch its source again, with the publisher's signature
  larder verify example.com/web --rebuild           make everything again and compare

Exit code 1 when a link of the chain doesn't hold: a statement that is missing, altered, about
something else, or signed by a key that isn't trusted for the name's domain.")]
pub(crate) struct Args {
    #[arg(help = "An image or a package: NAME[@VERSION|@blake3:DIGEST]")]
    name: Reference,
    /// Make everything again that can be made again, and compare the digests
    #[arg(long)]
    rebuild: bool,
    /// Ask the archive, and the addresses of sources, for what isn't kept here
    #[arg(long)]
    fetch: bool,
    /// Fail for what was made and nobody has signed
    #[arg(long)]
    require_signed: bool,
    /// List every link of every chain
    #[arg(long, short)]
    verbose: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let host = context.host()?;
    let options = VerifyOptions { rebuild: args.rebuild, fetch: args.fetch, require_signed: args.require_signed };
    let report = chain::verify(&host, &args.name, options, &Reporter::new(context.quiet))?;
    if context.json {
        json::print("larder/verify/v1", document(&report))?;
    } else if !context.quiet {
        print(&report, args)?;
    }
    if report.holds() {
        return DONE;
    }
    let broken: Vec<_> = report.items.iter().filter(|item| item.broken().next().is_some()).collect();
    let first = broken.iter().find_map(|item| Some((item, item.broken().next()?)));
    let what = first.map_or_else(String::new, |(item, (link, reason))| {
        let reason = reason.lines().next().unwrap_or_default().trim_end_matches(':');
        format!("the {link} of {}@{} doesn't hold: {reason}", item.name, item.version)
    });
    let more = match broken.len() {
        0 | 1 => String::new(),
        count => format!(" (and {} more)", ui::count(count - 1, "FileSet")),
    };
    Err(Failure::plain(format!("{} is not verified: {what}{more}", args.name)))
}

fn print(report: &Report, args: &Args) -> Result<(), Failure> {
    for item in &report.items {
        let (mark, colour) = match item.broken().next() {
            Some(_) => ("broken", RED),
            None => ("ok", GREEN),
        };
        let indent = if item.of.is_none() { "" } else { "  " };
        let title = format!("{BOLD}{}@{}{RESET}", item.name, item.version);
        ui::line(format_args!("{colour}{mark:6}{RESET} {indent}{title}  {FAINT}{}{RESET}", summary(item)))?;
        for link in &item.links {
            let why = matches!((&link.kind, &link.state), (LinkKind::Rebuild, State::NotChecked(_)));
            let shown = args.verbose || matches!(link.state, State::Broken(_)) || is_source(&link.kind) || why;
            if !shown {
                continue;
            }
            let colour = match link.state {
                State::Broken(_) => RED,
                State::Unsigned => YELLOW,
                _ => FAINT,
            };
            // What differs is a line each.
            let reason = link
                .state
                .reason()
                .map(|reason| format!(": {}", reason.replace('\n', &format!("\n{:11}{indent}", ""))));
            let reason = reason.unwrap_or_default();
            ui::line(format_args!("       {indent}  {} {colour}{}{RESET}{reason}", link.kind, link.state.word()))?;
        }
    }
    let broken = report.items.iter().filter(|item| item.broken().next().is_some()).count();
    let count = |wanted: &dyn Fn(&State) -> bool| {
        report.items.iter().flat_map(|item| &item.links).filter(|link| wanted(&link.state)).count()
    };
    ui::line(format_args!(
        "{}: {} broken, {} unsigned; {} not kept here, {} not checked",
        ui::count(report.items.len(), "FileSet"),
        broken,
        count(&|state| *state == State::Unsigned),
        ui::count(count(&|state| *state == State::NotKept), "link"),
        count(&|state| matches!(state, State::NotChecked(_))),
    ))?;
    if !args.fetch && count(&|state| *state == State::NotKept) > 0 {
        ui::note("--fetch asks the archive for what isn't kept here");
    }
    Ok(())
}

fn is_source(kind: &LinkKind) -> bool {
    matches!(kind, LinkKind::Source(_))
}

/// What was looked at and holds, who signed, and what isn't kept here.
fn summary(item: &Item) -> String {
    let of = |wanted: &dyn Fn(&State) -> bool| {
        let links = item.links.iter().filter(|link| wanted(&link.state) && !is_source(&link.kind));
        links.map(|link| link.kind.to_string()).collect::<Vec<_>>().join(", ")
    };
    let mut parts = Vec::new();
    let holds = of(&|state| *state == State::Holds);
    if !holds.is_empty() {
        parts.push(holds);
    }
    if item.links.iter().any(|link| link.kind == LinkKind::Signature && !matches!(link.state, State::Broken(_))) {
        parts.push(signed_words(&item.signers));
    }
    for (words, state) in [
        ("not kept here", of(&|state| *state == State::NotKept)),
        ("not checked", of(&|state| matches!(state, State::NotChecked(_)))),
    ] {
        if !state.is_empty() {
            parts.push(format!("{words}: {state}"));
        }
    }
    parts.join("; ")
}

fn document(report: &Report) -> Value {
    let items = report.items.iter().map(|item| {
        json!({
            "name": item.name.as_str(),
            "version": item.version,
            "digest": item.digest.to_string(),
            "of": item.of.map(|of| of.to_string()),
            "kind": item.kind.map(larder_lib::Kind::as_str),
            "signed": signed_json(&item.signers),
            "links": item.links.iter().map(|link| json!({
                "link": link.kind.to_string(),
                "state": link.state.word(),
                "reason": link.state.reason(),
            })).collect::<Vec<_>>(),
        })
    });
    json!({"holds": report.holds(), "items": items.collect::<Vec<_>>()})
}
