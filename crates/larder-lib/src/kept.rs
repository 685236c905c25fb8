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
//! It is a cache like the view: not synced, sealed by a digest, gone with it.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use larder_debian::{convert, declare};
use larder_store::fileset::ImageMetadata;
use larder_store::plan::{PACKAGES, PlanDigest};
use larder_store::refs::RefKind;
use larder_store::tree::TreeEntry;
use larder_store::{
    Entry, FileSet, FileSetDigest, Import, Metadata, Name, ObjectDigest, Store, Tree, TreeDigest, TreePath,
};

use crate::assemble::OverrideLine;
use crate::build::report::BuiltPackage;
use crate::compose::{self, Composition, Ready};
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
    /// The record of what composers made for it.
    composed: FileSet,
    /// The paths that its containers bind read-only.
    read_only: Vec<String>,
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

/// The digest of what a build's answers depend on, own files' contents apart. `None` where this program can't be told from
/// another.
fn key(host: &Host, asked: Asked<'_>, record: &FileSet, tree: &Tree) -> Option<ObjectDigest> {
    // Another build of the program may answer otherwise, and nobody has to remember to count a version up.
    let program = host.program.metadata().ok()?;
    let mut text = Vec::new();
    for number in [program.dev(), program.ino(), program.size(), u64::from(declare::TABLE_VERSION)] {
        text.extend(number.to_le_bytes());
    }
    for time in [program.mtime(), program.mtime_nsec(), program.ctime(), program.ctime_nsec()] {
        text.extend(time.to_le_bytes());
    }
    let mut add = |bytes: &[u8]| {
        text.extend((bytes.len() as u64).to_le_bytes());
        text.extend(bytes);
    };
    for word in [CONTEXT, convert::RULE, &host.debian.architecture, asked.lock] {
        add(word.as_bytes());
    }
    let lines = asked.recipe.solver_inputs();
    add(&(lines.len() as u64).to_le_bytes());
    lines.iter().for_each(|line| add(line.as_bytes()));
    add(&FileSet { tree: without_contents(tree)?.digest(), time: 0, ..record.clone() }.encode());
    Some(ObjectDigest::of(&text))
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
        let Some(ready) = compose::ready(store, &record)? else { return Ok(None) };
        let kept = compose::read_sealed(&file(store, &ready.composed)).and_then(|text| codec::decode(&text));
        let (Some(kept), Ok(tree), Ok(composed)) = (kept, store.tree(&record.tree), store.fileset(&ready.composed))
        else {
            return Ok(None);
        };
        Ok(Some(Self { digest, record, tree, composed, read_only: ready.read_only, kept }))
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
        let there = |import: &Import| host.store.has_record(&import.fileset);
        (holds && record.imports.iter().all(there) && kept.trees.iter().all(|tree| host.store.has_tree(tree)))
            .then_some(record)
    }

    /// What composers make for an image to which the answers apply. Their files are the same; it may be another FileSet, as it
    /// is named after the plan.
    pub(crate) fn composed(&self, record: &FileSet) -> (PlanDigest, FileSet) {
        let plan = PlanDigest::of(record);
        (plan, FileSet { version: plan.hex(), ..self.composed.clone() })
    }

    /// What its containers need to know.
    pub(crate) fn ready(&self, composed: FileSetDigest) -> Ready {
        Ready { composed, read_only: self.read_only.clone() }
    }
}
