//! Secret keys: PKCS#8 in PEM, which OpenSSL and everybody else reads too, in the clear or under a passphrase (PBES2 with scrypt
//! and AES-256-CBC).

use std::io;
use std::path::Path;

use ed25519_dalek::pkcs8::{DecodePrivateKey as _, KeypairBytes};
use ed25519_dalek::{Signer as _, SigningKey};
use pkcs8::der::pem::LineEnding;
use pkcs8::der::{Encode as _, SecretDocument};
use pkcs8::pkcs5::{pbes2, scrypt};
use pkcs8::{EncodePrivateKey as _, EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef};
use zeroize::Zeroizing;

use super::{Domain, KeyError, Passphrases, PublicKey, Purpose};

const PLAIN: &str = "PRIVATE KEY";
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";

/// scrypt's cost: 2^15 blocks of 8 x 128 bytes (32 MiB), a tenth of a second.
const COST: (u8, u32, u32) = (15, 8, 1);

/// An ed25519 secret key. Its bytes are overwritten when it is dropped.
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// Makes a new one.
    ///
    /// # Errors
    /// A system without random numbers.
    pub fn generate() -> Result<Self, KeyError> {
        Ok(Self(SigningKey::from_bytes(&*random::<32>()?)))
    }

    /// Its public half.
    pub fn public(&self) -> PublicKey {
        PublicKey::new(self.0.verifying_key())
    }

    /// Signs a message.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }

    /// Writes it as PEM, under a passphrase where one is given.
    pub(super) fn to_pem(&self, passphrase: Option<&str>) -> Result<Zeroizing<String>, KeyError> {
        let impossible = |error: &dyn std::fmt::Display| KeyError::Random(io::Error::other(error.to_string()));
        // Without the public half, which older readers don't know there.
        let pair = KeypairBytes { secret_key: self.0.to_bytes(), public_key: None };
        let plain = pair.to_pkcs8_der().map_err(|e| impossible(&e))?;
        let Some(passphrase) = passphrase else {
            return plain.to_pem(PLAIN, LineEnding::LF).map_err(|e| impossible(&e));
        };
        let (salt, iv) = (random::<16>()?, random::<16>()?);
        let (cost, block, lanes) = COST;
        let scrypt = scrypt::Params::new(cost, block, lanes).map_err(|e| impossible(&e))?;
        let parameters =
            pbes2::Parameters::generate_scrypt_aes256cbc(scrypt, &*salt, *iv).map_err(|e| impossible(&e))?;
        let info = PrivateKeyInfoRef::try_from(plain.as_bytes()).map_err(|e| impossible(&e))?;
        let sealed = info.encrypt_with_params(parameters, passphrase).map_err(|e| impossible(&e))?;
        sealed.to_pem(ENCRYPTED, LineEnding::LF).map_err(|e| impossible(&e))
    }

    /// Whether PEM is under a passphrase.
    pub(super) fn is_encrypted(text: &str) -> bool {
        text.contains(&format!("-----BEGIN {ENCRYPTED}-----"))
    }

    /// Reads PEM when nobody is there to ask.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn parse(file: &Path, text: &str) -> Result<Self, KeyError> {
        let domain = "example.com".parse().unwrap_or_else(|_| unreachable!("the constant is a domain"));
        Self::from_pem(file, text, &domain, &super::NoPassphrases)
    }

    /// Reads PEM, asking for the passphrase where it is under one.
    pub(super) fn from_pem(
        file: &Path,
        text: &str,
        domain: &Domain,
        passphrases: &dyn Passphrases,
    ) -> Result<Self, KeyError> {
        let wrong = |reason: String| KeyError::Malformed { file: file.to_owned(), what: "secret key", reason };
        if !text.contains("PRIVATE KEY-----") {
            return Err(wrong("it has no line -----BEGIN PRIVATE KEY-----".to_owned()));
        }
        let (label, document) = SecretDocument::from_pem(text.trim_end())
            .map_err(|error| wrong(format!("it is not PEM with a PKCS#8 key ({error})")))?;
        let not_ed25519 = |error: pkcs8::Error| wrong(format!("it is not an ed25519 key ({error})"));
        if label == PLAIN {
            return Ok(Self(SigningKey::from_pkcs8_der(document.as_bytes()).map_err(not_ed25519)?));
        }
        if label != ENCRYPTED {
            return Err(wrong(format!("it is PEM with a {label}")));
        }
        let sealed = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes())
            .map_err(|error| wrong(format!("it is not PKCS#8 ({error})")))?;
        check_cost(&sealed).map_err(wrong)?;
        let passphrase = passphrases
            .passphrase(domain, Purpose::Unlock)
            .map_err(|source| KeyError::Passphrase { domain: domain.clone(), source })?;
        let locked = || KeyError::Locked { domain: domain.clone(), file: file.to_owned() };
        let opened = sealed.decrypt(passphrase.as_bytes()).map_err(|_| locked())?;
        // A wrong passphrase gives proper padding once in 256 times, and never a proper key.
        Ok(Self(SigningKey::from_pkcs8_der(opened.as_bytes()).map_err(|_| locked())?))
    }
}

/// A file could name a cost that takes all memory.
fn check_cost(sealed: &EncryptedPrivateKeyInfoRef<'_>) -> Result<(), String> {
    let length = sealed.encryption_algorithm.encoded_len().map_err(|error| error.to_string())?;
    if u32::from(length) > 512 {
        return Err("its parameters are too long".to_owned());
    }
    let parameters = sealed.encryption_algorithm.pbes2().ok_or("it isn't encrypted with PBES2")?;
    match &parameters.kdf {
        pbes2::Kdf::Scrypt(scrypt) => {
            let memory = 128_u64.saturating_mul(scrypt.cost_parameter).saturating_mul(scrypt.block_size.into());
            let work = memory.saturating_mul(scrypt.parallelization.into());
            (work <= 1 << 30).then_some(()).ok_or_else(|| "opening it would take more than 1 GiB of memory".to_owned())
        }
        pbes2::Kdf::Pbkdf2(pbkdf2) if pbkdf2.iteration_count <= 10_000_000 => Ok(()),
        _ => Err("opening it would take too long".to_owned()),
    }
}

fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, KeyError> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(&mut *bytes).map_err(|error| KeyError::Random(io::Error::other(error.to_string())))?;
    Ok(bytes)
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecretKey({:?})", self.public().id())
    }
}
