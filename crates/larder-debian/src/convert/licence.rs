//! The licence, from a machine-readable copyright file (DEP 5).

use std::collections::BTreeSet;

/// The short names of all `License` fields, sorted and joined with `AND`; a name that is itself a choice stands in
/// parentheses. `None` where the file is not in the machine-readable format or names none.
pub fn of(copyright: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(copyright).ok()?;
    let format = text.lines().find(|line| !line.trim().is_empty())?;
    if !format.starts_with("Format") || !format.contains("copyright-format/1.0") {
        return None;
    }
    let names: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("License:"))
        .map(|value| value.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|name| !name.is_empty())
        .collect();
    let one = |name: &String| match name.split(' ').any(|word| matches!(word, "or" | "and" | "and/or")) {
        true if names.len() > 1 => format!("({name})"),
        _ => name.clone(),
    };
    let names: Vec<String> = names.iter().map(one).collect();
    (!names.is_empty()).then(|| names.join(" AND "))
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn short_names_are_sorted_and_joined() {
        let text = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nLicense: MIT\n text\n\nFiles: x\nLicense: GPL-2+ or Artistic\n\nLicense: MIT\n";
        assert_eq!(of(text.as_bytes()).as_deref(), Some("(GPL-2+ or Artistic) AND MIT"));
        assert_eq!(of(b"This package was debianised by\nLicense: MIT\n"), None);
    }
}
