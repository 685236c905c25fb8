//! Python bytecode: the composer that needs a program of the image.
//!
//! The image's own interpreter compiles in a container of the image, without network. What it makes of a package is kept
//! as a FileSet under the key that [`python`] derives (interpreter, package, composer's version), so the second image with
//! the same package compiles nothing. A host that can't start containers gets an image without bytecode, and a note:
//! it is a cache of Python's, and changes how fast programs start but not what they do.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use larder_debian::compose::ComposedEntry;
use larder_debian::compose::python::{self, Batch, Work};
use larder_debian::progress::Progress;
use larder_runtime::launch::{self, BindMount, Exit, SpecOptions};
use larder_runtime::view::ViewTree;
use larder_store::fileset::FilesMetadata;
use larder_store::plan::InstallPlan;
use larder_store::refs::{RefEntry, RefKind};
use larder_store::tree::Attributes;
use larder_store::{Entry, FileSet, FileSetDigest, Import, Metadata, Name, TreeBuilder, TreePath};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::stdio;

use crate::catalog::StoreContents;
use crate::container::{self, PackagePaths, Place, Process};
use crate::{Error, Host, Result, view};

pub use larder_debian::compose::python::COMPOSER;

/// The name of every FileSet of bytecode; its version is the beginning of its key.
const BYTECODE: &str = "host.internal/bytecode";
/// Where the container finds the folder for its output.
const OUTPUT: &str = "/run/larder-bytecode";

/// An image with everything but bytecode.
pub(crate) struct Interim<'a> {
    /// What stands where.
    pub(crate) plan: &'a InstallPlan,
    /// What the other composers made: the key of its view.
    pub(crate) key: FileSetDigest,
    /// Makes the listing of its view.
    pub(crate) listing: &'a dyn Fn() -> Result<ViewTree>,
}

/// What was compiled, for one image.
#[derive(Debug, Default)]
pub(crate) struct Bytecode {
    /// Where it goes.
    pub(crate) files: Vec<ComposedEntry>,
    /// The FileSets that hold it.
    pub(crate) imports: Vec<Import>,
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
            return Ok(Bytecode::default());
        }
        for batch in &work.batches {
            let Some(digest) = kept(host, batch)? else { continue };
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
    let folder = Folder::new(host.store.root().join("tmp"))?;
    let output = folder.0.join("output");
    fs::create_dir(&output).map_err(Error::io("create", &output))?;
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let spec = launch::specification(SpecOptions {
        args: work.arguments(jobs),
        env: Work::environment().iter().map(|(name, value)| format!("{name}={value}")).collect(),
        mounts: vec![BindMount { source: output.clone(), target: OUTPUT.into(), read_only: false }],
        ..SpecOptions::default()
    })?;
    let read_only = view::read_only_paths(image.plan);
    let digest = image.plan.sources[image.plan.image].digest;
    let place = Place { key: image.key, image: digest, read_only: &read_only, listing: image.listing };
    let streams = Streams::new(&folder.0, &Work::input(batches, "", OUTPUT))?;
    let process = Process {
        spec,
        user: Some("0:0".to_owned()),
        stop_signal: None,
        packages: PackagePaths::ReadOnly,
        runtime: None,
        view: host.view,
    };
    let ended = container::launch(host, &place, process, host.store.lease()?, progress);
    let said = streams.restore();
    match ended?.exit {
        Exit::Code(0) => {}
        exit => {
            return Err(Error::ComposerProgram {
                program: format!("/{}", work.interpreter),
                what: "Python bytecode",
                source: io::Error::other(format!("{}: {}", how(exit), said.trim())),
            });
        }
    }
    for batch in batches {
        keep(host, work, batch, &output)?;
    }
    Ok(())
}

fn how(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => format!("it ended with code {code}"),
        Exit::Signal(signal) => format!("signal {signal} killed it"),
    }
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

/// A folder that goes with its owner. Nobody else may enter it: without a user namespace the container's root is the
/// host's, and what it leaves here may be set-id.
struct Folder(PathBuf);

impl Folder {
    fn new(parent: PathBuf) -> Result<Self> {
        let path = parent.join(format!("bytecode-{}", container::new_id()?));
        fs::create_dir_all(&parent).map_err(Error::io("create", &parent))?;
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(Error::io("create", &path))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What can't be removed now goes with the next cleaning of `tmp`.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// This process's standard streams, put aside while a container that inherits them has others: its input from a file, its
/// output to another.
struct Streams {
    input: OwnedFd,
    output: OwnedFd,
    error: OwnedFd,
    said: File,
}

impl Streams {
    fn new(folder: &Path, text: &[u8]) -> Result<Self> {
        let path = folder.join("streams");
        let failed = || Error::io("redirect to", &path);
        let file = |name: &str| {
            File::options().read(true).write(true).create_new(true).open(folder.join(name)).map_err(failed())
        };
        let mut feed = file("input")?;
        feed.write_all(text).and_then(|()| feed.seek(SeekFrom::Start(0))).map_err(failed())?;
        let said = file("said")?;
        let aside = |fd| fcntl_dupfd_cloexec(fd, 3).map_err(io::Error::from);
        let streams = (|| {
            let (input, output, error) = (aside(stdio::stdin())?, aside(stdio::stdout())?, aside(stdio::stderr())?);
            stdio::dup2_stdin(&feed)?;
            stdio::dup2_stdout(&said)?;
            stdio::dup2_stderr(&said)?;
            io::Result::Ok((input, output, error))
        })();
        let (input, output, error) = streams.map_err(failed())?;
        Ok(Self { input, output, error, said })
    }

    /// Puts the streams back, and gives the end of what the container said.
    fn restore(mut self) -> String {
        let _ = stdio::dup2_stdin(&self.input);
        let _ = stdio::dup2_stdout(&self.output);
        let _ = stdio::dup2_stderr(&self.error);
        let mut text = Vec::new();
        let length = self.said.metadata().map_or(0, |metadata| metadata.len());
        let read = self
            .said
            .seek(SeekFrom::Start(length.saturating_sub(2000)))
            .and_then(|_| self.said.take(2000).read_to_end(&mut text));
        read.map_or_else(|_| String::new(), |_| String::from_utf8_lossy(&text).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Found by an attack: a local user could start a set-user-id program that the container had written here.
    #[test]
    fn nobody_else_enters_the_folder() {
        let parent = tempfile::tempdir().expect("folder");
        let folder = Folder::new(parent.path().join("tmp")).expect("folder");
        assert_eq!(fs::metadata(&folder.0).expect("metadata").permissions().mode() & 0o777, 0o700);
    }
}
