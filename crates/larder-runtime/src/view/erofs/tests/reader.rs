//! A reader of images that is written from the kernel's description, not from the writer.

use std::collections::{BTreeMap, BTreeSet};

use xxhash_rust::xxh32::xxh32;

const BLOCK: usize = 4096;

/// What an image shows at one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    /// With the kind.
    pub(super) mode: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: u64,
    pub(super) size: u64,
    pub(super) target: Vec<u8>,
    pub(super) attributes: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Where its inode is.
    pub(super) inode: usize,
}

pub(super) struct Reader<'a> {
    image: &'a [u8],
    epoch: u64,
    short_times: bool,
    /// A long prefix: the number of its first part, and the rest.
    prefix: Option<(u8, &'a [u8])>,
    seen: BTreeSet<usize>,
}

struct Inode {
    at: usize,
    head: usize,
    layout: u16,
    dot_omitted: bool,
    address: u32,
    attributes: usize,
    links: u32,
    shown: Shown,
}

impl<'a> Reader<'a> {
    pub(super) fn new(image: &'a [u8]) -> Self {
        let mut reader = Self { image, epoch: 0, short_times: false, prefix: None, seen: BTreeSet::new() };
        assert_eq!(reader.u32(1024), 0xE0F5_E1E2);
        assert_eq!(1_usize << image[1024 + 12], BLOCK);
        assert_eq!(image.len(), reader.u32(1024 + 36) as usize * BLOCK);
        reader.epoch = reader.u64(1024 + 24);
        let features = reader.u32(1024 + 80);
        assert_eq!(features & !0xc4, 0, "features that nothing here uses");
        reader.short_times = features & 0x80 != 0;
        if image[1024 + 91] == 1 {
            assert_ne!(features & 0x40, 0);
            let at = reader.u32(1024 + 92) as usize * 4;
            let length = usize::from(reader.u16(at));
            reader.prefix = Some((image[at + 2], &image[at + 3..at + 2 + length]));
        }
        reader
    }

    /// Every path.
    pub(super) fn all(mut self) -> BTreeMap<Vec<u8>, Shown> {
        let root = usize::from(self.u16(1024 + 14));
        let mut shown = BTreeMap::new();
        self.walk(Vec::new(), root, root, &mut shown);
        assert_eq!(self.u64(1024 + 16) as usize, self.seen.len(), "the count of inodes");
        shown
    }

    fn walk(&mut self, path: Vec<u8>, number: usize, parent: usize, all: &mut BTreeMap<Vec<u8>, Shown>) {
        let inode = self.inode(number);
        if self.seen.insert(number) {
            let in_one_block = inode.layout != 2 || inode.at / BLOCK == (inode.end() - 1) / BLOCK;
            assert!(in_one_block, "the end of the data is in another block than the inode");
        }
        let mut shown = inode.shown.clone();
        match shown.mode & 0o170_000 {
            0o040_000 => self.directory(&path, number, parent, &inode, all),
            0o120_000 => {
                assert_eq!(inode.links, 1);
                shown.target = self.data(&inode, 0, shown.size as usize).to_vec();
            }
            0o100_000 if shown.size > 0 => {
                assert_eq!((inode.layout, inode.links), (4, 1));
                // One chunk is enough, and has no address.
                assert!(shown.size <= 1 << ((inode.address & 31) + 12) && inode.address < 32, "{}", inode.address);
                assert_eq!(self.u32(inode.at + inode.head + inode.attributes), u32::MAX);
            }
            _ => assert_eq!((inode.layout, inode.address, inode.links, shown.size), (0, 0, 1, 0)),
        }
        assert!(all.insert(path, shown).is_none());
    }

    fn directory(
        &mut self,
        path: &[u8],
        number: usize,
        parent: usize,
        inode: &Inode,
        all: &mut BTreeMap<Vec<u8>, Shown>,
    ) {
        let mut names: Vec<(Vec<u8>, usize, u8)> = Vec::new();
        let size = inode.shown.size as usize;
        for begin in (0..size).step_by(BLOCK) {
            let part = self.data(inode, begin, (size - begin).min(BLOCK));
            let count = usize::from(u16::from_le_bytes([part[8], part[9]])) / 12;
            let at = |index: usize| usize::from(u16::from_le_bytes([part[index * 12 + 8], part[index * 12 + 9]]));
            for index in 0..count {
                let end = if index + 1 < count { at(index + 1) } else { part.len() };
                let name = part[at(index)..end].split(|&byte| byte == 0).next().unwrap();
                let child = u64::from_le_bytes(part[index * 12..index * 12 + 8].try_into().unwrap());
                names.push((name.to_vec(), child as usize, part[index * 12 + 10]));
            }
        }
        assert!(names.is_sorted_by(|one, other| one.0 < other.0), "names are sorted, and each is there once");
        let dot_omitted = usize::from(inode.dot_omitted);
        let mut directories = dot_omitted as u32;
        let mut own = dot_omitted;
        for (name, child, kind) in names {
            directories += u32::from(kind == 2);
            match name.as_slice() {
                b"." => own += usize::from(child == number),
                b".." => own += usize::from(child == parent),
                name => {
                    let path = if path.is_empty() { name.to_vec() } else { [path, b"/", name].concat() };
                    self.walk(path.clone(), child, number, all);
                    let kinds = [(1, 0o100_000), (2, 0o040_000), (3, 0o020_000), (7, 0o120_000)];
                    assert!(kinds.contains(&(kind, all[&path].mode & 0o170_000)), "{kind}");
                }
            }
        }
        assert_eq!((own, inode.links), (2, directories));
    }

