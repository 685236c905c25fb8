//! The composer `java-keystore`: `/etc/ssl/certs/java/cacerts`, as the hook of ca-certificates-java would have made
//! it.
//!
//! Active where that package's hook is. It holds what [`ca_certificates`] trusts, under
//! Debian's aliases (`debian:` and the name of the link, in lower case), with the customary password `changeit`.
//!
//! The format is JKS version 2, which every Java since 1.2 reads (source: OpenJDK's
//! `sun.security.provider.JavaKeyStore`): u32 0xfeedfeed, u32 2, u32 count; per certificate u32 2, alias, u64
//! milliseconds since 1970, "X.509", u32 length, DER; then SHA-1 over the password in UTF-16BE, "Mighty Aphrodite"
//! and all that went before. Numbers are big-endian; texts have a u16 length. It proves no more than that the file is
//! whole: nothing in it is secret.
//!
//! Entries are sorted by alias and all bear one date, so that the same certificates are the same bytes.

use std::collections::BTreeMap;

use sha1::{Digest as _, Sha1};

use super::{ComposeError, Draft, ca_certificates};

const HOOK: &[u8] = b"etc/ca-certificates/update.d/jks-keystore";
const PASSWORD: &str = "changeit";
/// 1980-01-02, in milliseconds.
const DATE: u64 = 315_619_200_000;
const TRUSTED_CERTIFICATE: u32 = 2;

pub(super) fn compose(draft: &mut Draft<'_>) -> Result<(), ComposeError> {
    if draft.at(HOOK).is_none() {
        return Ok(());
    }
    let mut entries = BTreeMap::new();
    for file in ca_certificates::trusted(draft)? {
        // A file with several certificates counts as its first, as Java's own reader does.
        if let Some(certificate) = file.certificates().into_iter().next() {
            entries.insert(format!("debian:{}", file.name.to_lowercase()), certificate.der);
        }
    }
    draft.file("etc/ssl/certs/java/cacerts", &encode(&entries))
}

fn encode(entries: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let mut out = Vec::new();
    for number in [0xfeed_feed, 2, entries.len() as u32] {
        out.extend(number.to_be_bytes());
    }
    for (alias, der) in entries {
        out.extend(TRUSTED_CERTIFICATE.to_be_bytes());
        push_text(&mut out, alias);
        out.extend(DATE.to_be_bytes());
        push_text(&mut out, "X.509");
        out.extend((der.len() as u32).to_be_bytes());
        out.extend(der);
    }
    let mut hash = Sha1::new();
    for unit in PASSWORD.encode_utf16() {
        hash.update(unit.to_be_bytes());
    }
    hash.update(b"Mighty Aphrodite");
    hash.update(&out);
    out.extend(hash.finalize());
    out
}

/// Java's modified UTF-8: as UTF-8, but for characters beyond the basic plane, whose two halves are encoded apart.
fn push_text(out: &mut Vec<u8>, text: &str) {
    let mut bytes = Vec::new();
    for unit in text.encode_utf16() {
        match unit {
            1..0x80 => bytes.push(unit as u8),
            0 | 0x80..0x800 => bytes.extend([0xc0 | (unit >> 6) as u8, 0x80 | (unit & 0x3f) as u8]),
            _ => {
                let middle = 0x80 | ((unit >> 6) & 0x3f) as u8;
                bytes.extend([0xe0 | (unit >> 12) as u8, middle, 0x80 | (unit & 0x3f) as u8]);
            }
        }
    }
    // A file name has at most 255 bytes, so an alias is far below 65536.
    out.extend((bytes.len() as u16).to_be_bytes());
    out.extend(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_keystore_is_a_header_and_its_digest() {
        let bytes = encode(&BTreeMap::new());
        assert_eq!(hex::encode(&bytes[..12]), "feedfeed0000000200000000");
        // The digest that OpenJDK 17 writes for an empty keystore with this password.
        assert_eq!(hex::encode(&bytes[12..]), "e2686e45fb43dfa4d992dd41ceb6b21c6330d792");
    }

    #[test]
    fn texts_are_modified_utf_8() {
        let mut out = Vec::new();
        push_text(&mut out, "aé€😀");
        assert_eq!(hex::encode(out), "000c61c3a9e282aceda0bdedb880");
    }
}
