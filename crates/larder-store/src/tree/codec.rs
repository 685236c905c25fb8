//! The Tree's bytes: deterministic CBOR (RFC 8949, section 4.2).
//!
//! ```text
//! tree       = [1, [*entry], {*(index => attributes)}]     ; 1 is the version; sorted by raw path bytes
//! entry      = [path, 0]                                   ; directory
//!            / [path, 1, digest, size, executable]         ; file: 32 bytes, uint, bool
//!            / [path, 2, target]                           ; symlink
//! attributes = {? 0 => mode, ? 1 => owner, ? 2 => group, ? 3 => {+(name => value)}}
//! ```
//!
//! Paths, targets, attribute names and values are byte strings, owners' names are text. The decoder takes nothing on
//! trust: a count is compared with the bytes that are left before anything is allocated for it, and at the end the
//! whole is encoded again and compared, so that exactly one byte sequence stands for a Tree.

use std::convert::Infallible;

use minicbor::{Decoder, Encoder};

use super::{Attributes, Entry, MAX_ENCODED, MAX_ENTRIES, MAX_XATTRS, Tree, TreeEntry, TreeError};
use crate::{ObjectDigest, TreePath};

const VERSION: u8 = 1;

const DIRECTORY: u8 = 0;
const FILE: u8 = 1;
const SYMLINK: u8 = 2;

const MODE: u8 = 0;
const OWNER: u8 = 1;
const GROUP: u8 = 2;
const XATTRS: u8 = 3;

/// The fewest bytes that an entry takes: an array's head, a path of one byte with its head, a kind.
const SMALLEST_ENTRY: usize = 4;

type Encoded = Result<(), minicbor::encode::Error<Infallible>>;

impl Tree {
    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::new(Vec::with_capacity(self.entries.len() * 80 + 16));
        // Writing into memory has no error to return.
        write_tree(&mut out, &self.entries).expect("writing into memory");
        out.into_writer()
    }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// Any byte sequence that [`encode`](Self::encode) doesn't return for some Tree.
    pub fn decode(bytes: &[u8]) -> Result<Self, TreeError> {
        if bytes.len() > MAX_ENCODED {
            return Err(TreeError::TooLarge { bytes: bytes.len() as u64 });
        }
        let mut input = Input { decoder: Decoder::new(bytes) };
        let entries = input.tree()?;
        if input.decoder.position() != bytes.len() {
            return Err(input.wrong("something follows the tree"));
        }
        let tree = Self::from_sorted(entries)?;
        let again = tree.encode();
        if again == bytes {
            return Ok(tree);
        }
        let position = again.iter().zip(bytes).take_while(|(ours, theirs)| ours == theirs).count();
        Err(TreeError::Encoding { position, reason: "it is not in canonical form" })
    }
}

fn write_tree(out: &mut Encoder<Vec<u8>>, entries: &[TreeEntry]) -> Encoded {
    out.array(3)?.u8(VERSION)?.array(entries.len() as u64)?;
    for entry in entries {
        write_entry(out, entry)?;
    }
    let differing = entries.iter().filter(|e| !e.attributes.is_default()).count();
    out.map(differing as u64)?;
    for (index, entry) in entries.iter().enumerate() {
        if !entry.attributes.is_default() {
            out.u64(index as u64)?;
            write_attributes(out, &entry.attributes)?;
        }
    }
    Ok(())
}

fn write_entry(out: &mut Encoder<Vec<u8>>, TreeEntry { path, entry, .. }: &TreeEntry) -> Encoded {
    match entry {
        Entry::Directory => out.array(2)?.bytes(path.as_bytes())?.u8(DIRECTORY)?,
        Entry::File { digest, size, executable } => {
            out.array(5)?.bytes(path.as_bytes())?.u8(FILE)?.bytes(digest.as_bytes())?.u64(*size)?.bool(*executable)?
        }
        Entry::Symlink { target } => out.array(3)?.bytes(path.as_bytes())?.u8(SYMLINK)?.bytes(target)?,
    };
    Ok(())
}

fn write_attributes(out: &mut Encoder<Vec<u8>>, Attributes { mode, owner, group, xattrs }: &Attributes) -> Encoded {
    let keys = [mode.is_some(), owner.is_some(), group.is_some(), !xattrs.is_empty()];
    out.map(keys.into_iter().filter(|&there| there).count() as u64)?;
    if let Some(mode) = mode {
        out.u8(MODE)?.u16(*mode)?;
    }
    if let Some(owner) = owner {
        out.u8(OWNER)?.str(owner)?;
    }
    if let Some(group) = group {
        out.u8(GROUP)?.str(group)?;
    }
    if !xattrs.is_empty() {
        // Keys are in the order of their encoded bytes: a shorter one has a smaller head.
        let mut sorted: Vec<_> = xattrs.iter().collect();
        sorted.sort_by_key(|(name, _)| (name.len(), *name));
        out.u8(XATTRS)?.map(sorted.len() as u64)?;
        for (name, value) in sorted {
            out.bytes(name)?.bytes(value)?;
        }
    }
    Ok(())
}

/// A decoder that turns every failure into a position and a reason.
struct Input<'b> {
    decoder: Decoder<'b>,
}

impl<'b> Input<'b> {
    fn wrong(&self, reason: &'static str) -> TreeError {
        TreeError::Encoding { position: self.decoder.position(), reason }
    }

