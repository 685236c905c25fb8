//! From "there is no answer" to reasons.
//!
//! The SAT solver only says *that* a smallest set of roots has no answer. The reasons are then found again by hand, so
//! that they do not depend on how the solver happened to search: what only one name can meet is taken (its preferred
//! version), everything that it excludes is ruled out, and so on; where several names could meet a clause, each is tried
//! and refuted. The result explains why the preferred versions fail; older ones are not spelled out one by one.

use std::collections::{BTreeMap, HashMap};

use super::catalog::{Catalog, NameId, Pick};
use super::check::Choice;
use super::prefer::Preferences;
use super::problem::{Problem, RootClause};
use super::sat::Sat;
use crate::failure::{Exclusion, Place};
use crate::requirement::raw;
use crate::{Failure, Reason, Request};

/// How many ways are tried before the explanation stays general.
const BUDGET: u32 = 400;

/// Explains why a problem has no answer.
pub(crate) fn explain(
    catalog: &Catalog<'_>,
    preferences: &Preferences,
    request: &Request<'_>,
    problem: &Problem,
) -> Failure {
    let alone: Vec<Reason> = problem.roots.iter().filter_map(|root| hopeless(catalog, request, root)).collect();
    if !alone.is_empty() {
        return Failure { roots: Vec::new(), reasons: alone };
    }
    let core = core(catalog, preferences, problem);
    let mut explainer = Explainer { catalog, budget: BUDGET };
    let open =
        core.iter().map(|root| Open { by: None, text: written(catalog, request, root), picks: root.picks.clone() });
    let reasons = explainer.refute(Frame::default(), open.collect()).unwrap_or_else(|| vec![Reason::Together]);
    Failure { roots: core.iter().map(|root| written(catalog, request, root)).collect(), reasons }
}

fn written(catalog: &Catalog<'_>, request: &Request<'_>, root: &RootClause) -> String {
    match (root.written, root.picks.first()) {
        (Some(index), _) => request.roots[index].to_string(),
        (None, Some(pick)) => format!("{} (of the base)", catalog.name(pick.name).text),
        (None, None) => String::new(),
    }
}

/// The reason of a root that nothing meets, whatever else is asked for.
fn hopeless(catalog: &Catalog<'_>, request: &Request<'_>, root: &RootClause) -> Option<Reason> {
    if !root.picks.is_empty() {
        return None;
    }
    let wanted = &request.roots[root.written?];
    let entry = catalog.name(catalog.name_id(&wanted.name));
    if entry.real.is_empty() && catalog.universe().providers(&wanted.name).is_empty() {
        let nearest = catalog.universe().nearest_names(&wanted.name);
        return Some(Reason::Missing { name: wanted.name.clone(), nearest });
    }
    let versions = entry.real.iter().map(|id| catalog.universe().package(*id).version.to_owned()).collect();
    Some(Reason::NoVersion { root: wanted.to_string(), versions })
}

/// A smallest set of roots without an answer. Runs of roots are left out in turn, and stay out where that changes nothing:
/// first long runs, because most roots have no part in it, then single roots.
fn core(catalog: &Catalog<'_>, preferences: &Preferences, problem: &Problem) -> Vec<RootClause> {
    let mut sat = Sat::new(catalog, preferences, Choice::new());
    let mut core: Vec<RootClause> = problem.roots.clone();
    let mut run = core.len().div_ceil(2).max(1);
    loop {
        let mut end = core.len();
        while end > 0 {
            let start = end.saturating_sub(run);
            let others = core[..start].iter().chain(&core[end..]);
            if sat.solve(others.map(|root| root.picks.as_slice()), &BTreeMap::new()).is_none() {
                core.drain(start..end);
            }
            end = start;
        }
        if run == 1 {
            return core;
        }
        run = run.div_ceil(2);
    }
}

/// A clause that has to be met.
#[derive(Clone)]
struct Open {
    by: Option<Pick>,
    text: String,
    picks: Vec<Pick>,
}

