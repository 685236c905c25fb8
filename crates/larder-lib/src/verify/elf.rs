//! What an ELF file says it needs, from its headers alone.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use goblin::container::Ctx;
use goblin::elf::dynamic::{
    DF_1_NODEFLIB, DT_FLAGS_1, DT_NEEDED, DT_RPATH, DT_RUNPATH, DT_SONAME, DT_STRSZ, DT_STRTAB, Dynamic,
};
use goblin::elf::header::{ET_DYN, ET_EXEC};
use goblin::elf::program_header::{PT_DYNAMIC, PT_INTERP, PT_LOAD, ProgramHeader};

/// The largest table of program headers that is read.
const MAX_HEADERS: usize = 1 << 16;
/// The largest dynamic section that is read.
const MAX_DYNAMIC: usize = 1 << 20;
/// The longest name that is read.
pub(super) const MAX_NAME: usize = 4096;
/// The largest number of libraries that one file may need.
pub(super) const MAX_NEEDED: usize = 4096;

/// What an ELF file needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Elf {
    /// 32 or 64 bits, byte order and machine: a program loads libraries of its own kind only.
    pub(super) kind: Kind,
    /// `PT_INTERP`: present in programs that need libraries, and in the few libraries that are programs too.
    pub(super) interpreter: Option<String>,
    /// `DT_NEEDED`, in order.
    pub(super) needed: Vec<String>,
    /// `DT_SONAME`.
    pub(super) soname: Option<String>,
    /// The folders of `DT_RPATH`; none where there is a `DT_RUNPATH`.
    pub(super) rpath: Vec<String>,
    /// The folders of `DT_RUNPATH`.
    pub(super) runpath: Vec<String>,
    /// Whether the loader's configured and default folders are not for it.
    pub(super) no_default: bool,
}

/// What must agree between a program and its libraries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Kind {
    pub(super) class: u8,
    pub(super) order: u8,
    pub(super) machine: u16,
}

/// What is wrong with a file that begins like an ELF file.
type Malformed = &'static str;

/// Reads what a file needs: `None` for one that is neither a program nor a library (objects, kernel modules, cores).
pub(super) fn read(file: &File) -> io::Result<Result<Option<Elf>, Malformed>> {
    let mut start = [0; 64];
    let length = read_at(file, 0, &mut start)?;
    let Ok(header) = goblin::elf::Elf::parse_header(&start[..length]) else {
        return Ok(Err("its header is cut short or wrong"));
    };
    if !matches!(header.e_type, ET_DYN | ET_EXEC) {
        return Ok(Ok(None));
    }
    let (Ok(container), Ok(order)) = (header.container(), header.endianness()) else {
        return Ok(Err("its class or byte order is unknown"));
    };
    let ctx = Ctx::new(container, order);
    let count = usize::from(header.e_phnum);
    let size = count * ProgramHeader::size(ctx);
    if size > MAX_HEADERS {
        return Ok(Err("it has too many program headers"));
    }
    let Some(table) = bytes(file, header.e_phoff, size)? else { return Ok(Err("its program headers are cut short")) };
    let Ok(headers) = ProgramHeader::parse(&table, 0, count, ctx) else {
        return Ok(Err("its program headers are wrong"));
    };
    let kind = Kind { class: header.e_ident[4], order: header.e_ident[5], machine: header.e_machine };
    Reader { file, ctx, headers }.elf(kind)
}

struct Reader<'a> {
    file: &'a File,
    ctx: Ctx,
    headers: Vec<ProgramHeader>,
}

