//! `larder build`: from a recipe to an image.
//!
//! solve -> lock -> fetch -> verify -> convert -> assemble. A lock that matches the recipe is used as it is, so a second
//! build needs neither solver nor network. The lock is written only when everything else has succeeded. Where what an earlier
//! build found out still holds (`kept.rs`), nothing is planned, composed or verified again.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use larder_debian::progress::Progress;
use larder_solver::{Root, Update};
use larder_store::fileset::ScriptTier;
use larder_store::refs::{RefEntry, RefKind};
use larder_store::{FileSet, FileSetDigest, Ingest, Name, Reference, Selector, Tree, TreeDigest};

pub use crate::assemble::NewAsks;
pub use crate::assemble::OverrideLine;
use crate::assemble::{self, Assembled, Draft};
use crate::beside::{self, Built};
use crate::compose::{self, Composition};
use crate::image;
use crate::image_test::{self, Tested};
use crate::images::{self, Found};
use crate::kept::{self, Asked, Earlier, Kept};
use crate::lock::{Change, Lock};
use crate::overrides::{self, StandIn};
use crate::package::Way;
use crate::provenance::{self, BuildFacts, Dependency, Signer};
use crate::recipe::Recipe;
use crate::solve::{self, Ask, Curated};
use crate::supply::{self, Supplied};
use crate::verify::Finding;
use crate::{Error, Host, Result, capture};

/// How to build.
#[derive(Debug, Clone, Default)]
pub struct BuildOptions {
    /// Use the lock as it is, and fail if there is none or it doesn't match the recipe.
    pub locked: bool,
    /// Which locked packages may move to newer versions, named as somebody typed them.
    pub update: Update,
    /// What becomes of asks that the image's record so far doesn't have.
    pub new_asks: NewAsks,
    /// Whether the recipe's test is run.
    pub test: Test,
}

/// Whether a recipe's `[test]` is run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Test {
    /// Before the image gets its name, unless it has passed already.
    #[default]
    Run,
    /// Not now.
    Skip,
}

/// What a build did.
#[derive(Debug)]
pub struct BuildReport {
    /// The image's name.
    pub name: Name,
    /// Its version.
    pub version: String,
    /// Its identity.
    pub digest: FileSetDigest,
    /// Who signed how it was made; nobody where that is empty.
    pub signed: Vec<Signer>,
    /// Whether the name stood for something else, or nothing, before.
    pub changed: bool,
    /// Its packages, sorted by name.
    pub packages: Vec<BuiltPackage>,
    /// What became of the packages since the lock was last written.
    pub changes: Vec<(Name, Change)>,
    /// How many packages were fetched.
    pub fetched: usize,
    /// How many bytes that were.
    pub fetched_bytes: u64,
    /// Where the image's own files, or a declared replacement, took a package's place.
    pub overridden: Vec<OverrideLine>,
    /// Which packages stand in for others, and whose guarantee that voids.
    pub stand_ins: Vec<StandIn>,
    /// What verification found that does not fail a build.
    pub findings: Vec<Finding>,
    /// Whether its test was run, and has passed.
    pub tested: bool,
}

/// A package of a built image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltPackage {
    /// Its name.
    pub name: Name,
    /// Its version.
    pub version: String,
    /// Its identity.
    pub digest: FileSetDigest,
    /// What became of its maintainer scripts.
    pub tier: ScriptTier,
}

impl BuiltPackage {
    /// The tier as a word.
    pub fn tier_word(&self) -> &'static str {
        crate::contents::tier_word(&self.tier)
    }

    /// What its scripts do that is left out.
    pub fn skipped(&self) -> &[String] {
        match &self.tier {
            ScriptTier::Skipped(reasons) => reasons,
            ScriptTier::None | ScriptTier::Declared | ScriptTier::Captured(_) => &[],
        }
    }
}

