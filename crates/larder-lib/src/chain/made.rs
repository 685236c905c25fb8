//! What was made here or by somebody who signs: the statement against the record, and on to what it was made from.

use std::collections::{BTreeMap, BTreeSet};

use larder_store::fileset::Kind;
use larder_store::{FileSet, FileSetDigest, Sha256Digest, Tree};
use sha2::{Digest as _, Sha256};

use super::rebuild::Again;
use super::{LinkKind, Need, Place, State, Walk, hash, is_damage};
use crate::Result;
use crate::package::{self, Kept};
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
        let recipe = package::recipe_of(&read.statement);
        let kept = recipe.map_or(Ok(None), |recipe| package::kept(&self.host.store, &record.digest(), &recipe))?;
        for dependency in &read.statement.facts.dependencies {
            match dependency {
                Dependency::FileSet(input) => {
                    let place = Place { of, need: Need::Optional };
                    self.fileset(&input.name, &input.version, &input.fileset, place)?;
                }
                Dependency::Source { uri, digests } => {
                    // The Tree is the record's own, and was read with the contents.
                    if digests.get(TREE) == Some(&record.tree.hex()) {
                        continue;
                    }
                    if let Some(state) = self.kept(kept.as_ref(), digests)? {
                        self.say(number, LinkKind::Source(uri.clone()), state);
                        continue;
                    }
                    let pinned = digests.iter().map(|(algorithm, digest)| format!("{algorithm}:{digest}"));
                    let pinned = pinned.collect::<Vec<_>>().join(", ");
                    let state = State::NotChecked(format!("it is pinned by {pinned}, and not kept here"));
                    self.say(number, LinkKind::Source(uri.clone()), state);
                }
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

impl Walk<'_> {
    /// How a source is that is kept beside the package, by its digests; `None` where it isn't kept.
    fn kept(&mut self, kept: Option<&Kept>, digests: &BTreeMap<String, String>) -> Result<Option<State>> {
        let Some(kept) = kept else { return Ok(None) };
        if digests.get("sha256") == Some(&kept.recipe_digest().hex()) {
            return Ok(Some(State::Holds));
        }
        if digests.get(package::SOURCE_TREE) != Some(&kept.sources.digest().hex()) {
            return Ok(None);
        }
        for (object, size) in kept.sources.files() {
            if self.hashed.contains(&object) {
                continue;
            }
            match hash(&self.host.store, &object, size) {
                Ok(true) => {}
                Ok(false) => return Ok(Some(State::Broken(format!("the content {object} was altered")))),
                Err(error) if is_damage(&error) => return Ok(Some(State::broken(error))),
                Err(error) => return Err(error.into()),
            }
            self.hashed.insert(object);
        }
        Ok(Some(State::Holds))
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
