//! Debian's packages and one's own as one universe. Names are those of [`names`](super::names).

use std::collections::{BTreeMap, BTreeSet};

use larder_debian::distribution::Distribution;
use larder_solver::{PackageId, PackageInfo, Universe};

use super::stock::{Candidate, Stock};

/// The ids of one's own packages begin here; Debian's suites have some hundred thousand packages.
const OWN: PackageId = 1 << 31;

/// The packages to choose from.
pub(crate) struct Mixed<'a> {
    debian: Option<&'a Distribution>,
    architecture: &'a str,
    candidates: Vec<Candidate>,
    /// Debian's packages that are not to be had from its suites, because a distribution pins them.
    pinned: BTreeSet<String>,
    /// Packages that others stand in for, by the solver's names, each with its stand-in.
    replaced: BTreeMap<String, String>,
}

impl<'a> Mixed<'a> {
    pub(crate) fn new(debian: Option<&'a Distribution>, architecture: &'a str, stock: Stock) -> Self {
        let pinned = stock.pins.into_keys().collect();
        Self { debian, architecture, candidates: stock.candidates, pinned, replaced: BTreeMap::new() }
    }

    /// The package of one's own with this id, or Debian's id.
    pub(crate) fn own(&self, id: PackageId) -> Result<&Candidate, PackageId> {
        id.checked_sub(OWN).and_then(|index| self.candidates.get(index as usize)).ok_or(id)
    }

    pub(crate) fn own_named(&self, name: &str) -> impl Iterator<Item = &Candidate> {
        self.candidates.iter().filter(move |candidate| candidate.stanza.name == name)
    }

    /// Lets a package answer for another, which is not to be had any more; `version_of` says at which version a candidate answers, if at all.
    pub(crate) fn replace(&mut self, name: &str, by: &str, version_of: impl Fn(&Candidate) -> Option<String>) {
        for candidate in self.candidates.iter_mut().filter(|candidate| candidate.stanza.name == by) {
            if let Some(version) = version_of(candidate) {
                candidate.stanza.stand_in(name, &version);
            }
        }
        self.replaced.insert(name.to_owned(), by.to_owned());
    }

    fn select(&self, wanted: impl Fn(&Candidate) -> bool) -> Vec<PackageId> {
        (OWN..).zip(&self.candidates).filter(|(_, candidate)| wanted(candidate)).map(|(id, _)| id).collect()
    }

    /// Whether Debian's suites have nothing to say about a name.
    fn is_hidden(&self, name: &str) -> bool {
        name.contains('/') || self.pinned.contains(name) || self.replaced.contains_key(name)
    }
}

impl Universe for Mixed<'_> {
    fn candidates(&self, name: &str) -> Vec<PackageId> {
        if self.replaced.contains_key(name) {
            return Vec::new();
        }
        let mut all = self.select(|candidate| candidate.stanza.name == name);
        if let Some(debian) = self.debian.filter(|_| !self.is_hidden(name)) {
            all.extend(debian.candidates(name));
        }
        all
    }

    fn providers(&self, name: &str) -> Vec<PackageId> {
        let is_there = |candidate: &Candidate| !self.replaced.contains_key(&candidate.stanza.name);
        let mut all = self.select(|candidate| candidate.stanza.provides(name) && is_there(candidate));
        if let Some(debian) = self.debian.filter(|_| !name.contains('/')) {
            let shown = |id: &PackageId| !self.is_hidden(debian.package(*id).name);
            all.extend(debian.providers(name).into_iter().filter(shown));
        }
        all
    }

    fn package(&self, id: PackageId) -> PackageInfo<'_> {
        match (self.own(id), self.debian) {
            (Ok(candidate), _) => candidate.stanza.info(),
            (Err(id), Some(debian)) => debian.package(id),
            (Err(id), None) => unreachable!("{id} is no id of this universe"),
        }
    }

    /// The base is Debian's; a package of one's own can't make itself part of every image. What stands in for one of the base belongs to it.
    fn essential(&self) -> Vec<PackageId> {
        let is_base = |candidate: &Candidate| candidate.stanza.essential && !candidate.stanza.name.contains('/');
        let is_there = |name: &str| !self.replaced.contains_key(name);
        let debians = self.debian.map(Distribution::essential).unwrap_or_default();
        let name = |id: &PackageId| self.package(*id).name;
        let pinned = self.select(is_base);
        let stand_ins: Vec<&String> =
            debians.iter().chain(&pinned).filter_map(|id| self.replaced.get(name(id))).collect();
        let mut all: Vec<PackageId> = debians.iter().copied().filter(|id| !self.is_hidden(name(id))).collect();
        all.extend(pinned.iter().copied().filter(|id| is_there(name(id))));
        all.extend(self.select(|candidate| stand_ins.contains(&&candidate.stanza.name)));
        all
    }

    fn archive_order(&self, id: PackageId) -> u32 {
        match (self.own(id), self.debian) {
            (Err(id), Some(debian)) => debian.archive_order(id),
            _ => 0,
        }
    }

    fn architecture(&self) -> &str {
        self.architecture
    }

    fn nearest_names(&self, name: &str) -> Vec<String> {
        let own = self.candidates.iter().map(|candidate| candidate.stanza.name.as_str());
        let mut names = larder_solver::nearest_names(name, own);
        if let Some(debian) = self.debian {
            names.extend(debian.nearest_names(name));
        }
        names
    }
}
