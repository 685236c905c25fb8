//! Building a package again as its statement says, only to compare: no name, lock or log of the build itself changes.
//!
//! The statement says what everything was: the recipe's digest, each FileSet of the sandbox, the sources' digests. What is kept beside the
//! package (`keep.rs`) is where to find it. What the store doesn't have any more is fetched by the digests that the lock or the recipe state.
//! What is built goes into the store as files that nothing needs, and with the next garbage collection.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use larder_debian::progress::Progress;
use larder_store::{FileSet, FileSetDigest, Sha256Digest, Tree};

use super::keep::{self, Kept};
use super::sandbox::{self, Sandbox};
use super::script::{self, Stage};
use super::source::{self, Given, Sources};
use super::{PackageError, RULE, environment, log, output, parts, run_build};
use crate::image::{self, PackageImport, declared_package};
use crate::lock::Lock;
use crate::provenance::statement::Statement;
use crate::provenance::{Dependency, Subject};
use crate::recipe::package::{PackageRecipe, SourceSpec};
use crate::recipe::{FILE_NAME, LOCK_NAME};
use crate::{Error, Host, supply};

/// A package or split that was made again.
pub(crate) struct Again {
    /// Its record.
    pub(crate) record: FileSet,
    /// Its files, which are in the store.
    pub(crate) tree: Tree,
}

/// Why something was not made again.
#[derive(Debug)]
pub(crate) enum NotAgain {
    /// What it was made from, or what makes it, isn't here.
    Lacking(String),
    /// It was tried, and nothing came of it.
    Failed(String),
    /// Something that has nothing to do with it.
    Error(Error),
}

