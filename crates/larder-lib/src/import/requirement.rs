//! Requirements: as people type them, and as a `.deb` has them.

use larder_debian::convert::DOMAIN;
use larder_solver::Root;

use super::ImportError;

/// `debian.org/libc6 >=2.36, <3` as a record has it: `debian.org/libc6 (>= 2.36)`, `debian.org/libc6 (<< 3)`.
pub(super) fn clauses(texts: &[String]) -> Result<Vec<String>, ImportError> {
    let mut clauses = Vec::new();
    for text in texts {
        let wrong = || ImportError::Requirement { text: text.clone() };
        let trimmed = text.trim();
        let end = trimmed.find(|c: char| c.is_whitespace() || "<>=,(".contains(c)).unwrap_or(trimmed.len());
        let (domain, short) = match trimmed[..end].rfind('/') {
            Some(slash) => trimmed.split_at(slash + 1),
            None => ("", trimmed),
        };
        let root: Root = short.parse().map_err(|_| wrong())?;
        let name = format!("{domain}{}", root.name);
        if !domain.is_empty() {
            larder_store::Name::parse(&name).map_err(|_| wrong())?;
        }
        if root.constraints.is_empty() {
            clauses.push(name.clone());
        }
        let pinned = root.constraints.iter().map(|(relation, version)| format!("{name} ({relation} {version})"));
        clauses.extend(pinned);
    }
    Ok(clauses)
}

/// A clause of a `.deb`, whose short names are Debian's: `a (>= 1) | b:any` becomes `debian.org/a (>= 1) | debian.org/b:any`.
pub(super) fn of_debian(clause: &str) -> String {
    let of = |atom: &str| format!("{DOMAIN}/{}", atom.trim());
    clause.split('|').map(of).collect::<Vec<_>>().join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_are_written_as_records_have_them() {
        let one = |text: &str| clauses(&[text.to_owned()]);
        assert_eq!(one("debian.org/libc6 >=2.36").expect("clause"), ["debian.org/libc6 (>= 2.36)"]);
        assert_eq!(one("debian.org/a >=1, <2").expect("clause"), ["debian.org/a (>= 1)", "debian.org/a (<< 2)"]);
        assert_eq!(one("own").expect("clause"), ["own"]);
        for wrong in ["", "debian.org/", "/a", "Debian.org/a", "debian.org/a >=", "debian.org/a 1", "a b"] {
            assert!(matches!(one(wrong), Err(ImportError::Requirement { .. })), "{wrong:?}");
        }
        assert_eq!(of_debian("a (>= 1) | b:any"), "debian.org/a (>= 1) | debian.org/b:any");
    }
}
