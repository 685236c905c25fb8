//! `[test]`: a command in a container of the package that was just built, which must pass before the package gets its name.
//!
//! The container has what an image of the package would have: the base, what the package requires, and the packages that only the test
//! needs. The build's packages aren't there, so that a requirement that was forgotten is noticed. Their versions are those of the build's lock
//! where both have them.

use std::collections::{BTreeMap, BTreeSet};

use larder_debian::progress::Progress;
use larder_solver::Root;
use larder_store::Name;
use larder_store::refs::RefKind;

use super::error::{PackageError, Phase};
use super::sandbox::{Job, Sandbox};
use super::{BuiltPart, as_image, log, versioned};
use crate::build::{self, BuildOptions};
use crate::image::{self, PackageImport};
use crate::lock::Lock;
use crate::recipe::package::{PackageRecipe, Requirement};
use crate::{Host, Result};

/// Runs the test of a recipe, if it has one. Says whether it did.
///
/// # Errors
/// [`PackageError::Failed`] for a test that doesn't pass; what keeps its container from being made.
pub(super) fn run(
    host: &Host,
    recipe: &PackageRecipe,
    (lock, package): (&Lock, &BuiltPart),
    progress: &dyn Progress,
) -> Result<bool> {
    let Some(test) = &recipe.test else { return Ok(false) };
    let mut needs = Needs { host, recipe, roots: test.with.clone(), own: Vec::new(), seen: BTreeSet::new() };
    for requirement in &recipe.relations.requires {
        needs.add(&recipe.name, requirement)?;
    }
    let Needs { mut roots, own, .. } = needs;
    roots.sort_by_cached_key(ToString::to_string);
    roots.dedup();
    let environment = as_image(recipe, roots);
    let found = build::packages(host, &environment, &BTreeMap::new(), Some(lock), &BuildOptions::default(), progress)?;
    let mut imports: Vec<PackageImport> = found.supplied.into_iter().map(|one| one.import).collect();
    imports.extend(own);
    imports.push(import(&package.name, &package.version, package.digest));
    let sandbox = Sandbox::new(host, &imports, image::metadata(&environment, &environment.packages), progress)?;
    let task = progress.start(&format!("test {}", versioned(recipe)), None);
    let job = Job {
        package: versioned(recipe),
        phase: Phase::Test,
        script: &test.run,
        env: Vec::new(),
        timeout: recipe.build.timeout,
        log: log::path(host, &recipe.name, log::Of::Test),
    };
    let passed = sandbox.test(host, &job, progress);
    progress.finish(task);
    passed.map(|()| true)
}

/// What a package needs, gathered from its requirements and those of packages of one's own among them.
struct Needs<'a> {
    host: &'a Host,
    recipe: &'a PackageRecipe,
    roots: Vec<Root>,
    own: Vec<PackageImport>,
    seen: BTreeSet<Name>,
}

impl Needs<'_> {
    fn add(&mut self, by: &Name, requirement: &Requirement) -> Result<()> {
        let name = &requirement.name;
        if name.domain() == self.recipe.build.from.domain() {
            let constraints = requirement.constraints.clone();
            self.roots.push(Root { name: name.short().to_owned(), constraints });
            return Ok(());
        }
        let wrong = |found: String| PackageError::Requirement {
            package: by.clone(),
            requirement: requirement.to_string(),
            found,
        };
        let found = self.host.store.refs().get(RefKind::Package, name.as_str())?;
        let Some(found) = found else { return Err(wrong("there is no such package on this host".to_owned()).into()) };
        let entry = found.current_entry();
        let meets = |version: &str| {
            requirement
                .constraints
                .iter()
                .all(|(relation, wanted)| relation.accepts(larder_solver::compare(version, wanted.as_str())))
        };
        if !meets(&entry.version) {
            return Err(wrong(format!("this host has version {}", entry.version)).into());
        }
        if !self.seen.insert(name.clone()) {
            return Ok(());
        }
        self.own.push(import(name, &entry.version, entry.fileset));
        let record = self.host.store.fileset(&entry.fileset)?;
        for part in record.package().map(|package| package.requires.clone()).unwrap_or_default() {
            let requirement = Requirement::from_part(name, &part);
            let requirement =
                requirement.ok_or_else(|| wrong(format!("its own requirement {part:?} isn't understood")))?;
            self.add(name, &requirement)?;
        }
        Ok(())
    }
}

fn import(name: &Name, version: &str, package: larder_store::FileSetDigest) -> PackageImport {
    PackageImport { name: name.clone(), version: version.to_owned(), package, declarations: None }
}
