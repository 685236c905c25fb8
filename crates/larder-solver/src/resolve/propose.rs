//! A first proposal, made the way apt makes it.
//!
//! Debian's archive is built and tested with apt, so where several answers are valid the one that apt gives is the one that
//! is known to work. This module follows `pkgDepCache::MarkInstall` of apt 2.6 for a system on which nothing is
//! installed: depth first, one version of each name, no backtracking beyond the alternatives of a clause. What comes out
//! may be wrong (then the SAT solver decides) and may hold packages that nothing needs any more; the caller checks it.
//!
//! The words are apt's: a name is *marked* when it is to be installed; it is *protected* when its state must not change,
//! because a root demands it or because it is being worked on; its *candidate* is the one version considered, and is
//! discarded once found impossible.
//!
//! One thing is ours: apt puts alternatives that are installed first; here these are the locked ones.

use std::collections::HashMap;
use std::rc::Rc;

use super::catalog::{Catalog, Clause, NameId, Package, Pick};
use super::prefer::Preferences;
use super::problem::Problem;
use crate::PackageId;

/// How deep requirements are followed. apt stops at 3000; what lies deeper than this is left to the SAT solver.
const DEPTH_LIMIT: u32 = 600;

#[derive(Clone, Copy, Default)]
struct State {
    /// Looked up on first use; `Some(None)` is a name without a version, or whose version was found impossible.
    candidate: Option<Option<PackageId>>,
    /// The version marked.
    marked: Option<PackageId>,
    protected: bool,
}

struct Proposer<'c, 'u> {
    catalog: &'c Catalog<'u>,
    preferences: &'c Preferences,
    recommends: bool,
    states: HashMap<NameId, State>,
}

/// How a mark was asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// By the recipe.
    ByRoot,
    /// By a clause of a package.
    ByClause,
}

/// Marks the roots and what they need. Returns the version marked of each name.
pub(crate) fn propose(
    catalog: &Catalog<'_>,
    preferences: &Preferences,
    problem: &Problem,
) -> HashMap<NameId, PackageId> {
    let mut proposer = Proposer { catalog, preferences, recommends: problem.recommends, states: HashMap::new() };
    let mut named: Vec<Pick> = Vec::new();
    let mut provided: Vec<&[Pick]> = Vec::new();
    for root in &problem.roots {
        match root.picks.first() {
            Some(first) if root.picks.iter().all(|pick| pick.name == first.name) => {
                let candidate = proposer.candidate(first.name);
                let pick = root.picks.iter().copied().find(|pick| Some(pick.id) == candidate);
                named.push(pick.unwrap_or(*first));
            }
            _ => provided.push(&root.picks),
        }
    }
    named.sort_by_key(|pick| (catalog.universe().archive_order(pick.id), Rc::clone(&catalog.name(pick.name).text)));
    for pick in &named {
        let state = proposer.states.entry(pick.name).or_default();
        *state = State { candidate: Some(Some(pick.id)), marked: Some(pick.id), protected: true };
    }
    for pick in &named {
        proposer.mark(pick.name, Asked::ByRoot, 0);
    }
    for picks in provided {
        if !picks.iter().any(|pick| proposer.is_marked(*pick)) {
            let options = proposer.options([picks].into_iter());
            proposer.mark_first(&options, false, 0);
        }
    }
    let marked = proposer.states.into_iter().filter_map(|(name, state)| Some((name, state.marked?)));
    marked.collect()
}

