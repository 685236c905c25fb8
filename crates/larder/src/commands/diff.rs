//! `larder diff`

use std::process::ExitCode;

use larder_lib::diff::{self, Change, ImageDiff, PackageState};
use larder_lib::{Entry, Reference, images};
use serde_json::{Value, json};

use crate::cli::Context;
use crate::failure::{DONE, Failure};
use crate::json;
use crate::ui::{self, GREEN, RED, RESET, YELLOW};

// Arguments of `larder diff`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  larder diff example.com/web@1.0 example.com/web@1.1
  larder diff example.com/web@blake3:… example.com/web     an earlier record and the current one")]
pub(crate) struct Args {
    /// The first image
    #[arg(value_name = "A")]
    old: Reference,
    /// The second image
    #[arg(value_name = "B")]
    new: Reference,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let host = context.host()?;
    let old = images::find(&host.store, &args.old)?;
    let new = images::find(&host.store, &args.new)?;
    let diff = diff::diff(&host.store, &old.record, &new.record)?;
    if context.json {
        let mut document = document(&diff);
        document["a"] = json!(old.digest.to_string());
        document["b"] = json!(new.digest.to_string());
        json::print("larder/diff/v1", document)?;
    } else {
        print(&diff)?;
    }
    DONE
}

fn print(diff: &ImageDiff) -> Result<(), Failure> {
    if diff.is_empty() {
        return Ok(ui::line("no difference")?);
    }
    for (name, change) in &diff.packages {
        let text = |state: &PackageState| state.version.clone();
        line(name, change, text)?;
        if let Change::Changed(old, new) = change
            && old.version == new.version
        {
            ui::line(format_args!("    {} -> {}", ui::short(&old.fileset), ui::short(&new.fileset)))?;
        }
    }
    for (name, change) in &diff.declarations {
        line(&format!("declarations of {name}"), change, |state: &PackageState| state.version.clone())?;
    }
    for (path, change) in &diff.files {
        line(&format!("/{path}"), change, |entry| format!("{:04o}", entry.mode()))?;
    }
    for (path, change) in &diff.links {
        line(&format!("link /{path}"), change, |link| format!("{} ({})", link.target, link.package))?;
    }
    for (key, change) in &diff.settings {
        line(key, change, Clone::clone)?;
    }
    Ok(())
}

fn line<T>(name: &str, change: &Change<T>, text: impl Fn(&T) -> String) -> std::io::Result<()> {
    match change {
        Change::Added(new) => ui::line(format_args!("{GREEN}+{RESET} {name} {}", text(new))),
        Change::Removed(old) => ui::line(format_args!("{RED}-{RESET} {name} {}", text(old))),
        Change::Changed(old, new) => {
            let (old, new) = (text(old), text(new));
            if old == new {
                ui::line(format_args!("{YELLOW}~{RESET} {name} {new}, other content"))
            } else {
                ui::line(format_args!("{YELLOW}~{RESET} {name} {old} -> {new}"))
            }
        }
    }
}

fn document(diff: &ImageDiff) -> Value {
    let state = |state: &PackageState| json!({"version": state.version, "digest": state.fileset.to_string()});
    json!({
        "packages": changes(&diff.packages, state),
        "declarations": changes(&diff.declarations, state),
        "files": changes(&diff.files, |entry| {
            let (kind, digest) = match &entry.entry {
                Entry::Directory => ("directory", None),
                Entry::File { digest, .. } => ("file", Some(digest.to_string())),
                Entry::Symlink { .. } => ("symlink", None),
            };
            json!({"kind": kind, "mode": format!("{:04o}", entry.mode()), "digest": digest})
        }),
        "links": changes(&diff.links, |link| json!({"target": link.target, "package": link.package.as_str()})),
        "settings": changes(&diff.settings, |value| json!(value)),
    })
}

fn changes<K: std::fmt::Display, T>(list: &[(K, Change<T>)], value: impl Fn(&T) -> Value) -> Value {
    let one = |(key, change): &(K, Change<T>)| match change {
        Change::Added(new) => json!({"name": key.to_string(), "a": null, "b": value(new)}),
        Change::Removed(old) => json!({"name": key.to_string(), "a": value(old), "b": null}),
        Change::Changed(old, new) => json!({"name": key.to_string(), "a": value(old), "b": value(new)}),
    };
    list.iter().map(one).collect()
}
