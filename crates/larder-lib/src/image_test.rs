//! `[test]` of an image's recipe: a command that must pass in a container of the image before the image gets its name.
//!
//! With test-only packages the container is of another image, which has them besides and the same packages otherwise; it gets
//! no name and goes with the next collection. A test that has passed is remembered in the store's cache, by image and test, so that a
//! build that changes nothing runs nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use larder_debian::progress::Progress;
use larder_runtime::launch::{self, Exit, SpecOptions, Streams};
use larder_solver::Update;
use larder_store::{FileSetDigest, Kind, Name, ObjectDigest};

use crate::asks::{self, consent};
use crate::assemble::{self, Draft, Prepared};
use crate::container::{self, PackagePaths, Place, Process};
use crate::image::PackageImport;
use crate::package::{self, Log, LogOf, Watch};
use crate::program::{self, how};
use crate::recipe::package::TIMEOUT;
use crate::recipe::{CommandLine, Recipe, TestTable};
use crate::solve::{self, Ask, Earlier};
use crate::{Error, Host, Result, compose, supply};

/// What became of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tested {
    /// There is none, or nobody wanted it.
    NoTest,
    /// It has passed for the same image before.
    Before,
    /// It was run, and has passed.
    Now,
}

/// Runs a recipe's test in a container of the prepared image.
///
/// # Errors
/// [`Error::TestFailed`] with what the test said; packages for it that can't be had, or that change the image's.
pub(crate) fn run(
    host: &Host,
    recipe: &Recipe,
    image: &Prepared,
    imports: &[PackageImport],
    progress: &dyn Progress,
) -> Result<Tested> {
    let Some(test) = &recipe.test else { return Ok(Tested::NoTest) };
    let passed = passed(host, &image.digest, test);
    if passed.exists() {
        return Ok(Tested::Before);
    }
    let furnished = match test.with.as_slice() {
        [] => None,
        _ => Some(furnished(host, recipe, test, image, imports, progress)?),
    };
    let user = image.image.record.image().and_then(|metadata| metadata.user.clone());
    let (of, version, kind) = (&recipe.name, recipe.version.as_str(), Kind::Image);
    let image = furnished.as_ref().unwrap_or(image);
    attempt(host, &Attempt { of, version, kind, image, command: &test.run, user }, progress)?;
    let folder = passed.parent().unwrap_or(&passed);
    fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    fs::write(&passed, "").map_err(Error::io("write", &passed))?;
    Ok(Tested::Now)
}

/// Whether an image has passed the recipe's test, or there is none.
pub(crate) fn has_passed(host: &Host, recipe: &Recipe, image: &FileSetDigest) -> bool {
    recipe.test.as_ref().is_none_or(|test| passed(host, image, test).exists())
}

/// The file that says that this image passed this test.
fn passed(host: &Host, image: &FileSetDigest, test: &TestTable) -> PathBuf {
    let mut text = format!("{image}\n");
    for word in &test.run.words() {
        text += &format!("{}:{word}\n", word.len());
    }
    text.extend(test.with.iter().map(|root| format!("with {root}\n")));
    host.store.root().join("cache/tests").join(ObjectDigest::of(text.as_bytes()).hex())
}

/// The image with the packages of its test.
fn furnished(
    host: &Host,
    recipe: &Recipe,
    test: &TestTable,
    image: &Prepared,
    imports: &[PackageImport],
    progress: &dyn Progress,
) -> Result<Prepared> {
    let record = &image.image.record;
    if recipe.from.is_empty() {
        return Err(Error::NoDistribution { image: record.name.to_string() });
    }
    let mut roots = recipe.packages.clone();
    roots.extend(test.with.iter().cloned());
    let earlier = Earlier {
        versions: imports.iter().map(|one| (solve::solver_name(&one.name).to_owned(), one.version.clone())).collect(),
        ..Earlier::default()
    };
    let ask = Ask {
        from: &recipe.from,
        roots: &roots,
        base: recipe.base,
        recommends: recipe.recommends,
        earlier: &earlier,
        update: Update::None,
        built: &imports
            .iter()
            .filter(|one| !solve::is_debians(&one.name))
            .map(|one| (one.name.clone(), one.package))
            .collect(),
        overrides: &recipe.overrides,
        unpublished: None,
    };
    let choice = solve::choose(host, &ask, progress)?;
    let supplied = supply::choice(host, &choice, progress)?;
    let furnished: Vec<_> = supplied.into_iter().map(|one| one.import).collect();
    let changed = |import: &&PackageImport| !furnished.iter().any(|other| other.package == import.package);
    if let Some(import) = imports.iter().find(changed) {
        return Err(Error::TestPackages { package: import.name.clone(), version: import.version.clone() });
    }
    let draft = Draft {
        name: &record.name,
        version: &record.version,
        architecture: &record.architecture,
        tree: record.tree,
        imports: &furnished,
        metadata: record.image().cloned().unwrap_or_default(),
        action: "test",
        sources: Vec::new(),
        begun: Instant::now(),
        new_asks: assemble::NewAsks::Accept,
    };
    assemble::prepare(host, &draft, progress)
}

