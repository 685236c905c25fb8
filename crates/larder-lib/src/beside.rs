//! Packages whose recipes are beside a recipe that asks for them: built first, then asked for by their names.

use std::collections::BTreeMap;
use std::path::Path;

use larder_debian::progress::Progress;
use larder_store::{FileSetDigest, Name};

use crate::package::{self, PackageOptions};
use crate::recipe::{PackagePath, Recipe};
use crate::{Error, Host, Result};

/// Builds the packages that a recipe names by their folders, and lets it ask for them by name.
///
/// # Errors
/// Whatever keeps one of them from being built; two recipes of one name.
pub(crate) fn build(
    host: &Host,
    recipe: &mut Recipe,
    progress: &dyn Progress,
) -> Result<BTreeMap<Name, FileSetDigest>> {
    let mut built: BTreeMap<Name, FileSetDigest> = BTreeMap::new();
    let mut folders: BTreeMap<Name, &PackagePath> = BTreeMap::new();
    for path in &recipe.paths {
        let folder = recipe.folder().join(&path.path);
        let (name, fileset) = build_package_recipe(host, &folder, progress)?;
        if let Some(other) = folders.insert(name.clone(), path) {
            return Err(Error::SameName { name, first: other.path.clone(), second: path.path.clone() });
        }
        built.insert(name, fileset);
    }
    recipe.with_built(built.keys());
    Ok(built)
}

/// Builds the package whose recipe is in a folder.
fn build_package_recipe(host: &Host, folder: &Path, progress: &dyn Progress) -> Result<(Name, FileSetDigest)> {
    let recipe = package::load(folder)?;
    let report = package::build(host, &recipe, &PackageOptions::default(), progress)?;
    Ok((report.name, report.digest))
}
