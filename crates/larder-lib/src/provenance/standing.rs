//! Whether what is said of a FileSet can be believed, and on whose word.

use std::fmt;

use larder_store::{FileSetDigest, Name, Store, StoreError};
use rayon::prelude::*;

use super::envelope::Envelope;
use super::statement::Statement;
use super::{ProvenanceError, archive};
use crate::Result;
use crate::keys::{Domain, KeyId, Keys};

/// The kind of the statements that hold an envelope.
pub const KIND: &str = "in-toto";

/// Who signed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signer {
    /// For which domain.
    pub domain: Domain,
    /// With which key.
    pub key: KeyId,
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.domain, self.key.short())
    }
}

/// What is known of where a FileSet came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It was made here or by whoever signed: keys that are trusted for its domain have signed how.
    Signed(Vec<Signer>),
    /// It says how it was made, and nobody has signed that.
    Unsigned,
    /// It was converted from a file that an archive's signed index lists.
    Archive {
        /// Fingerprint of the key that signed the archive's release.
        signer: String,
    },
    /// Nothing is said of it.
    Missing,
    /// What is said can't be believed.
    Broken(ProvenanceError),
}

impl Standing {
    /// The standing as a word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Signed(_) => "signed",
            Self::Unsigned => "unsigned",
            Self::Archive { .. } => "archive",
            Self::Missing => "missing",
            Self::Broken(_) => "broken",
        }
    }

    /// Who signed how it was made: nobody, where that is empty.
    pub fn signers(&self) -> &[Signer] {
        match self {
            Self::Signed(signers) => signers,
            _ => &[],
        }
    }
}

/// One word or two for a listing.
impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signed(signers) => {
                for (number, signer) in signers.iter().enumerate() {
                    write!(f, "{}{}", if number == 0 { "" } else { ", " }, signer.domain)?;
                }
                Ok(())
            }
            Self::Unsigned => f.write_str("unsigned"),
            Self::Archive { .. } => f.write_str("archive"),
            Self::Missing => f.write_str("no statement"),
            Self::Broken(_) => f.write_str("broken"),
        }
    }
}

/// A statement that was read, and who signed it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Read {
    pub(crate) envelope: Envelope,
    pub(crate) statement: Statement,
    pub(crate) signers: Vec<Signer>,
}

impl Read {
    /// Of several statements the one with the greatest counts: signed before unsigned, then newer before older.
    pub(crate) fn rank(&self) -> (bool, u64) {
        (!self.signers.is_empty(), self.statement.facts.finished)
    }
}

/// What is known of where a FileSet of a name came from.
///
/// # Errors
/// A store or keys that can't be read.
pub fn standing(store: &Store, keys: &Keys, name: &Name, fileset: &FileSetDigest) -> Result<Standing> {
    let statements = match store.statements(fileset) {
        Err(StoreError::Text { path, reason }) => {
            return Ok(Standing::Broken(ProvenanceError::Damaged { file: path, reason }));
        }
        statements => statements?,
    };
    let mut unsigned = false;
    let mut signers = Vec::new();
    for found in statements.iter().filter(|found| found.kind == KIND) {
        match judge(keys, name, fileset, &found.body)? {
            Err(error) => return Ok(Standing::Broken(error)),
            Ok(read) if read.signers.is_empty() => unsigned = true,
            Ok(read) => signers.extend(read.signers),
        }
    }
    signers.sort();
    signers.dedup();
    if !signers.is_empty() {
        return Ok(Standing::Signed(signers));
    }
    if unsigned {
        return Ok(Standing::Unsigned);
    }
    let archive = statements.iter().find_map(archive::from_archive).map(|found| found.file.signer);
    Ok(archive.map_or(Standing::Missing, |signer| Standing::Archive { signer }))
}

/// The same for many, in their order.
///
/// # Errors
/// As of [`standing`].
pub fn standings(store: &Store, keys: &Keys, filesets: &[(&Name, &FileSetDigest)]) -> Result<Vec<Standing>> {
    // More threads are worth their start for many only.
    const FEW: usize = 64;
    let one = |(name, fileset): &(&Name, &FileSetDigest)| standing(store, keys, name, fileset);
    if filesets.len() <= FEW { filesets.iter().map(one).collect() } else { filesets.par_iter().map(one).collect() }
}

/// Reads an envelope that was found beside a FileSet of a name, and checks every signature. One that doesn't hold, or of a key
/// that isn't trusted for the name's domain, spoils all.
///
/// # Errors
/// Keys that can't be read.
pub(crate) fn judge(
    keys: &Keys,
    name: &Name,
    fileset: &FileSetDigest,
    body: &larder_store::json::Value,
) -> Result<std::result::Result<Read, ProvenanceError>> {
    let read = Envelope::from_json(body).and_then(|envelope| {
        let statement = Statement::decode(&envelope.payload)?;
        Ok((envelope, statement))
    });
    let (envelope, statement) = match read {
        Ok(read) => read,
        Err(error) => return Ok(Err(error)),
    };
    let subjects = &statement.facts.subjects;
    if !subjects.iter().any(|subject| subject.fileset == *fileset && subject.name == *name) {
        let subjects =
            subjects.iter().map(|subject| format!("{}@{} {}", subject.name, subject.version, subject.fileset));
        return Ok(Err(ProvenanceError::Swapped { subjects: subjects.collect(), wanted: *fileset }));
    }
    let mut signers = Vec::new();
    if !envelope.signatures.is_empty() {
        let domain = Domain::of(name);
        let others = subjects.iter().map(|subject| Domain::of(&subject.name)).filter(|other| *other != domain);
        let others: std::collections::BTreeSet<Domain> = others.collect();
        for signed in &envelope.signatures {
            let mut found = None;
            for domain in std::iter::once(&domain).chain(&others) {
                let trusted = keys.trusted(domain)?;
                if let Some(key) = trusted.into_iter().find(|key| key.id().to_string() == signed.key) {
                    found = Some((domain, key));
                    break;
                }
            }
            let Some((of, key)) = found else {
                return Ok(Err(ProvenanceError::UnknownKey { key: signed.key.clone(), domain }));
            };
            if !envelope.is_by(signed, &key) {
                return Ok(Err(ProvenanceError::Altered { key: key.id() }));
            }
            // Who signed for another of the subjects has said nothing that counts for this one.
            if *of == domain {
                signers.push(Signer { domain: of.clone(), key: key.id() });
            }
        }
    }
    Ok(Ok(Read { envelope, statement, signers }))
}
