//! Images of one package and what it requires: for a package that somebody wants to run and has no recipe of an image for.
//!
//! That of one of Debian's has the package's own name, which nothing else in a store has. A package of one's own has a name in the store already,
//! with a history that one goes back in, so its image is `<name>/run`. It is made again when the package has become another; Debian's
//! stays until it is updated.

use std::collections::BTreeMap;
use std::time::Instant;

use larder_debian::progress::Progress;
use larder_solver::{Base, Root, Update};
use larder_store::refs::{RefEntry, RefKind};
use larder_store::{FileSet, Name, Reference, Selector, Tree};

use crate::actions::START;
use crate::assemble::{self, Draft, NewAsks};
use crate::image::{self, PackageImport};
use crate::images::{self, Found};
use crate::solve::{self, Ask, Earlier, Wanted};
use crate::{Host, Result, obtain, supply};

/// The end of the name of an image of a package of one's own.
const RUN: &str = "/run";
/// What the history of such an image calls the making of it.
const ACTION: &str = "run";

/// Finds or makes the image of a package; `None` where a name is of none.
///
/// # Errors
/// What the package requires can't be had, or can't be put together; a version that the package doesn't have.
pub(super) fn image(host: &Host, reference: &Reference, progress: &dyn Progress) -> Result<Option<Found>> {
    let name = &reference.name;
    if let Some(history) = host.store.refs().get(RefKind::Package, name.as_str())? {
        let entry = images::select(&history, &reference.selector);
        let entry = entry.ok_or_else(|| images::no_record(reference, &history))?;
        return of_own(host, name, entry, progress).map(Some);
    }
    let is_debians = name.domain() == host.distribution.domain() && !name.path().contains('/');
    match is_debians && reference.selector == Selector::Latest {
        true => of_debian(host, name, progress).map(Some),
        false => Ok(None),
    }
}

/// What a container of an image is called inside: the package, where that is all that the image is for.
pub(super) fn shown_name(image: &FileSet) -> &str {
    let of = image.name.as_str().strip_suffix(RUN);
    let package = image.imports.iter().find(|import| Some(import.name.as_str()) == of);
    package.map_or_else(|| image.name.short(), |package| package.name.short())
}

/// The image of a package of one's own.
fn of_own(host: &Host, name: &Name, package: &RefEntry, progress: &dyn Progress) -> Result<Found> {
    let begun = Instant::now();
    let _lease = host.store.lease()?;
    let image = Name::parse(&format!("{name}{RUN}"))?;
    let from = std::slice::from_ref(&host.distribution);
    let latest = Reference { name: image.clone(), selector: Selector::Latest };
    let fits = |found: &Found| {
        let record = &found.record;
        let here = record.architecture == host.debian.architecture;
        let has = record.imports.iter().any(|import| import.name == *name && import.fileset == package.fileset);
        here && has && record.image().is_some_and(|metadata| metadata.from == from)
    };
    if let Some(found) = images::try_find(&host.store, &latest)?.filter(fits) {
        return Ok(found);
    }
    let roots = [format!("{name} ={}", package.version).parse::<Root>()?];
    let ask = Ask {
        from,
        roots: &roots,
        base: Base::Essential,
        recommends: false,
        earlier: &Earlier::default(),
        update: Update::None,
        built: &BTreeMap::from([(name.clone(), package.fileset)]),
        overrides: &[],
        unpublished: None,
    };
    let choice = solve::choose(host, &ask, progress)?;
    let imports: Vec<_> = supply::choice(host, &choice, progress)?.into_iter().map(|one| one.import).collect();
    let making = Making { name: &image, version: &package.version, package: name, roots: &roots, begun };
    making.make(host, &imports, progress)
}

/// The image of a package of the configured distribution.
fn of_debian(host: &Host, name: &Name, progress: &dyn Progress) -> Result<Found> {
    let begun = Instant::now();
    let _lease = host.store.lease()?;
    let roots = [name.short().parse::<Root>()?];
    let wanted = Wanted {
        from: &host.distribution,
        roots: &roots,
        base: Base::Essential,
        recommends: false,
        locked: BTreeMap::new(),
        update: Update::None,
    };
    let solved = solve::solve(host, &wanted, progress)?;
    let obtained = obtain::obtain(host, &host.distribution, &solved.files, progress)?;
    let imports: Vec<_> = obtained.into_iter().map(|o| o.import).collect();
    let own = imports.iter().find(|import| import.name == *name);
    let version = own.map_or_else(|| "1".to_owned(), |import| import.version.clone());
    Making { name, version: &version, package: name, roots: &roots, begun }.make(host, &imports, progress)
}

/// An image of a package that is to be made.
struct Making<'a> {
    /// The image's name.
    name: &'a Name,
    /// Its version.
    version: &'a str,
    /// The package.
    package: &'a Name,
    /// What was asked for.
    roots: &'a [Root],
    /// When that began.
    begun: Instant,
}

impl Making<'_> {
    fn make(&self, host: &Host, imports: &[PackageImport], progress: &dyn Progress) -> Result<Found> {
        let mut metadata = image::bare_metadata(&host.distribution, Base::Essential, self.roots);
        if let Some(package) = imports.iter().find(|import| import.name == *self.package) {
            metadata.run = command_of(host, package)?;
        }
        let ingest = host.store.begin()?;
        let tree = ingest.write_tree(&Tree::default())?;
        ingest.commit()?;
        let draft = Draft {
            name: self.name,
            version: self.version,
            architecture: &host.debian.architecture,
            tree,
            imports,
            metadata,
            action: ACTION,
            // What goes beyond the defaults is asked for at each start.
            new_asks: NewAsks::Accept,
            sources: Vec::new(),
            begun: self.begun,
        };
        let assembled = assemble::assemble(host, &draft, progress)?;
        Ok(Found { digest: assembled.digest, record: assembled.record })
    }
}

/// The command that a package is probably run for: what it says itself, or the program of its own name, if it has one.
fn command_of(host: &Host, package: &PackageImport) -> Result<Vec<String>> {
    let record = host.store.fileset(&package.package)?;
    if let Some(start) = record.package().and_then(|package| package.actions.get(START)) {
        return Ok(start.clone());
    }
    let tree = host.store.tree(&record.tree)?;
    let links = record.install().map(|rules| rules.links.as_slice()).unwrap_or_default();
    let short = package.name.short();
    let has = |folder: &&str| {
        let path = format!("{folder}/{short}");
        tree.get(path.as_bytes()).is_some() || links.iter().any(|link| link.path.as_bytes() == path.as_bytes())
    };
    let found = ["usr/bin", "usr/sbin", "usr/games", "usr/local/bin"].iter().any(has);
    Ok(if found { vec![short.to_owned()] } else { Vec::new() })
}
