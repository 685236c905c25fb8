//! A request with its roots looked up.

use super::catalog::{Catalog, Pick};
use crate::{Base, Request};

/// A root or base package with what satisfies it.
#[derive(Debug, Clone)]
pub(crate) struct RootClause {
    /// The root as written; `None` for a package of the base.
    pub(crate) written: Option<usize>,
    /// The packages that satisfy it, the preferred first.
    pub(crate) picks: Vec<Pick>,
}

/// What has to be solved.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    /// Sorted, without repetitions: the roots by their text, then the base by name.
    pub(crate) roots: Vec<RootClause>,
    pub(crate) recommends: bool,
}

impl Problem {
    pub(crate) fn new(catalog: &Catalog<'_>, request: &Request<'_>) -> Self {
        let mut order: Vec<(String, usize)> =
            request.roots.iter().enumerate().map(|(index, root)| (root.to_string(), index)).collect();
        order.sort();
        order.dedup_by(|a, b| a.0 == b.0);
        let mut roots: Vec<RootClause> = order
            .into_iter()
            .map(|(_, index)| RootClause { written: Some(index), picks: catalog.root(&request.roots[index]) })
            .collect();
        if request.base == Base::Essential {
            let mut names: Vec<&str> = Vec::new();
            for id in catalog.universe().essential() {
                names.push(catalog.universe().package(id).name);
            }
            names.sort_unstable();
            names.dedup();
            for name in names {
                let id = catalog.name_id(name);
                let real =
                    catalog.name(id).real.iter().map(|package| Pick { id: *package, name: id }).collect::<Vec<_>>();
                if !real.is_empty() {
                    roots.push(RootClause { written: None, picks: real });
                }
            }
        }
        Self { roots, recommends: request.recommends }
    }
}
