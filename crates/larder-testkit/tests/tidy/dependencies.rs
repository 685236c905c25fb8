//! Dependencies are chosen, not met.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::{files, none, root, text};

/// How many crates of others may be in the program and its tests: 14 of them come with shuttle, which checks the store's locks in tests
/// alone. Raise it in the commit that needs it, and say why there.
const BUDGET: usize = 386;

/// The crates of others that are built here.
fn dependencies() -> Vec<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--offline", "--locked"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(root())
        .output()
        .expect("cargo");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let nodes = metadata["resolve"]["nodes"].as_array().expect("nodes");
    let used: BTreeSet<_> = nodes.iter().filter_map(|node| node["id"].as_str()).collect();
    let packages = metadata["packages"].as_array().expect("packages").iter();
    let others = packages.filter(|package| !package["source"].is_null());
    others.filter(|package| package["id"].as_str().is_some_and(|id| used.contains(id))).cloned().collect()
}

#[test]
fn there_are_no_more_than_agreed() {
    let count = dependencies().len();
    assert!(count <= BUDGET, "{count} dependencies, {BUDGET} agreed: `cargo tree` says which came in, and with whom");
}

#[test]
fn licences_are_allowed() {
    let rules = text(Path::new("deny.toml")).expect("deny.toml");
    let quoted = |list: &str| list.split('"').skip(1).step_by(2).map(str::to_owned).collect::<BTreeSet<_>>();
    let allowed = rules.split("\nallow = [").nth(1).and_then(|rest| rest.split(']').next()).map(quoted).expect("allow");
    let exceptions = rules.split("\nexceptions = [").nth(1).unwrap_or_default();
    let mut problems = Vec::new();
    for package in dependencies() {
        let (name, licence) =
            (package["name"].as_str().unwrap_or_default(), package["license"].as_str().unwrap_or_default());
        // One of the alternatives must be allowed with all that it joins; `cargo deny` reads the finer points.
        let words = licence.replace(['(', ')'], " ").replace('/', " OR ");
        let mut alternatives = words.split(" OR ").map(|alternative| alternative.split(" AND ").map(str::trim));
        let is_fine = alternatives.any(|mut all| all.all(|one| allowed.contains(one)));
        if !is_fine && !exceptions.contains(&format!("crate = \"{name}\"")) {
            problems.push(format!("{name} is {licence:?}: deny.toml allows none of it"));
        }
    }
    none(&problems);
}

#[test]
fn what_a_manifest_names_is_used() {
    let sources: Vec<_> = files()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|ending| ending == "rs"))
        .filter_map(|path| Some((text(&path)?, path)))
        .collect();
    let mut problems = Vec::new();
    for manifest in files().into_iter().filter(|path| path.starts_with("crates") && path.ends_with("Cargo.toml")) {
        let folder = manifest.parent().unwrap_or_else(|| Path::new(""));
        let manifest_text = text(&manifest).expect("UTF-8");
        let (mut section, mut named) = ("", Vec::new());
        for line in manifest_text.lines() {
            if line.starts_with('[') {
                section = line;
            } else if let Some((name, _)) = line.split_once(['.', ' ']).filter(|_| section.ends_with("dependencies]")) {
                named.push((name, section == "[dependencies]"));
            }
        }
        for (name, in_source) in named {
            let place = if in_source { folder.join("src") } else { folder.to_owned() };
            let word = name.replace('-', "_");
            let is_word = |text: &str| text.split(|c: char| c != '_' && !c.is_alphanumeric()).any(|part| part == word);
            if !sources.iter().any(|(text, path)| path.starts_with(&place) && is_word(text)) {
                problems.push(format!("{}: {name} isn't used below {}", manifest.display(), place.display()));
            }
        }
    }
    none(&problems);
}
