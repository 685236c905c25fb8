//! Archives and whole packages.

use std::cell::RefCell;

use larder_store::{FileSet, ObjectDigest, Sha256Digest, Tree};
use sha2::{Digest as _, Sha256};

use super::composed::World;
use crate::convert::{self, Control, Converted, Expected, licence};
use crate::deb::{Deb, DebError, Header, Kind, Limits, ar, tar};
use crate::declare;

/// Tar's block, in bytes.
const BLOCK: usize = 512;

/// An `ar` archive's headers are refused, or name members of plain names.
pub fn ar(bytes: &[u8]) {
    let mut source = bytes;
    if ar::magic(&mut source).is_err() {
        return;
    }
    while let Ok(Some(member)) = ar::next(&mut source) {
        assert!(member.name.bytes().all(|b| b.is_ascii_graphic() && b != b'/') && !member.name.is_empty());
        let size = usize::try_from(member.size).unwrap_or(usize::MAX);
        let Some(rest) = source.get(size.saturating_add(size % 2)..) else { return };
        source = rest;
    }
}

/// A tar archive is refused, or read within its limits: each file has as many bytes as it says.
pub fn tar(bytes: &[u8]) {
    let bytes = with_checksums(bytes);
    let limits = Limits { entries: 64, file: 1 << 16, header: 1 << 14, ..Limits::default() };
    let mut entries = 0;
    let result = tar::walk::<DebError>(&mut bytes.as_slice(), "data.tar", &limits, &mut |header, content| {
        entries += 1;
        assert!(entries <= limits.entries && header.size <= limits.file && header.mode <= 0o7777);
        assert!(!header.path.contains(&0) && header.path.len() as u64 <= limits.header);
        assert!(header.size == 0 || header.kind == Kind::File);
        let mut text = Vec::new();
        content.read_to_end(&mut text).map_err(DebError::from_io)?;
        assert_eq!(text.len() as u64, header.size);
        Ok(())
    });
    if result.is_ok() {
        assert!(bytes.len() >= BLOCK);
    }
}

/// A control file is refused, or is the same when written and read again. A copyright file is any text.
pub fn control(bytes: &[u8]) {
    _ = licence::of(bytes);
    let Ok(control) = Control::parse(bytes) else { return };
    let field = |(name, value): (&str, &str)| format!("{name}: {}\n", value.replace('\n', "\n "));
    let written: String = control.fields().map(field).collect();
    assert_eq!(Control::parse(written.as_bytes()).expect("what was written is a control file"), control);
    for (name, _) in control.fields() {
        assert!(control.list(name).iter().all(|part| !part.is_empty() && !part.contains([',', '\n'])));
    }
    assert!(control.source().contains(' '));
}

/// A `.deb` is refused, or goes the whole way: to a record and Tree that can be read again, the same each time, to
/// declarations, a plan and what composers add.
pub fn deb(bytes: &[u8]) {
    let bytes = with_checksums(bytes);
    let sha256 = Sha256Digest::from_bytes(Sha256::digest(&bytes).into());
    let small = Limits { control: 1 << 20, free: 1 << 20, ..Limits::default() };
    let Ok(mut deb) = Deb::open(bytes.as_slice(), small.clone()) else { return };
    let Ok(files) = deb.control() else { return };
    let Some(Ok(control)) = files.get("control").map(|text| Control::parse(text)) else { return };
    // What unpacks to more than this machine should give each input is left to the limits' own tests.
    let ignored = &mut |_: &Header, _: &mut dyn std::io::Read| Ok::<(), DebError>(());
    if deb.data(ignored).is_err() {
        return;
    }
    let field = |name| control.get(name).unwrap_or_default();
    let expected =
        Expected { sha256, package: field("Package"), version: field("Version"), architecture: field("Architecture") };
    let world = RefCell::new(World::default());
    let convert = || {
        convert::read::<DebError>(bytes.as_slice(), &expected, &mut |content, size| {
            let mut text = Vec::new();
            content.read_to_end(&mut text).map_err(DebError::from_io)?;
            assert_eq!(text.len() as u64, size);
            let digest = ObjectDigest::of(&text);
            world.borrow_mut().keep(text);
            Ok(digest)
        })
    };
    let Ok(converted) = convert() else { return };
    check(&converted.record, &converted.tree);
    assert_eq!(convert().map(|again| again.package).ok(), Some(converted.package));
    let declared = declare::declare(&converted).expect("no script is an error");
    check(&declared.record, &declared.tree);
    let mut world = world.into_inner();
    declared.contents().for_each(|content| world.keep(content.to_vec()));
    compose(world, converted, declared.record, declared.tree);
}

fn compose(mut world: World, converted: Converted, record: FileSet, tree: Tree) {
    let imports = vec![world.add(converted.record, converted.tree), world.add(record, tree)];
    world.compose_twice(imports);
}

/// Record and Tree can be read again by whoever has their bytes.
pub(super) fn check(record: &FileSet, tree: &Tree) {
    assert_eq!(record.tree, tree.digest());
    assert_eq!(Tree::decode(&tree.encode()).as_ref(), Ok(tree));
    assert_eq!(FileSet::decode(&record.encode()).as_ref(), Ok(record));
}

/// Makes every tar header's checksum right. No change of a header would get past it otherwise.
fn with_checksums(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let magics: Vec<usize> = memchr::memmem::find_iter(&bytes, b"ustar").collect();
    for magic in magics {
        let Some(header) = magic.checked_sub(257).and_then(|at| bytes.get_mut(at..at + BLOCK)) else { continue };
        header[148..156].fill(b' ');
        let sum: u64 = header.iter().map(|&byte| u64::from(byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    bytes
}
