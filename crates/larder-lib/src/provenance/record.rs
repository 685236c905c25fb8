//! Writing down how something was made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use larder_store::{FileSetDigest, Ingest, Sha256Digest};
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

/// Writes down how FileSets were made, beside each of them, and says who signed that. `ingest` must have written their records;
/// its commit makes the statement last, too.
///
/// The key of a subject's domain signs where the host has one. A statement that says the same and has all those signatures is
/// left as it is, so that making the same thing again writes nothing.
///
/// # Errors
/// A key that can't be used: what its owner wants signed is not to stay unsigned in silence. A store that can't be read or
/// written.
pub fn record(host: &Host, ingest: &Ingest<'_>, facts: &BuildFacts) -> Result<Vec<Signer>> {
    let records = facts.subjects.iter().map(|subject| {
        let record = host.store.fileset(&subject.fileset)?.encode();
        Ok(Sha256Digest::from_bytes(Sha256::digest(record).into()))
    });
    let statement = Statement {
        records: records.collect::<Result<_>>()?,
        larder: env!("CARGO_PKG_VERSION").to_owned(),
        rules: RULES.clone(),
        facts: facts.clone(),
    };
    let domains: BTreeSet<Domain> = facts.subjects.iter().map(|subject| Domain::of(&subject.name)).collect();
    let mut signers: Vec<(Domain, PublicKey)> = Vec::new();
    for domain in domains {
        if let Some(key) = host.keys.signer(&domain)? {
            signers.push((domain, key));
        }
    }
    let mut missing: Vec<FileSetDigest> = facts.subjects.iter().map(|subject| subject.fileset).collect();
    missing.sort_unstable();
    missing.dedup();
    let mut there = Vec::with_capacity(missing.len());
    for subject in &missing {
        there.push(is_there(ingest, subject, &statement, &signers)?);
    }
    if !there.into_iter().all(|there| there) {
        let mut envelope = Envelope::new(statement.encode());
        for (domain, public) in &signers {
            envelope.sign(&secret(host, domain, public)?);
        }
        for subject in &missing {
            ingest.write_statement(subject, standing::KIND, &envelope.to_json())?;
        }
    }
    Ok(signers.into_iter().map(|(domain, key)| Signer { domain, key: key.id() }).collect())
}

/// The secret half of a key that was there a moment ago.
fn secret(host: &Host, domain: &Domain, public: &PublicKey) -> Result<SecretKey> {
    let missing =
        || crate::keys::KeyError::Missing { what: format!("secret key {}", public.id()), domain: domain.clone() };
    Ok(host.keys.secret(domain)?.ok_or_else(missing)?)
}

/// Whether the same has been said of a FileSet already, by all who would say it now.
fn is_there(
    ingest: &Ingest<'_>,
    subject: &FileSetDigest,
    wanted: &Statement,
    signers: &[(Domain, PublicKey)],
) -> Result<bool> {
    let found = ingest.renew_statements(subject)?;
    Ok(found.iter().filter(|found| found.kind == standing::KIND).any(|found| {
        let Ok(envelope) = Envelope::from_json(&found.body) else { return false };
        let is_signed = |key: &PublicKey| envelope.signatures.iter().any(|signed| envelope.is_by(signed, key));
        envelope.signatures.len() == signers.len()
            && signers.iter().all(|(_, key)| is_signed(key))
            && Statement::decode(&envelope.payload).is_ok_and(|said| said.is_same(wanted))
    }))
}
