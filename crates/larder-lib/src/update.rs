//! `larder update` of an image alone: a new record from the old one, without recipe or files.
//!
//! The old record says what was asked for, and its imports which versions stand. The image's own tree stays as it is,
//! and so do the pinned versions of composers: an update changes packages, nothing else.

use std::collections::BTreeMap;
use std::time::Instant;

use larder_debian::progress::Progress;
use larder_solver::{Root, Update};
use larder_store::fileset::ScriptTier;
use larder_store::refs::RefKind;
use larder_store::{FileSet, FileSetDigest, Name, Reference, Store};

use crate::assemble::{self, Draft, NewAsks};
use crate::build::report::{BuildReport, report};
use crate::capture::{self, Wanted};
use crate::contents::ImagePackage;
use crate::lock::Change;
use crate::solve::{self, Ask, Curated, Earlier, solver_name};
use crate::supply::Supplied;
use crate::{Error, Host, Result, contents, diff, image, images, overrides, supply};

/// Updates an image: the named packages, or all of them where none is named.
///
/// # Errors
/// No such image, a package that isn't in it, and whatever a build can fail with. The image is then as it was.
pub fn update(
    host: &Host,
    reference: &Reference,
    packages: &[String],
    new_asks: NewAsks,
    progress: &dyn Progress,
) -> Result<BuildReport> {
    let begun = Instant::now();
    let _lease = host.store.lease()?;
    let old = images::find(&host.store, reference)?.record;
    let metadata = old.image().cloned().unwrap_or_default();
    let present = contents::packages(&host.store, &old)?;
    if metadata.from.is_empty() && present.is_empty() {
        return Err(Error::NoDistribution { image: format!("{}@{}", old.name, old.version) });
    }
    let roots = metadata.packages.iter().map(|root| root.parse()).collect::<Result<Vec<Root>, _>>()?;
    let earlier = earlier(&host.store, &metadata.from, &present)?;
    let ask = Ask {
        from: &metadata.from,
        roots: &roots,
        base: image::base(&metadata),
        recommends: metadata.recommends,
        earlier: &earlier,
        update: solve::freed(&named(packages), &earlier)?,
        built: &BTreeMap::new(),
        overrides: &metadata.overrides,
        unpublished: None,
    };
    let choice = solve::choose(host, &ask, progress)?;
    let mut supplied = supply::choice(host, &choice, progress)?;
    overrides::check(host, &choice, &supplied, progress)?;
    let names = captured(&present, &supplied);
    let wanted = Wanted { names: &names, base: image::base(&metadata), overrides: &metadata.overrides };
    let mut lock = supply::lock(host, Vec::new(), &choice, &supplied);
    capture::apply(host, &wanted, (&mut lock, &mut supplied), progress)?;
    let imports: Vec<_> = supplied.iter().map(|one| one.import.clone()).collect();
    let draft = Draft {
        name: &old.name,
        version: &old.version,
        architecture: &old.architecture,
        tree: old.tree,
        imports: &imports,
        metadata,
        action: "update",
        new_asks,
        sources: Vec::new(),
        begun,
    };
    let assembled = assemble::assemble(host, &draft, progress)?;
    let changes = changes(host, &old, &assembled.record)?;
    Ok(report(host, assembled, &supplied, changes)?.1)
}

/// Which packages may change when these are named, as they were typed: all, when none is.
pub fn named(packages: &[String]) -> Update {
    if packages.is_empty() { Update::All } else { Update::Some(packages.iter().cloned().collect()) }
}

/// The packages whose scripts' work is captured in the image, and that it still has.
fn captured(present: &[ImagePackage], supplied: &[Supplied]) -> Vec<String> {
    let is_captured = |package: &&ImagePackage| {
        let rules = package.declarations.as_ref().and_then(FileSet::install);
        rules.is_some_and(|rules| matches!(rules.script, ScriptTier::Captured(_)))
            && supplied.iter().any(|one| one.import.name == package.import.name)
    };
    present.iter().filter(is_captured).map(|package| package.import.name.to_string()).collect()
}

/// What the image is, as the solver's earlier answer.
fn earlier(store: &Store, from: &[Name], present: &[ImagePackage]) -> Result<Earlier> {
    let versions = present.iter().map(|p| (solver_name(&p.import.name).to_owned(), p.import.version.clone()));
    let own = present.iter().filter(|package| !solve::is_debians(&package.import.name));
    let mut earlier = Earlier {
        versions: versions.collect(),
        filesets: own.map(|package| (package.import.name.clone(), package.import.fileset)).collect(),
        distributions: BTreeMap::new(),
    };
    for name in from.iter().filter(|name| !solve::is_debians(name)) {
        if let Some(curated) = state(store, name, present)? {
            earlier.distributions.insert(name.clone(), curated);
        }
    }
    Ok(earlier)
}

/// The state of a distribution that an image was made from: the record doesn't say, but the newest that pins nothing else than what the
/// image has can't be told from it.
fn state(store: &Store, name: &Name, present: &[ImagePackage]) -> Result<Option<FileSetDigest>> {
    let Some(history) = store.refs().get(RefKind::Distribution, name.as_str())? else { return Ok(None) };
    for entry in history.entries.iter().rev() {
        let curated = Curated::load(store, &entry.fileset)?;
        let agrees = |p: &ImagePackage| curated.get(&p.import.name).is_none_or(|pin| pin.package == p.import.fileset);
        if present.iter().all(agrees) {
            return Ok(Some(entry.fileset));
        }
    }
    Ok(None)
}

fn changes(host: &Host, old: &FileSet, new: &FileSet) -> Result<Vec<(Name, Change)>> {
    let diff = diff::diff(&host.store, old, new)?;
    let mut changes = Vec::new();
    for (name, change) in diff.packages {
        let change = match change {
            diff::Change::Added(new) => Change::Added { version: new.version },
            diff::Change::Removed(old) => Change::Removed { version: old.version },
            diff::Change::Changed(old, new) if old.version == new.version => Change::Content { version: new.version },
            diff::Change::Changed(old, new) => Change::Version { old: old.version, new: new.version },
        };
        changes.push((Name::parse(&name)?, change));
    }
    Ok(changes)
}
