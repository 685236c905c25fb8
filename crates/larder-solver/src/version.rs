//! Debian's versions: `[epoch:]upstream[-revision]`, ordered as in deb-version(7).

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use crate::ParseError;

/// A Debian version. Equality and order are Debian's: `1.0`, `0:1.0` and `1.00-0` are equal, though their texts differ.
#[derive(Clone, Debug)]
pub struct Version(String);

impl Version {
    /// Parses a version.
    ///
    /// # Errors
    /// [`ParseError::Version`] for an empty text, an epoch that is not a number below 2^31, an empty upstream version
    /// or revision, or a character outside `[A-Za-z0-9.+~-]` (and `:` after an epoch).
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        match problem(text) {
            None => Ok(Self(text.to_owned())),
            Some(problem) => Err(ParseError::Version { text: text.to_owned(), problem }),
        }
    }

    /// The text as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Version {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(&self.0, &other.0)
    }
}

/// What keeps `text` from being a version, if anything.
pub(crate) fn problem(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        return Some("it is empty");
    }
    let rest = match text.split_once(':') {
        None => text,
        Some((epoch, rest)) => {
            if epoch.is_empty() || !epoch.bytes().all(|b| b.is_ascii_digit()) {
                return Some("the epoch before ':' is not a number");
            }
            if epoch.parse::<i32>().is_err() {
                return Some("the epoch is too large");
            }
            rest
        }
    };
    let (upstream, revision) = split_revision(rest);
    if upstream.is_empty() {
        return Some("nothing stands before the revision");
    }
    if revision.is_some_and(str::is_empty) {
        return Some("the revision after '-' is empty");
    }
    let colon = text.len() != rest.len();
    let upstream_ok = |b: u8| b.is_ascii_alphanumeric() || b".+~-".contains(&b) || (colon && b == b':');
    if !upstream.bytes().all(upstream_ok) {
        return Some("it has a character that versions can't have");
    }
    let revision_ok = |b: u8| b.is_ascii_alphanumeric() || b".+~".contains(&b);
    if !revision.is_none_or(|r| r.bytes().all(revision_ok)) {
        return Some("the revision has a character that revisions can't have");
    }
    None
}

/// Compares two versions as dpkg does, without checking that they are well-formed: any two texts have an order, and
/// the order is total up to texts that Debian calls equal.
#[must_use]
pub fn compare(a: &str, b: &str) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    let (epoch_a, a) = split_epoch(a);
    let (epoch_b, b) = split_epoch(b);
    let (upstream_a, revision_a) = split_revision(a);
    let (upstream_b, revision_b) = split_revision(b);
    compare_digits(epoch_a.as_bytes(), epoch_b.as_bytes())
        .then_with(|| compare_part(upstream_a.as_bytes(), upstream_b.as_bytes()))
        .then_with(|| compare_part(revision_a.unwrap_or("").as_bytes(), revision_b.unwrap_or("").as_bytes()))
}

fn split_epoch(text: &str) -> (&str, &str) {
    match text.split_once(':') {
        Some((epoch, rest)) if !epoch.is_empty() && epoch.bytes().all(|b| b.is_ascii_digit()) => (epoch, rest),
        _ => ("", text),
    }
}

fn split_revision(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once('-') {
        Some((upstream, revision)) => (upstream, Some(revision)),
        None => (text, None),
    }
}

/// Numbers of any length: without leading zeros the longer is the larger.
fn compare_digits(a: &[u8], b: &[u8]) -> Ordering {
    let (a, b) = (strip_zeros(a), strip_zeros(b));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

fn strip_zeros(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().take_while(|b| **b == b'0').count();
    &digits[zeros..]
}

/// Upstream version or revision: runs of non-digits and of digits in turn.
fn compare_part(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        loop {
            let (x, y) = (weight(a.first()), weight(b.first()));
            match x.cmp(&y) {
                Ordering::Equal if x == 0 => break,
                Ordering::Equal => (a, b) = (&a[1..], &b[1..]),
                unequal => return unequal,
            }
        }
        let digits = |s: &[u8]| s.iter().take_while(|c| c.is_ascii_digit()).count();
        let (run_a, rest_a) = a.split_at(digits(a));
        let (run_b, rest_b) = b.split_at(digits(b));
        match compare_digits(run_a, run_b) {
            Ordering::Equal => (a, b) = (rest_a, rest_b),
            unequal => return unequal,
        }
    }
    Ordering::Equal
}

