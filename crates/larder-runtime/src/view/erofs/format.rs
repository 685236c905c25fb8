//! The parts of an EROFS image as they are on the disk, by the kernel's `fs/erofs/erofs_fs.h`. All numbers are little-endian.
//!
//! An image here is, in this order:
//!
//! ```text
//!    0  nothing
//! 1024  the superblock, 128 bytes
//! 1152  the long prefixes of attributes' names, if any; attributes that many inodes share
//!       inodes, each at a multiple of 32 and known by it: its head, its attributes, the end of its data
//!       attributes that some inodes share
//!       from a multiple of 4096: whole blocks of directories and of long links
//! ```

/// What data is counted in.
pub(super) const BLOCK: usize = 4096;
/// What inodes are counted in.
pub(super) const SLOT: usize = 32;
/// Where the superblock is.
pub(super) const SUPERBLOCK_AT: usize = 1024;
pub(super) const SUPERBLOCK_SIZE: usize = 128;

const MAGIC: u32 = 0xE0F5_E1E2;
/// Times of inodes are real, and the headers of attributes have filters.
const COMPATIBLE: u32 = 0x2 | 0x4;
const CHUNKED_FILES: u32 = 0x4;
const NAME_PREFIXES: u32 = 0x40;
/// Also says that a short inode has a time of its own.
const WIDE_ADDRESSES: u32 = 0x80;

/// What `i_mode` says of an inode's kind, and a directory's entry of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    Link,
    Device,
}

impl Kind {
    pub(super) const fn mode(self) -> u16 {
        match self {
            Self::File => 0o100_000,
            Self::Directory => 0o040_000,
            Self::Link => 0o120_000,
            Self::Device => 0o020_000,
        }
    }

    const fn entry(self) -> u8 {
        match self {
            Self::File => 1,
            Self::Directory => 2,
            Self::Device => 3,
            Self::Link => 7,
        }
    }
}

/// Which kernels an image is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Format {
    /// All that have what an image needs, from about 5.15.
    Long,
    /// Those from about 6.15: inodes of half the size and short names for attributes. Older ones refuse the image.
    Short,
}

/// Fields of the superblock.
pub(super) struct Superblock {
    pub(super) format: Format,
    pub(super) root: u16,
    pub(super) inodes: u64,
    /// The time from which short inodes count.
    pub(super) epoch: u64,
    pub(super) blocks: u32,
    /// Where the prefixes of names are; there is one or none.
    pub(super) prefixes: Option<usize>,
}

impl Superblock {
    pub(super) fn write(&self, out: &mut [u8]) {
        let features = match self.format {
            Format::Long => CHUNKED_FILES,
            Format::Short => CHUNKED_FILES | NAME_PREFIXES | WIDE_ADDRESSES,
        };
        put(out, 0, &MAGIC.to_le_bytes());
        put(out, 8, &COMPATIBLE.to_le_bytes());
        out[12] = BLOCK.trailing_zeros() as u8;
        put(out, 14, &self.root.to_le_bytes());
        put(out, 16, &self.inodes.to_le_bytes());
        put(out, 24, &self.epoch.to_le_bytes());
        put(out, 36, &self.blocks.to_le_bytes());
        put(out, 80, &features.to_le_bytes());
        if let Some(at) = self.prefixes {
            out[91] = 1;
            put(out, 92, &((at / 4) as u32).to_le_bytes());
        }
    }
}

/// Where an inode's data is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Data {
    /// Whole blocks from this one on; 0 when there are none.
    Blocks(u32),
    /// Whole blocks from this one on, and the rest behind the inode.
    Tail(u32),
    /// Nowhere: a hole of one chunk, whose index is behind the inode.
    Hole,
}

/// What the one chunk of a hole has for an address.
pub(super) const NO_ADDRESS: [u8; 4] = [0xff; 4];

/// The head of an inode.
pub(super) struct Head {
    pub(super) kind: Kind,
    pub(super) mode: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: u64,
    pub(super) size: u64,
    pub(super) links: u32,
    /// For 32-bit programs.
    pub(super) number: u32,
    /// Whether a directory has no `.` among its names.
    pub(super) dot_omitted: bool,
    pub(super) data: Data,
}

