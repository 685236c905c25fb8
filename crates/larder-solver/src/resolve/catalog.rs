//! What the solver has seen of the universe so far, parsed once and kept.
//!
//! Provides are expanded here: a clause is held as the packages that satisfy each of its alternatives, so that nothing
//! behind this module knows of virtual names, qualifiers or relations. Only packages that are looked at are parsed.
//!
//! Qualifiers follow apt for one architecture. `name:any` is met by a package `name` that is `Multi-Arch: allowed`, and
//! by what such a package provides; `name:native` and `name:<own architecture>` mean `name`; any other architecture is
//! met by nothing. Two packages that are `Multi-Arch: same` never meet, because there is one architecture.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use super::prefer::by_preference;
use crate::requirement::raw::{self, RawAtom};
use crate::{PackageId, PackageInfo, Relation, Root, Universe, compare};

/// A package's name, numbered in the order of first sight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NameId(pub(crate) u32);

/// A package and its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Pick {
    pub(crate) id: PackageId,
    pub(crate) name: NameId,
}

/// One clause with what satisfies it.
#[derive(Debug)]
pub(crate) struct Clause<'u> {
    /// As the package wrote it.
    pub(crate) text: &'u str,
    /// For each alternative the packages that satisfy it, the preferred first (see `prefer.rs`).
    pub(crate) alternatives: Vec<Rc<[Pick]>>,
}

impl Clause<'_> {
    /// All packages that satisfy the clause, in the order of the alternatives; one may come twice.
    pub(crate) fn picks(&self) -> impl Iterator<Item = Pick> + '_ {
        self.alternatives.iter().flat_map(|picks| picks.iter().copied())
    }
}

/// A package that was looked at.
pub(crate) struct Package<'u> {
    pub(crate) pick: Pick,
    pub(crate) info: PackageInfo<'u>,
    requires: OnceCell<Vec<Clause<'u>>>,
    recommends: OnceCell<Vec<Clause<'u>>>,
    excludes: OnceCell<Vec<Clause<'u>>>,
    provides: OnceCell<Vec<RawAtom<'u>>>,
}

/// What a name stands for.
pub(crate) struct Name<'u> {
    pub(crate) text: Rc<str>,
    /// The packages with this name that can be installed here, newest first.
    pub(crate) real: Vec<PackageId>,
    /// The packages of other names that provide it.
    provided: OnceCell<Vec<Provided<'u>>>,
}

#[derive(Clone, Copy)]
struct Provided<'u> {
    pick: Pick,
    version: Option<&'u str>,
    /// The qualifier in `Provides: name:any`.
    qualifier: Option<&'u str>,
}

/// The cache over a universe.
pub(crate) struct Catalog<'u> {
    universe: &'u dyn Universe,
    names: RefCell<HashMap<Rc<str>, NameId>>,
    entries: RefCell<Vec<Rc<Name<'u>>>>,
    packages: RefCell<HashMap<PackageId, Rc<Package<'u>>>>,
    atoms: RefCell<HashMap<&'u str, Rc<[Pick]>>>,
}

impl<'u> Catalog<'u> {
    pub(crate) fn new(universe: &'u dyn Universe) -> Self {
        Self {
            universe,
            names: RefCell::default(),
            entries: RefCell::default(),
            packages: RefCell::default(),
            atoms: RefCell::default(),
        }
    }

