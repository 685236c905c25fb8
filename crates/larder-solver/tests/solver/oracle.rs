//! Brute force over small universes: the solver has an answer exactly when some choice of packages is one, its answer is
//! one, nothing in it can be left out, and neither the order of the roots nor that of the stanzas matters.

use std::collections::BTreeMap;

use larder_solver::{Atom, Base, Provide, Request, Requirement, Root, Solution, Update, parse_root, resolve};
use proptest::prelude::*;

use crate::universe::{Small, Stanza, shown};

/// What a stanza says, parsed with the public parser; deliberately nothing shared with the solver's own catalog.
struct Parsed {
    name: String,
    version: larder_solver::Version,
    requires: Vec<Requirement>,
    excludes: Vec<Requirement>,
    provides: Vec<Provide>,
}

impl Parsed {
    fn new(stanza: &Stanza) -> Self {
        let clauses = |key: &str| Requirement::parse_list(stanza.field(key)).unwrap();
        Self {
            name: stanza.name.clone(),
            version: stanza.version.parse().unwrap(),
            requires: [clauses("Pre-Depends"), clauses("Depends")].concat(),
            excludes: [clauses("Conflicts"), clauses("Breaks")].concat(),
            provides: Provide::parse_list(stanza.field("Provides")).unwrap(),
        }
    }

    fn satisfies(&self, atom: &Atom) -> bool {
        let meets = |version: Option<&larder_solver::Version>| match (&atom.constraint, version) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some((relation, wanted)), Some(version)) => relation.accepts(version.cmp(wanted)),
        };
        (self.name == atom.name && meets(Some(&self.version)))
            || self.provides.iter().any(|provide| provide.name == atom.name && meets(provide.version.as_ref()))
    }
}

/// What a stanza needs and excludes, as sets of stanzas (one bit each).
struct Masks {
    requires: Vec<u32>,
    excludes: u32,
}

fn masks(all: &[Parsed]) -> Vec<Masks> {
    let satisfying = |clause: &Requirement, skip: Option<&str>| -> u32 {
        let fits =
            |p: &&Parsed| Some(p.name.as_str()) != skip && clause.alternatives.iter().any(|atom| p.satisfies(atom));
        all.iter().enumerate().filter(|(_, p)| fits(p)).map(|(i, _)| 1 << i).sum()
    };
    let mask = |(index, p): (usize, &Parsed)| {
        let twice = |(i, other): &(usize, &Parsed)| *i != index && other.name == p.name;
        let twice: u32 = all.iter().enumerate().filter(twice).map(|(i, _)| 1 << i).sum();
        Masks {
            requires: p.requires.iter().map(|clause| satisfying(clause, None)).collect(),
            excludes: p.excludes.iter().fold(twice, |bits, clause| bits | satisfying(clause, Some(&p.name))),
        }
    };
    all.iter().enumerate().map(mask).collect()
}

/// Whether a set of stanzas is an answer but for the roots.
fn consistent(masks: &[Masks], set: u32) -> bool {
    let chosen = masks.iter().enumerate().filter(|(i, _)| set >> i & 1 == 1);
    chosen.into_iter().all(|(_, m)| m.excludes & set == 0 && m.requires.iter().all(|clause| clause & set != 0))
}

/// The stanzas that satisfy a root: those of its name, or else providers.
fn root_bits(all: &[Parsed], root: &Root) -> u32 {
    let real = all.iter().any(|p| p.name == root.name);
    let accepts = |p: &Parsed| {
        if real {
            return p.name == root.name && root.accepts(p.version.as_str());
        }
        p.provides.iter().filter(|provide| provide.name == root.name).any(|provide| match &provide.version {
            Some(version) => root.accepts(version.as_str()),
            None => root.constraints.is_empty(),
        })
    };
    all.iter().enumerate().filter(|(_, p)| accepts(p)).map(|(i, _)| 1 << i).sum()
}

