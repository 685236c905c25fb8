//! Which version of a name is tried first, and which of several packages.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use super::catalog::{Catalog, NameId, Pick};
use crate::{PackageId, Request, Update};

/// The preferences of one request. They never make an answer invalid; they choose among valid ones.
pub(crate) struct Preferences {
    /// The one version of a name that is tried first: the best that the roots' pins accept, locked or newest.
    candidates: HashMap<NameId, Option<PackageId>>,
    /// The names that are locked: among alternatives they come first, so that an update keeps its choices.
    locked: HashSet<NameId>,
    /// The names whose lock is lifted.
    freed: HashSet<NameId>,
}

impl Preferences {
    pub(crate) fn new(catalog: &Catalog<'_>, request: &Request<'_>) -> Self {
        let mut candidates = HashMap::new();
        let mut locked = HashSet::new();
        let mut freed = HashSet::new();
        let mut note = |name: &str| {
            let id = catalog.name_id(name);
            let entry = catalog.name(id);
            let version = |id: PackageId| catalog.universe().package(id).version;
            let pinned = |package: &PackageId| {
                request.roots.iter().filter(|root| root.name == name).all(|root| root.accepts(version(*package)))
            };
            let favoured = request.favoured(name);
            let accepted: Vec<PackageId> = entry.real.iter().copied().filter(pinned).collect();
            let kept = accepted.iter().copied().find(|package| Some(version(*package)) == favoured);
            candidates.insert(id, kept.or(accepted.first().copied()));
            id
        };
        for root in request.roots {
            note(&root.name);
        }
        if request.update != Update::All {
            for name in request.locked.keys() {
                locked.insert(note(name));
            }
        }
        if let Update::Some(names) = &request.update {
            for name in names {
                freed.insert(note(name));
            }
        }
        Self { candidates, locked, freed }
    }

    /// The version of a name to try first.
    pub(crate) fn candidate(&self, catalog: &Catalog<'_>, name: NameId) -> Option<PackageId> {
        match self.candidates.get(&name) {
            Some(candidate) => *candidate,
            None => catalog.name(name).real.first().copied(),
        }
    }

    /// The earlier answer with freed names at their newest: often it still answers, and then nothing else has to change.
    pub(crate) fn earlier(&self, catalog: &Catalog<'_>) -> HashMap<NameId, PackageId> {
        self.locked.iter().filter_map(|name| Some((*name, self.candidate(catalog, *name)?))).collect()
    }

    /// Whether a name was chosen before and is not forgotten; its version may be freed.
    pub(crate) fn is_locked(&self, name: NameId) -> bool {
        self.locked.contains(&name)
    }

    /// Whether the update is about this name.
    pub(crate) fn is_freed(&self, name: NameId) -> bool {
        self.freed.contains(&name)
    }
}

/// Orders packages that satisfy one alternative as apt does (`CompareProviders` of apt 2.6): the package of that very
/// name, then Essential ones, then by Priority, then by the archive's order (where the universe has one), then by name.
/// Versions of one name come newest first.
pub(crate) fn by_preference(catalog: &Catalog<'_>, wanted: Option<NameId>, a: Pick, b: Pick) -> Ordering {
    let (x, y) = (catalog.package(a.id), catalog.package(b.id));
    if a.name == b.name {
        return crate::compare(y.info.version, x.info.version).then_with(|| a.id.cmp(&b.id));
    }
    (Some(b.name) == wanted)
        .cmp(&(Some(a.name) == wanted))
        .then_with(|| y.info.essential.cmp(&x.info.essential))
        .then_with(|| x.info.priority.cmp(&y.info.priority))
        .then_with(|| catalog.universe().archive_order(b.id).cmp(&catalog.universe().archive_order(a.id)))
        .then_with(|| x.info.name.cmp(y.info.name))
}
