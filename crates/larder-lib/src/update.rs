//! `larder update` of an image alone: a new record from the old one, without recipe or files.
//!
//! The old record says what was asked for, and its imports which versions stand. The image's own tree stays as it is,
//! and so do the pinned versions of composers: an update changes packages, nothing else.

use std::collections::BTreeSet;
use std::time::Instant;

use larder_debian::progress::Progress;
use larder_solver::{Root, Update};
use larder_store::{FileSet, Name, Reference};

use crate::assemble::{self, Draft};
use crate::build::BuildReport;
use crate::diff;
use crate::lock::Change;
use crate::obtain;
use crate::solve::{self, Wanted};
use crate::{Error, Host, Result, contents, image, images};

/// Updates an image: the named packages, or all of them where none is named.
///
/// # Errors
/// No such image, a package that isn't in it, and whatever a build can fail with. The image is then as it was.
pub fn update(host: &Host, reference: &Reference, packages: &[String], progress: &dyn Progress) -> Result<BuildReport> {
    let begun = Instant::now();
    let _lease = host.store.lease()?;
    let old = images::find(&host.store, reference)?.record;
    let metadata = old.image().cloned().unwrap_or_default();
    let Some(from) = metadata.from.first().cloned() else {
        return Err(Error::NoDistribution { image: format!("{}@{}", old.name, old.version) });
    };
    let present = contents::packages(&host.store, &old)?;
    let roots = metadata.packages.iter().map(|root| root.parse()).collect::<Result<Vec<Root>, _>>()?;
    let wanted = Wanted {
        from: &from,
        roots: &roots,
        base: image::base(&metadata),
        recommends: metadata.recommends,
        locked: present.iter().map(|p| (p.short().to_owned(), p.import.version.clone())).collect(),
        update: freed(packages),
    };
    let solved = solve::solve(host, &wanted, progress)?;
    let obtained = obtain::obtain(host, &from, &solved.files, progress)?;
    let imports: Vec<_> = obtained.iter().map(|o| o.import.clone()).collect();
    let draft = Draft {
        name: &old.name,
        version: &old.version,
        architecture: &old.architecture,
        tree: old.tree,
        imports: &imports,
        metadata,
        action: "update",
        sources: Vec::new(),
        begun,
    };
    let assembled = assemble::assemble(host, draft, progress)?;
    let changes = changes(host, &old, &assembled.record)?;
    Ok(crate::build::report(host, assembled, &obtained, changes)?.1)
}

/// Which locked packages may change when these are named: all, when none is.
pub fn freed(packages: &[String]) -> Update {
    if packages.is_empty() {
        return Update::All;
    }
    let short = |name: &String| name.rsplit('/').next().unwrap_or(name).to_owned();
    Update::Some(packages.iter().map(short).collect::<BTreeSet<_>>())
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
