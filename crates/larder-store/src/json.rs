//! Canonical JSON: the subset of RFC 8785 that records and statements use.
//!
//! Integers from 0 to 2^53-1 are the only numbers. Keys are sorted by their UTF-16 code units, and nothing is written
//! that needn't be: no white space, and in strings only the escapes that RFC 8785 (section 3.2.2.2) prescribes. The decoder
//! accepts exactly what [`encode`] returns, so that a text and its value stand for each other.

use std::collections::BTreeMap;

use thiserror::Error;

mod decode;
mod encode;

pub use decode::decode;
pub use encode::encode;
pub(crate) use encode::{order, write_string};

/// The largest integer.
pub const MAX_INTEGER: i64 = (1 << 53) - 1;
/// The deepest nesting of arrays and objects.
pub const MAX_DEPTH: usize = 32;
/// The longest text, in bytes.
pub const MAX_BYTES: usize = 16 << 20;

/// A value. Objects are ordered by the UTF-8 bytes of their keys here and by UTF-16 code units when written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// 0 to 2^53-1.
    Integer(i64),
    /// Any Unicode text.
    String(String),
    /// Values in order.
    Array(Vec<Self>),
    /// Values by key.
    Object(BTreeMap<String, Self>),
}

impl Value {
    /// An object of the given members; of equal keys the last counts.
    pub fn object<K: Into<String>>(members: impl IntoIterator<Item = (K, Self)>) -> Self {
        Self::Object(members.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }

    /// The text, where it is a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// A member's value, where this is an object that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.get(key),
            _ => None,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl<T: Into<Self>> FromIterator<T> for Value {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self::Array(items.into_iter().map(Into::into).collect())
    }
}

/// How many bytes stand in a string as they are: up to the first quotation mark, backslash or control character.
fn plain(bytes: &[u8]) -> usize {
    // Eight at a time: records and statements are kilobytes of texts in which there is none of these.
    const EACH: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = EACH << 7;
    // Whether one of eight bytes is less than a number up to 128.
    let less = |eight: u64, than: u64| eight.wrapping_sub(EACH * than) & !eight & HIGH != 0;
    let is_plain = |eight: &[u8; 8]| {
        let eight = u64::from_le_bytes(*eight);
        let has = |byte: u8| less(eight ^ (EACH * u64::from(byte)), 1);
        !less(eight, 0x20) && !has(b'"') && !has(b'\\')
    };
    let (eights, _) = bytes.as_chunks::<8>();
    let whole = eights.iter().take_while(|eight| is_plain(eight)).count() * 8;
    let ends = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
    whole + bytes[whole..].iter().position(ends).unwrap_or(bytes.len() - whole)
}

/// Why bytes are not canonical JSON.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not canonical JSON at byte {position}: {reason}")]
pub struct JsonError {
    /// Offset of the first wrong byte.
    pub position: usize,
    /// The rule that is broken.
    pub reason: &'static str,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn writes_as_rfc_8785_does() {
        let value = Value::object([
            ("\u{20ac}", Value::from("Euro Sign")),
            ("\r", Value::from("Carriage Return")),
            ("\u{fb33}", Value::from("Hebrew Letter Dalet With Dagesh")),
            ("1", Value::from("One")),
            ("\u{1f600}", Value::from("Emoji: Grinning Face")),
            ("\u{80}", Value::from("Control")),
            ("\u{f6}", Value::from("Latin Small Letter O With Diaeresis")),
        ]);
        // The order of RFC 8785, section 3.2.3: the emoji's surrogates come before U+FB33.
        let expected = "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u{80}\":\"Control\",\"ö\":\"Latin Small Letter O With \
                        Diaeresis\",\"€\":\"Euro Sign\",\"😀\":\"Emoji: Grinning Face\",\"\u{fb33}\":\"Hebrew Letter Dalet With \
                        Dagesh\"}";
        assert_eq!(String::from_utf8(encode(&value)).expect("UTF-8"), expected);
        assert_eq!(decode(expected.as_bytes()), Ok(value));
        let escapes = Value::from("\u{0}\u{8}\t\n\u{b}\u{c}\r\u{1f}\"\\/\u{7f}é");
        let expected = "\"\\u0000\\b\\t\\n\\u000b\\f\\r\\u001f\\\"\\\\/\u{7f}é\"";
        assert_eq!(String::from_utf8(encode(&escapes)).expect("UTF-8"), expected);
        assert_eq!(decode(expected.as_bytes()), Ok(escapes));
    }

