//! `larder inspect`

use std::process::ExitCode;

use larder_lib::actions::START;
use larder_lib::asks::consent::Grant;
use larder_lib::contents::tier_word;
use larder_lib::deep;
use larder_lib::distributions::DistributionInspection;
use larder_lib::inspect::{self, Inspection, PackageInspection, PackageLine, Subject};
use larder_lib::provenance::{self, Standing};
use larder_lib::{FileSetDigest, Host, Name, Reference};
use serde_json::{Value, json};

use super::build::{signed_json, standing_words};
use crate::cli::Context;
use crate::commands::build::{stand_in_line, stand_ins_json};
use crate::failure::{DONE, Failure};
use crate::{json, ui};

pub(super) mod compiled;
mod distribution;
mod package;

// Arguments of `larder inspect`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  larder inspect example.com/web
  larder inspect --deep example.com/web     what is compiled into its files, too
  larder inspect example.com/hello          a package: what it requires, asks for and has
  larder inspect example.com/stack          a distribution, and what is from it
  larder inspect example.com/web@1.0 --json")]
pub(crate) struct Args {
    #[arg(help = "NAME[@VERSION|@blake3:DIGEST]")]
    name: Reference,
    /// Read what is compiled into files: Go modules, Rust crates, Python, npm and Java packages
    #[arg(long)]
    deep: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let host = context.host()?;
    let inspection = match inspect::subject(&host, &args.name)? {
        Subject::Image(image) => image,
        Subject::Distribution(found) => return of_distribution(context, &host, &found, args),
        Subject::Package(found) => return of_package(context, &host, &found, args),
    };
    let compiled = if args.deep { Some(deep::inspect(&host.store, &args.name)?) } else { None };
    let own = (&inspection.record.name, &inspection.digest);
    let standings = standings(&host, own, &inspection.packages)?;
    if context.json {
        let mut document = document(&inspection, &standings);
        document["compiled"] = compiled.as_deref().map_or(Value::Null, compiled::document);
        json::print("larder/inspect/v1", document)?;
        return DONE;
    }
    print(&inspection, &standings)?;
    if let Some(compiled) = &compiled {
        compiled::print(compiled)?;
    }
    DONE
}

fn of_package(context: &Context, host: &Host, found: &PackageInspection, args: &Args) -> Result<ExitCode, Failure> {
    let read = || deep::fileset(&host.store, &found.digest, &found.record);
    let compiled = if args.deep { Some(vec![read()?]) } else { None };
    let standings = provenance::standings(&host.store, &host.keys, &[(&found.record.name, &found.digest)])?;
    let (standing, compiled) = (standings.first(), compiled.as_deref());
    if context.json {
        json::print("larder/inspect-package/v1", package::document(found, standing, compiled))?;
    } else {
        package::print(found, standing, compiled)?;
    }
    DONE
}

fn of_distribution(
    context: &Context,
    host: &Host,
    found: &DistributionInspection,
    args: &Args,
) -> Result<ExitCode, Failure> {
    if args.deep {
        let text = format!("--deep reads files, and {} is a distribution, which has none of its own", args.name);
        return Err(Failure::usage(text).hint("leave --deep out, or inspect an image that is from it"));
    }
    let standings = standings(host, (&found.record.name, &found.digest), &found.packages)?;
    if context.json {
        json::print("larder/inspect-distribution/v1", distribution::document(found, &standings))?;
    } else {
        distribution::print(found, &standings)?;
    }
    DONE
}

/// The standing of something, and then those of its packages.
fn standings(host: &Host, own: (&Name, &FileSetDigest), packages: &[PackageLine]) -> Result<Vec<Standing>, Failure> {
    let packages = packages.iter().map(|line| (&line.package.import.name, &line.package.import.fileset));
    let named: Vec<_> = std::iter::once(own).chain(packages).collect();
    Ok(provenance::standings(&host.store, &host.keys, &named)?)
}

fn print(image: &Inspection, standings: &[Standing]) -> Result<(), Failure> {
    let field = |name: &str, value: String| ui::line(format_args!("{:13} {value}", format!("{name}:")));
    field("image", format!("{}@{}", image.record.name, image.record.version))?;
    field("digest", image.digest.to_string())?;
    let signed = standings.first().map(standing_words).unwrap_or_default();
    field("signed", signed.trim_start_matches("signed ").to_owned())?;
    field("architecture", image.record.architecture.clone())?;
    let metadata = &image.metadata;
    if !metadata.from.is_empty() {
        let from: Vec<_> = metadata.from.iter().map(Name::as_str).collect();
        field("from", format!("{}, base {}", from.join(", "), metadata.base))?;
    }
    if !metadata.packages.is_empty() {
        field("asked for", metadata.packages.join(", "))?;
    }
    if !metadata.run.is_empty() {
        field("run", words(&metadata.run))?;
    }
    for (name, value) in
        [("user", &metadata.user), ("workdir", &metadata.workdir), ("stop-signal", &metadata.stop_signal)]
    {
        if let Some(value) = value {
            field(name, value.clone())?;
        }
    }
    for (name, value) in &metadata.env {
        field("env", format!("{name}={value}"))?;
    }
    for (name, value) in &metadata.labels {
        field("label", format!("{name}={value}"))?;
    }
    for asking in &image.asks {
        let consent = Grant::needed(&asking.ask).map(|grant| format!("; needs --allow {grant}")).unwrap_or_default();
        field("asks for", format!("{} ({}{consent})", asking.ask, asking.by.join(", ")))?;
    }
    let own = format!("{}@{}", image.record.name, image.record.version);
    // `run` has its own line.
    for action in image.actions.iter().filter(|one| !(one.by == own && one.action == START)) {
        let open = if action.in_effect { "" } else { "; not used" };
        field("action", format!("{} = {} ({}{open})", action.action, words(&action.command), action.by))?;
    }
    for one in &image.configuration {
        let instead = if one.by == one.of { String::new() } else { format!("; {}'s instead", one.by) };
        field("config file", format!("/{} ({}{instead})", one.path, one.of))?;
    }
    for one in &image.documentation {
        let open = if one.used { "" } else { "; not used" };
        field("documents", format!("{} ({}{open})", one.address, one.by))?;
    }
    field("own files", format!("{} ({})", image.own_files, ui::bytes(image.own_bytes)))?;
    for stand_in in &image.stand_ins {
        field("stand-in", stand_in_line(stand_in))?;
    }
    for special in &image.privileged {
        field("privileged", format!("/{} of {}: {}", special.path, special.package, special.what))?;
    }
    field("packages", format!("{} ({})", image.packages.len(), ui::bytes(image.package_bytes)))?;
    print_packages(&image.packages, standings)
}

