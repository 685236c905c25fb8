//! The deb822 form: stanzas of `Field: value`.

use super::{SignedBy, Source};
use crate::error::DebianError;

/// A stanza's fields: lower-case name, value with its continuation lines.
type Stanza = Vec<(String, String)>;

pub(crate) fn parse(text: &str, place: &str) -> Result<Vec<Source>, DebianError> {
    let mut sources = Vec::new();
    let mut stanza: Stanza = Vec::new();
    let mut begins = 1;
    for (index, line) in text.lines().enumerate() {
        let wrong = |problem: &str| DebianError::Syntax {
            place: place.to_owned(),
            line: index + 1,
            problem: problem.to_owned(),
        };
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            sources.extend(source(std::mem::take(&mut stanza), place, begins)?);
        } else if line.starts_with([' ', '\t']) {
            let (_, value) = stanza.last_mut().ok_or_else(|| wrong("a continuation line has no field above it"))?;
            value.push('\n');
            value.push_str(line.trim());
        } else {
            let (name, value) = line.split_once(':').ok_or_else(|| wrong("it is no field (there is no colon)"))?;
            if stanza.is_empty() {
                begins = index + 1;
            }
            stanza.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    sources.extend(source(stanza, place, begins)?);
    Ok(sources)
}

fn source(stanza: Stanza, place: &str, line: usize) -> Result<Option<Source>, DebianError> {
    if stanza.is_empty() {
        return Ok(None);
    }
    let field = |name: &str| stanza.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value.as_str());
    let words = |name: &str| -> Vec<String> { field(name).split_whitespace().map(str::to_owned).collect() };
    let disabled =
        matches!(field("enabled").to_ascii_lowercase().as_str(), "no" | "false" | "0" | "off" | "disable" | "without");
    if disabled || !words("types").iter().any(|kind| kind == "deb") {
        return Ok(None);
    }
    let uris = words("uris");
    let suites = words("suites");
    if uris.is_empty() || suites.is_empty() {
        let problem = "the source has no URIs or no Suites".to_owned();
        return Err(DebianError::Syntax { place: place.to_owned(), line, problem });
    }
    Ok(Some(Source {
        place: format!("{place}:{line}"),
        uris,
        suites,
        components: words("components"),
        architectures: words("architectures"),
        signed_by: SignedBy::parse(field("signed-by")),
    }))
}
