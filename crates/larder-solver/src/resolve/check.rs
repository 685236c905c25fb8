//! Whether a choice of packages is an answer, and what of it is needed.

use std::collections::{HashMap, HashSet, VecDeque};

use super::catalog::{Catalog, NameId, Pick};
use super::problem::Problem;
use crate::PackageId;

/// Chosen packages: one version of each name.
pub(crate) type Choice = HashMap<NameId, PackageId>;

pub(crate) fn has(choice: &Choice, pick: Pick) -> bool {
    choice.get(&pick.name) == Some(&pick.id)
}

/// Whether the choice meets every root and requirement and holds nothing that excludes another.
pub(crate) fn is_valid(catalog: &Catalog<'_>, problem: &Problem, choice: &Choice) -> bool {
    problem.roots.iter().all(|root| root.picks.iter().any(|pick| has(choice, *pick)))
        && choice.values().all(|id| {
            let package = catalog.package(*id);
            catalog.requires(&package).iter().all(|clause| clause.picks().any(|pick| has(choice, pick)))
                && !catalog.excludes(&package).iter().any(|clause| clause.picks().any(|pick| has(choice, pick)))
        })
}

/// What of a valid choice can be reached from the roots: through every alternative that is there, as apt's autoremover
/// does, so that what stays does not depend on which of two satisfied alternatives is looked at.
pub(crate) fn needed(catalog: &Catalog<'_>, problem: &Problem, choice: &Choice) -> Choice {
    let mut queue: VecDeque<Pick> = VecDeque::new();
    for root in &problem.roots {
        queue.extend(root.picks.iter().copied().filter(|pick| has(choice, *pick)));
    }
    let mut seen: HashSet<Pick> = HashSet::new();
    while let Some(pick) = queue.pop_front() {
        if !seen.insert(pick) {
            continue;
        }
        let package = catalog.package(pick.id);
        let recommends = if problem.recommends { catalog.recommends(&package) } else { &[] };
        for clause in catalog.requires(&package).iter().chain(recommends) {
            queue.extend(clause.picks().filter(|next| has(choice, *next) && !seen.contains(next)));
        }
    }
    seen.into_iter().map(|pick| (pick.name, pick.id)).collect()
}
