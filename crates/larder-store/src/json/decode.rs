//! Reading canonical JSON, and nothing else.

use std::collections::BTreeMap;

use super::{JsonError, MAX_BYTES, MAX_DEPTH, MAX_INTEGER, Value, order, plain};

/// Reads one value that takes up all the bytes.
///
/// # Errors
/// Everything that [`encode`](super::encode) would not have written: floats, signs, duplicate or unsorted keys, white space,
/// other escapes, bytes that aren't UTF-8, anything nested deeper than 32 levels or longer than 16 MiB.
pub fn decode(bytes: &[u8]) -> Result<Value, JsonError> {
    if bytes.len() > MAX_BYTES {
        return Err(JsonError { position: MAX_BYTES, reason: "it is longer than 16 MiB" });
    }
    let text = str::from_utf8(bytes).map_err(|e| JsonError { position: e.valid_up_to(), reason: "it is not UTF-8" })?;
    let mut input = Input { text, position: 0, depth: 0 };
    let value = input.value()?;
    if input.position != bytes.len() {
        return Err(input.wrong("something follows the value"));
    }
    Ok(value)
}

struct Input<'t> {
    text: &'t str,
    position: usize,
    depth: usize,
}

impl Input<'_> {
    fn wrong(&self, reason: &'static str) -> JsonError {
        JsonError { position: self.position, reason }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.position).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.position += usize::from(found);
        found
    }

    fn value(&mut self) -> Result<Value, JsonError> {
        match self.peek() {
            Some(b'n') => self.word("null", Value::Null),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'0'..=b'9') => self.integer(),
            Some(b'"') => Ok(Value::String(self.string()?)),
            Some(b'[') => self.nested(Self::array),
            Some(b'{') => self.nested(Self::object),
            _ => Err(self.wrong("a value must stand here")),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, JsonError> {
        if !self.text[self.position..].starts_with(word) {
            return Err(self.wrong("a value must stand here"));
        }
        self.position += word.len();
        Ok(value)
    }

    fn integer(&mut self) -> Result<Value, JsonError> {
        let rest = &self.text[self.position..];
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 1 && rest.starts_with('0') {
            return Err(self.wrong("a number must not begin with 0"));
        }
        let number = rest[..digits].parse().ok().filter(|&number| number <= MAX_INTEGER);
        let number = number.ok_or_else(|| self.wrong("a number is beyond 2^53-1"))?;
        self.position += digits;
        if matches!(self.peek(), Some(b'.' | b'e' | b'E')) {
            return Err(self.wrong("a number must be an integer without exponent"));
        }
        Ok(Value::Integer(number))
    }

    fn string(&mut self) -> Result<String, JsonError> {
        if !self.take(b'"') {
            return Err(self.wrong("a string must stand here"));
        }
        let mut value = String::new();
        loop {
            let rest = &self.text[self.position..];
            // Every byte that ends a run is ASCII, so that the run ends on a character.
            let run = plain(rest.as_bytes());
            value.push_str(&rest[..run]);
            self.position += run;
            match self.peek() {
                Some(b'"') => {
                    self.position += 1;
                    return Ok(value);
                }
                Some(b'\\') => value.push(self.escape()?),
                Some(_) => return Err(self.wrong("a control character must be escaped")),
                None => return Err(self.wrong("a string must end")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let rest = &self.text.as_bytes()[self.position..];
        let (character, length) = match rest.get(1) {
            Some(b'"') => ('"', 2),
            Some(b'\\') => ('\\', 2),
            Some(b'b') => ('\u{8}', 2),
            Some(b't') => ('\t', 2),
            Some(b'n') => ('\n', 2),
            Some(b'f') => ('\u{c}', 2),
            Some(b'r') => ('\r', 2),
            Some(b'u') => (self.control(rest)?, 6),
            _ => return Err(self.wrong("this escape is not the canonical one")),
        };
        self.position += length;
        Ok(character)
    }

    /// `\u00xx` in lower case, for a control character that has no shorter escape.
    fn control(&self, rest: &[u8]) -> Result<char, JsonError> {
        let wrong = || self.wrong("this escape is not the canonical one");
        let digit = |at: usize| match rest.get(at) {
            Some(&b @ b'0'..=b'9') => Ok(b - b'0'),
            Some(&b @ b'a'..=b'f') => Ok(b - b'a' + 10),
            _ => Err(wrong()),
        };
        if rest.get(2..4) != Some(b"00") {
            return Err(wrong());
        }
        let code = digit(4)? * 16 + digit(5)?;
        match code {
            0x08 | b'\t' | b'\n' | 0x0c | b'\r' => Err(wrong()),
            0..=0x1f => Ok(char::from(code)),
            _ => Err(wrong()),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Value, JsonError>) -> Result<Value, JsonError> {
        if self.depth == MAX_DEPTH {
            return Err(self.wrong("it is nested deeper than 32 levels"));
        }
        self.depth += 1;
        self.position += 1;
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn array(&mut self) -> Result<Value, JsonError> {
        let mut items = Vec::new();
        if self.take(b']') {
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value()?);
            if self.take(b']') {
                return Ok(Value::Array(items));
            }
            if !self.take(b',') {
                return Err(self.wrong("`,` or `]` must stand here"));
            }
        }
    }

    fn object(&mut self) -> Result<Value, JsonError> {
        let mut members: Vec<(String, Value)> = Vec::new();
        if self.take(b'}') {
            return Ok(Value::Object(BTreeMap::new()));
        }
        loop {
            let start = self.position;
            let key = self.string()?;
            if members.last().is_some_and(|(previous, _)| order(previous, &key).is_ge()) {
                return Err(JsonError { position: start, reason: "keys must be sorted and each stand once" });
            }
            if !self.take(b':') {
                return Err(self.wrong("`:` must stand here"));
            }
            let value = self.value()?;
            members.push((key, value));
            if self.take(b'}') {
                return Ok(Value::Object(members.into_iter().collect()));
            }
            if !self.take(b',') {
                return Err(self.wrong("`,` or `}` must stand here"));
            }
        }
    }
}
