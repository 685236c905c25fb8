//! Reading and writing the members of a record's objects.
//!
//! A member that holds its default (nothing, `false`, an empty list or text) is absent. A path that is not UTF-8 stands
//! under its key and `_b64`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use thiserror::Error;

use super::install::NO_ID;
use crate::json::{self, JsonError, Value};
use crate::{TreePath, base64};

/// Stands behind the key of a path that is not UTF-8.
const B64: &str = "_b64";

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

impl RecordError {
    /// The same of a value that stands in another: under a key, or at `[i]` of an array.
    fn within(self, outer: &str) -> Self {
        let inside = |field: String| match field.as_str() {
            "" => outer.to_owned(),
            inner if inner.starts_with('[') => [outer, inner].concat(),
            inner => [outer, ".", inner].concat(),
        };
        match self {
            Self::Missing { field } => Self::Missing { field: inside(field) },
            Self::Unknown { field } => Self::Unknown { field: inside(field) },
            Self::Field { field, reason } => Self::Field { field: inside(field), reason },
            Self::Json(_) | Self::Schema { .. } | Self::NotCanonical { .. } => self,
        }
    }
}

/// The members of an object that is being read; what is left at the end is unknown. An error names a member as it is called in
/// its object; whoever reads the object within another says where that is.
pub(super) struct Fields {
    members: BTreeMap<String, Value>,
}

pub(super) type Read<T> = Result<T, RecordError>;

impl Fields {
    /// The members of a value that must be an object.
    pub(super) fn new(value: Value) -> Read<Self> {
        match value {
            Value::Object(members) => Ok(Self { members }),
            _ => Err(RecordError::Field { field: String::new(), reason: "it must be an object".to_owned() }),
        }
    }

    /// Reads an object to its end.
    fn whole<T>(value: Value, read: fn(&mut Self) -> Read<T>) -> Read<T> {
        let mut fields = Self::new(value)?;
        let value = read(&mut fields)?;
        fields.end()?;
        Ok(value)
    }

    #[expect(clippy::unused_self, reason = "what is wrong is wrong of an object that is being read")]
    pub(super) fn wrong(&self, key: &str, reason: impl Display) -> RecordError {
        RecordError::Field { field: key.to_owned(), reason: reason.to_string() }
    }

