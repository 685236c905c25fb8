//! Python bytecode: a composer that needs a program of the image.
//!
//! The image's own interpreter compiles in a container of the image, without network. What it makes of a package is kept
//! as a FileSet under the key that [`python`] derives (interpreter, package, composer's version), so the second image with
//! the same package compiles nothing. A host that can't start containers gets an image without bytecode, and a note:
//! it is a cache of Python's, and changes how fast programs start but not what they do.

use std::collections::BTreeMap;
use std::path::Path;

use larder_debian::compose::ComposedEntry;
use larder_debian::compose::python::{self, Batch, Work};
use larder_debian::progress::Progress;
use larder_runtime::launch;
use larder_store::fileset::FilesMetadata;
use larder_store::refs::{RefEntry, RefKind};
use larder_store::tree::Attributes;
use larder_store::{Entry, FileSet, FileSetDigest, Import, Metadata, Name, TreeBuilder, TreePath};

use crate::catalog::StoreContents;
use crate::program::{self, Interim, Program};
use crate::{Error, Host, Result};

pub use larder_debian::compose::python::COMPOSER;

/// The name of every FileSet of bytecode; its version is the beginning of its key.
const BYTECODE: &str = "host.internal/bytecode";
/// What was compiled, for one image.
#[derive(Debug, Default)]
pub(crate) struct Bytecode {
    /// Where it goes.
    pub(crate) files: Vec<ComposedEntry>,
    /// The FileSets that hold it.
    pub(crate) imports: Vec<Import>,
    /// Whether some of it could not be compiled here; another time, or another host, may do better.
    pub(crate) lacking: bool,
}

/// Compiles what isn't kept yet, and places all of it. `image` is what the container is made from.
///
/// # Errors
/// An interpreter that fails, or a store that can't be written.
pub(crate) fn compose(host: &Host, image: &Interim<'_>, progress: &dyn Progress) -> Result<Bytecode> {
    let mut bytecode = Bytecode::default();
    for work in python::work(image.plan) {
        let missing: Vec<&Batch> = {
            let mut missing = Vec::new();
            for batch in &work.batches {
                if kept(host, batch)?.is_none() {
                    missing.push(batch);
                }
            }
            missing
        };
        if !missing.is_empty() && !compile(host, image, &work, &missing, progress)? {
            return Ok(Bytecode { lacking: true, ..Bytecode::default() });
        }
        for batch in &work.batches {
            let Some(digest) = kept(host, batch)? else {
                bytecode.lacking = true;
                continue;
            };
            let record = host.store.fileset(&digest)?;
            let tree = host.store.tree(&record.tree)?;
            let files = tree.entries().iter().filter(|entry| entry.entry != Entry::Directory);
            let results: BTreeMap<_, _> = files.map(|entry| (entry.path.clone(), entry.entry.clone())).collect();
            bytecode.files.extend(python::place(image.plan, &work, batch, &results));
            let path = TreePath::new(format!("bytecode/{}", batch.key)).map_err(|source| Error::ViewPath { source })?;
            bytecode.imports.push(Import { path, name: record.name, version: record.version, fileset: digest });
        }
    }
    bytecode.files.sort_by(|a, b| a.path.cmp(&b.path));
    bytecode.files.dedup_by(|a, b| a.path == b.path && a.entry == Entry::Directory);
    bytecode.imports.sort();
    bytecode.imports.dedup();
    Ok(bytecode)
}

fn reference(batch: &Batch) -> String {
    format!("bytecode/{}", batch.key)
}

fn kept(host: &Host, batch: &Batch) -> Result<Option<FileSetDigest>> {
    let found = host.store.refs().get(RefKind::Conversion, &reference(batch))?;
    Ok(found.map(|found| found.current_entry().fileset).filter(|digest| host.store.has_fileset(digest)))
}

/// Compiles some batches in one container, and keeps the results. `false` where no container can be started here.
fn compile(host: &Host, image: &Interim<'_>, work: &Work, batches: &[&Batch], progress: &dyn Progress) -> Result<bool> {
    let able = launch::probe();
    if !able.namespaces {
        let why = able.obstacle.unwrap_or_default();
        progress.note(&format!("no Python bytecode: containers can't be started here ({why})"));
        return Ok(false);
    }
    let task = progress.start(&format!("compile the Python files of {} packages", batches.len()), None);
    let result = compile_in_container(host, image, work, batches, progress);
    progress.finish(task);
    result.map(|()| true)
}

fn compile_in_container(
    host: &Host,
    image: &Interim<'_>,
    work: &Work,
    batches: &[&Batch],
    progress: &dyn Progress,
) -> Result<()> {
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let program = Program {
        what: "Python bytecode",
        arguments: work.arguments(jobs),
        environment: Work::environment().iter().map(|(name, value)| format!("{name}={value}")).collect(),
        input: Work::input(batches, "", program::OUTPUT),
    };
    program::run(
        host,
        image,
        &program,
        |_| Ok(()),
        |output| batches.iter().try_for_each(|batch| keep(host, work, batch, output)),
        progress,
    )
}

/// Checks what the container left of one batch, and keeps it as a FileSet.
fn keep(host: &Host, work: &Work, batch: &Batch, output: &Path) -> Result<()> {
    let ingest = host.store.begin()?;
    let contents = StoreContents { store: &host.store, ingest: &ingest };
    let results = python::collect(work, batch, output, &contents)?;
    let mut tree = TreeBuilder::new();
    for (path, entry) in results {
        tree.insert(path, entry, Attributes::default())?;
    }
    let version = batch.key.get(..32).unwrap_or(&batch.key).to_owned();
    let record = FileSet {
        name: Name::parse(BYTECODE)?,
        version: version.clone(),
        architecture: "all".to_owned(),
        time: batch.time,
        tree: ingest.write_tree(&tree.finish()?)?,
        imports: Vec::new(),
        metadata: Metadata::Files(FilesMetadata::default()),
    };
    let fileset = ingest.write_fileset(&record)?;
    let _lease = ingest.commit_leased()?;
    let entry = RefEntry { version, fileset, at: host.now, action: "compile".to_owned() };
    Ok(host.store.refs().set(RefKind::Conversion, &reference(batch), entry)?)
}