    fn tree(&mut self) -> Result<Vec<TreeEntry>, TreeError> {
        if self.array("the tree must be an array")? != 3 {
            return Err(self.wrong("the tree must be an array of three"));
        }
        if self.uint("the version must be an integer")? != u64::from(VERSION) {
            return Err(self.wrong("the version is not 1"));
        }
        let count = self.array("the entries must be an array")?;
        if count > MAX_ENTRIES as u64 {
            return Err(TreeError::TooManyEntries { entries: count });
        }
        let left = self.decoder.input().len().saturating_sub(self.decoder.position());
        let count = count as usize;
        if count > left / SMALLEST_ENTRY {
            return Err(self.wrong("there are fewer bytes than the entries need"));
        }
        let mut entries = Vec::with_capacity(count);
        for _ in 0..count {
            entries.push(self.entry()?);
        }
        self.side_map(&mut entries)?;
        Ok(entries)
    }

    fn entry(&mut self) -> Result<TreeEntry, TreeError> {
        let fields = self.array("an entry must be an array")?;
        let path = TreePath::new(self.bytes("a path must be a byte string")?)?;
        let kind = self.uint("an entry's kind must be an integer")?;
        let entry = match (u8::try_from(kind).unwrap_or(u8::MAX), fields) {
            (DIRECTORY, 2) => Entry::Directory,
            (FILE, 5) => {
                let digest = self.bytes("a digest must be a byte string")?;
                let digest = digest.try_into().map_err(|_| self.wrong("a digest must have 32 bytes"))?;
                let size = self.uint("a size must be an integer")?;
                let executable = self.decoder.bool().map_err(|_| self.wrong("`executable` must be a bool"))?;
                Entry::File { digest: ObjectDigest::from_bytes(digest), size, executable }
            }
            (SYMLINK, 3) => Entry::Symlink { target: self.bytes("a link target must be a byte string")?.into() },
            (DIRECTORY | FILE | SYMLINK, _) => return Err(self.wrong("an entry has too many or too few fields")),
            _ => return Err(self.wrong("an entry's kind must be 0, 1 or 2")),
        };
        Ok(TreeEntry { path, entry, attributes: Attributes::default() })
    }

    fn side_map(&mut self, entries: &mut [TreeEntry]) -> Result<(), TreeError> {
        let count = self.map("the attributes must be a map")?;
        let mut next = 0;
        for _ in 0..count {
            let index = self.uint("an index must be an integer")?;
            if index < next {
                return Err(self.wrong("the indexes of the attributes are not sorted"));
            }
            next = index.saturating_add(1);
            let attributes = self.attributes()?;
            let entry = usize::try_from(index).ok().and_then(|index| entries.get_mut(index));
            match entry {
                Some(entry) => entry.attributes = attributes,
                None => return Err(self.wrong("attributes belong to no entry")),
            }
        }
        Ok(())
    }

    fn attributes(&mut self) -> Result<Attributes, TreeError> {
        let mut attributes = Attributes::default();
        let count = self.map("an entry's attributes must be a map")?;
        let mut next = 0;
        for _ in 0..count {
            let key = self.uint("an attribute's key must be an integer")?;
            if key < next {
                return Err(self.wrong("the keys of attributes are not sorted"));
            }
            next = key.saturating_add(1);
            match u8::try_from(key).unwrap_or(u8::MAX) {
                MODE => {
                    let mode = self.uint("a mode must be an integer")?;
                    attributes.mode = Some(u16::try_from(mode).map_err(|_| self.wrong("a mode is beyond 7777"))?);
                }
                OWNER => attributes.owner = Some(self.text("an owner must be text")?),
                GROUP => attributes.group = Some(self.text("a group must be text")?),
                XATTRS => self.xattrs(&mut attributes)?,
                _ => return Err(self.wrong("an attribute's key must be 0, 1, 2 or 3")),
            }
        }
        Ok(attributes)
    }

    fn xattrs(&mut self, attributes: &mut Attributes) -> Result<(), TreeError> {
        let count = self.map("extended attributes must be a map")?;
        if count > MAX_XATTRS as u64 {
            return Err(self.wrong("there are more than 64 extended attributes"));
        }
        for _ in 0..count {
            let name = self.bytes("an extended attribute's name must be a byte string")?;
            let value = self.bytes("an extended attribute's value must be a byte string")?;
            if attributes.xattrs.insert(name.into(), value.into()).is_some() {
                return Err(self.wrong("an extended attribute stands twice"));
            }
        }
        Ok(())
    }

    fn array(&mut self, reason: &'static str) -> Result<u64, TreeError> {
        let length = self.decoder.array().map_err(|_| self.wrong(reason))?;
        length.ok_or_else(|| self.wrong("an array must have a definite length"))
    }

    fn map(&mut self, reason: &'static str) -> Result<u64, TreeError> {
        let length = self.decoder.map().map_err(|_| self.wrong(reason))?;
        length.ok_or_else(|| self.wrong("a map must have a definite length"))
    }

    fn uint(&mut self, reason: &'static str) -> Result<u64, TreeError> {
        self.decoder.u64().map_err(|_| self.wrong(reason))
    }

    fn bytes(&mut self, reason: &'static str) -> Result<&'b [u8], TreeError> {
        self.decoder.bytes().map_err(|_| self.wrong(reason))
    }

    fn text(&mut self, reason: &'static str) -> Result<String, TreeError> {
        self.decoder.str().map(str::to_owned).map_err(|_| self.wrong(reason))
    }
}
