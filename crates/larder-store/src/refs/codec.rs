//! A ref's bytes.

use super::{RefEntry, RefRecord};
use crate::json::{self, Value};

/// The `schema` member of a ref.
const SCHEMA: &str = "larder/ref/v1";

pub(crate) fn encode(record: &RefRecord) -> Vec<u8> {
    let entry = |entry: &RefEntry| {
        Value::object([
            ("action", entry.action.as_str().into()),
            ("at", integer(entry.at)),
            ("fileset", entry.fileset.to_string().into()),
            ("version", entry.version.as_str().into()),
        ])
    };
    let entries: Value = record.entries.iter().map(entry).collect();
    json::encode(&Value::object([
        ("current", integer(record.current as u64)),
        ("entries", entries),
        ("schema", SCHEMA.into()),
    ]))
}

fn integer(number: u64) -> Value {
    Value::Integer(i64::try_from(number).unwrap_or(json::MAX_INTEGER).min(json::MAX_INTEGER))
}

pub(crate) fn decode(bytes: &[u8]) -> Result<RefRecord, String> {
    let value = json::decode(bytes).map_err(|e| e.to_string())?;
    let record = read(&value).ok_or("it is not a ref of this version")?;
    if record.current >= record.entries.len() {
        return Err("its current entry does not exist".to_owned());
    }
    if encode(&record) != bytes {
        return Err("it has an unknown member".to_owned());
    }
    Ok(record)
}

fn read(value: &Value) -> Option<RefRecord> {
    if value.get("schema")?.as_str()? != SCHEMA {
        return None;
    }
    let Value::Array(entries) = value.get("entries")? else { return None };
    let entries = entries.iter().map(|entry| {
        Some(RefEntry {
            version: entry.get("version")?.as_str()?.to_owned(),
            fileset: entry.get("fileset")?.as_str()?.parse().ok()?,
            at: number(entry.get("at")?)?,
            action: entry.get("action")?.as_str()?.to_owned(),
        })
    });
    Some(RefRecord {
        entries: entries.collect::<Option<_>>()?,
        current: usize::try_from(number(value.get("current")?)?).ok()?,
    })
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Integer(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}
