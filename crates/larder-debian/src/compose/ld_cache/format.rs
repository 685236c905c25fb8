//! The bytes of `/etc/ld.so.cache`: glibc's `glibc-ld.so.cache1.1` (its `dl-cache.h`, since 2.2; extensions since
//! 2.33).
//!
//! ```text
//! 0   "glibc-ld.so.cache" "1.1"        20 bytes
//! 20  u32 number of entries, u32 bytes of strings, u8 flags (2: little endian), 3 bytes 0
//! 32  u32 offset of the extensions, 3 x u32 0
//! 48  entries of 24 bytes: i32 flags, u32 soname, u32 path, u32 0, u64 hwcap
//!     strings, each ended by NUL; a string that ends another shares its bytes
//!     padding to 4; extensions: u32 magic, u32 number of sections, sections of 4 x u32 (tag, flags, offset, size)
//! ```
//! Offsets count from the start of the file. The linker searches entries by halving, so their order is part of the
//! format.

use std::cmp::Ordering;
use std::collections::BTreeMap;

const MAGIC: &[u8; 20] = b"glibc-ld.so.cache1.1";
const LITTLE_ENDIAN: u8 = 2;
const HEADER: usize = 48;
const ENTRY: usize = 24;
const EXTENSIONS_MAGIC: u32 = 0xeaa4_2174;
/// Set in an entry's hwcap: the low half is the index of a `glibc-hwcaps` name.
const HWCAP_IS_INDEX: u64 = 1 << 62;
const GENERATOR_TAG: u32 = 0;
const HWCAPS_TAG: u32 = 1;
/// Who wrote it; a comment to the linker. Not this program's version: the same set gives the same bytes for ever.
const GENERATOR: &[u8] = b"larder ld.so.cache 1";

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Library {
    /// Absolute.
    pub(super) path: Vec<u8>,
    pub(super) soname: Vec<u8>,
    pub(super) flags: i32,
    /// The `glibc-hwcaps` subdirectory that it is in.
    pub(super) hwcaps: Option<Vec<u8>>,
}

/// Writes the cache; of equal entries the earlier stays first.
pub(super) fn encode(mut libraries: Vec<Library>) -> Vec<u8> {
    libraries.sort_by(compare);
    let hwcaps: BTreeMap<&[u8], u32> = {
        let mut names: Vec<&[u8]> = libraries.iter().filter_map(|l| l.hwcaps.as_deref()).collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter().zip(0..).collect()
    };
    let strings =
        Strings::new(libraries.iter().flat_map(|l| [&l.path[..], &l.soname[..]]).chain(hwcaps.keys().copied()));
    let base = HEADER + libraries.len() * ENTRY;
    let at = |text: &[u8]| (base + strings.offsets[text]) as u32;
    let extensions = (base + strings.bytes.len()).next_multiple_of(4);

    let mut out = Vec::with_capacity(extensions + 128);
    out.extend(MAGIC);
    out.extend((libraries.len() as u32).to_le_bytes());
    out.extend((strings.bytes.len() as u32).to_le_bytes());
    out.extend([LITTLE_ENDIAN, 0, 0, 0]);
    out.extend((extensions as u32).to_le_bytes());
    out.extend([0; 12]);
    for library in &libraries {
        let hwcap = library.hwcaps.as_deref().map_or(0, |name| HWCAP_IS_INDEX | u64::from(hwcaps[name]));
        out.extend(library.flags.to_le_bytes());
        out.extend(at(&library.soname).to_le_bytes());
        out.extend(at(&library.path).to_le_bytes());
        out.extend([0; 4]);
        out.extend(hwcap.to_le_bytes());
    }
    out.extend(&strings.bytes);
    out.resize(extensions, 0);

    let sections: u32 = if hwcaps.is_empty() { 1 } else { 2 };
    let names_at = extensions as u32 + 8 + 16 * sections;
    let names_size = 4 * hwcaps.len() as u32;
    out.extend(EXTENSIONS_MAGIC.to_le_bytes());
    out.extend(sections.to_le_bytes());
    let mut section =
        |tag: u32, at: u32, size: u32| [tag, 0, at, size].map(u32::to_le_bytes).into_iter().for_each(|w| out.extend(w));
    section(GENERATOR_TAG, names_at + names_size, GENERATOR.len() as u32);
    if !hwcaps.is_empty() {
        section(HWCAPS_TAG, names_at, names_size);
    }
    hwcaps.keys().for_each(|name| out.extend(at(name).to_le_bytes()));
    out.extend(GENERATOR);
    out
}

