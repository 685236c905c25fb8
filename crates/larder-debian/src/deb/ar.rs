//! The outer container: `ar`, as strict as every tool that writes packages allows.

use std::io::{self, Read, Take};

use super::DebError;

const MAGIC: &[u8; 8] = b"!<arch>\n";
const HEADER: usize = 60;

/// One member's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name, without trailing blanks or slash.
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
}

/// Reads the magic.
///
/// # Errors
/// Anything else at the beginning.
pub fn magic(source: &mut dyn Read) -> Result<(), DebError> {
    let mut bytes = [0; MAGIC.len()];
    match fill(source, &mut bytes)? {
        8 if &bytes == MAGIC => Ok(()),
        _ => Err(DebError::Container { reason: "it is not an ar archive" }),
    }
}

/// Reads the next header; `None` at the end.
///
/// # Errors
/// A malformed or cut header.
pub fn next(source: &mut dyn Read) -> Result<Option<Member>, DebError> {
    let mut header = [0; HEADER];
    match fill(source, &mut header)? {
        0 => return Ok(None),
        HEADER => {}
        _ => return Err(DebError::Truncated),
    }
    if &header[58..] != b"`\n" {
        return Err(DebError::Container { reason: "an ar header has no end mark" });
    }
    let name = field(&header[..16]).ok_or(DebError::Container { reason: "an ar member's name is malformed" })?;
    let name = name.strip_suffix('/').unwrap_or(name);
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic() && b != b'/') {
        return Err(DebError::Container { reason: "an ar member's name is malformed" });
    }
    let size = field(&header[48..58])
        .filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .ok_or(DebError::Container { reason: "an ar member's size is malformed" })?;
    Ok(Some(Member { name: name.to_owned(), size }))
}

fn field(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().map(|text| text.trim_end_matches(' '))
}

/// Reads until the buffer is full or the input ends.
pub(super) fn fill(source: &mut dyn Read, buffer: &mut [u8]) -> Result<usize, DebError> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(DebError::from_io(error)),
        }
    }
    Ok(filled)
}

impl Member {
    /// This member's bytes.
    pub(super) fn reader<R: Read>(&self, source: R) -> Take<R> {
        source.take(self.size)
    }

    /// Reads the padding after an odd size.
    pub(super) fn end(&self, source: &mut dyn Read) -> Result<(), DebError> {
        if self.size.is_multiple_of(2) {
            return Ok(());
        }
        let mut padding = [0];
        match fill(source, &mut padding)? {
            1 if padding[0] == b'\n' => Ok(()),
            1 => Err(DebError::Container { reason: "an ar member's padding is malformed" }),
            _ => Err(DebError::Truncated),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &str, size: &str) -> Vec<u8> {
        format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 100_644).into_bytes()
    }

    #[test]
    fn headers_are_read_strictly() {
        let good = next(&mut header("data.tar.xz/", "12").as_slice()).expect("header").expect("member");
        assert_eq!(good, Member { name: "data.tar.xz".into(), size: 12 });
        assert!(next(&mut [].as_slice()).expect("end").is_none());
        for (name, size) in [("", "1"), ("a b", "1"), ("../x", "1"), ("a", ""), ("a", "-1"), ("a", "1x"), ("a", "+1")] {
            assert!(next(&mut header(name, size).as_slice()).is_err(), "{name:?} {size:?}");
        }
        let mut cut = header("a", "1");
        cut.truncate(30);
        assert!(matches!(next(&mut cut.as_slice()), Err(DebError::Truncated)));
    }
}
