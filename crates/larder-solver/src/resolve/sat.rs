//! The SAT solver, for what apt's way does not answer.
//!
//! Each name is a resolvo package and each of its versions a solvable; a version set is a list of versions of one name.
//! A clause is a union of version sets in the order of preference; a conflict is a constraint to all the other versions
//! of a name. resolvo takes the first undecided candidate of the first open clause, so the order of the sets is the
//! preference, and what is already chosen is never chosen twice.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::rc::Rc;

use resolvo::utils::{Pool, VersionSet};
use resolvo::{
    Candidates, Condition, ConditionId, ConditionalRequirement, Dependencies, DependencyProvider,
    HintDependenciesAvailable, Interner, KnownDependencies, NameId as PoolName, Problem as PoolProblem, SolvableId,
    Solver, SolverCache, StringId, VersionSetId, VersionSetUnionId,
};

use super::catalog::{Catalog, Clause, NameId, Pick};
use super::check::{Choice, has};
use super::prefer::Preferences;
use crate::PackageId;

/// Versions of one name, sorted by id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Versions(Rc<[PackageId]>);

impl VersionSet for Versions {
    type V = PackageId;
}

/// A solver over one catalog. It keeps what it has encoded, so that asking again is cheap.
pub(crate) struct Sat<'c, 'u> {
    solver: Solver<Provider<'c, 'u>>,
}

struct Provider<'c, 'u> {
    catalog: &'c Catalog<'u>,
    preferences: &'c Preferences,
    /// Packages that are taken where there is a choice.
    hint: Choice,
    pool: Pool<Versions, NameId>,
    solvables: RefCell<HashMap<PackageId, SolvableId>>,
}

impl<'c, 'u> Sat<'c, 'u> {
    pub(crate) fn new(catalog: &'c Catalog<'u>, preferences: &'c Preferences, hint: Choice) -> Self {
        let provider = Provider { catalog, preferences, hint, pool: Pool::default(), solvables: RefCell::default() };
        Self { solver: Solver::new(provider) }
    }

    /// A choice that has one of each list of `demands`, in that order of preference, and keeps every name of `only` to
    /// the version given, should it be chosen at all. `None` when there is none.
    pub(crate) fn solve<'d>(
        &mut self,
        demands: impl IntoIterator<Item = &'d [Pick]>,
        only: &BTreeMap<NameId, PackageId>,
    ) -> Option<Choice> {
        let provider = self.solver.provider();
        let mut requirements = Vec::new();
        for picks in demands {
            requirements.push(provider.requirement(picks.iter().copied())?);
        }
        let constraints = only.iter().map(|(name, id)| provider.versions(*name, vec![*id])).collect();
        let problem = PoolProblem::new().requirements(requirements).constraints(constraints);
        let solvables = self.solver.solve(problem).ok()?;
        let pool = &self.solver.provider().pool;
        let chosen = solvables.into_iter().map(|solvable| {
            let solvable = pool.resolve_solvable(solvable);
            (*pool.resolve_package_name(solvable.name), solvable.record)
        });
        Some(chosen.collect())
    }
}

impl Provider<'_, '_> {
    fn pool_name(&self, name: NameId) -> PoolName {
        self.pool.intern_package_name(name)
    }

    fn solvable(&self, pick: Pick) -> SolvableId {
        let name = self.pool_name(pick.name);
        *self.solvables.borrow_mut().entry(pick.id).or_insert_with(|| self.pool.intern_solvable(name, pick.id))
    }

    fn versions(&self, name: NameId, mut ids: Vec<PackageId>) -> VersionSetId {
        ids.sort_unstable();
        ids.dedup();
        self.pool.intern_version_set(self.pool_name(name), Versions(ids.into()))
    }

    /// A union of one version set per name, in the order in which the names first come; `None` for no package at all.
    fn requirement(&self, picks: impl Iterator<Item = Pick>) -> Option<ConditionalRequirement> {
        let mut all: Vec<Pick> = picks.collect();
        all.sort_by_key(|pick| (!has(&self.hint, *pick), !self.preferences.is_locked(pick.name)));
        let mut sets: Vec<(NameId, Vec<PackageId>)> = Vec::new();
        for pick in all {
            match sets.iter_mut().find(|(name, _)| *name == pick.name) {
                Some((_, ids)) => ids.push(pick.id),
                None => sets.push((pick.name, vec![pick.id])),
            }
        }
        let mut sets = sets.into_iter().map(|(name, ids)| self.versions(name, ids));
        let first = sets.next()?;
        let rest: Vec<VersionSetId> = sets.collect();
        if rest.is_empty() {
            return Some(first.into());
        }
        Some(self.pool.intern_version_set_union(first, rest.into_iter()).into())
    }

