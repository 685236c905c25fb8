//! Which packages of an image: Debian's, those that distributions pin, and one's own from the store.

use std::collections::{BTreeMap, BTreeSet};

use larder_debian::progress::Progress;
use larder_debian::{ArchiveFile, Distribution, Evidence, Refresh};
use larder_solver::{Base, PackageId, Request, Requirement, Root, Solution, Universe, Update};
use larder_store::fileset::Override;
use larder_store::{FileSetDigest, Name};

use super::curated::Curated;
use super::names::{full_name, solver_name, solver_root};
use super::stock::{Stock, Wished};
use super::universe::Mixed;
use super::{FRESH, MERGED, distribution};
use crate::image::PackageImport;
use crate::{Error, Host, Result};

/// What an earlier answer was: it is kept where nothing forces another.
#[derive(Debug, Clone, Default)]
pub struct Earlier {
    /// Versions by the solver's names.
    pub versions: BTreeMap<String, String>,
    /// Packages of one's own, of which the store may have another FileSet of the same version.
    pub filesets: BTreeMap<Name, FileSetDigest>,
    /// Distributions of one's own.
    pub distributions: BTreeMap<Name, FileSetDigest>,
}

/// What is asked. Order and repetition mean nothing in any of the lists.
#[derive(Debug, Clone)]
pub struct Ask<'a> {
    /// The distributions.
    pub from: &'a [Name],
    /// The packages, as they are written: short, or with a domain.
    pub roots: &'a [Root],
    /// What is there besides.
    pub base: Base,
    /// Whether Recommends are followed.
    pub recommends: bool,
    /// What the answer was before.
    pub earlier: &'a Earlier,
    /// What of it may change ([`freed`](super::freed)).
    pub update: Update,
    /// Packages that were just built, which the answer must hold.
    pub built: &'a BTreeMap<Name, FileSetDigest>,
    /// What stands in for what.
    pub overrides: &'a [Override],
    /// A distribution that isn't published yet, to be taken for the one of its name.
    pub unpublished: Option<&'a Curated>,
}

/// Where a package of the answer is.
#[derive(Debug, Clone)]
pub enum Source {
    /// In Debian's archive.
    Archive(ArchiveFile),
    /// In the store, perhaps because a distribution pins it.
    Store {
        /// What an image imports.
        import: PackageImport,
        /// The distribution.
        distribution: Option<Name>,
    },
}

/// A package that another stands in for.
#[derive(Debug, Clone)]
pub struct Replaced {
    /// What was asked for.
    pub stands_in: Override,
    /// Which version of the replaced package would have been taken.
    pub version: String,
    /// Where that is.
    pub source: Source,
}

/// The answer.
#[derive(Debug, Clone)]
pub struct Choice {
    /// The packages that were asked for: a short one that only a distribution of one's own has is written in full now.
    pub roots: Vec<Root>,
    /// Debian's distribution and what vouches for it, where there is one.
    pub debian: Option<(Name, Evidence)>,
    /// The distributions of one's own, sorted by name.
    pub distributions: Vec<Curated>,
    /// The packages with the reason for each, sorted by the solver's name.
    pub solution: Solution,
    /// Where each is, in the same order.
    pub sources: Vec<Source>,
    /// What stands in for what.
    pub replaced: Vec<Replaced>,
}

/// Chooses packages. An update asks the mirror first; otherwise a state that was checked within the hour will do.
///
/// # Errors
/// A distribution or package that isn't there, a short name of two packages, an override that doesn't fit, and whatever keeps the solver
/// from an answer.
pub fn choose(host: &Host, ask: &Ask<'_>, progress: &dyn Progress) -> Result<Choice> {
    let (debians, own): (Vec<&Name>, Vec<&Name>) = ask.from.iter().partition(|name| is_debians(name));
    if let [first, second, ..] = debians.as_slice() {
        return Err(Error::TwoSuites { first: (*first).clone(), second: (*second).clone() });
    }
    let distributions = distributions(host, ask, &own)?;
    let debian = match debians.first() {
        Some(name) => Some(((*name).clone(), distribution(host, name, refresh(host, ask), progress)?)),
        None => None,
    };
    let suite = debian.as_ref().map(|(name, suite)| (name, suite));
    let roots = resolved(ask.roots, &distributions, suite)?;
    let mut mixed = universe(host, ask, &distributions, suite.map(|(_, suite)| suite), &roots)?;
    let replaced = replace(ask, &mut mixed, suite)?;
    let mut wanted: Vec<Root> = roots.iter().map(solver_root).chain(built_roots(ask)).collect();
    check_roots(host, &mixed, &wanted)?;
    if ask.base == Base::Essential {
        if mixed.essential().is_empty() {
            return Err(Error::NoBase { from: listed(ask.from) });
        }
        wanted.extend(Some(Root::any(MERGED)).filter(|merged| !mixed.candidates(&merged.name).is_empty()));
    }
    let request = Request {
        roots: &wanted,
        base: ask.base,
        recommends: ask.recommends,
        locked: &ask.earlier.versions,
        update: ask.update.clone(),
    };
    let solution = larder_solver::resolve(&mixed, &request).map_err(|failure| Error::Unsolvable {
        from: listed(ask.from),
        failure,
        overrides: ask.overrides.to_vec(),
    })?;
    check_used(&replaced, &solution)?;
    let source = |id| source(&mixed, suite.map(|(_, suite)| suite), id);
    let sources: Vec<Source> = solution.packages.iter().map(|chosen| source(chosen.id)).collect();
    check_pins(&distributions, &sources)?;
    let debian = debian.as_ref().map(|(name, suite)| (name.clone(), suite.evidence()));
    Ok(Choice { roots, debian, sources, solution, replaced, distributions })
}

