//! A publisher's signature of a source that is fetched.
//!
//! It is checked when the file is fetched, because the file itself isn't kept: what is unpacked from it is. That it was checked, with which
//! key, is a statement beside the unpacked source, so that the same source needn't be fetched again for the next build. Signature and key are kept with
//! what is built, so that whoever fetches the file again can check it again.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use larder_debian::release::{self, Keyring};
use larder_debian::{DebianError, fetch};
use larder_store::json::Value;
use larder_store::{FileSetDigest, Ingest, ObjectDigest, Sha256Digest, Store, TreePath};
use sha2::{Digest as _, Sha256};

use crate::package::PackageError;
use crate::provenance::Dependency;
use crate::recipe::package::{PackageRecipe, SignatureAt, SignatureSpec};
use crate::recipe::{FileSource, files};
use crate::{Error, Host, Result};

/// No signature and no key is larger.
const LARGEST: u64 = 1 << 20;
/// The kind of the statement that says that a signature was checked.
const KIND: &str = "source-signature";

/// A signature, and the key by which it is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Publisher {
    /// The detached OpenPGP signature.
    pub(crate) signature: Vec<u8>,
    /// The certificate.
    pub(crate) key: Vec<u8>,
}

/// A source whose publisher's signature holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signed {
    /// Where the signature is.
    pub(crate) uri: String,
    /// By what it was judged.
    pub(crate) publisher: Publisher,
    /// The fingerprint of the certificate, in upper-case hexadecimal digits.
    pub(crate) signer: String,
}

/// How a key is named among the inputs: the scheme of OpenPGP's fingerprints.
pub(crate) const KEY_SCHEME: &str = "openpgp4fpr:";

impl Publisher {
    /// Checks the signature of a file; gives the fingerprint of the certificate that made it.
    ///
    /// # Errors
    /// [`PackageError::NotSigned`]; a key that is none; a file that can't be read.
    pub(crate) fn check(&self, host: &Host, url: &str, file: &Path) -> Result<String> {
        let keyring = keyring(&self.key, "`signed-by`")?;
        let content = File::open(file).map_err(Error::io("open", file))?;
        let signer = release::verify_detached(&self.signature, content, &keyring, host.debian.now);
        Ok(signer.map_err(|reason| PackageError::NotSigned { url: url.to_owned(), reason })?)
    }
}

impl Signed {
    /// What had a part in believing the source.
    pub(in crate::package) fn dependencies(&self) -> [Dependency; 2] {
        let one = |uri: String, bytes: &[u8]| Dependency::Source {
            uri,
            digests: BTreeMap::from([("sha256".to_owned(), sha256(bytes).hex())]),
        };
        let Publisher { signature, key } = &self.publisher;
        [one(self.uri.clone(), signature), one(format!("{KEY_SCHEME}{}", self.signer), key)]
    }
}

/// The SHA-256 of what is in memory.
pub(crate) fn sha256(bytes: &[u8]) -> Sha256Digest {
    Sha256Digest::from_bytes(Sha256::digest(bytes).into())
}

/// Where a signature is, as a statement says it.
pub(super) fn uri(spec: &SignatureSpec) -> String {
    match &spec.at {
        SignatureAt::Url(url) => url.clone(),
        SignatureAt::Path(file) => file.path.clone(),
    }
}

/// Reads the key beside a recipe.
///
/// # Errors
/// A file that isn't there, or can't be read.
pub(super) fn key(recipe: &PackageRecipe, spec: &SignatureSpec) -> Result<Vec<u8>> {
    let key = small(recipe, &spec.key)?;
    keyring(&key, &spec.key.path).map(|_| key)
}

fn keyring(key: &[u8], path: &str) -> Result<Keyring> {
    Keyring::parse(path, key).map_err(|error| match error {
        DebianError::BadKeyring { problem, .. } => PackageError::PublisherKey { path: path.to_owned(), problem }.into(),
        other => other.into(),
    })
}

/// Reads or fetches the signature.
///
/// # Errors
/// A file that isn't there; an address that can't be read.
pub(super) fn signature(host: &Host, recipe: &PackageRecipe, spec: &SignatureSpec) -> Result<Vec<u8>> {
    match &spec.at {
        SignatureAt::Url(url) => fetch::fetch_small(&host.debian, url, LARGEST)
            .map_err(|source| PackageError::NotFetched { url: url.clone(), source: Box::new(source) }.into()),
        SignatureAt::Path(file) => small(recipe, file),
    }
}

/// A small file beside a recipe.
fn small(recipe: &PackageRecipe, file: &FileSource) -> Result<Vec<u8>> {
    let target = TreePath::try_from("file").map_err(larder_store::tree::TreeError::from)?;
    let mut bytes = Vec::new();
    let mut keep = |content: &mut dyn Read| {
        bytes.clear();
        content.take(LARGEST).read_to_end(&mut bytes)?;
        Ok((ObjectDigest::of(&bytes), bytes.len() as u64))
    };
    files::read(&recipe.file, &BTreeMap::from([(target, file.clone())]), &mut keep)?;
    Ok(bytes)
}

/// Writes down that the signature of what was unpacked to a FileSet was checked.
///
/// # Errors
/// A store that can't be written.
pub(super) fn write(ingest: &Ingest<'_>, source: &FileSetDigest, file: &Sha256Digest, signed: &Signed) -> Result<()> {
    let Publisher { signature, key } = &signed.publisher;
    let body = Value::object([
        ("file", Value::from(file.to_string())),
        ("key", Value::from(sha256(key).to_string())),
        ("signature", Value::from(hex::encode(signature))),
        ("signer", Value::from(signed.signer.clone())),
        ("uri", Value::from(signed.uri.clone())),
    ]);
    ingest.write_statement(source, KIND, &body)?;
    Ok(())
}

/// What was written down about a file, a key and where the signature was.
///
/// # Errors
/// A store that can't be read.
pub(super) fn read(
    store: &Store,
    source: &FileSetDigest,
    file: &Sha256Digest,
    (uri, key): (&str, &[u8]),
) -> Result<Option<Signed>> {
    let (file, by) = (file.to_string(), sha256(key).to_string());
    let said = store.statements(source)?.into_iter().filter(|said| said.kind == KIND);
    Ok(said.map(|said| said.body).find_map(|body| {
        let text = |key: &str| body.get(key).and_then(Value::as_str);
        if text("file") != Some(&file) || text("key") != Some(&by) || text("uri") != Some(uri) {
            return None;
        }
        let publisher = Publisher { signature: hex::decode(text("signature")?).ok()?, key: key.to_owned() };
        Some(Signed { uri: uri.to_owned(), publisher, signer: text("signer")?.to_owned() })
    }))
}
