//! Every fuzz target has seeds, and its function is called by the tests of every run.

use std::collections::BTreeSet;
use std::path::Path;

use crate::{files, none, root, text};

/// All seeds together, in bytes.
const MAX_SEEDS: u64 = 300 << 10;

#[test]
fn every_fuzz_target_has_seeds_and_is_fed() {
    let manifest = text(Path::new("fuzz/Cargo.toml")).expect("fuzz/Cargo.toml");
    let targets: BTreeSet<String> = manifest
        .split("[[bin]]")
        .skip(1)
        .filter_map(|bin| Some(bin.split_once("name = \"")?.1.split_once('"')?.0.to_owned()))
        .collect();
    let seeds: Vec<_> = files().into_iter().filter(|path| path.starts_with("fuzz/seeds")).collect();
    let seeded: BTreeSet<String> =
        seeds.iter().filter_map(|path| Some(path.iter().nth(2)?.to_str()?.to_owned())).collect();
    let fed: BTreeSet<String> = files()
        .into_iter()
        .filter(|path| path.starts_with("crates") && path.ends_with("fuzzing.rs"))
        .filter_map(|path| text(&path))
        .flat_map(|text| {
            let calls = text.split("feed(\"").skip(1).filter_map(|rest| rest.split('"').next());
            calls.map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    assert!(!targets.is_empty());
    let mut problems = Vec::new();
    for (left, right, problem) in [
        (&targets, &seeded, "put a seed into fuzz/seeds/"),
        (&seeded, &targets, "there is no target for fuzz/seeds/"),
        (&targets, &fed, "call larder_testkit::hostile::feed in the tests of its crate for "),
        (&fed, &targets, "add to fuzz/Cargo.toml the target "),
    ] {
        problems.extend(left.difference(right).map(|target| format!("{problem}{target}")));
    }
    let total: u64 = seeds.iter().map(|path| std::fs::metadata(root().join(path)).expect("metadata").len()).sum();
    if total > MAX_SEEDS {
        problems.push(format!("the seeds have {total} bytes, {MAX_SEEDS} agreed: keep the small ones"));
    }
    none(&problems);
}
