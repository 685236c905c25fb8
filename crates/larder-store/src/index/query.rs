//! Questions to the index.

use rusqlite::{Row, params};

use super::{Index, digest_at, kind_at, name_at, path_at, tree_at};
use crate::fileset::Kind;
use crate::{FileSetDigest, Name, StoreError, TreeDigest, TreePath};

/// A FileSet as the index knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Indexed {
    /// Its digest.
    pub digest: FileSetDigest,
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: Name,
    /// Its version.
    pub version: String,
    /// Its architecture.
    pub architecture: String,
    /// Its time, in seconds since 1970.
    pub time: u64,
    /// Its own Tree.
    pub tree: TreeDigest,
    /// The number of regular files in its own Tree.
    pub files: u64,
    /// The sum of their sizes, in bytes.
    pub bytes: u64,
    /// A package's synopsis; empty for others.
    pub description: String,
    /// A package's section; empty for others.
    pub section: String,
    /// A package's source package and its version.
    pub source: Option<String>,
}

/// An import as the index knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexedImport {
    /// Who imports.
    pub importer: Indexed,
    /// Where.
    pub path: TreePath,
    /// The imported FileSet's name.
    pub name: Name,
    /// The imported FileSet's version.
    pub version: String,
    /// The imported FileSet.
    pub fileset: FileSetDigest,
}

/// Which FileSets are wanted: those that fit all that is given.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter<'f> {
    /// Of this kind.
    pub kind: Option<Kind>,
    /// With this name.
    pub name: Option<&'f Name>,
    /// With this version.
    pub version: Option<&'f str>,
}

const COLUMNS: &str = "f.digest, f.kind, f.name, f.version, f.architecture, f.time, f.tree, f.files, f.bytes, f.description, \
                       f.section, f.source";

impl Index {
    /// The FileSets that fit, by name, version and digest. Versions are in the order of their bytes.
    ///
    /// # Errors
    /// [`StoreError::Index`].
    pub fn filesets(&self, filter: Filter<'_>) -> Result<Vec<Indexed>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM fileset f
             WHERE (?1 IS NULL OR f.kind = ?1) AND (?2 IS NULL OR f.name = ?2) AND (?3 IS NULL OR f.version = ?3)
             ORDER BY f.name, f.version, f.digest"
        );
        let values = params![filter.kind.map(Kind::as_str), filter.name.map(Name::as_str), filter.version];
        self.all(&sql, values, indexed)
    }

    /// One FileSet.
    ///
    /// # Errors
    /// [`StoreError::Index`].
    pub fn fileset(&self, digest: &FileSetDigest) -> Result<Option<Indexed>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM fileset f WHERE f.digest = ?1");
        Ok(self.all(&sql, [digest.as_bytes()], indexed)?.pop())
    }

    /// The imports of FileSets with this name, whatever their version: who imports `debian.org/openssl`? By the importer's
    /// name and version.
    ///
    /// # Errors
    /// [`StoreError::Index`].
    pub fn imports_of_name(&self, name: &Name) -> Result<Vec<IndexedImport>, StoreError> {
        self.imports("i.name = ?1", [name.as_str()])
    }

    /// The imports of this FileSet. By the importer's name and version.
    ///
    /// # Errors
    /// [`StoreError::Index`].
    pub fn imports_of(&self, digest: &FileSetDigest) -> Result<Vec<IndexedImport>, StoreError> {
        self.imports("i.imported = ?1", [digest.as_bytes()])
    }

    fn imports(&self, condition: &str, values: impl rusqlite::Params) -> Result<Vec<IndexedImport>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS}, i.path, i.name, i.version, i.imported
             FROM import i JOIN fileset f ON f.id = i.importer
             WHERE {condition} ORDER BY f.name, f.version, f.digest, i.path"
        );
        self.all(&sql, values, |row| {
            Ok(IndexedImport {
                importer: indexed(row)?,
                path: path_at(row, 12)?,
                name: name_at(row, 13)?,
                version: row.get(14)?,
                fileset: digest_at(row, 15)?,
            })
        })
    }

    /// The FileSets of a kind that need a FileSet with this name, directly or through what they import, by name and
    /// version.
    ///
    /// # Errors
    /// [`StoreError::Index`].
    pub fn needing(&self, name: &Name, kind: Kind) -> Result<Vec<Indexed>, StoreError> {
        let sql = format!(
            "WITH RECURSIVE needing (id, digest) AS (
                SELECT f.id, f.digest FROM import i JOIN fileset f ON f.id = i.importer WHERE i.name = ?1
                UNION
                SELECT f.id, f.digest FROM needing n JOIN import i ON i.imported = n.digest JOIN fileset f ON f.id = i.importer
             )
             SELECT {COLUMNS} FROM needing n JOIN fileset f ON f.id = n.id WHERE f.kind = ?2
             ORDER BY f.name, f.version, f.digest"
        );
        self.all(&sql, [name.as_str(), kind.as_str()], indexed)
    }

    fn all<T>(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let found: rusqlite::Result<Vec<T>> = (|| {
            let mut statement = self.connection.prepare_cached(sql)?;
            statement.query_map(values, read)?.collect()
        })();
        found.map_err(self.failed())
    }
}

/// Reads the columns of [`COLUMNS`].
fn indexed(row: &Row<'_>) -> rusqlite::Result<Indexed> {
    let number = |at: usize| row.get::<_, i64>(at).map(i64::unsigned_abs);
    Ok(Indexed {
        digest: digest_at(row, 0)?,
        kind: kind_at(row, 1)?,
        name: name_at(row, 2)?,
        version: row.get(3)?,
        architecture: row.get(4)?,
        time: number(5)?,
        tree: tree_at(row, 6)?,
        files: number(7)?,
        bytes: number(8)?,
        description: row.get(9)?,
        section: row.get(10)?,
        source: row.get(11)?,
    })
}
