//! A zip archive of sources. Its own listing is what is believed, and each entry's content must have the length and the checksum that stand there.
//!
//! Bounds: the number of entries; what all of it unpacks to, which can't be more than deflate makes of so many bytes, so that entries which share
//! theirs are found out; and the length of links. Stored and deflated entries are read; nothing encrypted is.
//!
//! A zip's times have no zone where no program added better ones. They are taken for UTC, so that they are the same everywhere.

use std::collections::BTreeMap;
use std::io::{self, Read};

use flate2::read::DeflateDecoder;
use larder_store::tree::MAX_TARGET;
use larder_store::{Entry, ObjectDigest, StoreError, TreePath};
use rawzip::time::ZipDateTimeKind;
use rawzip::{CompressionMethod, ReaderAt, ZipArchive, ZipFileHeaderRecord};
use thiserror::Error;

use crate::lock::seconds;

/// The most entries.
const MAX_ENTRIES: u64 = 1 << 20;
/// The most that all entries unpack to.
const MAX_UNPACKED: u64 = 64 << 30;
/// Deflate makes no more than this of a byte.
const MOST_RATIO: u64 = 1032;
/// How much of an archive is read at a time.
const BUFFER: usize = 64 << 10;

/// Keeps one content of at most so many bytes.
pub(crate) type Keep<'a> = dyn FnMut(&mut dyn Read, u64) -> Result<(ObjectDigest, u64), StoreError> + 'a;

/// What an archive holds, and the newest time in it.
pub(crate) struct Unpacked {
    /// Its entries.
    pub(crate) entries: BTreeMap<TreePath, Entry>,
    /// In seconds since 1970.
    pub(crate) time: u64,
}

