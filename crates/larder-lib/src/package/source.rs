//! The sources of a package: read or fetched before the build, pinned, and kept in the store as a tree.
//!
//! What is beside the recipe is pinned by its tree's digest; what is fetched by the digest that the recipe states, and remembered under it
//! as a FileSet `host.internal/source`, so that it is fetched once. The sandbox gets a copy.

pub(crate) mod archive;
pub(crate) mod debian;
mod git;
pub(crate) mod publisher;
pub(crate) mod zip;

use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use larder_debian::progress::Progress;
use larder_store::fileset::FilesMetadata;
use larder_store::refs::{RefEntry, RefKind};
use larder_store::{
    Attributes, Entry, FileSet, FileSetDigest, Ingest, Metadata, Name, ObjectDigest, Sha256Digest, Tree, TreeBuilder,
    TreePath,
};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

use super::PackageError;
use super::sandbox::Sandbox;
use crate::lock::LockedSource;
use crate::provenance::Dependency;
use crate::recipe::package::{PackageRecipe, SignatureAt, SourceSpec};
use crate::recipe::{FileSource, Keep, files};
use crate::{Error, Host, Result, image};
use publisher::{Publisher, Signed};

/// The name of fetched sources in the store.
const SOURCE: &str = "host.internal/source";
/// Counts changes of how sources are unpacked.
const RULE: &str = "source-1";

/// Where sources beside a recipe stand in the tree while they are read: a tree has no path for its root.
const READ_AS: &str = "source";

/// How the digest of a tree is called among the digests of sources.
pub(crate) const BLAKE3: &str = "blake3";

/// Sources in the store.
pub(super) struct Sources {
    /// The files, as they stand in the sandbox's folder.
    pub(super) tree: Tree,
    /// Their one time, which is `SOURCE_DATE_EPOCH`.
    pub(super) time: u64,
    /// Their publisher's signature, where the recipe asks for one.
    pub(super) signed: Option<Signed>,
}

impl Sources {
    /// Files whose time follows from their contents.
    pub(super) fn of(tree: Tree) -> Self {
        Self { time: image::own_time(&tree.digest()), tree, signed: None }
    }
}

/// What the sources are, whatever has to be done to have them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pin {
    /// For the digest of a build's inputs.
    pub(super) line: String,
    /// For the statement about what is built.
    pub(super) dependencies: Vec<Dependency>,
    /// The digest of the tree of what is beside the recipe.
    tree: Option<String>,
}

impl Pin {
    /// One source, by its digest: `blake3` of a tree, `sha256` of a file, `gitCommit`. `key` is that by which its publisher must
    /// have signed it.
    fn one(uri: &str, algorithm: &str, hex: String, key: Option<Sha256Digest>) -> Self {
        let signed = key.map(|key| format!(" signed by {key}")).unwrap_or_default();
        let digests = BTreeMap::from([(algorithm.to_owned(), hex.clone())]);
        Self {
            line: format!("{RULE} {algorithm}:{hex}{signed}"),
            dependencies: vec![Dependency::Source { uri: uri.to_owned(), digests }],
            tree: (algorithm == BLAKE3).then_some(hex),
        }
    }
}

/// Says what the sources are, without touching the store: those beside the recipe are hashed, those that are fetched are what the recipe
/// says, or the lock.
///
/// # Errors
/// A file that isn't there, or can't be read.
pub(super) fn pin(recipe: &PackageRecipe, debian: Option<&LockedSource>) -> Result<Option<Pin>> {
    Ok(match &recipe.source {
        None => None,
        Some(SourceSpec::Path(source)) => {
            let tree = beside(recipe, source, &mut |content| Ok(ObjectDigest::of_reader(content)?))?;
            Some(Pin::one(&source.path, BLAKE3, tree.digest().hex(), None))
        }
        Some(SourceSpec::Url { url, sha256, signature }) => {
            let key = signature.as_ref().map(|spec| publisher::key(recipe, spec)).transpose()?;
            Some(Pin::one(url, "sha256", sha256.hex(), key.map(|key| publisher::sha256(&key))))
        }
        Some(SourceSpec::Git { url, commit }) => Some(Pin::one(url, "gitCommit", commit.clone(), None)),
        Some(SourceSpec::Debian(_)) => debian.map(debian::pin),
    })
}

