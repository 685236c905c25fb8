//! The crates that a Rust program was built from: what `cargo auditable` leaves in the section `.dep-v0`, JSON packed by zlib.
//!
//! Crates that only the build itself used are left out: nothing of them is in the program.

use auditable_serde::{DependencyKind, VersionInfo};
use flate2::read::ZlibDecoder;

use super::elf::Binary;
use super::{Ecosystem, Found, MAX_COMPONENTS, Read, Refused, bounded};

/// The largest section.
const MAX_PACKED: usize = 1 << 20;
/// The longest text in it.
const MAX_TEXT: u64 = 8 << 20;

/// The crates; none for a program without such a section.
pub(super) fn read(binary: &Binary<'_>) -> Read<Vec<Found>> {
    let Some(part) = binary.section(".dep-v0") else { return Ok(Vec::new()) };
    let what = "the list of crates";
    if part.size > MAX_PACKED as u64 {
        return Err(Refused::Length { what, limit: MAX_PACKED as u64 }.into());
    }
    let wrong = |reason| Refused::Malformed { what, reason };
    let packed = binary.read(part, MAX_PACKED)?;
    let text = match bounded(ZlibDecoder::new(packed.as_slice()), what, MAX_TEXT) {
        // All of it is in memory, so it isn't the disk that failed.
        Err(super::Failed::Io(_)) => return Err(wrong("it can't be unpacked").into()),
        text => text?,
    };
    let list: VersionInfo =
        serde_json::from_slice(&text).map_err(|_| wrong("it is not what cargo auditable writes"))?;
    if list.packages.len() > MAX_COMPONENTS {
        return Err(Refused::Many { what: "crates", limit: MAX_COMPONENTS as u64 }.into());
    }
    let within = list.packages.iter().filter(|package| package.kind == DependencyKind::Runtime);
    Ok(within
        .map(|package| Found::new(Ecosystem::Rust, &package.name, Some(&package.version.to_string())))
        .collect::<Result<_, _>>()?)
}
