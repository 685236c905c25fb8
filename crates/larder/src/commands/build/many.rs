//! `larder build` of several recipes: each in a process of its own, because a process runs one container at a time.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Output, Stdio};
use std::sync::mpsc;
use std::thread;

use larder_lib::package;
use larder_lib::recipe::Document;
use serde_json::{Value, json};

use super::Args;
use crate::cli::Context;
use crate::failure::{DONE, Failure};
use crate::json;

/// Builds recipes in an order in which each finds what it needs. After the first failure nothing more is begun.
pub(super) fn run(context: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let documents: Vec<(PathBuf, Document)> = args
        .recipes
        .iter()
        .map(|path| Ok((path.clone(), Document::load(path)?)))
        .collect::<Result<_, _>>()
        .map_err(|error: larder_lib::recipe::RecipeError| larder_lib::Error::from(error))?;
    let needs = package::order(&documents)?;
    let program =
        std::env::current_exe().map_err(|error| Failure::plain(format!("can't find larder's own program: {error}")))?;

    let count = documents.len();
    let mut waiting: BTreeSet<usize> = (0..count).collect();
    let mut built: Vec<Option<Value>> = vec![None; count];
    let mut failed: Vec<usize> = Vec::new();
    let mut running = 0;
    let (sender, receiver) = mpsc::channel::<(usize, std::io::Result<Output>)>();
    loop {
        let ready: Vec<usize> = waiting
            .iter()
            .copied()
            .filter(|&number| needs[number].iter().all(|&needed| built[needed].is_some()))
            .take(if failed.is_empty() { args.jobs.get() - running } else { 0 })
            .collect();
        for number in ready {
            waiting.remove(&number);
            running += 1;
            let mut command = command(context, args, &program, &documents[number].0);
            let sender = sender.clone();
            // It ends when the process ends; the receiver outlives it.
            thread::spawn(move || sender.send((number, command.output())));
        }
        if running == 0 {
            break;
        }
        let Ok((number, output)) = receiver.recv() else { break };
        running -= 1;
        let output = output.map_err(|error| Failure::plain(format!("can't start {}: {error}", program.display())))?;
        match tell(context, &output)? {
            Some(document) if output.status.success() => built[number] = Some(document),
            _ => failed.push(number),
        }
    }
    if let Some(&first) = failed.first() {
        let left = if waiting.is_empty() { String::new() } else { format!("; {} weren't begun", waiting.len()) };
        let name = documents[first].0.display();
        return Err(Failure::plain(format!("{} of {count} builds failed, the first of {name}{left}", failed.len())));
    }
    if context.json {
        let of = |(path, _): &(PathBuf, Document)| path.display().to_string();
        let builds = documents.iter().map(of).zip(&built);
        let builds: Vec<_> = builds.map(|(recipe, document)| json!({"recipe": recipe, "document": document})).collect();
        json::print("larder/builds/v1", json!({ "builds": builds }))?;
    }
    DONE
}

fn command(context: &Context, args: &Args, program: &std::path::Path, recipe: &std::path::Path) -> Command {
    let mut command = Command::new(program);
    let paths = [("--root", &context.root), ("--config", &context.config)];
    for (flag, path) in paths.into_iter().filter_map(|(flag, path)| Some((flag, path.as_ref()?))) {
        command.arg(flag).arg(path);
    }
    let flags = [
        ("--json", context.json),
        ("--quiet", context.quiet),
        ("--locked", args.locked),
        ("--check", args.check),
        ("--verbose", args.verbose),
    ];
    command.arg("build").args(flags.into_iter().filter(|(_, on)| *on).map(|(flag, _)| flag));
    command.arg("--").arg(recipe).stdin(Stdio::null());
    command
}

/// Hands on what a build said, and gives its document.
fn tell(context: &Context, output: &Output) -> Result<Option<Value>, Failure> {
    // A closed stderr leaves nobody to tell.
    let _ = std::io::stderr().lock().write_all(&output.stderr);
    if context.json {
        return Ok(serde_json::from_slice(&output.stdout).ok());
    }
    std::io::stdout().lock().write_all(&output.stdout)?;
    Ok(Some(Value::Null))
}
