//! `deb/1`: the frozen, mechanical function from a `.deb` to a package's FileSet.
//!
//! The record depends on the bytes of the `.deb` and on nothing else: not on the host, the time, the locale, the user or
//! the order of the archive. It may never change for a `.deb` that it once accepted; what must become different becomes
//! `deb/2`. The rule:
//!
//! - The Tree is `data.tar` with `./` stripped. Strict descendants of `bin sbin lib lib32 lib64 libx32` move below `usr/`
//!   (merged-/usr); these directories themselves, or links in their place, are left out: a composer makes the aliases.
//! - A hard link is a file with its target's digest and attributes. Owner and group are kept by name.
//! - `var/lib/dpkg/status.d/<package>` holds the control file, `<package>.md5sums` beside it the list of the same name,
//!   both byte for byte, so that scanners see the package.
//! - The record's time is the newest modification time of the files of `data.tar` (of all entries where it has no file).
//! - Metadata are the control file's fields ([`control`]), the licence is read from a machine-readable copyright file
//!   ([`licence`]). Install rules hold only what `Replaces` says. Maintainer scripts are not looked at: what they would have
//!   done is declared apart ([`declare`](crate::declare)), so that a fix there changes no digest here.
//!
//! Contents are written while the archive is read; Tree and record only after the digest of the whole file was compared.

pub mod control;
pub mod licence;
mod payload;

use std::collections::{BTreeMap, HashSet};
use std::io::Read;

use larder_store::fileset::{InstallRules, Origin, PackageMetadata};
use larder_store::{FileSet, FileSetDigest, Metadata, Name, ObjectDigest, Sha256Digest, Tree, TreePath};

use crate::deb::{Deb, DebError, Header, Limits};

pub use control::Control;
use payload::Payload;
pub use payload::usr_merged;

/// The rule's name, as records carry it.
pub const RULE: &str = "deb/1";
/// The domain below which packages are named.
pub const DOMAIN: &str = "debian.org";

/// What the signed index says about the file.
#[derive(Debug, Clone)]
pub struct Expected<'a> {
    /// The digest of the whole `.deb`.
    pub sha256: Sha256Digest,
    /// The package's name.
    pub package: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Its architecture: the host's, or `all`.
    pub architecture: &'a str,
}

/// A `.deb`, read and checked whole.
#[derive(Debug, Clone)]
pub struct Converted {
    /// The `.deb`.
    pub deb: Sha256Digest,
    /// The digest of [`Self::record`].
    pub package: FileSetDigest,
    /// The package's record.
    pub record: FileSet,
    /// Its files.
    pub tree: Tree,
    /// The control file.
    pub control: Control,
    /// The other files of `control.tar`, by name: maintainer scripts, triggers, conffiles.
    pub scripts: BTreeMap<String, Vec<u8>>,
    /// The small payload files that declarations are derived from: sysusers.d, tmpfiles.d, PHP modules' `.ini`.
    pub texts: BTreeMap<TreePath, Vec<u8>>,
}

/// Takes a content of the given size and gives its digest; called once for each file, in the archive's order.
pub type Sink<'a, E> = &'a mut dyn FnMut(&mut dyn Read, u64) -> Result<ObjectDigest, E>;

/// Reads a `.deb` whole and makes the record. Only contents are handed on (to `sink`); Tree and record are the caller's to
/// write.
///
/// # Errors
/// Every way in which the file can be malformed, hostile or another than the expected one; the sink's own errors.
pub fn read<E: From<DebError>>(deb: impl Read, expected: &Expected<'_>, sink: Sink<'_, E>) -> Result<Converted, E> {
    let mut deb = Deb::open(deb, Limits::default())?;
    let mut scripts = deb.control()?;
    let text = scripts.remove("control").ok_or(DebError::Missing { part: "the control file" })?;
    let control = Control::parse(&text)?;
    control.check(expected)?;

    let mut payload = Payload::new(expected.package);
    deb.data(&mut |header: &Header, content: &mut dyn Read| payload.add(header, content, sink))?;
    let status = format!("var/lib/dpkg/status.d/{}", expected.package);
    payload.text(&status, &text, sink)?;
    if let Some(sums) = scripts.remove("md5sums") {
        payload.text(&format!("{status}.md5sums"), &sums, sink)?;
    }
    let found = deb.finish()?;
    if found != expected.sha256 {
        return Err(DebError::Digest { found, wanted: expected.sha256 }.into());
    }

    let contents = payload.finish()?;
    let metadata = metadata(&control, contents.licence, found);
    let record = FileSet {
        name: name(expected.package)?,
        version: expected.version.to_owned(),
        architecture: expected.architecture.to_owned(),
        time: contents.time,
        tree: contents.tree.digest(),
        imports: Vec::new(),
        metadata: Metadata::Package(metadata),
    };
    larder_store::name::check_version(&record.version).map_err(DebError::from)?;
    larder_store::name::check_architecture(&record.architecture).map_err(DebError::from)?;
    Ok(Converted {
        deb: found,
        package: record.digest(),
        record,
        tree: contents.tree,
        control,
        scripts,
        texts: contents.texts,
    })
}

/// The name of a package's record.
fn name(package: &str) -> Result<Name, DebError> {
    Ok(Name::parse(&format!("{DOMAIN}/{package}"))?)
}

fn metadata(control: &Control, licence: Option<String>, deb: Sha256Digest) -> PackageMetadata {
    let replaces = control.list("Replaces");
    let mut replaces_files_of: Vec<String> = replaces.iter().map(|part| control::bare_name(part).to_owned()).collect();
    replaces_files_of.sort_unstable();
    replaces_files_of.dedup();
    let mut requires = control.list("Pre-Depends");
    let mut known: HashSet<String> = requires.iter().cloned().collect();
    requires.extend(control.list("Depends").into_iter().filter(|part| known.insert(part.clone())));
    let text = |field| control.get(field).map(str::to_owned);
    PackageMetadata {
        requires,
        recommends: control.list("Recommends"),
        provides: control.list("Provides"),
        conflicts: control.list("Conflicts"),
        breaks: control.list("Breaks"),
        replaces,
        multi_arch: text("Multi-Arch"),
        essential: control.get("Essential") == Some("yes"),
        description: control.get("Description").and_then(|d| d.lines().next()).unwrap_or_default().trim().to_owned(),
        section: text("Section").unwrap_or_default(),
        homepage: text("Homepage"),
        licence,
        source: Some(control.source()),
        maintainer: text("Maintainer"),
        origin: Some(Origin { deb, rule: RULE.to_owned() }),
        install: InstallRules { replaces_files_of, ..InstallRules::default() },
        ..PackageMetadata::default()
    }
}
