//! As much of ELF as the linker's cache needs: is it a library, for which machine, with which soname?
//!
//! Source: System V ABI, chapters 4 and 5; the flags are glibc's `ldconfig.h`. Bytes come from outside: every offset is
//! checked by the read that uses it, and every size has a limit.
//!
//! One simplification: `ldconfig` calls a 32-bit x86 library that names no C library plain "ELF" (flag 1), which the
//! linker treats as it treats libc6. Here both are libc6.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;

/// For glibc: `FLAG_ELF_LIBC6`.
const LIBC6: i32 = 0x0003;
const X86_64: i32 = 0x0300;
const X32: i32 = 0x0800;
const AARCH64: i32 = 0x0a00;

const ET_DYN: u64 = 3;
const EM_386: u64 = 3;
const EM_X86_64: u64 = 62;
const EM_AARCH64: u64 = 183;
const PT_LOAD: u64 = 1;
const PT_DYNAMIC: u64 = 2;
const DT_NULL: u64 = 0;
const DT_STRTAB: u64 = 5;
const DT_SONAME: u64 = 14;

const MAX_SEGMENTS: u64 = 256;
const MAX_DYNAMIC: u64 = 1 << 20;
const MAX_SONAME: usize = 255;

/// What the cache says of a library.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// glibc's word for machine and C library.
    pub(super) flags: i32,
    /// `DT_SONAME`, where there is one.
    pub(super) soname: Option<Vec<u8>>,
}

/// The layout of one class of ELF files.
struct Class {
    wide: bool,
}

/// Reads a little-endian number of 2, 4 or 8 bytes at an offset.
fn number(bytes: &[u8], offset: usize, size: usize) -> Option<u64> {
    let mut all = [0; 8];
    all[..size].copy_from_slice(bytes.get(offset..offset.checked_add(size)?)?);
    Some(u64::from_le_bytes(all))
}

impl Class {
    /// A number of the class's word size: at `wide` in 64-bit files, at `narrow` in 32-bit ones.
    fn word(&self, bytes: &[u8], wide: usize, narrow: usize) -> Option<u64> {
        if self.wide { number(bytes, wide, 8) } else { number(bytes, narrow, 4) }
    }
}

/// Reads the headers of a file; `None` for anything that is no shared library of a known machine.
///
/// # Errors
/// A read that fails; a file that ends early is no library instead.
pub(super) fn read(file: &File) -> io::Result<Option<Header>> {
    match read_inner(file) {
        // An offset beyond 2^63 is an invalid argument to the system.
        Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::InvalidInput) => Ok(None),
        other => other,
    }
}

fn read_inner(file: &File) -> io::Result<Option<Header>> {
    let mut header = vec![0; 52];
    file.read_exact_at(&mut header, 0)?;
    let wide = match &header[..6] {
        b"\x7fELF\x02\x01" => true,
        b"\x7fELF\x01\x01" => false,
        _ => return Ok(None),
    };
    if wide {
        header.resize(64, 0);
        file.read_exact_at(&mut header, 0)?;
    }
    let class = Class { wide };
    let flags = match (number(&header, 18, 2), wide) {
        (Some(EM_X86_64), true) => X86_64 | LIBC6,
        (Some(EM_X86_64), false) => X32 | LIBC6,
        (Some(EM_AARCH64), true) => AARCH64 | LIBC6,
        (Some(EM_386), false) => LIBC6,
        _ => return Ok(None),
    };
    if number(&header, 16, 2) != Some(ET_DYN) {
        return Ok(None);
    }
    let Some(segments) = read_segments(file, &class, &header)? else { return Ok(None) };
    let Some(dynamic) = segments.iter().find(|s| s.kind == PT_DYNAMIC) else { return Ok(None) };
    if dynamic.file_size > MAX_DYNAMIC {
        return Ok(None);
    }
    let mut bytes = vec![0; dynamic.file_size as usize];
    file.read_exact_at(&mut bytes, dynamic.offset)?;
    let Some(soname) = soname_offset(&class, &bytes, &segments) else {
        return Ok(Some(Header { flags, soname: None }));
    };
    let mut text = vec![0; MAX_SONAME + 1];
    let got = read_some_at(file, &mut text, soname)?;
    let Some(end) = text[..got].iter().position(|&b| b == 0) else { return Ok(None) };
    text.truncate(end);
    let plain = !text.is_empty() && !text.contains(&b'/');
    Ok(plain.then_some(Header { flags, soname: Some(text) }))
}

