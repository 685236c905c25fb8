//! `docs/security.md` names what a container gets and doesn't: compared with the specification that it gets.

use std::collections::BTreeSet;
use std::path::Path;

use larder_runtime::launch::{DEFAULT_CAPABILITIES, SpecOptions, specification};

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/security.md");
    std::fs::read_to_string(path).expect("docs/security.md")
}

/// The words between backticks of a text.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn the_capabilities_are_those_of_the_page() {
    let page = page();
    let table = page.split("| kept | for |").nth(1).expect("the table of capabilities");
    let rows = table.lines().skip(1).take_while(|line| line.trim_start().starts_with('|'));
    let named: BTreeSet<String> =
        rows.flat_map(|row| words(row.split('|').nth(1).unwrap_or_default())).map(str::to_owned).collect();
    let given: BTreeSet<String> =
        DEFAULT_CAPABILITIES.iter().map(|capability| capability.to_string().replace("CAP_", "")).collect();
    assert_eq!(named, given);
}

#[test]
fn the_hidden_and_read_only_paths_are_those_of_the_page() {
    let spec = specification(SpecOptions { args: vec!["true".to_owned()], ..SpecOptions::default() }).expect("a spec");
    let linux = spec.linux().as_ref().expect("linux");
    let page = page();
    let line = page.split("`/proc` is the container's own. Hidden: ").nth(1).expect("the hidden paths");
    let (hidden, rest) = line.split_once(". Read-only: ").expect("the read-only paths");
    let read_only = rest.split_once(".\n").expect("their end").0;
    // After the first path of a folder, its siblings are named alone.
    let paths = |text: &str| {
        let whole = |word: &str| if word.starts_with('/') { word.to_owned() } else { format!("/proc/{word}") };
        words(text).map(whole).collect::<BTreeSet<_>>()
    };
    assert_eq!(paths(hidden), linux.masked_paths().iter().flatten().cloned().collect());
    assert_eq!(paths(read_only), linux.readonly_paths().iter().flatten().cloned().collect());
}
