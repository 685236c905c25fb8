//! Why each chosen package is there.

use std::collections::{HashMap, VecDeque};

use super::catalog::{Catalog, Clause, NameId, Pick};
use super::check::{Choice, has};
use super::problem::Problem;
use crate::{Chosen, Link, Request, Solution};

/// Builds the answer: sorted by name, each package with the nearest cause. Causes are looked for breadth first: from the
/// recipe's roots, then from the base, and through `Recommends` only where no requirement leads.
pub(crate) fn solution(catalog: &Catalog<'_>, request: &Request<'_>, problem: &Problem, choice: &Choice) -> Solution {
    let mut walk = Walk { catalog, choice, links: HashMap::new(), queue: VecDeque::new(), reached: Vec::new() };
    for written in [true, false] {
        for root in problem.roots.iter().filter(|root| root.written.is_some() == written) {
            for pick in root.picks.iter().copied().filter(|pick| has(choice, *pick)) {
                let link = match root.written {
                    Some(index) => Link::Root(request.roots[index].to_string()),
                    None => Link::Base,
                };
                walk.reach(pick, || link.clone());
            }
        }
        walk.follow();
    }
    if problem.recommends {
        let mut next = 0;
        while let Some(pick) = walk.reached.get(next).copied() {
            next += 1;
            let package = catalog.package(pick.id);
            for clause in catalog.recommends(&package) {
                walk.cross(clause, |by, requirement| Link::Recommended { by, requirement }, package.info.name);
            }
            walk.follow();
        }
    }
    let mut links = walk.links;
    let mut packages: Vec<Chosen> = choice
        .iter()
        .map(|(name, id)| {
            let info = catalog.universe().package(*id);
            Chosen {
                id: *id,
                name: info.name.to_owned(),
                version: info.version.to_owned(),
                link: links.remove(name).unwrap_or(Link::Base),
            }
        })
        .collect();
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    Solution { packages }
}

struct Walk<'a, 'u> {
    catalog: &'a Catalog<'u>,
    choice: &'a Choice,
    links: HashMap<NameId, Link>,
    queue: VecDeque<Pick>,
    reached: Vec<Pick>,
}

impl Walk<'_, '_> {
    fn reach(&mut self, pick: Pick, link: impl FnOnce() -> Link) {
        if let std::collections::hash_map::Entry::Vacant(entry) = self.links.entry(pick.name) {
            entry.insert(link());
            self.queue.push_back(pick);
            self.reached.push(pick);
        }
    }

    fn cross(&mut self, clause: &Clause<'_>, link: fn(String, String) -> Link, by: &str) {
        for pick in clause.picks().filter(|pick| has(self.choice, *pick)) {
            self.reach(pick, || link(by.to_owned(), clause.text.to_owned()));
        }
    }

    fn follow(&mut self) {
        while let Some(pick) = self.queue.pop_front() {
            let package = self.catalog.package(pick.id);
            for clause in self.catalog.requires(&package) {
                self.cross(clause, |by, requirement| Link::Needed { by, requirement }, package.info.name);
            }
        }
    }
}
