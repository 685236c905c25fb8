//! Reading and writing the members of a record's objects.
//!
//! A member that holds its default (nothing, `false`, an empty list or text) is absent. A path that is not UTF-8 stands
//! under its key and `_b64`.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use thiserror::Error;

use super::install::NO_ID;
use crate::json::{JsonError, Value};
use crate::{TreePath, base64};

/// Why bytes are not a FileSet record.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RecordError {
    /// They aren't canonical JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// They are of another or a later format.
    #[error("the record's schema is {found:?}; this version of Larder reads {expected:?}")]
    Schema {
        /// What the record says.
        found: String,
        /// What is known here.
        expected: &'static str,
    },
    /// A member that must be there.
    #[error("the record has no {field}")]
    Missing {
        /// Which one, such as `imports[2].name`.
        field: String,
    },
    /// A member that this version doesn't know.
    #[error("the record has an unknown member {field}")]
    Unknown {
        /// Which one.
        field: String,
    },
    /// A member that holds something else than it should.
    #[error("the record's {field} is wrong: {reason}")]
    Field {
        /// Which one.
        field: String,
        /// What is wrong.
        reason: String,
    },
    /// A record that says the same in another way than the canonical one.
    #[error("the record is not canonical at byte {position}: a default is written out, or a set is not sorted")]
    NotCanonical {
        /// Offset of the first byte that differs.
        position: usize,
    },
}

/// The members of an object that is being read; what is left at the end is unknown.
pub(super) struct Fields {
    at: String,
    members: BTreeMap<String, Value>,
}

pub(super) type Read<T> = Result<T, RecordError>;

impl Fields {
    /// The members of a value that must be an object; `at` is its path in the record, empty at the top.
    pub(super) fn new(at: String, value: Value) -> Read<Self> {
        match value {
            Value::Object(members) => Ok(Self { at, members }),
            _ => Err(RecordError::Field { field: at, reason: "it must be an object".to_owned() }),
        }
    }

    pub(super) fn field(&self, key: &str) -> String {
        if self.at.is_empty() { key.to_owned() } else { format!("{}.{key}", self.at) }
    }

    pub(super) fn wrong(&self, key: &str, reason: impl Display) -> RecordError {
        RecordError::Field { field: self.field(key), reason: reason.to_string() }
    }

    fn missing(&self, key: &str) -> RecordError {
        RecordError::Missing { field: self.field(key) }
    }

    /// Ends the reading.
    pub(super) fn end(self) -> Read<()> {
        match self.members.keys().next() {
            None => Ok(()),
            Some(key) => Err(RecordError::Unknown { field: self.field(key) }),
        }
    }

    pub(super) fn text_if(&mut self, key: &str) -> Read<Option<String>> {
        match self.members.remove(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(key, "it must be a string")),
        }
    }

    /// Whether a member is there and a string.
    pub(super) fn is_text(&self, key: &str) -> bool {
        matches!(self.members.get(key), Some(Value::String(_)))
    }

    pub(super) fn text(&mut self, key: &str) -> Read<String> {
        self.text_if(key)?.ok_or_else(|| self.missing(key))
    }

    pub(super) fn text_or_empty(&mut self, key: &str) -> Read<String> {
        Ok(self.text_if(key)?.unwrap_or_default())
    }

    pub(super) fn parsed<T: FromStr<Err: Display>>(&mut self, key: &str) -> Read<T> {
        self.text(key)?.parse().map_err(|e| self.wrong(key, e))
    }

    pub(super) fn parsed_if<T: FromStr<Err: Display>>(&mut self, key: &str) -> Read<Option<T>> {
        let text = self.text_if(key)?;
        text.map(|text| text.parse().map_err(|e| self.wrong(key, e))).transpose()
    }

    pub(super) fn flag(&mut self, key: &str) -> Read<bool> {
        match self.members.remove(key) {
            None => Ok(false),
            Some(Value::Bool(value)) => Ok(value),
            Some(_) => Err(self.wrong(key, "it must be true, or absent")),
        }
    }

    pub(super) fn integer_if(&mut self, key: &str) -> Read<Option<u64>> {
        match self.members.remove(key) {
            None => Ok(None),
            Some(Value::Integer(number)) => u64::try_from(number).map(Some).map_err(|e| self.wrong(key, e)),
            Some(_) => Err(self.wrong(key, "it must be an integer")),
        }
    }

    pub(super) fn integer(&mut self, key: &str) -> Read<u64> {
        self.integer_if(key)?.ok_or_else(|| self.missing(key))
    }

    /// A number of a user or group.
    pub(super) fn id_if(&mut self, key: &str) -> Read<Option<u32>> {
        let Some(number) = self.integer_if(key)? else { return Ok(None) };
        match u32::try_from(number) {
            Ok(number) if number != NO_ID => Ok(Some(number)),
            _ => Err(self.wrong(key, "it is beyond 2^32-2")),
        }
    }

    pub(super) fn path(&mut self, key: &str) -> Read<TreePath> {
        let key_b64 = format!("{key}_b64");
        let bytes = match (self.text_if(key)?, self.text_if(&key_b64)?) {
            (Some(text), None) => text.into_bytes(),
            (None, Some(text)) => base64::decode(&text).ok_or_else(|| self.wrong(&key_b64, "it is not base64"))?,
            (None, None) => return Err(self.missing(key)),
            (Some(_), Some(_)) => return Err(self.wrong(&key_b64, "the path stands there already in plain text")),
        };
        TreePath::new(bytes).map_err(|e| self.wrong(key, e))
    }

    fn items(&mut self, key: &str) -> Read<Vec<Value>> {
        match self.members.remove(key) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => Ok(items),
            Some(_) => Err(self.wrong(key, "it must be an array")),
        }
    }

    pub(super) fn texts(&mut self, key: &str) -> Read<Vec<String>> {
        let mut texts = Vec::new();
        for item in self.items(key)? {
            match item {
                Value::String(text) => texts.push(text),
                _ => return Err(self.wrong(key, "all its items must be strings")),
            }
        }
        Ok(texts)
    }

    /// Reads each object of an array.
    pub(super) fn objects<T>(&mut self, key: &str, read: fn(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        let items = self.items(key)?;
        let mut values = Vec::new();
        for (i, item) in items.into_iter().enumerate() {
            let mut fields = Self::new(format!("{}[{i}]", self.field(key)), item)?;
            values.push(read(&mut fields)?);
            fields.end()?;
        }
        Ok(values)
    }

    /// Reads an object; an absent one is an empty one.
    pub(super) fn object<T>(&mut self, key: &str, read: fn(&mut Self) -> Read<T>) -> Read<T> {
        let value = self.members.remove(key).unwrap_or_else(|| Value::Object(BTreeMap::new()));
        let mut fields = Self::new(self.field(key), value)?;
        let value = read(&mut fields)?;
        fields.end()?;
        Ok(value)
    }

    /// Reads an object whose keys are free.
    pub(super) fn map<T>(&mut self, key: &str, read: fn(&mut Self, &str) -> Read<T>) -> Read<BTreeMap<String, T>> {
        let Some(value) = self.members.remove(key) else { return Ok(BTreeMap::new()) };
        let mut fields = Self::new(self.field(key), value)?;
        let keys: Vec<String> = fields.members.keys().cloned().collect();
        keys.into_iter().map(|key| Ok((key.clone(), read(&mut fields, &key)?))).collect()
    }
}

