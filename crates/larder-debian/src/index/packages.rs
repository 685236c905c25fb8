//! Reading a `Packages` list as a stream of stanzas.

use std::io::{self, BufRead};

/// The fields of a stanza that are read, in the order in which they mention other packages.
pub(super) const FIELDS: [&str; 22] = [
    "Pre-Depends",
    "Depends",
    "Conflicts",
    "Breaks",
    "Recommends",
    "Suggests",
    "Replaces",
    "Enhances",
    "Provides",
    "Package",
    "Version",
    "Architecture",
    "Multi-Arch",
    "Essential",
    "Priority",
    "Section",
    "Source",
    "Filename",
    "Size",
    "SHA256",
    "Installed-Size",
    "Description",
];
/// The fields before this one mention packages.
pub(super) const MENTIONING: usize = 9;
pub(super) const PROVIDES: usize = 8;
const DESCRIPTION: usize = 21;

/// A line of a list may not be longer.
const MAX_LINE: u64 = 4 << 20;

/// One stanza: the values of [`FIELDS`], empty where absent. Used again for each stanza.
#[derive(Default)]
pub(super) struct Stanza {
    values: [String; FIELDS.len()],
    /// The line on which it begins.
    pub(super) line: usize,
}

impl Stanza {
    pub(super) fn get(&self, name: &str) -> &str {
        FIELDS.iter().position(|field| *field == name).map_or("", |at| self.values[at].as_str())
    }

    pub(super) fn value(&self, number: usize) -> &str {
        &self.values[number]
    }

    fn clear(&mut self) {
        self.values.iter_mut().for_each(String::clear);
    }
}

/// What ends reading.
pub(super) enum Broken {
    /// The stream itself.
    Read(io::Error),
    /// A line that can't be.
    Line(usize, &'static str),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

pub(super) struct Reader<R> {
    input: R,
    line: Vec<u8>,
    number: usize,
}

impl<R: BufRead> Reader<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, line: Vec::new(), number: 0 }
    }

    /// Reads the next stanza; false at the end.
    pub(super) fn next(&mut self, stanza: &mut Stanza) -> Result<bool, Broken> {
        stanza.clear();
        let mut field: Option<usize> = None;
        let mut begun = false;
        loop {
            self.line.clear();
            self.number += 1;
            let length = io::Read::take(&mut self.input, MAX_LINE).read_until(b'\n', &mut self.line)?;
            if length == 0 {
                return Ok(begun);
            }
            let line = std::str::from_utf8(&self.line).map_err(|_| Broken::Line(self.number, "it is not UTF-8"))?;
            if !line.ends_with('\n') && line.len() as u64 == MAX_LINE {
                return Err(Broken::Line(self.number, "it is too long"));
            }
            let text = line.trim_end();
            if text.is_empty() {
                if begun {
                    return Ok(true);
                }
                continue;
            }
            if text.starts_with([' ', '\t']) {
                if !begun {
                    return Err(Broken::Line(self.number, "a continuation line has no field above it"));
                }
                if let Some(at) = field.filter(|at| *at != DESCRIPTION) {
                    stanza.values[at].push(' ');
                    stanza.values[at].push_str(text.trim_start());
                }
                continue;
            }
            let colon = memchr::memchr(b':', text.as_bytes());
            let (name, value) = match colon {
                Some(colon) => (&text[..colon], text[colon + 1..].trim_start()),
                None => return Err(Broken::Line(self.number, "it is no field (there is no colon)")),
            };
            if !begun {
                (begun, stanza.line) = (true, self.number);
            }
            field = FIELDS.iter().position(|known| known.eq_ignore_ascii_case(name));
            if let Some(at) = field {
                if !stanza.values[at].is_empty() {
                    return Err(Broken::Line(self.number, "the field is there twice"));
                }
                stanza.values[at].push_str(value);
            }
        }
    }
}
