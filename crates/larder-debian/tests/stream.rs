//! Ingest is a stream: the memory that a conversion takes doesn't grow with the package. A test program of its own, since
//! the peak that the kernel counts is the process's.

#[path = "convert/support.rs"]
mod support;

use std::error::Error;
use std::fs;
use std::io::{self, Read};

use larder_debian::convert;
use larder_store::{Sha256Digest, Store};
use sha2::{Digest as _, Sha256};
use support::{CONTROL, Item, control_tar, expected, file, tar};

/// The one file of the package, and what the conversion may take beside.
const CONTENT: u64 = 256 << 20;
const MAY_TAKE: u64 = 48 << 20;

/// A package whose payload is never in memory as a whole.
fn deb() -> impl Read {
    let entry = tar(&[Item { size: Some(CONTENT), ..file("./usr/share/big", "") }]);
    let (header, end) = entry.split_at(512);
    let payload = 512 + CONTENT + end.len() as u64;
    let mut start =
        support::ar(&[("debian-binary", b"2.0\n".to_vec()), ("control.tar", control_tar(&[("control", CONTROL)]))]);
    start.extend_from_slice(
        format!("{:<16}{:<12}{:<6}{:<6}{:<8}{payload:<10}`\n", "data.tar", 0, 0, 0, 100_644).as_bytes(),
    );
    start.extend_from_slice(header);
    io::Cursor::new(start).chain(io::repeat(b'x').take(CONTENT)).chain(io::Cursor::new(end.to_vec()))
}

fn digest(mut content: impl Read) -> Sha256Digest {
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match content.read(&mut buffer).expect("bytes") {
            0 => return Sha256Digest::from_bytes(hash.finalize().into()),
            count => hash.update(&buffer[..count]),
        }
    }
}

/// The most memory that this process has had since the last call of [`forget`].
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
}

fn forget() {
    fs::write("/proc/self/clear_refs", "5").expect("clear_refs");
}

#[test]
fn a_conversion_does_not_hold_the_package() {
    let sha256 = digest(deb());
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path()).expect("a store");
    let ingest = store.begin().expect("an ingest");
    forget();
    let before = peak();
    let converted = convert::read(deb(), &expected(sha256), &mut |content: &mut dyn Read, size| {
        let (digest, written) = ingest.write_object(content, size)?;
        assert_eq!(written, size);
        Ok::<_, Box<dyn Error>>(digest)
    })
    .expect("a package");
    assert_eq!(converted.tree.content_bytes(), CONTENT + CONTROL.len() as u64);
    let took = peak() - before;
    assert!(took < MAY_TAKE, "a package of {} MiB took {} MiB", CONTENT >> 20, took >> 20);
}
