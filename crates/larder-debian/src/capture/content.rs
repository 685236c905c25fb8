//! What a file is by its content: private keys and databases, whatever their name.

use std::io::{self, Read};

/// Texts that only a file with a secret key has. No longer than [`OVERLAP`].
const SECRETS: &[&[u8]] = &[
    b"PRIVATE KEY-----",
    b"PRIVATE KEY BLOCK-----",
    b"PuTTY-User-Key-File-",
    b"Private-key-format:",
    b"(protected-private-key",
    b"(private-key",
    b"AGE-SECRET-KEY-1",
    b"\nPrivateKey =",
    b"\nPrivateKey=",
];
/// How much of a piece is looked at again with the next.
const OVERLAP: usize = 32;
const PIECE: usize = 256 << 10;

const KEY: &str = "it holds a private key, which every image would share";

/// Reads a file to its end. Gives why it may not be kept, if it may not.
///
/// # Errors
/// What the reader fails with.
pub fn look(content: &mut dyn Read) -> io::Result<Option<&'static str>> {
    let mut window = vec![0; OVERLAP + PIECE];
    let mut kept = 0;
    let mut is_first = true;
    loop {
        let filled = kept + fill(content, &mut window[kept..])?;
        let seen = &window[..filled];
        if is_first && let Some(what) = by_beginning(seen) {
            return Ok(Some(what));
        }
        if SECRETS.iter().any(|text| memchr::memmem::find(seen, text).is_some()) {
            return Ok(Some(KEY));
        }
        if filled < window.len() {
            return Ok(None);
        }
        is_first = false;
        kept = OVERLAP;
        window.copy_within(filled - OVERLAP..filled, 0);
    }
}

fn fill(content: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match content.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn by_beginning(head: &[u8]) -> Option<&'static str> {
    if is_der_key(head) {
        return Some(KEY);
    }
    for (magic, what) in [
        (&b"SQLite format 3\0"[..], "it is a database (SQLite)"),
        (b"TDB file\n", "it is a database (TDB)"),
        (b"\xfe\xed\xfe\xed", "it is a Java key store"),
        (b"PrivateKey =", KEY),
        (b"PrivateKey=", KEY),
    ] {
        if head.starts_with(magic) {
            return Some(what);
        }
    }
    let word = |at: usize| -> Option<[u8; 4]> { head.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()) };
    let is_one_of = |at: usize, magic: &[u32]| {
        word(at).is_some_and(|w| magic.iter().any(|m| *m == u32::from_le_bytes(w) || *m == u32::from_be_bytes(w)))
    };
    // The magic of a hash, a btree, a queue or a log, in either byte order.
    if is_one_of(12, &[0x0006_1561, 0x0005_3162, 0x0004_2253, 0x0004_0988]) {
        return Some("it is a database (Berkeley DB)");
    }
    if is_one_of(0, &[0x13_57_9a_cd, 0x13_57_9a_ce, 0x13_57_9a_cf]) {
        return Some("it is a database (GDBM)");
    }
    if is_one_of(16, &[0xbe_ef_c0_de]) {
        return Some("it is a database (LMDB)");
    }
    None
}

/// A private key in DER: a sequence that begins with the version 0 (PKCS#1, PKCS#8) and then a number or an algorithm, or with the version
/// 1 and an octet string (SEC 1). A certificate begins with a sequence in the sequence.
fn is_der_key(head: &[u8]) -> bool {
    let [0x30, length, rest @ ..] = head else { return false };
    let body = match length {
        0x00..=0x7f => Some(rest),
        0x81 => rest.get(1..),
        0x82 => rest.get(2..),
        0x83 => rest.get(3..),
        _ => None,
    };
    matches!(body, Some([0x02, 0x01, 0x00, 0x02 | 0x30, ..] | [0x02, 0x01, 0x01, 0x04, ..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(mut content: &[u8]) -> Option<&'static str> {
        look(&mut content).expect("read")
    }

    #[test]
    fn keys_and_databases_are_known_by_their_content() {
        for content in [
            &b"-----BEGIN RSA PRIVATE KEY-----\n"[..],
            b"# mine\n-----BEGIN OPENSSH PRIVATE KEY-----\n",
            b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n",
            b"[Interface]\nPrivateKey = abc\n",
            b"\x30\x82\x04\xa4\x02\x01\x00\x02\x82\x01\x01",
            b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70",
            b"\x30\x77\x02\x01\x01\x04\x20",
            b"SQLite format 3\0",
            b"\0\0\0\0\0\0\0\0\0\0\0\0\x61\x15\x06\0",
            b"\0\0\0\0\0\0\0\0\0\0\0\0\0\x05\x31\x62",
            b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xde\xc0\xef\xbe",
        ] {
            assert!(found(content).is_some(), "{content:?}");
        }
        for content in [
            &b""[..],
            b"\x30\x82\x03\x00\x30\x82",
            b"-----BEGIN CERTIFICATE-----\n",
            b"-----BEGIN PUBLIC KEY-----\n",
            b"text\n",
        ] {
            assert_eq!(found(content), None, "{content:?}");
        }
    }

    /// A key must be found wherever it is, where two pieces meet too.
    #[test]
    fn a_key_is_found_at_every_place_of_a_large_file() {
        let text = b"-----BEGIN PRIVATE KEY-----";
        for at in [0, PIECE - 30, PIECE, PIECE + OVERLAP - 20, PIECE + OVERLAP - 1, 2 * PIECE + 7, 3 * PIECE] {
            let mut content = vec![b'x'; 4 * PIECE];
            content[at..at + text.len()].copy_from_slice(text);
            assert!(found(&content).is_some(), "at {at}");
        }
        assert_eq!(found(&vec![b'x'; 4 * PIECE]), None);
    }
}
