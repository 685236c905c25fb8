//! `[test]` of an image's recipe: a command that must pass in a container of the image before the image gets its name.
//!
//! With test-only packages the container is of another image, which has them besides and the same packages otherwise; it gets
//! no name and goes with the next collection. A test that has passed is remembered in the store's cache, by image and test, so that a
//! build that changes nothing runs nothing.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use larder_debian::progress::Progress;
use larder_runtime::launch::{self, Exit, SpecOptions};
use larder_solver::Update;
use larder_store::{FileSetDigest, ObjectDigest};

use crate::asks::{self, consent};
use crate::assemble::{self, Draft, Prepared};
use crate::container::{self, PackagePaths, Place, Process};
use crate::image::PackageImport;
use crate::program::{self, Folder, how, last_words};
use crate::recipe::{Recipe, TestTable};
use crate::solve::{self, Ask, Earlier};
use crate::{Error, Host, Result, compose, supply};

/// Runs a recipe's test in a container of the prepared image.
///
/// # Errors
/// [`Error::ImageTestFailed`] with what the test said; packages for it that can't be had, or that change the image's.
pub(crate) fn run(
    host: &Host,
    recipe: &Recipe,
    image: &Prepared,
    imports: &[PackageImport],
    progress: &dyn Progress,
) -> Result<()> {
    let Some(test) = &recipe.test else { return Ok(()) };
    let passed = passed(host, &image.digest, test);
    if passed.exists() {
        return Ok(());
    }
    progress.note(&format!("test: {}", test.run.join(" ")));
    if test.with.is_empty() {
        run_in(host, image, test, progress)?;
    } else {
        let furnished = furnished(host, recipe, test, image, imports, progress)?;
        run_in(host, &furnished, test, progress)?;
    }
    let folder = passed.parent().unwrap_or(&passed);
    fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    fs::write(&passed, "").map_err(Error::io("write", &passed))
}

/// Whether an image has passed the recipe's test, or there is none.
pub(crate) fn has_passed(host: &Host, recipe: &Recipe, image: &FileSetDigest) -> bool {
    recipe.test.as_ref().is_none_or(|test| passed(host, image, test).exists())
}

/// The file that says that this image passed this test.
fn passed(host: &Host, image: &FileSetDigest, test: &TestTable) -> PathBuf {
    let mut text = format!("{image}\n");
    for word in &test.run {
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

fn run_in(host: &Host, image: &Prepared, test: &TestTable, progress: &dyn Progress) -> Result<()> {
    let record = &image.image.record;
    let metadata = record.image().cloned().unwrap_or_default();
    // What the configuration allows the image it has in its test as well; nobody else is there to allow anything.
    let flags = std::collections::BTreeSet::new();
    let allowed = consent::Allowed { flags: &flags, configured: host.allow.get(&record.name) };
    let given = consent::Given::of(&asks::of_image(&host.store, record)?, allowed);
    let spec = launch::specification(SpecOptions {
        args: test.run.clone(),
        env: metadata.env.iter().map(|(name, value)| format!("{name}={value}")).collect(),
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
    let folder = Folder::new(host.store.root().join("tmp"))?;
    let (streams, said) = program::streams(folder.path(), b"")?;
    let process = Process {
        spec,
        user: metadata.user,
        stop_signal: metadata.stop_signal,
        packages: PackagePaths::ReadOnly,
        runtime: None,
        view: host.view,
        streams: Some(streams),
        go_on: None,
        map: None,
        layer: None,
    };
    let ended = container::launch(host, &place, process, host.store.lease()?, progress);
    match ended?.exit {
        Exit::Code(0) => Ok(()),
        exit => Err(Error::ImageTestFailed {
            image: format!("{}@{}", record.name, record.version),
            command: test.run.join(" "),
            how: how(exit),
            said: last_words(said),
        }),
    }
}
