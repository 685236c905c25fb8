//! What a Java archive says it is: Maven's `META-INF/maven/…/pom.properties`, or else the manifest's name and version. Archives within
//! it are looked into once, and not those within them.
//!
//! A zip's own listing is the only thing that is believed. What is unpacked has bounds of its own whatever the listing says, and all
//! that is unpacked of one file has one more ([`Budget`]): listings may name the same bytes a hundred thousand times.

use std::fs::File;
use std::io::{self, Read as _};

use flate2::read::DeflateDecoder;
use rawzip::{CompressionMethod, ErrorKind, ReaderAt, ZipArchive, ZipArchiveEntryWayfinder, ZipLocator};

use super::{Ecosystem, Failed, Found, MAX_COMPONENTS, Read, Refused, bounded};

/// The largest number of entries of one archive.
const MAX_ENTRIES: u64 = 200_000;
/// The longest manifest or description.
const MAX_TEXT: u64 = 1 << 20;
/// The largest archive within another, unpacked.
const MAX_INNER: u64 = 128 << 20;
/// All that is unpacked of one file.
const MAX_UNPACKED: u64 = 1 << 30;
/// The longest path that matters.
const MAX_PATH: usize = 1024;
/// How much of an archive is read at a time.
const BUFFER: usize = 64 << 10;

const MANIFEST: &str = "META-INF/MANIFEST.MF";

/// Whether a file's name is an archive's.
pub(super) fn is_archive(name: &[u8]) -> bool {
    [b".jar".as_slice(), b".war", b".ear"].iter().any(|end| name.ends_with(end))
}

/// What the archive and those within it are.
pub(super) fn read(file: &File) -> Read<Vec<Found>> {
    let mut buffer = vec![0; BUFFER];
    let archive = ZipArchive::from_file(file.try_clone()?, &mut buffer).map_err(failed)?;
    let mut budget = Budget { left: MAX_UNPACKED };
    let listed = list(&archive, &mut buffer)?;
    let mut found = described(&archive, &listed, &mut budget)?;
    for (path, inner) in &listed.archives {
        // An archive within may be broken without the one around it being so; but what is too much is too much of the whole.
        let bytes = unpack(&archive, inner, MAX_INNER, &mut budget)?;
        let archive: ZipArchive<Vec<u8>> = match ZipLocator::new().locate_in_slice(bytes) {
            Ok(archive) => archive.into(),
            Err((_, error)) => return Err(failed(error)),
        };
        let listed = list(&archive, &mut buffer)?;
        let inside = super::text("a path within it", path)?;
        let inner = described(&archive, &listed, &mut budget)?;
        found.extend(inner.into_iter().map(|found| Found { inside: Some(inside.clone()), ..found }));
        if found.len() > MAX_COMPONENTS {
            return Err(Refused::Many { what: "archives", limit: MAX_COMPONENTS as u64 }.into());
        }
    }
    Ok(found)
}

/// What may still be unpacked of one file.
struct Budget {
    left: u64,
}

/// The entries that matter.
#[derive(Default)]
struct Listed {
    manifest: Option<Item>,
    descriptions: Vec<Item>,
    archives: Vec<(String, Item)>,
}

/// Where an entry is, and how it is packed.
struct Item {
    place: ZipArchiveEntryWayfinder,
    method: CompressionMethod,
}

fn list<R: ReaderAt>(archive: &ZipArchive<R>, buffer: &mut [u8]) -> Read<Listed> {
    let mut listed = Listed::default();
    let mut entries = archive.entries(buffer);
    let mut count = 0;
    while let Some(entry) = entries.next_entry().map_err(failed)? {
        count += 1;
        if count > MAX_ENTRIES {
            return Err(Refused::Many { what: "entries", limit: MAX_ENTRIES }.into());
        }
        let path = entry.file_path();
        let Ok(path) = std::str::from_utf8(path.as_bytes()) else { continue };
        if path.len() > MAX_PATH {
            continue;
        }
        let item = Item { place: entry.wayfinder(), method: entry.compression_method() };
        if path == MANIFEST {
            if listed.manifest.replace(item).is_some() {
                return Err(wrong("it has two manifests").into());
            }
        } else if path.starts_with("META-INF/maven/") && path.ends_with("/pom.properties") {
            listed.descriptions.push(item);
        } else if is_archive(path.as_bytes()) {
            listed.archives.push((path.to_owned(), item));
        }
        if listed.descriptions.len() + listed.archives.len() > MAX_COMPONENTS {
            return Err(Refused::Many { what: "archives", limit: MAX_COMPONENTS as u64 }.into());
        }
    }
    Ok(listed)
}

