//! Docs never lie.

use std::collections::BTreeSet;
use std::path::Path;

use crate::{files, none, root, text};

#[test]
fn the_map_is_the_land() {
    let page = text(Path::new("docs/architecture.md")).expect("docs/architecture.md");
    let map =
        page.split("## The map").nth(1).expect("a section `## The map`").split("\n## ").next().unwrap_or_default();
    let drawn: BTreeSet<_> = map
        .lines()
        .filter_map(|line| line.strip_prefix("crates/")?.split_whitespace().next())
        .map(str::to_owned)
        .collect();
    let there: BTreeSet<_> = std::fs::read_dir(root().join("crates"))
        .expect("crates/")
        .map(|entry| entry.expect("entry").file_name().into_string().expect("UTF-8"))
        .collect();
    assert_eq!(drawn, there, "the map in docs/architecture.md (left) and crates/ (right) differ");
}

#[test]
fn files_that_the_architecture_names_exist() {
    let page = text(Path::new("docs/architecture.md")).expect("docs/architecture.md");
    let named = page
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| word.starts_with("crates/") && !word.contains(['*', '<', ' ']) && !word.ends_with("foo.rs"));
    let missing = named.filter(|word| !root().join(word).exists());
    none(&missing.map(|word| format!("docs/architecture.md names `{word}`, which isn't there")).collect::<Vec<_>>());
}

#[test]
fn links_lead_somewhere() {
    let mut problems = Vec::new();
    for path in files().into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "md")) {
        let page = text(&path).expect("UTF-8");
        for link in page.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") || target.contains(' ') {
                continue;
            }
            let folder = root().join(path.parent().unwrap_or_else(|| Path::new("")));
            if !folder.join(target).exists() {
                problems.push(format!("{}: the link to {target} leads nowhere", path.display()));
            }
        }
    }
    none(&problems);
}

#[test]
fn every_schema_of_json_output_is_described() {
    let page = text(Path::new("docs/json.md")).expect("docs/json.md");
    let described: BTreeSet<_> =
        page.lines().filter_map(|line| line.strip_prefix("## ")).filter(|title| title.starts_with("larder/")).collect();
    let mut printed = BTreeSet::new();
    let sources: Vec<_> = files()
        .into_iter()
        .filter(|path| path.starts_with("crates/larder/src"))
        .filter_map(|path| text(&path))
        .collect();
    for source in &sources {
        let words = source.split('"').filter(|word| word.starts_with("larder/") && !word.contains(char::is_whitespace));
        printed.extend(words.filter(|word| word.rsplit('/').next().is_some_and(|last| last.starts_with('v'))));
    }
    assert_eq!(described, printed, "docs/json.md describes (left) and `larder` prints (right)");
}

#[test]
fn the_readme_lists_every_page() {
    let readme = text(Path::new("README.md")).expect("README.md");
    let pages =
        files().into_iter().filter(|path| path.starts_with("docs") && path.extension().is_some_and(|e| e == "md"));
    let missing = pages.map(|path| path.display().to_string()).filter(|page| !readme.contains(&format!("]({page})")));
    none(&missing.map(|page| format!("README.md doesn't list {page}")).collect::<Vec<_>>());
}
