//! `[install] script`: run once, where links and users are not enough, in a container of the package that was just built; never on a host.
//!
//! The container has what an image of the package would have: the base, what the package requires, and the package itself, installed. The
//! script may write anywhere. What it leaves is judged as what Debian's scripts leave is (`capture.rs`), and becomes the package's own.
//! What it requires is among the packages of the build, so that the lock pins it.

use std::collections::BTreeSet;

use larder_debian::progress::Progress;
use larder_solver::{Base, Root};
use larder_store::fileset::{InstallRules, ScriptTier};
use larder_store::{Import, Ingest, Metadata, Name, TreeBuilder};

use super::error::Phase;
use super::parts::{self, Draft};
use super::sandbox::{Job, Sandbox};
use super::{as_image, log, variables, versioned};
use crate::capture::{self, Among, CaptureError, Taken, Work};
use crate::image::{self, PackageImport};
use crate::recipe::CommandLine;
use crate::recipe::package::PackageRecipe;
use crate::solve::solver_root;
use crate::{Host, Result};

/// A package before its script has run.
const INSTALLING: &str = "host.internal/installing";

/// What a package is installed with.
pub(super) struct Stage<'a> {
    /// All packages of the build.
    pub(super) packages: &'a [PackageImport],
    /// What the package holds whole.
    pub(super) imported: &'a [Import],
    /// The time of its files.
    pub(super) time: u64,
}

/// Runs the script of a recipe, if it has one, and adds to the package what may be kept of what it leaves.
///
/// # Errors
/// [`CaptureError`]; a script that fails, hangs or fills the disk.
pub(super) fn run(
    host: &Host,
    ingest: &Ingest<'_>,
    recipe: &PackageRecipe,
    (drafts, stage): (&mut [Draft], &Stage<'_>),
    progress: &dyn Progress,
) -> Result<()> {
    let Some(script) = &recipe.script else { return Ok(()) };
    let command = CommandLine::Shell(script.clone());
    capture::check_caller(&recipe.name)?;
    let before = installed(host, recipe, (drafts, stage))?;
    let roots: Vec<Root> = super::required(recipe);
    let solver_roots: Vec<Root> = roots.iter().map(solver_root).collect();
    let among = Among { packages: stage.packages, base: Base::Essential, overrides: &[] };
    let mut seen = capture::closure(host, &solver_roots, among, &versioned(recipe))?;
    let shown_as = format!("{}@{}", before.name, before.version);
    seen.push(before);
    let environment = as_image(recipe, roots);
    let metadata = image::metadata(&environment, &environment.packages);
    let sandbox = Sandbox::with(host, (&seen, &larder_store::Tree::default()), metadata, progress)?;
    let mut env = variables(recipe);
    env.push(("SOURCE_DATE_EPOCH".to_owned(), stage.time.to_string()));
    let job = Job {
        package: versioned(recipe),
        phase: Phase::Install,
        command: &command,
        env,
        timeout: recipe.build.timeout,
        log: log::path(host, &recipe.name, log::Of::Script),
    };
    let task = progress.start(&format!("install {}", versioned(recipe)), None);
    let work = Work { sandbox: &sandbox, package: &recipe.name, shown_as, job };
    let taken = capture::take(host, ingest, &work, progress);
    progress.finish(task);
    add(recipe, &mut drafts[0], &taken?)
}

/// Writes the package as it is before its script has run: under another name, because it isn't the package yet.
fn installed(host: &Host, recipe: &PackageRecipe, (drafts, stage): (&[Draft], &Stage<'_>)) -> Result<PackageImport> {
    let mut record = parts::records(host, recipe, (&drafts[..1], stage.imported), stage.time).swap_remove(0);
    record.name = Name::parse(INSTALLING)?;
    if let Metadata::Package(package) = &mut record.metadata {
        // A short name means one of the domain that the package will be in.
        let full = |name: &String| match name.split_once('/') {
            Some((domain, _)) if domain.contains('.') => name.clone(),
            _ => format!("{}/{name}", recipe.name.domain()),
        };
        package.install.replaces_files_of = package.install.replaces_files_of.iter().map(full).collect();
    }
    let ingest = host.store.begin()?;
    ingest.write_tree(&drafts[0].tree)?;
    let package = ingest.write_fileset(&record)?;
    ingest.commit()?;
    Ok(PackageImport { name: record.name, version: record.version, package, declarations: None })
}

/// Puts what was taken over what was built.
fn add(recipe: &PackageRecipe, draft: &mut Draft, taken: &Taken) -> Result<()> {
    let no_fileset = |problem: String| CaptureError::NoFileSet { package: recipe.name.clone(), problem };
    let mut tree = TreeBuilder::new();
    // Folders on the way that say nothing of themselves stay as the build made them.
    let says = |entry: &&larder_store::TreeEntry| {
        entry.entry != larder_store::Entry::Directory || !entry.attributes.is_default()
    };
    let of_script = taken.tree.entries().iter().filter(says);
    for entry in of_script.chain(draft.tree.entries()) {
        if tree.get(entry.path.as_bytes()).is_none() {
            let inserted = tree.insert(entry.path.clone(), entry.entry.clone(), entry.attributes.clone());
            inserted.map_err(|error| no_fileset(error.to_string()))?;
        }
    }
    draft.tree = tree.finish().map_err(|error| no_fileset(error.to_string()))?;
    draft.scripted = Some(InstallRules {
        replaces_files_of: taken.replaces.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect(),
        script: ScriptTier::Captured(capture::bounded(&taken.refused)),
        ..taken.rules.clone()
    });
    Ok(())
}
