//! Which packages a package's scripts see: the base, the package and what it requires, of those that an image has.

use std::collections::{BTreeMap, BTreeSet};

use larder_solver::{Base, Request, Root, Universe, Update};
use larder_store::fileset::Override;
use larder_store::{Import, Name};

use crate::contents::ImagePackage;
use crate::image::PackageImport;
use crate::solve::{MERGED, solver_name};
use crate::why::ImageUniverse;
use crate::{Error, Host, Result};

/// What an image is made of.
#[derive(Clone, Copy)]
pub(crate) struct Among<'a> {
    /// Its packages.
    pub(crate) packages: &'a [PackageImport],
    /// What it has besides what it asks for.
    pub(crate) base: Base,
    /// What stands in for what.
    pub(crate) overrides: &'a [Override],
}

/// The packages of an image that are asked for by the solver's names, with what they need, in the order of the image; `what` names who
/// asks. In an image without a base, whose author put into
/// it what scripts may need, they are all of them.
///
/// # Errors
/// Records that are missing.
pub(crate) fn closure(host: &Host, asked: &[Root], among: Among<'_>, what: &str) -> Result<Vec<PackageImport>> {
    if among.base == Base::None {
        return Ok(among.packages.to_vec());
    }
    let loaded = |import: &PackageImport| -> Result<ImagePackage> {
        let (name, version, fileset) = (import.name.clone(), import.version.clone(), import.package);
        let record = host.store.fileset(&fileset)?;
        let path = name.mount_path(&version)?;
        Ok(ImagePackage { import: Import { path, name, version, fileset }, record, declarations: None })
    };
    let packages = among.packages.iter().map(loaded).collect::<Result<Vec<_>>>()?;
    let universe = ImageUniverse::new(&host.debian.architecture, &packages, among.overrides);
    let mut roots = asked.to_vec();
    if !universe.candidates(MERGED).is_empty() {
        roots.push(Root::any(MERGED));
    }
    let versions = packages.iter().map(|p| (solver_name(&p.import.name).to_owned(), p.import.version.clone()));
    let locked: BTreeMap<_, _> = versions.collect();
    let request = Request { roots: &roots, base: among.base, recommends: false, locked: &locked, update: Update::None };
    let solution = larder_solver::resolve(&universe, &request)
        .map_err(|failure| Error::Inconsistent { image: what.to_owned(), failure })?;
    let chosen: BTreeSet<&str> = solution.packages.iter().map(|chosen| chosen.name.as_str()).collect();
    let is_chosen = |name: &Name| chosen.contains(solver_name(name));
    Ok(among.packages.iter().filter(|import| is_chosen(&import.name)).cloned().collect())
}
