//! Records, Trees and objects.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::{Check, FsckOptions, ProblemKind, kind_of};
use crate::error::{Content, StoreError};
use crate::store::{Found, walk};
use crate::{FileSetDigest, ObjectDigest, TreeDigest};

/// Large enough for BLAKE3's widest instructions and for few system calls.
const BUFFER: usize = 256 * 1024;

impl Check<'_> {
    /// Reads every record, and looks for its Tree and imports.
    pub(super) fn filesets(&mut self) -> Result<(), StoreError> {
        let (found, strays) = walk(&self.store.path("filesets"))?;
        self.strays(strays);
        self.report.checked.filesets = found.len() as u64;
        for Found { digest, path } in found {
            let digest = FileSetDigest::from_bytes(digest);
            match self.store.fileset(&digest) {
                Ok(record) => _ = self.records.insert(digest, record),
                Err(e) => {
                    self.bad_records.insert(digest);
                    self.problem(kind_of(e, Content::FileSet(digest)), path);
                }
            }
        }
        let imports = self.records.values().flat_map(|record| &record.imports).map(|import| import.fileset);
        let mut missing: Vec<_> =
            imports.filter(|digest| !self.records.contains_key(digest) && !self.bad_records.contains(digest)).collect();
        missing.sort_unstable();
        missing.dedup();
        for digest in missing {
            self.problem(ProblemKind::Missing(Content::FileSet(digest)), self.store.fileset_path(&digest));
        }
        Ok(())
    }

    /// Reads every Tree.
    pub(super) fn trees(&mut self) -> Result<(), StoreError> {
        let (found, strays) = walk(&self.store.path("trees"))?;
        self.strays(strays);
        self.report.checked.trees = found.len() as u64;
        let store = self.store;
        let read = found.into_par_iter().map(|Found { digest, path }| {
            let digest = TreeDigest::from_bytes(digest);
            let objects = store.tree(&digest).map(|tree| {
                let mut objects: Vec<_> = tree.files().collect();
                objects.sort_unstable();
                objects.dedup();
                objects
            });
            (digest, path, objects)
        });
        for (digest, path, objects) in read.collect::<Vec<_>>() {
            match objects {
                Ok(objects) => _ = self.trees.insert(digest, objects),
                Err(e) => {
                    self.bad_trees.insert(digest);
                    self.problem(kind_of(e, Content::Tree(digest)), path);
                }
            }
        }
        let mut missing: Vec<_> = self.records.values().map(|record| record.tree).collect();
        missing.retain(|digest| !self.trees.contains_key(digest) && !self.bad_trees.contains(digest));
        missing.sort_unstable();
        missing.dedup();
        for digest in missing {
            self.problem(ProblemKind::Missing(Content::Tree(digest)), self.store.tree_path(&digest));
        }
        Ok(())
    }

    /// Looks at every object: that those which Trees name are there with their sizes; when `deep`, that all have their
    /// digests.
    pub(super) fn objects(&mut self, options: FsckOptions<'_>) -> Result<(), StoreError> {
        let (found, strays) = walk(&self.store.objects_dir())?;
        self.strays(strays);
        self.report.checked.objects = found.len() as u64;
        let sizes = found.par_iter().map(|found| fs::symlink_metadata(&found.path).map(|m| (m.is_file(), m.len())));
        let sizes: Vec<io::Result<(bool, u64)>> = sizes.collect();
        let total = sizes.iter().flatten().map(|(_, size)| size).sum();

        let mut expected: HashMap<ObjectDigest, Vec<u64>> = HashMap::new();
        for (digest, size) in self.trees.values().flatten() {
            let sizes = expected.entry(*digest).or_default();
            if !sizes.contains(size) {
                sizes.push(*size);
            }
        }
        let done = AtomicU64::new(0);
        let checked = found.into_par_iter().zip(sizes).map(|(found, size)| {
            let digest = ObjectDigest::from_bytes(found.digest);
            let wanted = expected.get(&digest).map_or(&[][..], Vec::as_slice);
            let problem = check_object(&digest, &found.path, size, wanted, options.deep);
            if let (true, Ok(metadata)) = (options.deep, fs::symlink_metadata(&found.path)) {
                let done = done.fetch_add(metadata.len(), Ordering::Relaxed) + metadata.len();
                if let Some(progress) = options.progress {
                    progress(done, total);
                }
            }
            (digest, found.path, problem)
        });
        let checked: Vec<_> = checked.collect();
        self.report.checked.hashed_bytes = done.into_inner();
        let mut missing = expected;
        for (digest, path, problem) in checked {
            missing.remove(&digest);
            if let Some(kind) = problem {
                self.problem(kind, path);
            }
        }
        for digest in missing.into_keys() {
            self.problem(ProblemKind::Missing(Content::Object(digest)), self.store.object_path(&digest));
        }
        Ok(())
    }
}

fn check_object(
    digest: &ObjectDigest,
    path: &Path,
    size: io::Result<(bool, u64)>,
    wanted: &[u64],
    deep: bool,
) -> Option<ProblemKind> {
    let damaged = || Some(ProblemKind::Damaged(Content::Object(*digest)));
    match size {
        Err(source) => return Some(ProblemKind::Unreadable { source }),
        Ok((false, _)) => return Some(ProblemKind::Stray),
        // Of two Trees that give one object different sizes, one was never written by this code; the object is then called
        // bad as well, and reading it again settles which.
        Ok((true, size)) if wanted.iter().any(|wanted| *wanted != size) => return damaged(),
        Ok(_) => {}
    }
    if !deep {
        return None;
    }
    match hash_file(path) {
        Ok(found) if found == *digest => None,
        Ok(_) => damaged(),
        Err(source) => Some(ProblemKind::Unreadable { source }),
    }
}

/// Hashes a file as a stream.
pub(crate) fn hash_file(path: &Path) -> io::Result<ObjectDigest> {
    let mut file = File::open(path)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(ObjectDigest::from_bytes(*hasher.finalize().as_bytes())),
            Ok(count) => _ = hasher.update(&buffer[..count]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}
