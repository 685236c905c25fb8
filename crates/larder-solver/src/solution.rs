//! What the solver answers, and why each package is in the answer.

use crate::{PackageId, Universe};

/// A package of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Its number in the universe.
    pub id: PackageId,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What pulled it in.
    pub link: Link,
}

/// What pulled a package in: the nearest cause, so that following the links gives a shortest path from a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// The recipe asks for it; the root as written.
    Root(String),
    /// It belongs to the base.
    Base,
    /// Another package of the answer needs it.
    Needed {
        /// The name of that package.
        by: String,
        /// The clause of its `Depends` or `Pre-Depends`.
        requirement: String,
    },
    /// Another package of the answer recommends it.
    Recommended {
        /// The name of that package.
        by: String,
        /// The clause of its `Recommends`.
        requirement: String,
    },
}

/// The answer: one version of each package in it, sorted by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Solution {
    /// The packages, sorted by name.
    pub packages: Vec<Chosen>,
}

impl Solution {
    /// The package with this name, if it is in the answer.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Chosen> {
        let index = self.packages.binary_search_by(|chosen| chosen.name.as_str().cmp(name)).ok()?;
        Some(&self.packages[index])
    }
}

/// A path from a root or the base to a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// The steps: first what the recipe or base asks for, last the package asked about.
    pub steps: Vec<Chosen>,
}

/// Why `name` is in the solution: a shortest path from a root (or, where no root leads to it, from the base). `None` when
/// it is not in the solution. A name that only the packages' `Provides` know is looked up through them.
#[must_use]
pub fn why(universe: &dyn Universe, solution: &Solution, name: &str) -> Option<Why> {
    let mut current = match solution.get(name) {
        Some(chosen) => chosen,
        None => {
            let providers = universe.providers(name);
            solution.packages.iter().find(|chosen| providers.contains(&chosen.id))?
        }
    };
    let mut steps = vec![current.clone()];
    while let Link::Needed { by, .. } | Link::Recommended { by, .. } = &current.link {
        current = solution.get(by)?;
        steps.push(current.clone());
    }
    steps.reverse();
    Some(Why { steps })
}