/// A command that must end with 0 in a container of an image.
pub(crate) struct Attempt<'a> {
    /// Whose test it is.
    pub(crate) of: &'a Name,
    /// The version of that.
    pub(crate) version: &'a str,
    /// What that is.
    pub(crate) kind: Kind,
    /// The image.
    pub(crate) image: &'a Prepared,
    /// The command.
    pub(crate) command: &'a CommandLine,
    /// As whom it runs; the container's root when absent.
    pub(crate) user: Option<String>,
}

/// Runs a command in a container of an image, without network.
///
/// # Errors
/// [`Error::TestFailed`] for one that doesn't end with 0, [`Error::TestNotRun`] where it can't be started.
pub(crate) fn attempt(host: &Host, attempt: &Attempt<'_>, progress: &dyn Progress) -> Result<()> {
    let what = format!("{}@{}", attempt.of, attempt.version);
    let task = progress.start(&format!("test {what}"), None);
    let log = Log::create(&host.store.root().join("tmp"))?;
    let watch = Watch::new(host, &log, TIMEOUT)?;
    let exit = start(host, attempt, (&log, &watch), progress);
    progress.finish(task);
    let (kept, said) = log.keep(&package::log_path(host, attempt.of, LogOf::Test))?;
    let how = match (watch.stopped.take(), exit) {
        (Some(stop), _) => format!("was stopped: {stop}"),
        (None, Ok(Exit::Code(0))) => return Ok(()),
        (None, Ok(exit)) => how(exit).trim_start_matches("it ").to_owned(),
        (None, Err(source)) => {
            return Err(Error::TestNotRun { what, command: attempt.command.to_string(), source: Box::new(source) });
        }
    };
    let how = format!("{} {how}", said.command(attempt.command));
    Err(Error::TestFailed { what, kind: attempt.kind, how, last: said.last_lines(), log: kept })
}

/// Starts the command and waits for its end.
fn start(
    host: &Host,
    attempt: &Attempt<'_>,
    (log, watch): (&Log, &Watch<'_>),
    progress: &dyn Progress,
) -> Result<Exit> {
    let image = attempt.image;
    let record = &image.image.record;
    let metadata = record.image().cloned().unwrap_or_default();
    // What the configuration allows the image it has in its test as well; nobody else is there to allow anything.
    let flags = BTreeSet::new();
    let allowed = consent::Allowed { flags: &flags, configured: host.allow.get(&record.name) };
    let given = consent::Given::of(&asks::of_image(&host.store, record)?, allowed);
    let mut env = metadata.env;
    if let CommandLine::Shell(_) = attempt.command {
        env.entry("PS4".to_owned()).or_insert_with(|| package::PROMPT.to_owned());
    }
    let spec = launch::specification(SpecOptions {
        args: attempt.command.words(),
        env: env.iter().map(|(name, value)| format!("{name}={value}")).collect(),
        cwd: metadata.workdir.unwrap_or_default().into(),
        hostname: Some(record.name.short().to_owned()),
        devices: given.devices.iter().filter_map(|path| launch::device(path.as_ref()).ok()).collect(),
        capabilities: given.capabilities,
        ..SpecOptions::default()
    })?;
    let Some(ready) = compose::ready(&host.store, record)? else {
        let missing = larder_store::Content::FileSet(image.composition.composed);
        return Err(larder_store::StoreError::Missing { what: missing }.into());
    };
    let listing = || image.composition.listing();
    let place = Place { key: ready.composed, image: image.digest, read_only: &ready.read_only, listing: &listing };
    let process = Process {
        spec,
        user: attempt.user.clone(),
        stop_signal: metadata.stop_signal,
        packages: PackagePaths::ReadOnly,
        runtime: None,
        view: host.view,
        streams: Some(Streams { input: program::nothing()?, output: log.stream()?, error: log.stream()? }),
        go_on: Some(&|| watch.may_go_on()),
        map: None,
        layer: None,
    };
    Ok(container::launch(host, &place, process, host.store.lease()?, progress)?.exit)
}
