//! Reading a `.deb` as a stream: an `ar` container of `debian-binary`, `control.tar*` and `data.tar*`.
//!
//! Nothing is trusted before it's checked. The SHA-256 of every byte is computed while the parts are read, and
//! [`Deb::finish`] gives it only when the whole container was well-formed and used up; whoever acts on the parts before
//! that must be able to throw them away. Every count, length and size has a limit ([`Limits`]), so that no input makes
//! this reader allocate or run without bound.
//!
//! Formats: deb(5), the System V `ar` header, POSIX ustar and pax, and GNU tar's long names. Absent on purpose: bzip2
//! and lzma members (no supported suite has them), sparse files, multi-volume archives.

pub mod ar;
pub mod error;
pub mod tar;
pub mod unpack;

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};

use larder_store::Sha256Digest;
use sha2::{Digest as _, Sha256};

pub use error::DebError;
pub use tar::{Header, Kind};

use ar::Member;

/// What a `.deb` may ask of this machine. Sizes are bytes.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The `.deb` itself.
    pub deb: u64,
    /// All of `control.tar`, unpacked.
    pub control: u64,
    /// Entries of one tar archive.
    pub entries: u64,
    /// One file's content.
    pub file: u64,
    /// All of `data.tar`, unpacked.
    pub data: u64,
    /// A long name or a pax header.
    pub header: u64,
    /// Unpacked bytes for each packed one, counted once [`Limits::free`] is used up.
    pub ratio: u64,
    /// Unpacked bytes that are never measured against [`Limits::ratio`].
    pub free: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deb: 16 << 30,
            control: 32 << 20,
            entries: 1_000_000,
            file: 16 << 30,
            data: 64 << 30,
            header: 1 << 20,
            ratio: 1000,
            free: 64 << 20,
        }
    }
}

/// Counts and hashes what passes.
struct Source<R> {
    inner: BufReader<R>,
    hash: Sha256,
    read: u64,
    limit: u64,
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(&buffer[..count]);
        self.read += count as u64;
        if self.read > self.limit {
            return Err(DebError::limit("the package", self.limit).into_io());
        }
        Ok(count)
    }
}

/// A `.deb` being read: [`open`](Self::open), [`control`](Self::control), [`data`](Self::data),
/// [`finish`](Self::finish), in this order.
pub struct Deb<R> {
    source: Source<R>,
    limits: Limits,
}

impl<R: Read> Deb<R> {
    /// Reads the container's magic and `debian-binary`.
    ///
    /// # Errors
    /// What is not an `ar` archive that begins with `debian-binary` of format 2.
    pub fn open(reader: R, limits: Limits) -> Result<Self, DebError> {
        let mut source = Source {
            inner: BufReader::with_capacity(128 << 10, reader),
            hash: Sha256::new(),
            read: 0,
            limit: limits.deb,
        };
        ar::magic(&mut source)?;
        let member = ar::next(&mut source)?.ok_or(DebError::Container { reason: "it is empty" })?;
        if member.name != "debian-binary" {
            return Err(DebError::Container { reason: "its first member is not debian-binary" });
        }
        if member.size > 64 {
            return Err(DebError::Container { reason: "its debian-binary member is too long" });
        }
        let mut version = Vec::new();
        member.reader(&mut source).read_to_end(&mut version).map_err(DebError::from_io)?;
        if version.len() as u64 != member.size {
            return Err(DebError::Truncated);
        }
        member.end(&mut source)?;
        if !version.starts_with(b"2.") || !version.ends_with(b"\n") {
            return Err(DebError::Container { reason: "its format is not 2.0" });
        }
        Ok(Self { source, limits })
    }

    /// Reads `control.tar`: its files by name (`control`, `md5sums`, `postinst` …), whole.
    ///
    /// # Errors
    /// A malformed or oversized archive, and entries that are neither files nor the root directory.
    pub fn control(&mut self) -> Result<BTreeMap<String, Vec<u8>>, DebError> {
        let member = self.part("control.tar")?;
        let mut files = BTreeMap::new();
        let limit = self.limits.control;
        self.walk(&member, "control.tar", limit, &mut |header: &Header, content: &mut dyn Read| {
            let path = String::from_utf8_lossy(&header.path).into_owned();
            let name = path.strip_prefix("./").unwrap_or(&path);
            match header.kind {
                Kind::Directory if matches!(name, "" | "." | "/") => return Ok(()),
                Kind::File if !name.is_empty() && !name.contains('/') => {}
                _ => return Err(DebError::entry(&header.path, "control.tar may only hold plain files")),
            }
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes).map_err(DebError::from_io)?;
            if files.insert(name.to_owned(), bytes).is_some() {
                return Err(DebError::Duplicate { path });
            }
            Ok(())
        })?;
        Ok(files)
    }

    /// Reads `data.tar`, calling `visit` with each entry and, for a file, its content, in the order of the archive.
    /// What `visit` leaves unread is skipped.
    ///
    /// # Errors
    /// The first error of the archive or of `visit`. A failure of the archive comes before one that it caused in `visit`.
    pub fn data<E: From<DebError>>(
        &mut self,
        visit: &mut dyn FnMut(&Header, &mut dyn Read) -> Result<(), E>,
    ) -> Result<(), E> {
        let member = self.part("data.tar")?;
        let limit = self.limits.data;
        self.walk(&member, "data.tar", limit, visit)
    }

    /// Reads to the end and gives the SHA-256 of the whole file.
    ///
    /// # Errors
    /// Members after `data.tar` whose name does not begin with `_`, and malformed ones.
    pub fn finish(mut self) -> Result<Sha256Digest, DebError> {
        while let Some(member) = ar::next(&mut self.source)? {
            if !member.name.starts_with('_') {
                return Err(DebError::Container { reason: "it has a member after data.tar" });
            }
            self.skip(&member)?;
        }
        Ok(Sha256Digest::from_bytes(self.source.hash.finalize().into()))
    }

    fn skip(&mut self, member: &Member) -> Result<(), DebError> {
        let skipped = io::copy(&mut member.reader(&mut self.source), &mut io::sink()).map_err(DebError::from_io)?;
        if skipped != member.size {
            return Err(DebError::Truncated);
        }
        member.end(&mut self.source)
    }

    /// The next member, which must be this part; members whose name begins with `_` are skipped, as deb(5) asks.
    fn part(&mut self, part: &'static str) -> Result<Member, DebError> {
        loop {
            let member = ar::next(&mut self.source)?.ok_or(DebError::Missing { part })?;
            if member.name.starts_with('_') {
                self.skip(&member)?;
            } else if member.name.starts_with(part) {
                return Ok(member);
            } else {
                return Err(DebError::Missing { part });
            }
        }
    }

    fn walk<E: From<DebError>>(
        &mut self,
        member: &Member,
        part: &'static str,
        limit: u64,
        visit: &mut dyn FnMut(&Header, &mut dyn Read) -> Result<(), E>,
    ) -> Result<(), E> {
        let suffix = &member.name[part.len()..];
        let limits = &self.limits;
        let bound = limit.min(member.size.saturating_mul(limits.ratio).max(limits.free));
        let mut packed = member.reader(&mut self.source);
        {
            let mut unpacked = unpack::unpack(&mut packed, suffix, part, bound)?;
            tar::walk(&mut unpacked, part, limits, visit)?;
        }
        if packed.limit() != 0 {
            return Err(DebError::Container { reason: "a compressed member has bytes after its end" }.into());
        }
        member.end(&mut self.source)?;
        Ok(())
    }
}