/// A name that is taken, because a clause leaves no other.
#[derive(Clone)]
struct Taken {
    /// The version taken first, then the others that the clauses leave.
    domain: Vec<Pick>,
    by: Option<Pick>,
    text: String,
}

#[derive(Clone, Default)]
struct Frame {
    order: Vec<NameId>,
    taken: HashMap<NameId, Taken>,
}

impl Frame {
    fn first(&self, name: NameId) -> Option<Pick> {
        self.taken.get(&name).map(|taken| taken.domain[0])
    }
}

struct Explainer<'c, 'u> {
    catalog: &'c Catalog<'u>,
    budget: u32,
}

impl Explainer<'_, '_> {
    /// Why the open clauses can't all be met beside what is taken; `None` when that was not found.
    fn refute(&mut self, mut frame: Frame, mut open: Vec<Open>) -> Option<Vec<Reason>> {
        self.budget = self.budget.checked_sub(1)?;
        loop {
            let mut changed = false;
            let mut index = 0;
            while let Some(clause) = open.get(index).cloned() {
                index += 1;
                let (viable, ruled) = self.sort_out(&frame, &clause);
                let Some(first) = viable.first().copied() else {
                    return Some(vec![self.unmet(&frame, &clause, ruled)]);
                };
                if viable.iter().any(|pick| pick.name != first.name) {
                    continue;
                }
                changed |= self.take(&mut frame, &mut open, &clause, viable);
            }
            if !changed {
                break;
            }
        }
        let (clause, viable, mut options) = self.widest_gap(&frame, &open)?;
        for pick in viable {
            let mut next = frame.clone();
            let mut still_open = open.clone();
            self.take(&mut next, &mut still_open, &clause, vec![pick]);
            options.extend(self.refute(next, still_open)?);
        }
        Some(vec![self.unmet(&frame, &clause, options)])
    }

    /// The open clause with the fewest ways left, these ways (one version a name) and why the others are ruled out.
    fn widest_gap(&self, frame: &Frame, open: &[Open]) -> Option<(Open, Vec<Pick>, Vec<Reason>)> {
        let mut best: Option<(Open, Vec<Pick>, Vec<Reason>)> = None;
        for clause in open {
            if clause.picks.iter().any(|pick| frame.first(pick.name) == Some(*pick)) {
                continue;
            }
            let (mut viable, ruled) = self.sort_out(frame, clause);
            let mut seen: Vec<NameId> = Vec::new();
            viable.retain(|pick| {
                !seen.contains(&pick.name) && {
                    seen.push(pick.name);
                    true
                }
            });
            if best.as_ref().is_none_or(|(_, ways, _)| viable.len() < ways.len()) {
                best = Some((clause.clone(), viable, ruled));
            }
        }
        best
    }

    /// Takes the only name that a clause leaves, or narrows its versions. Says whether anything changed.
    fn take(&self, frame: &mut Frame, open: &mut Vec<Open>, clause: &Open, viable: Vec<Pick>) -> bool {
        let name = viable[0].name;
        let before = frame.first(name);
        match frame.taken.get_mut(&name) {
            Some(taken) => {
                let length = taken.domain.len();
                taken.domain.retain(|pick| viable.contains(pick));
                if taken.domain.len() == length {
                    return false;
                }
                (taken.by, taken.text) = (clause.by, clause.text.clone());
            }
            None => {
                frame.order.push(name);
                let taken = Taken { domain: viable, by: clause.by, text: clause.text.clone() };
                frame.taken.insert(name, taken);
            }
        }
        let now = frame.first(name);
        if now != before {
            open.retain(|clause| clause.by.is_none() || clause.by != before);
            if let Some(pick) = now {
                let package = self.catalog.package(pick.id);
                for clause in self.catalog.requires(&package) {
                    open.push(Open { by: Some(pick), text: clause.text.to_owned(), picks: clause.picks().collect() });
                }
            }
        }
        true
    }

