//! An image's install plan with what composers derive from it.
//!
//! Composing takes a few hundred milliseconds, starting a container few. So what composers made is kept as a FileSet of
//! its own ([`COMPOSED`]), under the plan's digest; that FileSet's digest is the key of the view. A start that finds both
//! loads neither plan nor tree.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use larder_debian::compose::{self as composers, ComposeInput, ComposedEntry, Ids};
use larder_debian::progress::Progress;
use larder_runtime::view::ViewTree;
use larder_store::fileset::FilesMetadata;
use larder_store::plan::{self, InstallPlan, Loaded, PlanDigest};
use larder_store::refs::{RefEntry, RefKind};
use larder_store::{
    Content, Entry, FileSet, FileSetDigest, Import, Ingest, Metadata, Name, ObjectDigest, Root, Store, TreeBuilder,
};

use crate::catalog::{NotedContents, Read, StoreCatalog, StoreContents};
use crate::program::Interim;
use crate::{Error, Host, Result, bytecode, caches, view};

/// The name of every FileSet that composers made; its version is the digest of the plan.
pub const COMPOSED: &str = "host.internal/composed";

/// The file beside a cached view that lists the paths which are bound read-only, below a digest of them.
const READ_ONLY: &str = "read-only";

/// A plan with composers' outputs.
pub struct Composition {
    /// What stands where.
    pub plan: InstallPlan,
    /// What composers lay over it.
    pub files: Vec<ComposedEntry>,
    /// The numbers of users and groups.
    pub ids: Ids,
    /// The FileSets from which some of them come.
    pub imports: Vec<Import>,
    /// Composers' outputs as a FileSet.
    pub composed: FileSetDigest,
    /// What it depends on besides the plan's listing.
    pub(crate) basis: Basis,
}

/// What a composition depends on besides the plan's listing.
#[derive(Debug, Default)]
pub(crate) struct Basis {
    /// The contents that were read.
    pub(crate) read: Read,
    /// Whether programs of the image made some of it: what they read isn't known.
    pub(crate) programs: bool,
    /// Whether something is missing that another run may be able to make.
    pub(crate) lacking: bool,
}

impl Composition {
    /// The listing of the image's view.
    ///
    /// # Errors
    /// [`view::listing`].
    pub fn listing(&self) -> Result<ViewTree> {
        view::listing(&self.plan, &self.files, &self.ids)
    }
}

/// What a start needs to know of an image that was composed before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// Composers' outputs: the key of the view.
    pub composed: FileSetDigest,
    /// The paths that are bound read-only.
    pub read_only: Vec<String>,
}

/// What was kept of an earlier composition, if all of it is there.
///
/// # Errors
/// A store that can't be read.
pub fn ready(store: &Store, image: &FileSet) -> Result<Option<Ready>> {
    Ok(ready_record(store, image)?.map(|(ready, _)| ready))
}

/// The same, with the record of composers' outputs.
///
/// # Errors
/// As of [`ready`].
pub(crate) fn ready_record(store: &Store, image: &FileSet) -> Result<Option<(Ready, FileSet)>> {
    let found = store.refs().get(RefKind::Composed, &PlanDigest::of(image).hex())?;
    let Some(composed) = found.map(|found| found.current_entry().fileset) else { return Ok(None) };
    let Some(record) = store.fileset(&composed).ok().filter(|record| store.has_tree(&record.tree)) else {
        return Ok(None);
    };
    let paths = read_sealed(&read_only_file(store, &composed));
    let ready = |paths: String| Ready { composed, read_only: paths.lines().map(str::to_owned).collect() };
    Ok(paths.map(|paths| (ready(paths), record)))
}

/// A text below a line with its digest. It isn't synced, and a container whose list of paths a loss of power has cut short could
/// write where it must not.
fn sealed(text: &str) -> String {
    format!("{}\n{text}", ObjectDigest::of(text.as_bytes()))
}

fn unsealed(sealed: &str) -> Option<&str> {
    let (seal, text) = sealed.split_once('\n')?;
    (seal == ObjectDigest::of(text.as_bytes()).to_string()).then_some(text)
}

fn read_only_file(store: &Store, composed: &FileSetDigest) -> PathBuf {
    store.views_dir().join(composed.hex()).join(READ_ONLY)
}

