//! Layers of an OCI image, applied in order: OCI image specification, `layer.md`.
//!
//! Paths are strict: nothing is ever written through a link, into a file, or out of the root. What a layer removes (`.wh.NAME`, and
//! `.wh..wh..opq` for all that is in a directory) is removed from the layers below it, never from itself. Merged-/usr comes first, so that a layer that
//! writes to `/bin/x` over one with the link `/bin` writes to `/usr/bin/x`, as it did where it was made.

use std::io::Read;

use larder_debian::deb::Limits;
use larder_debian::deb::tar::{self, Header, Kind};
use larder_store::{Entry, ObjectDigest, TreePath};

use super::nodes::{
    CAPABILITY, Collected, Node, Nodes, Place, Who, check_alias, check_parents, check_privileges, place, remove_below,
};
use super::{ImportError, Privileges};
use crate::Error;

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Marks of aufs itself, which are no files of anybody's.
const META: &[u8] = b".wh..wh.";

/// Takes a content of the given size and gives its digest.
pub(super) type Sink<'a> = &'a mut dyn FnMut(&mut dyn Read, u64) -> Result<ObjectDigest, Error>;

/// The layers so far.
#[derive(Debug, Default)]
pub(super) struct Root {
    pub(super) nodes: Nodes,
    /// Top-level directories that weren't taken in.
    pub(super) left_out: Vec<String>,
}

/// One layer.
#[derive(Debug, Default)]
struct Layer {
    found: Collected,
    removed: Vec<TreePath>,
    emptied: Vec<TreePath>,
    hard_links: Vec<(TreePath, TreePath)>,
}

impl Root {
    /// Reads one unpacked layer and applies it.
    pub(super) fn apply(&mut self, layer: &mut dyn Read, privileges: Privileges, sink: Sink<'_>) -> Result<(), Error> {
        let mut read = Layer::default();
        let limits = Limits::default();
        tar::walk::<Error>(layer, "a layer", &limits, &mut |header, content| {
            self.entry(&mut read, header, content, privileges, sink)
        })?;
        Ok(self.merge(read)?)
    }

    fn entry(
        &mut self,
        layer: &mut Layer,
        header: &Header,
        content: &mut dyn Read,
        privileges: Privileges,
        sink: Sink<'_>,
    ) -> Result<(), Error> {
        if is_mark(&header.path)? {
            return Ok(mark(layer, header)?);
        }
        let path = match place(&header.path)? {
            Place::At(path) => path,
            Place::Root if header.kind == Kind::Directory => return Ok(()),
            Place::Root => return Err(ImportError::Alias { path: String::new() }.into()),
            Place::Alias => {
                let target = match &header.kind {
                    Kind::Directory => None,
                    Kind::Symlink(target) => Some(target.as_slice()),
                    _ => Some(&b""[..]),
                };
                return Ok(check_alias(&header.path, target)?);
            }
            Place::Reserved(path, _) if header.kind == Kind::Directory && path.parent().is_none() => {
                let line = format!("/{path}: the kernel or Larder makes it");
                if !self.left_out.contains(&line) {
                    self.left_out.push(line);
                }
                return Ok(());
            }
            Place::Reserved(path, top) => return Err(ImportError::Reserved { path, top }.into()),
        };
        let entry = match &header.kind {
            Kind::Special => return Err(ImportError::Special { path }.into()),
            Kind::HardLink(target) => {
                let target = target.strip_prefix(b"/").unwrap_or(target);
                let Place::At(target) = place(target)? else {
                    return Err(ImportError::Alias { path: String::from_utf8_lossy(target).into_owned() }.into());
                };
                layer.hard_links.push((path, target));
                return Ok(());
            }
            Kind::Directory => Entry::Directory,
            Kind::Symlink(target) => Entry::Symlink { target: target.as_slice().into() },
            Kind::File => {
                let digest = sink(content, header.size)?;
                Entry::File { digest, size: header.size, executable: header.mode & 0o100 != 0 }
            }
        };
        let kept = |name: &[u8]| name == CAPABILITY || name.starts_with(b"user.");
        let xattrs = header.xattrs.iter().filter(|(name, _)| kept(name));
        let node = Node {
            entry,
            mode: header.mode,
            owner: Who { id: header.uid, name: header.owner.clone() },
            group: Who { id: header.gid, name: header.group.clone() },
            xattrs: xattrs.map(|(name, value)| (name.clone(), value.clone())).collect(),
        };
        check_privileges(&path, &node.entry, node.mode, &node.xattrs, privileges)?;
        Ok(layer.found.add(path, node)?)
    }

