//! The one-line form: `deb [option=value …] address suite component…`.

use super::{SignedBy, Source};
use crate::error::DebianError;

pub(crate) fn parse(text: &str, place: &str) -> Result<Vec<Source>, DebianError> {
    let mut sources = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let wrong = |problem: &str| DebianError::Syntax {
            place: place.to_owned(),
            line: index + 1,
            problem: problem.to_owned(),
        };
        let (kind, rest) = line.split_once([' ', '\t']).ok_or_else(|| wrong("an address and a suite are missing"))?;
        match kind {
            "deb" => {}
            "deb-src" => continue,
            _ => return Err(wrong("it begins with neither deb nor deb-src")),
        }
        let rest = rest.trim_start();
        let (options, rest) = match rest.strip_prefix('[') {
            Some(rest) => rest.split_once(']').ok_or_else(|| wrong("the options have no closing bracket"))?,
            None => ("", rest),
        };
        let mut words = rest.split_whitespace().map(str::to_owned);
        let (Some(uri), Some(suite)) = (words.next(), words.next()) else {
            return Err(wrong("an address and a suite are missing"));
        };
        let mut source = Source {
            place: format!("{place}:{}", index + 1),
            uris: vec![uri],
            suites: vec![suite],
            components: words.collect(),
            architectures: Vec::new(),
            signed_by: None,
        };
        for option in options.split_whitespace() {
            match option.split_once('=') {
                Some(("arch", value)) => {
                    source.architectures =
                        value.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
                }
                Some(("signed-by", value)) => source.signed_by = SignedBy::parse(value),
                Some(_) => {}
                None => return Err(wrong("an option has no value")),
            }
        }
        sources.push(source);
    }
    Ok(sources)
}