/// Brings the sources into the store.
///
/// # Errors
/// What can't be read or fetched, isn't what was pinned, or can't be unpacked.
pub(super) fn obtain(
    host: &Host,
    recipe: &PackageRecipe,
    given: Given<'_>,
    progress: &dyn Progress,
) -> Result<Sources> {
    match &recipe.source {
        None => Ok(Sources::of(Tree::default())),
        Some(SourceSpec::Path(source)) => {
            let ingest = host.store.begin()?;
            let tree = beside(recipe, source, &mut |content| Ok(ingest.write_object(content, u64::MAX)?))?;
            ingest.commit()?;
            let pinned = given.pin.and_then(|pin| pin.tree.as_ref());
            if pinned.is_some_and(|pinned| *pinned != tree.digest().hex()) {
                return Err(PackageError::SourcesChanged { path: source.path.clone() }.into());
            }
            Ok(Sources::of(tree))
        }
        Some(SourceSpec::Url { url, sha256, signature: Some(spec) }) => {
            let key = given.publisher.map_or_else(|| publisher::key(recipe, spec), |given| Ok(given.key.clone()))?;
            let (unsigned, uri) =
                (SourceSpec::Url { url: url.clone(), sha256: *sha256, signature: None }, publisher::uri(spec));
            // What is at hand is compared; an address isn't asked again for what was found good.
            let at_hand = match (given.publisher, &spec.at) {
                (Some(given), _) => Some(given.signature.clone()),
                (None, SignatureAt::Path(_)) => Some(publisher::signature(host, recipe, spec)?),
                (None, SignatureAt::Url(_)) => None,
            };
            if let Some(known) = known(host, &unsigned)?
                && let Some(signed) = publisher::read(&host.store, &known.digest(), sha256, (&uri, &key))?
                && at_hand.as_ref().is_none_or(|at_hand| *at_hand == signed.publisher.signature)
            {
                return Ok(Sources { signed: Some(signed), ..of_record(host, &known)? });
            }
            let signature = at_hand.map_or_else(|| publisher::signature(host, recipe, spec), Ok)?;
            fetch(host, &unsigned, Some((uri, Publisher { signature, key })), progress)
        }
        Some(SourceSpec::Debian(_)) => match given.debian {
            Some(given) => debian::unpack(host, recipe, given, progress),
            None => Ok(Sources::of(Tree::default())),
        },
        Some(spec) => match known(host, spec)? {
            Some(known) => of_record(host, &known),
            None => fetch(host, spec, None, progress),
        },
    }
}

/// What whoever wants sources knows of them.
#[derive(Clone, Copy, Default)]
pub(super) struct Given<'a> {
    /// What they must be.
    pub(super) pin: Option<&'a Pin>,
    /// Signature and key, where they aren't to be looked for.
    pub(super) publisher: Option<&'a Publisher>,
    /// Where a source package is unpacked, and what the lock says of it.
    pub(super) debian: Option<(&'a Sandbox, &'a LockedSource)>,
}

/// The ref of fetched sources. How a file is unpacked follows from its name.
fn key(spec: &SourceSpec) -> Option<String> {
    match spec {
        SourceSpec::Path(_) | SourceSpec::Debian(_) => None,
        SourceSpec::Url { url, sha256, .. } => {
            Some(format!("{RULE}/{}{}", sha256.hex(), archive::suffix(url).replace('.', "-")))
        }
        SourceSpec::Git { commit, .. } => Some(format!("{RULE}/git-{commit}")),
    }
}

/// The record of fetched sources, if the store has them.
fn known(host: &Host, spec: &SourceSpec) -> Result<Option<FileSet>> {
    key(spec).map_or(Ok(None), |key| recorded(host, &key))
}

/// The record that a ref of fetched sources stands for.
fn recorded(host: &Host, key: &str) -> Result<Option<FileSet>> {
    let found = host.store.refs().get(RefKind::Conversion, key)?.map(|found| found.current_entry().fileset);
    let found = found.filter(|digest| host.store.has_fileset(digest));
    Ok(found.map(|digest| host.store.fileset(&digest)).transpose()?)
}

fn of_record(host: &Host, record: &FileSet) -> Result<Sources> {
    Ok(Sources { tree: host.store.tree(&record.tree)?, time: record.time, signed: None })
}

