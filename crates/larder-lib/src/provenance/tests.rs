//! Statements, envelopes and who is believed.

use std::collections::BTreeMap;

use larder_store::json::{self, Value};
use larder_store::{FileSetDigest, Name, Sha256Digest};

use super::envelope::{Envelope, MAX_SIGNATURES, PAYLOAD_TYPE, pae};
use super::standing::{Read, judge};
use super::statement::Statement;
use super::{BuildFacts, BuildKind, Dependency, ProvenanceError, Signer, Subject};
use crate::keys::{Domain, Keys, NoPassphrases, Protection, SecretKey};

fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

fn subject(text: &str) -> Subject {
    Subject { name: name(text), version: "1:2.0-1".to_owned(), fileset: FileSetDigest::of(text.as_bytes()) }
}

pub(super) fn statement() -> Statement {
    let source = |uri: &str, algorithm: &str| Dependency::Source {
        uri: uri.to_owned(),
        digests: BTreeMap::from([(algorithm.to_owned(), "0123456789abcdef".to_owned())]),
    };
    Statement {
        facts: BuildFacts {
            kind: BuildKind::Package,
            subjects: vec![subject("example.com/hello"), subject("example.com/hello-dev")],
            parameters: BTreeMap::from([("command".to_owned(), "make".into()), ("jobs".to_owned(), Value::Integer(2))]),
            dependencies: vec![
                Dependency::FileSet(subject("debian.org/gcc")),
                source("https://example.com/hello-2.0.tar.gz", "sha256"),
                source("larder.toml", "gitCommit"),
            ],
            started: 1_795_170_660,
            finished: 1_795_170_663,
        },
        records: vec![Sha256Digest::from_bytes([1; 32]), Sha256Digest::from_bytes([2; 32])],
        larder: "0.1.0".to_owned(),
        rules: BTreeMap::from([("convert".to_owned(), "deb/1".to_owned())]),
    }
}

#[test]
fn a_statement_is_read_as_it_was_written_and_in_no_other_form() {
    let statement = statement();
    let bytes = statement.encode();
    assert_eq!(Statement::decode(&bytes), Ok(statement.clone()));
    let text = String::from_utf8(bytes).expect("UTF-8");
    for (from, to) in [
        ("Statement/v1", "Statement/v2"),
        ("provenance/v1", "provenance/v0.2"),
        ("larder:build/package/v1", "larder:build/other/v1"),
        ("larder:builder/v1", "larder:builder/v2"),
        ("2026-11-20T10:31:00Z", "2026-11-20T10:31:00+00:00"),
        ("example.com/hello\"", "hello\""),
        ("\"digest\":{\"gitCommit\":\"0123456789abcdef\"}", "\"digest\":{}"),
        ("\"gitCommit\":\"0123456789abcdef\"", "\"gitCommit\":\"xyz\""),
        ("\"_type\":", "\"_also\":1,\"_type\":"),
        ("\"larder\":\"0.1.0\"},\"rules\"", "\"larder\":\"0.1.0\"},\"ruled\""),
        ("\"larder\":\"0.1.0\"}}", "\"larder\":\"0.1.1\"}}"),
    ] {
        let altered = text.replacen(from, to, 1);
        if altered == text {
            continue;
        }
        assert!(Statement::decode(altered.as_bytes()).is_err(), "{from} -> {to}");
    }
    assert!(matches!(Statement::decode(b"{}"), Err(ProvenanceError::Statement { .. })));
    assert!(matches!(Statement::decode(b"{ }"), Err(ProvenanceError::Json(_))));
}

#[test]
fn times_alone_make_no_other_statement() {
    let (one, mut two) = (statement(), statement());
    two.facts.started += 60;
    assert!(one.is_same(&two));
    assert_ne!(one.encode(), two.encode());
    two.facts.dependencies.pop();
    assert!(!one.is_same(&two));
}

#[test]
fn what_is_signed_is_the_pre_authentication_encoding() {
    // The example of the protocol's specification.
    assert_eq!(
        pae("http://example.com/HelloWorld", b"hello world"),
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    );
}

