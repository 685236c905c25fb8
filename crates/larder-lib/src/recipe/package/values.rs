//! The values of a package's recipe, each parsed into a type that can't be wrong.

use std::fmt;
use std::time::Duration;

use larder_solver::{Relation, Root, Version, parse_root};
use larder_store::{Name, Sha256Digest, TreePath};

use super::super::values::ValueError;
use super::Glob;

/// Folders of a container's root in which Larder or the kernel puts something.
pub(crate) const RESERVED: &[&str] = &["dev", "packages", "proc", "run", "sys", "tmp"];
/// Debian's other names of folders below `/usr`.
pub(crate) const ALIASES: &[&str] = &["bin", "lib", "lib32", "lib64", "libo32", "libx32", "sbin"];

/// What a package says about another: its full name, and what its version must meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// The other's full name.
    pub name: Name,
    /// All of these must be met; empty for any version.
    pub constraints: Vec<(Relation, Version)>,
}

impl Requirement {
    /// As records have it: Debian's syntax, one constraint a part.
    pub fn parts(&self) -> Vec<String> {
        match self.constraints.as_slice() {
            [] => vec![self.name.to_string()],
            all => all.iter().map(|(relation, version)| format!("{} ({relation} {version})", self.name)).collect(),
        }
    }

    /// Reads one part as records have it; a short name is of the domain of `owner`.
    pub fn from_part(owner: &Name, part: &str) -> Option<Self> {
        let (name, constraint) = part.split_once(" (").map_or((part, ""), |(name, rest)| (name, rest));
        let constraint = constraint.strip_suffix(')').unwrap_or(constraint);
        let domain = if name.contains('/') { String::new() } else { format!("{}/", owner.domain()) };
        requirement(&format!("{domain}{name} {constraint}")).ok()
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.parts().join(", "))
    }
}

/// Reads `debian.org/libc6 >=2.36`.
pub(super) fn requirement(text: &str) -> Result<Requirement, ValueError> {
    let trimmed = text.trim();
    let end = trimmed.find(|c: char| c.is_whitespace() || "<>=,(".contains(c)).unwrap_or(trimmed.len());
    let (name, rest) = trimmed.split_at(end);
    let rule = |rule| ValueError::Rule {
        text: text.to_owned(),
        what: "a package by its full name",
        rule,
        example: "\"debian.org/libc6\" or \"debian.org/libc6 >=2.36\"",
    };
    if !name.contains('/') {
        return Err(rule("whose package it is isn't said"));
    }
    let name = Name::parse(name).map_err(|error| rule(error.reason))?;
    // The constraints are those of a root, whose own name doesn't matter here.
    let mut constraints = parse_root(&format!("x {rest}"))?.constraints;
    constraints.sort_by_cached_key(|(relation, version)| (version.to_string(), relation.as_str()));
    constraints.dedup();
    Ok(Requirement { name, constraints })
}

/// A name that nobody else gives.
pub(super) fn package_name(text: &str) -> Result<Name, ValueError> {
    super::super::values::own_name(text)
}

/// One line of text.
pub(super) fn line(text: &str) -> Result<String, ValueError> {
    let wrong = |rule| ValueError::Rule {
        text: text.to_owned(),
        what: "one line of text",
        rule,
        example: "\"A friendly greeting\"",
    };
    match text.trim() {
        "" => Err(ValueError::Empty),
        text if text.contains(char::is_control) => Err(wrong("it has a line end or another control character in it")),
        text => Ok(text.to_owned()),
    }
}

/// A command for the shell.
pub(super) fn script(text: &str) -> Result<String, ValueError> {
    match text.trim() {
        "" => Err(ValueError::Empty),
        _ if text.contains('\0') => Err(ValueError::Nul),
        _ => Ok(text.to_owned()),
    }
}

/// An address of a page.
pub(in super::super) fn address(text: &str) -> Result<String, ValueError> {
    fetched(text, &["https://", "http://"], "\"https://example.com/hello\"")
}

/// An address of a file to fetch.
pub(super) fn file_address(text: &str) -> Result<String, ValueError> {
    fetched(text, &["https://", "http://", "file:///"], "\"https://example.com/hello-2.12.1.tar.gz\"")
}

/// An address of a git repository. Those that would run a program of the host are none.
pub(super) fn git_address(text: &str) -> Result<String, ValueError> {
    fetched(text, &["https://", "http://", "file:///"], "\"https://example.com/hello.git\"")
}

fn fetched(text: &str, schemes: &[&str], example: &'static str) -> Result<String, ValueError> {
    let wrong = |rule| ValueError::Rule { text: text.to_owned(), what: "an address", rule, example };
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(wrong("it has white space or a control character in it"));
    }
    match schemes.iter().any(|scheme| text.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty())) {
        true => Ok(text.to_owned()),
        false => Err(wrong("it begins with none of the schemes that are fetched")),
    }
}

/// A SHA-256 in 64 hexadecimal digits, with or without `sha256:`.
pub(super) fn sha256(text: &str) -> Result<Sha256Digest, ValueError> {
    let full = if text.starts_with("sha256:") { text.to_owned() } else { format!("sha256:{text}") };
    full.parse().map_err(|_| ValueError::Rule {
        text: text.to_owned(),
        what: "a SHA-256",
        rule: "it is 64 hexadecimal digits in lower case",
        example: "the output of `sha256sum FILE`",
    })
}