    #[test]
    fn rejects_what_it_would_not_write() {
        let deep = "[".repeat(33) + &"]".repeat(33);
        let bad = [
            "",
            " ",
            "1 ",
            " 1",
            "-1",
            "-0",
            "01",
            "1.0",
            "1e3",
            "1E3",
            "9007199254740992",
            "99999999999999999999",
            "+1",
            ".5",
            "nul",
            "nullx",
            "True",
            "NaN",
            "\"",
            "\"a",
            "\"\\/\"",
            "\"\\u0041\"",
            "\"\\u000A\"",
            "\"\\u000a\"",
            "\"\\u001F\"",
            "\"\\ud83d\\ude00\"",
            "\"\\ud83d\"",
            "\"\\x\"",
            "\"\t\"",
            "\"\\",
            "\"\\u00",
            "[",
            "[1",
            "[1,",
            "[1,]",
            "[,1]",
            "[1 ,2]",
            "[1, 2]",
            "{",
            "{}x",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\":1,\"a\":1}",
            "{\"b\":1,\"a\":1}",
            "{\"a\": 1}",
            "{a:1}",
            "{1:1}",
            "'a'",
            "[]]",
            "\u{feff}1",
            "{\"\u{fb33}\":1,\"\u{1f600}\":1}",
            &deep,
        ];
        for text in bad {
            assert!(decode(text.as_bytes()).is_err(), "{text:?}");
        }
        for bytes in [&b"\"\xff\""[..], b"\"\xed\xa0\x80\"", b"\"\xc0\x80\"", b"\xff", b"\"a\0\""] {
            assert!(decode(bytes).is_err(), "{bytes:?}");
        }
        assert!(decode(("[".repeat(32) + &"]".repeat(32)).as_bytes()).is_ok());
        assert_eq!(decode(b"9007199254740991"), Ok(Value::Integer(MAX_INTEGER)));
    }

    #[test]
    fn the_end_of_a_run_is_found_wherever_it_is() {
        for end in [b'"', b'\\', 0, 0x1f] {
            for at in 0..40 {
                let mut bytes = [0x20, 0x7f, 0x80, 0xff, b'!', b'#', b'[', b']'].repeat(5);
                assert_eq!(plain(&bytes), 40);
                assert_eq!(plain(&bytes[..at]), at);
                bytes[at] = end;
                bytes[39] = end;
                assert_eq!(plain(&bytes), at, "{end:#x}");
            }
        }
    }

    #[test]
    fn keys_are_in_the_order_of_their_utf_16() {
        let keys =
            ["", "a", "aa", "ab", "a\u{80}", "a\u{e000}", "a\u{1f600}", "a\u{1f601}b", "é", "\u{fb33}", "\u{10000}"];
        for a in keys {
            for b in keys {
                assert_eq!(order(a, b), a.encode_utf16().cmp(b.encode_utf16()), "{a:?} {b:?}");
            }
        }
    }

    pub(super) fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            (0..=MAX_INTEGER).prop_map(Value::Integer),
            any::<String>().prop_map(Value::String),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
                prop::collection::btree_map(any::<String>(), inner, 0..6).prop_map(Value::Object),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_round_trips(value in any_value()) {
            prop_assert_eq!(decode(&encode(&value)), Ok(value));
        }

        #[test]
        fn changed_bytes_are_rejected_or_stand_for_themselves(value in any_value(), at: usize, byte: u8, cut in 0..3_u8) {
            let mut bytes = encode(&value);
            let at = at % bytes.len();
            match cut {
                0 => bytes[at] = byte,
                1 => bytes.truncate(at),
                _ => bytes.insert(at, byte),
            }
            if let Ok(other) = decode(&bytes) {
                prop_assert_eq!(encode(&other), bytes);
            }
        }

        #[test]
        fn any_bytes_are_safe(bytes: Vec<u8>) {
            if let Ok(value) = decode(&bytes) {
                prop_assert_eq!(encode(&value), bytes);
            }
        }
    }
}
