//! Clear-signed texts.

use std::cell::RefCell;
use std::io::Read;
use std::time::SystemTime;

use sequoia_openpgp as openpgp;
use sequoia_openpgp::Cert;
use sequoia_openpgp::KeyHandle;
use sequoia_openpgp::cert::amalgamation::ValidAmalgamation as _;
use sequoia_openpgp::packet::Signature;
use sequoia_openpgp::parse::Parse as _;
use sequoia_openpgp::parse::stream::{
    DetachedVerifierBuilder, GoodChecksum, MessageLayer, MessageStructure, VerificationError, VerificationHelper,
    VerifierBuilder,
};
use sequoia_openpgp::policy::{Policy, StandardPolicy};
use sequoia_openpgp::types::RevocationStatus;

use super::{CLOCK_TOLERANCE, Keyring, seconds};
use crate::error::ReleaseRefusal;

const BEGIN: &[u8] = b"-----BEGIN PGP SIGNED MESSAGE-----";
const SIGNATURE: &[u8] = b"-----BEGIN PGP SIGNATURE-----";
const END: &[u8] = b"-----END PGP SIGNATURE-----";

/// A text and who signed it.
pub(super) struct Signed {
    /// The text under the signature and nothing else.
    pub(super) text: Vec<u8>,
    /// Fingerprint of the certificate.
    pub(super) signer: String,
}

/// Checks that the bytes are one clear-signed text with at least one good signature of a key that is in the keyring and
/// valid at `now`.
pub(super) fn verify(bytes: &[u8], keyring: &Keyring, now: SystemTime) -> Result<Signed, ReleaseRefusal> {
    check_frame(bytes)?;
    let verdict = RefCell::new(None);
    let policy = StandardPolicy::new();
    let helper = Helper { keyring, policy: &policy, now, verdict: &verdict };
    // Signatures are made on another machine, whose clock may be a little ahead.
    let text = read(bytes, &policy, now + CLOCK_TOLERANCE, helper);
    match (verdict.into_inner(), text) {
        (Some(Ok(signer)), Ok(text)) => Ok(Signed { text, signer }),
        (Some(Err(refusal)), _) => Err(refusal),
        (_, Err(error)) => Err(ReleaseRefusal::Malformed { problem: error.to_string() }),
        (None, Ok(_)) => Err(ReleaseRefusal::NotSigned),
    }
}

fn read(bytes: &[u8], policy: &dyn Policy, time: SystemTime, helper: Helper<'_>) -> openpgp::Result<Vec<u8>> {
    let mut verifier = VerifierBuilder::from_bytes(bytes)?.with_policy(policy, time, helper)?;
    let mut text = Vec::new();
    verifier.read_to_end(&mut text)?;
    Ok(text)
}

/// Checks that at least one of the detached signatures is a good one of the content, by a key that is in the keyring and valid
/// at `now`. Gives the fingerprint of the certificate.
pub(super) fn verify_detached(
    signature: &[u8],
    content: impl Read + Send + Sync,
    keyring: &Keyring,
    now: SystemTime,
) -> Result<String, ReleaseRefusal> {
    let verdict = RefCell::new(None);
    let policy = StandardPolicy::new();
    let helper = Helper { keyring, policy: &policy, now, verdict: &verdict };
    let time = now + CLOCK_TOLERANCE;
    let read = DetachedVerifierBuilder::from_bytes(signature)
        .and_then(|builder| builder.with_policy(&policy, time, helper))
        .and_then(|mut verifier| verifier.verify_reader(content));
    match (verdict.into_inner(), read) {
        (Some(Ok(signer)), Ok(())) => Ok(signer),
        (Some(Err(refusal)), _) => Err(refusal),
        (_, Err(error)) => Err(ReleaseRefusal::Malformed { problem: error.to_string() }),
        (None, Ok(())) => Err(ReleaseRefusal::NotSigned),
    }
}

/// One frame, from the first byte to the last: text before or after it is not signed, and a reader that only looks for
/// fields would take it for a part.
fn check_frame(bytes: &[u8]) -> Result<(), ReleaseRefusal> {
    let malformed = |problem: &str| Err(ReleaseRefusal::Malformed { problem: problem.to_owned() });
    let count =
        |marker: &[u8]| bytes.split(|byte| *byte == b'\n').filter(|line| line.trim_ascii_end() == marker).count();
    match (count(BEGIN), count(SIGNATURE), count(END)) {
        (0, 0, 0) => return Err(ReleaseRefusal::NotSigned),
        (1, 1, 1) => {}
        (1, _, 0) => return malformed("it ends before its signature does"),
        _ => return malformed("it has not exactly one text and one signature block"),
    }
    if !bytes.starts_with(BEGIN) {
        return malformed("there is text before the signed part");
    }
    if !bytes.trim_ascii_end().ends_with(END) {
        return malformed("there is text after the signature");
    }
    Ok(())
}

struct Helper<'a> {
    keyring: &'a Keyring,
    policy: &'a dyn Policy,
    now: SystemTime,
    verdict: &'a RefCell<Option<Result<String, ReleaseRefusal>>>,
}