/// Whether a distribution is one of Debian's suites.
pub fn is_debians(name: &Name) -> bool {
    name.domain() == larder_debian::convert::DOMAIN
}

/// Distributions as a message lists them.
fn listed(from: &[Name]) -> String {
    if from.is_empty() { "the store".to_owned() } else { from.iter().map(Name::as_str).collect::<Vec<_>>().join(", ") }
}

fn refresh(host: &Host, ask: &Ask<'_>) -> Refresh {
    match (&ask.update, host.debian.offline) {
        (_, true) => Refresh::Never,
        (Update::None, false) => Refresh::IfOlder(FRESH),
        (_, false) => Refresh::Always,
    }
}

/// Whether an earlier answer's word about a name still counts.
fn is_held(update: &Update, name: &str) -> bool {
    match update {
        Update::None => true,
        Update::Some(names) => !names.contains(name),
        Update::All => false,
    }
}

fn distributions(host: &Host, ask: &Ask<'_>, names: &[&Name]) -> Result<Vec<Curated>> {
    let mut distributions = Vec::with_capacity(names.len());
    for name in names.iter().collect::<BTreeSet<_>>() {
        let held = ask.earlier.distributions.get(*name).filter(|_| is_held(&ask.update, name.as_str()));
        let found = match (ask.unpublished.filter(|unpublished| unpublished.name == **name), held) {
            (Some(unpublished), _) => Some(unpublished.clone()),
            (None, Some(held)) if host.store.has_fileset(held) => Some(Curated::load(&host.store, held)?),
            (None, _) => Curated::find(&host.store, name)?,
        };
        distributions.push(found.ok_or_else(|| Error::UnknownDistribution { name: (**name).clone() })?);
    }
    Ok(distributions)
}

/// The roots with each short name looked up in the distributions.
///
/// # Errors
/// A short name that two of them have, for different packages.
pub(crate) fn resolved(
    roots: &[Root],
    distributions: &[Curated],
    debian: Option<(&Name, &Distribution)>,
) -> Result<Vec<Root>> {
    let mut resolved: BTreeMap<String, Root> = BTreeMap::new();
    for root in roots {
        let mut root = root.clone();
        if !root.name.contains('/')
            && let Some(name) = owner(&root.name, distributions, debian)?
            && name.domain() != larder_debian::convert::DOMAIN
        {
            root.name = name.to_string();
        }
        resolved.insert(root.to_string(), root);
    }
    Ok(resolved.into_values().collect())
}

/// The one package that a short name means.
fn owner(short: &str, distributions: &[Curated], debian: Option<(&Name, &Distribution)>) -> Result<Option<Name>> {
    let mut found: BTreeMap<Name, Name> = BTreeMap::new();
    for distribution in distributions {
        for name in distribution.of_short(short) {
            found.entry(name.clone()).or_insert_with(|| distribution.name.clone());
        }
    }
    if let Some((name, suite)) = debian
        && !suite.candidates(short).is_empty()
    {
        found.entry(full_name(short)?).or_insert_with(|| name.clone());
    }
    if found.len() > 1 {
        return Err(Error::AmbiguousPackage { package: short.to_owned(), found: found.into_iter().collect() });
    }
    Ok(found.into_keys().next())
}

fn universe<'a>(
    host: &'a Host,
    ask: &Ask<'_>,
    distributions: &[Curated],
    debian: Option<&'a Distribution>,
    roots: &[Root],
) -> Result<Mixed<'a>> {
    let named = roots.iter().map(|root| root.name.clone());
    let built = ask.built.keys().map(ToString::to_string);
    let overrides = ask.overrides.iter().flat_map(|o| [o.of.to_string(), o.by.to_string()]);
    let mut held = ask.earlier.filesets.clone();
    held.retain(|name, _| is_held(&ask.update, name.as_str()));
    let wished = Wished { built: ask.built, held: &held };
    let stock = Stock::gather(&host.store, distributions, named.chain(built).chain(overrides), &wished)?;
    Ok(Mixed::new(debian, &host.debian.architecture, stock))
}

fn built_roots<'a>(ask: &'a Ask<'_>) -> impl Iterator<Item = Root> + 'a {
    ask.built.keys().map(|name| Root::any(name.as_str()))
}