impl<E: Into<Error>> From<E> for NotAgain {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

type Tried<T> = std::result::Result<T, NotAgain>;

/// The digest of the recipe that a statement about a package names.
pub(crate) fn recipe_of(statement: &Statement) -> Option<Sha256Digest> {
    statement.facts.dependencies.iter().find_map(|dependency| match dependency {
        Dependency::Source { uri, digests } if uri == FILE_NAME => Sha256Digest::from_hex(digests.get("sha256")?).ok(),
        _ => None,
    })
}

/// Makes the packages of a statement again.
///
/// # Errors
/// [`NotAgain`]. A store that has no room, and whatever else has nothing to do with the package, is its `Error`.
pub(crate) fn again(host: &Host, statement: &Statement, progress: &dyn Progress) -> Tried<Vec<Again>> {
    let facts = &statement.facts;
    let rule = facts.parameters.get("rule").and_then(larder_store::json::Value::as_str).unwrap_or_default();
    if rule != RULE {
        return Err(NotAgain::Lacking(format!("it was built by the rule {rule:?}, which this larder doesn't have")));
    }
    let [first, ..] = facts.subjects.as_slice() else { return Ok(Vec::new()) };
    if first.name.as_str() == sandbox::USER_PACKAGE {
        return Ok(vec![Again { record: sandbox::user()?, tree: Tree::default() }]);
    }
    let kept = kept(host, statement, first)?;
    let recipe = PackageRecipe::parse(Path::new(FILE_NAME), &kept.recipe)?;
    super::check_architecture(host, &recipe).map_err(|error| NotAgain::Lacking(said(&error)))?;
    let imports = imports(host, statement, &kept, progress)?;
    let environment = environment(&recipe);
    let sandbox = Sandbox::new(host, &imports, image::metadata(&environment, &environment.packages), progress)?;
    let mounted: BTreeSet<FileSetDigest> = sandbox.mounted().iter().map(|import| import.fileset).collect();
    if mounted != filesets(statement).map(|subject| subject.fileset).collect() {
        return Err(NotAgain::Lacking("the sandbox isn't the one that the statement names".to_owned()));
    }
    let sources = sources(host, statement, &recipe, (kept, &sandbox, progress))?;
    let log = log::path(host, &recipe.name, log::Of::Again);
    let built =
        run_build(host, &recipe, (&sandbox, &sources), &log, progress).map_err(|error| not_built(error, &log))?;
    let whole = output::with_licences(&built, &sources.tree, &recipe.name)?;
    let mut drafts = parts::divide(&recipe, &whole).map_err(|error| NotAgain::Failed(said(&error)))?;
    let imported = parts::imports(&recipe, &imports)?;
    let stage = Stage { packages: &imports, imported: &imported, time: sources.time };
    let ingest = host.store.begin()?;
    script::run(host, &ingest, &recipe, (&mut drafts, &stage), progress).map_err(|error| match error {
        Error::Capture(_) => NotAgain::Lacking(said(&error)),
        error => not_built(error, &log),
    })?;
    let _scripted = ingest.commit_leased()?;
    let records = parts::records(host, &recipe, (&drafts, &imported), sources.time);
    Ok(records.into_iter().zip(drafts).map(|(record, draft)| Again { record, tree: draft.tree }).collect())
}

/// An error with its causes, in one line.
fn said(error: &Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}

fn not_built(error: Error, log: &Path) -> NotAgain {
    match &error {
        // A machine that is slower or has less room says nothing about the package.
        Error::Build(build) if matches!(**build, PackageError::Stopped { .. }) => NotAgain::Lacking(said(&error)),
        Error::Build(_) => NotAgain::Failed(format!("{} (the whole log is {})", said(&error), log.display())),
        Error::Runtime(_) => NotAgain::Lacking(format!("nothing can be built here: {}", said(&error))),
        _ => NotAgain::Error(error),
    }
}

fn kept(host: &Host, statement: &Statement, subject: &Subject) -> Tried<Kept> {
    let lacking = |text: &str| NotAgain::Lacking(text.to_owned());
    let recipe = recipe_of(statement).ok_or_else(|| lacking("the statement names no recipe"))?;
    let kept = keep::find(&host.store, &subject.fileset, &recipe)?;
    kept.ok_or_else(|| {
        lacking("its recipe isn't kept here: it was built somewhere else, and only there it can be built again")
    })
}

/// The FileSets that a statement names.
fn filesets(statement: &Statement) -> impl Iterator<Item = &Subject> {
    statement.facts.dependencies.iter().filter_map(|dependency| match dependency {
        Dependency::FileSet(subject) => Some(subject),
        Dependency::Source { .. } => None,
    })
}

/// The packages of the sandbox. Those that are gone are brought back by what the lock says of them.
fn imports(host: &Host, statement: &Statement, kept: &Kept, progress: &dyn Progress) -> Tried<Vec<PackageImport>> {
    let named: Vec<&Subject> =
        filesets(statement).filter(|subject| subject.name.as_str() != sandbox::USER_PACKAGE).collect();
    let gone = || named.iter().find(|subject| !host.store.has_fileset(&subject.fileset));
    if let Some(subject) = gone() {
        let lacking = |why: String| {
            let Subject { name, version, .. } = subject;
            NotAgain::Lacking(format!("it was built with {name}@{version}, which isn't here any more: {why}"))
        };
        let lock = Lock::parse(Path::new(LOCK_NAME), &kept.lock).map_err(|e| lacking(e.to_string()))?;
        supply::locked(host, &lock, progress).map_err(|error| lacking(said(&error)))?;
        if let Some(Subject { name, version, .. }) = gone() {
            let found = format!("{name}@{version} can't be converted to the same again");
            return Err(lacking(found));
        }
    }
    let declared: BTreeMap<&str, &Subject> =
        named.iter().filter_map(|subject| Some((declared_package(&subject.name)?, *subject))).collect();
    let packages = named.iter().filter(|subject| declared_package(&subject.name).is_none()).map(|subject| {
        let declarations = declared.get(subject.name.as_str());
        PackageImport {
            name: subject.name.clone(),
            version: subject.version.clone(),
            package: subject.fileset,
            declarations: declarations.map(|one| (one.name.clone(), one.version.clone(), one.fileset)),
        }
    });
    Ok(packages.collect())
}

/// The sources: those that were beside the recipe are kept, and others are fetched unless the store has them.
fn sources(
    host: &Host,
    statement: &Statement,
    recipe: &PackageRecipe,
    (kept, sandbox, progress): (Kept, &Sandbox, &dyn Progress),
) -> Tried<Sources> {
    let locked = Lock::parse(Path::new(LOCK_NAME), &kept.lock).map_err(|e| NotAgain::Lacking(e.to_string()))?.source;
    if let Some(locked) = &locked
        && !source::debian::pin(locked).dependencies.iter().all(|one| statement.facts.dependencies.contains(one))
    {
        let said = "the source package that is kept with it isn't the one that the statement names";
        return Err(NotAgain::Lacking(said.to_owned()));
    }
    match &recipe.source {
        Some(SourceSpec::Path(source)) => {
            let digest = kept.sources.digest().hex();
            let is_named = statement.facts.dependencies.iter().any(
                |one| matches!(one, Dependency::Source { digests, .. } if digests.get(source::BLAKE3) == Some(&digest)),
            );
            match is_named {
                true => Ok(Sources::of(kept.sources)),
                false => Err(NotAgain::Lacking(format!(
                    "the sources in {:?} that it was built from aren't kept here",
                    source.path
                ))),
            }
        }
        // The recipe pins them, and is the one that the statement names.
        _ => {
            let debian = locked.as_ref().map(|locked| (sandbox, locked));
            let is_signed = matches!(&recipe.source, Some(SourceSpec::Url { signature: Some(_), .. }));
            if is_signed && kept.publisher.is_none() {
                return Err(NotAgain::Lacking("the publisher's signature and key aren't kept here".to_owned()));
            }
            let given = Given { pin: None, publisher: kept.publisher.as_ref(), debian };
            source::obtain(host, recipe, given, progress).map_err(|error| match error {
                Error::Build(_) | Error::Debian(_) | Error::Recipe(_) => {
                    NotAgain::Lacking(format!("its sources can't be had again: {}", said(&error)))
                }
                other => NotAgain::Error(other),
            })
        }
    }
}
