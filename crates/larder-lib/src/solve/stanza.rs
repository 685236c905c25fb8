//! A package's record as the solver reads it: in Debian's syntax, by the solver's names.

use larder_solver::{PackageInfo, Priority};
use larder_store::FileSet;
use larder_store::fileset::PackageMetadata;

use super::names::{of_requirement, solver_name};

/// The fields that the solver reads.
#[derive(Debug, Clone)]
pub(crate) struct Stanza {
    pub(crate) name: String,
    pub(crate) version: String,
    architecture: String,
    multi_arch: String,
    pub(crate) essential: bool,
    depends: String,
    recommends: String,
    conflicts: String,
    breaks: String,
    provides: String,
    provided: Vec<String>,
}

impl Stanza {
    /// The stanza of a package; `None` for another kind of FileSet.
    pub(crate) fn of(record: &FileSet) -> Option<Self> {
        let metadata: &PackageMetadata = record.package()?;
        let domain = record.name.domain();
        let list = |items: &[String]| -> Vec<String> { items.iter().map(|item| clause(item, domain)).collect() };
        let provides = list(&metadata.provides);
        Some(Self {
            name: solver_name(&record.name).to_owned(),
            version: record.version.clone(),
            architecture: record.architecture.clone(),
            multi_arch: metadata.multi_arch.clone().unwrap_or_default(),
            essential: metadata.essential,
            depends: list(&metadata.requires).join(", "),
            recommends: list(&metadata.recommends).join(", "),
            conflicts: list(&metadata.conflicts).join(", "),
            breaks: list(&metadata.breaks).join(", "),
            provided: provides.iter().map(|item| parts(item).0.to_owned()).collect(),
            provides: provides.join(", "),
        })
    }

    /// Lets the package answer to another's name, at a version, whatever qualifier is asked for.
    pub(crate) fn stand_in(&mut self, name: &str, version: &str) {
        for qualifier in ["", ":any"] {
            if !self.provides.is_empty() {
                self.provides.push_str(", ");
            }
            self.provides.push_str(&format!("{name}{qualifier} (= {version})"));
        }
        self.provided.push(name.to_owned());
    }

    /// Whether it provides a name.
    pub(crate) fn provides(&self, name: &str) -> bool {
        self.provided.iter().any(|provided| provided == name)
    }

    /// What it requires or recommends, by the solver's names.
    pub(crate) fn asks_for(&self) -> impl Iterator<Item = &str> {
        let clauses = [&self.depends, &self.recommends].into_iter().flat_map(|field| field.split([',', '|']));
        clauses.map(|atom| parts(atom.trim()).0).filter(|name| !name.is_empty())
    }

    pub(crate) fn info(&self) -> PackageInfo<'_> {
        PackageInfo {
            name: &self.name,
            version: &self.version,
            architecture: &self.architecture,
            multi_arch: &self.multi_arch,
            essential: self.essential,
            priority: Priority::Optional,
            depends: &self.depends,
            pre_depends: "",
            recommends: &self.recommends,
            conflicts: &self.conflicts,
            breaks: &self.breaks,
            provides: &self.provides,
        }
    }
}

/// A requirement of a record with the solver's names in it.
pub(crate) fn clause(written: &str, domain: &str) -> String {
    let atoms = written.split('|').map(|atom| {
        let (name, rest) = parts(atom.trim());
        format!("{}{rest}", of_requirement(name, domain))
    });
    atoms.collect::<Vec<_>>().join(" | ")
}

/// The name at the beginning of an atom, and what follows it.
pub(crate) fn parts(atom: &str) -> (&str, &str) {
    atom.split_at(atom.find(|c: char| c.is_whitespace() || "(:[<=>".contains(c)).unwrap_or(atom.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clauses_are_translated_atom_by_atom() {
        for (written, domain, expected) in [
            ("debian.org/libc6 (>= 2.36)", "example.com", "libc6 (>= 2.36)"),
            (
                "greet:any (<< 2) | debian.org/mta|x.org/mta (= 1)",
                "a.b",
                "a.b/greet:any (<< 2) | mta | x.org/mta (= 1)",
            ),
            ("libc6 (>= 2) | libc", "debian.org", "libc6 (>= 2) | libc"),
        ] {
            assert_eq!(clause(written, domain), expected);
        }
    }
}
