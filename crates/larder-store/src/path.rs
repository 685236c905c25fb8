//! Paths inside a Tree: relative, raw bytes, already normal.

use std::borrow::Borrow;
use std::fmt;

use thiserror::Error;

/// The longest path, in bytes (Linux's `PATH_MAX` less the leading slash and the NUL).
pub const MAX_PATH: usize = 4094;
/// The longest component, in bytes (Linux's `NAME_MAX`).
pub const MAX_COMPONENT: usize = 255;
/// The largest number of components.
pub const MAX_DEPTH: usize = 128;

/// Why some bytes are not a [`TreePath`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{:?} can't be a path in a tree: {reason}", String::from_utf8_lossy(path))]
pub struct PathError {
    /// The bytes as they were given.
    pub path: Vec<u8>,
    /// The rule that they break.
    pub reason: &'static str,
}

/// A path inside a Tree: no leading or trailing slash, no empty component, no `.` or `..`, no NUL, within the limits.
///
/// The order is that of the raw bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreePath(Box<[u8]>);

impl TreePath {
    /// Accepts bytes that are already normal.
    ///
    /// # Errors
    /// Everything else; nothing is repaired silently.
    pub fn new(path: impl Into<Vec<u8>>) -> Result<Self, PathError> {
        let path = path.into();
        match Self::broken_rule(&path) {
            None => Ok(Self(path.into_boxed_slice())),
            Some(reason) => Err(PathError { path, reason }),
        }
    }

    fn broken_rule(path: &[u8]) -> Option<&'static str> {
        if path.is_empty() {
            return Some("it is empty");
        }
        if path.len() > MAX_PATH {
            return Some("it is longer than 4094 bytes");
        }
        if path.contains(&0) {
            return Some("it contains a NUL byte");
        }
        if path[0] == b'/' {
            return Some("it is absolute");
        }
        let mut depth = 0;
        for component in path.split(|&b| b == b'/') {
            depth += 1;
            match component {
                b"" => return Some("it has an empty component"),
                b"." | b".." => return Some("it has a `.` or `..` component"),
                _ if component.len() > MAX_COMPONENT => return Some("a component is longer than 255 bytes"),
                _ => {}
            }
        }
        (depth > MAX_DEPTH).then_some("it is nested deeper than 128 levels")
    }

    /// The raw bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The last component.
    pub fn file_name(&self) -> &[u8] {
        self.0.rsplit(|&b| b == b'/').next().unwrap_or(&self.0)
    }

    /// The path without its last component; `None` at the top level.
    pub fn parent(&self) -> Option<Self> {
        let end = self.0.iter().rposition(|&b| b == b'/')?;
        Some(Self(self.0[..end].into()))
    }

    /// All proper ancestors, the nearest first.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> {
        std::iter::successors(self.parent(), Self::parent)
    }

    /// This path below another.
    ///
    /// # Errors
    /// When the result is longer or deeper than a path may be.
    pub fn below(&self, base: &Self) -> Result<Self, PathError> {
        Self::new([base.as_bytes(), b"/", self.as_bytes()].concat())
    }

    /// Whether this path lies strictly below `base`.
    pub fn is_below(&self, base: &[u8]) -> bool {
        self.0.len() > base.len() && self.0.starts_with(base) && self.0[base.len()] == b'/'
    }
}

impl TryFrom<&str> for TreePath {
    type Error = PathError;

    fn try_from(path: &str) -> Result<Self, PathError> {
        Self::new(path)
    }
}

impl Borrow<[u8]> for TreePath {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        String::from_utf8_lossy(&self.0).fmt(f)
    }
}

impl fmt::Debug for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_normal_relative_paths_are_paths() {
        for good in ["a", "a/b", "...", "a/..b", "usr/share/é"] {
            assert_eq!(TreePath::try_from(good).expect(good).as_bytes(), good.as_bytes());
        }
        for bad in ["", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/.", "a\0b"] {
            assert!(TreePath::try_from(bad).is_err(), "{bad:?}");
        }
        assert!(TreePath::new(vec![b'a'; 256]).is_err());
        assert!(TreePath::new("a/".repeat(128) + "a").is_err());
    }

    #[test]
    fn parents_stop_at_the_top() {
        let path = TreePath::try_from("a/b/c").expect("path");
        let names: Vec<_> = path.ancestors().map(|p| p.to_string()).collect();
        assert_eq!(names, ["a/b", "a"]);
        assert!(path.is_below(b"a/b") && !path.is_below(b"a/b/c") && !path.is_below(b"a/"));
    }
}
