//! Packages without a build: a folder, an OCI image or a `.deb`, taken in as it is.
//!
//! What is read becomes the Tree of one record. Times are dropped, owners are kept by name, and merged-/usr holds as it does for Debian's
//! packages. What would raise privileges is refused unless it is asked for; devices, fifos and sockets always are. Nobody vouches for what is
//! taken in, so it can't be named in the domain that the bridge to Debian serves.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use larder_debian::progress::Progress;
use larder_store::fileset::{GroupRule, ImageMetadata, InstallRules, PackageMetadata, UserRule};
use larder_store::json::Value;
use larder_store::name::{check_architecture, check_version};
use larder_store::refs::{RefEntry, RefKind};
use larder_store::{Entry, FileSet, FileSetDigest, Ingest, Kind, Metadata, Name, Tree, TreeDigest};

use crate::provenance::{self, BuildFacts, BuildKind, Dependency, Subject};
use crate::{Error, Host, Result, assemble, image};

mod deb;
mod dir;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod layers;
mod nodes;
mod oci;
mod owners;
mod requirement;

pub use error::ImportError;
pub use oci::Made;

/// Makes a package of a folder's files.
///
/// # Errors
/// A folder that can't be read, or holds what a package may not; an owner without a name; a name or version that isn't one.
pub fn from_dir(host: &Host, folder: &Path, options: &Options) -> Result<Imported> {
    dir::from_dir(host, folder, options).map_err(|error| error.about_import(folder))
}

/// Makes a package or an image of an OCI image: an image layout in a tar archive, or what `docker save` writes.
///
/// # Errors
/// What isn't such an archive, a digest that differs, layers that hold what they may not; for an image, what a build checks too.
pub fn from_oci(host: &Host, file: &Path, made: Made, options: &Options, progress: &dyn Progress) -> Result<Imported> {
    oci::from_oci(host, file, made, options, progress).map_err(|error| error.about_import(file))
}

/// Makes a package of a `.deb`.
///
/// # Errors
/// What isn't one, or holds what a package may not; a name in Debian's domain.
pub fn from_deb(host: &Host, file: &Path, options: &Options) -> Result<Imported> {
    deb::from_deb(host, file, options).map_err(|error| error.about_import(file))
}

/// How a package is taken in.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its name.
    pub name: Name,
    /// Its version; a `.deb` has one of its own.
    pub version: Option<String>,
    /// Its architecture; this host's, the image's or the `.deb`'s when absent.
    pub architecture: Option<String>,
    /// One line about it.
    pub summary: Option<String>,
    /// Its licence, as an SPDX expression.
    pub licence: Option<String>,
    /// What must be there with it: `debian.org/libc6 >=2.36`.
    pub requires: Vec<String>,
    /// Whether set-id files and file capabilities are taken in.
    pub privileges: Privileges,
    /// Whose the files become.
    pub owners: Owners,
}

/// What becomes of set-id files and file capabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privileges {
    /// They are refused.
    Refused,
    /// They are kept.
    Kept,
}

/// Whose files become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owners {
    /// Those of the names that the source's own `/etc/passwd` and `/etc/group` give to its numbers.
    ByName,
    /// All are root's.
    Root,
}

/// What was taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Its name.
    pub name: Name,
    /// Its version.
    pub version: String,
    /// Its architecture.
    pub architecture: String,
    /// Its identity.
    pub digest: FileSetDigest,
    /// A package or an image.
    pub kind: Kind,
    /// How many files it has.
    pub files: usize,
    /// Their contents, in bytes.
    pub bytes: u64,
    /// Whether the name stood for something else, or nothing, before.
    pub changed: bool,
    /// What of the source isn't in it, in words.
    pub left_out: Vec<String>,
}

impl Options {
    /// Whether the name may be given.
    fn check(&self) -> Result<(), ImportError> {
        match self.name.domain() {
            larder_debian::convert::DOMAIN => Err(ImportError::ServedDomain { name: self.name.clone() }),
            _ => Ok(()),
        }
    }

    fn version(&self) -> Result<&str> {
        let version = self.version.as_deref().ok_or(ImportError::NoVersion)?;
        check_version(version)?;
        Ok(version)
    }

    /// What the options say of a package.
    fn metadata(&self, install: InstallRules) -> Result<PackageMetadata, ImportError> {
        Ok(PackageMetadata {
            requires: requirement::clauses(&self.requires)?,
            description: self.summary.clone().unwrap_or_default(),
            licence: self.licence.clone(),
            install,
            ..PackageMetadata::default()
        })
    }
}