fn bits(small: &Small, solution: &Solution) -> u32 {
    assert!(solution.packages.iter().all(|p| small.stanzas[p.id as usize].name == p.name));
    solution.packages.iter().map(|chosen| 1 << chosen.id).sum()
}

fn answers(all: &[Parsed], roots: &[u32]) -> Vec<u32> {
    let masks = masks(all);
    let holds_roots = |set: &u32| roots.iter().all(|bits| bits & set != 0);
    (0..1 << all.len()).filter(holds_roots).filter(|set| consistent(&masks, *set)).collect()
}

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

fn atom() -> impl Strategy<Value = String> {
    // Names beyond the sixth are only ever provided, or missing.
    let names = prop::sample::select(vec!["a", "b", "c", "d", "e", "f", "v", "w", "zz"]);
    let constraint = prop::sample::select(vec!["", "", "", " (= 1)", " (>= 2)", " (<< 2)", " (<= 1)", " (>> 1)"]);
    (names, constraint).prop_map(|(name, constraint)| format!("{name}{constraint}"))
}

fn field(max: usize, alternatives: usize) -> impl Strategy<Value = String> {
    let clause = prop::collection::vec(atom(), 1..=alternatives).prop_map(|atoms| atoms.join(" | "));
    prop::collection::vec(clause, 0..=max).prop_map(|clauses| clauses.join(", "))
}

fn provides() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["", "", "", "v", "w", "v (= 1)", "v (= 2), w", "w (= 2)", "a (= 2)"])
        .prop_map(str::to_owned)
}

fn stanza() -> impl Strategy<Value = Stanza> {
    let fixed = (prop::sample::select(NAMES.to_vec()), prop::sample::select(vec!["1", "2", "3"]));
    let priority = prop::sample::select(vec!["required", "optional"]);
    (fixed, field(2, 3), field(1, 1), field(1, 1), provides(), field(1, 2), priority).prop_map(
        |((name, version), depends, conflicts, breaks, provides, recommends, priority)| {
            let pairs = [
                ("Depends", depends),
                ("Conflicts", conflicts),
                ("Breaks", breaks),
                ("Provides", provides),
                ("Recommends", recommends),
                ("Priority", priority.to_owned()),
            ];
            let fields = pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
            Stanza { name: name.to_owned(), version: version.to_owned(), fields }
        },
    )
}

fn universe() -> impl Strategy<Value = Small> {
    prop::collection::vec(stanza(), 1..=9).prop_map(|mut stanzas| {
        stanzas.sort_by(|x, y| (&x.name, &x.version).cmp(&(&y.name, &y.version)));
        stanzas.dedup_by(|x, y| x.name == y.name && x.version == y.version);
        Small { stanzas }
    })
}

fn roots() -> impl Strategy<Value = Vec<String>> {
    let name = prop::sample::select(vec!["a", "b", "c", "d", "e", "v"]);
    let pin = prop::sample::select(vec!["", "", "", " =1", " >=2", " <2", " >=1, <3"]);
    prop::collection::vec((name, pin).prop_map(|(name, pin)| format!("{name}{pin}")), 1..=3)
}

fn locked() -> impl Strategy<Value = BTreeMap<String, String>> {
    let versions = prop::sample::select(vec!["1", "2", "3"]).prop_map(str::to_owned);
    prop::collection::btree_map(prop::sample::select(NAMES.to_vec()).prop_map(str::to_owned), versions, 0..4)
}

