//! A reading as it is kept.

use larder_store::TreePath;
use larder_store::json::Value;

use super::{Component, Ecosystem, Reading, Unread};

/// Files are in the order of their paths, which need not be UTF-8: each is a list of its bytes' text or, where that is none, of hexadecimal
/// digits behind a NUL, which no path has.
pub(super) fn encode(reading: &Reading) -> Value {
    let optional = |text: &Option<String>| text.as_deref().map_or(Value::Null, Value::from);
    let components = reading.components.iter().map(|component| {
        Value::Array(vec![
            path_text(&component.file),
            optional(&component.inside),
            component.ecosystem.as_str().into(),
            component.name.as_str().into(),
            optional(&component.version),
        ])
    });
    let unread =
        reading.unread.iter().map(|unread| Value::Array(vec![path_text(&unread.file), unread.reason.as_str().into()]));
    Value::object([("components", Value::Array(components.collect())), ("unread", Value::Array(unread.collect()))])
}

/// The reading; none where it isn't one.
pub(super) fn decode(value: &Value) -> Option<Reading> {
    let list = |key: &str| match value.get(key) {
        Some(Value::Array(items)) => Some(items),
        _ => None,
    };
    let component = |item: &Value| {
        let Value::Array(fields) = item else { return None };
        let [file, inside, ecosystem, name, version] = fields.as_slice() else { return None };
        let word = ecosystem.as_str()?;
        Some(Component {
            file: path(file)?,
            inside: optional(inside)?,
            ecosystem: Ecosystem::ALL.into_iter().find(|ecosystem| ecosystem.as_str() == word)?,
            name: name.as_str()?.to_owned(),
            version: optional(version)?,
        })
    };
    let unread = |item: &Value| {
        let Value::Array(fields) = item else { return None };
        let [file, reason] = fields.as_slice() else { return None };
        Some(Unread { file: path(file)?, reason: reason.as_str()?.to_owned() })
    };
    Some(Reading {
        components: list("components")?.iter().map(component).collect::<Option<_>>()?,
        unread: list("unread")?.iter().map(unread).collect::<Option<_>>()?,
    })
}

fn path_text(path: &TreePath) -> Value {
    match std::str::from_utf8(path.as_bytes()) {
        Ok(text) => text.into(),
        Err(_) => path.as_bytes().iter().fold("\0".to_owned(), |text, byte| text + &format!("{byte:02x}")).into(),
    }
}

fn path(value: &Value) -> Option<TreePath> {
    let text = value.as_str()?;
    let Some(digits) = text.strip_prefix('\0') else { return TreePath::try_from(text).ok() };
    let bytes = digits.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    TreePath::new(bytes.collect::<Option<Vec<_>>>()?).ok()
}

fn optional(value: &Value) -> Option<Option<String>> {
    match value {
        Value::Null => Some(None),
        other => Some(Some(other.as_str()?.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back() {
        let file = |path: &[u8]| TreePath::new(path).expect("path");
        let component = |path: &[u8], inside: Option<&str>, version: Option<&str>| Component {
            file: file(path),
            inside: inside.map(str::to_owned),
            ecosystem: Ecosystem::Java,
            name: "a:b".to_owned(),
            version: version.map(str::to_owned),
        };
        let reading = Reading {
            components: vec![component(b"a.jar", Some("b.jar"), None), component(b"\xff.jar", None, Some("1"))],
            unread: vec![Unread { file: file(b"c.jar"), reason: "it is broken".to_owned() }],
        };
        assert_eq!(decode(&encode(&reading)), Some(reading));
        assert_eq!(decode(&Value::Null), None);
    }
}
