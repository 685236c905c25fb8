//! The compiled files that some libraries read: composers that need a program of the image.
//!
//! The library's own program makes each in a container of the image, without network, and the result is kept as a FileSet under the key that
//! [`caches`] derives, so that another image of the same packages runs nothing. A host that can't start containers gets an image
//! without them, and a note.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use larder_debian::compose::caches::{self, Work};
use larder_debian::compose::{ComposedEntry, Contents};
use larder_debian::progress::Progress;
use larder_runtime::launch;
use larder_store::fileset::FilesMetadata;
use larder_store::refs::{RefEntry, RefKind};
use larder_store::tree::Attributes;
use larder_store::{Entry, FileSet, FileSetDigest, Import, Metadata, Name, TreeBuilder, TreePath};

use crate::catalog::StoreContents;
use crate::program::{self, Interim, Program};
use crate::{Error, Host, Result};

/// The name of every FileSet of compiled files; its version is the beginning of its key.
const CACHES: &str = "host.internal/caches";
/// A file that must lie in the output folder is at most this large.
const MAX_NEEDED: u64 = 64 << 20;

/// What was made, for one image.
#[derive(Debug, Default)]
pub(crate) struct Caches {
    /// Where it goes.
    pub(crate) files: Vec<ComposedEntry>,
    /// The FileSets that hold it.
    pub(crate) imports: Vec<Import>,
    /// Whether there was something to make.
    pub(crate) wanted: bool,
    /// Whether some of it could not be made here; another time, or another host, may do better.
    pub(crate) lacking: bool,
}

/// Makes what isn't kept yet, and places all of it. `image` is what the containers are made from, `versions` are the pinned composers.
///
/// # Errors
/// A program that fails, or a store that can't be written.
pub(crate) fn compose(
    host: &Host,
    image: &Interim<'_>,
    versions: &BTreeMap<String, u64>,
    progress: &dyn Progress,
) -> Result<Caches> {
    let mut made = Caches::default();
    for work in caches::work(image.plan, versions, program::OUTPUT) {
        made.wanted = true;
        let digest = match kept(host, &work)? {
            Some(digest) => digest,
            None => match make(host, image, &work, progress)? {
                Some(digest) => digest,
                None => {
                    made.lacking = true;
                    continue;
                }
            },
        };
        let record = host.store.fileset(&digest)?;
        let tree = host.store.tree(&record.tree)?;
        let files = tree.entries().iter().filter(|entry| entry.entry != Entry::Directory);
        let results: BTreeMap<_, _> = files.map(|entry| (entry.path.clone(), entry.entry.clone())).collect();
        made.files.extend(caches::place(image.plan, &work, &results));
        let path = TreePath::new(format!("caches/{}", work.key)).map_err(|source| Error::ViewPath { source })?;
        made.imports.push(Import { path, name: record.name, version: record.version, fileset: digest });
    }
    made.files.sort_by(|a, b| a.path.cmp(&b.path));
    made.files.dedup_by(|a, b| a.path == b.path && a.entry == Entry::Directory);
    Ok(made)
}

fn reference(work: &Work) -> String {
    format!("caches/{}", work.key)
}

fn kept(host: &Host, work: &Work) -> Result<Option<FileSetDigest>> {
    let found = host.store.refs().get(RefKind::Conversion, &reference(work))?;
    Ok(found.map(|found| found.current_entry().fileset).filter(|digest| host.store.has_fileset(digest)))
}

/// Makes one, and keeps it. `None` where no container can be started here.
fn make(host: &Host, image: &Interim<'_>, work: &Work, progress: &dyn Progress) -> Result<Option<FileSetDigest>> {
    let able = launch::probe();
    if !able.namespaces {
        let why = able.obstacle.unwrap_or_default();
        progress.note(&format!("no {}: containers can't be started here ({why})", work.what));
        return Ok(None);
    }
    let task = progress.start(&format!("make the {}", work.what), None);
    let program = Program {
        what: work.what,
        arguments: work.arguments.clone(),
        environment: work.environment.clone(),
        input: Vec::new(),
    };
    let lay_out = |output: &Path| lay_out(host, work, output);
    let result = program::run(host, image, &program, lay_out, |output| keep(host, work, output), progress);
    progress.finish(task);
    result.map(Some)
}

/// Puts what the program needs into its output folder.
fn lay_out(host: &Host, work: &Work, output: &Path) -> Result<()> {
    let ingest = host.store.begin()?;
    let contents = StoreContents { store: &host.store, ingest: &ingest };
    for (name, digest) in &work.needs {
        let path = output.join(name);
        let content = contents.read(digest, MAX_NEEDED).map_err(|source| Error::Io {
            action: "read what belongs at",
            path: path.clone(),
            source: std::io::Error::other(source),
        })?;
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
        }
        fs::write(&path, content).map_err(Error::io("write", &path))?;
    }
    Ok(())
}

/// Checks what the container left, and keeps it as a FileSet.
fn keep(host: &Host, work: &Work, output: &Path) -> Result<FileSetDigest> {
    let ingest = host.store.begin()?;
    let results = work.collect(output, &StoreContents { store: &host.store, ingest: &ingest })?;
    let mut tree = TreeBuilder::new();
    for (path, entry) in results {
        tree.insert(path, entry, Attributes::default())?;
    }
    let version = work.key.get(..32).unwrap_or(&work.key).to_owned();
    let record = FileSet {
        name: Name::parse(CACHES)?,
        version: version.clone(),
        architecture: "all".to_owned(),
        time: 0,
        tree: ingest.write_tree(&tree.finish()?)?,
        imports: Vec::new(),
        metadata: Metadata::Files(FilesMetadata::default()),
    };
    let fileset = ingest.write_fileset(&record)?;
    let _lease = ingest.commit_leased()?;
    let entry = RefEntry { version, fileset, at: host.now, action: "compile".to_owned() };
    host.store.refs().set(RefKind::Conversion, &reference(work), entry)?;
    Ok(fileset)
}