impl VerificationHelper for Helper<'_> {
    fn get_certs(&mut self, ids: &[KeyHandle]) -> openpgp::Result<Vec<Cert>> {
        let asked =
            |certificate: &&Cert| certificate.keys().any(|key| ids.iter().any(|id| id.aliases(key.key().key_handle())));
        Ok(self.keyring.certificates().iter().filter(asked).cloned().collect())
    }

    fn check(&mut self, structure: MessageStructure<'_>) -> openpgp::Result<()> {
        let verdict = self.judge(structure);
        let refused = verdict.clone().err();
        *self.verdict.borrow_mut() = Some(verdict);
        refused.map_or(Ok(()), |refusal| Err(refusal.into()))
    }
}

impl Helper<'_> {
    fn judge(&self, structure: MessageStructure<'_>) -> Result<String, ReleaseRefusal> {
        let mut unknown = Vec::new();
        let mut worst: Option<ReleaseRefusal> = None;
        for layer in structure {
            let MessageLayer::SignatureGroup { results } = layer else {
                return Err(ReleaseRefusal::Malformed { problem: "it is more than a signed text".to_owned() });
            };
            for result in results {
                let refusal = match result {
                    Ok(good) => match self.still_valid(&good) {
                        Ok(signer) => return Ok(signer),
                        Err(refusal) => refusal,
                    },
                    Err(VerificationError::MissingKey { sig }) => {
                        unknown.push(issuer(sig));
                        continue;
                    }
                    Err(error) => self.refusal(error),
                };
                worst.get_or_insert(refusal);
            }
        }
        Err(match worst {
            Some(refusal) => refusal,
            None if unknown.is_empty() => ReleaseRefusal::NotSigned,
            None => ReleaseRefusal::WrongKey { signers: unknown, keyrings: self.keyring.places().to_vec() },
        })
    }

    /// The library judges a key at the time of the signature; a key that ended since is refused too.
    fn still_valid(&self, good: &GoodChecksum<'_>) -> Result<String, ReleaseRefusal> {
        let certificate = good.ka.cert();
        let signer = format!("{:X}", certificate.fingerprint());
        self.key_now(certificate, &good.ka.key().fingerprint())?;
        Ok(signer)
    }

    fn key_now(&self, certificate: &Cert, key: &openpgp::Fingerprint) -> Result<(), ReleaseRefusal> {
        let signer = format!("{:X}", certificate.fingerprint());
        let unacceptable = |error: openpgp::anyhow::Error| ReleaseRefusal::Unacceptable {
            signer: signer.clone(),
            problem: error.to_string(),
        };
        let valid = certificate.with_policy(self.policy, self.now).map_err(unacceptable)?;
        if matches!(valid.revocation_status(), RevocationStatus::Revoked(_)) {
            return Err(ReleaseRefusal::KeyRevoked { signer });
        }
        if valid.alive().is_err() {
            return Err(ReleaseRefusal::KeyExpired { signer });
        }
        for each in valid.keys().filter(|each| each.key().fingerprint() == *key) {
            if matches!(each.revocation_status(), RevocationStatus::Revoked(_)) {
                return Err(ReleaseRefusal::KeyRevoked { signer });
            }
            if each.alive().is_err() {
                return Err(ReleaseRefusal::KeyExpired { signer });
            }
        }
        Ok(())
    }

    fn refusal(&self, error: VerificationError<'_>) -> ReleaseRefusal {
        match error {
            VerificationError::BadSignature { sig, ka, error } => {
                let signer = format!("{:X}", ka.cert().fingerprint());
                match error.downcast_ref::<openpgp::Error>() {
                    Some(openpgp::Error::NotYetLive(_)) => ReleaseRefusal::FromTheFuture {
                        date: sig.signature_creation_time().map_or(0, seconds),
                        now: seconds(self.now),
                    },
                    Some(openpgp::Error::PolicyViolation(..) | openpgp::Error::Expired(_)) => {
                        ReleaseRefusal::Unacceptable { signer, problem: error.to_string() }
                    }
                    _ => ReleaseRefusal::Tampered { signer },
                }
            }
            VerificationError::BadKey { ka, error, .. } => {
                let signer = format!("{:X}", ka.cert().fingerprint());
                self.key_now(ka.cert(), &ka.key().fingerprint())
                    .err()
                    .unwrap_or(ReleaseRefusal::Unacceptable { signer, problem: error.to_string() })
            }
            VerificationError::UnboundKey { cert, error, .. } => {
                let signer = format!("{:X}", cert.fingerprint());
                self.key_now(cert, &cert.fingerprint())
                    .err()
                    .unwrap_or(ReleaseRefusal::Unacceptable { signer, problem: error.to_string() })
            }
            other => ReleaseRefusal::Malformed { problem: other.to_string() },
        }
    }
}

/// Who a signature says made it: the fingerprint where it has one, else the key's short name.
fn issuer(signature: &Signature) -> String {
    let issuers = signature.get_issuers();
    let best = issuers.iter().find(|issuer| matches!(issuer, KeyHandle::Fingerprint(_))).or(issuers.first());
    best.map_or_else(|| "an unnamed key".to_owned(), |issuer| format!("{issuer:X}"))
}