    fn exclusion(&self, clause: &Clause<'_>, constrains: &mut Vec<VersionSetId>) {
        let mut excluded: BTreeMap<NameId, Vec<PackageId>> = BTreeMap::new();
        for pick in clause.picks() {
            excluded.entry(pick.name).or_default().push(pick.id);
        }
        for (name, ids) in excluded {
            let entry = self.catalog.name(name);
            let left = entry.real.iter().copied().filter(|id| !ids.contains(id)).collect();
            constrains.push(self.versions(name, left));
        }
    }

    fn known(&self, id: PackageId) -> Dependencies {
        let package = self.catalog.package(id);
        let mut known = KnownDependencies::default();
        for clause in self.catalog.requires(&package) {
            match self.requirement(clause.picks()) {
                Some(requirement) => known.requirements.push(requirement),
                None => return Dependencies::Unknown(self.pool.intern_string(clause.text)),
            }
        }
        for clause in self.catalog.excludes(&package) {
            self.exclusion(clause, &mut known.constrains);
        }
        Dependencies::Known(known)
    }
}

impl Interner for Provider<'_, '_> {
    type NameId = PoolName;
    type SolvableId = SolvableId;

    fn display_solvable(&self, solvable: SolvableId) -> impl Display + '_ {
        let info = self.catalog.universe().package(self.pool.resolve_solvable(solvable).record);
        format!("{} {}", info.name, info.version)
    }

    fn display_name(&self, name: PoolName) -> impl Display + '_ {
        self.catalog.name(*self.pool.resolve_package_name(name)).text.to_string()
    }

    fn display_version_set(&self, set: VersionSetId) -> impl Display + '_ {
        let ids = &self.pool.resolve_version_set(set).0;
        let versions: Vec<&str> = ids.iter().map(|id| self.catalog.universe().package(*id).version).collect();
        versions.join(" | ")
    }

    fn display_string(&self, string: StringId) -> impl Display + '_ {
        self.pool.resolve_string(string)
    }

    fn version_set_name(&self, set: VersionSetId) -> PoolName {
        self.pool.resolve_version_set_package_name(set)
    }

    fn solvable_name(&self, solvable: SolvableId) -> PoolName {
        self.pool.resolve_solvable(solvable).name
    }

    fn version_sets_in_union(&self, union: VersionSetUnionId) -> impl Iterator<Item = VersionSetId> {
        self.pool.resolve_version_set_union(union)
    }

    fn resolve_condition(&self, condition: ConditionId) -> Condition {
        self.pool.resolve_condition(condition).clone()
    }
}

impl DependencyProvider for Provider<'_, '_> {
    async fn filter_candidates(&self, candidates: &[SolvableId], set: VersionSetId, inverse: bool) -> Vec<SolvableId> {
        let ids = &self.pool.resolve_version_set(set).0;
        let inside = |solvable: &SolvableId| ids.contains(&self.pool.resolve_solvable(*solvable).record);
        candidates.iter().copied().filter(|solvable| inside(solvable) != inverse).collect()
    }

    async fn get_candidates(&self, name: PoolName) -> Option<Candidates<SolvableId>> {
        let name = *self.pool.resolve_package_name(name);
        let real = &self.catalog.name(name).real;
        let candidates: Vec<SolvableId> = real.iter().map(|id| self.solvable(Pick { id: *id, name })).collect();
        Some(Candidates {
            candidates,
            hint_dependencies_available: HintDependenciesAvailable::None,
            ..Candidates::default()
        })
    }

    async fn sort_candidates(&self, _solver: &SolverCache<Self>, solvables: &mut [SolvableId]) {
        solvables.sort_by_cached_key(|solvable| {
            let solvable = self.pool.resolve_solvable(*solvable);
            let name = *self.pool.resolve_package_name(solvable.name);
            let pick = Pick { id: solvable.record, name };
            let preferred = self.preferences.candidate(self.catalog, name) == Some(pick.id);
            let age = self.catalog.name(name).real.iter().position(|id| *id == pick.id);
            (!has(&self.hint, pick), !preferred, age)
        });
    }

    async fn get_dependencies(&self, solvable: SolvableId) -> Dependencies {
        self.known(self.pool.resolve_solvable(solvable).record)
    }
}
