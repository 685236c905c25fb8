//! Base64 (RFC 4648, section 4: the standard alphabet with padding), for the rare path that is not UTF-8.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The text for some bytes.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let [a, b, c] = [chunk[0], *chunk.get(1).unwrap_or(&0), *chunk.get(2).unwrap_or(&0)];
        let sextets = [a >> 2, (a << 4 | b >> 4) & 63, (b << 2 | c >> 6) & 63, c & 63];
        for (i, sextet) in sextets.into_iter().enumerate() {
            out.push(if i <= chunk.len() { char::from(ALPHABET[usize::from(sextet)]) } else { '=' });
        }
    }
    out
}

/// The bytes of a text that [`encode`] returned; `None` for any other.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    for chunk in text.as_bytes().chunks(4) {
        let used = chunk.iter().position(|&b| b == b'=').unwrap_or(chunk.len());
        let mut bits = 0_u32;
        for &b in &chunk[..used] {
            bits = bits << 6 | u32::try_from(ALPHABET.iter().position(|&a| a == b)?).ok()?;
        }
        let bits = bits << (6 * (4 - used));
        out.extend(&bits.to_be_bytes()[1..used.max(1)]);
    }
    (encode(&out) == text).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_rfc_4648() {
        let vectors = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, encoded) in vectors {
            assert_eq!(encode(plain.as_bytes()), encoded);
            assert_eq!(decode(encoded).as_deref(), Some(plain.as_bytes()));
        }
        assert_eq!(encode(&[0xff, 0xfe]), "//4=");
        for bad in ["Zg", "Zg=", "Zh==", "Z===", "====", "=", "Zg==Zg==", "Zm9v=", "Zm9-", "Zm 9", "Zm9vY"] {
            assert_eq!(decode(bad), None, "{bad:?}");
        }
    }
}