/// A source package of Debian's with what its version must meet: `hello`, or `hello =2.10-3`.
pub(super) fn source_package(text: &str) -> Result<Root, ValueError> {
    let root = parse_root(text)?;
    match root.name.contains('/') {
        false => Ok(root),
        true => Err(ValueError::Rule {
            text: text.to_owned(),
            what: "a source package",
            rule: "its name has no domain: it is one of the suite's in `from`",
            example: "\"hello\" or \"hello =2.10-3\"",
        }),
    }
}

/// A whole commit hash, of SHA-1 or SHA-256. A shorter one, a tag or a branch can mean something else tomorrow.
pub(super) fn commit(text: &str) -> Result<String, ValueError> {
    let hex = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    match hex && matches!(text.len(), 40 | 64) {
        true => Ok(text.to_owned()),
        false => Err(ValueError::Rule {
            text: text.to_owned(),
            what: "a commit",
            rule: "it is all 40 or 64 hexadecimal digits of its hash; names and beginnings can mean something else tomorrow",
            example: "the output of `git rev-parse HEAD`",
        }),
    }
}

/// `90s`, `30m`, `2h`, or seconds.
pub(super) fn duration(text: &str) -> Result<Duration, ValueError> {
    let wrong = || ValueError::Rule {
        text: text.to_owned(),
        what: "a time",
        rule: "it is a number with s, m or h, from one second to a week",
        example: "\"90s\", \"30m\" or \"2h\"",
    };
    let (digits, unit) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(digits) => (digits, &text[digits.len()..]),
        None => (text, "s"),
    };
    let unit = match unit {
        "h" => 3600,
        "m" => 60,
        _ => 1,
    };
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let seconds = digits.parse::<u64>().ok().filter(|_| plain).and_then(|number| number.checked_mul(unit));
    seconds.filter(|seconds| (1..=604_800).contains(seconds)).map(Duration::from_secs).ok_or_else(wrong)
}

fn named(
    good: bool,
    text: &str,
    what: &'static str,
    (rule, example): (&'static str, &'static str),
) -> Result<String, ValueError> {
    match good {
        true => Ok(text.to_owned()),
        false => Err(ValueError::Rule { text: text.to_owned(), what, rule, example }),
    }
}

/// The end of a split's name.
pub(super) fn split_end(text: &str) -> Result<(), ValueError> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    match !text.is_empty() && text.len() <= 32 && text.bytes().all(plain) && !text.starts_with('-') {
        true => Ok(()),
        false => Err(ValueError::Rule {
            text: text.to_owned(),
            what: "the end of a package's name",
            rule: "it is 1 to 32 of a-z, 0-9 and -",
            example: "[split.dev]",
        }),
    }
}

pub(super) fn glob(text: &str) -> Result<Glob, ValueError> {
    Glob::parse(text).map_err(|rule| ValueError::Rule {
        text: text.to_owned(),
        what: "a pattern of paths",
        rule,
        example: "\"/usr/include\" or \"/usr/lib/**/*.a\"",
    })
}

/// An absolute path in the container.
pub(super) fn path(text: &str) -> Result<TreePath, ValueError> {
    let wrong =
        |rule| ValueError::Rule { text: text.to_owned(), what: "a path", rule, example: "\"/etc/hello/hello.conf\"" };
    let path = text.strip_prefix('/').ok_or_else(|| wrong("it doesn't begin with a slash"))?;
    TreePath::try_from(path).map_err(|error| wrong(error.reason))
}

/// Where a package may put something into a container's root.
pub(super) fn place(text: &str) -> Result<TreePath, ValueError> {
    let place = path(text)?;
    let top = place.as_bytes().split(|&b| b == b'/').next().unwrap_or_default();
    let is_one_of = |names: &[&str]| names.iter().any(|name| name.as_bytes() == top);
    let rule = if is_one_of(ALIASES) {
        "that folder is only another name of one below /usr"
    } else if is_one_of(RESERVED) {
        "that folder belongs to Larder or the kernel"
    } else {
        return Ok(place);
    };
    let (text, what, example) = (text.to_owned(), "a place for a package's files", "\"/usr/bin/hi\"");
    Err(ValueError::Rule { text, what, rule, example })
}

/// What a symbolic link points to.
pub(super) fn link_target(text: &str) -> Result<String, ValueError> {
    match text {
        "" => Err(ValueError::Empty),
        _ if text.contains('\0') => Err(ValueError::Nul),
        _ if text.len() > larder_store::tree::MAX_TARGET => Err(ValueError::Rule {
            text: text.to_owned(),
            what: "the target of a link",
            rule: "it is longer than 4095 bytes",
            example: "\"../lib/hello/hello\"",
        }),
        _ => Ok(text.to_owned()),
    }
}

/// The name of an alternative, which becomes a file name in `/etc/alternatives`.
pub(super) fn alternative(text: &str) -> Result<String, ValueError> {
    let bad = |c: char| c == '/' || c.is_control() || c.is_whitespace();
    let good = !text.is_empty() && text.len() <= 255 && !text.starts_with('.') && !text.contains(bad);
    let rule = "it is 1 to 255 bytes without slashes and white space, and doesn't begin with a dot";
    named(good, text, "the name of an alternative", (rule, "\"editor\""))
}

/// The name of a user or group.
pub(super) fn account(text: &str) -> Result<String, ValueError> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_');
    let rule = "it is 1 to 32 of a-z, 0-9, _ and -, beginning with a letter or _";
    named(first && text.len() <= 32 && text.bytes().all(plain), text, "the name of a user", (rule, "\"hello\""))
}

/// A field of a line of `/etc/passwd`.
pub(super) fn field(text: &str) -> Result<String, ValueError> {
    let good = !text.contains(|c: char| c == ':' || c.is_control());
    named(good, text, "a field of a user", ("it has a colon or a control character in it", "\"/var/lib/hello\""))
}
