//! Patterns of paths: `*` and `?` within a component, `**` for any number of components.

use std::fmt;

/// A pattern of paths in a package. It matches a path when it matches the path itself or a folder that holds it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Glob(Vec<String>);

impl Glob {
    /// Reads a pattern: an absolute path with wildcards.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let path = text.strip_prefix('/').ok_or("it doesn't begin with a slash")?;
        let parts: Vec<String> = path.trim_end_matches('/').split('/').map(str::to_owned).collect();
        match parts.iter().find(|part| matches!(part.as_str(), "" | "." | "..") || part.contains('\0')) {
            Some(part) if part.is_empty() => Err("it has an empty component"),
            Some(_) => Err("a component is `.`, `..` or has a NUL byte in it"),
            None if parts.iter().filter(|part| *part == "**").count() > 2 => Err("it has more than two `**`"),
            None => Ok(Self(parts)),
        }
    }

    /// Whether a path, without a leading slash, is matched.
    pub fn matches(&self, path: &[u8]) -> bool {
        let parts: Vec<&[u8]> = path.split(|&b| b == b'/').collect();
        below(&self.0, &parts)
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.0.join("/"))
    }
}

fn below(pattern: &[String], parts: &[&[u8]]) -> bool {
    match (pattern, parts) {
        // What is left of the path lies in a folder that was matched.
        ([], _) => true,
        // At the end it means all that is in the folder, and not the folder.
        ([last], parts) if last == "**" => !parts.is_empty(),
        ([first, rest @ ..], parts) if first == "**" => (0..=parts.len()).any(|skip| below(rest, &parts[skip..])),
        ([first, rest @ ..], [part, others @ ..]) => component(first.as_bytes(), part) && below(rest, others),
        (_, []) => false,
    }
}

/// Matches one component: linear, since a `*` need only be remembered until the next one.
fn component(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut read) = (0, 0);
    let mut star = None;
    while read < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[read] => {
                at += 1;
                read += 1;
            }
            _ => {
                let Some((star_at, from)) = star else { return false };
                star = Some((star_at, from + 1));
                at = star_at + 1;
                read = from + 1;
            }
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let matches = |pattern: &str, path: &str| Glob::parse(pattern).expect("a pattern").matches(path.as_bytes());
        for (pattern, path) in [
            ("/usr/include", "usr/include/a/b.h"),
            ("/usr/include/", "usr/include"),
            ("/usr/lib/*.a", "usr/lib/libx.a"),
            ("/usr/lib/**/*.so", "usr/lib/x86_64-linux-gnu/libx.so"),
            ("/usr/lib/**/*.so", "usr/lib/libx.so"),
            ("/usr/**", "usr/bin/x"),
            ("/usr/lib/lib?.so*", "usr/lib/libx.so.1.2"),
            ("/**/*.h", "a.h"),
        ] {
            assert!(matches(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("/usr/include", "usr/included"),
            ("/usr/lib/*.a", "usr/lib/x/libx.a"),
            ("/usr/lib/*.a", "usr/lib/libx.so"),
            ("/usr/lib/**/*.so", "usr/lib/libx.so.1"),
            ("/usr/lib/lib?.so", "usr/lib/lib.so"),
            ("/usr/bin/x", "usr/bin"),
            ("/usr/**", "usr"),
        ] {
            assert!(!matches(pattern, path), "{pattern} {path}");
        }
        for wrong in ["", "usr", "/", "/usr//x", "/usr/../x", "/**/**/**"] {
            assert!(Glob::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