#[test]
fn an_envelope_is_read_as_it_was_written_and_in_no_other_form() {
    let mut envelope = Envelope::new(statement().encode());
    assert_eq!(Envelope::from_json(&envelope.to_json()), Ok(envelope.clone()));
    let key = SecretKey::generate().expect("a key");
    envelope.sign(&key);
    let good = envelope.to_json();
    assert_eq!(Envelope::from_json(&good), Ok(envelope.clone()));
    assert!(envelope.is_by(&envelope.signatures[0], &key.public()));

    let with = |key: &str, value: Value| {
        let Value::Object(mut members) = good.clone() else { unreachable!("an envelope is an object") };
        members.insert(key.to_owned(), value);
        Envelope::from_json(&Value::Object(members))
    };
    let signature =
        |key: &str, sig: &str| Value::object([("keyid", key), ("sig", sig)].map(|(k, v)| (k, Value::from(v))));
    let list = |items: Vec<Value>| Value::Array(items);
    let sig = "A".repeat(86) + "==";
    for (key, value) in [
        ("also", Value::Null),
        ("payload", Value::Null),
        ("payload", "not base64!".into()),
        ("payload", "QQ".into()),
        ("payloadType", Value::Null),
        ("signatures", Value::Null),
        ("signatures", list(vec![Value::Null])),
        ("signatures", list(vec![signature("", &sig)])),
        ("signatures", list(vec![signature("a", "QQ==")])),
        ("signatures", list(vec![signature("a", &sig), signature("a", &sig)])),
        ("signatures", list((0..=MAX_SIGNATURES).map(|n| signature(&n.to_string(), &sig)).collect())),
    ] {
        let refused = with(key, value.clone());
        assert!(matches!(refused, Err(ProvenanceError::Envelope { .. })), "{key} = {value:?}: {refused:?}");
    }
    let other = with("payloadType", "text/plain".into());
    assert_eq!(other, Err(ProvenanceError::PayloadType { found: "text/plain".to_owned() }));
    assert!(matches!(Envelope::from_json(&Value::Null), Err(ProvenanceError::Envelope { .. })));
    assert_eq!(PAYLOAD_TYPE, "application/vnd.in-toto+json");
}

/// Keys of `example.com`, which signs, and of `other.org`.
struct Trust {
    _folder: tempfile::TempDir,
    keys: Keys,
}

impl Trust {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let keys = Keys::new(Some(folder.path().join("keys")), Vec::new(), Box::new(NoPassphrases));
        for domain in ["example.com", "other.org"] {
            keys.create(&domain.parse().expect("a domain"), Protection::None).expect("a key");
        }
        Self { _folder: folder, keys }
    }

    fn secret(&self, domain: &str) -> SecretKey {
        self.keys.secret(&domain.parse().expect("a domain")).expect("a key").expect("it is there")
    }

    fn judge(&self, of: &str, envelope: &Envelope) -> Result<Read, ProvenanceError> {
        // As it is after it was kept.
        let body = json::decode(&json::encode(&envelope.to_json())).expect("canonical");
        judge(&self.keys, &name(of), &FileSetDigest::of(of.as_bytes()), &body).expect("keys can be read")
    }
}

#[test]
fn a_key_counts_for_its_domain_alone() {
    let trust = Trust::new();
    let (own, other) = (trust.secret("example.com"), trust.secret("other.org"));
    let mut envelope = Envelope::new(statement().encode());
    assert_eq!(trust.judge("example.com/hello", &envelope).expect("unsigned").signers, []);

    envelope.sign(&own);
    let signer = Signer { domain: "example.com".parse::<Domain>().expect("a domain"), key: own.public().id() };
    assert_eq!(trust.judge("example.com/hello-dev", &envelope).expect("signed").signers, [signer]);

    let mut envelope = Envelope::new(statement().encode());
    envelope.sign(&other);
    let refused = trust.judge("example.com/hello", &envelope).expect_err("a trusted key of another domain");
    assert_eq!(
        refused.to_string(),
        format!("it is signed by the key {}, which isn't trusted for example.com", other.public().id())
    );
}

#[test]
fn altered_swapped_and_unknown_are_told_apart() {
    let trust = Trust::new();
    let own = trust.secret("example.com");
    let mut envelope = Envelope::new(statement().encode());
    envelope.sign(&own);

    let mut altered = envelope.clone();
    let mut statement = statement();
    statement.facts.dependencies.pop();
    altered.payload = statement.encode();
    let said = trust.judge("example.com/hello", &altered).expect_err("another payload");
    assert_eq!(said, ProvenanceError::Altered { key: own.public().id() });

    let mut altered = envelope.clone();
    altered.signatures[0].signature[7] ^= 1;
    assert!(matches!(trust.judge("example.com/hello", &altered), Err(ProvenanceError::Altered { .. })));

    let said = trust.judge("example.com/other", &envelope).expect_err("about another");
    assert!(matches!(&said, ProvenanceError::Swapped { subjects, .. } if subjects.len() == 2), "{said}");

    // A key that calls itself like a trusted one is still another.
    let mut posing = Envelope::new(envelope.payload.clone());
    posing.sign(&SecretKey::generate().expect("a key"));
    assert!(matches!(trust.judge("example.com/hello", &posing), Err(ProvenanceError::UnknownKey { .. })));
    posing.signatures[0].key = own.public().id().to_string();
    assert!(matches!(trust.judge("example.com/hello", &posing), Err(ProvenanceError::Altered { .. })));
}
