//! `larder build` of a package of one's own: from a recipe with `[package]` to FileSets under its names.
//!
//! pin the sources -> solve and obtain the build's packages -> sandbox -> `$OUT` -> trees, divided -> what programs need -> records -> test
//! -> names. What was built from the same inputs before is taken from the store (`cache.rs`), and then nothing of this happens. The names
//! and the lock change only when everything has succeeded.
//!
//! # Invariants
//! - A sandbox sees the declared packages, their requirements and the base, the pinned sources, and nothing else of the host.
//! - Whatever decides what a package is has a part in the digest of its inputs; so an equal digest needs no build.
//! - Where an input came from has no part in the package's record.

mod again;
mod cache;
mod compare;
mod error;
mod facts;
mod keep;
pub(crate) mod log;
mod needs;
mod order;
mod output;
mod parts;
mod report;
pub(crate) mod sandbox;
mod script;
mod source;
mod trial;
mod watch;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use larder_debian::progress::Progress;
use larder_runtime::launch::Exit;
use larder_solver::{Root, Update};
use larder_store::{Name, Tree};

pub(crate) use again::{Again, NotAgain, again, recipe_of};
pub(crate) use compare::compare;
pub use compare::{Difference, How, Parting};
pub use error::{Missing, OutputProblem, PackageError, Phase, Stop};
pub(crate) use keep::{Kept, find as kept};
pub use log::sweep as sweep_logs;
pub(crate) use log::{Log, Of as LogOf, path as log_path};
pub(crate) use order::Way;
pub use order::needs as order;
pub use report::{BuiltPart, PackageReport};
pub(crate) use sandbox::PROMPT;
pub(crate) use watch::Watch;

use crate::beside;
use crate::build::options::Test;
use crate::image::PackageImport;
use crate::lock::{Change, Lock, LockedSource, Mismatch};
use crate::recipe::package::PackageRecipe;
use crate::recipe::{CommandLine, Document, Problem, Recipe, RecipeError};
use crate::selection::{self, Built, LockUse, Selection};
use crate::supply::Supplied;
use crate::{Host, Result, image, provenance};
use facts::Inputs;
use report::{Outcome, report};
use sandbox::{Job, Sandbox, Workshop};
use script::Stage;
pub(crate) use source::BLAKE3 as SOURCE_TREE;
pub(crate) use source::archive::file as fetch_file;
pub(crate) use source::debian::{POOL, claimed as source_claimed, mirrors};
pub(crate) use source::publisher::KEY_SCHEME;
#[cfg(any(test, fuzzing))]
pub(crate) use source::zip::fuzz as fuzz_zip;
use source::{Given, Sources, debian};

/// The rule by which inputs become packages. A change of what a build finds or of what becomes of its output is a new one.
pub const RULE: &str = "build/1";

/// How to build a package.
#[derive(Debug, Clone, Default)]
pub struct PackageOptions {
    /// Use the lock as it is, and fail if there is none or it doesn't match the recipe.
    pub locked: bool,
    /// Build twice, whatever was built before, and compare.
    pub check: bool,
    /// Which locked packages of the sandbox may move to newer versions.
    pub update: Update,
    /// Whether its `[test]` is run. A package that was not tested is built anew the next time.
    pub test: Test,
}

/// How to open a shell in a sandbox.
#[derive(Debug, Clone, Default)]
pub struct ShellOptions {
    /// The command; the sandbox's shell when empty.
    pub command: Vec<String>,
    /// Variables besides the fixed ones.
    pub env: Vec<(String, String)>,
    /// Whether it gets a terminal of its own.
    pub terminal: bool,
}

/// What a build is made with.
struct Kit {
    lock: Lock,
    supplied: Vec<Supplied>,
}

impl Kit {
    fn imports(&self) -> Vec<PackageImport> {
        self.supplied.iter().map(|one| one.import.clone()).collect()
    }
}

/// Builds a package.
///
/// # Errors
/// [`PackageError`]; whatever keeps packages from being solved and obtained. The store keeps what was finished; names and lock are as
/// before.
pub fn build(
    host: &Host,
    recipe: &PackageRecipe,
    options: &PackageOptions,
    progress: &dyn Progress,
) -> Result<PackageReport> {
    build_on(host, recipe, options, &Way::default(), progress)
}

