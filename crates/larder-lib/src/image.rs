//! An image's record: made from its own tree, its packages and what its recipe says.

use std::collections::BTreeMap;

use larder_solver::{Base, Root};
use larder_store::fileset::{ImageMetadata, Import};
use larder_store::name::NameError;
use larder_store::{FileSet, FileSetDigest, Metadata, Name, TreeDigest};

use crate::recipe::{Recipe, base_word};

/// 1980-01-02, the earliest time that an image's own files show: ZIP and others can't go below 1980.
const EARLIEST: u64 = 315_619_200;

/// A package that an image imports, with the declarations about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageImport {
    /// The package's full name.
    pub name: Name,
    /// Its version.
    pub version: String,
    /// The package.
    pub package: FileSetDigest,
    /// Its declarations: name, version and digest.
    pub declarations: Option<(Name, String, FileSetDigest)>,
}

/// The time that an image's own files show: its tree's digest, spread over eight and a half years from 1980-01-02.
///
/// One constant would do harm: a web server answers "not modified" for a page that changed without changing its length.
pub fn own_time(tree: &TreeDigest) -> u64 {
    let bytes = tree.as_bytes();
    let low = u32::from_be_bytes([bytes[28], bytes[29], bytes[30], bytes[31]]);
    EARLIEST + u64::from(low) % (1 << 28)
}

/// What an image says besides its files and imports, from its recipe and the packages as the distributions know them.
pub fn metadata(recipe: &Recipe, packages: &[Root]) -> ImageMetadata {
    ImageMetadata {
        from: recipe.from.clone(),
        base: base_word(recipe.base).to_owned(),
        recommends: recipe.recommends,
        packages: packages.iter().map(ToString::to_string).collect(),
        overrides: recipe.overrides.clone(),
        run: recipe.run.clone(),
        env: recipe.env.iter().map(|(name, value)| (name.to_string(), value.clone())).collect(),
        user: recipe.user.as_ref().map(ToString::to_string),
        workdir: recipe.workdir.as_ref().map(ToString::to_string),
        stop_signal: recipe.stop_signal.as_ref().map(ToString::to_string),
        labels: recipe.labels.clone(),
        composers: current_composers(),
        asks: recipe.host.asks.clone(),
        actions: recipe.actions.clone(),
        documentation: recipe.documentation.clone(),
    }
}

/// What an image says that is no more than packages from a distribution.
pub fn bare_metadata(from: &Name, base: Base, packages: &[Root]) -> ImageMetadata {
    ImageMetadata {
        from: vec![from.clone()],
        base: base_word(base).to_owned(),
        packages: packages.iter().map(ToString::to_string).collect(),
        composers: current_composers(),
        ..ImageMetadata::default()
    }
}

fn current_composers() -> BTreeMap<String, u64> {
    larder_debian::compose::current_versions()
}

/// Makes the record. It depends on the set of packages and the files alone: not on order, time, host, user or locale.
///
/// # Errors
/// A version that can't be a part of a path.
pub fn record(
    name: &Name,
    version: &str,
    architecture: &str,
    tree: TreeDigest,
    packages: &[PackageImport],
    metadata: ImageMetadata,
) -> Result<FileSet, NameError> {
    Ok(FileSet {
        name: name.clone(),
        version: version.to_owned(),
        architecture: architecture.to_owned(),
        time: own_time(&tree),
        tree,
        imports: imports(packages)?,
        metadata: Metadata::Image(metadata),
    })
}

/// Packages and their declarations as imports, sorted.
///
/// # Errors
/// A version that can't be a part of a path.
pub(crate) fn imports(packages: &[PackageImport]) -> Result<Vec<Import>, NameError> {
    let mut imports = Vec::with_capacity(packages.len() * 2);
    for package in packages {
        let import = |name: &Name, version: &str, fileset| -> Result<Import, NameError> {
            Ok(Import { path: name.mount_path(version)?, name: name.clone(), version: version.to_owned(), fileset })
        };
        imports.push(import(&package.name, &package.version, package.package)?);
        if let Some((name, version, digest)) = &package.declarations {
            imports.push(import(name, version, *digest)?);
        }
    }
    imports.sort();
    Ok(imports)
}

/// The base that an image's record names.
pub fn base(metadata: &ImageMetadata) -> Base {
    if metadata.base == base_word(Base::None) { Base::None } else { Base::Essential }
}

/// Whether an import is a declarations FileSet, and of which package.
pub fn declared_package(name: &Name) -> Option<&str> {
    name.as_str().strip_suffix("/declarations")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str) -> PackageImport {
        PackageImport {
            name: Name::parse(name).expect("name"),
            version: "1:2".into(),
            package: FileSetDigest::of(name.as_bytes()),
            declarations: None,
        }
    }

    #[test]
    fn the_order_of_packages_means_nothing() {
        let name = Name::parse("example.com/web").expect("name");
        let make = |packages: &[PackageImport]| {
            record(&name, "1", "amd64", TreeDigest::of(b""), packages, ImageMetadata::default()).expect("record")
        };
        let (a, b) = (package("debian.org/a"), package("debian.org/b"));
        let one = make(&[a.clone(), b.clone()]);
        assert_eq!(one, make(&[b, a]));
        assert_eq!(one.imports[0].path.to_string(), "packages/debian.org/a@1%3a2");
    }

    #[test]
    fn different_trees_show_different_times() {
        let times = [TreeDigest::of(b"a"), TreeDigest::of(b"b")].map(|tree| own_time(&tree));
        assert_ne!(times[0], times[1]);
        assert!(times.iter().all(|time| (EARLIEST..EARLIEST + (1 << 28)).contains(time)));
    }
}
