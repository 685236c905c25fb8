//! The extended attributes of an image: which inodes keep theirs behind themselves, and which refer to ones that are kept once.
//!
//! Every file has `trusted.overlay.metacopy`, which is kept once. A `trusted.overlay.redirect` is kept with the inode, in the page that is
//! read anyway, unless another inode leads to the same object.

use std::collections::HashMap;

use super::format::{ATTRIBUTE_HEAD, ATTRIBUTES_HEAD, Format, attributes_head, filter_bit, put};

const USER: u8 = 1;
const TRUSTED: u8 = 4;
const SECURITY: u8 = 6;
const METACOPY: &[u8] = b"overlay.metacopy";
const REDIRECT: &[u8] = b"overlay.redirect";
const OPAQUE: &[u8] = b"overlay.opaque";
/// The first, and only, of an image's long prefixes.
const FIRST_PREFIX: u8 = 0x80;
/// `/ab/cdef…`
const REDIRECT_VALUE: usize = 66;

/// The attributes of one inode.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Attributes<'a> {
    /// The object that the file leads to.
    pub(super) object: Option<&'a [u8; 32]>,
    /// Whether nothing of a layer below shows through the directory.
    pub(super) opaque: bool,
    /// Those of the listing.
    pub(super) own: &'a [(Vec<u8>, Vec<u8>)],
}

/// What an image keeps once, and where.
pub(super) struct Shared<'a> {
    format: Format,
    /// Objects that more than one inode leads to, with where their redirects are.
    redirects: HashMap<&'a [u8; 32], usize>,
    /// The same in the order in which they are written.
    order: Vec<&'a [u8; 32]>,
    metacopy_at: usize,
}

impl<'a> Shared<'a> {
    /// Finds what is to be kept once. What all use begins at `at`.
    pub(super) fn new(format: Format, at: usize, files: impl Iterator<Item = &'a [u8; 32]>) -> Self {
        let mut seen = HashMap::new();
        let mut order = Vec::new();
        for object in files {
            let times = seen.entry(object).or_insert(0);
            *times += 1;
            if *times == 2 {
                order.push(object);
            }
        }
        // Places are known when the inodes' are.
        let redirects = order.iter().map(|object| (*object, 0)).collect();
        let prefix = Self::prefix(format).map_or(0, |prefix| padded(prefix.len()));
        Self { format, redirects, order, metacopy_at: at + prefix }
    }

    /// The bytes of the image's long prefix: its length, what it stands for.
    fn prefix(format: Format) -> Option<Vec<u8>> {
        let length = (1 + REDIRECT.len()) as u16;
        (format == Format::Short).then(|| [&length.to_le_bytes(), [TRUSTED].as_slice(), REDIRECT].concat())
    }

    /// Where what all use ends.
    pub(super) fn head_end(&self) -> usize {
        self.metacopy_at + padded(ATTRIBUTE_HEAD + METACOPY.len())
    }

    pub(super) fn write_head(&self, out: &mut [u8], at: usize) {
        if let Some(prefix) = Self::prefix(self.format) {
            put(out, at, &prefix);
        }
        attribute(out, self.metacopy_at, (TRUSTED, METACOPY), b"");
    }

    /// Gives each shared redirect its place, from `at` on; gives where they end.
    pub(super) fn place(&mut self, at: usize) -> usize {
        let mut end = at;
        for object in &self.order {
            self.redirects.insert(object, end);
            end += self.redirect_length();
        }
        end
    }

    pub(super) fn write(&self, out: &mut [u8]) {
        for object in &self.order {
            self.redirect(out, self.redirects[object], object);
        }
    }

    fn redirect_length(&self) -> usize {
        let name = if self.format == Format::Short { 0 } else { REDIRECT.len() };
        padded(ATTRIBUTE_HEAD + name + REDIRECT_VALUE)
    }

    fn redirect(&self, out: &mut [u8], at: usize, object: &[u8; 32]) {
        let mut value = [b'/'; REDIRECT_VALUE];
        // The digits are two for each byte, so this can't fail.
        let _ = hex::encode_to_slice(&object[..1], &mut value[1..3]);
        let _ = hex::encode_to_slice(&object[1..], &mut value[4..]);
        let name = if self.format == Format::Short { (FIRST_PREFIX, b"".as_slice()) } else { (TRUSTED, REDIRECT) };
        attribute(out, at, name, &value);
    }

    /// The length of an inode's attributes, 0 where it has none.
    pub(super) fn length(&self, of: &Attributes<'_>) -> usize {
        let mut length = 0;
        if let Some(object) = of.object {
            let redirect = if self.redirects.contains_key(object) { 4 } else { self.redirect_length() };
            length += 4 + redirect;
        }
        if of.opaque {
            length += padded(ATTRIBUTE_HEAD + OPAQUE.len() + 1);
        }
        for (name, value) in of.own {
            length += padded(ATTRIBUTE_HEAD + split(name).1.len() + value.len());
        }
        if length == 0 { 0 } else { ATTRIBUTES_HEAD + length }
    }

    /// Writes an inode's attributes from `at` on.
    pub(super) fn write_of(&self, out: &mut [u8], at: usize, of: &Attributes<'_>) {
        if of.object.is_none() && !of.opaque && of.own.is_empty() {
            return;
        }
        let (mut filter, mut shared) = (0, Vec::new());
        let mut local = Vec::new();
        let mut redirect = None;
        if let Some(object) = of.object {
            filter |= filter_bit(TRUSTED, METACOPY) | filter_bit(TRUSTED, REDIRECT);
            shared.push(self.metacopy_at);
            match self.redirects.get(object) {
                Some(place) => shared.push(*place),
                None => redirect = Some(object),
            }
        }
        if of.opaque {
            local.push(((TRUSTED, OPAQUE), b"y".as_slice()));
        }
        local.extend(of.own.iter().map(|(name, value)| (split(name), value.as_slice())));
        for ((index, name), _) in &local {
            filter |= filter_bit(*index, name);
        }
        attributes_head(&mut out[at..], filter, shared.len());
        let mut at = at + ATTRIBUTES_HEAD;
        for place in shared {
            put(out, at, &((place / 4) as u32).to_le_bytes());
            at += 4;
        }
        if let Some(object) = redirect {
            self.redirect(out, at, object);
            at += self.redirect_length();
        }
        for (name, value) in local {
            attribute(out, at, name, value);
            at += padded(ATTRIBUTE_HEAD + name.1.len() + value.len());
        }
    }
}

fn attribute(out: &mut [u8], at: usize, (index, name): (u8, &[u8]), value: &[u8]) {
    out[at] = name.len() as u8;
    out[at + 1] = index;
    put(out, at + 2, &(value.len() as u16).to_le_bytes());
    put(out, at + ATTRIBUTE_HEAD, name);
    put(out, at + ATTRIBUTE_HEAD + name.len(), value);
}

/// A name as EROFS has it: the number of its first part, and the rest. A listing has no others than these.
fn split(name: &[u8]) -> (u8, &[u8]) {
    let prefixes = [(USER, b"user.".as_slice()), (SECURITY, b"security."), (TRUSTED, b"trusted.")];
    let found = prefixes.iter().find_map(|(index, prefix)| Some((*index, name.strip_prefix(*prefix)?)));
    found.unwrap_or((0, name))
}

fn padded(length: usize) -> usize {
    length.next_multiple_of(4)
}
