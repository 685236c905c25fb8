//! What was made here or by somebody who signs: the statement against the record, and on to what it was made from.

use std::collections::BTreeSet;

use larder_store::fileset::Kind;
use larder_store::{FileSet, FileSetDigest, Sha256Digest, Tree};
use sha2::{Digest as _, Sha256};

use super::rebuild::Again;
use super::{LinkKind, Need, Place, State, Walk};
use crate::Result;
use crate::provenance::{Dependency, Read, TREE};

impl Walk<'_> {
    /// Follows the newest of the statements about a FileSet; one that is signed comes before all that aren't.
    pub(super) fn made(&mut self, number: usize, record: &FileSet, statements: &[Read]) -> Result<()> {
        let Some(read) = statements.iter().max_by_key(|read| read.rank()) else { return Ok(()) };
        let mut signers: Vec<_> = statements.iter().flat_map(|read| read.signers.clone()).collect();
        signers.sort();
        signers.dedup();
        self.say(number, LinkKind::Statement, State::Holds);
        let signature = match (signers.is_empty(), self.options.require_signed) {
            (false, _) => State::Holds,
            (true, false) => State::Unsigned,
            (true, true) => State::Broken("nobody has signed it, and --require-signed wants that".to_owned()),
        };
        self.report.items[number].signers = signers;
        self.say(number, LinkKind::Signature, signature);
        let inputs = inputs(record, read).map_or(State::Holds, State::Broken);
        self.say(number, LinkKind::Inputs, inputs);

        let of = Some(record.digest());
        for import in &record.imports {
            self.fileset(&import.name, &import.version, &import.fileset, Place { of, need: Need::Required })?;
        }
        self.sources(number, record, &read.statement)?;
        for dependency in &read.statement.facts.dependencies {
            if let Dependency::FileSet(input) = dependency {
                let place = Place { of, need: Need::Optional };
                self.fileset(&input.name, &input.version, &input.fileset, place)?;
            }
        }
        if self.options.rebuild {
            let again = match record.kind() {
                Kind::Image | Kind::Distribution => Again::Imports(Box::new(record.clone())),
                _ => Again::Made(Box::new(read.statement.clone())),
            };
            self.again.push((number, again));
        }
        Ok(())
    }
}

/// What a statement doesn't say of a record that it is about.
fn inputs(record: &FileSet, read: &Read) -> Option<String> {
    let facts = &read.statement.facts;
    let digest = record.digest();
    let position = facts.subjects.iter().position(|subject| subject.fileset == digest);
    let sha256 = Sha256Digest::from_bytes(Sha256::digest(record.encode()).into());
    if position.and_then(|position| read.statement.records.get(position)) != Some(&sha256) {
        return Some(format!("the statement has another SHA-256 of the record than {sha256}"));
    }
    let named: BTreeSet<FileSetDigest> = facts
        .dependencies
        .iter()
        .filter_map(|dependency| match dependency {
            Dependency::FileSet(input) => Some(input.fileset),
            Dependency::Source { .. } => None,
        })
        .collect();
    let own: BTreeSet<FileSetDigest> = facts.subjects.iter().map(|subject| subject.fileset).collect();
    let missing =
        record.imports.iter().find(|import| !named.contains(&import.fileset) && !own.contains(&import.fileset));
    if let Some(import) = missing {
        return Some(format!(
            "the statement doesn't name {}@{}, which the record imports",
            import.name, import.version
        ));
    }
    let is_image = record.kind() == Kind::Image && record.tree != Tree::default().digest();
    let has_tree = facts.dependencies.iter().any(|dependency| match dependency {
        Dependency::Source { digests, .. } => digests.get(TREE) == Some(&record.tree.hex()),
        Dependency::FileSet(_) => false,
    });
    (is_image && !has_tree).then(|| "the statement doesn't name the image's own files".to_owned())
}
