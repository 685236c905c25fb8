//! The life-cycle actions of an image: its own, and those that it inherits from its packages.
//!
//! An image's own goes before those of its packages, and its `run` is its own `start`. Of its packages exactly one must have an
//! action for the image to inherit it: which of two would be meant is for the recipe to say. Two are no error until somebody
//! asks for the action, because most images never do.

pub use larder_store::fileset::ACTIONS;
use larder_store::fileset::ImageMetadata;
use larder_store::{FileSet, Store};

use crate::{Error, Result};

/// The action that `run` means.
pub const START: &str = "start";

/// A declared action.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Declared {
    /// Which.
    pub action: String,
    /// `name@version` of whose it is.
    pub by: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Whether it is the one that is meant when the image is asked for it.
    pub in_effect: bool,
}

/// Every action that an image or one of its packages declares, by action and then by whose it is.
///
/// # Errors
/// A record that is missing or damaged.
pub fn declared(store: &Store, image: &FileSet) -> Result<Vec<Declared>> {
    let mut records = Vec::with_capacity(image.imports.len());
    for import in &image.imports {
        records.push(store.fileset(&import.fileset)?);
    }
    Ok(of_records(image, records.iter()))
}

/// As [`declared`], from records at hand.
pub(crate) fn of_records<'a>(image: &FileSet, imports: impl Iterator<Item = &'a FileSet>) -> Vec<Declared> {
    let title = |record: &FileSet| format!("{}@{}", record.name, record.version);
    let line = |record: &FileSet, action: &str, command: &[String]| Declared {
        action: action.to_owned(),
        by: title(record),
        command: command.to_vec(),
        in_effect: false,
    };
    let mut all = Vec::new();
    for record in imports {
        let actions = record.package().map(|package| &package.actions);
        all.extend(actions.into_iter().flatten().map(|(action, command)| line(record, action, command)));
    }
    all.sort();
    if let Some(metadata) = image.image() {
        let own = own(metadata);
        for (action, command) in own.into_iter().rev() {
            all.insert(0, line(image, action, command));
        }
        all.sort_by(|a, b| a.action.cmp(&b.action));
    }
    let image = title(image);
    for action in ACTIONS {
        let mut of: Vec<_> = all.iter_mut().filter(|one| one.action == *action).collect();
        let is_own = of.first().is_some_and(|first| first.by == image);
        if let Some(first) = of.first_mut().filter(|_| is_own) {
            first.in_effect = true;
        } else if let [only] = of.as_mut_slice() {
            only.in_effect = true;
        }
    }
    all
}

/// The image's own: those that it declares, and its `run`.
fn own(metadata: &ImageMetadata) -> Vec<(&str, &[String])> {
    let declared = metadata.actions.iter().map(|(action, command)| (action.as_str(), command.as_slice()));
    let run = Some((START, metadata.run.as_slice())).filter(|(_, run)| !run.is_empty());
    let mut own: Vec<_> = declared.filter(|(action, _)| *action != START || run.is_none()).chain(run).collect();
    own.sort();
    own
}

/// The command of an action.
///
/// # Errors
/// Nothing in the image has such an action, or two of its packages do.
pub fn command(store: &Store, image: &FileSet, action: &str) -> Result<Vec<String>> {
    let all = declared(store, image)?;
    if let Some(found) = all.iter().find(|one| one.action == action && one.in_effect) {
        return Ok(found.command.clone());
    }
    let title = format!("{}@{}", image.name, image.version);
    let by: Vec<_> = all.iter().filter(|one| one.action == action).map(|one| one.by.clone()).collect();
    if by.is_empty() {
        let mut known: Vec<_> = all.into_iter().map(|one| one.action).collect();
        known.dedup();
        return Err(Error::NoAction { image: title, action: action.to_owned(), known });
    }
    Err(Error::AmbiguousAction { image: title, action: action.to_owned(), by })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use larder_store::fileset::PackageMetadata;
    use larder_store::{Metadata, Name, TreeDigest};

    use super::*;

    fn record(name: &str, metadata: Metadata) -> FileSet {
        FileSet {
            name: Name::parse(name).expect("name"),
            version: "1".to_owned(),
            architecture: "all".to_owned(),
            time: 0,
            tree: TreeDigest::of(b""),
            imports: Vec::new(),
            metadata,
        }
    }

    fn actions(pairs: &[(&str, &str)]) -> BTreeMap<String, Vec<String>> {
        pairs.iter().map(|(action, program)| ((*action).to_owned(), vec![(*program).to_owned()])).collect()
    }

    fn package(name: &str, pairs: &[(&str, &str)]) -> FileSet {
        record(name, Metadata::Package(PackageMetadata { actions: actions(pairs), ..PackageMetadata::default() }))
    }

    fn image(run: &[&str], pairs: &[(&str, &str)]) -> FileSet {
        let run = run.iter().map(|&word| word.to_owned()).collect();
        record("example.com/i", Metadata::Image(ImageMetadata { run, actions: actions(pairs), ..Default::default() }))
    }

    fn effective(image: &FileSet, packages: &[FileSet]) -> Vec<String> {
        let all = of_records(image, packages.iter());
        let shown = |one: &Declared| format!("{} {} of {}", one.action, one.command.join(" "), one.by);
        all.iter().filter(|one| one.in_effect).map(shown).collect()
    }

    #[test]
    fn the_images_own_goes_first_and_two_packages_leave_it_open() {
        let one = package("example.com/a", &[("start", "a"), ("validate", "check-a")]);
        let two = package("example.com/b", &[("validate", "check-b"), ("metrics", "count-b")]);
        let both = [one, two];
        assert_eq!(
            effective(&image(&[], &[]), &both),
            ["metrics count-b of example.com/b@1", "start a of example.com/a@1"]
        );
        assert_eq!(
            effective(&image(&["mine"], &[("validate", "check")]), &both),
            [
                "metrics count-b of example.com/b@1",
                "start mine of example.com/i@1",
                "validate check of example.com/i@1"
            ]
        );
        let all = of_records(&image(&[], &[]), both.iter());
        assert_eq!(all.iter().filter(|one| one.action == "validate" && !one.in_effect).count(), 2);
    }
}
