//! What a Go program was built from: the build information that its linker leaves.
//!
//! The format is that of Go's `debug/buildinfo`: a header of 32 bytes at a multiple of 16 in the section `.go.buildinfo` (in
//! programs without sections: in the first 64 KiB of their data), with the text behind it (since Go 1.18) or two
//! pointers to Go strings. The text of modules lies between two marks of 16 bytes; its lines are `path`, `mod`, `dep` and `=>`
//! for the replacement of the one above.
//!
//! A program that was built without modules, as Debian's are, says its own path and no more.

use super::elf::{Binary, Part};
use super::{Ecosystem, Found, MAX_COMPONENTS, Read, Refused};

const MAGIC: &[u8] = b"\xff Go buildinf:";
const ALIGNMENT: usize = 16;
const HEADER: usize = 32;
/// How much of a program's data is searched where there is no section.
const SEARCHED: usize = 64 << 10;
/// The largest section that is read.
const MAX_SECTION: usize = 4 << 20;
/// The longest text of modules.
const MAX_MODULES: usize = 2 << 20;
/// The longest version of a toolchain.
const MAX_VERSION: usize = 256;
/// The marks around the text of modules.
const MARK: usize = 16;

/// What the linker wrote down; nothing for a program that isn't Go's.
pub(super) fn read(binary: &Binary<'_>) -> Read<Vec<Found>> {
    let (part, most) = match binary.section(".go.buildinfo") {
        Some(part) => (part, MAX_SECTION),
        None => match binary.data_segment() {
            Some(part) => (part, SEARCHED),
            None => return Ok(Vec::new()),
        },
    };
    let data = binary.read(part, most)?;
    let at = (0..data.len().saturating_sub(HEADER - 1)).step_by(ALIGNMENT).find(|&at| data[at..].starts_with(MAGIC));
    let Some(at) = at else { return Ok(Vec::new()) };
    let (version, modules) = match data[at + 15] & 2 {
        0 => pointed(binary, &data[at..at + HEADER])?,
        _ => inline(binary, part, at + HEADER)?,
    };
    Ok(components(&version, &modules)?)
}

/// Go 1.18 and later: two texts behind the header, each behind its length.
fn inline(binary: &Binary<'_>, part: Part, at: usize) -> Read<(String, String)> {
    let part = Part { offset: part.offset.saturating_add(at as u64), size: u64::MAX, ..part };
    let bytes = binary.read(part, MAX_VERSION + MAX_MODULES + 20)?;
    let mut rest = bytes.as_slice();
    Ok((prefixed(&mut rest, MAX_VERSION)?, prefixed(&mut rest, MAX_MODULES)?))
}

/// A text behind its length, which is an unsigned LEB128 number.
fn prefixed(rest: &mut &[u8], most: usize) -> Result<String, Refused> {
    let mut length = 0_u64;
    for shift in (0..63).step_by(7) {
        let (&byte, tail) = rest.split_first().ok_or_else(|| wrong("it is cut short"))?;
        *rest = tail;
        length |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            let length = bounded(length, most)?;
            let (text, tail) = rest.split_at_checked(length).ok_or_else(|| wrong("it is cut short"))?;
            *rest = tail;
            return text_of(text);
        }
    }
    Err(wrong("a length has too many bytes"))
}

/// Before Go 1.18: pointers to two strings, each an address and a length.
fn pointed(binary: &Binary<'_>, header: &[u8]) -> Read<(String, String)> {
    let size = usize::from(header[14]);
    if size != binary.address_size() || (header[15] & 1 == 0) != (binary.number(&[1, 0, 0, 0]) == Some(1)) {
        return Err(wrong("its pointers are not of the program's kind").into());
    }
    let text = |at: usize, most: usize| -> Read<String> {
        let nowhere = || wrong("a pointer leads nowhere");
        let number = |bytes: &[u8]| binary.number(bytes).ok_or_else(nowhere);
        let address = number(&header[at..at + size])?;
        if address == 0 {
            return Ok(String::new());
        }
        let string = binary.at(address, 2 * size)?.ok_or_else(nowhere)?;
        let length = bounded(number(&string[size..])?, most)?;
        let bytes = binary.at(number(&string[..size])?, length)?.ok_or_else(nowhere)?;
        Ok(text_of(&bytes)?)
    };
    Ok((text(16, MAX_VERSION)?, text(16 + size, MAX_MODULES)?))
}