/// Plans an image, runs its composers, and keeps what they made.
///
/// # Errors
/// Files that clash, a composer that can't do its work, a store that can't be written.
pub fn compose(host: &Host, image: &Arc<Loaded>, progress: &dyn Progress) -> Result<Composition> {
    let catalog = StoreCatalog::new(&host.store);
    let plan = plan::install(&catalog, image)?;
    let versions = &image.record.image().cloned().unwrap_or_default().composers;
    let ingest = host.store.begin()?;
    let basis = Basis::default();
    let contents = NotedContents { contents: StoreContents { store: &host.store, ingest: &ingest }, read: &basis.read };
    let made = composers::compose(&ComposeInput { plan: &plan, versions }, &contents)?;
    let (imports, composed) = (Vec::new(), FileSetDigest::of(b""));
    let mut composition = Composition { plan, files: made.files, ids: made.ids, imports, composed, basis };
    refuse_below_files(&composition)?;
    composition.composed = write(&composition, &ingest)?;
    ingest.commit()?;

    let (mut files, mut imports) = (Vec::new(), Vec::new());
    let (programs, mut lacking);
    {
        let listing = || composition.listing();
        let interim = Interim { plan: &composition.plan, key: composition.composed, listing: &listing };
        let caches = caches::compose(host, &interim, versions, progress)?;
        programs = caches.wanted;
        lacking = caches.lacking;
        files.extend(caches.files);
        imports.extend(caches.imports);
        if versions.contains_key(bytecode::COMPOSER) {
            let bytecode = bytecode::compose(host, &interim, progress)?;
            lacking |= bytecode.lacking;
            files.extend(bytecode.files);
            imports.extend(bytecode.imports);
        }
    }
    composition.basis = Basis { programs, lacking, ..composition.basis };
    if !files.is_empty() {
        composition.files.extend(files);
        composition.files.sort_by(|a, b| a.path.cmp(&b.path));
        imports.sort();
        composition.imports = imports;
        let ingest = host.store.begin()?;
        composition.composed = write(&composition, &ingest)?;
        ingest.commit()?;
    }
    let Composition { plan, composed, .. } = &composition;
    let image = plan.sources[plan.image].digest;
    keep(host, &plan.digest, &image, &Ready { composed: *composed, read_only: view::read_only_paths(plan) })?;
    Ok(composition)
}

/// What a composer makes has no place below a file, which an image may have put where a directory belongs.
fn refuse_below_files(composition: &Composition) -> Result<()> {
    let plan = &composition.plan;
    for file in &composition.files {
        for above in file.path.ancestors() {
            let Some(planned) = plan.entries.get(&above).filter(|planned| planned.entry.entry != Entry::Directory)
            else {
                continue;
            };
            if composition.files.binary_search_by(|other| other.path.cmp(&above)).is_err() {
                let owner = plan.sources[planned.source].to_string();
                return Err(Error::BelowFile { path: file.path.clone(), composer: file.composer, above, owner });
            }
        }
    }
    Ok(())
}

/// Writes composers' outputs as a FileSet.
fn write(composition: &Composition, ingest: &Ingest<'_>) -> Result<FileSetDigest> {
    let mut tree = TreeBuilder::new();
    for file in &composition.files {
        tree.insert(file.path.clone(), file.entry.clone(), file.attributes.clone())?;
    }
    let record = FileSet {
        name: Name::parse(COMPOSED)?,
        version: composition.plan.digest.hex(),
        architecture: "all".to_owned(),
        time: composition.files.iter().map(|file| file.time).max().unwrap_or(0),
        tree: ingest.write_tree(&tree.finish()?)?,
        imports: composition.imports.clone(),
        metadata: Metadata::Files(FilesMetadata::default()),
    };
    Ok(ingest.write_fileset(&record)?)
}

/// Remembers a composition under its plan's digest.
///
/// # Errors
/// A store that can't be written.
pub(crate) fn keep(host: &Host, plan: &PlanDigest, image: &FileSetDigest, ready: &Ready) -> Result<()> {
    let composed = ready.composed;
    let needs = [*image, composed].into_iter().map(|digest| Root::Content(Content::FileSet(digest))).collect();
    host.store.write_view_roots(&composed.hex(), &needs)?;
    let paths: String = ready.read_only.iter().map(|path| format!("{path}\n")).collect();
    write_sealed(&read_only_file(&host.store, &composed), &paths)?;
    let key = plan.hex();
    let refs = host.store.refs();
    let before = refs.get(RefKind::Composed, &key)?;
    if before.map(|found| found.current_entry().fileset) != Some(composed) {
        let entry = RefEntry { version: key.clone(), fileset: composed, at: host.now, action: "compose".to_owned() };
        refs.set(RefKind::Composed, &key, entry)?;
    }
    Ok(())
}

/// Writes a file beside a cached view below a digest of its text, in one step.
pub(crate) fn write_sealed(file: &Path, text: &str) -> Result<()> {
    let text = sealed(text);
    if fs::read_to_string(file).ok().as_ref() == Some(&text) {
        return Ok(());
    }
    let new = file.with_extension(format!("{}.new", std::process::id()));
    fs::write(&new, text).and_then(|()| fs::rename(&new, file)).map_err(Error::io("write", file))
}

/// Reads a file that [`write_sealed`] wrote; `None` where it isn't there whole.
pub(crate) fn read_sealed(file: &Path) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    unsealed(&text).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After a loss of power the list was empty or cut short, and a container could write to its packages' paths.
    #[test]
    fn a_damaged_list_of_read_only_paths_is_no_list() {
        let text = sealed("/usr/bin\n/usr/lib\n");
        assert_eq!(unsealed(&text), Some("/usr/bin\n/usr/lib\n"));
        assert_eq!(unsealed(&sealed("")), Some(""));
        for length in 0..text.len() {
            assert_eq!(unsealed(&text[..length]), None, "{length} bytes of it");
            assert_eq!(unsealed(&format!("{}{}", &text[..length], "\0".repeat(text.len() - length))), None);
        }
    }
}
