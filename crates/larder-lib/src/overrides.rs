//! Packages that stand in for others: whether they may, and what that voids.
//!
//! Whoever publishes a distribution has tested its packages with each other. An override takes one of them away, so for this image that word no
//! longer holds: about the package itself, and about those that need it. It is said wherever the image is shown.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::FileExt;

use larder_debian::progress::Progress;
use larder_solver::Provide;
use larder_store::fileset::{Override, PackageMetadata};
use larder_store::{Entry, FileSet, Name, Store, Tree, TreePath};

use crate::contents::ImagePackage;
use crate::image::PackageImport;
use crate::solve::stanza::{clause, parts};
use crate::solve::{Choice, Replaced, Source, solver_name};
use crate::supply::Supplied;
use crate::verify::soname;
use crate::{Error, Host, Result, obtain};

/// A package in the place of another, and what that means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandIn {
    /// The package that isn't there.
    pub of: Name,
    /// The package that is there instead.
    pub by: Name,
    /// Its version.
    pub version: String,
    /// Why it was forced, where the package doesn't say that it can stand in.
    pub forced: Option<String>,
    /// The packages of the image that need the one that isn't there: they were tested with it. Sorted, `name version`.
    pub affected: Vec<String>,
    /// The packages that need those, and whatever needs them in turn: these were tested with it too. The base, which nobody names, is not
    /// counted as needed. Sorted, `name version`.
    pub through: Vec<String>,
}

impl StandIn {
    /// Whose word about the packages is void.
    pub fn publisher(&self) -> &str {
        self.of.domain()
    }
}

/// The stand-ins of an image, from its record and its packages' alone.
pub fn of_image(overrides: &[Override], packages: &[ImagePackage]) -> Vec<StandIn> {
    let needs: Vec<BTreeSet<String>> = match overrides {
        [] => Vec::new(),
        _ => packages.iter().map(|package| named(&package.record, |metadata| &metadata.requires)).collect(),
    };
    let stand_in = |stated: &Override| {
        let by = packages.iter().find(|package| package.import.name == stated.by);
        // Whoever asked for something that the original provides has what stands in for it as well.
        let mut answers = by.map(|by| named(&by.record, |metadata| &metadata.provides)).unwrap_or_default();
        answers.insert(solver_name(&stated.of).to_owned());
        let mut steps = [BTreeSet::new(), BTreeSet::new()];
        let mut seen = BTreeSet::from([&stated.by]);
        let mut step = 0;
        loop {
            let new = packages.iter().zip(&needs);
            let new = new.filter(|(package, needs)| {
                !seen.contains(&package.import.name) && needs.iter().any(|need| answers.contains(need))
            });
            let new: Vec<&ImagePackage> = new.map(|(package, _)| package).collect();
            if new.is_empty() {
                break;
            }
            answers.clear();
            for package in new {
                let name = &package.import.name;
                seen.insert(name);
                steps[step].insert(format!("{name} {}", package.import.version));
                answers.insert(solver_name(name).to_owned());
                answers.extend(named(&package.record, |metadata| &metadata.provides));
            }
            step = 1;
        }
        let [affected, through] = steps.map(|step| step.into_iter().collect());
        StandIn {
            of: stated.of.clone(),
            by: stated.by.clone(),
            version: by.map(|package| package.import.version.clone()).unwrap_or_default(),
            forced: stated.forced.clone(),
            affected,
            through,
        }
    };
    overrides.iter().map(stand_in).collect()
}

/// The names in a list of a package's, by the solver's names.
fn named(record: &FileSet, list: impl Fn(&PackageMetadata) -> &Vec<String>) -> BTreeSet<String> {
    let Some(package) = record.package() else { return BTreeSet::new() };
    let domain = record.name.domain();
    let atoms = list(package).iter().flat_map(|item| {
        let item = clause(item, domain);
        item.split('|').map(|atom| parts(atom.trim()).0.to_owned()).collect::<Vec<_>>()
    });
    atoms.collect()
}