    /// Ends the reading.
    pub(super) fn end(self) -> Read<()> {
        match self.members.keys().next() {
            None => Ok(()),
            Some(key) => Err(RecordError::Unknown { field: key.clone() }),
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
        self.text_if(key)?.ok_or_else(|| missing(key))
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
        self.integer_if(key)?.ok_or_else(|| missing(key))
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
        let key_b64 = [key, B64].concat();
        let bytes = match (self.text_if(key)?, self.text_if(&key_b64)?) {
            (Some(text), None) => text.into_bytes(),
            (None, Some(text)) => base64::decode(&text).ok_or_else(|| self.wrong(&key_b64, "it is not base64"))?,
            (None, None) => return Err(missing(key)),
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
        let items = self.items(key)?.into_iter().enumerate();
        let one = |(i, item)| Self::whole(item, read).map_err(|e| e.within(&format!("[{i}]")).within(key));
        items.map(one).collect()
    }

    /// Reads an object; an absent one is an empty one.
    pub(super) fn object<T>(&mut self, key: &str, read: fn(&mut Self) -> Read<T>) -> Read<T> {
        let value = self.members.remove(key).unwrap_or_else(|| Value::Object(BTreeMap::new()));
        Self::whole(value, read).map_err(|e| e.within(key))
    }

    /// Reads an object whose keys are free.
    pub(super) fn map<T>(&mut self, key: &str, read: fn(&mut Self, &str) -> Read<T>) -> Read<BTreeMap<String, T>> {
        let Some(value) = self.members.remove(key) else { return Ok(BTreeMap::new()) };
        let each = |value| -> Read<_> {
            let mut fields = Self::new(value)?;
            let keys: Vec<String> = fields.members.keys().cloned().collect();
            keys.into_iter().map(|key| Ok((key.clone(), read(&mut fields, &key)?))).collect()
        };
        each(value).map_err(|e| e.within(key))
    }
}

fn missing(key: &str) -> RecordError {
    RecordError::Missing { field: key.to_owned() }
}

/// The key of a member: most are known when the program is compiled.
type Key = Cow<'static, str>;

/// The members of an object that is being written. They are encoded as they come, so that no value is built in between:
/// reading a record writes it again, to see that it is canonical.
#[derive(Default)]
pub(super) struct Members {
    /// The members' texts, one after the other.
    text: Vec<u8>,
    /// Their keys, and where each one's text ends.
    ends: Vec<(Key, usize)>,
}

impl Members {
    /// The object's canonical bytes.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.text.len() + self.ends.len() + 2);
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut Vec<u8>) {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|(_, end)| *end));
        let texts = self.ends.iter().zip(starts).map(|((key, end), start)| (key, &self.text[start..*end]));
        if self.ends.is_sorted_by(|(a, _), (b, _)| json::order(a, b).is_lt()) {
            return list(out, *b"{}", texts.map(|(_, text)| text));
        }
        let mut sorted: Vec<_> = texts.collect();
        sorted.sort_by(|(a, _), (b, _)| json::order(a, b));
        list(out, *b"{}", sorted.into_iter().map(|(_, text)| text));
    }

    fn member(&mut self, key: impl Into<Key>, write: impl FnOnce(&mut Vec<u8>)) {
        let key = key.into();
        json::write_string(&mut self.text, &key);
        self.text.push(b':');
        write(&mut self.text);
        self.ends.push((key, self.text.len()));
    }

    pub(super) fn put(&mut self, key: impl Into<Key>, text: &str) {
        self.member(key, |out| json::write_string(out, text));
    }

    /// A digest, a version, a number that may be negative: what has a text.
    pub(super) fn display(&mut self, key: impl Into<Key>, value: impl Display) {
        self.put(key, &value.to_string());
    }

    pub(super) fn text_if(&mut self, key: impl Into<Key>, text: Option<&str>) {
        if let Some(text) = text {
            self.put(key, text);
        }
    }

    pub(super) fn text_or_empty(&mut self, key: impl Into<Key>, text: &str) {
        self.text_if(key, Some(text).filter(|text| !text.is_empty()));
    }

    pub(super) fn flag(&mut self, key: impl Into<Key>, value: bool) {
        if value {
            self.member(key, |out| out.extend(b"true"));
        }
    }

    /// A number up to 2^53-1; the decoder refuses what is beyond.
    pub(super) fn integer(&mut self, key: impl Into<Key>, number: u64) {
        self.member(key, |out| out.extend(number.to_string().bytes()));
    }

    pub(super) fn id_if(&mut self, key: impl Into<Key>, number: Option<u32>) {
        if let Some(number) = number {
            self.integer(key, number.into());
        }
    }

    pub(super) fn path(&mut self, key: &'static str, path: &TreePath) {
        match str::from_utf8(path.as_bytes()) {
            Ok(text) => self.put(key, text),
            Err(_) => self.put([key, B64].concat(), &base64::encode(path.as_bytes())),
        }
    }

    pub(super) fn texts<'t>(&mut self, key: impl Into<Key>, texts: impl IntoIterator<Item = &'t String>) {
        let mut texts = texts.into_iter().peekable();
        if texts.peek().is_some() {
            self.member(key, |out| each(out, *b"[]", texts, |out, text| json::write_string(out, text)));
        }
    }

    /// A set: sorted, each item once.
    pub(super) fn text_set(&mut self, key: impl Into<Key>, texts: &[String]) {
        self.texts(key, set(texts));
    }

    /// A set of objects: sorted, each item once.
    pub(super) fn object_set<T: Ord>(&mut self, key: impl Into<Key>, items: &[T], write: fn(&T, &mut Self)) {
        if items.is_empty() {
            return;
        }
        let mut members = Self::default();
        self.member(key, |out| {
            each(out, *b"[]", set(items).into_iter(), |out, item| {
                members.text.clear();
                members.ends.clear();
                write(item, &mut members);
                members.write(out);
            });
        });
    }

    /// An object, absent where it is empty.
    pub(super) fn object(&mut self, key: impl Into<Key>, members: Self) {
        if !members.ends.is_empty() {
            self.member(key, |out| members.write(out));
        }
    }

    /// An object whose keys are free.
    pub(super) fn map<T>(&mut self, key: impl Into<Key>, map: &BTreeMap<String, T>, write: fn(&mut Self, String, &T)) {
        let mut members = Self::default();
        for (key, value) in map {
            write(&mut members, key.clone(), value);
        }
        self.object(key, members);
    }
}

fn set<T: Ord>(items: &[T]) -> Vec<&T> {
    let mut sorted: Vec<&T> = items.iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    sorted
}

/// Writes items between brackets.
fn each<T>(
    out: &mut Vec<u8>,
    [open, close]: [u8; 2],
    items: impl Iterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(open);
    for (i, item) in items.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(close);
}

fn list<'t>(out: &mut Vec<u8>, brackets: [u8; 2], texts: impl Iterator<Item = &'t [u8]>) {
    each(out, brackets, texts, |out, text| out.extend_from_slice(text));
}