/// Builds a package that others wait for.
///
/// # Errors
/// As [`build`](build()).
pub(crate) fn build_on(
    host: &Host,
    recipe: &PackageRecipe,
    options: &PackageOptions,
    way: &Way<'_>,
    progress: &dyn Progress,
) -> Result<PackageReport> {
    let started = Instant::now();
    check_architecture(host, recipe)?;
    order::check(recipe, way)?;
    let steps = way.to(&recipe.name);
    let mut environment = environment(recipe);
    let old = Lock::load(&recipe.lock_file())?;
    let wanted = debian::wanted(recipe);
    let known = wanted.and_then(|root| debian::locked(root, old.as_ref(), &options.update));
    let pin = source::pin(recipe, known.as_ref())?;
    let _lease = host.store.lease()?;
    let built = beside::build(host, &mut environment, &steps, progress)?;
    let fits = |lock: &&Lock| {
        lock.architecture == host.debian.architecture
            && lock.check(&environment).is_ok()
            && (wanted.is_none() || known.is_some())
            && selection::rebuilt(lock, &built).is_none()
    };
    if let Some(lock) = old.as_ref().filter(fits).filter(|_| !options.check && options.update == Update::None) {
        let key = cache::key(recipe, pin.as_ref(), lock);
        if let Some(parts) = cache::get(host, recipe, &key)? {
            return report(host, recipe, parts, Outcome::cached());
        }
    }
    let solving = LockUse { locked: options.locked, update: options.update.clone() };
    let kit = obtain(host, (&environment, &built), old.as_ref(), &solving, progress)?;
    let kit = with_source(host, recipe, (kit, known), options, progress)?;
    let pin = source::pin(recipe, kit.lock.source.as_ref())?;
    order::check_sandbox(host, recipe, (&steps, &environment.packages), &kit.imports())?;
    let key = cache::key(recipe, pin.as_ref(), &kit.lock);
    let changes = changes(old.as_ref(), &kit.lock);
    let cached = if options.check { None } else { cache::get(host, recipe, &key)? };
    if let Some(parts) = cached {
        save(recipe, &kit.lock, options)?;
        return report(host, recipe, parts, Outcome { changes, ..Outcome::cached() });
    }
    let given = Given { pin: pin.as_ref(), ..Given::default() };
    let early = wanted.is_none().then(|| source::obtain(host, recipe, given, progress)).transpose()?;
    let imports = kit.imports();
    let sandbox = Sandbox::new(host, &imports, image::metadata(&environment, &environment.packages), progress)?;
    // A source package is unpacked in the sandbox; everything else is looked at before there is one.
    let given = Given { debian: kit.lock.source.as_ref().map(|locked| (&sandbox, locked)), ..given };
    let sources = early.map_or_else(|| source::obtain(host, recipe, given, progress), Ok)?;
    let log = log::path(host, &recipe.name, log::Of::Build);
    let built = run_build(host, recipe, (&sandbox, &sources), &log, progress)?;
    if options.check {
        compare_again(host, recipe, (&sandbox, &sources), &built, progress)?;
    }

    let ingest = host.store.begin()?;
    let whole = output::with_licences(&built, &sources.tree, &recipe.name)?;
    let mut drafts = parts::divide(recipe, &whole)?;
    let imported = parts::imports(recipe, &imports)?;
    let stage = Stage { packages: &imports, imported: &imported, time: sources.time };
    script::run(host, &ingest, recipe, (&mut drafts, &stage), progress)?;
    let held = imported.iter().map(|import| Ok(host.store.tree(&host.store.fileset(&import.fileset)?.tree)?));
    let held = held.collect::<Result<Vec<_>>>()?;
    let missing = needs::missing(&host.store, &parts::views(recipe, &drafts, &held), &imports)?;
    if !missing.is_empty() {
        return Err(PackageError::Undeclared { package: recipe.name.clone(), missing }.into());
    }
    let parts = parts::write(host, &ingest, recipe, (&drafts, &imported), sources.time)?;
    keep::write(&ingest, recipe, &kit.lock, &sources, &parts)?;
    let inputs = Inputs {
        key: &key,
        pin: pin.as_ref(),
        debian: kit.lock.source.as_ref(),
        with: &environment.packages,
        sandbox: &sandbox,
        sources: &sources,
    };
    let facts = facts::facts(host, recipe, &inputs, &parts, started.elapsed());
    provenance::record(host, &ingest, &facts)?;
    let _new = ingest.commit_leased()?;
    let tested = match options.test {
        Test::Run => trial::run(host, recipe, (&steps, &kit.lock, &parts[0]), progress)?,
        Test::Skip => false,
    };
    // What wasn't tested isn't taken for what passed.
    if tested || recipe.test.is_none() {
        cache::keep(host, recipe, &key, &parts)?;
    }
    save(recipe, &kit.lock, options)?;
    let fetched: Vec<u64> = kit.supplied.iter().filter_map(|one| one.fetched).collect();
    let outcome = Outcome {
        cached: false,
        checked: options.check,
        tested,
        changes,
        packages: kit.supplied.len(),
        fetched: fetched.len(),
        fetched_bytes: fetched.iter().sum(),
    };
    report(host, recipe, parts, outcome)
}

