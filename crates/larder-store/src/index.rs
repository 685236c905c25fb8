//! The index: what FileSets there are, by name and by what imports them. A cache over the records, in SQLite.
//!
//! `index.sqlite` can be deleted at any time. Opening the index compares its digests with those in `filesets/`, reads the
//! records that are new and forgets those that are gone, in one transaction; so what it answers is true of the moment at
//! which it was opened. A file of another version, or one that SQLite finds damaged, is thrown away. Where the store can't
//! be written, the index is built in memory.
//!
//! A record that can't be read isn't in the index; `fsck` tells.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, Row};

use crate::fileset::Kind;
use crate::name::Name;
use crate::store::{Hold, INDEX_LOCK, Lock, Store, remove_file, step};
use crate::{FileSetDigest, StoreError, TreeDigest, TreePath};

mod fill;
mod query;

pub use query::{Filter, Indexed, IndexedImport};

/// Changes with every change of the tables.
const SCHEMA_VERSION: i64 = 1;
const FILE: &str = "index.sqlite";
/// How long to wait for another process that is filling the index.
const PATIENCE: Duration = Duration::from_secs(30);

const SCHEMA: &str = "
    CREATE TABLE fileset (
        id INTEGER PRIMARY KEY,
        digest BLOB NOT NULL UNIQUE,
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        version TEXT NOT NULL,
        architecture TEXT NOT NULL,
        time INTEGER NOT NULL,
        tree BLOB NOT NULL,
        files INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        description TEXT NOT NULL,
        section TEXT NOT NULL,
        source TEXT
    );
    CREATE INDEX fileset_name ON fileset (name, version);
    CREATE TABLE import (
        importer INTEGER NOT NULL REFERENCES fileset ON DELETE CASCADE,
        path BLOB NOT NULL,
        name TEXT NOT NULL,
        version TEXT NOT NULL,
        imported BLOB NOT NULL
    );
    CREATE INDEX import_importer ON import (importer);
    CREATE INDEX import_imported ON import (imported);
    CREATE INDEX import_name ON import (name);
";

/// The index of a store, as of the moment at which it was opened.
#[derive(Debug)]
pub struct Index {
    connection: Connection,
    /// Keeps others from throwing the file away.
    _lock: Option<Lock>,
    /// For messages.
    file: std::path::PathBuf,
}

/// What can go wrong while opening: some of it is mended by starting again.
enum OpenError {
    Sqlite(rusqlite::Error),
    Store(StoreError),
}

impl From<rusqlite::Error> for OpenError {
    fn from(e: rusqlite::Error) -> Self {
        Self::Sqlite(e)
    }
}

impl From<StoreError> for OpenError {
    fn from(e: StoreError) -> Self {
        Self::Store(e)
    }
}

impl Index {
    pub(crate) fn open(store: &Store) -> Result<Self, StoreError> {
        let file = store.path(FILE);
        let lock_path = store.path(INDEX_LOCK);
        let failed = |source| StoreError::Index { path: file.clone(), source };
        let finish = |opened: Result<Connection, OpenError>, lock| match opened {
            Ok(connection) => Ok(Self { connection, _lock: lock, file: file.clone() }),
            Err(OpenError::Sqlite(e)) => Err(failed(e)),
            Err(OpenError::Store(e)) => Err(e),
        };
        if store.is_read_only() {
            return finish(in_memory(store), None);
        }
        let lock = Lock::wait(&lock_path, Hold::Shared)?;
        match on_disk(store, &file) {
            Err(OpenError::Sqlite(e)) if is_useless(&e) => {}
            opened => return finish(opened, Some(lock)),
        }
        drop(lock);
        // Nobody may have the old file open while it is thrown away: SQLite's side files belong to a name, not to a file.
        match Lock::within(&lock_path, Hold::Exclusive, Duration::from_secs(1))? {
            None => finish(in_memory(store), None),
            Some(alone) => {
                let opened = match on_disk(store, &file) {
                    Err(OpenError::Sqlite(e)) if is_useless(&e) => {
                        for ending in ["", "-wal", "-shm"] {
                            remove_file(Path::new(&format!("{}{ending}", file.display())))?;
                        }
                        on_disk(store, &file)
                    }
                    // Somebody else has made it anew since, and may have it open.
                    opened => opened,
                };
                drop(alone);
                // Between the two locks nobody throws away a good one.
                finish(opened, Lock::within(&lock_path, Hold::Shared, Duration::ZERO)?)
            }
        }
    }

    fn failed(&self) -> impl Fn(rusqlite::Error) -> StoreError + use<> {
        let path = self.file.clone();
        move |source| StoreError::Index { path: path.clone(), source }
    }
}

/// Whether an error says that the file can only be thrown away.
fn is_useless(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase, SchemaChanged};
    match error {
        rusqlite::Error::SqliteFailure(e, _) => matches!(e.code, DatabaseCorrupt | NotADatabase | SchemaChanged),
        // What the tables hold isn't what was written there.
        rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..) => true,
        rusqlite::Error::InvalidQuery => true,
        _ => false,
    }
}

fn in_memory(store: &Store) -> Result<Connection, OpenError> {
    let mut connection = Connection::open_in_memory()?;
    connection.execute_batch(SCHEMA)?;
    fill::update(store, &mut connection)?;
    Ok(connection)
}

fn on_disk(store: &Store, file: &Path) -> Result<Connection, OpenError> {
    step("open", file);
    let mut connection = Connection::open(file)?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    let create = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let version: i64 = create.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: i64 = create.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
    match (version, tables) {
        (SCHEMA_VERSION, _) => {}
        (0, 0) => {
            create.execute_batch(SCHEMA)?;
            create.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        }
        // Another version made it: as useless as a damaged one.
        _ => return Err(rusqlite::Error::InvalidQuery.into()),
    }
    create.commit()?;
    fill::update(store, &mut connection)?;
    Ok(connection)
}

fn digest_at(row: &Row<'_>, at: usize) -> rusqlite::Result<FileSetDigest> {
    row.get(at).map(FileSetDigest::from_bytes)
}

fn tree_at(row: &Row<'_>, at: usize) -> rusqlite::Result<TreeDigest> {
    row.get(at).map(TreeDigest::from_bytes)
}

fn wrong_text(at: usize, e: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(at, rusqlite::types::Type::Text, Box::new(e))
}

fn name_at(row: &Row<'_>, at: usize) -> rusqlite::Result<Name> {
    Name::parse(&row.get::<_, String>(at)?).map_err(|e| wrong_text(at, e))
}

fn path_at(row: &Row<'_>, at: usize) -> rusqlite::Result<TreePath> {
    TreePath::new(row.get::<_, Vec<u8>>(at)?).map_err(|e| wrong_text(at, e))
}

fn kind_at(row: &Row<'_>, at: usize) -> rusqlite::Result<Kind> {
    Kind::parse(&row.get::<_, String>(at)?).ok_or(rusqlite::Error::InvalidQuery)
}
