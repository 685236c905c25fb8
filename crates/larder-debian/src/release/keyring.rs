//! The keys that may sign.

use std::fs;
use std::io::ErrorKind;

use sequoia_openpgp::Cert;
use sequoia_openpgp::cert::CertParser;
use sequoia_openpgp::parse::Parse as _;

use crate::error::DebianError;
use crate::sources::KeySource;

/// Trusted certificates and the places they came from.
#[derive(Debug, Clone)]
pub struct Keyring {
    certificates: Vec<Cert>,
    places: Vec<String>,
}

impl Keyring {
    /// Reads the keys for a suite from all places.
    ///
    /// # Errors
    /// A named keyring that can't be read or parsed, or no key in any place.
    pub fn load(suite: &str, sources: &[KeySource]) -> Result<Self, DebianError> {
        let mut keyring = Self { certificates: Vec::new(), places: Vec::new() };
        let mut tried = Vec::new();
        for source in sources {
            match source {
                KeySource::File(path) | KeySource::IfPresent(path) => {
                    let place = path.display().to_string();
                    tried.push(place.clone());
                    match fs::read(path) {
                        Ok(bytes) => keyring.add(place, &bytes)?,
                        Err(error)
                            if error.kind() == ErrorKind::NotFound && matches!(source, KeySource::IfPresent(_)) => {}
                        Err(error) => return Err(DebianError::io("read the keyring", path)(error)),
                    }
                }
                KeySource::Inline { place, text } => {
                    tried.push(place.clone());
                    keyring.add(place.clone(), text.as_bytes())?;
                }
                KeySource::Fingerprints(fingerprints) => {
                    tried.extend(fingerprints.iter().map(|print| format!("the key {print}")));
                    keyring.certificates.retain(|certificate| {
                        certificate.keys().any(|key| fingerprints.contains(&format!("{:X}", key.key().fingerprint())))
                    });
                }
            }
        }
        if keyring.certificates.is_empty() {
            return Err(DebianError::NoKeyring { suite: suite.to_owned(), tried });
        }
        Ok(keyring)
    }

    /// Reads keys that are in memory, armoured or not; `place` is where they came from, for messages.
    ///
    /// # Errors
    /// Bytes that hold no key.
    pub fn parse(place: &str, bytes: &[u8]) -> Result<Self, DebianError> {
        let mut keyring = Self { certificates: Vec::new(), places: Vec::new() };
        keyring.add(place.to_owned(), bytes)?;
        Ok(keyring)
    }

    fn add(&mut self, place: String, bytes: &[u8]) -> Result<(), DebianError> {
        let wrong = |problem: String| DebianError::BadKeyring { keyring: place.clone(), problem };
        let parser = CertParser::from_bytes(bytes).map_err(|error| wrong(error.to_string()))?;
        let mut found = false;
        // A keyring may hold keys too old to be understood beside those that matter.
        for certificate in parser.flatten() {
            found = true;
            self.certificates.push(certificate);
        }
        if !found {
            return Err(wrong("it holds no OpenPGP key".to_owned()));
        }
        self.places.push(place);
        Ok(())
    }

    pub(super) fn certificates(&self) -> &[Cert] {
        &self.certificates
    }

    pub(super) fn places(&self) -> &[String] {
        &self.places
    }
}
