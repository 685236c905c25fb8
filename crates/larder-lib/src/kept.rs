//! What a build found out about an image, kept for the next build of its name.
//!
//! Planning, composing and verifying read thousands of files and give the same answer for as long as the packages and the
//! recipe stay and of the image's own files only contents change that nobody looked into: a web page, say. So a build leaves
//! its answers beside the image's view, with what they depend on:
//!
//! - *the key*: the program itself, the lock's text, what the recipe asks of the solver, and the image's record, in which a
//!   listing of the image's own files without their contents stands for their Tree;
//! - *what was read*: those own files whose contents a composer or the verification opened, each with its digest.
//!
//! Why that is enough: plan, composers and verification are functions of the record, the listings and the contents that they
//! open. None of them uses a digest or size of an image's own file for anything but opening it, except the composers that run a
//! program of the image: where one of them has work to do, the image's own Tree must be the very same. A property test holds
//! this: after any change of own files a build that found answers does what one does that found none.
//!
//! Where not even a content has changed, there is less to ask. [`Done`] says what an image was made of that is there with how it was
//! made written down, and signed by whoever signs here: then only what it consists of is looked for.
//!
//! It is a cache like the view: not synced, sealed by a digest, gone with it.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use larder_debian::{convert, declare};
use larder_store::fileset::ImageMetadata;
use larder_store::plan::{PACKAGES, PlanDigest};
use larder_store::refs::RefKind;
use larder_store::tree::TreeEntry;
use larder_store::{Entry, FileSet, FileSetDigest, Metadata, Name, ObjectDigest, Store, Tree, TreeDigest, TreePath};

use crate::assemble::OverrideLine;
use crate::build::report::BuiltPackage;
use crate::compose::{self, Composition, Ready};
use crate::provenance::{self, Recorded, Signer};
use crate::recipe::Recipe;
use crate::verify::Finding;
use crate::{Host, Result, image};

mod codec;
#[cfg(test)]
mod tests;

/// The file beside a cached view.
const FILE: &str = "build";
/// Stands first in what a key is the digest of.
const CONTEXT: &str = "larder kept build 1";
/// Stands first in what says that a build is done.
const DONE: &str = "larder done build 1";

/// A build's answers, and what they depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    /// All that they depend on but the contents of the image's own files.
    pub(crate) key: ObjectDigest,
    /// The own files whose contents they depend on.
    pub(crate) read: BTreeMap<TreePath, ObjectDigest>,
    /// The image's own Tree, where they depend on all of it.
    pub(crate) exactly: Option<TreeDigest>,
    /// The Trees of all FileSets but the image itself.
    pub(crate) trees: Vec<TreeDigest>,
    /// The packages, sorted by name.
    pub(crate) packages: Vec<BuiltPackage>,
    /// Paths with more than one claimant.
    pub(crate) overridden: Vec<OverrideLine>,
    /// What verification found that doesn't fail a build.
    pub(crate) findings: Vec<Finding>,
    /// The image that was made, once it is known to be all done.
    pub(crate) done: Option<Done>,
}

/// An image that was made, and how it was made is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Done {
    /// All that its record and the statement about it depend on, times aside.
    of: ObjectDigest,
    /// The statement, by its bytes.
    statement: ObjectDigest,
}

/// The image that a name stands for, with the answers of the build that made it.
#[derive(Debug)]
pub(crate) struct Earlier {
    /// Its identity.
    pub(crate) digest: FileSetDigest,
    /// Its record.
    pub(crate) record: FileSet,
    /// Its own files.
    pub(crate) tree: Tree,
    /// What its containers need to know.
    pub(crate) ready: Ready,
    /// The record of that.
    composed: FileSet,
    /// The answers.
    pub(crate) kept: Kept,
}

/// What a build is of: all of it but the packages and the own files.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// The recipe.
    pub(crate) recipe: &'a Recipe,
    /// The text of its lock.
    pub(crate) lock: &'a str,
}

/// Collects what something depends on.
struct Inputs(Vec<u8>);