/// Reads the recipe of a package.
///
/// # Errors
/// A recipe that can't be used, or is one of something else.
pub fn load(path: &Path) -> Result<PackageRecipe> {
    match Document::load(path)? {
        Document::Package(recipe) => Ok(*recipe),
        Document::Image(recipe) => Err(other(&recipe.file, "an image")),
        Document::Distribution(recipe) => Err(other(&recipe.file, "a distribution")),
    }
}

fn other(file: &Path, found: &'static str) -> crate::Error {
    RecipeError::new(file, None, Problem::OtherKind { found, wanted: "that of a package" }).into()
}

/// Opens a shell in the sandbox of a recipe, with its sources in place.
///
/// # Errors
/// As [`build`](build()), up to where the command is run.
pub fn shell(host: &Host, recipe: &PackageRecipe, options: &ShellOptions, progress: &dyn Progress) -> Result<Exit> {
    check_architecture(host, recipe)?;
    order::check(recipe, &Way::default())?;
    let mut environment = environment(recipe);
    let old = Lock::load(&recipe.lock_file())?;
    let _lease = host.store.lease()?;
    let built = beside::build(host, &mut environment, &Way::default().to(&recipe.name), progress)?;
    let kit = obtain(host, (&environment, &built), old.as_ref(), &LockUse::default(), progress)?;
    let known = debian::wanted(recipe).and_then(|root| debian::locked(root, old.as_ref(), &Update::None));
    let kit = with_source(host, recipe, (kit, known), &PackageOptions::default(), progress)?;
    kit.lock.save(&recipe.lock_file())?;
    let sandbox = Sandbox::new(host, &kit.imports(), image::metadata(&environment, &environment.packages), progress)?;
    let given = Given { debian: kit.lock.source.as_ref().map(|locked| (&sandbox, locked)), ..Given::default() };
    let sources = source::obtain(host, recipe, given, progress)?;
    let workshop = Workshop::new(host, &sources)?;
    let mut env = variables(recipe);
    env.extend(options.env.clone());
    sandbox.shell(host, &workshop, (&ShellOptions { env, ..options.clone() }, sources.time), progress)
}

fn check_architecture(host: &Host, recipe: &PackageRecipe) -> Result<()> {
    let here = &host.debian.architecture;
    if recipe.architectures.is_empty() || recipe.architectures.iter().any(|one| one == here || one == "all") {
        return Ok(());
    }
    let wanted = recipe.architectures.clone();
    Err(PackageError::Architecture { package: recipe.name.clone(), wanted, host: here.clone() }.into())
}

/// The sandbox as the recipe of an image: what the solver and the lock know it as.
fn environment(recipe: &PackageRecipe) -> Recipe {
    let mut packages = recipe.build.with.clone();
    if recipe.script.is_some() {
        packages.extend(required(recipe));
    }
    if debian::wanted(recipe).is_some() && !packages.iter().any(|root| root.name == debian::TOOL) {
        packages.push(Root::any(debian::TOOL));
    }
    packages.sort_by_cached_key(ToString::to_string);
    packages.dedup();
    Recipe { paths: recipe.build.paths.clone(), ..as_image(recipe, packages) }
}

/// What a package requires, as the recipe of an image asks for it.
fn required(recipe: &PackageRecipe) -> Vec<Root> {
    recipe.relations.requires.iter().map(|requirement| trial::root(&recipe.build.from, requirement)).collect()
}

