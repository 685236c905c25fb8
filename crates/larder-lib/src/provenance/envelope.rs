//! DSSE envelopes (version 1 of the protocol): some bytes, what they are, and who signed them.
//!
//! What is signed is not the payload but its *pre-authentication encoding*, so that one kind of payload can't be taken for another.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use larder_store::json::Value;

use super::ProvenanceError;
use crate::keys::{PublicKey, SecretKey};

/// What the payload of a statement's envelope is.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// The longest payload, in bytes.
pub const MAX_PAYLOAD: usize = 8 << 20;
/// The most signatures.
pub const MAX_SIGNATURES: usize = 16;

/// An envelope. What it holds is not to be believed before [`Envelope::is_by`], or it being empty of signatures, says whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// What is said.
    pub payload: Vec<u8>,
    /// Who says so; nobody where the list is empty.
    pub signatures: Vec<Signed>,
}

/// A signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// What the signer calls its key: a hint which one to check with, and nothing more.
    pub key: String,
    /// The signature's bytes.
    pub signature: [u8; 64],
}

impl Envelope {
    /// An envelope that nobody has signed yet.
    pub fn new(payload: Vec<u8>) -> Self {
        Self { payload, signatures: Vec::new() }
    }

    /// Adds a key's signature.
    pub fn sign(&mut self, key: &SecretKey) {
        let signature = key.sign(&pae(PAYLOAD_TYPE, &self.payload));
        self.signatures.push(Signed { key: key.public().id().to_string(), signature });
    }

    /// Whether a key made this signature.
    pub fn is_by(&self, signed: &Signed, key: &PublicKey) -> bool {
        key.has_signed(&pae(PAYLOAD_TYPE, &self.payload), &signed.signature)
    }

    /// The envelope as JSON.
    pub fn to_json(&self) -> Value {
        let signatures = self.signatures.iter().map(|signed| {
            Value::object([("keyid", signed.key.as_str().into()), ("sig", STANDARD.encode(signed.signature).into())])
        });
        Value::object([
            ("payload", STANDARD.encode(&self.payload).into()),
            ("payloadType", PAYLOAD_TYPE.into()),
            ("signatures", signatures.collect()),
        ])
    }

    /// Reads one. Every member must be there and none besides; no key may have signed twice.
    ///
    /// # Errors
    /// Everything that [`to_json`](Self::to_json) would not have written.
    pub fn from_json(value: &Value) -> Result<Self, ProvenanceError> {
        let wrong = |reason| ProvenanceError::Envelope { reason };
        let Value::Object(members) = value else { return Err(wrong("it is not an object")) };
        if members.keys().ne(["payload", "payloadType", "signatures"]) {
            return Err(wrong("its members are not payload, payloadType and signatures"));
        }
        match value.get("payloadType").and_then(Value::as_str) {
            Some(PAYLOAD_TYPE) => {}
            Some(found) => return Err(ProvenanceError::PayloadType { found: found.to_owned() }),
            None => return Err(wrong("its payloadType is not a text")),
        }
        let payload = value.get("payload").and_then(Value::as_str).ok_or_else(|| wrong("its payload is not a text"))?;
        if payload.len() > MAX_PAYLOAD.div_ceil(3) * 4 {
            return Err(wrong("its payload is longer than 8 MiB"));
        }
        let payload = STANDARD.decode(payload).map_err(|_| wrong("its payload is not base64"))?;
        let Some(Value::Array(list)) = value.get("signatures") else { return Err(wrong("its signatures are no list")) };
        if list.len() > MAX_SIGNATURES {
            return Err(wrong("it has more than 16 signatures"));
        }
        let mut signatures: Vec<Signed> = Vec::with_capacity(list.len());
        for item in list {
            let signed =
                signature(item).ok_or_else(|| wrong("a signature is not a key's name and 64 bytes in base64"))?;
            if signatures.iter().any(|other| other.key == signed.key) {
                return Err(wrong("one key has signed it twice"));
            }
            signatures.push(signed);
        }
        Ok(Self { payload, signatures })
    }
}

fn signature(item: &Value) -> Option<Signed> {
    let Value::Object(members) = item else { return None };
    if members.keys().ne(["keyid", "sig"]) {
        return None;
    }
    let key = item.get("keyid")?.as_str().filter(|key| (1..=256).contains(&key.len()))?;
    let bytes = STANDARD.decode(item.get("sig")?.as_str()?).ok()?;
    Some(Signed { key: key.to_owned(), signature: bytes.try_into().ok()? })
}

/// The pre-authentication encoding of DSSE v1: what is signed.
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}