    /// Which packages could still meet a clause, and why the others (one version a name) can't.
    fn sort_out(&self, frame: &Frame, clause: &Open) -> (Vec<Pick>, Vec<Reason>) {
        let mut viable: Vec<Pick> = Vec::new();
        let mut ruled: Vec<(NameId, Reason)> = Vec::new();
        for pick in clause.picks.iter().copied() {
            match self.ruled_out(frame, clause, pick) {
                None if viable.contains(&pick) => {}
                None => viable.push(pick),
                Some(_) if ruled.iter().any(|(name, _)| *name == pick.name) => {}
                Some(reason) => ruled.push((pick.name, reason)),
            }
        }
        ruled.retain(|(name, _)| viable.iter().all(|pick| pick.name != *name));
        (viable, ruled.into_iter().map(|(_, reason)| reason).collect())
    }

    /// Why a package can't stand beside what is taken.
    fn ruled_out(&self, frame: &Frame, clause: &Open, pick: Pick) -> Option<Reason> {
        let place = || self.place(frame, pick, clause.by);
        let package = self.catalog.package(pick.id);
        if let Some(lacking) = self.catalog.requires(&package).iter().find(|clause| clause.picks().next().is_none()) {
            return Some(self.unknown(place(), lacking.text));
        }
        if let Some(taken) = frame.taken.get(&pick.name) {
            if taken.domain.contains(&pick) {
                return None;
            }
            let other = self.place(frame, taken.domain[0], taken.by);
            return Some(Reason::OtherVersion { package: place(), taken: other, because: taken.text.clone() });
        }
        for name in &frame.order {
            let Some(taken) = frame.taken.get(name) else { continue };
            let other = taken.domain[0];
            if let Some((field, clause)) = self.excludes(other, pick) {
                let by = self.place(frame, other, taken.by);
                return Some(Reason::Excluded { by, field, clause, package: place() });
            }
            if let Some((field, clause)) = self.excludes(pick, other) {
                let package = self.place(frame, other, taken.by);
                return Some(Reason::Excluded { by: place(), field, clause, package });
            }
        }
        None
    }

    fn excludes(&self, by: Pick, other: Pick) -> Option<(Exclusion, String)> {
        let package = self.catalog.package(by.id);
        let clause = self.catalog.excludes(&package).iter().find(|clause| clause.picks().any(|pick| pick == other))?;
        let conflicts = raw::clauses(package.info.conflicts).any(|text| text == clause.text);
        let field = if conflicts { Exclusion::Conflicts } else { Exclusion::Breaks };
        Some((field, clause.text.to_owned()))
    }

    /// A clause whose names exist in no version that fits, or do not exist.
    fn unknown(&self, package: Place, requirement: &str) -> Reason {
        let mut there_is = Vec::new();
        for atom in requirement.split('|').filter_map(|text| raw::atom(text).ok()) {
            let entry = self.catalog.name(self.catalog.name_id(atom.name));
            let versions = entry.real.iter().map(|id| self.catalog.universe().package(*id).version);
            there_is.extend(versions.map(|version| format!("{} {version}", atom.name)));
        }
        Reason::Unknown { package, requirement: requirement.to_owned(), there_is }
    }

    /// A clause without a way left. Where there is only one thing to say, that is said instead.
    fn unmet(&self, frame: &Frame, clause: &Open, mut options: Vec<Reason>) -> Reason {
        options.dedup();
        if options.len() == 1 {
            return options.remove(0);
        }
        let package =
            clause.by.map(|pick| self.place(frame, pick, frame.taken.get(&pick.name).and_then(|taken| taken.by)));
        Reason::Unmet { package, requirement: clause.text.clone(), options }
    }

    fn place(&self, frame: &Frame, pick: Pick, by: Option<Pick>) -> Place {
        let info = self.catalog.universe().package(pick.id);
        let mut path = Vec::new();
        let mut next = by;
        while let Some(parent) = next {
            let info = self.catalog.universe().package(parent.id);
            let text = format!("{} {}", info.name, info.version);
            if path.contains(&text) {
                break;
            }
            path.push(text);
            next = frame.taken.get(&parent.name).and_then(|taken| taken.by);
        }
        path.reverse();
        Place { name: info.name.to_owned(), version: info.version.to_owned(), path }
    }
}