/// Why an archive is refused.
#[derive(Debug, Error)]
pub(crate) enum ZipError {
    /// Of the whole.
    #[error("{0}")]
    Archive(String),
    /// Of one entry.
    #[error("{path:?}: {problem}")]
    Entry {
        /// Its path.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A content that can't be kept.
    #[error(transparent)]
    Store(StoreError),
}

/// Reads an archive of so many bytes.
///
/// # Errors
/// [`ZipError`].
pub(crate) fn read<R: ReaderAt>(archive: R, length: u64, keep: &mut Keep<'_>) -> Result<Unpacked, ZipError> {
    let mut buffer = vec![0; BUFFER];
    let located = rawzip::ZipLocator::new().locate_in_reader(archive, &mut buffer, length);
    let archive = located.map_err(|(_, error)| damaged(&error))?;
    let mut left = MAX_UNPACKED.min(length.saturating_mul(MOST_RATIO));
    let mut unpacked = Unpacked { entries: BTreeMap::new(), time: 0 };
    let mut listed = archive.entries(&mut buffer);
    let mut count = 0;
    while let Some(record) = listed.next_entry().map_err(|error| damaged(&error))? {
        count += 1;
        if count > MAX_ENTRIES {
            return Err(ZipError::Archive(format!("it has more than {MAX_ENTRIES} entries")));
        }
        let raw = record.file_path();
        let raw = raw.as_bytes();
        let wrong = |problem| ZipError::Entry { path: String::from_utf8_lossy(raw).into_owned(), problem };
        let plain = raw.strip_prefix(b"./").unwrap_or(raw);
        let plain = plain.strip_suffix(b"/").unwrap_or(plain);
        if plain.is_empty() {
            continue;
        }
        if plain.contains(&b'\\') {
            return Err(wrong("its path has backslashes, which are no slashes"));
        }
        let path = TreePath::new(plain).map_err(|error| wrong(error.reason))?;
        unpacked.time = unpacked.time.max(time(&record));
        let entry = entry(&archive, &record, (&mut left, keep)).map_err(|error| match error {
            Refused::Entry(problem) => wrong(problem),
            Refused::Store(error) => ZipError::Store(error),
        })?;
        match unpacked.entries.insert(path, entry.clone()) {
            Some(before) if before != entry => return Err(wrong("it is there twice and with different content")),
            _ => {}
        }
    }
    Ok(unpacked)
}

/// Why an entry is refused.
enum Refused {
    Entry(&'static str),
    Store(StoreError),
}

fn entry<R: ReaderAt>(
    archive: &ZipArchive<R>,
    record: &ZipFileHeaderRecord<'_>,
    (left, keep): (&mut u64, &mut Keep<'_>),
) -> Result<Entry, Refused> {
    const FORMAT: u32 = 0o170_000;
    if record.is_dir() {
        return Ok(Entry::Directory);
    }
    let mode = record.mode();
    let is_link = match mode.value() & FORMAT {
        0 | 0o100_000 => false,
        0o120_000 => true,
        0o040_000 => return Ok(Entry::Directory),
        _ => return Err(Refused::Entry("it is a device, a socket or a named pipe")),
    };
    if record.flags().is_encrypted() {
        return Err(Refused::Entry("it is encrypted"));
    }
    let most = if is_link { MAX_TARGET as u64 } else { *left };
    let mut target = Vec::new();
    let mut size = 0;
    let mut digest = None;
    let mut take = |content: &mut dyn Read| -> Result<(), StoreError> {
        // One more than the bound is let through, so that what is too long is told from what is wrong.
        let mut content = Counting { inner: content.take(most + 1), count: 0 };
        match is_link {
            true => _ = content.read_to_end(&mut target).map_err(StoreError::Source)?,
            false => digest = Some(keep(&mut content, most)?),
        }
        size = content.count;
        Ok(())
    };
    let found = archive.get_entry(record.wayfinder()).map_err(|_| Refused::Entry(DAMAGED))?;
    let taken = match record.compression_method() {
        CompressionMethod::STORE => take(&mut found.verifying_reader(found.reader())),
        CompressionMethod::DEFLATE => take(&mut found.verifying_reader(DeflateDecoder::new(found.reader()))),
        _ => return Err(Refused::Entry("it is packed in a way that isn't read: only stored and deflated files are")),
    };
    match taken {
        Err(StoreError::TooLarge { .. }) => return Err(Refused::Entry(TOO_LARGE)),
        // An offset that can't be is the archive's word, too.
        Err(StoreError::Source(error)) if matches!(error.raw_os_error(), None | Some(INVALID)) => {
            return Err(Refused::Entry(DAMAGED));
        }
        taken => taken.map_err(Refused::Store)?,
    }
    if size > most {
        return Err(Refused::Entry(TOO_LARGE));
    }
    *left -= size;
    match digest {
        Some((digest, size)) => Ok(Entry::File { digest, size, executable: mode.permissions() & 0o100 != 0 }),
        None if target.is_empty() || target.contains(&0) => Err(Refused::Entry("it is a link to nothing")),
        None => Ok(Entry::Symlink { target: target.into() }),
    }
}

/// What the system says of an offset that no file has.
const INVALID: i32 = rustix::io::Errno::INVAL.raw_os_error();
const DAMAGED: &str = "its content is damaged";
const TOO_LARGE: &str = "what is unpacked is larger than it may be";

/// Counts what goes through.
struct Counting<R> {
    inner: R,
    count: u64,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count += count as u64;
        Ok(count)
    }
}

fn damaged(error: &rawzip::Error) -> ZipError {
    ZipError::Archive(format!("it is no zip archive, or a damaged one: {error}"))
}

/// When an entry was changed; 0 for a time that is none.
fn time(record: &ZipFileHeaderRecord<'_>) -> u64 {
    let (day, clock) = match record.last_modified() {
        ZipDateTimeKind::Utc(t) => ((t.year(), t.month(), t.day()), (t.hour(), t.minute(), t.second())),
        ZipDateTimeKind::Local(t) => ((t.year(), t.month(), t.day()), (t.hour(), t.minute(), t.second())),
    };
    let ((year, month, day), (hour, minute, second)) = (day, clock);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return 0;
    }
    let of_day = u64::from(hour) * 3600 + u64::from(minute) * 60 + u64::from(second);
    seconds(year, month, day, of_day).unwrap_or(0)
}

/// An archive is refused, or each content has the length that its entry says, below folders only where they are folders.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(bytes: &[u8]) {
    let mut all = 0;
    let read = read(bytes, bytes.len() as u64, &mut |content, most| {
        let mut hasher = blake3::Hasher::new();
        let size = io::copy(&mut content.take(most), &mut hasher).map_err(StoreError::Source)?;
        all += size;
        Ok((ObjectDigest::from_bytes(*hasher.finalize().as_bytes()), size))
    });
    assert!(all <= bytes.len() as u64 * MOST_RATIO);
    let Ok(unpacked) = read else { return };
    for entry in unpacked.entries.values() {
        match entry {
            Entry::Symlink { target } => assert!(!target.is_empty() && target.len() <= MAX_TARGET),
            Entry::File { size, .. } => assert!(*size <= all),
            Entry::Directory => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    type Kept = Result<Unpacked, ZipError>;

    fn unpack(bytes: &[u8]) -> Kept {
        read(bytes, bytes.len() as u64, &mut |content, _| {
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes).map_err(StoreError::Source)?;
            Ok((ObjectDigest::of(&bytes), bytes.len() as u64))
        })
    }

    /// A stored entry and its line of the listing: name, mode, content, offset.
    fn part(name: &[u8], mode: u32, content: &[u8], offset: u32) -> (Vec<u8>, Vec<u8>) {
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let length = u32::try_from(content.len()).expect("small");
        let name_length = u16::try_from(name.len()).expect("short");
        let mut common = Vec::new();
        common.extend([20_u16, 0, 0, 0x6000, 0x5a21].iter().flat_map(|n| n.to_le_bytes()));
        common.extend([crc.sum(), length, length].iter().flat_map(|n| n.to_le_bytes()));
        common.extend(name_length.to_le_bytes());
        common.extend(0_u16.to_le_bytes());
        let local = [b"PK\x03\x04", common.as_slice(), name, content].concat();
        let mut central = [b"PK\x01\x02\x14\x03", common.as_slice()].concat();
        central.extend([0_u16, 0, 0].iter().flat_map(|n| n.to_le_bytes()));
        central.extend((mode << 16).to_le_bytes());
        central.extend(offset.to_le_bytes());
        central.extend(name);
        (local, central)
    }

    fn zip(entries: &[(&[u8], u32, &[u8])]) -> Vec<u8> {
        let (mut out, mut listing) = (Vec::new(), Vec::new());
        for (name, mode, content) in entries {
            let (local, central) = part(name, *mode, content, u32::try_from(out.len()).expect("small"));
            out.extend(local);
            listing.extend(central);
        }
        let (at, length) = (u32::try_from(out.len()).expect("small"), u32::try_from(listing.len()).expect("small"));
        let count = u16::try_from(entries.len()).expect("few");
        out.extend(listing);
        out.write_all(b"PK\x05\x06\0\0\0\0").expect("memory");
        out.extend([count, count].iter().flat_map(|n| n.to_le_bytes()));
        out.extend([length, at].iter().flat_map(|n| n.to_le_bytes()));
        out.extend([0, 0]);
        out
    }

    #[track_caller]
    fn refused(entries: &[(&[u8], u32, &[u8])], why: &str) {
        let error = unpack(&zip(entries)).err().expect("it is refused").to_string();
        assert!(error.contains(why), "{error}");
    }

    #[test]
    fn files_folders_and_links_are_read() {
        let bytes = zip(&[
            (b"a/", 0o040_755, b""),
            (b"a/run", 0o100_755, b"#!/bin/sh\n"),
            (b"a/link", 0o120_777, b"run"),
            (b"./a/b", 0o106_644, b"set-id bits mean nothing"),
        ]);
        let found = unpack(&bytes).expect("an archive");
        let paths: Vec<_> = found.entries.keys().map(ToString::to_string).collect();
        assert_eq!(paths, ["a", "a/b", "a/link", "a/run"]);
        let is_run = |entry: &Entry| matches!(entry, Entry::File { executable: true, size: 10, .. });
        assert!(is_run(&found.entries[&TreePath::try_from("a/run").expect("path")]));
        // 2025-01-01 12:00, as DOS writes it.
        assert_eq!(found.time, 1_735_732_800);
    }

    #[test]
    fn hostile_archives_are_refused() {
        refused(&[(b"/etc/passwd", 0o100_644, b"x")], "/etc/passwd");
        refused(&[(b"a/../../b", 0o100_644, b"x")], "a/../../b");
        refused(&[(b"a\\b", 0o100_644, b"x")], "backslashes");
        refused(&[(b"a\0b", 0o100_644, b"x")], "a\\0b");
        refused(&[(b"dev", 0o020_644, b"")], "a device");
        refused(&[(b"pipe", 0o010_644, b"")], "named pipe");
        refused(&[(b"link", 0o120_777, b"")], "link to nothing");
        refused(&[(b"link", 0o120_777, &[b'x'; MAX_TARGET + 1])], "larger than it may be");
        refused(&[(b"a", 0o100_644, b"1"), (b"a", 0o100_644, b"2")], "twice");
        let good = zip(&[(b"a", 0o100_644, b"the content")]);
        let at = good.windows(11).position(|part| part == b"the content").expect("it is stored");
        let mut altered = good.clone();
        altered[at] ^= 1;
        assert!(unpack(&altered).err().expect("refused").to_string().contains("damaged"));
        let mut encrypted = good.clone();
        let listing = good.windows(4).position(|part| part == b"PK\x01\x02").expect("a listing");
        encrypted[listing + 8] |= 1;
        assert!(unpack(&encrypted).err().expect("refused").to_string().contains("encrypted"));
        for end in 0..good.len() {
            assert!(unpack(&good[..end]).is_err(), "{end}");
        }
    }

    /// A listing that names the same bytes again and again unpacks to more than deflate can make of the whole.
    #[test]
    fn entries_that_share_their_bytes_are_found_out() {
        let content = vec![0; 60_000];
        let (local, _) = part(b"a", 0o100_644, &content, 0);
        let (mut out, mut listing, mut count) = (local, Vec::new(), 0_u16);
        // Each is listed in 47 bytes, and gives 60,000 of one entry.
        while count < 60_000 {
            listing.extend(part(b"a", 0o100_644, &content, 0).1);
            count += 1;
        }
        let (at, length) = (u32::try_from(out.len()).expect("small"), u32::try_from(listing.len()).expect("small"));
        out.extend(listing);
        out.write_all(b"PK\x05\x06\0\0\0\0").expect("memory");
        out.extend([count, count].iter().flat_map(|n| n.to_le_bytes()));
        out.extend([length, at].iter().flat_map(|n| n.to_le_bytes()));
        out.extend([0, 0]);
        let error = unpack(&out).err().expect("it is refused").to_string();
        assert!(error.contains("larger than it may be"), "{error}");
    }
}