/// Lists packages; the first standing is of whose they are.
fn print_packages(packages: &[PackageLine], standings: &[Standing]) -> Result<(), Failure> {
    let mut listing = ui::Listing::new(["  PACKAGE", "VERSION", "SIZE", "SCRIPTS", "SIGNED", "DIGEST"]).right(2);
    for (line, standing) in packages.iter().zip(standings.iter().skip(1)) {
        listing.row([
            format!("  {}", line.package.import.name),
            line.package.import.version.clone(),
            ui::bytes(line.bytes),
            tier_word(line.package.tier()).to_owned(),
            standing.to_string(),
            ui::short(&line.package.import.fileset),
        ]);
    }
    Ok(listing.print()?)
}

/// A command as a shell would need it.
fn words(command: &[String]) -> String {
    let quote = |word: &String| {
        let plain = !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./:=,@%+".contains(&b));
        if plain { word.clone() } else { format!("'{}'", word.replace('\'', r"'\''")) }
    };
    command.iter().map(quote).collect::<Vec<_>>().join(" ")
}

fn document(image: &Inspection, standings: &[Standing]) -> Value {
    let metadata = &image.metadata;
    json!({
        "name": image.record.name.as_str(),
        "version": image.record.version,
        "digest": image.digest.to_string(),
        "architecture": image.record.architecture,
        "time": image.record.time,
        "tree": image.record.tree.to_string(),
        "provenance": standings.first().map(Standing::word),
        "signed": signed_json(standings.first().map(Standing::signers).unwrap_or_default()),
        "from": json::texts(&metadata.from),
        "base": metadata.base,
        "recommends": metadata.recommends,
        "asked": metadata.packages,
        "run": metadata.run,
        "env": metadata.env,
        "user": metadata.user,
        "workdir": metadata.workdir,
        "stop_signal": metadata.stop_signal,
        "labels": metadata.labels,
        "composers": metadata.composers,
        "asks": image.asks.iter().map(|asking| json!({
            "kind": asking.ask.kind(),
            "value": asking.ask.value(),
            "by": asking.by,
            "allow": Grant::needed(&asking.ask).map(|grant| grant.to_string()),
        })).collect::<Vec<_>>(),
        "actions": image.actions.iter().map(|one| json!({
            "action": one.action, "command": one.command, "by": one.by, "used": one.in_effect,
        })).collect::<Vec<_>>(),
        "configuration": image.configuration.iter().map(|one| json!({
            "path": format!("/{}", one.path), "of": one.of, "by": one.by,
        })).collect::<Vec<_>>(),
        "documentation": image.documentation.iter().map(|one| json!({
            "address": one.address, "by": one.by, "used": one.used,
        })).collect::<Vec<_>>(),
        "own_files": image.own_files,
        "own_bytes": image.own_bytes,
        "package_bytes": image.package_bytes,
        "privileged": image.privileged.iter().map(|p| json!({
            "path": format!("/{}", p.path), "package": p.package, "what": p.what,
        })).collect::<Vec<_>>(),
        "stand_ins": stand_ins_json(&image.stand_ins),
        "packages": image.packages.iter().zip(standings.iter().skip(1)).map(package_json).collect::<Vec<_>>(),
    })
}

fn package_json((line, standing): (&PackageLine, &Standing)) -> Value {
    let package = line.package.record.package();
    json!({
        "name": line.package.import.name.as_str(),
        "version": line.package.import.version,
        "digest": line.package.import.fileset.to_string(),
        "bytes": line.bytes,
        "scripts": tier_word(line.package.tier()),
        "refused": super::build::refused(line.package.tier()),
        "provenance": standing.word(),
        "signed": signed_json(standing.signers()),
        "licence": package.and_then(|p| p.licence.clone()),
        "source": package.and_then(|p| p.source.clone()),
        "deb": package.and_then(|p| p.origin.as_ref()).map(|origin| origin.deb.to_string()),
        "rule": package.and_then(|p| p.origin.as_ref()).map(|origin| origin.rule.clone()),
    })
}