struct Segment {
    kind: u64,
    offset: u64,
    address: u64,
    file_size: u64,
}

fn read_segments(file: &File, class: &Class, header: &[u8]) -> io::Result<Option<Vec<Segment>>> {
    let at = class.word(header, 32, 28);
    let (size_at, expected) = if class.wide { (54, 56) } else { (42, 32) };
    let (Some(at), Some(size), Some(count)) = (at, number(header, size_at, 2), number(header, size_at + 2, 2)) else {
        return Ok(None);
    };
    if size != expected || count == 0 || count > MAX_SEGMENTS {
        return Ok(None);
    }
    let mut bytes = vec![0; (size * count) as usize];
    file.read_exact_at(&mut bytes, at)?;
    let segment = |raw: &[u8]| {
        Some(Segment {
            kind: number(raw, 0, 4)?,
            offset: class.word(raw, 8, 4)?,
            address: class.word(raw, 16, 8)?,
            file_size: class.word(raw, 32, 16)?,
        })
    };
    Ok(bytes.chunks_exact(size as usize).map(segment).collect())
}

/// Where in the file the soname begins.
fn soname_offset(class: &Class, dynamic: &[u8], segments: &[Segment]) -> Option<u64> {
    let word = if class.wide { 8 } else { 4 };
    let (mut strings, mut soname) = (None, None);
    for pair in dynamic.chunks_exact(2 * word) {
        let value = number(pair, word, word)?;
        match number(pair, 0, word)? {
            DT_NULL => break,
            DT_STRTAB => strings = Some(value),
            DT_SONAME => soname = Some(value),
            _ => {}
        }
    }
    let (address, offset) = (strings?, soname?);
    let load =
        segments.iter().find(|s| s.kind == PT_LOAD && address >= s.address && address - s.address < s.file_size)?;
    (address - load.address).checked_add(load.offset)?.checked_add(offset)
}

/// Reads up to the end of the file.
fn read_some_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match file.read_at(&mut buffer[got..], at.saturating_add(got as u64)) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(bytes).expect("write");
        file
    }

    /// A whole library: headers, one loaded segment over everything, a dynamic segment, strings.
    fn library(soname: &[u8]) -> Vec<u8> {
        let mut out = b"\x7fELF\x02\x01\x01".to_vec();
        out.resize(16, 0);
        [3_u16, 62].iter().for_each(|half| out.extend(half.to_le_bytes()));
        out.resize(32, 0);
        out.extend(64_u64.to_le_bytes());
        out.resize(54, 0);
        [56_u16, 2, 0, 0, 0].iter().for_each(|half| out.extend(half.to_le_bytes()));
        for (kind, offset, address, size) in [(1_u32, 0_u64, 0x1000_u64, 512_u64), (2, 176, 0x1000 + 176, 48)] {
            out.extend(kind.to_le_bytes());
            out.extend(4_u32.to_le_bytes());
            [offset, address, address, size, size, 8].iter().for_each(|word| out.extend(word.to_le_bytes()));
        }
        [5_u64, 0x1000 + 224, 14, 1, 0, 0].iter().for_each(|word| out.extend(word.to_le_bytes()));
        out.push(0);
        out.extend(soname);
        out.push(0);
        out.resize(512, 0);
        out
    }

    #[test]
    fn only_libraries_with_a_plain_soname_count() {
        let read = |bytes: &[u8]| read(&file(bytes)).expect("read");
        let expected = Header { flags: 0x0303, soname: Some(b"libx.so.1".to_vec()) };
        assert_eq!(read(&library(b"libx.so.1")), Some(expected));
        for hostile in [b"../../x".as_slice(), b"", b"/x"] {
            assert_eq!(read(&library(hostile)), None);
        }
        for other in [b"".as_slice(), b"INPUT(libx.so.1)", &library(b"libx.so.1")[..200]] {
            assert_eq!(read(other), None);
        }
        let mut arm = library(b"libx.so.1");
        arm[18] = 183;
        assert_eq!(read(&arm).map(|header| header.flags), Some(0x0a03));
    }

    proptest! {
        #[test]
        fn altered_headers_never_panic(changes in prop::collection::vec((0_usize..300, any::<u8>()), 0..12)) {
            let mut bytes = library(b"libx.so.1");
            changes.iter().for_each(|&(at, byte)| bytes[at] = byte);
            prop_assert!(read(&file(&bytes)).is_ok());
        }
    }
}
