//! The captured tier: scripts are run once in a sandbox, and what they left is kept as files.
//!
//! A sandbox has the package, what it needs and nothing else; no network, no services, one host name, a limit of time. What the scripts wrote is
//! its writable layer, which is compared with the view below (`layer`) and judged path by path (`left`). They are run twice, and what
//! isn't the same both times is refused: it would be another thing on every host, and often enough it is a secret that was made up.
//!
//! # Invariants
//! - Nothing reaches the store before it was judged: what is refused is never written there.
//! - Nothing is kept of scripts that fail.
//! - What is kept is a function of the inputs in its key, as far as two runs can show.

mod closure;
mod debian;
mod error;
mod layer;
mod left;
mod report;
mod scripts;

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::Duration;

use larder_debian::capture::Databases;
use larder_debian::progress::Progress;
use larder_runtime::launch::{self, UserMap};
use larder_runtime::view::{ViewKind, ViewKindName, ViewTree};
use larder_store::fileset::InstallRules;
use larder_store::{Ingest, Name, ObjectDigest, Store, Tree, TreeBuilder};

pub(crate) use closure::{Among, closure};
pub use debian::{Captured, of_name};
pub(crate) use debian::{Wanted, apply, bounded, joined, sweep};
pub use error::CaptureError;
pub use larder_debian::capture::{RULE, Verdict};
pub use layer::How;
pub use report::{Row, how_word, verdict_word};

use crate::package::sandbox::{Job, Sandbox};
use crate::program::Folder;
use crate::view::{self, Packages};
use crate::{Error, Host, Result};
use left::{Joined, Left, Scene};

/// A path as people read it: absolute, control characters and blanks escaped.
pub(crate) fn shown_path(path: &[u8]) -> String {
    format!("/{}", shown_target(path))
}

/// What a link points to, as people read it.
pub(crate) fn shown_target(path: &[u8]) -> String {
    let mut shown = String::new();
    for c in String::from_utf8_lossy(path).chars() {
        match c {
            ' ' => shown.push_str("\\x20"),
            c if c.is_control() => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    shown
}

/// Scripts to be run, and whose they are.
pub(crate) struct Work<'a> {
    /// Where.
    pub(crate) sandbox: &'a Sandbox,
    /// The package.
    pub(crate) package: &'a Name,
    /// `name@version` under which it is in the sandbox.
    pub(crate) shown_as: String,
    /// What is run.
    pub(crate) job: Job<'a>,
}

/// What is kept of scripts, written to the store but not committed.
pub(crate) struct Taken {
    /// The files.
    pub(crate) tree: Tree,
    /// Users, groups, alternatives and the like.
    pub(crate) rules: InstallRules,
    /// What was refused, as a record says it.
    pub(crate) refused: Vec<String>,
    /// The full names of the packages whose files are replaced.
    pub(crate) replaces: BTreeSet<String>,
    /// What became of each path.
    pub(crate) rows: Vec<Row>,
}

/// Runs scripts, and writes to `ingest` what may be kept.
///
/// # Errors
/// An ordinary user; scripts that fail, hang or fill the disk; more than anybody keeps.
pub(crate) fn take(host: &Host, ingest: &Ingest<'_>, work: &Work<'_>, progress: &dyn Progress) -> Result<Taken> {
    let package = work.package;
    check_caller(package)?;
    let composition = work.sandbox.composition(host, progress)?;
    let listing = composition.listing()?;
    let shown = view::shown(&composition.plan, &composition.files, Packages::Hidden)?;
    let scene = Scene {
        package,
        own: work.shown_as.clone(),
        before: listing.entries().iter().map(|entry| (entry.path.as_slice(), entry)).collect(),
        shown: &shown,
        databases: databases(&host.store, &listing)?,
    };
    let first = run(host, work, &scene, progress)?;
    // Whoever writes down the time in seconds must be caught.
    thread::sleep(Duration::from_millis(1100));
    let second = run(host, work, &scene, progress)?;
    let Joined { left, refused } = left::join(first.left, &second.left);
    let no_fileset = |problem: String| CaptureError::NoFileSet { package: package.clone(), problem };
    let mut tree = TreeBuilder::new();
    let mut replaces = BTreeSet::new();
    for (path, kept) in &left.kept {
        if let Some(content) = &kept.content {
            ingest.write_object(&mut layer::open(content)?, u64::MAX)?;
        }
        replaces.extend(kept.replaces.clone());
        let (entry, attributes) = (kept.entry.clone(), kept.attributes.clone());
        tree.insert(path.clone(), entry, attributes).map_err(|error| no_fileset(error.to_string()))?;
    }
    let tree = tree.finish().map_err(|error| no_fileset(error.to_string()))?;
    let rows = report::rows(&left.findings);
    Ok(Taken { tree, rules: left.rules, refused, replaces, rows })
}

/// Refuses to begin what an ordinary user can't end.
pub(crate) fn check_caller(package: &Name) -> Result<(), CaptureError> {
    match launch::user_map() {
        UserMap::Host => Ok(()),
        UserMap::Single | UserMap::Range { .. } => Err(CaptureError::NeedsRoot { package: package.clone() }),
    }
}

/// What one run left, and the folder that it is in.
struct Run {
    left: Left,
    _folder: Folder,
}

fn run(host: &Host, work: &Work<'_>, scene: &Scene<'_>, progress: &dyn Progress) -> Result<Run> {
    // What scripts write may be anything, set-id programs and keys included: nobody else enters the folder.
    let folder = Folder::new(host.store.root().join("tmp"))?;
    let view = work.sandbox.configure(host, &work.job, &folder.0, progress)?;
    if let Some(view @ ViewKindName::Symlink) = view {
        return Err(CaptureError::View { package: work.package.clone(), view }.into());
    }
    let left = left::read(scene, &folder.0.join("upper"))?;
    Ok(Run { left, _folder: folder })
}

/// The files of users and of the package manager in a view.
fn databases(store: &Store, listing: &ViewTree) -> Result<Databases> {
    const LARGEST: u64 = 4 << 20;
    let mut texts: BTreeMap<&[u8], String> = BTreeMap::new();
    let wanted = |path: &[u8]| {
        matches!(path, b"etc/passwd" | b"etc/group" | b"etc/shells" | b"var/lib/dpkg/diversions")
            || path.starts_with(b"var/lib/dpkg/alternatives/")
    };
    for entry in listing.entries().iter().filter(|entry| wanted(&entry.path)) {
        if let ViewKind::File { object, size: 0..=LARGEST } = entry.kind {
            let text = store.read_object(&ObjectDigest::from_bytes(object), LARGEST)?;
            texts.insert(&entry.path, String::from_utf8_lossy(&text).into_owned());
        }
    }
    let mut text = |path: &str| texts.remove(path.as_bytes()).unwrap_or_default();
    let (passwd, group, shells) = (text("etc/passwd"), text("etc/group"), text("etc/shells"));
    let diversions = text("var/lib/dpkg/diversions");
    let name = |path: &[u8]| String::from_utf8_lossy(path).rsplit('/').next().unwrap_or_default().to_owned();
    let alternatives = texts.into_iter().map(|(path, text)| (name(path), text)).collect();
    Ok(Databases { passwd, group, shells, diversions, alternatives })
}

impl From<CaptureError> for Error {
    fn from(error: CaptureError) -> Self {
        Self::Capture(Box::new(error))
    }
}
