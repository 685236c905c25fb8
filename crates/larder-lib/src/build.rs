//! `larder build`: from a recipe to an image.
//!
//! solve -> lock -> fetch -> verify -> convert -> assemble. A lock that matches the recipe is used as it is, so a second
//! build needs neither solver nor network. The lock is written only when everything else has succeeded. Where what an earlier
//! build found out still holds (`kept.rs`), nothing is planned, composed or verified again.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use larder_debian::progress::Progress;
use larder_solver::Update;
use larder_store::refs::{RefEntry, RefKind};
use larder_store::{FileSet, FileSetDigest, Ingest, Name, Reference, Selector, Tree, TreeDigest};

pub(crate) mod options;
pub(crate) mod report;

pub use options::{BuildOptions, Test};
use report::report;
pub use report::{BuildReport, BuiltPackage};

use crate::assemble::{self, Draft};
pub use crate::assemble::{NewAsks, OverrideLine};
use crate::beside;
use crate::compose;
use crate::image;
use crate::image_test::{self, Tested};
use crate::images::{self, Found};
use crate::kept::{self, Asked, Done, Earlier, Kept};
use crate::lock::Lock;
use crate::overrides::{self, StandIn};
use crate::package::Way;
use crate::provenance::{self, Dependency, Signer};
use crate::recipe::Recipe;
use crate::selection::{self, Built, Selection};
use crate::{Error, Host, Result, capture, supply};

/// Builds the recipe at `path` (its folder, or the file itself).
///
/// # Errors
/// A recipe or lock that can't be used, no answer of the solver, an archive that can't be read or trusted, a package that
/// can't be converted, files that clash, and whatever verification refuses. The store keeps what was finished; the
/// image's name and the lock are as before.
pub fn build(host: &Host, path: &Path, options: &BuildOptions, progress: &dyn Progress) -> Result<BuildReport> {
    build_recipe(host, Recipe::load(path)?, options, progress)
}

/// Builds a recipe that was read.
///
/// # Errors
/// As of [`build`].
pub fn build_recipe(
    host: &Host,
    mut recipe: Recipe,
    options: &BuildOptions,
    progress: &dyn Progress,
) -> Result<BuildReport> {
    let begun = Instant::now();
    if !recipe.host.fits(&host.debian.architecture) {
        return Err(Error::RecipeArchitecture {
            recipe: recipe.file,
            architectures: recipe.host.architectures,
            host: host.debian.architecture.clone(),
        });
    }
    let lock_file = recipe.lock_file();
    let text = Lock::read(&lock_file)?;
    let _lease = host.store.lease()?;
    let built = beside::build(host, &mut recipe, &Way::default(), progress)?;
    let mut earlier = Earlier::find(host, &recipe.name)?.filter(|earlier| has(&earlier.record, &built));
    // First of all, so that a file that isn't there is said before anything is fetched.
    let ingest = host.store.begin()?;
    let (tree, tree_digest) = own_tree(&recipe, &ingest, earlier.as_ref())?;
    // What is tested is an image in full. It asks for what the earlier one did: that is a part of what stays the same.
    let is_tested = |image: &FileSetDigest| options.test == Test::Skip || image_test::has_passed(host, &recipe, image);
    if let (Some(found), Some(lock), Update::None) = (&mut earlier, &text, &options.update) {
        let asked = Asked { recipe: &recipe, lock };
        if let Some(signed) = found.is_done(host, asked, tree_digest)?.filter(|_| is_tested(&found.digest)) {
            ingest.commit()?;
            return unchanged(host, found, signed);
        }
        if let Some(record) = found.again(host, asked, &tree, tree_digest) {
            let digest = record.digest();
            if is_tested(&digest) {
                return rebuild(host, found, Again { asked, digest, record, begun }, ingest);
            }
        }
    }
    ingest.commit()?;
    let old = text.as_deref().map(|text| Lock::parse(&lock_file, text)).transpose()?;
    let mut packages = selection::select(host, &recipe, (&built, old.as_ref()), &options.lock_use(), progress)?;
    let wanted = capture::Wanted { names: &recipe.captured, base: recipe.base, overrides: &recipe.overrides };
    capture::apply(host, &wanted, (&mut packages.lock, &mut packages.supplied), progress)?;
    let Selection { lock, supplied, roots } = packages;

    let imports: Vec<_> = supplied.iter().map(|one| one.import.clone()).collect();
    let draft = Draft {
        name: &recipe.name,
        version: &recipe.version,
        architecture: &lock.architecture,
        tree: tree_digest,
        imports: &imports,
        metadata: image::metadata(&recipe, &roots),
        action: if options.update == Update::None { "build" } else { "update" },
        new_asks: options.new_asks,
        sources: vec![source(&recipe)],
        begun,
    };
    let prepared = assemble::prepare(host, &draft, progress)?;
    let mut tested = Tested::NoTest;
    if options.test == Test::Run {
        tested = image_test::run(host, &recipe, &prepared, &imports, progress)?;
    }
    let assembled = assemble::name(host, &draft, prepared)?;
    let locked = lock.to_text();
    if !options.locked {
        lock.save(&lock_file)?;
    }
    let is_saved = !options.locked || text.as_ref() == Some(&locked);
    let empty = Lock { packages: BTreeMap::new(), ..lock.clone() };
    let changes = Lock::diff(old.as_ref().unwrap_or(&empty), &lock).changes;
    let (composition, mut report) = report(host, assembled, &supplied, changes)?;
    report.tested = tested == Tested::Now;
    let asked = Asked { recipe: &recipe, lock: &locked };
    let kept = kept::of_build(host, asked, &composition, report.packages.clone(), report.findings.clone());
    if let Some(kept) = kept.filter(|_| is_saved) {
        kept.write(&host.store, &composition.composed)?;
    }
    Ok(report)
}

