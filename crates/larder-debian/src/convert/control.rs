//! The control file: one paragraph of `Field: value` lines.

use std::collections::HashSet;

use super::Expected;
use crate::deb::DebError;

/// The longest control file, in bytes; real ones have less than a tenth of it.
const MAX_CONTROL: usize = 1 << 20;

/// A control file's fields, in its order. Continuation lines are joined with newlines, their first blank removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    fields: Vec<(String, String)>,
}

impl Control {
    /// Reads a control file.
    ///
    /// # Errors
    /// What is longer than 1 MiB, not UTF-8 or not one paragraph, and a field that is there twice.
    pub fn parse(text: &[u8]) -> Result<Self, DebError> {
        let wrong = |reason: String| DebError::Control { reason };
        if text.len() > MAX_CONTROL {
            return Err(DebError::limit("the control file's size", MAX_CONTROL as u64));
        }
        let text = std::str::from_utf8(text).map_err(|_| wrong("it is not UTF-8".into()))?;
        if text.contains('\0') {
            return Err(wrong("it has a NUL byte".into()));
        }
        let mut fields: Vec<(String, String)> = Vec::new();
        let mut known = HashSet::new();
        for line in text.trim_end_matches(['\n', '\r', ' ', '\t']).split('\n') {
            let line = line.trim_end_matches([' ', '\t', '\r']);
            if line.is_empty() {
                return Err(wrong("it has more than one paragraph".into()));
            }
            if let Some(rest) = line.strip_prefix([' ', '\t']) {
                let Some((_, value)) = fields.last_mut() else {
                    return Err(wrong("it begins with a continuation line".into()));
                };
                value.push('\n');
                value.push_str(rest);
                continue;
            }
            let (field, value) = line.split_once(':').ok_or_else(|| wrong(format!("{line:?} is not a field")))?;
            if field.is_empty() || !field.bytes().all(|b| b.is_ascii_graphic()) {
                return Err(wrong(format!("{field:?} is not a field's name")));
            }
            if !known.insert(field.to_ascii_lowercase()) {
                return Err(wrong(format!("the field {field} is there twice")));
            }
            fields.push((field.to_owned(), value.trim_start_matches([' ', '\t']).to_owned()));
        }
        Ok(Self { fields })
    }

    /// A field's value; `None` where it's missing or empty.
    pub fn get(&self, field: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(field));
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// All fields, in the file's order.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A field's comma parts, blanks normalised; empty parts are left out.
    pub fn list(&self, field: &str) -> Vec<String> {
        let parts = self.get(field).unwrap_or_default().split(',');
        parts
            .map(|part| part.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
            .filter(|p| !p.is_empty())
            .collect()
    }

    /// The source package and its version, which are the package's own where the field doesn't say otherwise.
    pub fn source(&self) -> String {
        let package = self.get("Package").unwrap_or_default();
        let version = self.get("Version").unwrap_or_default();
        match self.get("Source").unwrap_or(package).split_once('(') {
            Some((name, rest)) => format!("{} {}", name.trim(), rest.trim_end_matches(')').trim()),
            None => format!("{} {version}", self.get("Source").unwrap_or(package).trim()),
        }
    }

    /// Compares name, version and architecture with the index's.
    pub(super) fn check(&self, expected: &Expected<'_>) -> Result<(), DebError> {
        let wanted =
            [("Package", expected.package), ("Version", expected.version), ("Architecture", expected.architecture)];
        for (field, wanted) in wanted {
            let found = self.get(field).unwrap_or_default();
            if found != wanted {
                return Err(DebError::Mismatch { field, found: found.to_owned(), wanted: wanted.to_owned() });
            }
        }
        Ok(())
    }
}

/// The package name at the beginning of a comma part, without qualifier and version.
pub(super) fn bare_name(part: &str) -> &str {
    part.split([' ', '(', ':', '|']).next().unwrap_or(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Package: a\nVersion: 1:2-3\nSource: b (4)\nDepends: c (>= 1),\n d |\te:any,,\n f\nDescription: short\n long\n .\n more\n";

    #[test]
    fn fields_lists_and_source() {
        let control = Control::parse(TEXT.as_bytes()).expect("control");
        assert_eq!(control.get("package"), Some("a"));
        assert_eq!(control.list("Depends"), ["c (>= 1)", "d | e:any", "f"]);
        assert_eq!(control.source(), "b 4");
        assert_eq!(control.get("Description"), Some("short\nlong\n.\nmore"));
        assert_eq!(Control::parse(b"Package: a\nVersion: 1\n").expect("control").source(), "a 1");
        assert_eq!(bare_name("libc6:any (>= 2)"), "libc6");
    }

    #[test]
    fn malformed_files_are_refused() {
        for wrong in ["", " a: b\n", "a\n", ": b\n", "a: b\nA: c\n", "a: b\n\nc: d\n", "a: \0\n"] {
            assert!(Control::parse(wrong.as_bytes()).is_err(), "{wrong:?}");
        }
        assert!(Control::parse(b"a: \xff\n").is_err());
    }

    /// Found by an attack: each field was compared with all before it, in a file of up to 32 MiB.
    #[test]
    fn absurd_files_are_refused_in_time() {
        let many: String = (10_000..99_999).map(|field| format!("{field}:x\n")).collect();
        let begun = std::time::Instant::now();
        assert_eq!(Control::parse(many.as_bytes()).expect("control").get("77777"), Some("x"));
        assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
        let long = format!("a: {}\n", "b, ".repeat(400_000));
        assert!(matches!(Control::parse(long.as_bytes()), Err(DebError::Limit { .. })));
    }
}
