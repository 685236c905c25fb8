//! What an image, a distribution or a package is and what is in it, without opening it.

use larder_store::fileset::ImageMetadata;
use larder_store::{Entry, FileSet, FileSetDigest, Reference, Store, Tree, TreePath};

use crate::actions::{self, Declared};
use crate::asks::{self, Asking};
use crate::contents::{self, ImagePackage};
use crate::overrides::{self, StandIn};
use crate::{Result, images};

mod inherited;
mod package;
mod subject;

use inherited::Part;
pub use inherited::{Configuration, Documentation};
pub use package::PackageInspection;
pub(crate) use package::package;
pub use subject::{Subject, subject};

/// Everything that an image's records say.
#[derive(Debug)]
pub struct Inspection {
    /// The image's identity.
    pub digest: FileSetDigest,
    /// Its record.
    pub record: FileSet,
    /// What it runs, and how.
    pub metadata: ImageMetadata,
    /// Its packages, sorted by name.
    pub packages: Vec<PackageLine>,
    /// Which packages stand in for others, and whose guarantee that voids.
    pub stand_ins: Vec<StandIn>,
    /// The contents of all packages, in bytes.
    pub package_bytes: u64,
    /// How many files of its own it has.
    pub own_files: usize,
    /// Their contents, in bytes.
    pub own_bytes: u64,
    /// What it and its packages ask of the host.
    pub asks: Vec<Asking>,
    /// What can be done with it, and whose that is.
    pub actions: Vec<Declared>,
    /// Its packages' default configuration, and whose file is there.
    pub configuration: Vec<Configuration>,
    /// Where its documentation is, and its packages'.
    pub documentation: Vec<Documentation>,
    /// Files with set-id bits or capabilities: inert in a container unless it is allowed them. Sorted by path.
    pub privileged: Vec<Privileged>,
}

/// A package with the size of its contents.
#[derive(Debug)]
pub struct PackageLine {
    /// The package.
    pub package: ImagePackage,
    /// Its contents, in bytes.
    pub bytes: u64,
}

/// A file that would raise privileges.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Privileged {
    /// Where.
    pub path: TreePath,
    /// `name@version` of whose it is.
    pub package: String,
    /// `set-user-id root`, `set-group-id shadow`, `file capabilities`.
    pub what: String,
}

/// Inspects an image.
///
/// # Errors
/// No such image, or records that are missing or damaged.
pub fn inspect(store: &Store, reference: &Reference) -> Result<Inspection> {
    let images::Found { digest, record } = images::find(store, reference)?;
    let own = store.tree(&record.tree)?;
    let mut privileged = privileged(&own, &format!("{}@{}", record.name, record.version));
    let (mut lines, mut trees) = (Vec::new(), Vec::new());
    let metadata = record.image().cloned().unwrap_or_default();
    let packages = contents::packages(store, &record)?;
    let stand_ins = overrides::of_image(&metadata.overrides, &packages);
    for package in packages {
        let tree = store.tree(&package.record.tree)?;
        let import = &package.import;
        privileged.extend(self::privileged(&tree, &format!("{}@{}", import.name, import.version)));
        lines.push(PackageLine { bytes: tree.content_bytes(), package });
        trees.push(tree);
    }
    let parts: Vec<_> = lines.iter().zip(&trees).map(|(line, tree)| Part { package: &line.package, tree }).collect();
    let configuration = inherited::configuration(&record, &own, &parts);
    let documentation = inherited::documentation(&record, &parts);
    privileged.sort();
    let records =
        || lines.iter().flat_map(|line| [Some(&line.package.record), line.package.declarations.as_ref()]).flatten();
    Ok(Inspection {
        digest,
        asks: asks::of_records(&record, records()),
        actions: actions::of_records(&record, records()),
        configuration,
        documentation,
        metadata,
        stand_ins,
        package_bytes: lines.iter().map(|line| line.bytes).sum(),
        packages: lines,
        own_files: own.entries().iter().filter(|entry| entry.entry != Entry::Directory).count(),
        own_bytes: own.content_bytes(),
        privileged,
        record,
    })
}

fn privileged(tree: &Tree, owner: &str) -> Vec<Privileged> {
    let mut found = Vec::new();
    for entry in tree.entries() {
        if !matches!(entry.entry, Entry::File { .. }) {
            continue;
        }
        let attributes = &entry.attributes;
        let mut add = |what: String| {
            found.push(Privileged { path: entry.path.clone(), package: owner.to_owned(), what });
        };
        if entry.mode() & 0o4000 != 0 {
            add(format!("set-user-id {}", attributes.owner.as_deref().unwrap_or("root")));
        }
        if entry.mode() & 0o2000 != 0 {
            add(format!("set-group-id {}", attributes.group.as_deref().unwrap_or("root")));
        }
        if attributes.xattrs.contains_key(b"security.capability".as_slice()) {
            add("file capabilities".to_owned());
        }
    }
    found
}
