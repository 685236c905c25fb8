//! The search for an answer where apt's way gives none: the SAT solver, asked again until the answer is close to what
//! the preferences want.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::rc::Rc;

use super::catalog::{Catalog, NameId, Pick};
use super::check::{self, Choice, has};
use super::prefer::Preferences;
use super::problem::Problem;
use super::sat::Sat;
use crate::PackageId;

/// An answer, or `None` where there is none.
///
/// Versions: each name of the answer has its preferred version (the locked one, or the newest), unless taking it
/// would leave no answer given those names that already have theirs. Freed names come first, then locked ones, then the rest,
/// each by name. So an update changes what constraints force and nothing else.
///
/// Recommends: each clause that an answer can meet without changing the versions chosen is met.
pub(crate) fn search(
    catalog: &Catalog<'_>,
    preferences: &Preferences,
    problem: &Problem,
    hint: Choice,
) -> Option<Choice> {
    let mut sat = Sat::new(catalog, preferences, hint.clone());
    let demands: Vec<&[Pick]> = problem.roots.iter().map(|root| root.picks.as_slice()).collect();
    let first = sat.solve(demands.iter().copied(), &BTreeMap::new())?;
    let choice = prefer_versions(&mut sat, preferences, problem, &demands, catalog, first);
    let choice = keep_proposed(catalog, problem, &hint, choice);
    if problem.recommends {
        Some(add_recommended(catalog, preferences, problem, &demands, choice))
    } else {
        Some(choice)
    }
}

/// Moves names to their preferred versions, one after the other.
fn prefer_versions(
    sat: &mut Sat<'_, '_>,
    preferences: &Preferences,
    problem: &Problem,
    demands: &[&[Pick]],
    catalog: &Catalog<'_>,
    first: Choice,
) -> Choice {
    let mut choice = check::needed(catalog, problem, &first);
    let mut granted: BTreeMap<NameId, PackageId> = BTreeMap::new();
    let mut refused: HashSet<NameId> = HashSet::new();
    loop {
        let mut next: Option<(Turn, Rc<str>, Pick)> = None;
        for (name, id) in &choice {
            let Some(wanted) = preferences.candidate(catalog, *name) else { continue };
            if wanted == *id || refused.contains(name) {
                continue;
            }
            let (turn, text) = (turn(preferences, *name), Rc::clone(&catalog.name(*name).text));
            if next.as_ref().is_none_or(|(other, other_text, _)| (turn, &text) < (*other, other_text)) {
                next = Some((turn, text, Pick { id: wanted, name: *name }));
            }
        }
        let Some((now, _, wish)) = next else { return choice };
        let mut only = granted.clone();
        for (name, id) in &choice {
            if turn(preferences, *name) <= now && preferences.candidate(catalog, *name) == Some(*id) {
                only.insert(*name, *id);
            }
        }
        only.insert(wish.name, wish.id);
        match sat.solve(demands.iter().copied(), &only) {
            Some(better) => {
                choice = check::needed(catalog, problem, &better);
                granted.insert(wish.name, wish.id);
            }
            None => {
                refused.insert(wish.name);
            }
        }
    }
}

/// Adds what was proposed and still fits, so that two alternatives that apt would both install both stay (the SAT solver
/// takes one). What nothing in the answer mentions goes again.
fn keep_proposed(catalog: &Catalog<'_>, problem: &Problem, proposal: &Choice, choice: Choice) -> Choice {
    let mut wider = choice.clone();
    for (name, id) in proposal {
        wider.entry(*name).or_insert(*id);
    }
    loop {
        let mut misfits: Vec<NameId> = Vec::new();
        for (name, id) in &wider {
            let package = catalog.package(*id);
            if catalog.requires(&package).iter().any(|clause| !clause.picks().any(|pick| has(&wider, pick))) {
                misfits.push(*name);
            }
            for pick in catalog.excludes(&package).iter().flat_map(|clause| clause.picks()) {
                if has(&wider, pick) {
                    misfits.extend([*name, pick.name].into_iter().filter(|name| !choice.contains_key(name)));
                }
            }
        }
        if misfits.is_empty() {
            return check::needed(catalog, problem, &wider);
        }
        for name in misfits {
            wider.remove(&name);
        }
    }
}

/// Whose preference comes first where not all can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    /// What the update is about.
    Freed,
    /// What was chosen before.
    Locked,
    /// Everything new.
    New,
}

fn turn(preferences: &Preferences, name: NameId) -> Turn {
    match (preferences.is_freed(name), preferences.is_locked(name)) {
        (true, _) => Turn::Freed,
        (false, true) => Turn::Locked,
        (false, false) => Turn::New,
    }
}

/// Adds what the answer recommends, clause by clause in the order of the packages' names, where it can be had.
fn add_recommended(
    catalog: &Catalog<'_>,
    preferences: &Preferences,
    problem: &Problem,
    demands: &[&[Pick]],
    first: Choice,
) -> Choice {
    let mut sat = Sat::new(catalog, preferences, first.clone());
    let mut choice = first;
    let mut wishes: Vec<Vec<Pick>> = Vec::new();
    let mut tried: BTreeSet<(NameId, usize)> = BTreeSet::new();
    loop {
        let mut next: Option<(Rc<str>, usize, NameId, Vec<Pick>)> = None;
        for (name, id) in &choice {
            let package = catalog.package(*id);
            let open = catalog.recommends(&package).iter().enumerate().find(|(index, clause)| {
                !tried.contains(&(*name, *index)) && !clause.picks().any(|pick| has(&choice, pick))
            });
            let Some((index, clause)) = open else { continue };
            let text = Rc::clone(&catalog.name(*name).text);
            if next.as_ref().is_none_or(|(other, ..)| text < *other) {
                next = Some((text, index, *name, clause.picks().collect()));
            }
        }
        let Some((_, index, name, picks)) = next else { return choice };
        tried.insert((name, index));
        let only: BTreeMap<NameId, PackageId> = choice.iter().map(|(name, id)| (*name, *id)).collect();
        let all = demands.iter().copied().chain(wishes.iter().map(Vec::as_slice)).chain([picks.as_slice()]);
        if let Some(more) = sat.solve(all, &only) {
            choice = check::needed(catalog, problem, &more);
            wishes.push(picks);
        }
    }
}