impl Reader<'_> {
    fn elf(&self, kind: Kind) -> io::Result<Result<Option<Elf>, Malformed>> {
        let mut elf = Elf { kind, ..Elf::default() };
        if let Some(interp) = self.header(PT_INTERP) {
            let length = usize::try_from(interp.p_filesz).unwrap_or(usize::MAX).min(MAX_NAME);
            let Some(name) = bytes(self.file, interp.p_offset, length)? else {
                return Ok(Err("its interpreter's name is cut short"));
            };
            elf.interpreter = Some(until_nul(&name));
        }
        let Some(dynamic) = self.header(PT_DYNAMIC).filter(|header| header.p_filesz > 0) else {
            return Ok(Ok(Some(elf)));
        };
        let Some(length) = usize::try_from(dynamic.p_filesz).ok().filter(|&length| length <= MAX_DYNAMIC) else {
            return Ok(Err("its dynamic section is too large"));
        };
        let Some(section) = bytes(self.file, dynamic.p_offset, length)? else {
            return Ok(Err("its dynamic section is cut short"));
        };
        // The section alone is handed over, so it begins at 0.
        let alone = ProgramHeader { p_type: PT_DYNAMIC, p_filesz: dynamic.p_filesz, ..ProgramHeader::default() };
        let Ok(Some(dynamic)) = Dynamic::parse(&section, &[alone], self.ctx) else {
            return Ok(Err("its dynamic section is wrong"));
        };
        self.dynamic(elf, &dynamic)
    }

    fn dynamic(&self, mut elf: Elf, dynamic: &Dynamic) -> io::Result<Result<Option<Elf>, Malformed>> {
        let value = |tag| dynamic.dyns.iter().find(|entry| entry.d_tag == tag).map(|entry| entry.d_val);
        let strings = match value(DT_STRTAB).map(|address| self.offset(address)) {
            None => return Ok(Ok(Some(elf))),
            Some(None) => return Ok(Err("its string table is nowhere in it")),
            Some(Some(offset)) => offset,
        };
        let limit = value(DT_STRSZ).unwrap_or(0);
        let string = |at: u64| -> io::Result<Option<String>> {
            let Some(offset) = strings.checked_add(at).filter(|_| at < limit) else { return Ok(None) };
            let mut name = [0; MAX_NAME];
            let length = read_at(self.file, offset, &mut name)?;
            Ok(name[..length].contains(&0).then(|| until_nul(&name[..length])))
        };
        for entry in &dynamic.dyns {
            let name = match entry.d_tag {
                DT_NEEDED | DT_SONAME | DT_RPATH | DT_RUNPATH => match string(entry.d_val)? {
                    Some(name) => name,
                    None => return Ok(Err("a name in its dynamic section is nowhere in it")),
                },
                DT_FLAGS_1 => {
                    elf.no_default = entry.d_val & DF_1_NODEFLIB != 0;
                    continue;
                }
                _ => continue,
            };
            match entry.d_tag {
                DT_NEEDED if elf.needed.len() < MAX_NEEDED => elf.needed.push(name),
                DT_NEEDED => return Ok(Err("it needs too many libraries")),
                DT_SONAME => elf.soname = Some(name),
                DT_RPATH => elf.rpath = folders(&name),
                _ => elf.runpath = folders(&name),
            }
        }
        if !elf.runpath.is_empty() {
            elf.rpath.clear();
        }
        Ok(Ok(Some(elf)))
    }

    fn header(&self, kind: u32) -> Option<&ProgramHeader> {
        self.headers.iter().find(|header| header.p_type == kind)
    }

    /// Where in the file an address is.
    fn offset(&self, address: u64) -> Option<u64> {
        self.headers.iter().filter(|header| header.p_type == PT_LOAD).find_map(|header| {
            let inside = address.checked_sub(header.p_vaddr)?;
            if inside < header.p_filesz { header.p_offset.checked_add(inside) } else { None }
        })
    }
}

fn folders(list: &str) -> Vec<String> {
    list.split(':').filter(|folder| !folder.is_empty()).map(str::to_owned).collect()
}

fn until_nul(bytes: &[u8]) -> String {
    let name = bytes.split(|&b| b == 0).next().unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}

/// Exactly so many bytes from there; `None` where the file ends before.
pub(crate) fn bytes(file: &File, offset: u64, length: usize) -> io::Result<Option<Vec<u8>>> {
    let mut buffer = vec![0; length];
    let read = read_at(file, offset, &mut buffer)?;
    Ok((read == length).then_some(buffer))
}

/// As many bytes from there as the file has, up to the buffer's length.
pub(crate) fn read_at(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    // The kernel refuses offsets that a file can't have.
    if i64::try_from(offset).is_err() {
        return Ok(0);
    }
    let mut done = 0;
    while done < buffer.len() {
        match file.read_at(&mut buffer[done..], offset.saturating_add(done as u64)) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => break,
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