    fn inode(&self, number: usize) -> Inode {
        let at = number * 32;
        let format = self.u16(at);
        let dot_omitted = format & 0x10 != 0;
        assert_eq!(format & !if self.short_times { 0x1f } else { 0xf }, 0);
        let count = usize::from(self.u16(at + 2));
        let attributes = if count == 0 { 0 } else { 12 + (count - 1) * 4 };
        let long = format & 1 == 1;
        let (head, links, mtime, size, ids) = if long {
            (64, self.u32(at + 44), self.u64(at + 32), self.u64(at + 8), [self.u32(at + 24), self.u32(at + 28)])
        } else {
            assert!(self.short_times, "without the feature a kernel takes the time of the image");
            let ids = [self.u16(at + 24), self.u16(at + 26)].map(u32::from);
            let mtime = self.epoch + u64::from(self.u32(at + 12));
            (32, u32::from(self.u16(at + 6)), mtime, u64::from(self.u32(at + 8)), ids)
        };
        let shown = Shown {
            mode: self.u16(at + 4),
            uid: ids[0],
            gid: ids[1],
            mtime,
            size,
            target: Vec::new(),
            attributes: if attributes == 0 { BTreeMap::new() } else { self.attributes(at + head, attributes) },
            inode: number,
        };
        assert!(!dot_omitted || shown.mode & 0o170_000 == 0o040_000);
        let (layout, address) = (format >> 1 & 7, self.u32(at + 16));
        Inode { at, head, dot_omitted, layout, address, attributes, links, shown }
    }

    fn attributes(&self, at: usize, length: usize) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let filter = !self.u32(at);
        let shared = usize::from(self.image[at + 4]);
        let mut all = BTreeMap::new();
        let mut bits = 0;
        for index in 0..shared {
            let (name, value, bit, _) = self.attribute(self.u32(at + 12 + index * 4) as usize * 4);
            bits |= bit;
            assert!(all.insert(name, value).is_none());
        }
        let mut place = at + 12 + shared * 4;
        while place < at + length {
            let (name, value, bit, end) = self.attribute(place);
            bits |= bit;
            assert!(all.insert(name, value).is_none());
            place = end;
        }
        assert_eq!((place, filter), (at + length, bits));
        all
    }

    fn attribute(&self, at: usize) -> (Vec<u8>, Vec<u8>, u32, usize) {
        let (length, index) = (usize::from(self.image[at]), self.image[at + 1]);
        let (index, infix) = match index {
            0x80 => self.prefix.unwrap(),
            index => (index, b"".as_slice()),
        };
        let first: &[u8] = match index {
            1 => b"user.",
            4 => b"trusted.",
            6 => b"security.",
            other => panic!("{other}"),
        };
        let size = usize::from(self.u16(at + 2));
        let value_at = at + 4 + length;
        let name = [infix, &self.image[at + 4..value_at]].concat();
        let bit = 1 << (xxh32(&name, 0x25BB_E08F + u32::from(index)) % 32);
        let value = self.image[value_at..value_at + size].to_vec();
        ([first, &name].concat(), value, bit, (value_at + size).next_multiple_of(4))
    }

    fn data(&self, inode: &Inode, begin: usize, length: usize) -> &'a [u8] {
        let size = inode.shown.size as usize;
        let is_tail = inode.layout == 2 && begin / BLOCK == size / BLOCK;
        let at = if is_tail {
            inode.at + inode.head + inode.attributes
        } else {
            assert!(inode.address > 0);
            inode.address as usize * BLOCK + begin
        };
        &self.image[at..at + length]
    }

    fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes(self.image[at..at + 2].try_into().unwrap())
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.image[at..at + 4].try_into().unwrap())
    }

    fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.image[at..at + 8].try_into().unwrap())
    }
}

impl Inode {
    /// Where what is kept with it ends.
    fn end(&self) -> usize {
        self.at + self.head + self.attributes + self.shown.size as usize % BLOCK
    }
}