impl Inputs {
    /// What all depends on: the program itself, the lock's text and what the recipe asks of the solver. `None` where this program
    /// can't be told from another.
    fn of(host: &Host, asked: Asked<'_>, context: &str) -> Option<Self> {
        // Another build of the program may answer otherwise, and nobody has to remember to count a version up.
        let program = host.program.metadata().ok()?;
        let mut inputs = Self(Vec::with_capacity(2 * asked.lock.len()));
        for number in [program.dev(), program.ino(), program.size(), u64::from(declare::TABLE_VERSION)] {
            inputs.0.extend(number.to_le_bytes());
        }
        for time in [program.mtime(), program.mtime_nsec(), program.ctime(), program.ctime_nsec()] {
            inputs.0.extend(time.to_le_bytes());
        }
        for word in [context, convert::RULE, &host.debian.architecture, asked.lock] {
            inputs.add(word.as_bytes());
        }
        let lines = asked.recipe.solver_inputs();
        inputs.add(&(lines.len() as u64).to_le_bytes());
        lines.iter().for_each(|line| inputs.add(line.as_bytes()));
        Some(inputs)
    }

    fn add(&mut self, bytes: &[u8]) {
        self.0.extend((bytes.len() as u64).to_le_bytes());
        self.0.extend(bytes);
    }

    fn digest(&self) -> ObjectDigest {
        ObjectDigest::of(&self.0)
    }
}

/// The digest of what a build's answers depend on, own files' contents apart.
fn key(host: &Host, asked: Asked<'_>, record: &FileSet, tree: &Tree) -> Option<ObjectDigest> {
    let mut inputs = Inputs::of(host, asked, CONTEXT)?;
    inputs.add(&FileSet { tree: without_contents(tree)?.digest(), time: 0, ..record.clone() }.encode());
    Some(inputs.digest())
}

impl Done {
    /// Of an image about which something was written down.
    pub(crate) fn new(host: &Host, asked: Asked<'_>, image: &FileSetDigest, recorded: &Recorded) -> Option<Self> {
        let of = Self::of(host, asked, image, &recorded.signed)?;
        Some(Self { of, statement: *recorded.statements.get(image)? })
    }

    /// The digest of what an image depends on and the statement about it: the image has the digests of its files and packages.
    fn of(host: &Host, asked: Asked<'_>, image: &FileSetDigest, signed: &[Signer]) -> Option<ObjectDigest> {
        let mut inputs = Inputs::of(host, asked, DONE)?;
        inputs.add(asked.recipe.text.as_bytes());
        inputs.add(image.as_bytes());
        signed.iter().for_each(|Signer { domain, key }| inputs.add(format!("{domain} {key}").as_bytes()));
        Some(inputs.digest())
    }
}

/// The same listing with every file empty.
fn without_contents(tree: &Tree) -> Option<Tree> {
    let entries = tree.entries().iter().map(|entry| match entry.entry {
        Entry::File { executable, .. } => {
            TreeEntry { entry: Entry::File { digest: ObjectDigest::of(b""), size: 0, executable }, ..entry.clone() }
        }
        _ => entry.clone(),
    });
    Tree::new(entries.collect()).ok()
}

/// The answers of a build that is done, where they will hold for another one.
pub(crate) fn of_build(
    host: &Host,
    asked: Asked<'_>,
    composition: &Composition,
    packages: Vec<BuiltPackage>,
    findings: Vec<Finding>,
) -> Option<Kept> {
    let Composition { plan, basis, .. } = composition;
    let image = &plan.sources[plan.image];
    // What else an image imports lies over its own files, and may differ from them in content.
    let plain = image.record.imports.iter().all(|import| import.path.is_below(PACKAGES));
    if basis.lacking || !plain {
        return None;
    }
    let files = image.tree.entries().iter().filter_map(|entry| match entry.entry {
        Entry::File { digest, .. } if basis.read.has(&digest) => Some((entry.path.clone(), digest)),
        _ => None,
    });
    let others = plan.sources.iter().enumerate().filter(|(index, _)| *index != plan.image);
    let mut trees: Vec<_> = others.map(|(_, source)| source.record.tree).collect();
    trees.sort_unstable();
    trees.dedup();
    Some(Kept {
        key: key(host, asked, &image.record, &image.tree)?,
        read: files.collect(),
        exactly: basis.programs.then_some(image.record.tree),
        trees,
        packages,
        overridden: crate::assemble::overridden(plan),
        findings,
        done: None,
    })
}

impl Kept {
    /// Leaves the answers beside the view of what composers made.
    ///
    /// # Errors
    /// A store that can't be written.
    pub(crate) fn write(&self, store: &Store, composed: &FileSetDigest) -> Result<()> {
        compose::write_sealed(&file(store, composed), &codec::encode(self))
    }
}