/// A Tree that is written, and what goes with it.
struct Taken {
    tree: Tree,
    users: Vec<UserRule>,
    groups: Vec<GroupRule>,
    left_out: Vec<String>,
}

/// What was read, for provenance.
struct Source {
    /// `file:` and its name, without the folder that it was in.
    uri: String,
    digests: BTreeMap<String, String>,
}

impl Source {
    fn file(path: &Path, sha256: String) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Self { uri: format!("file:{name}"), digests: BTreeMap::from([("sha256".to_owned(), sha256)]) }
    }

    /// A folder is what was read of it.
    fn folder(path: &Path, tree: &TreeDigest) -> Self {
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Self { uri: format!("file:{name}/"), digests: BTreeMap::from([("blake3".to_owned(), tree.hex())]) }
    }
}

/// The record of a package, before it is written.
struct Draft<'a> {
    name: &'a Name,
    version: &'a str,
    architecture: &'a str,
    time: u64,
    metadata: PackageMetadata,
}

/// Writes a package's Tree and record, gives it its name and says how it came to be.
fn package(host: &Host, ingest: Ingest<'_>, draft: Draft<'_>, taken: Taken, source: Source) -> Result<Imported> {
    check_version(draft.version)?;
    check_architecture(draft.architecture)?;
    let tree = ingest.write_tree(&taken.tree)?;
    let record = FileSet {
        name: draft.name.clone(),
        version: draft.version.to_owned(),
        architecture: draft.architecture.to_owned(),
        time: draft.time,
        tree,
        imports: Vec::new(),
        metadata: Metadata::Package(draft.metadata),
    };
    let digest = ingest.write_fileset(&record)?;
    provenance::record(host, &ingest, &facts(host, &record, source))?;
    let _lease = ingest.commit_leased()?;
    let refs = host.store.refs();
    let before = refs.get(RefKind::Package, draft.name.as_str())?.map(|found| found.current_entry().fileset);
    let entry =
        RefEntry { version: record.version.clone(), fileset: digest, at: host.now, action: "import".to_owned() };
    refs.set(RefKind::Package, draft.name.as_str(), entry)?;
    Ok(imported(&record, digest, taken, before != Some(digest)))
}

/// Makes an image of files alone, checks it as every image is, and gives it its name.
fn image(
    host: &Host,
    options: &Options,
    architecture: &str,
    metadata: ImageMetadata,
    (taken, source): (Taken, Source),
    progress: &dyn Progress,
) -> Result<Imported> {
    let draft = assemble::Draft {
        name: &options.name,
        version: options.version()?,
        architecture,
        tree: taken.tree.digest(),
        imports: &[],
        metadata,
        action: "import",
        new_asks: assemble::NewAsks::Accept,
        sources: vec![source.into()],
        begun: Instant::now(),
    };
    let made = assemble::assemble(host, &draft, progress)?;
    Ok(imported(&made.record, made.digest, taken, made.changed))
}

fn imported(record: &FileSet, digest: FileSetDigest, taken: Taken, changed: bool) -> Imported {
    let files = taken.tree.entries().iter().filter(|entry| entry.entry != Entry::Directory);
    Imported {
        name: record.name.clone(),
        version: record.version.clone(),
        architecture: record.architecture.clone(),
        digest,
        kind: record.kind(),
        files: files.count(),
        bytes: taken.tree.content_bytes(),
        changed,
        left_out: taken.left_out,
    }
}

/// How a package was taken in.
fn facts(host: &Host, record: &FileSet, source: Source) -> BuildFacts {
    let (name, version, fileset) = (record.name.clone(), record.version.clone(), record.digest());
    BuildFacts {
        kind: BuildKind::Import,
        subjects: vec![Subject { name, version, fileset }],
        parameters: BTreeMap::from([("architecture".to_owned(), Value::from(record.architecture.as_str()))]),
        dependencies: vec![source.into()],
        started: host.now,
        finished: host.now,
    }
}

impl From<Source> for Dependency {
    fn from(source: Source) -> Self {
        Self::Source { uri: source.uri, digests: source.digests }
    }
}

/// The time that a package's files show: it depends on them alone, as that of an image's own files does.
fn time(tree: &Tree) -> u64 {
    image::own_time(&tree.digest())
}

/// An I/O error about the source.
fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    Error::io(action, path)
}
