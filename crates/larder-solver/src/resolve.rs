//! Resolution: roots and universe to answer or reasons.
//!
//! 1. The request is looked up in a [`catalog::Catalog`], which expands provides and parses only what is visited.
//! 2. With a lock: the earlier answer with the freed names at their newest, where that is valid.
//! 3. [`propose`] makes a choice the way apt does. Where it is valid, it is the answer.
//! 4. Else [`search`] finds one with [`sat`], or proves that there is none; it prefers what was proposed.
//! 5. Where there is none, [`explain`] says why.
//! 6. [`check::needed`] drops what nothing needs, [`links`] says why each package is there.
//!
//! The answer depends on the set of roots, not on their order: they are sorted first, and every list that the universe
//! gives is sorted where it is read.

mod catalog;
mod check;
mod explain;
mod links;
mod prefer;
mod problem;
mod propose;
mod sat;
mod search;

use self::catalog::Catalog;
use self::check::Choice;
use self::prefer::Preferences;
use self::problem::Problem;
use crate::{Failure, Request, Solution, Universe};

/// Chooses packages so that every root, requirement and conflict is honoured.
///
/// # Errors
/// A [`Failure`] that says why no such choice exists.
pub fn resolve(universe: &dyn Universe, request: &Request<'_>) -> Result<Solution, Failure> {
    let catalog = Catalog::new(universe);
    let preferences = Preferences::new(&catalog, request);
    let problem = Problem::new(&catalog, request);
    let earlier = preferences.earlier(&catalog);
    if !earlier.is_empty() && !request.recommends && check::is_valid(&catalog, &problem, &earlier) {
        return Ok(answer(&catalog, request, &problem, &earlier));
    }
    let proposal = propose::propose(&catalog, &preferences, &problem);
    if check::is_valid(&catalog, &problem, &proposal) {
        return Ok(answer(&catalog, request, &problem, &proposal));
    }
    match search::search(&catalog, &preferences, &problem, proposal) {
        Some(choice) => Ok(answer(&catalog, request, &problem, &choice)),
        None => Err(explain::explain(&catalog, &preferences, request, &problem)),
    }
}

fn answer(catalog: &Catalog<'_>, request: &Request<'_>, problem: &Problem, choice: &Choice) -> Solution {
    let choice = check::needed(catalog, problem, choice);
    links::solution(catalog, request, problem, &choice)
}
