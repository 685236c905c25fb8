//! `[test]`: a command in a container of the package that was just built, which must pass before the package gets its name.
//!
//! The container has what an image of the package would have: the base, what the package requires, and the packages that only the test
//! needs. The build's packages aren't there, so that a requirement that was forgotten is noticed. Their versions are those of the build's lock
//! where both have them.

use larder_debian::progress::Progress;
use larder_solver::Root;
use larder_store::Name;
use larder_store::refs::RefKind;

use super::error::{PackageError, Phase};
use super::sandbox::{Job, Sandbox};
use super::{BuiltPart, Way, as_image, log, order, versioned};
use crate::image::{self, PackageImport};
use crate::lock::Lock;
use crate::recipe::package::{PackageRecipe, Requirement};
use crate::selection::{self, Built, LockUse};
use crate::{Error, Host, Result, solve};

/// Runs the test of a recipe, if it has one. Says whether it did.
///
/// # Errors
/// [`PackageError::Failed`] for a test that doesn't pass; what keeps its container from being made.
pub(super) fn run(
    host: &Host,
    recipe: &PackageRecipe,
    (way, lock, package): (&Way<'_>, &Lock, &BuiltPart),
    progress: &dyn Progress,
) -> Result<bool> {
    let Some(test) = &recipe.test else { return Ok(false) };
    let mut roots = test.with.clone();
    for requirement in &recipe.relations.requires {
        refuse_absent(host, recipe, requirement)?;
        roots.push(root(&recipe.build.from, requirement));
    }
    roots.sort_by_cached_key(ToString::to_string);
    roots.dedup();
    let environment = as_image(recipe, roots);
    let (built, options) = (Built::default(), LockUse::default());
    let found = selection::select(host, &environment, (&built, Some(lock)), &options, progress)?;
    let mut imports: Vec<PackageImport> = found.supplied.into_iter().map(|one| one.import).collect();
    order::check_sandbox(host, recipe, (way, &environment.packages), &imports)?;
    imports.push(PackageImport {
        name: package.name.clone(),
        version: package.version.clone(),
        package: package.digest,
        declarations: None,
    });
    let sandbox = Sandbox::new(host, &imports, image::metadata(&environment, &environment.packages), progress)?;
    let task = progress.start(&format!("test {}", versioned(recipe)), None);
    let job = Job {
        package: versioned(recipe),
        phase: Phase::Test,
        command: &test.run,
        env: Vec::new(),
        timeout: recipe.build.timeout,
        log: log::path(host, &recipe.name, log::Of::Test),
    };
    let passed = sandbox.test(host, &job, progress);
    progress.finish(task);
    match passed {
        Ok(()) => Ok(true),
        Err(source @ Error::Runtime(_)) => {
            let (what, command) = (versioned(recipe), test.run.to_string());
            Err(Error::TestNotRun { what, command, source: Box::new(source) })
        }
        Err(other) => Err(other),
    }
}

/// A requirement as the recipe of an image writes it.
pub(super) fn root(from: &[Name], Requirement { name, constraints }: &Requirement) -> Root {
    let is_short = solve::is_debians(name) && from.iter().all(solve::is_debians);
    let written = if is_short { name.short() } else { name.as_str() };
    Root { name: written.to_owned(), constraints: constraints.clone() }
}

/// Names who requires a package of one's own that nobody has built.
fn refuse_absent(host: &Host, recipe: &PackageRecipe, requirement: &Requirement) -> Result<()> {
    let name = &requirement.name;
    let known = !recipe.build.from.iter().all(solve::is_debians) || solve::is_debians(name);
    if known || host.store.refs().get(RefKind::Package, name.as_str())?.is_some() {
        return Ok(());
    }
    let found = "there is no such package on this host".to_owned();
    let (package, requirement) = (recipe.name.clone(), requirement.to_string());
    Err(PackageError::Requirement { package, requirement, found }.into())
}