/// An image to which an earlier build's answers apply.
struct Again<'a> {
    asked: Asked<'a>,
    digest: FileSetDigest,
    record: FileSet,
    begun: Instant,
}

/// Builds an image to which an earlier build's answers apply: what is new is its record and own files.
fn rebuild(host: &Host, earlier: &mut Earlier, again: Again<'_>, ingest: Ingest<'_>) -> Result<BuildReport> {
    let Again { asked, digest, record, begun } = again;
    let changed = digest != earlier.digest;
    if changed {
        ingest.write_fileset(&record)?;
    }
    let facts = assemble::facts(host, (&digest, &record), vec![source(asked.recipe)], begun);
    let recorded = provenance::record(host, &ingest, &facts)?;
    let done = Done::new(host, asked, &digest, &recorded);
    if changed {
        let (plan, composed) = earlier.composed(&record);
        let composed = ingest.write_fileset(&composed)?;
        let (version, action) = (record.version.clone(), "build".to_owned());
        let entry = RefEntry { version, fileset: digest, at: host.now, action };
        host.store.refs().set_committing(RefKind::Image, record.name.as_str(), entry, ingest)?;
        // Caches, which a build that is killed before need not have.
        earlier.replace(digest, record, composed);
        compose::keep(host, &plan, &digest, &earlier.ready)?;
    } else {
        ingest.commit()?;
    }
    earlier.set_done(&host.store, done)?;
    Ok(BuildReport { changed, ..unchanged(host, earlier, recorded.signed)? })
}

/// What a build says of an image that is as it was.
fn unchanged(host: &Host, earlier: &mut Earlier, signed: Vec<Signer>) -> Result<BuildReport> {
    let Kept { packages, overridden, findings, .. } = &mut earlier.kept;
    Ok(BuildReport {
        digest: earlier.digest,
        signed,
        changed: false,
        packages: std::mem::take(packages),
        changes: Vec::new(),
        fetched: 0,
        fetched_bytes: 0,
        overridden: std::mem::take(overridden),
        stand_ins: stand_ins(host, &earlier.record)?,
        findings: std::mem::take(findings),
        tested: false,
        name: earlier.record.name.clone(),
        version: earlier.record.version.clone(),
    })
}

