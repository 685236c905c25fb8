//! What the fuzz targets call: each takes any bytes and panics where something that must hold doesn't.

use std::cmp::Ordering;

use crate::requirement::raw;
use crate::{Provide, Requirement, Version, compare, parse_root};

/// Versions, one a line: their order is total, antisymmetric and transitive, well-formed or not; what is well-formed is
/// written as it was read.
pub fn version(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut all: Vec<&str> = text.split('\n').take(8).collect();
    for one in &all {
        assert_eq!(compare(one, one), Ordering::Equal);
        if let Ok(version) = Version::parse(one) {
            assert_eq!(version.to_string(), *one);
            assert_eq!(Version::parse(&format!("{one}~")).map(|earlier| earlier < version), Ok(true));
        }
        for other in &all {
            assert_eq!(compare(one, other), compare(other, one).reverse(), "{one:?} {other:?}");
        }
    }
    // In a sorted list each is at most the next only if the order is transitive.
    all.sort_by(|one, other| compare(one, other));
    for (index, one) in all.iter().enumerate() {
        assert!(all[index..].iter().all(|later| compare(one, later).is_le()), "{all:?}");
    }
}

/// A field of requirements is refused, or is the same when written and read again; so are a recipe's pins. The solver's
/// own reader takes what this one takes.
pub fn requirement(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(list) = Requirement::parse_list(text) {
        let written: Vec<String> = list.iter().map(ToString::to_string).collect();
        assert_eq!(Requirement::parse_list(&written.join(", ")), Ok(list));
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            assert!(part.split('|').all(|atom| raw::atom(atom).is_ok()), "{part:?}");
        }
    }
    if let Ok(list) = Provide::parse_list(text) {
        assert!(list.iter().all(|provide| !provide.name.is_empty()));
    }
    if let Ok(root) = parse_root(text) {
        assert_eq!(parse_root(&root.to_string()), Ok(root));
    }
}

#[cfg(test)]
mod tests {
    use larder_testkit::hostile::feed;

    #[test]
    fn parsers_take_any_text() {
        feed("requirement", 20_000, super::requirement);
        feed("version", 20_000, super::version);
    }
}
