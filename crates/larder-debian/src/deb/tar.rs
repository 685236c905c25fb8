//! Tar archives as a stream: ustar, GNU long names, and the pax records that packages can need.
//!
//! A strict subset: header checksums are compared, numbers must be numbers, each extension header belongs to exactly
//! one entry, after the end mark there are only zeros. What would be read differently by different programs (global
//! pax headers with content, sparse files, contiguous files, the old V7 format) is refused.

mod pax;

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::ar::fill;
use super::{DebError, Limits};

const BLOCK: usize = 512;

/// Extended attributes by name.
pub type Xattrs = BTreeMap<Box<[u8]>, Box<[u8]>>;

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file; its content follows.
    File,
    /// A hard link to another path of the archive.
    HardLink(Vec<u8>),
    /// A symbolic link.
    Symlink(Vec<u8>),
    /// A directory.
    Directory,
    /// A character or block device, or a fifo.
    Special,
}

/// One entry's header, with what its extension headers say already applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The path as it stands in the archive.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// The permission bits with set-id and sticky, 0..=0o7777.
    pub mode: u16,
    /// The numeric owner.
    pub uid: u64,
    /// The numeric group.
    pub gid: u64,
    /// The owner's name; may be empty.
    pub owner: Vec<u8>,
    /// The group's name; may be empty.
    pub group: Vec<u8>,
    /// The content's length in bytes; 0 for all but files.
    pub size: u64,
    /// Seconds since 1970; what lies before is 0.
    pub mtime: u64,
    /// Extended attributes.
    pub xattrs: Xattrs,
}

/// What extension headers say about the entry that follows them.
#[derive(Debug, Default)]
struct Extension {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    owner: Option<Vec<u8>>,
    group: Option<Vec<u8>>,
    mtime: Option<u64>,
    xattrs: Xattrs,
    pax: bool,
}

impl Extension {
    fn is_empty(&self) -> bool {
        self.path.is_none() && self.link.is_none() && !self.pax
    }
}

/// A file's content. It keeps the error that it raised, so that whoever reads through it can't hide the reason.
struct Content<'a> {
    source: &'a mut dyn Read,
    left: u64,
    failure: Option<DebError>,
}

impl Content<'_> {
    fn fail(&mut self, failure: DebError) -> io::Error {
        let error = io::Error::new(io::ErrorKind::InvalidData, failure.to_string());
        self.failure = Some(failure);
        error
    }
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if most == 0 {
            return Ok(0);
        }
        match self.source.read(&mut buffer[..most]) {
            Ok(0) => Err(self.fail(DebError::Truncated)),
            Ok(count) => {
                self.left -= count as u64;
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => Err(self.fail(DebError::from_io(error))),
        }
    }
}

/// Reads an archive to its end, calling `visit` with each entry. `part` names the archive in errors.
///
/// # Errors
/// The first error of the archive or of `visit`.
pub fn walk<E: From<DebError>>(
    source: &mut dyn Read,
    part: &'static str,
    limits: &Limits,
    visit: &mut dyn FnMut(&Header, &mut dyn Read) -> Result<(), E>,
) -> Result<(), E> {
    let malformed = |reason| DebError::Tar { part, reason };
    let mut extension = Extension::default();
    let mut entries = 0;
    loop {
        let mut block = [0; BLOCK];
        match fill(source, &mut block)? {
            BLOCK => {}
            0 => return Err(malformed("its end mark is missing").into()),
            _ => return Err(DebError::Truncated.into()),
        }
        if block.iter().all(|&b| b == 0) {
            if !extension.is_empty() {
                return Err(malformed("an extension header has no entry").into());
            }
            return Ok(only_zeros(source, part)?);
        }
        entries += 1;
        if entries > limits.entries {
            return Err(DebError::limit("the number of entries", limits.entries).into());
        }
        let raw = Raw { block: &block, part };
        raw.check()?;
        match block[156] {
            b'L' | b'K' | b'x' | b'g' => raw.extend(&mut extension, source, limits)?,
            _ => {
                let header = raw.header(std::mem::take(&mut extension))?;
                if header.size > limits.file {
                    return Err(DebError::limit("a file's size", limits.file).into());
                }
                let mut content = Content { source: &mut *source, left: header.size, failure: None };
                let visited = visit(&header, &mut content);
                if let Some(failure) = content.failure.take() {
                    return Err(failure.into());
                }
                visited?;
                if let Err(error) = io::copy(&mut content, &mut io::sink()) {
                    return Err(content.failure.take().unwrap_or(DebError::Read(error)).into());
                }
                padding(source, header.size)?;
            }
        }
    }
}

/// Nothing but zeros may follow the end mark (tar pads to its record size).
fn only_zeros(source: &mut dyn Read, part: &'static str) -> Result<(), DebError> {
    let mut buffer = [0; BLOCK];
    loop {
        let count = fill(source, &mut buffer)?;
        if buffer[..count].iter().any(|&b| b != 0) {
            return Err(DebError::Tar { part, reason: "there are bytes after its end mark" });
        }
        if count < BLOCK {
            return Ok(());
        }
    }
}

