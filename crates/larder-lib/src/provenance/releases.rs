//! Which of an archive's release files what is in the store rests on.

use std::collections::BTreeSet;

use larder_store::index::Filter;
use larder_store::{Sha256Digest, Store, StoreError};

use super::envelope::Envelope;
use super::statement::Statement;
use super::{MADE, from_archive};
use crate::{Result, package};

/// The digests of all release files that statements name. Statements that can't be read name none.
///
/// # Errors
/// A store that can't be read.
pub(crate) fn releases(store: &Store) -> Result<BTreeSet<Sha256Digest>> {
    let mut found = BTreeSet::new();
    for fileset in store.index()?.filesets(Filter::default())? {
        let statements = match store.statements(&fileset.digest) {
            Err(StoreError::Text { .. }) => continue,
            statements => statements?,
        };
        for said in &statements {
            found.extend(from_archive(said).map(|archive| archive.file.release));
            if said.kind == MADE {
                let made = Envelope::from_json(&said.body).and_then(|envelope| Statement::decode(&envelope.payload));
                found.extend(made.ok().and_then(|made| package::source_claimed(&made)).map(|claim| claim.release));
            }
        }
    }
    Ok(found)
}
