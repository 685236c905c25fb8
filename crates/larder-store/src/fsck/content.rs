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
        // A buffer a thread, or nearly: to clear one for each file takes longer than to hash most of them.
        let checked = found.into_par_iter().zip(sizes).map_init(Vec::new, |buffer, (found, size)| {
            let digest = ObjectDigest::from_bytes(found.digest);
            let wanted = expected.get(&digest).map_or(&[][..], Vec::as_slice);
            let length = size.as_ref().map_or(0, |(_, length)| *length);
            let problem = match looked_at(&digest, size, wanted) {
                Looked::Whole if options.deep => read_object(&digest, &found.path, buffer),
                Looked::Whole => None,
                Looked::Problem(kind) => Some(kind),
            };
            if options.deep {
                let done = done.fetch_add(length, Ordering::Relaxed) + length;
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

/// What can be said of an object that wasn't read.
enum Looked {
    Whole,
    Problem(ProblemKind),
}

fn looked_at(digest: &ObjectDigest, size: io::Result<(bool, u64)>, wanted: &[u64]) -> Looked {
    match size {
        Err(source) => Looked::Problem(ProblemKind::Unreadable { source }),
        Ok((false, _)) => Looked::Problem(ProblemKind::Stray),
        // Of two Trees that give one object different sizes, one was never written by this code; the object is then called
        // bad as well, and reading it again settles which.
        Ok((true, size)) if wanted.iter().any(|wanted| *wanted != size) => {
            Looked::Problem(ProblemKind::Damaged(Content::Object(*digest)))
        }
        Ok(_) => Looked::Whole,
    }
}

fn read_object(digest: &ObjectDigest, path: &Path, buffer: &mut Vec<u8>) -> Option<ProblemKind> {
    match hash_with(path, buffer) {
        Ok(found) if found == *digest => None,
        Ok(_) => Some(ProblemKind::Damaged(Content::Object(*digest))),
        Err(source) => Some(ProblemKind::Unreadable { source }),
    }
}

/// Hashes a file as a stream.
pub(crate) fn hash_file(path: &Path) -> io::Result<ObjectDigest> {
    hash_with(path, &mut Vec::new())
}

/// The same with a buffer of the caller's, which is made as large as it must be.
fn hash_with(path: &Path, buffer: &mut Vec<u8>) -> io::Result<ObjectDigest> {
    buffer.resize(BUFFER, 0);
    let mut file = File::open(path)?;
    let mut hasher = blake3::Hasher::new();
    loop {
        match file.read(buffer) {
            Ok(0) => return Ok(ObjectDigest::from_bytes(*hasher.finalize().as_bytes())),
            Ok(count) => _ = hasher.update(&buffer[..count]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}
