//! Which images have something compiled in: the question of an advisory about a library that no package's record knows of.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use larder_solver::Root;
use larder_store::refs::{RefEntry, RefKind};
use larder_store::{FileSetDigest, Name, Store};
use rayon::prelude::*;

use super::{Component, Contained, Ecosystem, fileset};
use crate::which::Scope;
use crate::{Result, contents};

/// An image in whose files it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The image's name.
    pub image: Name,
    /// The image's version.
    pub image_version: String,
    /// The image.
    pub image_digest: FileSetDigest,
    /// The package whose file it is; the image itself for a file of its own.
    pub package: Name,
    /// The package's version.
    pub version: String,
    /// The package.
    pub digest: FileSetDigest,
    /// What was found, and where.
    pub component: Component,
}

/// What the files of all images say.
#[derive(Debug, Default)]
pub struct Answer {
    /// Who has it, by image.
    pub holders: Vec<Holder>,
    /// How many files should say what is in them, and can't be read.
    pub unread: usize,
    /// Names that may have been meant, where nothing has this one in any version.
    pub nearest: Option<Vec<String>>,
}

/// Finds the images with a component of this name, in a range of versions (`<2.17, >=2.0`). One that doesn't say its version is found whatever
/// the range.
///
/// Versions compare as Debian's do, but for two habits of others: a `v` in front means nothing, and what follows a dash comes before
/// (`1.0-rc1` is older than `1.0`).
///
/// # Errors
/// A range that can't be read, or a store that can't.
pub fn which(store: &Store, name: &str, range: Option<&str>, scope: Scope) -> Result<Answer> {
    let root: Root = format!("component {}", range.map(comparable_range).unwrap_or_default()).parse()?;
    let mut images = Vec::new();
    for (image, history) in store.refs().list(RefKind::Image)? {
        let image = Name::parse(&image)?;
        images.extend(scope.entries(&history).into_iter().map(|entry| (image.clone(), entry.clone())));
    }
    let members = images.iter().map(|(_, entry)| members(store, entry)).collect::<Result<Vec<_>>>()?;
    let all: BTreeMap<_, _> = members.iter().flatten().map(|(digest, record)| (*digest, record)).collect();
    let read = all.par_iter().map(|(digest, record)| Ok((*digest, fileset(store, digest, record)?)));
    let read: HashMap<FileSetDigest, Contained> = read.collect::<Result<_>>()?;

    let mut answer = Answer { unread: read.values().map(|one| one.reading.unread.len()).sum(), ..Answer::default() };
    for ((image, entry), members) in images.into_iter().zip(&members) {
        for (digest, _) in members {
            let Some(contained) = read.get(digest) else { continue };
            let wanted = |one: &&Component| is_named(one, name) && in_range(&root, one.version.as_deref());
            answer.holders.extend(contained.reading.components.iter().filter(wanted).map(|component| Holder {
                image: image.clone(),
                image_version: entry.version.clone(),
                image_digest: entry.fileset,
                package: contained.name.clone(),
                version: contained.version.clone(),
                digest: *digest,
                component: component.clone(),
            }));
        }
    }
    let known = || read.values().flat_map(|one| &one.reading.components);
    if answer.holders.is_empty() && !known().any(|one| is_named(one, name)) {
        let names: BTreeSet<&str> = known().map(|one| one.name.as_str()).collect();
        answer.nearest = Some(larder_solver::nearest_names(name, names));
    }
    Ok(answer)
}

/// The image and its packages.
fn members(store: &Store, entry: &RefEntry) -> Result<Vec<(FileSetDigest, larder_store::FileSet)>> {
    let record = store.fileset(&entry.fileset)?;
    let packages = contents::packages(store, &record)?;
    let packages = packages.into_iter().map(|package| (package.import.fileset, package.record));
    Ok(std::iter::once((entry.fileset, record)).chain(packages).collect())
}

/// Whether a component is meant by a name: each ecosystem has its own opinion about what is the same.
fn is_named(component: &Component, name: &str) -> bool {
    match component.ecosystem {
        Ecosystem::Go | Ecosystem::Npm => component.name == name,
        // Either whole, or without the group.
        Ecosystem::Java => component.name == name || component.name.rsplit(':').next() == Some(name),
        Ecosystem::Python | Ecosystem::Rust => folded(&component.name) == folded(name),
    }
}

/// A name of Python's or Rust's, of which case and kinds of dashes don't matter.
fn folded(name: &str) -> String {
    name.to_ascii_lowercase().split(['-', '_', '.']).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

fn in_range(root: &Root, version: Option<&str>) -> bool {
    // Go's word for what was built from a folder.
    version.filter(|version| *version != "(devel)").is_none_or(|version| root.accepts(&comparable(version)))
}

fn comparable(version: &str) -> String {
    let version =
        version.strip_prefix('v').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit())).unwrap_or(version);
    version.replace('-', "~")
}

fn comparable_range(range: &str) -> String {
    let one = |part: &str| {
        let start = part.find(|c: char| !c.is_whitespace() && !"<>=".contains(c)).unwrap_or(part.len());
        let (relation, version) = part.split_at(start);
        format!("{relation}{}", comparable(version))
    };
    range.split(',').map(one).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use larder_store::TreePath;

    use super::*;

    fn component(ecosystem: Ecosystem, name: &str) -> Component {
        let file = TreePath::try_from("f").expect("a path");
        Component { file, inside: None, ecosystem, name: name.to_owned(), version: None }
    }

    #[test]
    fn names_are_those_of_their_ecosystem() {
        for (ecosystem, has, asked) in [
            (Ecosystem::Go, "golang.org/x/text", "golang.org/x/text"),
            (Ecosystem::Java, "org.apache.logging.log4j:log4j-core", "log4j-core"),
            (Ecosystem::Java, "org.apache.logging.log4j:log4j-core", "org.apache.logging.log4j:log4j-core"),
            (Ecosystem::Npm, "@scope/thing", "@scope/thing"),
            (Ecosystem::Python, "Flask_SQLAlchemy", "flask-sqlalchemy"),
            (Ecosystem::Rust, "serde_json", "serde-json"),
        ] {
            assert!(is_named(&component(ecosystem, has), asked), "{has} {asked}");
        }
        for (ecosystem, has, asked) in [
            (Ecosystem::Go, "golang.org/x/text", "text"),
            (Ecosystem::Java, "org.apache.logging.log4j:log4j-core", "core"),
            (Ecosystem::Npm, "@scope/thing", "thing"),
            (Ecosystem::Python, "Flask_SQLAlchemy", "flask"),
        ] {
            assert!(!is_named(&component(ecosystem, has), asked), "{has} {asked}");
        }
    }

    #[test]
    fn ranges_of_versions() {
        let root = |range: &str| format!("component {}", comparable_range(range)).parse::<Root>().expect("a range");
        for (range, version, is) in [
            ("<v0.3.8", Some("v0.3.7"), true),
            ("<0.3.8", Some("v0.3.8"), false),
            (">=2.0, <2.17", Some("2.14.1"), true),
            ("<1.0.0", Some("1.0.0-rc.1"), true),
            (">=1.0.0", Some("1.0.0-rc.1"), false),
            ("<1", None, true),
            ("<1", Some("(devel)"), true),
        ] {
            assert_eq!(in_range(&root(range), version), is, "{range} {version:?}");
        }
    }
}