/// The members of an object that is being written.
#[derive(Default)]
pub(super) struct Members(BTreeMap<String, Value>);

impl Members {
    pub(super) fn into_value(self) -> Value {
        Value::Object(self.0)
    }

    pub(super) fn put(&mut self, key: &str, value: impl Into<Value>) {
        self.0.insert(key.to_owned(), value.into());
    }

    pub(super) fn text_if(&mut self, key: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.put(key, text);
        }
    }

    pub(super) fn text_or_empty(&mut self, key: &str, text: &str) {
        self.text_if(key, Some(text).filter(|text| !text.is_empty()));
    }

    pub(super) fn flag(&mut self, key: &str, value: bool) {
        if value {
            self.put(key, true);
        }
    }

    /// A number up to 2^53-1; the decoder refuses what is beyond.
    pub(super) fn integer(&mut self, key: &str, number: u64) {
        self.put(key, Value::Integer(i64::try_from(number).unwrap_or(i64::MAX)));
    }

    pub(super) fn id_if(&mut self, key: &str, number: Option<u32>) {
        if let Some(number) = number {
            self.integer(key, number.into());
        }
    }

    pub(super) fn path(&mut self, key: &str, path: &TreePath) {
        match str::from_utf8(path.as_bytes()) {
            Ok(text) => self.put(key, text),
            Err(_) => self.put(&format!("{key}_b64"), base64::encode(path.as_bytes())),
        }
    }

    pub(super) fn texts(&mut self, key: &str, texts: &[String]) {
        if !texts.is_empty() {
            self.put(key, texts.iter().map(String::as_str).collect::<Value>());
        }
    }

    /// A set: sorted, each item once.
    pub(super) fn text_set(&mut self, key: &str, texts: &[String]) {
        let mut sorted = texts.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        self.texts(key, &sorted);
    }

    /// A set of objects: sorted, each item once.
    pub(super) fn object_set<T: Ord>(&mut self, key: &str, items: &[T], write: fn(&T, &mut Self)) {
        let mut sorted: Vec<&T> = items.iter().collect();
        sorted.sort_unstable();
        sorted.dedup();
        let objects = sorted.into_iter().map(|item| {
            let mut members = Self::default();
            write(item, &mut members);
            members.into_value()
        });
        if !items.is_empty() {
            self.put(key, objects.collect::<Value>());
        }
    }

    /// An object, absent where it is empty.
    pub(super) fn object(&mut self, key: &str, members: Self) {
        if !members.0.is_empty() {
            self.put(key, members.into_value());
        }
    }

    /// An object whose keys are free.
    pub(super) fn map<T>(&mut self, key: &str, map: &BTreeMap<String, T>, write: fn(&mut Self, &str, &T)) {
        let mut members = Self::default();
        for (key, value) in map {
            write(&mut members, key, value);
        }
        self.object(key, members);
    }
}