/// Skips what fills a content's last block.
fn padding(source: &mut dyn Read, size: u64) -> Result<(), DebError> {
    let over = (size % BLOCK as u64) as usize;
    if over == 0 {
        return Ok(());
    }
    let mut buffer = [0; BLOCK];
    match fill(source, &mut buffer[over..])? {
        count if count == BLOCK - over => Ok(()),
        _ => Err(DebError::Truncated),
    }
}

/// One header block.
struct Raw<'a> {
    block: &'a [u8; BLOCK],
    part: &'static str,
}

impl Raw<'_> {
    fn malformed(&self, reason: &'static str) -> DebError {
        DebError::Tar { part: self.part, reason }
    }

    /// Compares checksum and magic.
    fn check(&self) -> Result<(), DebError> {
        let sum: u64 =
            self.block.iter().enumerate().map(|(i, &b)| if (148..156).contains(&i) { 32 } else { b.into() }).sum();
        if self.number(148..156)? != Some(sum) {
            return Err(self.malformed("a header's checksum is wrong"));
        }
        match &self.block[257..265] {
            b"ustar\x0000" | b"ustar  \0" => Ok(()),
            _ => Err(self.malformed("a header is neither ustar nor GNU")),
        }
    }

    /// Octal, or GNU's base-256. Negative numbers are `None`.
    fn number(&self, range: std::ops::Range<usize>) -> Result<Option<u64>, DebError> {
        let wrong = || self.malformed("a header has a malformed number");
        let field = &self.block[range];
        if field[0] == 0xff {
            return Ok(None);
        }
        if field[0] == 0x80 {
            let (high, low) = field.split_at(field.len().saturating_sub(8).max(1));
            if high[1..].iter().any(|&b| b != 0) {
                return Err(wrong());
            }
            return Ok(Some(low.iter().fold(0, |n, &b| n << 8 | u64::from(b))));
        }
        let text = std::str::from_utf8(field).map_err(|_| wrong())?;
        let digits = text.trim_start_matches(' ').trim_end_matches([' ', '\0']);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong());
        }
        u64::from_str_radix(digits, 8).map(Some).map_err(|_| wrong())
    }

    fn unsigned(&self, range: std::ops::Range<usize>) -> Result<u64, DebError> {
        self.number(range)?.ok_or_else(|| self.malformed("a header has a negative number"))
    }

    fn text(&self, range: std::ops::Range<usize>) -> &[u8] {
        let field = &self.block[range];
        &field[..memchr::memchr(0, field).unwrap_or(field.len())]
    }

    /// Reads a long name or pax header into the extension.
    fn extend(&self, extension: &mut Extension, source: &mut dyn Read, limits: &Limits) -> Result<(), DebError> {
        let size = self.unsigned(124..136)?;
        if size > limits.header {
            return Err(DebError::limit("an extension header's size", limits.header));
        }
        let mut bytes = Vec::new();
        source.take(size).read_to_end(&mut bytes).map_err(DebError::from_io)?;
        if bytes.len() as u64 != size {
            return Err(DebError::Truncated);
        }
        padding(source, size)?;
        let slot = match self.block[156] {
            b'L' => &mut extension.path,
            b'K' => &mut extension.link,
            b'x' if extension.pax => return Err(self.malformed("an entry has two pax headers")),
            b'x' => return pax::read(&bytes, extension).map_err(|reason| self.malformed(reason)),
            _ => return pax::check_global(&bytes).map_err(|reason| self.malformed(reason)),
        };
        let end = memchr::memchr(0, &bytes).unwrap_or(bytes.len());
        bytes.truncate(end);
        if slot.replace(bytes).is_some() {
            return Err(self.malformed("an entry has two long names"));
        }
        Ok(())
    }

    fn header(&self, extension: Extension) -> Result<Header, DebError> {
        let path = extension.path.unwrap_or_else(|| self.short_path());
        let link = extension.link.unwrap_or_else(|| self.text(157..257).to_vec());
        let kind = match self.block[156] {
            b'0' | 0 => Kind::File,
            b'1' => Kind::HardLink(link),
            b'2' => Kind::Symlink(link),
            b'3' | b'4' | b'6' => Kind::Special,
            b'5' => Kind::Directory,
            _ => return Err(DebError::entry(&path, "it is of a kind that isn't supported")),
        };
        let size = match extension.size {
            Some(size) => size,
            None => self.unsigned(124..136)?,
        };
        if size != 0 && kind != Kind::File {
            return Err(DebError::entry(&path, "it has content, but it is no file"));
        }
        let or = |given: Option<u64>, range| given.map_or_else(|| self.unsigned(range), Ok);
        Ok(Header {
            kind,
            mode: (self.unsigned(100..108)? & 0o7777) as u16,
            uid: or(extension.uid, 108..116)?,
            gid: or(extension.gid, 116..124)?,
            owner: extension.owner.unwrap_or_else(|| self.text(265..297).to_vec()),
            group: extension.group.unwrap_or_else(|| self.text(297..329).to_vec()),
            size,
            mtime: match extension.mtime {
                Some(mtime) => mtime,
                None => self.number(136..148)?.unwrap_or(0),
            },
            xattrs: extension.xattrs,
            path,
        })
    }

    fn short_path(&self) -> Vec<u8> {
        let name = self.text(0..100);
        let is_posix = self.block[262] == 0;
        match self.text(345..500) {
            prefix if is_posix && !prefix.is_empty() => [prefix, b"/", name].concat(),
            _ => name.to_vec(),
        }
    }
}
