//! Writing down how something was made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use larder_store::json::Value;
use larder_store::{FileSetDigest, Ingest, Name, ObjectDigest, Sha256Digest};
use sha2::{Digest as _, Sha256};

use super::envelope::Envelope;
use super::statement::Statement;
use super::{BuildFacts, Signer, standing};
use crate::keys::{Domain, PublicKey, SecretKey};
use crate::{Host, Result};

/// The frozen rules that this program follows.
static RULES: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
    let composers = larder_debian::compose::current_versions().into_iter();
    let mut rules: BTreeMap<_, _> =
        composers.map(|(composer, version)| (format!("compose/{composer}"), version.to_string())).collect();
    rules.insert("convert".to_owned(), larder_debian::convert::RULE.to_owned());
    rules.insert("declare".to_owned(), larder_debian::declare::TABLE_VERSION.to_string());
    rules
});

/// What was written down.
#[derive(Debug)]
pub struct Recorded {
    /// Who signed it.
    pub signed: Vec<Signer>,
    /// The statement about each FileSet, by its bytes.
    pub(crate) statements: BTreeMap<FileSetDigest, ObjectDigest>,
}

/// The keys that sign how FileSets of these names are made, by domain.
pub(crate) type Signing = Vec<(Domain, PublicKey)>;

/// Finds the keys that sign how FileSets of these names are made here.
///
/// # Errors
/// A key that can't be used: what its owner wants signed is not to stay unsigned in silence.
pub(crate) fn signing<'n>(host: &Host, names: impl Iterator<Item = &'n Name>) -> Result<Signing> {
    let domains: BTreeSet<Domain> = names.map(Domain::of).collect();
    let mut signing = Signing::new();
    for domain in domains {
        if let Some(key) = host.keys.signer(&domain)? {
            signing.push((domain, key));
        }
    }
    Ok(signing)
}

/// The same for people.
pub(crate) fn signers(signing: Signing) -> Vec<Signer> {
    signing.into_iter().map(|(domain, key)| Signer { domain, key: key.id() }).collect()
}

/// Writes down how FileSets were made, beside each of them, and says who signed that. `ingest` must have written their records;
/// its commit makes the statement last, too.
///
/// The key of a subject's domain signs where the host has one. A statement that says the same and has all those signatures is
/// left as it is, so that making the same thing again writes nothing.
///
/// # Errors
/// A key that can't be used; a store that can't be read or written.
pub fn record(host: &Host, ingest: &Ingest<'_>, facts: &BuildFacts) -> Result<Recorded> {
    let records = facts.subjects.iter().map(|subject| {
        let record = host.store.record(&subject.fileset)?;
        Ok(Sha256Digest::from_bytes(Sha256::digest(record).into()))
    });
    let statement = Statement {
        records: records.collect::<Result<_>>()?,
        larder: env!("CARGO_PKG_VERSION").to_owned(),
        rules: RULES.clone(),
        facts: facts.clone(),
    };
    let signing = signing(host, facts.subjects.iter().map(|subject| &subject.name))?;
    let subjects: BTreeSet<FileSetDigest> = facts.subjects.iter().map(|subject| subject.fileset).collect();
    let mut statements = BTreeMap::new();
    for subject in &subjects {
        if let Some(there) = find(ingest, subject, &statement, &signing)? {
            statements.insert(*subject, there);
        }
    }
    if statements.len() < subjects.len() {
        let mut envelope = Envelope::new(statement.encode());
        for (domain, public) in &signing {
            envelope.sign(&secret(host, domain, public)?);
        }
        let envelope = envelope.to_json();
        for subject in subjects {
            statements.insert(subject, ingest.write_statement(&subject, standing::KIND, &envelope)?);
        }
    }
    Ok(Recorded { signed: signers(signing), statements })
}

/// The secret half of a key that was there a moment ago.
fn secret(host: &Host, domain: &Domain, public: &PublicKey) -> Result<SecretKey> {
    let missing =
        || crate::keys::KeyError::Missing { what: format!("secret key {}", public.id()), domain: domain.clone() };
    Ok(host.keys.secret(domain)?.ok_or_else(missing)?)
}

/// The statement that says the same of a FileSet already, by all who would say it now.
fn find(
    ingest: &Ingest<'_>,
    subject: &FileSetDigest,
    wanted: &Statement,
    signing: &[(Domain, PublicKey)],
) -> Result<Option<ObjectDigest>> {
    let found = ingest.renew_statements(subject)?.into_iter();
    let says_it = |body: &Value| {
        let Ok(envelope) = Envelope::from_json(body) else { return false };
        let is_signed = |key: &PublicKey| envelope.signatures.iter().any(|signed| envelope.is_by(signed, key));
        envelope.signatures.len() == signing.len()
            && signing.iter().all(|(_, key)| is_signed(key))
            && Statement::decode(&envelope.payload).is_ok_and(|said| said.is_same(wanted))
    };
    let mut same = found.filter(|(_, found)| found.kind == standing::KIND && says_it(&found.body));
    Ok(same.next().map(|(digest, _)| digest))
}