/// Maven's descriptions: several where other archives were merged into this one. Without any, the manifest's.
fn described<R: ReaderAt>(archive: &ZipArchive<R>, listed: &Listed, budget: &mut Budget) -> Read<Vec<Found>> {
    let mut found = Vec::new();
    for description in &listed.descriptions {
        found.extend(maven(&unpack(archive, description, MAX_TEXT, budget)?)?);
    }
    if let (Some(item), true) = (&listed.manifest, found.is_empty()) {
        found.extend(manifest(&unpack(archive, item, MAX_TEXT, budget)?)?);
    }
    Ok(found)
}

fn unpack<R: ReaderAt>(archive: &ZipArchive<R>, item: &Item, most: u64, budget: &mut Budget) -> Read<Vec<u8>> {
    let what = "what is packed in it";
    let most = most.min(budget.left);
    let entry = archive.get_entry(item.place).map_err(failed)?;
    let unpacked = match item.method {
        CompressionMethod::STORE => bounded(entry.verifying_reader(entry.reader()), what, most),
        CompressionMethod::DEFLATE => {
            // One more than the bound is let through, so that what is too long is told from what is wrong.
            let inflated = DeflateDecoder::new(entry.reader()).take(most + 1);
            bounded(entry.verifying_reader(inflated), what, most)
        }
        _ => return Err(wrong("it is packed in a way that isn't read").into()),
    };
    let unpacked = match unpacked {
        Err(Failed::Io(error)) if is_content(&error) => {
            return Err(wrong("what is packed in it is damaged, or longer than it may be").into());
        }
        unpacked => unpacked?,
    };
    budget.left -= unpacked.len() as u64;
    Ok(unpacked)
}

/// Whether an error is about the bytes, and not the disk: an archive may name places that no file has.
fn is_content(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), None | Some(INVALID))
}

/// What the system says of an offset that can't be.
const INVALID: i32 = rustix::io::Errno::INVAL.raw_os_error();

fn wrong(reason: &'static str) -> Refused {
    Refused::Malformed { what: "the archive", reason }
}

fn failed(error: rawzip::Error) -> Failed {
    match error.into_kind() {
        ErrorKind::IO(error) if !is_content(&error) => Failed::Io(error),
        _ => wrong("it is no zip file, or a damaged one").into(),
    }
}

/// `groupId`, `artifactId` and `version` of Java properties; none where a name is missing or was never filled in.
fn maven(bytes: &[u8]) -> Result<Option<Found>, Refused> {
    let text = String::from_utf8_lossy(bytes);
    let field = |name: &str| {
        let values = text.lines().filter_map(|line| line.split_once('=').filter(|(key, _)| key.trim() == name));
        values.map(|(_, value)| value.trim()).find(|value| !value.is_empty() && !value.contains("${"))
    };
    let (Some(group), Some(artifact)) = (field("groupId"), field("artifactId")) else { return Ok(None) };
    Found::new(Ecosystem::Java, &format!("{group}:{artifact}"), field("version")).map(Some)
}

/// The name and version of the manifest's main section: OSGi's, or else the implementation's.
fn manifest(bytes: &[u8]) -> Result<Option<Found>, Refused> {
    let text = String::from_utf8_lossy(bytes);
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in text.lines().take_while(|line| !line.trim_end().is_empty()) {
        match (line.strip_prefix(' '), line.split_once(':'), fields.last_mut()) {
            (Some(more), _, Some((_, value))) => value.push_str(more),
            (None, Some((name, value)), _) => fields.push((name.to_owned(), value.trim_start().to_owned())),
            _ => return Err(wrong("its manifest has a line that is no field")),
        }
    }
    let field = |name: &str| {
        let found = fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    };
    // `org.example.core;singleton:=true`
    let bundle = field("Bundle-SymbolicName").and_then(|name| name.split(';').next());
    let (name, version) = match bundle {
        Some(name) => (Some(name), field("Bundle-Version")),
        None => (
            field("Implementation-Title").or_else(|| field("Automatic-Module-Name")),
            field("Implementation-Version").or_else(|| field("Specification-Version")),
        ),
    };
    name.map(|name| Found::new(Ecosystem::Java, name, version)).transpose()
}