/// Fetches pinned sources. A signature is checked before anything of them is looked at.
///
/// # Errors
/// What can't be fetched, isn't what was pinned or signed, or can't be unpacked.
fn fetch(host: &Host, spec: &SourceSpec, by: Option<(String, Publisher)>, progress: &dyn Progress) -> Result<Sources> {
    let Some(key) = key(spec) else { return Ok(Sources::of(Tree::default())) };
    let ingest = host.store.begin()?;
    let sources = match spec {
        SourceSpec::Url { url, sha256, .. } => archive::fetch(host, &ingest, (url, sha256), by, progress)?,
        SourceSpec::Git { url, commit } => git::fetch(host, &ingest, (url, commit), progress)?,
        SourceSpec::Path(_) | SourceSpec::Debian(_) => return Ok(Sources::of(Tree::default())),
    };
    let fileset = write(&ingest, &sources)?;
    if let (SourceSpec::Url { sha256, .. }, Some(signed)) = (spec, &sources.signed) {
        publisher::write(&ingest, &fileset, sha256, signed)?;
    }
    name(host, ingest, &key, fileset)?;
    Ok(sources)
}

/// Keeps sources under a ref.
fn keep(host: &Host, key: &str, sources: Sources) -> Result<Sources> {
    let ingest = host.store.begin()?;
    let fileset = write(&ingest, &sources)?;
    name(host, ingest, key, fileset)?;
    Ok(sources)
}

fn write(ingest: &Ingest<'_>, sources: &Sources) -> Result<FileSetDigest> {
    let record = FileSet {
        name: Name::parse(SOURCE)?,
        version: "1".to_owned(),
        architecture: "all".to_owned(),
        time: sources.time,
        tree: ingest.write_tree(&sources.tree)?,
        imports: Vec::new(),
        metadata: Metadata::Files(FilesMetadata::default()),
    };
    Ok(ingest.write_fileset(&record)?)
}

fn name(host: &Host, ingest: Ingest<'_>, key: &str, fileset: FileSetDigest) -> Result<()> {
    let _lease = ingest.commit_leased()?;
    let entry = RefEntry { version: "1".to_owned(), fileset, at: host.now, action: "fetch".to_owned() };
    Ok(host.store.refs().set(RefKind::Conversion, key, entry)?)
}

fn beside(recipe: &PackageRecipe, source: &FileSource, keep: &mut Keep<'_>) -> Result<Tree> {
    let target = TreePath::try_from(READ_AS).map_err(larder_store::tree::TreeError::from)?;
    let listed = BTreeMap::from([(target, source.clone())]);
    let read = files::read(&recipe.file, &listed, keep)?;
    let mut tree = TreeBuilder::new();
    for entry in read.entries() {
        let path = entry.path.as_bytes();
        let path = match (path.strip_prefix(READ_AS.as_bytes()), &entry.entry) {
            (Some(b""), Entry::Directory) => continue,
            // A single file keeps its name.
            (Some(b""), _) => source.path.rsplit('/').next().unwrap_or(&source.path).as_bytes(),
            (Some(rest), _) => &rest[1..],
            (None, _) => path,
        };
        let path = TreePath::new(path).map_err(larder_store::tree::TreeError::from)?;
        tree.insert(path, entry.entry.clone(), Attributes::default())?;
    }
    Ok(tree.finish()?)
}

/// Copies sources into a folder. All of it shows one time, so that no tool takes anything for newer than anything else.
///
/// # Errors
/// A content that isn't there, or a disk that can't be written.
pub(super) fn lay_out(host: &Host, sources: &Sources, folder: &Path) -> Result<()> {
    for entry in sources.tree.entries() {
        let path = within(folder, &entry.path);
        let failed = || Error::io("write", &path);
        match &entry.entry {
            Entry::Directory => fs::create_dir(&path).map_err(failed())?,
            Entry::Symlink { target } => {
                let target: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(target);
                std::os::unix::fs::symlink(target, &path).map_err(failed())?;
            }
            Entry::File { digest, .. } => {
                fs::copy(host.store.object_path(digest), &path).map_err(failed())?;
                fs::set_permissions(&path, Permissions::from_mode(entry.mode().into())).map_err(failed())?;
                let time = SystemTime::UNIX_EPOCH + Duration::from_secs(sources.time);
                let file = File::open(&path).map_err(failed())?;
                file.set_times(FileTimes::new().set_modified(time)).map_err(failed())?;
            }
        }
    }
    // Folders and links last: what is made in a folder changes its time.
    let seconds = i64::try_from(sources.time).unwrap_or(0);
    let time = Timespec { tv_sec: seconds, tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    for entry in sources.tree.entries().iter().rev().filter(|entry| !matches!(entry.entry, Entry::File { .. })) {
        let path = within(folder, &entry.path);
        utimensat(CWD, &path, &times, AtFlags::SYMLINK_NOFOLLOW).map_err(|e| Error::io("write", &path)(e.into()))?;
    }
    Ok(())
}

fn within(folder: &Path, path: &TreePath) -> std::path::PathBuf {
    let path: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(path.as_bytes());
    folder.join(path)
}