/// Shuffles stanzas by a seed; the ids change with the order.
fn shuffled(small: &Small, seed: u64) -> Small {
    let mut stanzas = small.stanzas.clone();
    stanzas.sort_by_cached_key(|stanza| {
        let mut hash = seed;
        for byte in stanza.name.bytes().chain(stanza.version.bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        hash
    });
    Small { stanzas }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_solver_agrees_with_brute_force(
        small in universe(),
        wanted in roots(),
        recommends in any::<bool>(),
        locked in locked(),
        seed in any::<u64>(),
    ) {
        let all: Vec<Parsed> = small.stanzas.iter().map(Parsed::new).collect();
        let roots: Vec<Root> = wanted.iter().map(|root| parse_root(root).unwrap()).collect();
        let root_bits: Vec<u32> = roots.iter().map(|root| root_bits(&all, root)).collect();
        let request = Request { roots: &roots, base: Base::None, recommends, locked: &locked, update: Update::None };
        let result = resolve(&small, &request);
        let expected = answers(&all, &root_bits);
        prop_assert_eq!(result.is_ok(), !expected.is_empty(), "{:?}", result.map(|s| shown(&s)));
        if let Ok(solution) = &result {
            prop_assert!(expected.contains(&bits(&small, solution)), "not an answer: {:?}", shown(solution));
        } else if let Err(failure) = &result {
            prop_assert!(!failure.explain().is_empty());
        }

        let mut reversed = roots.clone();
        reversed.reverse();
        reversed.push(roots[0].clone());
        let again = resolve(&shuffled(&small, seed), &Request { roots: &reversed, ..request });
        let text = |result: &Result<Solution, larder_solver::Failure>| match result {
            Ok(solution) => shown(solution).join("\n"),
            Err(failure) => failure.explain(),
        };
        prop_assert_eq!(text(&result), text(&again));
    }

    /// An update touches no locked name that could have stayed: no other answer keeps all that ours keeps, and more.
    #[test]
    fn updates_are_surgical(small in universe(), wanted in roots(), freed in prop::sample::select(NAMES.to_vec())) {
        let roots: Vec<Root> = wanted.iter().map(|root| parse_root(root).unwrap()).collect();
        let none = BTreeMap::new();
        let old = Small { stanzas: small.stanzas.iter().filter(|s| s.version != "3").cloned().collect() };
        let request = Request { roots: &roots, base: Base::None, recommends: false, locked: &none, update: Update::None };
        // A root that was only provided and is now a package's name means that package.
        let named = |small: &Small, root: &Root| small.stanzas.iter().any(|stanza| stanza.name == root.name);
        prop_assume!(roots.iter().all(|root| named(&old, root) == named(&small, root)));
        let Ok(before) = resolve(&old, &request) else { return Ok(()) };
        let locked: BTreeMap<String, String> =
            before.packages.iter().map(|chosen| (chosen.name.clone(), chosen.version.clone())).collect();
        let same = resolve(&small, &Request { locked: &locked, ..request.clone() }).unwrap();
        prop_assert_eq!(shown(&same), shown(&before), "a lock that still holds is kept");

        let update = Update::Some([freed.to_owned()].into());
        let after = resolve(&small, &Request { locked: &locked, update, ..request }).unwrap();
        let all: Vec<Parsed> = small.stanzas.iter().map(Parsed::new).collect();
        let root_bits: Vec<u32> = roots.iter().map(|root| root_bits(&all, root)).collect();
        let changed = |set: u32| -> Vec<&str> {
            let moved = |p: &&Parsed| p.name != freed && locked.get(&p.name).is_some_and(|v| v != p.version.as_str());
            all.iter().enumerate().filter(|(i, _)| set >> i & 1 == 1).map(|(_, p)| p).filter(moved).map(|p| p.name.as_str()).collect()
        };
        let version = |set: u32| all.iter().enumerate().find(|(i, p)| set >> i & 1 == 1 && p.name == freed).map(|(_, p)| &p.version);
        let ours = bits(&small, &after);
        for other in answers(&all, &root_bits) {
            let (mine, theirs) = (changed(ours), changed(other));
            let fewer = theirs.len() < mine.len() && theirs.iter().all(|name| mine.contains(name));
            prop_assert!(!(fewer && version(other) == version(ours) && other & ours == other),
                "{mine:?} changed, {theirs:?} would do");
        }
    }
}