pub(super) const LONG_HEAD: usize = 64;
pub(super) const SHORT_HEAD: usize = 32;

impl Head {
    /// The bytes that it takes in an image of a format and an epoch that is no later than its time.
    pub(super) fn length(&self, format: Format, epoch: u64) -> usize {
        let fits = u16::try_from(self.uid).is_ok()
            && u16::try_from(self.gid).is_ok()
            && u16::try_from(self.links).is_ok()
            && u32::try_from(self.size).is_ok()
            && u32::try_from(self.mtime - epoch).is_ok();
        if format == Format::Short && fits { SHORT_HEAD } else { LONG_HEAD }
    }

    /// `attributes` is the length of the attributes that follow.
    pub(super) fn write(&self, out: &mut [u8], attributes: usize, epoch: u64) {
        let long = out.len() == LONG_HEAD;
        let (layout, address) = match self.data {
            Data::Blocks(first) => (0, first),
            Data::Tail(first) => (2, first),
            Data::Hole => (4, self.chunk_bits()),
        };
        let dot_omitted = u16::from(self.dot_omitted) << 4;
        put(out, 0, &(u16::from(long) | layout << 1 | dot_omitted).to_le_bytes());
        let counted = if attributes == 0 { 0 } else { 1 + (attributes - ATTRIBUTES_HEAD) / 4 };
        put(out, 2, &(counted as u16).to_le_bytes());
        put(out, 4, &(self.kind.mode() | self.mode).to_le_bytes());
        if long {
            put(out, 8, &self.size.to_le_bytes());
            put(out, 16, &address.to_le_bytes());
            put(out, 20, &self.number.to_le_bytes());
            put(out, 24, &self.uid.to_le_bytes());
            put(out, 28, &self.gid.to_le_bytes());
            put(out, 32, &self.mtime.to_le_bytes());
            put(out, 44, &self.links.to_le_bytes());
        } else {
            put(out, 6, &(self.links as u16).to_le_bytes());
            put(out, 8, &(self.size as u32).to_le_bytes());
            put(out, 12, &((self.mtime - epoch) as u32).to_le_bytes());
            put(out, 16, &address.to_le_bytes());
            put(out, 20, &self.number.to_le_bytes());
            put(out, 24, &(self.uid as u16).to_le_bytes());
            put(out, 26, &(self.gid as u16).to_le_bytes());
        }
    }

    /// The chunk in which the whole file is, as a power of two of blocks. The field has five bits.
    fn chunk_bits(&self) -> u32 {
        self.size.div_ceil(BLOCK as u64).next_power_of_two().trailing_zeros().min(31)
    }
}

/// The length of what is before an inode's attributes.
pub(super) const ATTRIBUTES_HEAD: usize = 12;
/// The length of what is before each attribute.
pub(super) const ATTRIBUTE_HEAD: usize = 4;

/// Writes what is before an inode's attributes.
pub(super) fn attributes_head(out: &mut [u8], filter: u32, shared: usize) {
    put(out, 0, &(!filter).to_le_bytes());
    out[4] = shared as u8;
}

/// The bit of a filter that a name sets, by the kernel's seed.
pub(super) fn filter_bit(index: u8, name: &[u8]) -> u32 {
    1 << (xxhash_rust::xxh32::xxh32(name, 0x25BB_E08F + u32::from(index)) % 32)
}

/// The length of an entry of a directory, without its name.
pub(super) const ENTRY: usize = 12;

pub(super) fn entry(out: &mut [u8], inode_at: usize, name_at: usize, kind: Kind) {
    put(out, 0, &((inode_at / SLOT) as u64).to_le_bytes());
    put(out, 8, &(name_at as u16).to_le_bytes());
    out[10] = kind.entry();
}

/// Writes `bytes` at `at`.
pub(super) fn put(out: &mut [u8], at: usize, bytes: &[u8]) {
    out[at..at + bytes.len()].copy_from_slice(bytes);
}
