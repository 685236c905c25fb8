//! Bringing the index up to date.

use std::collections::BTreeSet;

use rusqlite::{Connection, TransactionBehavior, params};

use super::{OpenError, digest_at};
use crate::store::Store;
use crate::{FileSet, FileSetDigest};

/// Adds the records that are new and forgets those that are gone.
pub(super) fn update(store: &Store, connection: &mut Connection) -> Result<(), OpenError> {
    // Usually nothing is to be done, and then nothing is locked for writing.
    if difference(store, connection)?.is_empty() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for change in difference(store, &transaction)? {
        match change {
            Change::Gone(digest) => {
                transaction.execute("DELETE FROM fileset WHERE digest = ?1", [digest.as_bytes()])?;
            }
            Change::New(digest) => {
                if let Ok(record) = store.fileset(&digest) {
                    insert(store, &transaction, &digest, &record)?;
                }
            }
        }
    }
    transaction.commit()?;
    Ok(())
}

enum Change {
    New(FileSetDigest),
    Gone(FileSetDigest),
}

fn difference(store: &Store, connection: &Connection) -> Result<Vec<Change>, OpenError> {
    let mut statement = connection.prepare("SELECT digest FROM fileset")?;
    let mut known = statement.query_map([], |row| digest_at(row, 0))?.collect::<Result<BTreeSet<_>, _>>()?;
    let mut changes: Vec<_> =
        store.filesets()?.into_iter().filter(|digest| !known.remove(digest)).map(Change::New).collect();
    changes.extend(known.into_iter().map(Change::Gone));
    Ok(changes)
}

fn insert(store: &Store, connection: &Connection, digest: &FileSetDigest, record: &FileSet) -> Result<(), OpenError> {
    let (files, bytes) = match store.tree(&record.tree) {
        Ok(tree) => (tree.files().count(), tree.content_bytes()),
        Err(_) => (0, 0),
    };
    let package = record.package();
    let mut statement = connection.prepare_cached(
        "INSERT INTO fileset (digest, kind, name, version, architecture, time, tree, files, bytes, description, section, source)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?;
    let id = statement.insert(params![
        digest.as_bytes(),
        record.kind().as_str(),
        record.name.as_str(),
        record.version,
        record.architecture,
        number(record.time),
        record.tree.as_bytes(),
        number(files as u64),
        number(bytes),
        package.map_or("", |package| &package.description),
        package.map_or("", |package| &package.section),
        package.and_then(|package| package.source.as_deref()),
    ])?;
    let mut statement = connection
        .prepare_cached("INSERT INTO import (importer, path, name, version, imported) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for import in &record.imports {
        let imported = import.fileset.as_bytes();
        statement.execute(params![id, import.path.as_bytes(), import.name.as_str(), import.version, imported])?;
    }
    Ok(())
}

/// SQLite's integers are signed.
fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
