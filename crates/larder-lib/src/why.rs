//! Why a package is in an image: the shortest chain of requirements, read from the image's own records.
//!
//! The image's packages are a small universe of their own. Solving in it for the image's own roots can only give the
//! image's own packages again, with the reason for each.

use std::collections::BTreeMap;

use larder_solver::{Chosen, PackageId, PackageInfo, Priority, Request, Root, Universe, Update};
use larder_store::{FileSet, Store};

use crate::contents::{self, ImagePackage};
use crate::{Error, Result, image};

/// The steps from what the image asks for to the package: the first is a root or of the base.
pub type Chain = Vec<Chosen>;

/// Finds the shortest chain that leads to a package of the image.
///
/// # Errors
/// The package isn't in the image, or records are missing.
pub fn why(store: &Store, image: &FileSet, package: &str) -> Result<Chain> {
    let packages = contents::packages(store, image)?;
    let short = package.rsplit('/').next().unwrap_or(package);
    let universe = ImageUniverse::new(&image.architecture, &packages);
    let metadata = image.image().cloned().unwrap_or_default();
    let roots = metadata.packages.iter().map(|text| text.parse()).collect::<Result<Vec<Root>, _>>()?;
    let locked = packages.iter().map(|p| (p.short().to_owned(), p.import.version.clone())).collect::<BTreeMap<_, _>>();
    let request = Request {
        roots: &roots,
        base: image::base(&metadata),
        recommends: metadata.recommends,
        locked: &locked,
        update: Update::None,
    };
    let missing = || Error::NotInImage {
        package: package.to_owned(),
        nearest: larder_solver::nearest_names(short, packages.iter().map(ImagePackage::short)),
    };
    let solution = larder_solver::resolve(&universe, &request)
        .map_err(|failure| Error::Inconsistent { image: format!("{}@{}", image.name, image.version), failure })?;
    larder_solver::why(&universe, &solution, short).map(|why| why.steps).ok_or_else(missing)
}

/// The packages of an image, as the solver reads them.
struct ImageUniverse {
    architecture: String,
    stanzas: Vec<Stanza>,
}

/// The fields that the solver reads, in Debian's syntax.
struct Stanza {
    name: String,
    version: String,
    architecture: String,
    multi_arch: String,
    essential: bool,
    requires: String,
    recommends: String,
    conflicts: String,
    breaks: String,
    provides: String,
    provided: Vec<String>,
}

impl ImageUniverse {
    fn new(architecture: &str, packages: &[ImagePackage]) -> Self {
        let stanzas = packages.iter().filter_map(|package| {
            let metadata = package.record.package()?;
            let provided = metadata.provides.iter().filter_map(|part| part.split([' ', '(', ':']).next());
            Some(Stanza {
                name: package.short().to_owned(),
                version: package.import.version.clone(),
                architecture: package.record.architecture.clone(),
                multi_arch: metadata.multi_arch.clone().unwrap_or_default(),
                essential: metadata.essential,
                requires: metadata.requires.join(", "),
                recommends: metadata.recommends.join(", "),
                conflicts: metadata.conflicts.join(", "),
                breaks: metadata.breaks.join(", "),
                provided: provided.map(str::to_owned).collect(),
                provides: metadata.provides.join(", "),
            })
        });
        Self { architecture: architecture.to_owned(), stanzas: stanzas.collect() }
    }

    fn select(&self, wanted: impl Fn(&Stanza) -> bool) -> Vec<PackageId> {
        let ids = 0..;
        ids.zip(&self.stanzas).filter(|(_, stanza)| wanted(stanza)).map(|(id, _)| id).collect()
    }
}

impl Universe for ImageUniverse {
    fn candidates(&self, name: &str) -> Vec<PackageId> {
        self.select(|stanza| stanza.name == name)
    }

    fn providers(&self, name: &str) -> Vec<PackageId> {
        self.select(|stanza| stanza.provided.iter().any(|provided| provided == name))
    }

    fn package(&self, id: PackageId) -> PackageInfo<'_> {
        let stanza = &self.stanzas[id as usize];
        PackageInfo {
            name: &stanza.name,
            version: &stanza.version,
            architecture: &stanza.architecture,
            multi_arch: &stanza.multi_arch,
            essential: stanza.essential,
            priority: Priority::Optional,
            depends: &stanza.requires,
            pre_depends: "",
            recommends: &stanza.recommends,
            conflicts: &stanza.conflicts,
            breaks: &stanza.breaks,
            provides: &stanza.provides,
        }
    }

    fn essential(&self) -> Vec<PackageId> {
        self.select(|stanza| stanza.essential)
    }

    fn architecture(&self) -> &str {
        &self.architecture
    }

    fn nearest_names(&self, name: &str) -> Vec<String> {
        larder_solver::nearest_names(name, self.stanzas.iter().map(|stanza| stanza.name.as_str()))
    }
}
