//! Packages whose recipes are beside a recipe that asks for them: built first, then asked for by their names.

use std::collections::BTreeMap;

use larder_debian::progress::Progress;
use larder_store::Name;

use crate::package::{self, PackageOptions, Way};
use crate::recipe::{PackagePath, Recipe};
use crate::selection::Built;
use crate::{Error, Host, Result};

/// Builds the packages that a recipe names by their folders, and lets it ask for them by name.
///
/// # Errors
/// Whatever keeps one of them from being built; two recipes of one name; a circle of recipes.
pub(crate) fn build(host: &Host, recipe: &mut Recipe, way: &Way<'_>, progress: &dyn Progress) -> Result<Built> {
    let mut built = Built::default();
    let mut folders: BTreeMap<Name, &PackagePath> = BTreeMap::new();
    for path in &recipe.paths {
        let beside = package::load(&recipe.folder().join(&path.path))?;
        let report = package::build_on(host, &beside, &PackageOptions::default(), way, progress)?;
        if let Some(other) = folders.insert(report.name.clone(), path) {
            return Err(Error::SameName { name: report.name, first: other.path.clone(), second: path.path.clone() });
        }
        let splits = report.parts.into_iter().filter(|part| part.name != report.name);
        built.splits.extend(splits.map(|part| (part.name, part.digest)));
        built.asked.insert(report.name, report.digest);
    }
    recipe.with_built(built.asked.keys());
    Ok(built)
}