    pub(crate) fn universe(&self) -> &'u dyn Universe {
        self.universe
    }

    /// The number of a name, which need not exist.
    pub(crate) fn name_id(&self, name: &str) -> NameId {
        if let Some(id) = self.names.borrow().get(name) {
            return *id;
        }
        let mut real: Vec<PackageId> =
            self.universe.candidates(name).into_iter().filter(|id| self.fits(&self.universe.package(*id))).collect();
        real.sort_by(|a, b| {
            let (x, y) = (self.universe.package(*a), self.universe.package(*b));
            compare(y.version, x.version).then_with(|| y.version.cmp(x.version)).then_with(|| a.cmp(b))
        });
        real.dedup();
        let text: Rc<str> = Rc::from(name);
        let mut entries = self.entries.borrow_mut();
        let id = NameId(u32::try_from(entries.len()).unwrap_or(u32::MAX));
        entries.push(Rc::new(Name { text: Rc::clone(&text), real, provided: OnceCell::new() }));
        self.names.borrow_mut().insert(text, id);
        id
    }

    pub(crate) fn name(&self, id: NameId) -> Rc<Name<'u>> {
        Rc::clone(&self.entries.borrow()[id.0 as usize])
    }

    pub(crate) fn package(&self, id: PackageId) -> Rc<Package<'u>> {
        if let Some(package) = self.packages.borrow().get(&id) {
            return Rc::clone(package);
        }
        let info = self.universe.package(id);
        let name = self.name_id(info.name);
        let package = Rc::new(Package {
            pick: Pick { id, name },
            info,
            requires: OnceCell::new(),
            recommends: OnceCell::new(),
            excludes: OnceCell::new(),
            provides: OnceCell::new(),
        });
        self.packages.borrow_mut().insert(id, Rc::clone(&package));
        package
    }

    fn fits(&self, info: &PackageInfo<'_>) -> bool {
        info.architecture == "all" || info.architecture == self.universe.architecture()
    }

    /// The clauses of `Pre-Depends` and `Depends`.
    pub(crate) fn requires<'p>(&self, package: &'p Package<'u>) -> &'p [Clause<'u>] {
        package.requires.get_or_init(|| {
            let fields = [package.info.pre_depends, package.info.depends];
            fields.into_iter().flat_map(raw::clauses).map(|text| self.clause(text)).collect()
        })
    }

    /// The clauses of `Recommends`.
    pub(crate) fn recommends<'p>(&self, package: &'p Package<'u>) -> &'p [Clause<'u>] {
        package.recommends.get_or_init(|| raw::clauses(package.info.recommends).map(|text| self.clause(text)).collect())
    }

    /// The clauses of `Conflicts` and `Breaks`, each with the packages that can't be installed beside this one. A
    /// package never excludes what has its own name: what it provides itself does not hurt it.
    pub(crate) fn excludes<'p>(&self, package: &'p Package<'u>) -> &'p [Clause<'u>] {
        package.excludes.get_or_init(|| {
            let fields = [package.info.conflicts, package.info.breaks];
            let clauses = fields.into_iter().flat_map(raw::clauses).map(|text| self.clause(text));
            let others = |mut clause: Clause<'u>| {
                for picks in &mut clause.alternatives {
                    if picks.iter().any(|pick| pick.name == package.pick.name) {
                        *picks = picks.iter().copied().filter(|pick| pick.name != package.pick.name).collect();
                    }
                }
                clause
            };
            clauses.map(others).filter(|clause| clause.picks().next().is_some()).collect()
        })
    }

    /// The atoms of `Provides`, parsed once because some packages provide hundreds of names; what has another relation than
    /// `=` says nothing.
    fn provides<'p>(&self, package: &'p Package<'u>) -> &'p [RawAtom<'u>] {
        package.provides.get_or_init(|| {
            let atoms = raw::clauses(package.info.provides).filter_map(|text| raw::atom(text).ok());
            atoms.filter(|atom| atom.constraint.is_none_or(|(relation, _)| relation == Relation::Equal)).collect()
        })
    }

    /// The packages that satisfy a root: those of the name, or, where the name is only provided, the providers.
    pub(crate) fn root(&self, root: &Root) -> Vec<Pick> {
        let name = self.name_id(&root.name);
        let entry = self.name(name);
        if !entry.real.is_empty() {
            let accepted = |id: &PackageId| root.accepts(self.universe.package(*id).version);
            return entry.real.iter().copied().filter(accepted).map(|id| Pick { id, name }).collect();
        }
        let accepted = |provided: &Provided<'u>| match provided.version {
            Some(version) => root.accepts(version),
            None => root.constraints.is_empty(),
        };
        let mut picks: Vec<Pick> =
            self.provided(&entry).iter().filter(|p| accepted(p)).map(|provided| provided.pick).collect();
        picks.sort_by(|a, b| by_preference(self, None, *a, *b));
        picks.dedup();
        picks
    }

    fn clause(&self, text: &'u str) -> Clause<'u> {
        Clause { text, alternatives: text.split('|').map(|atom| self.atom(atom.trim())).collect() }
    }

    /// What satisfies an atom. Text that does not follow the grammar is satisfied by nothing.
    fn atom(&self, text: &'u str) -> Rc<[Pick]> {
        if let Some(picks) = self.atoms.borrow().get(text) {
            return Rc::clone(picks);
        }
        let picks: Rc<[Pick]> = match raw::atom(text) {
            Ok(atom) if self.applies(atom.architectures) => {
                let mut picks = self.satisfiers(&atom);
                // apt takes "name:any" for a name of its own, so that none of its providers is the real one.
                let wanted = if atom.qualifier == Some("any") { None } else { Some(self.name_id(atom.name)) };
                picks.sort_by(|a, b| by_preference(self, wanted, *a, *b));
                picks.into()
            }
            _ => Rc::new([]),
        };
        self.atoms.borrow_mut().insert(text, Rc::clone(&picks));
        picks
    }

    /// Whether a list such as `amd64 arm64` or `!i386` includes the universe's architecture. (Binary packages have none.)
    fn applies(&self, architectures: &str) -> bool {
        let own = self.universe.architecture();
        let mut words = architectures.split_ascii_whitespace().peekable();
        match words.peek() {
            None => true,
            Some(first) if first.starts_with('!') => !words.any(|word| word.strip_prefix('!') == Some(own)),
            Some(_) => words.any(|word| word == own),
        }
    }

    fn satisfiers(&self, atom: &RawAtom<'_>) -> Vec<Pick> {
        let any = atom.qualifier == Some("any");
        if !any && atom.qualifier.is_some_and(|q| q != "native" && q != self.universe.architecture()) {
            return Vec::new();
        }
        let meets = |version: Option<&str>| match (atom.constraint, version) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some((relation, wanted)), Some(version)) => relation.accepts(compare(version, wanted)),
        };
        let name = self.name_id(atom.name);
        let entry = self.name(name);
        let mut picks = Vec::new();
        for &id in &entry.real {
            let info = self.universe.package(id);
            if meets(Some(info.version)) && (!any || info.multi_arch == "allowed") {
                picks.push(Pick { id, name });
            }
        }
        for provided in self.provided(&entry) {
            let reachable = match provided.qualifier {
                None => !any || self.universe.package(provided.pick.id).multi_arch == "allowed",
                Some("any") => any,
                Some(qualifier) => !any && qualifier == self.universe.architecture(),
            };
            if reachable && meets(provided.version) && picks.last() != Some(&provided.pick) {
                picks.push(provided.pick);
            }
        }
        picks
    }

    /// What provides a name, sorted by name and version so that the universe's order does not matter. A package that
    /// provides its own name (with another version, as some do) is listed too.
    fn provided<'n>(&self, entry: &'n Name<'u>) -> &'n [Provided<'u>] {
        entry.provided.get_or_init(|| {
            let mut found: Vec<(PackageInfo<'u>, Provided<'u>)> = Vec::new();
            for id in self.universe.providers(&entry.text) {
                let package = self.package(id);
                if !self.fits(&package.info) {
                    continue;
                }
                for atom in self.provides(&package).iter().filter(|atom| atom.name == &*entry.text) {
                    let version = atom.constraint.map(|(_, version)| version);
                    found.push((package.info, Provided { pick: package.pick, version, qualifier: atom.qualifier }));
                }
            }
            found.sort_by(|(a, p), (b, q)| {
                a.name.cmp(b.name).then_with(|| compare(b.version, a.version)).then_with(|| p.pick.cmp(&q.pick))
            });
            found.into_iter().map(|(_, provided)| provided).collect()
        })
    }
}
