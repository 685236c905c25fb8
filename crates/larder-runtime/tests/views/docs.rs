//! The table of exceptions that people read is the one that is tested.

use std::fs;
use std::path::Path;

use larder_runtime::view::{Exception, ViewKindName, by_name};

use crate::fixture::skip;

#[test]
fn the_table_of_exceptions_is_printed() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/views.md");
    let Ok(text) = fs::read_to_string(&page) else {
        return skip("the table of exceptions in docs/views.md", "the page isn't here");
    };
    let names = ViewKindName::ALL.map(ViewKindName::as_str).join(" | ");
    let mut table = vec![format!("| what differs | {names} |"), "|---|---|---|---|---|---|".to_owned()];
    for exception in Exception::ALL {
        let marks =
            ViewKindName::ALL.map(|name| if by_name(name).exceptions().contains(&exception) { "yes" } else { "" });
        assert!(marks.contains(&"yes"), "{exception:?} is nobody's exception");
        table.push(format!("| {} | {} |", exception.as_str(), marks.join(" | ")));
    }
    let table = table.join("\n");
    assert!(text.contains(&table), "docs/views.md doesn't have this table:\n{table}");
}
