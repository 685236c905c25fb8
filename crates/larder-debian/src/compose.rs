//! Composers: shared files derived from the set of imported packages.
//!
//! A composer is a function of the *set* of packages and of the image's own files: never of order, host, user, time
//! or locale. Each has a version, and an image's record pins the version of each ([`COMPOSERS`]), so that one digest
//! means one content everywhere. Changing what a composer writes, for any input, means a new version beside the old
//! one.
//!
//! They run in a fixed order, and each sees what those before it wrote: the aliases of merged-`/usr` first, because
//! every later path goes through them; alternatives before the linker cache, because libraries can be alternatives.
//!
//! What they write never takes the place of a file that the plan has: the image's own files and the packages' win.
//! Two things do: an alias (`/bin`) stands where packages have an empty directory, and a directory's particular mode
//! (`/tmp` 1777) stands where the plan has that directory with nothing but defaults. [`compose`] has settled this
//! already: its result is laid over the plan as it is.
//!
//! The time that a composed file shows is derived from its content, so that two contents seldom show one time.
//!
//! Absent on purpose: running a program of the image, which takes a container. The composers that need one have their
//! pure parts in [`python`] and [`caches`].

use std::collections::BTreeMap;
use std::fs::File;

use larder_store::plan::InstallPlan;
use larder_store::tree::Attributes;
use larder_store::{Entry, ObjectDigest, TreePath};

mod alternatives;
mod ca_certificates;
pub mod caches;
mod certificate;
mod draft;
mod error;
mod ids;
mod java_keystore;
mod ld_cache;
pub mod python;
mod seeds;
mod status;
#[cfg(test)]
mod tests;
mod users;
mod usr_merge;

use draft::Draft;
pub use draft::shown_time;
pub use error::{ComposeError, ContentError};
pub use ids::{Ids, User};

/// Every composer with its newest version, sorted by name: what a new image's record pins.
pub const COMPOSERS: &[(&str, u64)] = &[
    ("alternatives", 1),
    ("ca-certificates", 1),
    ("gdk-pixbuf-loaders", 1),
    ("glib-schemas", 1),
    ("java-keystore", 1),
    ("ld.so.cache", 1),
    ("mime-database", 1),
    ("python-bytecode", 1),
    ("seeds", 1),
    ("status", 1),
    ("users", 1),
    ("usr-merge", 1),
];

/// A composer that runs in process.
type Composer = fn(&mut Draft<'_>) -> Result<(), ComposeError>;

/// The composers that run in process, in the order in which they run.
const IN_PROCESS: &[(&str, u64, Composer)] = &[
    ("usr-merge", 1, usr_merge::compose),
    ("users", 1, users::compose),
    ("seeds", 1, seeds::compose),
    ("alternatives", 1, alternatives::compose),
    ("ld.so.cache", 1, ld_cache::compose),
    ("ca-certificates", 1, ca_certificates::compose),
    ("java-keystore", 1, java_keystore::compose),
    ("status", 1, status::compose),
];

/// Those that need a program run: pinned like the others, skipped here.
const ELSEWHERE: &[(&str, u64)] =
    &[("gdk-pixbuf-loaders", 1), ("glib-schemas", 1), ("mime-database", 1), ("python-bytecode", 1)];

/// Where composers read the contents of the plan's files and leave those of their own.
///
/// Implemented by the host's store with an open ingest. Composers call it from one thread, and read no file that is
/// larger than they name a limit for.
pub trait Contents {
    /// Opens a content for reading at any offset.
    ///
    /// # Errors
    /// When it isn't there or can't be opened.
    fn open(&self, digest: &ObjectDigest) -> Result<File, ContentError>;

    /// Reads a whole content of at most `limit` bytes.
    ///
    /// # Errors
    /// When it isn't there, can't be read or is larger.
    fn read(&self, digest: &ObjectDigest, limit: u64) -> Result<Vec<u8>, ContentError>;

    /// Keeps a content.
    ///
    /// # Errors
    /// When it can't be written.
    fn write(&self, content: &[u8]) -> Result<ObjectDigest, ContentError>;
}

/// What composers work on.
#[derive(Clone, Copy)]
pub struct ComposeInput<'a> {
    /// What stands where, with the packages' rules.
    pub plan: &'a InstallPlan,
    /// Which version of each composer the image's record pins; a composer that isn't named does not run.
    pub versions: &'a BTreeMap<String, u64>,
}

/// One path that a composer wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComposedEntry {
    /// Where.
    pub path: TreePath,
    /// What.
    pub entry: Entry,
    /// With which differing attributes.
    pub attributes: Attributes,
    /// The composer's name, as in [`COMPOSERS`].
    pub composer: &'static str,
    /// The time that it shows, in seconds since 1970.
    pub time: u64,
}

/// What composers made of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composed {
    /// To be laid over the plan: sorted by path; every parent is in the plan or here.
    pub files: Vec<ComposedEntry>,
    /// The numbers of all users and groups.
    pub ids: Ids,
}

/// The newest version of each composer, as an image's record holds them.
pub fn current_versions() -> BTreeMap<String, u64> {
    COMPOSERS.iter().map(|&(name, version)| (name.to_owned(), version)).collect()
}

/// Runs the pinned composers over a plan.
///
/// # Errors
/// A composer or version that this program doesn't have; an owner that no package declares; rules that contradict each
/// other; contents that can't be read or written.
pub fn compose(input: &ComposeInput<'_>, contents: &dyn Contents) -> Result<Composed, ComposeError> {
    let known = || IN_PROCESS.iter().map(|&(name, version, _)| (name, version)).chain(ELSEWHERE.iter().copied());
    for (name, version) in input.versions {
        if !known().any(|(known, has)| known == name && has == *version) {
            return Err(ComposeError::UnknownComposer { composer: name.clone(), version: *version });
        }
    }
    let mut draft = Draft::new(input.plan, contents);
    for &(name, version, run) in IN_PROCESS {
        if input.versions.get(name) == Some(&version) {
            draft.begin(name);
            run(&mut draft)?;
        }
    }
    draft.finish()
}
