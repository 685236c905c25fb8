//! Keys that sign release files.

use std::io::Write as _;
use std::time::{Duration, SystemTime};

use sequoia_openpgp::Packet;
use sequoia_openpgp::cert::{Cert, CertBuilder, CipherSuite};
use sequoia_openpgp::serialize::SerializeInto as _;
use sequoia_openpgp::serialize::stream::{Message, Signer};
use sequoia_openpgp::types::{KeyFlags, ReasonForRevocation};

/// An OpenPGP key made for a test.
#[derive(Debug, Clone)]
pub struct Key(Cert);

impl Default for Key {
    fn default() -> Self {
        Self::new()
    }
}

impl Key {
    /// A key made 30 days ago that does not expire.
    #[must_use]
    pub fn new() -> Self {
        Self::made(SystemTime::now() - Duration::from_secs(30 * 86_400), None)
    }

    /// A key made 30 days ago that expires this long after it was made.
    #[must_use]
    pub fn valid_for(period: Duration) -> Self {
        Self::made(SystemTime::now() - Duration::from_secs(30 * 86_400), Some(period))
    }

    /// A key made at this time that does not expire.
    #[must_use]
    pub fn valid_from(time: SystemTime) -> Self {
        Self::made(time, None)
    }

    fn made(time: SystemTime, period: Option<Duration>) -> Self {
        let builder = CertBuilder::new()
            .set_cipher_suite(CipherSuite::Cv25519)
            .set_creation_time(time)
            .set_validity_period(period)
            .set_primary_key_flags(KeyFlags::empty().set_signing().set_certification())
            .add_userid("Larder test archive <archive@example.com>");
        Self(builder.generate().expect("a key").0)
    }

    /// The same key, revoked.
    #[must_use]
    pub fn revoked(&self) -> Self {
        let mut signer = self.pair();
        let revocation =
            self.0.revoke(&mut signer, ReasonForRevocation::KeyCompromised, b"test").expect("a revocation");
        Self(self.0.clone().insert_packets(vec![Packet::from(revocation)]).expect("a key").0)
    }

    /// The fingerprint in upper-case hexadecimal.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        format!("{:X}", self.0.fingerprint())
    }

    /// The public key, as a keyring holds it.
    #[must_use]
    pub fn public(&self) -> Vec<u8> {
        self.0.clone().strip_secret_key_material().to_vec().expect("a key")
    }

    /// The public key, armoured.
    #[must_use]
    pub fn public_armoured(&self) -> String {
        let armoured = self.0.clone().strip_secret_key_material().armored().to_vec().expect("a key");
        String::from_utf8(armoured).expect("armour is ASCII")
    }

    /// Clear-signs a text now, as an `InRelease` is.
    #[must_use]
    pub fn sign(&self, text: &str) -> Vec<u8> {
        self.sign_at(text, SystemTime::now())
    }

    /// Clear-signs a text with a signature dated as said.
    #[must_use]
    pub fn sign_at(&self, text: &str, time: SystemTime) -> Vec<u8> {
        let mut signed = Vec::new();
        let signer = Signer::new(Message::new(&mut signed), self.pair()).expect("a signer");
        let mut signer = signer.creation_time(time).cleartext().build().expect("a signer");
        signer.write_all(text.as_bytes()).expect("memory");
        signer.finalize().expect("a signature");
        signed
    }

    /// Signs bytes now, beside them.
    #[must_use]
    pub fn sign_detached(&self, bytes: &[u8]) -> Vec<u8> {
        let mut signature = Vec::new();
        let signer = Signer::new(Message::new(&mut signature), self.pair()).expect("a signer");
        let mut signer = signer.detached().build().expect("a signer");
        signer.write_all(bytes).expect("memory");
        signer.finalize().expect("a signature");
        signature
    }

    fn pair(&self) -> sequoia_openpgp::crypto::KeyPair {
        let key = self.0.primary_key().key().clone().parts_into_secret().expect("it was made with its secret");
        key.into_keypair().expect("it has no password")
    }
}
