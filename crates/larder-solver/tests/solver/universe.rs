//! Small universes written as stanzas.

use std::collections::BTreeMap;

use larder_solver::{
    Base, Failure, PackageId, PackageInfo, Priority, Request, Root, Solution, Universe, Update, nearest_names,
    parse_root, resolve,
};

/// One stanza, owned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Stanza {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) fields: BTreeMap<String, String>,
}

impl Stanza {
    pub(crate) fn field(&self, key: &str) -> &str {
        self.fields.get(key).map_or("", String::as_str)
    }
}

/// A universe of stanzas, for amd64.
#[derive(Debug, Clone, Default)]
pub(crate) struct Small {
    pub(crate) stanzas: Vec<Stanza>,
}

impl Small {
    /// Reads `name version` lines, each followed by indented `Field: value` lines.
    pub(crate) fn parse(text: &str) -> Self {
        let mut small = Self::default();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            if let Some((key, value)) = line.split_once(": ") {
                let fields = &mut small.stanzas.last_mut().unwrap().fields;
                fields.insert(key.trim().to_owned(), value.trim().to_owned());
            } else {
                let (name, version) = line.trim().split_once(' ').unwrap();
                let stanza = Stanza { name: name.to_owned(), version: version.to_owned(), fields: BTreeMap::new() };
                small.stanzas.push(stanza);
            }
        }
        small
    }

    fn ids(&self, test: impl Fn(&Stanza) -> bool) -> Vec<PackageId> {
        let all = self.stanzas.iter().zip(0..);
        all.filter(|(stanza, _)| test(stanza)).map(|(_, id)| id).collect()
    }

    /// Solves without a base, lock or Recommends.
    pub(crate) fn solve(&self, roots: &[&str]) -> Result<Solution, Failure> {
        self.ask(roots, |_| {})
    }

    /// Solves a request that `change` has adapted.
    pub(crate) fn ask(&self, roots: &[&str], change: impl FnOnce(&mut Request<'_>)) -> Result<Solution, Failure> {
        let roots: Vec<Root> = roots.iter().map(|root| parse_root(root).unwrap()).collect();
        let locked = BTreeMap::new();
        let mut request =
            Request { roots: &roots, base: Base::None, recommends: false, locked: &locked, update: Update::None };
        change(&mut request);
        resolve(self, &request)
    }

    /// Solves with a lock.
    pub(crate) fn update(&self, roots: &[&str], locked: &[&str], update: Update) -> Result<Solution, Failure> {
        let roots: Vec<Root> = roots.iter().map(|root| parse_root(root).unwrap()).collect();
        let pair =
            |text: &&str| text.split_once(' ').map(|(name, version)| (name.to_owned(), version.to_owned())).unwrap();
        let locked = locked.iter().map(pair).collect();
        resolve(self, &Request { roots: &roots, base: Base::None, recommends: false, locked: &locked, update })
    }
}

/// The answer as `name version` texts.
pub(crate) fn shown(solution: &Solution) -> Vec<String> {
    solution.packages.iter().map(|chosen| format!("{} {}", chosen.name, chosen.version)).collect()
}

/// What a failure says; the request must fail.
pub(crate) fn failure(result: Result<Solution, Failure>) -> String {
    match result {
        Ok(solution) => panic!("solved: {:?}", shown(&solution)),
        Err(failure) => failure.explain(),
    }
}

impl Universe for Small {
    fn candidates(&self, name: &str) -> Vec<PackageId> {
        self.ids(|stanza| stanza.name == name)
    }

    fn providers(&self, name: &str) -> Vec<PackageId> {
        self.ids(|stanza| {
            let provides = stanza.field("Provides").split(',');
            provides.into_iter().any(|atom| atom.trim().split([' ', '(', ':']).next() == Some(name))
        })
    }

    fn package(&self, id: PackageId) -> PackageInfo<'_> {
        let stanza = &self.stanzas[id as usize];
        let architecture = stanza.field("Architecture");
        PackageInfo {
            name: &stanza.name,
            version: &stanza.version,
            architecture: if architecture.is_empty() { "amd64" } else { architecture },
            multi_arch: stanza.field("Multi-Arch"),
            essential: stanza.field("Essential") == "yes",
            priority: Priority::from_name(stanza.field("Priority")),
            depends: stanza.field("Depends"),
            pre_depends: stanza.field("Pre-Depends"),
            recommends: stanza.field("Recommends"),
            conflicts: stanza.field("Conflicts"),
            breaks: stanza.field("Breaks"),
            provides: stanza.field("Provides"),
        }
    }

    fn essential(&self) -> Vec<PackageId> {
        self.ids(|stanza| stanza.field("Essential") == "yes")
    }

    fn architecture(&self) -> &'static str {
        "amd64"
    }

    fn nearest_names(&self, name: &str) -> Vec<String> {
        nearest_names(name, self.stanzas.iter().map(|stanza| stanza.name.as_str()))
    }
}
