//! JSON output: one document on stdout, each with a `schema` that `docs/json.md` describes.

use std::fmt::Display;
use std::io::Write;

use serde_json::{Value, json};

/// Prints a document. Objects get the schema as a field; a list becomes the field `items`.
///
/// # Errors
/// A failure of stdout.
pub(crate) fn print(schema: &str, document: Value) -> std::io::Result<()> {
    let mut object = match document {
        Value::Object(object) => object,
        other => serde_json::Map::from_iter([("items".to_owned(), other)]),
    };
    object.insert("schema".to_owned(), json!(schema));
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &object)?;
    writeln!(out)
}

/// A list of things as their texts.
pub(crate) fn texts<T: Display>(items: &[T]) -> Value {
    items.iter().map(ToString::to_string).collect()
}