/// `~` sorts before the end of the text, which sorts with the digits; then letters, then everything else.
fn weight(byte: Option<&u8>) -> i32 {
    match byte {
        None | Some(b'0'..=b'9') => 0,
        Some(b'~') => -1,
        Some(b) if b.is_ascii_alphabetic() => i32::from(*b),
        Some(b) => i32::from(*b) + 256,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checked with dpkg 1.21; the pairs are of the kinds that dpkg's own tests, deb-version(7) and the archive have.
    const ORDERED: &[(&str, Ordering, &str)] = &[
        ("0", Ordering::Equal, "0"),
        ("0:0-0", Ordering::Equal, "0"),
        ("0:00", Ordering::Equal, "00"),
        ("1:2:3", Ordering::Greater, "1:2"),
        ("0:0", Ordering::Less, "1:0"),
        ("1:0", Ordering::Less, "2:0"),
        ("1.2.3", Ordering::Greater, "1.2.3-0~"),
        ("1.2.3", Ordering::Equal, "1.2.3-0"),
        ("1.2.3-1", Ordering::Greater, "1.2.3"),
        ("7.6p2-4", Ordering::Greater, "7.6-0"),
        ("1.0.3-3", Ordering::Greater, "1.0-1"),
        ("1.3", Ordering::Greater, "1.2.2-2"),
        ("1.3", Ordering::Greater, "1.2.2"),
        ("0-pre", Ordering::Equal, "0-pre"),
        ("0-pre", Ordering::Less, "0-pree"),
        ("1.1.6r2-2", Ordering::Greater, "1.1.6r-1"),
        ("2.6b2-1", Ordering::Greater, "2.6b-2"),
        ("98.1p5-1", Ordering::Less, "98.1-pre2-b6-2"),
        ("0.4a6-2", Ordering::Greater, "0.4-1"),
        ("1:3.0.5-2", Ordering::Less, "1:3.0.5.1"),
        ("0.00.0", Ordering::Equal, "0.0.0"),
        ("10.3", Ordering::Less, "10.03-pre"),
        ("1:0.4", Ordering::Greater, "10.3"),
        ("1:1.25-4", Ordering::Less, "1:1.25-8"),
        ("0:1.18.36", Ordering::Equal, "1.18.36"),
        ("2.7.4+reloaded2-13ubuntu1", Ordering::Less, "2.7.4+reloaded2-13+deb8u1"),
        ("1.0~~", Ordering::Less, "1.0~~a"),
        ("1.0~~a", Ordering::Less, "1.0~"),
        ("1.0~", Ordering::Less, "1.0"),
        ("1.0", Ordering::Less, "1.0a"),
        ("1.0a", Ordering::Less, "1.0+"),
        ("1.0-1+b1", Ordering::Greater, "1.0-1"),
        ("1.0-1", Ordering::Greater, "1.0-1~bpo12+1"),
        ("9", Ordering::Less, "10"),
        ("123456789012345678901234567890", Ordering::Less, "123456789012345678901234567891"),
        ("3.0.17-1~deb12u2", Ordering::Greater, "3.0.17-1~deb12u1"),
    ];

    #[test]
    fn known_pairs() {
        for (a, ordering, b) in ORDERED {
            assert_eq!(compare(a, b), *ordering, "{a} and {b}");
            assert_eq!(compare(b, a), ordering.reverse(), "{b} and {a}");
        }
    }

    #[test]
    fn good_texts() {
        for text in ["0", "1:2:3", "1.0-1", "2.7.4+reloaded2-13ubuntu1", "0~0-pre-1", "a1", "2147483647:1"] {
            assert_eq!(Version::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn bad_texts() {
        for (text, problem) in [
            ("", "it is empty"),
            (":1", "the epoch before ':' is not a number"),
            ("a:1", "the epoch before ':' is not a number"),
            ("-1:1", "the epoch before ':' is not a number"),
            ("2147483648:1", "the epoch is too large"),
            ("1:", "nothing stands before the revision"),
            ("-1", "nothing stands before the revision"),
            ("1-", "the revision after '-' is empty"),
            ("1 2", "it has a character that versions can't have"),
            ("1_2", "it has a character that versions can't have"),
            ("1-é", "the revision has a character that revisions can't have"),
        ] {
            let error = Version::parse(text).unwrap_err();
            assert_eq!(error, ParseError::Version { text: text.to_owned(), problem });
        }
    }

    #[test]
    fn equal_versions_may_differ_as_texts() {
        let (a, b): (Version, Version) = ("0:1.0-0".parse().unwrap(), "1.00".parse().unwrap());
        assert_eq!(a, b);
        assert_ne!(a.as_str(), b.as_str());
    }
}