/// The order that the linker's search relies on: sonames descending, then flags descending, hardware directories by
/// name before the plain one.
fn compare(a: &Library, b: &Library) -> Ordering {
    compare_names(&b.soname, &a.soname)
        .then_with(|| b.flags.cmp(&a.flags))
        .then_with(|| b.hwcaps.is_some().cmp(&a.hwcaps.is_some()))
        .then_with(|| a.hwcaps.cmp(&b.hwcaps))
}

/// glibc's `_dl_cache_libcmp`: runs of digits compare as numbers, and a digit is more than any other byte.
pub(super) fn compare_names(a: &[u8], b: &[u8]) -> Ordering {
    let (mut a, mut b) = (a, b);
    while let Some(&first) = a.first() {
        let digits = (first.is_ascii_digit(), b.first().is_some_and(u8::is_ascii_digit));
        match digits {
            (true, true) => match take_number(&mut a).cmp(&take_number(&mut b)) {
                Ordering::Equal => {}
                other => return other,
            },
            (true, false) => return Ordering::Greater,
            (false, true) => return Ordering::Less,
            (false, false) => {
                // The end of the other string counts as NUL.
                let second = b.first().copied().unwrap_or(0);
                if first != second {
                    return first.cmp(&second);
                }
                (a, b) = (&a[1..], &b[1..]);
            }
        }
    }
    if b.is_empty() { Ordering::Equal } else { Ordering::Less }
}

/// Takes a run of digits; glibc computes in `int`, which wraps around.
fn take_number(text: &mut &[u8]) -> i32 {
    let mut value = 0_i32;
    while let Some((&digit, rest)) = text.split_first().filter(|(digit, _)| digit.is_ascii_digit()) {
        value = value.wrapping_mul(10).wrapping_add(i32::from(digit - b'0'));
        *text = rest;
    }
    value
}

/// All strings, each once; one that ends another is within it.
struct Strings<'a> {
    bytes: Vec<u8>,
    offsets: BTreeMap<&'a [u8], usize>,
}

impl<'a> Strings<'a> {
    fn new(all: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut sorted: Vec<&[u8]> = all.collect();
        // By the reversed bytes, descending, as glibc does; of two with a common end the longer first, so that a
        // suffix follows a string that holds it.
        sorted.sort_unstable_by(|a, b| {
            let common = a.iter().rev().zip(b.iter().rev()).map(|(x, y)| y.cmp(x)).find(|o| o.is_ne());
            common.unwrap_or_else(|| b.len().cmp(&a.len()))
        });
        sorted.dedup();
        let mut strings = Self { bytes: Vec::new(), offsets: BTreeMap::new() };
        let mut previous: Option<(&[u8], usize)> = None;
        for text in sorted {
            let at = match previous {
                Some((before, at)) if before.ends_with(text) => at + before.len() - text.len(),
                _ => {
                    let at = strings.bytes.len();
                    strings.bytes.extend(text);
                    strings.bytes.push(0);
                    at
                }
            };
            strings.offsets.insert(text, at);
            previous = Some((text, at));
        }
        strings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_compare_as_glibc_does() {
        let ascending = ["libc.so", "libc.so.6", "libc.so.10", "libd.so", "libd2.so", "libd10.so"];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(compare_names(a.as_bytes(), b.as_bytes()), i.cmp(&j), "{a} {b}");
            }
        }
    }

    #[test]
    fn suffixes_share_bytes() {
        let strings = Strings::new([b"/lib/liba.so".as_slice(), b"liba.so", b"libb.so", b"a.so"].into_iter());
        assert_eq!(strings.bytes, b"libb.so\0/lib/liba.so\0");
        assert_eq!(strings.offsets[b"liba.so".as_slice()], 13);
        assert_eq!(strings.offsets[b"a.so".as_slice()], 16);
    }
}
