//! A view's listing as bytes: on its way from the launcher (which can ask the store) to the supervisor (which makes the view), and in
//! the artefact of a way that lists files anew at each mount.
//!
//! Numbers in native order, texts with their length before them. The form has no version: on its way both sides are one binary, and
//! the name of an artefact that holds it changes with it.

use super::{RootAttributes, ViewEntry, ViewKind, ViewTree};
use crate::error::RuntimeError;

/// Writes a listing.
pub(crate) fn encode(tree: &ViewTree) -> Vec<u8> {
    let mut out = Vec::with_capacity(tree.entries().len() * 128 + 64);
    let root = tree.root();
    attributes(&mut out, root.mode, root.uid, root.gid, root.mtime);
    out.extend((tree.read_only().len() as u32).to_ne_bytes());
    for name in tree.read_only() {
        text(&mut out, name);
    }
    for entry in tree.entries() {
        text(&mut out, &entry.path);
        match &entry.kind {
            ViewKind::Directory => out.push(b'd'),
            ViewKind::File { object, size } => {
                out.push(b'f');
                out.extend(object);
                out.extend(size.to_ne_bytes());
            }
            ViewKind::Symlink { target } => {
                out.push(b'l');
                text(&mut out, target);
            }
        }
        attributes(&mut out, entry.mode, entry.uid, entry.gid, entry.mtime);
        out.extend((entry.xattrs.len() as u32).to_ne_bytes());
        for (name, value) in &entry.xattrs {
            text(&mut out, name);
            text(&mut out, value);
        }
    }
    out
}

fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u32).to_ne_bytes());
    out.extend(bytes);
}

fn attributes(out: &mut Vec<u8>, mode: u16, uid: u32, gid: u32, mtime: u64) {
    out.extend(mode.to_ne_bytes());
    out.extend(uid.to_ne_bytes());
    out.extend(gid.to_ne_bytes());
    out.extend(mtime.to_ne_bytes());
}

/// Reads a listing, and checks it as any other.
pub(crate) fn decode(bytes: &[u8]) -> Result<ViewTree, RuntimeError> {
    let mut reader = Reader(bytes);
    let cut = || RuntimeError::ListingCut;
    let (mode, uid, gid, mtime) = reader.attributes().ok_or_else(cut)?;
    let root = RootAttributes { mode, uid, gid, mtime };
    let read_only = reader.names().ok_or_else(cut)?;
    let mut entries = Vec::new();
    while !reader.0.is_empty() {
        entries.push(reader.entry().ok_or_else(cut)?);
    }
    Ok(ViewTree::new(root, entries)?.with_read_only(read_only))
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*first)
    }

    fn text(&mut self) -> Option<Vec<u8>> {
        let length = u32::from_ne_bytes(self.take()?) as usize;
        let (first, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(first.to_vec())
    }

    fn attributes(&mut self) -> Option<(u16, u32, u32, u64)> {
        Some((
            u16::from_ne_bytes(self.take()?),
            u32::from_ne_bytes(self.take()?),
            u32::from_ne_bytes(self.take()?),
            u64::from_ne_bytes(self.take()?),
        ))
    }

    fn names(&mut self) -> Option<Vec<Vec<u8>>> {
        let count = u32::from_ne_bytes(self.take()?);
        (0..count).map(|_| self.text()).collect()
    }

    fn entry(&mut self) -> Option<ViewEntry> {
        let path = self.text()?;
        let kind = match self.take::<1>()? {
            [b'd'] => ViewKind::Directory,
            [b'f'] => ViewKind::File { object: self.take()?, size: u64::from_ne_bytes(self.take()?) },
            [b'l'] => ViewKind::Symlink { target: self.text()? },
            _ => return None,
        };
        let (mode, uid, gid, mtime) = self.attributes()?;
        let count = u32::from_ne_bytes(self.take()?);
        let mut xattrs = Vec::new();
        for _ in 0..count {
            xattrs.push((self.text()?, self.text()?));
        }
        Some(ViewEntry { path, kind, mode, uid, gid, mtime, xattrs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_survives_the_way() {
        let entry = |path: &[u8], kind, xattrs| ViewEntry {
            path: path.to_vec(),
            kind,
            mode: 0o755,
            uid: 1,
            gid: 2,
            mtime: 3,
            xattrs,
        };
        let tree = ViewTree::new(
            RootAttributes { mode: 0o755, uid: 0, gid: 0, mtime: 9 },
            vec![
                entry(b"a", ViewKind::Directory, vec![]),
                entry(b"a/\xff", ViewKind::File { object: [7; 32], size: 5 }, vec![(b"user.x".to_vec(), vec![0, 1])]),
                entry(b"l", ViewKind::Symlink { target: b"a".to_vec() }, vec![]),
            ],
        )
        .unwrap()
        .with_read_only([b"usr".to_vec(), b"opt".to_vec()]);
        let bytes = encode(&tree);
        assert_eq!(decode(&bytes).unwrap(), tree);
        assert!(decode(&bytes[..bytes.len() - 1]).is_err());
    }
}