fn file(store: &Store, composed: &FileSetDigest) -> PathBuf {
    store.views_dir().join(composed.hex()).join(FILE)
}

impl Earlier {
    /// Finds the image that a name stands for. `None` where there is none, or anything of what was kept isn't there whole.
    ///
    /// # Errors
    /// References that can't be read.
    pub(crate) fn find(host: &Host, name: &Name) -> Result<Option<Self>> {
        let store = &host.store;
        let Some(found) = store.refs().get(RefKind::Image, name.as_str())? else { return Ok(None) };
        let digest = found.current_entry().fileset;
        let Ok(record) = store.fileset(&digest) else { return Ok(None) };
        let Some((ready, composed)) = compose::ready_record(store, &record)? else { return Ok(None) };
        let kept = compose::read_sealed(&file(store, &ready.composed)).and_then(|text| codec::decode(&text));
        let (Some(kept), Ok(tree)) = (kept, store.tree(&record.tree)) else { return Ok(None) };
        Ok(Some(Self { digest, record, tree, ready, composed, kept }))
    }

    /// Whether building the image again would change nothing, and who then has signed how it was made. All that it consists of is
    /// there, as far as [`again`](Self::again) looks, and the statement about it.
    ///
    /// # Errors
    /// Keys that can't be used.
    pub(crate) fn is_done(&self, host: &Host, asked: Asked<'_>, tree: TreeDigest) -> Result<Option<Vec<Signer>>> {
        let Some(done) = self.kept.done.filter(|_| tree == self.record.tree) else { return Ok(None) };
        let signing = provenance::signing(host, std::iter::once(&asked.recipe.name))?;
        let signed = provenance::signers(signing);
        let holds = Done::of(host, asked, &self.digest, &signed) == Some(done.of)
            && self.is_there(host)
            && host.store.has_statement(&self.digest, &done.statement);
        Ok(holds.then_some(signed))
    }

    /// Whether everything that the image imports is there.
    fn is_there(&self, host: &Host) -> bool {
        host.store.has_records(self.record.imports.iter().map(|import| import.fileset))
            && host.store.has_trees(self.kept.trees.iter().copied())
    }

    /// The image's record with other own files, where the earlier build's answers hold for it: where they depend on nothing that
    /// has changed, and everything that it imports is there.
    pub(crate) fn again(&self, host: &Host, asked: Asked<'_>, tree: &Tree, digest: TreeDigest) -> Option<FileSet> {
        let kept = &self.kept;
        // The recipe's lines and the lock are part of the key: with the same ones short names mean the same packages.
        let packages = self.record.image().map(|metadata| metadata.packages.clone()).unwrap_or_default();
        let metadata = ImageMetadata { packages, ..image::metadata(asked.recipe, &[]) };
        let record = FileSet {
            name: asked.recipe.name.clone(),
            version: asked.recipe.version.clone(),
            time: image::own_time(&digest),
            tree: digest,
            metadata: Metadata::Image(metadata),
            ..self.record.clone()
        };
        let same = |path: &TreePath, digest: &ObjectDigest| {
            tree.get(path.as_bytes())
                .is_some_and(|entry| matches!(&entry.entry, Entry::File { digest: now, .. } if now == digest))
        };
        let holds = kept.exactly.is_none_or(|exactly| exactly == digest)
            && kept.read.iter().all(|(path, digest)| same(path, digest))
            && key(host, asked, &record, tree) == Some(kept.key);
        (holds && self.is_there(host)).then_some(record)
    }

    /// What composers make for an image to which the answers apply. Their files are the same; it may be another FileSet, as it
    /// is named after the plan.
    pub(crate) fn composed(&self, record: &FileSet) -> (PlanDigest, FileSet) {
        let plan = PlanDigest::of(record);
        (plan, FileSet { version: plan.hex(), ..self.composed.clone() })
    }

    /// Takes another image's place, to which the answers apply.
    pub(crate) fn replace(&mut self, digest: FileSetDigest, record: FileSet, composed: FileSetDigest) {
        self.digest = digest;
        self.record = record;
        self.ready.composed = composed;
    }

    /// Leaves the answers as they are, with an image that is done.
    ///
    /// # Errors
    /// A store that can't be written.
    pub(crate) fn set_done(&mut self, store: &Store, done: Option<Done>) -> Result<()> {
        self.kept.done = done;
        self.kept.write(store, &self.ready.composed)
    }
}