/// Builds the recipe at `path` (its folder, or the file itself).
///
/// # Errors
/// A recipe or lock that can't be used, no answer of the solver, an archive that can't be read or trusted, a package that
/// can't be converted, files that clash, and whatever verification refuses. The store keeps what was finished; the
/// image's name and the lock are as before.
pub fn build(host: &Host, path: &Path, options: &BuildOptions, progress: &dyn Progress) -> Result<BuildReport> {
    let begun = Instant::now();
    let mut recipe = Recipe::load(path)?;
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
    let earlier = Earlier::find(host, &recipe.name)?.filter(|earlier| has(&earlier.record, &built));
    // First of all, so that a file that isn't there is said before anything is fetched.
    let ingest = host.store.begin()?;
    let (tree, tree_digest) = own_tree(&recipe, &ingest, earlier.as_ref())?;
    if let (Some(earlier), Some(lock), Update::None) = (&earlier, &text, &options.update)
        && let Some(record) = earlier.again(host, Asked { recipe: &recipe, lock }, &tree, tree_digest)
        // What is tested is an image in full. It asks for what the earlier one did: that is a part of what stays the same.
        && (options.test == Test::Skip || image_test::has_passed(host, &recipe, &record.digest()))
    {
        let facts = assemble::facts(host, &record, vec![source(&recipe)], begun);
        return rebuild(host, earlier, (record, &facts), ingest);
    }
    ingest.commit()?;
    let old = text.as_deref().map(|text| Lock::parse(&lock_file, text)).transpose()?;
    let mut packages = packages(host, &recipe, &built, old.as_ref(), options, progress)?;
    let wanted = capture::Wanted { names: &recipe.captured, base: recipe.base, overrides: &recipe.overrides };
    capture::apply(host, &wanted, (&mut packages.lock, &mut packages.supplied), progress)?;
    let Packages { lock, supplied, roots } = packages;

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

/// Builds an image to which an earlier build's answers apply: what is new is its record and own files.
fn rebuild(
    host: &Host,
    earlier: &Earlier,
    (record, facts): (FileSet, &BuildFacts),
    ingest: Ingest<'_>,
) -> Result<BuildReport> {
    let digest = record.digest();
    let changed = digest != earlier.digest;
    if changed {
        ingest.write_fileset(&record)?;
    }
    let signed = provenance::record(host, &ingest, facts)?;
    if changed {
        let (plan, composed) = earlier.composed(&record);
        let composed = ingest.write_fileset(&composed)?;
        let (version, action) = (record.version.clone(), "build".to_owned());
        let entry = RefEntry { version, fileset: digest, at: host.now, action };
        host.store.refs().set_committing(RefKind::Image, record.name.as_str(), entry, ingest)?;
        // Caches, which a build that is killed before need not have.
        compose::keep(host, &plan, &digest, &earlier.ready(composed))?;
        earlier.kept.write(&host.store, &composed)?;
    } else {
        ingest.commit()?;
    }
    let Kept { packages, overridden, findings, .. } = earlier.kept.clone();
    Ok(BuildReport {
        digest,
        signed,
        changed,
        packages,
        changes: Vec::new(),
        fetched: 0,
        fetched_bytes: 0,
        overridden,
        stand_ins: stand_ins(host, &record)?,
        findings,
        tested: false,
        name: record.name,
        version: record.version,
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
    let metadata = image::metadata(&recipe, &locked_roots(host, &recipe, &lock)?);
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

/// Reports what became of an image; its composition is for whoever wants to keep what the build found out.
pub(crate) fn report(
    host: &Host,
    assembled: Assembled,
    supplied: &[Supplied],
    changes: Vec<(Name, Change)>,
) -> Result<(Composition, BuildReport)> {
    let Assembled { digest, record, signed, changed, overridden, findings, composition } = assembled;
    let packages = crate::contents::packages(&host.store, &record)?;
    let fetched: Vec<u64> = supplied.iter().filter_map(|one| one.fetched).collect();
    let metadata = record.image().cloned().unwrap_or_default();
    let report = BuildReport {
        digest,
        signed,
        changed,
        packages: packages
            .iter()
            .map(|package| BuiltPackage {
                name: package.import.name.clone(),
                version: package.import.version.clone(),
                digest: package.import.fileset,
                tier: package.tier().clone(),
            })
            .collect(),
        changes,
        fetched: fetched.len(),
        fetched_bytes: fetched.iter().sum(),
        stand_ins: overrides::of_image(&metadata.overrides, &packages),
        overridden,
        findings,
        tested: false,
        name: record.name,
        version: record.version,
    };
    Ok((composition, report))
}

/// The packages of a recipe, in the store, with the lock that says so.
pub(crate) struct Packages {
    /// What they were resolved to.
    pub(crate) lock: Lock,
    /// The packages themselves.
    pub(crate) supplied: Vec<Supplied>,
    /// What was asked for, as the image's record says it.
    roots: Vec<Root>,
}

pub(crate) fn packages(
    host: &Host,
    recipe: &Recipe,
    built: &Built,
    old: Option<&Lock>,
    options: &BuildOptions,
    progress: &dyn Progress,
) -> Result<Packages> {
    let wanted = &host.debian.architecture;
    if let Some(lock) = old.filter(|lock| options.locked && lock.architecture != *wanted) {
        let (locked, wanted) = (lock.architecture.clone(), wanted.clone());
        return Err(Error::LockArchitecture { file: recipe.lock_file(), locked, wanted });
    }
    let matching = old.filter(|lock| lock.architecture == *wanted).map(|lock| (lock, lock.check(recipe)));
    match matching {
        Some((lock, Ok(()))) if options.update == Update::None => match rebuilt(lock, built) {
            None => return from_lock(host, recipe, lock, progress),
            Some((package, locked, found)) if options.locked => {
                return Err(Error::LockBuilt { package: package.clone(), locked, found });
            }
            Some(_) => {}
        },
        Some((_, Err(mismatch))) if options.locked => {
            return Err(Error::LockMismatch { file: recipe.lock_file(), mismatch });
        }
        None if options.locked => return Err(Error::NoLock { file: recipe.lock_file() }),
        _ => {}
    }
    let mut earlier = old.map(Lock::earlier).unwrap_or_default();
    // What was locked of a split that was just built again is no reason to keep it.
    earlier.filesets.retain(|name, _| !built.splits.contains_key(name));
    let ask = Ask {
        from: &recipe.from,
        roots: &recipe.packages,
        base: recipe.base,
        recommends: recipe.recommends,
        earlier: &earlier,
        update: solve::freed(&options.update, &earlier)?,
        built: &built.asked,
        overrides: &recipe.overrides,
        unpublished: None,
    };
    let choice = solve::choose(host, &ask, progress)?;
    let supplied = supply::choice(host, &choice, progress)?;
    overrides::check(host, &choice, &supplied, progress)?;
    let lock = supply::lock(host, recipe.solver_inputs(), &choice, &supplied);
    Ok(Packages { lock, supplied, roots: choice.roots })
}

/// A package that was built from a recipe beside this one to something other than the lock has: its name, what the lock has, what was made.
pub(crate) fn rebuilt<'a>(lock: &Lock, built: &'a Built) -> Option<(&'a Name, FileSetDigest, FileSetDigest)> {
    built.all().find_map(|(name, found)| {
        let locked = lock.packages.get(name)?.fileset;
        (locked != *found).then_some((name, locked, *found))
    })
}

fn from_lock(host: &Host, recipe: &Recipe, lock: &Lock, progress: &dyn Progress) -> Result<Packages> {
    let (lock, supplied) = supply::locked(host, lock, progress)?;
    let roots = locked_roots(host, recipe, &lock)?;
    Ok(Packages { lock, supplied, roots })
}

/// The packages that a recipe asks for, each short name looked up in the lock's distributions.
fn locked_roots(host: &Host, recipe: &Recipe, lock: &Lock) -> Result<Vec<Root>> {
    let distributions = lock.curated.values().map(|curated| Curated::load(&host.store, &curated.fileset));
    solve::resolved(&recipe.packages, &distributions.collect::<Result<Vec<_>>>()?, None)
}
