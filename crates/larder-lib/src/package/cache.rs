//! What was built from which inputs, so that the same inputs need no build.
//!
//! The digest of the inputs covers what the recipe means, the pinned sources, every FileSet of the sandbox and the rule. Under it stand
//! refs `build-1/<digest>` for the package and `build-1/<digest>/<split>` for its splits. They keep nothing: the packages' own names do.

use std::fmt::Write as _;

use larder_store::refs::{RefEntry, RefKind};
use larder_store::{Name, ObjectDigest};

use super::source::Pin;
use super::{BuiltPart, RULE, parts};
use crate::lock::Lock;
use crate::recipe::package::PackageRecipe;
use crate::{Host, Result};

/// The digest of all inputs, as the key of refs.
pub(super) fn key(recipe: &PackageRecipe, pin: Option<&Pin>, lock: &Lock) -> String {
    let mut text = format!("{RULE}\n{}\n{}\n{}\n", env!("CARGO_PKG_VERSION"), lock.architecture, meaning(recipe));
    let _ = writeln!(text, "{}", pin.map_or("no source", |pin| pin.line.as_str()));
    for (name, package) in &lock.packages {
        let declarations = package.declarations.as_ref().map(|declarations| declarations.fileset.to_string());
        let _ = writeln!(text, "{name} {} {}", package.fileset, declarations.unwrap_or_default());
    }
    format!("{}/{}", RULE.replace('/', "-"), ObjectDigest::of(text.as_bytes()).hex())
}

/// What a recipe means, whatever its layout: equal for recipes that give the same package from the same inputs. Only this program reads it,
/// and its version is part of the key.
fn meaning(recipe: &PackageRecipe) -> String {
    let PackageRecipe {
        file: _,
        text: _,
        written: _,
        name,
        version,
        summary,
        license,
        homepage,
        relations,
        documentation,
        configuration,
        // Pinned by its digest: where it came from has no part in what is built.
        source: _,
        build,
        asks,
        architectures,
        splits,
        imports,
        links,
        alternatives,
        users,
        script,
        actions,
        test,
    } = recipe;
    format!(
        "{:?}",
        (
            (name, version, summary, license, homepage, relations, documentation),
            (configuration, build, asks, architectures, splits, links, actions, test),
            (imports, users, alternatives, script.as_ref().map(|script| (crate::capture::RULE, script)))
        )
    )
}

/// The packages that were built from these inputs, if the store still has all of them.
///
/// # Errors
/// A store that can't be read.
pub(super) fn get(host: &Host, recipe: &PackageRecipe, key: &str) -> Result<Option<Vec<BuiltPart>>> {
    let mut built = Vec::new();
    for (key, name) in keys(recipe, key)? {
        let found = host.store.refs().get(RefKind::Conversion, &key)?.map(|found| found.current_entry().fileset);
        let Some(digest) = found.filter(|digest| host.store.has_fileset(digest)) else { return Ok(None) };
        let record = host.store.fileset(&digest)?;
        let tree = host.store.tree(&record.tree)?;
        built.push(parts::built(&name, &record.version, digest, &tree));
    }
    Ok(Some(built))
}

/// Remembers what was built.
///
/// # Errors
/// A store that can't be written.
pub(super) fn keep(host: &Host, recipe: &PackageRecipe, key: &str, parts: &[BuiltPart]) -> Result<()> {
    for ((key, _), part) in keys(recipe, key)?.into_iter().zip(parts) {
        let (version, action) = (part.version.clone(), "build".to_owned());
        let entry = RefEntry { version, fileset: part.digest, at: host.now, action };
        host.store.refs().set(RefKind::Conversion, &key, entry)?;
    }
    Ok(())
}

/// The key of each part with its name, in the order in which parts are built.
fn keys(recipe: &PackageRecipe, key: &str) -> Result<Vec<(String, Name)>> {
    let mut keys = vec![(key.to_owned(), recipe.name.clone())];
    for end in recipe.splits.keys() {
        keys.push((format!("{key}/{end}"), Name::parse(&recipe.split_name(end))?));
    }
    Ok(keys)
}