/// Puts stand-ins in the place of what they replace.
fn replace(ask: &Ask<'_>, mixed: &mut Mixed<'_>, debian: Option<(&Name, &Distribution)>) -> Result<Vec<Replaced>> {
    let mut replaced = Vec::with_capacity(ask.overrides.len());
    for wanted in ask.overrides.iter().collect::<BTreeSet<_>>() {
        let (of, by) = (solver_name(&wanted.of).to_owned(), solver_name(&wanted.by).to_owned());
        let newest = newest(mixed, &of);
        let Some(id) = newest else {
            let nearest = mixed.nearest_names(&of);
            return Err(Error::NothingToReplace { of: wanted.of.clone(), from: listed(ask.from), nearest });
        };
        let version = mixed.package(id).version.to_owned();
        let source = source(mixed, debian.map(|(_, suite)| suite), id);
        check_stand_in(mixed, wanted, &version)?;
        let at = |candidate: &super::stock::Candidate| match wanted.forced {
            // It doesn't say that it can, so that its own version says nothing about it either.
            Some(_) => Some(version.clone()),
            None => stands_in(&candidate.stands_in_for, &of, &version).then(|| candidate.stanza.version.clone()),
        };
        mixed.replace(&of, &by, at);
        replaced.push(Replaced { stands_in: wanted.clone(), version, source });
    }
    Ok(replaced)
}

fn newest(universe: &dyn Universe, name: &str) -> Option<PackageId> {
    let version = |id: &PackageId| universe.package(*id).version;
    universe.candidates(name).into_iter().max_by(|a, b| larder_solver::compare(version(a), version(b)))
}

fn check_stand_in(mixed: &Mixed<'_>, wanted: &Override, version: &str) -> Result<()> {
    let of = solver_name(&wanted.of);
    let candidates: Vec<_> = mixed.own_named(solver_name(&wanted.by)).collect();
    let Some(first) = candidates.first() else {
        return Err(Error::NoOwnPackage { package: wanted.by.clone(), nearest: Vec::new() });
    };
    if wanted.forced.is_some() || candidates.iter().any(|c| stands_in(&c.stands_in_for, of, version)) {
        return Ok(());
    }
    Err(Error::DoesNotStandIn {
        by: wanted.by.clone(),
        by_version: first.stanza.version.clone(),
        of: wanted.of.clone(),
        version: version.to_owned(),
        says: first.stands_in_for.clone(),
    })
}

/// Whether a package says that it may be put in the place of that version of another.
fn stands_in(said: &[String], of: &str, version: &str) -> bool {
    let alternatives = said.iter().filter_map(|item| Requirement::parse(item).ok()).flat_map(|item| item.alternatives);
    alternatives.into_iter().any(|atom| {
        atom.name == of
            && atom
                .constraint
                .is_none_or(|(relation, wanted)| relation.accepts(larder_solver::compare(version, wanted.as_str())))
    })
}

/// A package of one's own that isn't there is no riddle for the solver.
fn check_roots(host: &Host, mixed: &Mixed<'_>, roots: &[Root]) -> Result<()> {
    for root in roots.iter().filter(|root| root.name.contains('/')) {
        if mixed.candidates(&root.name).is_empty() && mixed.providers(&root.name).is_empty() {
            let names = host.store.refs().names(larder_store::refs::RefKind::Package)?;
            let nearest = larder_solver::nearest_names(&root.name, names.iter().map(String::as_str));
            return Err(Error::NoOwnPackage { package: Name::parse(&root.name)?, nearest });
        }
    }
    Ok(())
}

/// An override that replaces nothing voids no guarantee; whoever wrote it should know.
fn check_used(replaced: &[Replaced], solution: &Solution) -> Result<()> {
    match replaced.iter().find(|replaced| solution.get(solver_name(&replaced.stands_in.by)).is_none()) {
        None => Ok(()),
        Some(unused) => Err(Error::UnusedOverride { of: unused.stands_in.of.clone() }),
    }
}

fn source(mixed: &Mixed<'_>, debian: Option<&Distribution>, id: PackageId) -> Source {
    match (mixed.own(id), debian) {
        (Ok(own), _) => Source::Store { import: own.import.clone(), distribution: own.distribution.clone() },
        (Err(id), Some(debian)) => Source::Archive(debian.archive_file(id)),
        (Err(id), None) => unreachable!("{id} is no id of this universe"),
    }
}

/// Two distributions may pin different things as long as the image has none of them.
fn check_pins(distributions: &[Curated], sources: &[Source]) -> Result<()> {
    for source in sources {
        let Source::Store { import, distribution: Some(by) } = source else { continue };
        let other = distributions.iter().find(|other| other.get(&import.name).is_some_and(|pin| pin != import));
        if let Some(other) = other {
            let pinned = other.get(&import.name).map(|pin| pin.version.clone()).unwrap_or_default();
            return Err(Error::PinnedTwice {
                package: import.name.clone(),
                first: (by.clone(), import.version.clone()),
                second: (other.name.clone(), pinned),
            });
        }
    }
    Ok(())
}