    /// Puts a layer over those below it.
    fn merge(&mut self, layer: Layer) -> Result<(), ImportError> {
        for path in &layer.emptied {
            remove_below(&mut self.nodes, path);
        }
        for path in &layer.removed {
            remove_below(&mut self.nodes, path);
            self.nodes.remove(path);
        }
        for (path, node) in layer.found.nodes {
            self.put(path, node)?;
        }
        for (path, target) in layer.hard_links {
            match self.nodes.get(&target) {
                Some(node @ Node { entry: Entry::File { .. }, .. }) => {
                    let node = node.clone();
                    self.put(path, node)?;
                }
                _ => return Err(ImportError::HardLink { path, target }),
            }
        }
        if self.nodes.len() > larder_store::tree::MAX_ENTRIES {
            let entries = self.nodes.len() as u64;
            return Err(larder_store::tree::TreeError::TooManyEntries { entries }.into());
        }
        Ok(())
    }

    fn put(&mut self, path: TreePath, node: Node) -> Result<(), ImportError> {
        check_parents(&self.nodes, &path)?;
        let stays = |there: &Node| there.entry == Entry::Directory && node.entry == Entry::Directory;
        if self.nodes.get(&path).is_some_and(|there| !stays(there)) {
            remove_below(&mut self.nodes, &path);
        }
        self.nodes.insert(path, node);
        Ok(())
    }
}

/// Whether an entry marks something as removed. Nothing can be in a directory of such a name.
fn is_mark(raw: &[u8]) -> Result<bool, ImportError> {
    let path = raw.strip_suffix(b"/").unwrap_or(raw);
    let mut parts = path.rsplit(|&b| b == b'/');
    let last = parts.next().unwrap_or_default();
    if parts.any(|part| part.starts_with(WHITEOUT)) {
        return Err(wrong(raw, "a directory can't be such a mark"));
    }
    Ok(last.starts_with(WHITEOUT))
}

fn mark(layer: &mut Layer, header: &Header) -> Result<(), ImportError> {
    let raw = header.path.as_slice();
    if header.kind != Kind::File || raw.ends_with(b"/") {
        return Err(wrong(raw, "it is no file"));
    }
    let (parent, name) = match raw.iter().rposition(|&b| b == b'/') {
        Some(slash) => (&raw[..=slash], &raw[slash + 1..]),
        None => (&b""[..], raw),
    };
    if name == OPAQUE {
        match place(parent)? {
            Place::At(path) => layer.emptied.push(path),
            Place::Alias | Place::Root | Place::Reserved(..) => {
                return Err(wrong(raw, "nothing below it can be removed at once"));
            }
        }
        return Ok(());
    }
    if name.starts_with(META) {
        return Ok(());
    }
    let removed = &name[WHITEOUT.len()..];
    if removed.is_empty() {
        return Err(wrong(raw, "it names nothing"));
    }
    match place(&[parent, removed].concat())? {
        Place::At(path) => layer.removed.push(path),
        // Where the link was removed there is nothing to do: a composer makes it.
        Place::Reserved(..) => {}
        Place::Root | Place::Alias => return Err(wrong(raw, "what it names can't be removed")),
    }
    Ok(())
}

fn wrong(raw: &[u8], reason: &'static str) -> ImportError {
    ImportError::Whiteout { path: String::from_utf8_lossy(raw).into_owned(), reason }
}
