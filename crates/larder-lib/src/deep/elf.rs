//! Sections and segments of a program or library, by name and by address.

use std::fs::File;

use goblin::container::Ctx;
use goblin::elf::program_header::{PF_W, PF_X, PT_LOAD, ProgramHeader};
use goblin::elf::section_header::{SHT_NOBITS, SectionHeader};

use super::{Read, Refused};
use crate::verify::elf::{bytes, read_at};

/// The largest table of headers that is read, in bytes.
const MAX_TABLE: usize = 4 << 20;
/// The largest table of sections' names.
const MAX_NAMES: usize = 1 << 20;

/// A program or library whose tables were read.
pub(super) struct Binary<'f> {
    file: &'f File,
    ctx: Ctx,
    sections: Vec<(String, SectionHeader)>,
    segments: Vec<ProgramHeader>,
}

/// A part of the file, and where it is in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) address: u64,
    pub(super) offset: u64,
    pub(super) size: u64,
}

/// Reads the tables; `None` for what isn't ELF.
pub(super) fn open(file: &File) -> Read<Option<Binary<'_>>> {
    let mut start = [0; 64];
    let length = read_at(file, 0, &mut start)?;
    if !start[..length].starts_with(b"\x7fELF") {
        return Ok(None);
    }
    let wrong = |reason| Refused::Malformed { what: "its ELF header", reason };
    let header = goblin::elf::Elf::parse_header(&start[..length]).map_err(|_| wrong("it is cut short or wrong"))?;
    let (Ok(container), Ok(order)) = (header.container(), header.endianness()) else {
        return Err(wrong("its class or byte order is unknown").into());
    };
    let ctx = Ctx::new(container, order);
    let table = |what, offset, count: u16, size: usize| -> Read<Vec<u8>> {
        let size = usize::from(count) * size;
        if size > MAX_TABLE {
            return Err(Refused::Length { what, limit: MAX_TABLE as u64 }.into());
        }
        let cut = || Refused::Malformed { what, reason: "it is cut short" };
        Ok(bytes(file, offset, size)?.ok_or_else(cut)?)
    };
    let what = "its table of segments";
    let segments = table(what, header.e_phoff, header.e_phnum, ProgramHeader::size(ctx))?;
    let segments = ProgramHeader::parse(&segments, 0, header.e_phnum.into(), ctx)
        .map_err(|_| Refused::Malformed { what, reason: "an entry is wrong" })?;
    let what = "its table of sections";
    let headers = table(what, header.e_shoff, header.e_shnum, SectionHeader::size(ctx))?;
    let headers = match header.e_shnum {
        0 => Vec::new(),
        count => SectionHeader::parse_from(&headers, 0, count.into(), ctx)
            .map_err(|_| Refused::Malformed { what, reason: "an entry is wrong" })?,
    };
    let names = match headers.get(usize::from(header.e_shstrndx)) {
        Some(names) if header.e_shnum > 0 && names.sh_type != SHT_NOBITS => {
            let what = "its table of sections' names";
            let size = usize::try_from(names.sh_size).ok().filter(|&size| size <= MAX_NAMES);
            let size = size.ok_or(Refused::Length { what, limit: MAX_NAMES as u64 })?;
            bytes(file, names.sh_offset, size)?.ok_or(Refused::Malformed { what, reason: "it is cut short" })?
        }
        _ => Vec::new(),
    };
    let name = |at: usize| {
        let name = names.get(at..).unwrap_or_default().split(|&b| b == 0).next().unwrap_or_default();
        String::from_utf8_lossy(&name[..name.len().min(255)]).into_owned()
    };
    let sections = headers.into_iter().map(|header| (name(header.sh_name), header)).collect();
    Ok(Some(Binary { file, ctx, sections, segments }))
}

impl Binary<'_> {
    /// A section that is in the file, by name.
    pub(super) fn section(&self, name: &str) -> Option<Part> {
        let (_, header) = self.sections.iter().find(|(of, header)| of == name && header.sh_type != SHT_NOBITS)?;
        Some(Part { address: header.sh_addr, offset: header.sh_offset, size: header.sh_size })
    }

    /// The first segment of data that can be written to.
    pub(super) fn data_segment(&self) -> Option<Part> {
        let is_data = |segment: &&ProgramHeader| segment.p_type == PT_LOAD && segment.p_flags & (PF_X | PF_W) == PF_W;
        let segment = self.segments.iter().find(is_data)?;
        Some(Part { address: segment.p_vaddr, offset: segment.p_offset, size: segment.p_filesz })
    }

    /// As much of a part as there is, up to so many bytes.
    pub(super) fn read(&self, part: Part, most: usize) -> Read<Vec<u8>> {
        let mut buffer = vec![0; usize::try_from(part.size).unwrap_or(most).min(most)];
        let length = read_at(self.file, part.offset, &mut buffer)?;
        buffer.truncate(length);
        Ok(buffer)
    }

    /// Exactly so many bytes from an address on; none where no segment of the file has them all.
    pub(super) fn at(&self, address: u64, length: usize) -> Read<Option<Vec<u8>>> {
        let place = self.segments.iter().filter(|segment| segment.p_type == PT_LOAD).find_map(|segment| {
            let inside = address.checked_sub(segment.p_vaddr)?;
            let end = inside.checked_add(length as u64)?;
            if end <= segment.p_filesz { segment.p_offset.checked_add(inside) } else { None }
        });
        match place {
            Some(offset) => Ok(bytes(self.file, offset, length)?),
            None => Ok(None),
        }
    }

    /// How many bytes an address has.
    pub(super) fn address_size(&self) -> usize {
        self.ctx.size()
    }

    /// A number of the size of an address.
    pub(super) fn number(&self, bytes: &[u8]) -> Option<u64> {
        let little = self.ctx.is_little_endian();
        match bytes.len() {
            4 => bytes
                .try_into()
                .ok()
                .map(|b| u64::from(if little { u32::from_le_bytes(b) } else { u32::from_be_bytes(b) })),
            8 => bytes.try_into().ok().map(|b| if little { u64::from_le_bytes(b) } else { u64::from_be_bytes(b) }),
            _ => None,
        }
    }
}