/// The image that a recipe would become, if that is what its name stands for already and nothing has to be done: the lock
/// matches, every package is here, and the files are the same.
///
/// # Errors
/// A recipe or lock that can't be used, or a store that can't be read or written.
pub fn current(host: &Host, path: &Path) -> Result<Option<Found>> {
    let recipe = Recipe::load(path)?;
    // Only building them says what the recipes beside this one have become.
    if !recipe.paths.is_empty() {
        return Ok(None);
    }
    let lock_file = recipe.lock_file();
    let Some(text) = Lock::read(&lock_file)? else { return Ok(None) };
    let earlier = Earlier::find(host, &recipe.name)?;
    let ingest = host.store.begin()?;
    let (tree, tree_digest) = own_tree(&recipe, &ingest, earlier.as_ref())?;
    let again = earlier.as_ref().and_then(|earlier| {
        earlier.again(host, Asked { recipe: &recipe, lock: &text }, &tree, tree_digest).map(|record| (earlier, record))
    });
    if let Some((earlier, record)) = again {
        let digest = record.digest();
        return Ok((digest == earlier.digest).then_some(Found { digest, record }));
    }
    let lock = Lock::parse(&lock_file, &text)?;
    if lock.architecture != host.debian.architecture || lock.check(&recipe).is_err() {
        return Ok(None);
    }
    let reference = Reference { name: recipe.name.clone(), selector: Selector::Latest };
    let Some(found) = images::try_find(&host.store, &reference)? else { return Ok(None) };
    let mut imports = Vec::with_capacity(lock.packages.len());
    for (name, package) in &lock.packages {
        match supply::stored(host, name, package)? {
            Some(import) => imports.push(import),
            None => return Ok(None),
        }
    }
    let metadata = image::metadata(&recipe, &selection::locked_roots(host, &recipe, &lock)?);
    let record = image::record(&recipe.name, &recipe.version, &lock.architecture, tree_digest, &imports, metadata)?;
    Ok((record.digest() == found.digest).then_some(found))
}

/// The recipe itself, as a source.
fn source(recipe: &Recipe) -> Dependency {
    let digests = BTreeMap::from([("sha256".to_owned(), recipe.text.hex())]);
    Dependency::Source { uri: crate::recipe::FILE_NAME.to_owned(), digests }
}

/// Reads the recipe's own files into the store. What of them the earlier image has needn't be synced again.
fn own_tree(recipe: &Recipe, ingest: &Ingest<'_>, earlier: Option<&Earlier>) -> Result<(Tree, TreeDigest)> {
    if let Some(earlier) = earlier {
        ingest.lasts(&earlier.digest, &earlier.tree);
    }
    let tree = recipe.read_files(&mut |content| Ok(ingest.write_object(content, u64::MAX)?))?;
    let digest = ingest.write_tree(&tree)?;
    Ok((tree, digest))
}

/// Whether an image imports these packages as they were just built.
fn has(image: &FileSet, built: &Built) -> bool {
    let imported = |name: &Name| image.imports.iter().find(|import| import.name == *name).map(|import| import.fileset);
    built.asked.iter().all(|(name, fileset)| imported(name) == Some(*fileset))
        && built.splits.iter().all(|(name, fileset)| imported(name).is_none_or(|there| there == *fileset))
}

/// What stands in for what in an image. Without an override, no package's record is read.
fn stand_ins(host: &Host, image: &FileSet) -> Result<Vec<StandIn>> {
    let stated = image.image().map(|metadata| metadata.overrides.as_slice()).unwrap_or_default();
    if stated.is_empty() {
        return Ok(Vec::new());
    }
    Ok(overrides::of_image(stated, &crate::contents::packages(&host.store, image)?))
}