impl<'u> Proposer<'_, 'u> {
    fn state(&self, name: NameId) -> State {
        self.states.get(&name).copied().unwrap_or_default()
    }

    fn candidate(&mut self, name: NameId) -> Option<PackageId> {
        let state = self.states.entry(name).or_default();
        match state.candidate {
            Some(candidate) => candidate,
            None => {
                let candidate = self.preferences.candidate(self.catalog, name);
                state.candidate = Some(candidate);
                candidate
            }
        }
    }

    fn is_candidate(&mut self, pick: Pick) -> bool {
        self.candidate(pick.name) == Some(pick.id)
    }

    fn is_marked(&self, pick: Pick) -> bool {
        self.state(pick.name).marked == Some(pick.id)
    }

    fn is_met(&self, clause: &Clause<'_>) -> bool {
        clause.picks().any(|pick| self.is_marked(pick))
    }

    /// Whether a marked package lacks something or excludes something marked.
    fn is_broken(&self, package: &Package<'u>) -> bool {
        let lacks = |clauses: &[Clause<'u>]| clauses.iter().any(|clause| !self.is_met(clause));
        lacks(self.catalog.requires(package))
            || (self.recommends && lacks(self.catalog.recommends(package)))
            || self.catalog.excludes(package).iter().any(|clause| self.is_met(clause))
    }

    /// `MarkInstall` with automatic installation of what is needed.
    fn mark(&mut self, name: NameId, asked: Asked, depth: u32) -> bool {
        if depth > DEPTH_LIMIT {
            return false;
        }
        let Some(candidate) = self.candidate(name) else { return false };
        let state = self.state(name);
        if asked == Asked::ByClause && state.marked.is_none() && state.protected {
            return false;
        }
        let package = self.catalog.package(candidate);
        if !state.protected && state.marked.is_some_and(|marked| !self.is_broken(&self.catalog.package(marked))) {
            return true;
        }
        if !self.could_be_met(&package) {
            if !state.protected {
                *self.states.entry(name).or_default() = State { candidate: Some(None), ..State::default() };
            }
            return false;
        }
        let fail_early = !state.protected && asked == Asked::ByClause;
        let mut failed = false;
        if !self.remove_excluded(&package, state.protected, asked) {
            if fail_early {
                return false;
            }
            failed = true;
        }
        let entry = self.states.entry(name).or_default();
        entry.marked = Some(candidate);
        entry.protected = true;
        let met = self.mark_requirements(&package, state.protected, asked, depth);
        self.states.entry(name).or_default().protected = state.protected;
        if !met {
            if fail_early {
                *self.states.entry(name).or_default() = State { candidate: Some(None), ..State::default() };
                return false;
            }
            failed = true;
        }
        !failed
    }

    /// Whether each requirement has a marked package or a candidate that meets it.
    fn could_be_met(&mut self, package: &Package<'u>) -> bool {
        let catalog = self.catalog;
        catalog
            .requires(package)
            .iter()
            .all(|clause| clause.picks().any(|pick| self.is_marked(pick) || self.is_candidate(pick)))
    }

    /// Makes room for a package: what it excludes loses its mark; for a protected package it loses its candidate too.
    fn remove_excluded(&mut self, package: &Package<'u>, protected: bool, asked: Asked) -> bool {
        let catalog = self.catalog;
        let mut failed = false;
        let stop_at_failure = !protected && asked == Asked::ByClause;
        for clause in catalog.excludes(package) {
            if !protected && !self.is_met(clause) {
                continue;
            }
            for pick in clause.picks() {
                if !self.is_candidate(pick) {
                    continue;
                }
                let state = self.states.entry(pick.name).or_default();
                if state.marked.is_some() && state.protected {
                    failed = true;
                    if stop_at_failure {
                        break;
                    }
                    continue;
                }
                state.marked = None;
                if protected {
                    state.candidate = Some(None);
                    state.protected = true;
                }
            }
            if failed && stop_at_failure {
                break;
            }
        }
        !failed
    }

    /// `MarkInstall_InstallDependencies`: marks something for each requirement that is not met. What a protected package
    /// needs and only one package can give becomes protected as well.
    fn mark_requirements(&mut self, package: &Package<'u>, protected: bool, asked: Asked, depth: u32) -> bool {
        let catalog = self.catalog;
        let mut failed = false;
        let requires = catalog.requires(package).iter().map(|clause| (clause, true));
        let recommended = if self.recommends { catalog.recommends(package) } else { &[] };
        let pending: Vec<(&Clause<'u>, bool)> = requires
            .chain(recommended.iter().map(|clause| (clause, false)))
            .filter(|(clause, _)| protected || !self.is_met(clause))
            .collect();
        for (clause, critical) in pending {
            if self.is_met(clause) {
                if protected && critical && !self.protect_only(clause, depth) {
                    failed = true;
                }
                continue;
            }
            let options = self.options(clause.alternatives.iter().map(AsRef::as_ref));
            if !self.mark_first(&options, protected && critical, depth) && critical {
                failed = true;
                if !protected && asked == Asked::ByClause {
                    break;
                }
            }
        }
        !failed
    }

    /// Protects the one candidate that can meet a clause, if there is only one, with all that it needs.
    fn protect_only(&mut self, clause: &Clause<'u>, depth: u32) -> bool {
        let options = self.options(clause.alternatives.iter().map(AsRef::as_ref));
        let [only] = options.as_slice() else { return true };
        if self.state(only.name).protected {
            return true;
        }
        self.states.entry(only.name).or_default().protected = true;
        self.mark(only.name, Asked::ByClause, depth + 1)
    }

    /// Marks the first of `options` for which that works.
    fn mark_first(&mut self, options: &[Pick], protect: bool, depth: u32) -> bool {
        for pick in options {
            if !self.is_candidate(*pick) {
                continue;
            }
            if protect && options.len() == 1 {
                // As apt does: first only the mark, then protection, then what it needs.
                let state = self.state(pick.name);
                if state.protected && state.marked.is_none() {
                    continue;
                }
                let state = self.states.entry(pick.name).or_default();
                state.marked = Some(pick.id);
                state.protected = true;
            }
            if self.mark(pick.name, Asked::ByClause, depth + 1) {
                return true;
            }
        }
        false
    }

    /// The candidates that meet a clause, in the order in which they are tried; without those that are ruled out.
    fn options<'p>(&mut self, alternatives: impl Iterator<Item = &'p [Pick]>) -> Vec<Pick> {
        let mut options: Vec<Pick> = Vec::new();
        for alternative in alternatives {
            let mut picks: Vec<Pick> = alternative.iter().copied().filter(|pick| self.is_candidate(*pick)).collect();
            picks.sort_by_key(|pick| !self.state(pick.name).protected);
            options.extend(picks);
        }
        options.sort_by_key(|pick| !self.preferences.is_locked(pick.name));
        options.dedup();
        options.retain(|pick| {
            let state = self.state(pick.name);
            !(state.protected && state.marked.is_none())
        });
        options
    }
}
