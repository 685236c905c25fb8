//! Where things are in an index file.

use larder_store::Sha256Digest;

/// The version of the format.
pub const VERSION: u32 = 1;
pub(super) const MAGIC: &[u8; 8] = b"LARDIDX\n";
/// Bytes of the header.
pub(super) const HEADER: usize = 96;
/// Bytes of a package entry: 19 words, then the digest.
pub(super) const PACKAGE: usize = DIGEST + 32;
/// Bytes of a name entry: string, packages from and to, providers from and to, first mention.
pub(super) const NAME: usize = 24;
/// Where a package's digest is in its entry.
pub(super) const DIGEST: usize = 76;

/// The words of a package entry. Those up to `Description` are offsets of strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Name,
    Version,
    Architecture,
    MultiArch,
    PreDepends,
    Depends,
    Recommends,
    Conflicts,
    Breaks,
    Provides,
    Section,
    Source,
    Filename,
    Description,
    /// Bit 0 essential, from bit 8 the priority.
    Flags,
    /// In KiB.
    Installed,
    SizeLow,
    SizeHigh,
    Reserved,
}

const _: () = assert!(Field::Reserved as usize * 4 + 4 == DIGEST);

/// A table of entries of one size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Section {
    pub(super) count: u32,
    start: usize,
    width: usize,
}

impl Section {
    pub(super) fn entry<'a>(&self, bytes: &'a [u8], number: u32) -> Option<&'a [u8]> {
        if number >= self.count {
            return None;
        }
        let at = self.start.checked_add(usize::try_from(number).ok()?.checked_mul(self.width)?)?;
        bytes.get(at..at.checked_add(self.width)?)
    }
}

/// The tables of a file.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) list: Sha256Digest,
    pub(super) packages: Section,
    pub(super) names: Section,
    pub(super) providers: Section,
    pub(super) essential: Section,
    strings: std::ops::Range<usize>,
}

/// The word with this number in an entry.
pub(super) fn word(entry: &[u8], number: usize) -> Option<u32> {
    let bytes = entry.get(number.checked_mul(4)?..)?.get(..4)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

/// The checksum of what follows the first 16 bytes.
pub(super) fn checksum(rest: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(rest);
    crc.sum()
}

/// Makes length and checksum of a header fit the bytes, so that what lies behind them is reached.
#[cfg(any(test, fuzzing))]
pub(crate) fn seal(bytes: &mut [u8]) {
    if bytes.len() >= HEADER {
        let length = bytes.len() as u64;
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&length.to_le_bytes());
        let sum = checksum(&bytes[16..]);
        bytes[12..16].copy_from_slice(&sum.to_le_bytes());
    }
}

impl Layout {
    /// Reads the header and checks that the file is whole.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, &'static str> {
        let header = bytes.get(..HEADER).ok_or("it is too short")?;
        if header.get(..8) != Some(MAGIC) {
            return Err("it is not an index");
        }
        if word(header, 2) != Some(VERSION) {
            return Err("it has another format version");
        }
        if long(header, 16) != u64::try_from(bytes.len()).ok() {
            return Err("it has not the length that it says");
        }
        if bytes.get(16..).map(checksum) != word(header, 3) {
            return Err("its checksum is wrong");
        }
        Self::tables(header, bytes.len()).ok_or("its tables do not fit")
    }

    fn tables(header: &[u8], length: usize) -> Option<Self> {
        let mut at = HEADER;
        let mut section = |count: usize, width: usize| {
            let section = Section { count: word(header, 14 + count)?, start: at, width };
            at = at.checked_add(usize::try_from(section.count).ok()?.checked_mul(width)?)?;
            Some(section)
        };
        let (packages, names) = (section(0, PACKAGE)?, section(1, NAME)?);
        let (providers, essential) = (section(2, 4)?, section(3, 4)?);
        let end = at.checked_add(usize::try_from(long(header, 72)?).ok()?)?;
        let list = Sha256Digest::from_bytes(header.get(24..56)?.try_into().ok()?);
        (end == length).then_some(Self { list, packages, names, providers, essential, strings: at..end })
    }

    /// The string at an offset.
    pub(super) fn string<'a>(&self, bytes: &'a [u8], offset: u32) -> Option<&'a [u8]> {
        let strings = bytes.get(self.strings.clone())?;
        let rest = strings.get(usize::try_from(offset).ok()?..)?;
        let length = usize::try_from(word(rest, 0)?).ok()?;
        rest.get(4..)?.get(..length)
    }
}
