//! What differs between two builds of one package.

use std::collections::BTreeSet;
use std::fmt;
use std::io::Read;

use larder_store::{Entry, ObjectDigest, Store, Tree, TreeEntry, TreePath};

use crate::Result;

/// How many bytes of a difference are shown.
const SHOWN: usize = 24;

/// A path that two builds disagree about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Where.
    pub path: TreePath,
    /// How.
    pub how: How,
}

/// How two builds differ at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// Only the first has it.
    OnlyFirst,
    /// Only the second has it.
    OnlySecond,
    /// It is something else: a file, a folder, a link.
    Kind(&'static str, &'static str),
    /// Its mode differs.
    Mode(u16, u16),
    /// A link points elsewhere.
    Target(String, String),
    /// A file has other bytes.
    Content {
        /// The lengths.
        sizes: (u64, u64),
        /// Where they part.
        at: Parting,
    },
}

/// Where two files part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parting {
    /// The first byte that differs.
    pub offset: u64,
    /// What stands there in the first.
    pub first: Vec<u8>,
    /// And in the second.
    pub second: Vec<u8>,
}

/// Compares two trees, path by path.
///
/// # Errors
/// A content that can't be read.
pub(crate) fn compare(store: &Store, first: &Tree, second: &Tree) -> Result<Vec<Difference>> {
    let paths: BTreeSet<&TreePath> = first.entries().iter().chain(second.entries()).map(|entry| &entry.path).collect();
    let mut found = Vec::new();
    for path in paths {
        let how = match (first.get(path.as_bytes()), second.get(path.as_bytes())) {
            (Some(one), Some(two)) => differs(store, one, two)?,
            (Some(_), None) => Some(How::OnlyFirst),
            (None, _) => Some(How::OnlySecond),
        };
        found.extend(how.map(|how| Difference { path: path.clone(), how }));
    }
    Ok(found)
}

fn differs(store: &Store, one: &TreeEntry, two: &TreeEntry) -> Result<Option<How>> {
    Ok(match (&one.entry, &two.entry) {
        (Entry::File { digest: a, size: first, .. }, Entry::File { digest: b, size: second, .. }) if a != b => {
            Some(How::Content { sizes: (*first, *second), at: parting(store, a, b)? })
        }
        (Entry::Symlink { target: a }, Entry::Symlink { target: b }) if a != b => {
            let text = |target: &[u8]| String::from_utf8_lossy(target).into_owned();
            Some(How::Target(text(a), text(b)))
        }
        (a, b) if kind(a) != kind(b) => Some(How::Kind(kind(a), kind(b))),
        _ if one.mode() != two.mode() => Some(How::Mode(one.mode(), two.mode())),
        _ => None,
    })
}

fn kind(entry: &Entry) -> &'static str {
    match entry {
        Entry::Directory => "a folder",
        Entry::File { .. } => "a file",
        Entry::Symlink { .. } => "a link",
    }
}

fn parting(store: &Store, a: &ObjectDigest, b: &ObjectDigest) -> Result<Parting> {
    let read = |digest: &ObjectDigest| store.open_object(digest);
    let (mut first, mut second) = (read(a)?, read(b)?);
    let mut offset = 0_u64;
    let (mut one, mut two) = (Vec::new(), Vec::new());
    loop {
        let fill = |file: &mut std::fs::File, buffer: &mut Vec<u8>| -> Result<()> {
            buffer.clear();
            file.take(1 << 16).read_to_end(buffer).map_err(crate::Error::io("read", store.root()))?;
            Ok(())
        };
        fill(&mut first, &mut one)?;
        fill(&mut second, &mut two)?;
        let same = one.iter().zip(&two).take_while(|(a, b)| a == b).count();
        if same < one.len().max(two.len()) || one.is_empty() {
            let at = |buffer: &[u8]| buffer[same.min(buffer.len())..].iter().take(SHOWN).copied().collect();
            return Ok(Parting { offset: offset + same as u64, first: at(&one), second: at(&two) });
        }
        offset += same as u64;
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}: ", self.path)?;
        match &self.how {
            How::OnlyFirst => f.write_str("only the first build made it"),
            How::OnlySecond => f.write_str("only the second build made it"),
            How::Kind(one, two) => write!(f, "{one} in the first, {two} in the second"),
            How::Mode(one, two) => write!(f, "mode {one:04o} in the first, {two:04o} in the second"),
            How::Target(one, two) => write!(f, "points to {one:?} in the first, to {two:?} in the second"),
            How::Content { sizes: (one, two), at: Parting { offset, first, second } } => {
                if one == two {
                    write!(f, "both have {one} bytes")?;
                } else {
                    write!(f, "{one} bytes in the first, {two} in the second")?;
                }
                let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
                write!(f, "; from byte {offset} on \"{}\" and \"{}\"", text(first), text(second))
            }
        }
    }
}
