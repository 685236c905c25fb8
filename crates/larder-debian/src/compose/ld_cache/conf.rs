//! `/etc/ld.so.conf` and what it includes.

use std::collections::BTreeSet;

use super::super::{ComposeError, Draft};

/// A configuration larger than this is none.
const MAX_FILE: u64 = 1 << 20;
/// How deep inclusions may nest.
const MAX_DEPTH: usize = 16;
/// All files together, in bytes; each counts at least as [`LEAST`]. Files that include each other would be read for ever.
const MAX_TOTAL: usize = 4 << 20;
const LEAST: usize = 4 << 10;

/// The directories that the configuration names, in its order, without leading and trailing slashes.
pub(super) fn directories(draft: &Draft<'_>) -> Result<Vec<Vec<u8>>, ComposeError> {
    let (mut all, mut left) = (Vec::new(), MAX_TOTAL);
    read(draft, b"etc/ld.so.conf", 0, &mut left, &mut all)?;
    Ok(all)
}

fn read(
    draft: &Draft<'_>,
    path: &[u8],
    depth: usize,
    left: &mut usize,
    all: &mut Vec<Vec<u8>>,
) -> Result<(), ComposeError> {
    let Some(text) = draft.read(path, MAX_FILE)? else { return Ok(()) };
    let Some(rest) = left.checked_sub(text.len().max(LEAST)) else { return Ok(()) };
    *left = rest;
    for line in text.split(|&b| b == b'\n') {
        let line = line.split(|&b| b == b'#').next().unwrap_or_default().trim_ascii();
        let include = line.strip_prefix(b"include").filter(|rest| rest.first().is_some_and(u8::is_ascii_whitespace));
        if let Some(patterns) = include {
            for pattern in patterns.split(u8::is_ascii_whitespace).filter(|p| !p.is_empty()) {
                let pattern = absolute(path, pattern);
                for included in matching(draft, &pattern) {
                    if depth < MAX_DEPTH {
                        read(draft, &included, depth + 1, left, all)?;
                    }
                }
            }
            continue;
        }
        if line.is_empty() || line.starts_with(b"hwcap ") {
            continue;
        }
        // `directory=libc6` states a type that no library of today needs.
        let directory = line.split(|&b| b == b'=').next().unwrap_or_default().trim_ascii();
        let Some(directory) = directory.strip_prefix(b"/") else { continue };
        let end = directory.iter().rposition(|&b| b != b'/').map_or(0, |last| last + 1);
        all.push(directory[..end].to_vec());
    }
    Ok(())
}

/// A pattern as a path from the root: a relative one counts from the including file's directory.
fn absolute(file: &[u8], pattern: &[u8]) -> Vec<u8> {
    match pattern.strip_prefix(b"/") {
        Some(rest) => rest.to_vec(),
        None => {
            let end = file.iter().rposition(|&b| b == b'/').map_or(0, |slash| slash + 1);
            [&file[..end], pattern].concat()
        }
    }
}

/// The paths that match a pattern, sorted by bytes.
fn matching(draft: &Draft<'_>, pattern: &[u8]) -> BTreeSet<Vec<u8>> {
    let mut bases: BTreeSet<Vec<u8>> = BTreeSet::from([Vec::new()]);
    for component in pattern.split(|&b| b == b'/').filter(|c| !c.is_empty()) {
        let mut next = BTreeSet::new();
        for base in bases {
            let below = |name: &[u8]| if base.is_empty() { name.to_vec() } else { [&base[..], b"/", name].concat() };
            if !component.iter().any(|b| b"*?[".contains(b)) {
                next.insert(below(component));
                continue;
            }
            let Some(real) = draft.resolve(&base) else { continue };
            let hidden = |name: &[u8]| name.starts_with(b".") && !component.starts_with(b".");
            let names = draft.names(&real).into_iter().filter(|name| !hidden(name) && glob(component, name));
            next.extend(names.map(|name| below(&name)));
        }
        bases = next;
    }
    bases
}

/// Shell pattern matching within one component: `*`, `?`, `[a-z]`, `[!a]`. Where it fails, the last `*` takes one byte more.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let (mut rest, mut left) = (pattern, name);
    let mut star: Option<(&[u8], &[u8])> = None;
    loop {
        if let Some(after) = rest.strip_prefix(b"*") {
            (rest, star) = (after, Some((after, left)));
            continue;
        }
        match left.split_first().and_then(|(&byte, after)| Some((one(rest, byte)?, after))) {
            Some(next) => (rest, left) = next,
            None if rest.is_empty() && left.is_empty() => return true,
            None => match star {
                Some((after, [_, longer @ ..])) => {
                    (rest, left) = (after, longer);
                    star = Some((after, longer));
                }
                _ => return false,
            },
        }
    }
}

/// What is left of a pattern whose first item, which is no `*`, matches a byte.
fn one(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    let (&first, rest) = pattern.split_first()?;
    let end = rest.iter().skip(1).position(|&b| b == b']').filter(|_| first == b'[');
    match (first, end) {
        (b'?', _) => Some(rest),
        (_, Some(end)) => {
            let set = &rest[..=end];
            let (negated, set) = match set.strip_prefix(b"!").or_else(|| set.strip_prefix(b"^")) {
                Some(set) => (true, set),
                None => (false, set),
            };
            (in_set(set, byte) != negated).then(|| &rest[end + 2..])
        }
        _ => (first == byte).then_some(rest),
    }
}

fn in_set(set: &[u8], byte: u8) -> bool {
    let mut rest = set;
    while let Some((&from, tail)) = rest.split_first() {
        if let [b'-', to, tail @ ..] = tail {
            if (from..=*to).contains(&byte) {
                return true;
            }
            rest = tail;
        } else {
            if from == byte {
                return true;
            }
            rest = tail;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn patterns_match_as_in_a_shell() {
        for (pattern, name) in [("*.conf", "a.conf"), ("a?c", "abc"), ("[a-c]x", "bx"), ("[!a]x", "bx"), ("*", "")] {
            assert!(glob(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
        }
        for (pattern, name) in [("*.conf", "a.conf.dpkg-new"), ("a?c", "ac"), ("[a-c]x", "dx"), ("[!a]x", "ax")] {
            assert!(!glob(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
        }
    }

    /// Found by reading for the fuzz target: each `*` tried every length of all before it.
    #[test]
    fn many_stars_take_no_longer_than_few() {
        assert!(!glob("*a".repeat(100).as_bytes(), "a".repeat(99).as_bytes()));
        assert!(!glob(("*a".repeat(60) + "b").as_bytes(), "a".repeat(255).as_bytes()));
        assert!(glob(("*a".repeat(60) + "*b").as_bytes(), ("a".repeat(200) + "b").as_bytes()));
    }
}
