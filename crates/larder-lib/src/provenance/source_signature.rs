//! A publisher's signature of a source: whoever fetches one checks it here before it is used.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use larder_debian::error::ReleaseRefusal;
use larder_debian::release::{self, Keyring};
use larder_debian::sources::KeySource;
use thiserror::Error;

use crate::{Error, Host, Result};

/// A signature larger than this isn't read.
const MAX_SIGNATURE: u64 = 1 << 20;

/// A source whose publisher's signature doesn't hold.
#[derive(Debug, Error)]
#[error("the publisher's signature of {source_name} doesn't hold")]
pub struct SourceRefused {
    /// The source, as its recipe names it.
    pub source_name: String,
    /// Why.
    #[source]
    pub reason: ReleaseRefusal,
}

/// Checks a publisher's detached OpenPGP signature of a source by the keys of a keyring. Gives the fingerprint of the certificate
/// that signed, for the statement about what is built.
///
/// # Errors
/// [`Error::SourceRefused`]; a signature, source or keyring that can't be read.
pub fn source_signature(host: &Host, source: &Path, signature: &Path, keyring: &Path) -> Result<String> {
    let name = source.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let keyring = Keyring::load(&name, &[KeySource::File(keyring.to_owned())])?;
    let mut bytes = Vec::new();
    let opened = File::open(signature).map_err(Error::io("open", signature))?;
    opened.take(MAX_SIGNATURE).read_to_end(&mut bytes).map_err(Error::io("read", signature))?;
    let content = File::open(source).map_err(Error::io("open", source))?;
    let signer = release::verify_detached(&bytes, content, &keyring, host.debian.now);
    Ok(signer.map_err(|reason| SourceRefused { source_name: name, reason })?)
}
