//! The joined indexes as the solver's universe.

use larder_solver::{PackageId, PackageInfo, Universe, nearest_names};
use larder_store::Sha256Digest;

use super::Distribution;
use super::suite::Suite;
use crate::index::Index;

/// What people want to know of a package; empty where its stanza does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Description<'a> {
    /// The archive's section, such as `httpd`.
    pub section: &'a str,
    /// The source package, with its version where that differs: `openssl` or `nginx (1.22.1-9)`.
    pub source: &'a str,
    /// One line.
    pub synopsis: &'a str,
    /// Size of its files in KiB, as the package says.
    pub installed_kib: u64,
    /// The suite that lists it.
    pub suite: &'a str,
}

/// One index among the joined.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) index: Index,
    pub(super) list: Sha256Digest,
    /// The number of the suite it belongs to.
    pub(super) suite: usize,
    suite_name: String,
    /// The id of its first package.
    base: PackageId,
    /// The mentions of the indexes before it.
    mentions: u32,
}

/// All indexes, in order of preference.
#[derive(Debug)]
pub(super) struct Joined(Vec<Entry>);

impl Joined {
    /// Takes the indexes out of the suites.
    pub(super) fn new<'a>(suites: impl Iterator<Item = (usize, &'a mut Suite)>) -> Self {
        let mut entries: Vec<Entry> = Vec::new();
        let (mut base, mut mentions) = (0, 0);
        for (number, suite) in suites {
            for (list, index) in suite.indexes.drain(..) {
                let (packages, names) = (index.len(), index.mentions());
                entries.push(Entry { index, list, suite: number, suite_name: suite.name.clone(), base, mentions });
                base += packages;
                mentions += names;
            }
        }
        Self(entries)
    }

    /// The index that a package is in, and its number there.
    pub(super) fn entry(&self, id: PackageId) -> (&Entry, u32) {
        let after = self.0.partition_point(|entry| entry.base <= id);
        let entry = &self.0[after.saturating_sub(1)];
        (entry, id - entry.base)
    }

    pub(super) fn describe(&self, id: PackageId) -> Description<'_> {
        let (entry, local) = self.entry(id);
        let (section, source, synopsis, installed_kib) = entry.index.description(local);
        Description { section, source, synopsis, installed_kib, suite: &entry.suite_name }
    }

    pub(super) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.0.iter().flat_map(|entry| entry.index.names()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Whether no earlier index lists the same package in the same version.
    fn counts(&self, number: usize, local: u32) -> bool {
        let own = self.0[number].index.package(local);
        !self.0[..number].iter().any(|entry| {
            entry.index.candidates(own.name).any(|other| {
                let other = entry.index.package(other);
                (other.version, other.architecture) == (own.version, own.architecture)
            })
        })
    }

    fn gather(&self, of: impl Fn(&Index) -> Vec<u32>) -> Vec<PackageId> {
        let mut all = Vec::new();
        for (number, entry) in self.0.iter().enumerate() {
            let counted = of(&entry.index).into_iter().filter(|local| self.counts(number, *local));
            all.extend(counted.map(|local| entry.base + local));
        }
        all
    }
}

impl Universe for Distribution {
    fn candidates(&self, name: &str) -> Vec<PackageId> {
        self.joined.gather(|index| index.candidates(name).collect())
    }

    fn providers(&self, name: &str) -> Vec<PackageId> {
        self.joined.gather(|index| index.providers(name))
    }

    fn package(&self, id: PackageId) -> PackageInfo<'_> {
        let (entry, local) = self.joined.entry(id);
        entry.index.package(local)
    }

    fn essential(&self) -> Vec<PackageId> {
        self.joined.gather(Index::essential)
    }

    fn archive_order(&self, id: PackageId) -> u32 {
        let name = self.package(id).name;
        let first = self.joined.0.iter().find_map(|entry| Some(entry.mentions + entry.index.mention(name)?));
        first.unwrap_or(0)
    }

    fn architecture(&self) -> &str {
        &self.architecture
    }

    fn nearest_names(&self, name: &str) -> Vec<String> {
        nearest_names(name, self.joined.names())
    }
}
