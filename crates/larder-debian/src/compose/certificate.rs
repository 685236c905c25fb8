//! X.509 certificates, as far as composers look into them: those that a PEM file holds, and the hash of a subject under
//! which OpenSSL looks for one in a directory.
//!
//! Read here and not by the host's OpenSSL, because what comes out is part of an image's digest: which certificates
//! count must not depend on the version of a library that happens to be installed.

use sha1::{Digest as _, Sha1};
use sha2::Sha256;
use x509_parser::asn1_rs::{Any, Tag};
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// The labels under which OpenSSL takes a block for a certificate. The third has settings of OpenSSL's own behind it.
const LABELS: [&str; 3] = ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"];
/// Contents of a definite length beyond this have no place in a name.
const MAX_NAME_PART: usize = 1 << 16;
const TAG_SEQUENCE: u8 = 0x30;
const TAG_SET: u8 = 0x31;
const TAG_UTF8: u8 = 0x0c;

/// A certificate that could be read.
pub(super) struct Certificate {
    /// Its own bytes.
    pub(super) der: Vec<u8>,
    /// `openssl x509 -subject_hash`.
    pub(super) subject_hash: u32,
}

impl Certificate {
    /// SHA-256 of its bytes.
    pub(super) fn fingerprint(&self) -> [u8; 32] {
        Sha256::digest(&self.der).into()
    }
}

/// The certificates of a PEM file, in order; none where one of them, or what is around it, can't be read.
pub(super) fn read_all(text: &[u8]) -> Vec<Certificate> {
    let blocks: Result<Vec<Pem>, _> = Pem::iter_from_buffer(text).collect();
    let blocks = blocks.unwrap_or_default();
    let certificates = blocks.iter().filter(|block| LABELS.contains(&block.label.as_str()));
    certificates.map(|block| read(&block.contents)).collect::<Option<_>>().unwrap_or_default()
}

fn read(bytes: &[u8]) -> Option<Certificate> {
    let (rest, certificate) = X509Certificate::from_der(bytes).ok()?;
    let der = bytes[..bytes.len() - rest.len()].to_vec();
    Some(Certificate { subject_hash: subject_hash(certificate.subject())?, der })
}

/// The first four bytes, as a little-endian number, of SHA-1 over the canonical name: the name's parts in DER without the
/// sequence around them, each text in UTF-8, in lower case (ASCII only), without space at its ends and with one space for
/// any more within. Source: OpenSSL's `X509_NAME_hash` and `x509_name_canon`.
fn subject_hash(name: &X509Name<'_>) -> Option<u32> {
    let mut canonical = Vec::new();
    for part in name.iter_rdn() {
        let mut attributes = part.iter().map(attribute).collect::<Option<Vec<_>>>()?;
        attributes.sort();
        element(&mut canonical, TAG_SET, &attributes.concat());
    }
    let hash: [u8; 20] = Sha1::digest(&canonical).into();
    Some(u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3]]))
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> Option<Vec<u8>> {
    let value = attribute.attr_value();
    let mut inner = Vec::new();
    element(&mut inner, Tag::Oid.0 as u8, attribute.attr_type().as_bytes());
    match text_of(value) {
        Text::Is(text) => element(&mut inner, TAG_UTF8, canonical_text(&text).as_bytes()),
        Text::No => element(&mut inner, u8::try_from(value.tag().0).ok()?, value.as_bytes()),
        Text::Broken => return None,
    }
    let mut outer = Vec::new();
    element(&mut outer, TAG_SEQUENCE, &inner);
    (outer.len() <= MAX_NAME_PART).then_some(outer)
}

enum Text {
    Is(String),
    /// Of a type that is compared as it is.
    No,
    /// Not what its type says.
    Broken,
}

fn text_of(value: &Any<'_>) -> Text {
    let bytes = value.as_bytes();
    let wide = |width: usize| -> Option<String> {
        let units = bytes.chunks(width);
        let number = |unit: &[u8]| unit.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
        units.map(|unit| (unit.len() == width).then(|| char::from_u32(number(unit))).flatten()).collect()
    };
    let text = match value.tag() {
        Tag::Utf8String => String::from_utf8(bytes.to_vec()).ok(),
        Tag::PrintableString | Tag::T61String | Tag::Ia5String | Tag::VisibleString => {
            Some(bytes.iter().map(|&byte| char::from(byte)).collect())
        }
        Tag::BmpString => wide(2),
        Tag::UniversalString => wide(4),
        _ => return Text::No,
    };
    text.map_or(Text::Broken, Text::Is)
}

fn canonical_text(text: &str) -> String {
    // OpenSSL's own notion of space: ASCII's, with the vertical tab.
    let words = text.split([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ").to_ascii_lowercase()
}

/// Appends a DER element of definite length.
fn element(out: &mut Vec<u8>, tag: u8, contents: &[u8]) {
    out.push(tag);
    let length = contents.len();
    if length < 0x80 {
        out.push(length as u8);
    } else {
        let bytes = length.to_be_bytes();
        let significant = &bytes[length.leading_zeros() as usize / 8..];
        out.push(0x80 | significant.len() as u8);
        out.extend(significant);
    }
    out.extend(contents);
}