/// Makes sure that each stand-in that wasn't forced gives what the package that it replaces gives: the names that it provides, and the
/// libraries that programs find by their sonames. (Versions are the solver's business.)
///
/// # Errors
/// What is missing; a replaced package that can't be fetched or read.
pub(crate) fn check(host: &Host, choice: &Choice, supplied: &[Supplied], progress: &dyn Progress) -> Result<()> {
    for replaced in choice.replaced.iter().filter(|replaced| replaced.stands_in.forced.is_none()) {
        let by = supplied.iter().find(|one| one.import.name == replaced.stands_in.by);
        let Some(by) = by else { continue };
        let original = original(host, choice, replaced, progress)?;
        let lacking = lacking(&host.store, &original, &by.import)?;
        if !lacking.is_empty() {
            return Err(Error::LacksWhatItReplaces {
                by: replaced.stands_in.by.clone(),
                version: by.import.version.clone(),
                of: replaced.stands_in.of.clone(),
                of_version: replaced.version.clone(),
                lacking,
            });
        }
    }
    Ok(())
}

/// The package that is replaced, in the store: only its files say which libraries it has.
fn original(host: &Host, choice: &Choice, replaced: &Replaced, progress: &dyn Progress) -> Result<PackageImport> {
    match (&replaced.source, &choice.debian) {
        (Source::Store { import, .. }, _) => Ok(import.clone()),
        (Source::Archive(file), Some((from, _))) => {
            let mut obtained = obtain::obtain(host, from, std::slice::from_ref(file), progress)?;
            obtained
                .pop()
                .map(|one| one.import)
                .ok_or_else(|| Error::NotInImage { package: file.name.clone(), nearest: Vec::new() })
        }
        (Source::Archive(file), None) => unreachable!("{} is of an archive that wasn't opened", file.name),
    }
}

fn lacking(store: &Store, original: &PackageImport, by: &PackageImport) -> Result<Vec<String>> {
    let (old, new) = (store.fileset(&original.package)?, store.fileset(&by.package)?);
    let (wanted, given) = (provides(&old), provides(&new));
    let is_lacking = |(name, version): &(&String, &Option<String>)| match given.get(*name) {
        None => *name != solver_name(&by.name),
        Some(has) => version.is_some() && has.is_none(),
    };
    let names = wanted.iter().filter(is_lacking).map(|(name, version)| match version {
        Some(version) => format!("it doesn't provide {name} (= {version})"),
        None => format!("it doesn't provide {name}"),
    });
    let mut lacking: Vec<String> = names.collect();
    let has = sonames(store, &store.tree(&new.tree)?)?;
    let wanted = sonames(store, &store.tree(&old.tree)?)?;
    lacking.extend(wanted.difference(&has).map(|soname| format!("it has no library {soname}")));
    Ok(lacking)
}

/// What a package provides, by the solver's names.
fn provides(record: &FileSet) -> BTreeMap<String, Option<String>> {
    let items = record.package().map(|package| package.provides.as_slice()).unwrap_or_default();
    let domain = record.name.domain();
    let parsed = items.iter().filter_map(|item| Provide::parse_list(&clause(item, domain)).ok()).flatten();
    parsed.map(|provide| (provide.name, provide.version.map(|version| version.as_str().to_owned()))).collect()
}

/// The sonames of the libraries that stand where the loader looks by itself.
fn sonames(store: &Store, tree: &Tree) -> Result<BTreeSet<String>> {
    let mut sonames = BTreeSet::new();
    for entry in tree.entries() {
        let Entry::File { digest, size, .. } = &entry.entry else { continue };
        if *size < 64 || !is_searched(&entry.path) {
            continue;
        }
        let file = store.open_object(digest)?;
        let path = store.object_path(digest);
        let failed = || Error::io("read", &path);
        let mut magic = [0; 4];
        file.read_exact_at(&mut magic, 0).map_err(failed())?;
        if magic == *b"\x7fELF" {
            sonames.extend(soname(&file).map_err(failed())?);
        }
    }
    Ok(sonames)
}

/// Whether a file stands in one of the loader's default folders: `lib`, `usr/lib`, and those of an architecture in them.
fn is_searched(path: &TreePath) -> bool {
    let parts: Vec<&[u8]> = path.as_bytes().split(|&b| b == b'/').collect();
    let parts = if parts.first() == Some(&b"usr".as_slice()) { &parts[1..] } else { &parts[..] };
    let is_library = |folder: &[u8]| matches!(folder, b"lib" | b"lib64");
    match parts {
        [folder, _] => is_library(folder),
        [folder, architecture, _] => is_library(folder) && architecture.windows(7).any(|part| part == b"-linux-"),
        _ => false,
    }
}