fn wrong(reason: &'static str) -> Refused {
    Refused::Malformed { what: "Go's build information", reason }
}

fn bounded(length: u64, most: usize) -> Result<usize, Refused> {
    let what = "Go's build information";
    let within = usize::try_from(length).ok().filter(|&length| length <= most);
    within.ok_or(Refused::Length { what, limit: most as u64 })
}

fn text_of(bytes: &[u8]) -> Result<String, Refused> {
    // The marks are no text; they are cut off as bytes, which keeps what is between them whole.
    let bytes = match bytes.len() {
        length if length > 2 * MARK && bytes[length - MARK - 1] == b'\n' => &bytes[MARK..length - MARK],
        _ => bytes,
    };
    String::from_utf8(bytes.to_vec()).map_err(|_| wrong("it is not UTF-8"))
}

/// The toolchain's own library, the main module and its dependencies.
fn components(version: &str, modules: &str) -> Result<Vec<Found>, Refused> {
    let mut found = Vec::new();
    // `go1.22.3`, and words about experiments and vendors behind a blank.
    let release = version.split_whitespace().next().and_then(|word| word.strip_prefix("go"));
    found.push(Found::new(Ecosystem::Go, "stdlib", release)?);
    let mut main = None;
    let mut known = false;
    for line in modules.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        match fields.as_slice() {
            ["path", path] => main = Some(*path),
            [kind @ ("mod" | "dep"), path, rest @ ..] => {
                known |= *kind == "mod";
                found.push(Found::new(Ecosystem::Go, path, rest.first().copied())?);
            }
            // In the place of a module is a folder of the builder's machine: what was built is still that module.
            ["=>", path, ..] if is_folder(path) => {}
            // Of the standard library nothing is replaced: the one above is a module.
            ["=>", path, rest @ ..] if found.len() > 1 => {
                found.pop();
                found.push(Found::new(Ecosystem::Go, path, rest.first().copied())?);
            }
            _ => {}
        }
        if found.len() > MAX_COMPONENTS {
            return Err(Refused::Many { what: "modules", limit: MAX_COMPONENTS as u64 });
        }
    }
    if let Some(path) = main.filter(|path| !known && !path.is_empty()) {
        found.push(Found::new(Ecosystem::Go, path, None)?);
    }
    Ok(found)
}

/// Whether what replaces a module is a folder, as `go.mod` tells the two apart.
fn is_folder(path: &str) -> bool {
    ["/", "./", "../"].iter().any(|start| path.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_replaced() {
        let modules = "path\texample.com/tool\nmod\texample.com/tool\t(devel)\t\n\
                       dep\texample.com/a\tv1.0.0\n=>\texample.com/b\tv1.1.0\th1:x\n\
                       dep\texample.com/c\tv1.2.0\n=>\t/usr/share/gocode/src/example.com/c\t(devel)\t\n\
                       dep\texample.com/d\tv1.3.0\n=>\t../d\t(devel)\t\n";
        let found = components("go1.19.8", modules).expect("components");
        let found: Vec<_> = found.iter().map(|one| format!("{} {:?}", one.name, one.version.as_deref())).collect();
        assert_eq!(
            found,
            [
                "stdlib Some(\"1.19.8\")",
                "example.com/tool Some(\"(devel)\")",
                "example.com/b Some(\"v1.1.0\")",
                "example.com/c Some(\"v1.2.0\")",
                "example.com/d Some(\"v1.3.0\")"
            ]
        );
    }
}
