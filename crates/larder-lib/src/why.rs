//! Why a package is in an image: the shortest chain of requirements, read from the image's own records.
//!
//! The image's packages are a small universe of their own. Solving in it for the image's own roots can only give the
//! image's own packages again, with the reason for each.

use std::collections::{BTreeMap, BTreeSet};

use larder_solver::{Chosen, PackageId, PackageInfo, Request, Requirement, Root, Universe, Update};
use larder_store::fileset::Override;
use larder_store::{FileSet, Name, Store};

use crate::contents::{self, ImagePackage};
use crate::solve::stanza::{Stanza, clause};
use crate::solve::{solver_name, solver_root};
use crate::{Error, Result, image};

/// A step on the way to a package. The names are the solver's: a package of Debian's has its short one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The package, and why it is there.
    pub chosen: Chosen,
    /// The packages that it stands in for, by an override.
    pub stands_in_for: Vec<Name>,
}

/// The steps from what the image asks for to the package: the first is a root or of the base.
pub type Chain = Vec<Step>;

/// Finds the shortest chain that leads to a package of the image.
///
/// # Errors
/// The package isn't in the image, or records are missing.
pub fn why(store: &Store, image: &FileSet, package: &str) -> Result<Chain> {
    let packages = contents::packages(store, image)?;
    let metadata = image.image().cloned().unwrap_or_default();
    let universe = ImageUniverse::new(&image.architecture, &packages, &metadata.overrides);
    let roots = metadata.packages.iter().map(|text| text.parse()).collect::<Result<Vec<Root>, _>>()?;
    let roots: Vec<Root> = roots.iter().map(solver_root).collect();
    let versions = packages.iter().map(|p| (solver_name(&p.import.name).to_owned(), p.import.version.clone()));
    let locked: BTreeMap<_, _> = versions.collect();
    let request = Request {
        roots: &roots,
        base: image::base(&metadata),
        recommends: metadata.recommends,
        locked: &locked,
        update: Update::None,
    };
    let solution = larder_solver::resolve(&universe, &request)
        .map_err(|failure| Error::Inconsistent { image: format!("{}@{}", image.name, image.version), failure })?;
    let name = named(package, &packages)?;
    let missing = || not_in_image(package, &packages);
    let found = larder_solver::why(&universe, &solution, &name).ok_or_else(missing)?;
    let stands_in_for = |chosen: &Chosen| {
        let stated = metadata.overrides.iter().filter(|stated| solver_name(&stated.by) == chosen.name);
        stated.map(|stated| stated.of.clone()).collect()
    };
    Ok(found.steps.into_iter().map(|chosen| Step { stands_in_for: stands_in_for(&chosen), chosen }).collect())
}

/// The solver's name of what was typed: a package's full name, or a short one that only one package of the image has.
fn named(package: &str, packages: &[ImagePackage]) -> Result<String> {
    let full = |p: &&ImagePackage| p.import.name.as_str() == package || solver_name(&p.import.name) == package;
    if let Some(found) = packages.iter().find(full) {
        return Ok(solver_name(&found.import.name).to_owned());
    }
    let of_short: Vec<&ImagePackage> = packages.iter().filter(|p| p.short() == package).collect();
    match of_short.as_slice() {
        [one] => Ok(solver_name(&one.import.name).to_owned()),
        [] if package.contains('/') => match Name::parse(package) {
            Ok(name) => Ok(solver_name(&name).to_owned()),
            Err(_) => Err(not_in_image(package, packages)),
        },
        // Perhaps something provides it.
        [] => Ok(package.to_owned()),
        several => {
            let names = several.iter().map(|package| package.import.name.clone()).collect();
            Err(Error::SeveralInImage { package: package.to_owned(), names })
        }
    }
}

fn not_in_image(package: &str, packages: &[ImagePackage]) -> Error {
    let short = package.rsplit('/').next().unwrap_or(package);
    let nearest = larder_solver::nearest_names(short, packages.iter().map(ImagePackage::short));
    Error::NotInImage { package: package.to_owned(), nearest }
}

/// The packages of an image, as the solver reads them.
pub(crate) struct ImageUniverse {
    architecture: String,
    stanzas: Vec<Stanza>,
}

impl ImageUniverse {
    pub(crate) fn new(architecture: &str, packages: &[ImagePackage], overrides: &[Override]) -> Self {
        let mut stanzas: Vec<Stanza> = packages.iter().filter_map(|package| Stanza::of(&package.record)).collect();
        for stated in overrides {
            let (of, by) = (solver_name(&stated.of), solver_name(&stated.by));
            if let Some(stanza) = stanzas.iter_mut().find(|stanza| stanza.name == by) {
                // Which version a forced one was taken for isn't in the record, and any will do here: the image is what it is.
                let versions: BTreeSet<String> = match stated.forced {
                    None => [stanza.version.clone()].into(),
                    Some(_) => wanted(packages, of),
                };
                for version in &versions {
                    stanza.stand_in(of, version);
                }
            }
        }
        Self { architecture: architecture.to_owned(), stanzas }
    }

    fn select(&self, wanted: impl Fn(&Stanza) -> bool) -> Vec<PackageId> {
        (0..).zip(&self.stanzas).filter(|(_, stanza)| wanted(stanza)).map(|(id, _)| id).collect()
    }
}

/// The versions that packages name when they require this one.
fn wanted(packages: &[ImagePackage], name: &str) -> BTreeSet<String> {
    let clauses =
        packages.iter().filter_map(|package| Some((package, package.record.package()?))).flat_map(|(p, metadata)| {
            metadata.requires.iter().map(|item| clause(item, p.import.name.domain())).collect::<Vec<_>>()
        });
    let atoms = clauses.filter_map(|clause| Requirement::parse(&clause).ok()).flat_map(|clause| clause.alternatives);
    let versions = atoms.filter(|atom| atom.name == name).filter_map(|atom| atom.constraint);
    versions.map(|(_, version)| version.as_str().to_owned()).chain(["1".to_owned()]).collect()
}

impl Universe for ImageUniverse {
    fn candidates(&self, name: &str) -> Vec<PackageId> {
        self.select(|stanza| stanza.name == name)
    }

    fn providers(&self, name: &str) -> Vec<PackageId> {
        self.select(|stanza| stanza.provides(name))
    }

    fn package(&self, id: PackageId) -> PackageInfo<'_> {
        self.stanzas[id as usize].info()
    }

    fn essential(&self) -> Vec<PackageId> {
        self.select(|stanza| stanza.essential && !stanza.name.contains('/'))
    }

    fn architecture(&self) -> &str {
        &self.architecture
    }

    fn nearest_names(&self, name: &str) -> Vec<String> {
        larder_solver::nearest_names(name, self.stanzas.iter().map(|stanza| stanza.name.as_str()))
    }
}