/// Writes the source package into the lock: what the lock had, or what the archive has now.
fn with_source(
    host: &Host,
    recipe: &PackageRecipe,
    (mut kit, known): (Kit, Option<LockedSource>),
    options: &PackageOptions,
    progress: &dyn Progress,
) -> Result<Kit> {
    let had = kit.lock.source.take();
    let Some(root) = debian::wanted(recipe) else { return Ok(kit) };
    if known.is_none() && options.locked {
        let line = |package: &str| format!("deb-src {package}");
        let removed = had.iter().map(|had| line(&format!("{} {}", had.package, had.version))).collect();
        let mismatch = Mismatch { added: vec![line(&root.to_string())], removed };
        return Err(crate::Error::LockMismatch { file: recipe.lock_file(), mismatch });
    }
    let find = || debian::find(host, recipe, (root, &options.update), progress);
    kit.lock.source = Some(known.map_or_else(find, Ok)?);
    Ok(kit)
}

/// A recipe of an image of packages from where a package's build takes them.
fn as_image(recipe: &PackageRecipe, packages: Vec<Root>) -> Recipe {
    let of = (recipe.name.clone(), recipe.version.clone());
    let bare = Recipe::bare(of, recipe.build.from.clone(), packages);
    Recipe { file: recipe.file.clone(), text: recipe.text, ..bare }
}

fn obtain(
    host: &Host,
    (environment, built): (&Recipe, &Built),
    old: Option<&Lock>,
    options: &LockUse,
    progress: &dyn Progress,
) -> Result<Kit> {
    let Selection { lock, supplied, .. } = selection::select(host, environment, (built, old), options, progress)?;
    Ok(Kit { lock, supplied })
}

fn changes(old: Option<&Lock>, new: &Lock) -> Vec<(Name, Change)> {
    let empty = Lock { packages: BTreeMap::new(), ..new.clone() };
    Lock::diff(old.unwrap_or(&empty), new).changes
}

fn save(recipe: &PackageRecipe, lock: &Lock, options: &PackageOptions) -> Result<()> {
    if !options.locked {
        lock.save(&recipe.lock_file())?;
    }
    Ok(())
}

fn variables(recipe: &PackageRecipe) -> Vec<(String, String)> {
    recipe.build.env.iter().map(|(name, value)| (name.to_string(), value.clone())).collect()
}

fn versioned(recipe: &PackageRecipe) -> String {
    format!("{}@{}", recipe.name, recipe.version)
}

/// Runs the build once, in a sandbox of its own, and reads what it made.
fn run_build(
    host: &Host,
    recipe: &PackageRecipe,
    (sandbox, sources): (&Sandbox, &Sources),
    log: &Path,
    progress: &dyn Progress,
) -> Result<Tree> {
    let task = progress.start(&format!("build {}", versioned(recipe)), None);
    let job = Job {
        package: versioned(recipe),
        phase: Phase::Build,
        command: &CommandLine::Shell(recipe.build.run.clone()),
        env: variables(recipe),
        timeout: recipe.build.timeout,
        log: log.to_owned(),
    };
    let made = (|| {
        let workshop = Workshop::new(host, sources)?;
        sandbox.build(host, &workshop, &job, sources.time, progress)?;
        let ingest = host.store.begin()?;
        let tree = output::read(&ingest, &recipe.name, &workshop.out())?;
        ingest.commit()?;
        Ok(tree)
    })();
    progress.finish(task);
    match made {
        Ok(tree) if tree.entries().is_empty() => {
            Err(PackageError::NothingMade { package: versioned(recipe), log: log.to_owned() }.into())
        }
        made => made,
    }
}

/// Builds again, and compares with what was built before.
fn compare_again(
    host: &Host,
    recipe: &PackageRecipe,
    (sandbox, sources): (&Sandbox, &Sources),
    first: &Tree,
    progress: &dyn Progress,
) -> Result<()> {
    // Whoever writes down the time in seconds must be caught.
    thread::sleep(Duration::from_millis(1100));
    let log = log::path(host, &recipe.name, log::Of::Build);
    let second = run_build(host, recipe, (sandbox, sources), &log, progress)?;
    if *first == second {
        return Ok(());
    }
    let found = compare::compare(&host.store, first, &second)?;
    Err(PackageError::NotReproducible { package: versioned(recipe), found }.into())
}

/// Where the newest log of a package's build is.
pub fn log_file(host: &Host, package: &Name) -> PathBuf {
    log::path(host, package, log::Of::Build)
}
