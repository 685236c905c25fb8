//! Building `.deb`s byte by byte, the hostile ones too.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::io::Read;

use larder_debian::convert::{self, Converted, Expected};
use larder_debian::deb::DebError;
use larder_store::{ObjectDigest, Sha256Digest};
use sha2::{Digest as _, Sha256};

/// One tar entry; the fields that tests vary.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) path: Vec<u8>,
    pub(crate) kind: u8,
    pub(crate) mode: u32,
    pub(crate) owner: String,
    pub(crate) group: String,
    pub(crate) link: Vec<u8>,
    pub(crate) mtime: u64,
    pub(crate) content: Vec<u8>,
    /// What the header claims instead of the content's length.
    pub(crate) size: Option<u64>,
    /// pax records that come before it.
    pub(crate) pax: Vec<(String, Vec<u8>)>,
}

pub(crate) fn item(kind: u8, path: &str) -> Item {
    Item {
        path: path.as_bytes().to_vec(),
        kind,
        mode: if kind == b'5' { 0o755 } else { 0o644 },
        owner: "root".into(),
        group: "root".into(),
        link: Vec::new(),
        mtime: 1_700_000_000,
        content: Vec::new(),
        size: None,
        pax: Vec::new(),
    }
}

pub(crate) fn dir(path: &str) -> Item {
    item(b'5', path)
}

pub(crate) fn file(path: &str, content: &str) -> Item {
    Item { content: content.as_bytes().to_vec(), ..item(b'0', path) }
}

pub(crate) fn symlink(path: &str, target: &str) -> Item {
    Item { link: target.as_bytes().to_vec(), ..item(b'2', path) }
}

pub(crate) fn hard_link(path: &str, target: &str) -> Item {
    Item { link: target.as_bytes().to_vec(), ..item(b'1', path) }
}

fn header(item: &Item, path: &[u8], link: &[u8]) -> [u8; 512] {
    let mut block = [0; 512];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &path[..path.len().min(100)]);
    put(100, format!("{:07o}", item.mode).as_bytes());
    put(108, b"0000000");
    put(116, b"0000000");
    put(124, format!("{:011o}", item.size.unwrap_or(item.content.len() as u64)).as_bytes());
    put(136, format!("{:011o}", item.mtime).as_bytes());
    put(148, b"        ");
    put(156, &[item.kind]);
    put(157, &link[..link.len().min(100)]);
    put(257, b"ustar  \0");
    put(265, item.owner.as_bytes());
    put(297, item.group.as_bytes());
    let sum: u64 = block.iter().map(|&b| u64::from(b)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn padded(out: &mut Vec<u8>, content: &[u8]) {
    out.extend_from_slice(content);
    out.resize(out.len().next_multiple_of(512), 0);
}

/// A tar archive with GNU long names and its end mark.
pub(crate) fn tar(items: &[Item]) -> Vec<u8> {
    let mut out = Vec::new();
    for item in items {
        if !item.pax.is_empty() {
            let mut records = Vec::new();
            for (key, value) in &item.pax {
                let rest = key.len() + value.len() + 3;
                let mut length = rest + 1;
                while length != rest + length.to_string().len() {
                    length = rest + length.to_string().len();
                }
                records.extend_from_slice(format!("{length} {key}=").as_bytes());
                records.extend_from_slice(value);
                records.push(b'\n');
            }
            let extension = Item { size: Some(records.len() as u64), ..self::item(b'x', "pax") };
            out.extend_from_slice(&header(&extension, b"pax", b""));
            padded(&mut out, &records);
        }
        for (kind, text) in [(b'L', &item.path), (b'K', &item.link)] {
            if text.len() > 100 {
                let extension = Item { size: Some(text.len() as u64 + 1), ..self::item(kind, "././@LongLink") };
                out.extend_from_slice(&header(&extension, b"././@LongLink", b""));
                padded(&mut out, &[text, b"\0".as_slice()].concat());
            }
        }
        out.extend_from_slice(&header(item, &item.path, &item.link));
        padded(&mut out, &item.content);
    }
    out.resize(out.len() + 1024, 0);
    out
}

/// An `ar` archive.
pub(crate) fn ar(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut out = b"!<arch>\n".to_vec();
    for (name, content) in members {
        let length = content.len();
        out.extend_from_slice(format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{length:<10}`\n", 0, 0, 0, 100_644).as_bytes());
        out.extend_from_slice(content);
        if length % 2 == 1 {
            out.push(b'\n');
        }
    }
    out
}

pub(crate) const CONTROL: &str = "Package: sample\nVersion: 1:2.0-3\nArchitecture: amd64\nMaintainer: A <a@example.org>\nDepends: libc6 (>= 2.36), a | b\nReplaces: other (<< 2), older\nSection: misc\nDescription: a sample\n for tests\n";

pub(crate) fn control_tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut items = vec![dir("./")];
    items.extend(files.iter().map(|(name, text)| file(&format!("./{name}"), text)));
    tar(&items)
}

/// A package with this payload, uncompressed.
pub(crate) fn deb(items: &[Item]) -> Vec<u8> {
    deb_of(CONTROL, &[], tar(items))
}

pub(crate) fn deb_of(control: &str, scripts: &[(&str, &str)], data: Vec<u8>) -> Vec<u8> {
    let mut files = vec![("control", control)];
    files.extend_from_slice(scripts);
    ar(&[("debian-binary", b"2.0\n".to_vec()), ("control.tar", control_tar(&files)), ("data.tar", data)])
}

pub(crate) fn sha256(bytes: &[u8]) -> Sha256Digest {
    Sha256Digest::from_bytes(Sha256::digest(bytes).into())
}

pub(crate) fn expected(sha256: Sha256Digest) -> Expected<'static> {
    Expected { sha256, package: "sample", version: "1:2.0-3", architecture: "amd64" }
}

/// Converts without a store: contents are only hashed.
pub(crate) fn read_as(deb: impl Read, expected: &Expected<'_>) -> Result<Converted, DebError> {
    convert::read(deb, expected, &mut |content: &mut dyn Read, size| {
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes).map_err(DebError::Read)?;
        assert_eq!(bytes.len() as u64, size);
        Ok(ObjectDigest::of(&bytes))
    })
}

pub(crate) fn read(deb: &[u8]) -> Result<Converted, DebError> {
    read_as(deb, &expected(sha256(deb)))
}
