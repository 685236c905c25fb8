//! Who may depend on whom.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use crate::{none, root};

/// The leaves: they know neither each other nor anything above them.
const LEAVES: &[&str] = &["larder-store", "larder-solver", "larder-runtime"];
/// The middle: crates that know the leaves and not each other.
const MIDDLE: &[&str] = &["larder-debian", "larder-repo", "larder-server"];
/// What has no place in the leaves, which are synchronous and know no network, no terminal and no command line.
const NOT_IN_LEAVES: &[&str] = &["anyhow", "clap", "hyper", "indicatif", "openssl", "reqwest", "tokio"];

fn allowed(name: &str) -> BTreeSet<&'static str> {
    let crates: Vec<&[&str]> = match name {
        "larder" => vec![&["larder-lib"]],
        "larder-lib" => vec![MIDDLE, LEAVES],
        name if MIDDLE.contains(&name) => vec![LEAVES],
        _ => vec![],
    };
    crates.into_iter().flatten().copied().collect()
}

fn metadata() -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--no-deps", "--offline", "--locked"])
        .current_dir(root())
        .output()
        .expect("cargo");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn arrows_point_down() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    let mut problems = Vec::new();
    for package in packages {
        let name = package["name"].as_str().expect("name");
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let on = dependency["name"].as_str().expect("name");
            let is_dev = dependency["kind"] == "dev";
            if LEAVES.contains(&name) && NOT_IN_LEAVES.contains(&on) && !is_dev {
                problems.push(format!("{name} depends on {on}: what needs it belongs in a crate above"));
            }
            if !on.starts_with("larder") || allowed(name).contains(on) {
                continue;
            }
            // The kit itself depends on nothing of the house, or a leaf's own tests would see two copies of the leaf.
            if on == "larder-testkit" && is_dev {
                continue;
            }
            problems.push(format!(
                "{name} depends on {on}: DESIGN's arrows are larder -> larder-lib -> the bridge -> store, solver, runtime"
            ));
        }
    }
    none(&problems);
}

#[test]
fn every_crate_is_of_the_house() {
    let metadata = metadata();
    let mut problems = Vec::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("name");
        let folder = root().join("crates").join(name);
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).expect("crates/NAME/Cargo.toml");
        if !manifest.contains("[lints]\nworkspace = true") {
            problems.push(format!("{name}: add [lints] workspace = true"));
        }
        if package["description"].as_str().is_none_or(str::is_empty) {
            problems.push(format!("{name}: say in one line what it is (description)"));
        }
        if ["common", "util", "utils", "types", "core", "misc"].iter().any(|word| name.ends_with(word)) {
            problems.push(format!("{name}: a crate is named after its subject"));
        }
    }
    none(&problems);
}
