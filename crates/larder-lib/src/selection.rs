//! The packages of a recipe: solved, or as its lock has them, and in the store.

use std::collections::BTreeMap;

use larder_debian::progress::Progress;
use larder_solver::{Root, Update};
use larder_store::{FileSetDigest, Name};

use crate::lock::Lock;
use crate::recipe::Recipe;
use crate::solve::{self, Ask, Curated};
use crate::supply::{self, Supplied};
use crate::{Error, Host, Result, overrides};

/// What may become of a lock.
#[derive(Debug, Clone, Default)]
pub(crate) struct LockUse {
    /// It is used as it is, and must fit.
    pub(crate) locked: bool,
    /// Which of its packages may move to newer versions, named as somebody typed them.
    pub(crate) update: Update,
}

/// What was built because of a recipe's folders.
#[derive(Debug, Default)]
pub(crate) struct Built {
    /// The packages that are asked for.
    pub(crate) asked: BTreeMap<Name, FileSetDigest>,
    /// Their splits, which may be asked for by name.
    pub(crate) splits: BTreeMap<Name, FileSetDigest>,
}

impl Built {
    /// Everything.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&Name, &FileSetDigest)> {
        self.asked.iter().chain(&self.splits)
    }
}

/// The packages of a recipe, in the store, with the lock that says so.
pub(crate) struct Selection {
    /// What they were resolved to.
    pub(crate) lock: Lock,
    /// The packages themselves.
    pub(crate) supplied: Vec<Supplied>,
    /// What was asked for, as the image's record says it.
    pub(crate) roots: Vec<Root>,
}

/// Solves a recipe's packages, or takes what its lock has, and brings them into the store.
///
/// # Errors
/// A lock that may not change and doesn't fit; no answer of the solver; packages that can't be had.
pub(crate) fn select(
    host: &Host,
    recipe: &Recipe,
    (built, old): (&Built, Option<&Lock>),
    options: &LockUse,
    progress: &dyn Progress,
) -> Result<Selection> {
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
    Ok(Selection { lock, supplied, roots: choice.roots })
}

/// A package that was built from a recipe beside this one to something other than the lock has: its name, what the lock has, what was made.
pub(crate) fn rebuilt<'a>(lock: &Lock, built: &'a Built) -> Option<(&'a Name, FileSetDigest, FileSetDigest)> {
    built.all().find_map(|(name, found)| {
        let locked = lock.packages.get(name)?.fileset;
        (locked != *found).then_some((name, locked, *found))
    })
}

fn from_lock(host: &Host, recipe: &Recipe, lock: &Lock, progress: &dyn Progress) -> Result<Selection> {
    let (lock, supplied) = supply::locked(host, lock, progress)?;
    let roots = locked_roots(host, recipe, &lock)?;
    Ok(Selection { lock, supplied, roots })
}

/// The packages that a recipe asks for, each short name looked up in the lock's distributions.
///
/// # Errors
/// A distribution that isn't in the store; a short name that two of them have.
pub(crate) fn locked_roots(host: &Host, recipe: &Recipe, lock: &Lock) -> Result<Vec<Root>> {
    let distributions = lock.curated.values().map(|curated| Curated::load(&host.store, &curated.fileset));
    solve::resolved(&recipe.packages, &distributions.collect::<Result<Vec<_>>>()?, None)
}
