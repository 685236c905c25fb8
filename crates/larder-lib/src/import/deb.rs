//! A `.deb` that no archive vouches for.
//!
//! It is read as strictly as those of the archive, by the same rule, and becomes one package in a domain of the user's. Three things differ from
//! what `deb/1` makes, so the origin says `deb-file/1`: the name; the short names in its fields, which are Debian's and are written in full; and what
//! its scripts declare, which is in the record itself instead of a second FileSet. The reviewed table has no part in it: what was reviewed is Debian's
//! own package, and not another of that name.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::Path;

use larder_debian::convert::{self, Control, Converted, Expected};
use larder_debian::deb::{Deb, DebError, Limits};
use larder_debian::declare::{self, Table};
use larder_store::fileset::{InstallRules, Origin, ScriptTier};
use larder_store::{Attributes, Entry, Ingest, Sha256Digest, TreeBuilder, TreePath};
use sha2::{Digest as _, Sha256};

use super::nodes::check_privileges;
use super::requirement::{clauses, of_debian};
use super::{Draft, ImportError, Imported, Options, PackageMetadata, Source, Taken, io as io_error, package};
use crate::{Error, Host, Result};

/// The rule's name in the record's origin.
const RULE: &str = "deb-file/1";

pub(super) fn from_deb(host: &Host, file: &Path, options: &Options) -> Result<Imported> {
    options.check()?;
    let mut opened = File::open(file).map_err(io_error("open", file))?;
    let control = control(&opened).map_err(ImportError::from)?;
    let rewind = |opened: &mut File| opened.rewind().map_err(io_error("read", file));
    rewind(&mut opened)?;
    let sha256 = hash(&mut opened).map_err(io_error("read", file))?;
    rewind(&mut opened)?;
    let field =
        |name: &'static str| control.get(name).ok_or(DebError::Missing { part: name }).map_err(ImportError::from);
    let expected = Expected {
        sha256,
        package: field("Package")?,
        version: field("Version")?,
        architecture: field("Architecture")?,
    };
    let ingest = host.store.begin()?;
    let converted = convert::read::<Error>(opened, &expected, &mut |content, size| {
        Ok(ingest.write_object(content, size).map(|(digest, _)| digest)?)
    })?;
    let (taken, install) = with_declarations(&ingest, &converted)?;
    for entry in taken.tree.entries() {
        check_privileges(&entry.path, &entry.entry, entry.mode(), &entry.attributes.xattrs, options.privileges)?;
    }
    let draft = Draft {
        name: &options.name,
        version: options.version.as_deref().unwrap_or(&converted.record.version),
        architecture: options.architecture.as_deref().unwrap_or(&converted.record.architecture),
        time: converted.record.time,
        metadata: metadata(&converted, options, install)?,
    };
    let source = Source::file(file, sha256.hex());
    package(host, ingest, draft, taken, source)
}

fn hash(file: &mut File) -> io::Result<Sha256Digest> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 128 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(Sha256Digest::from_bytes(hash.finalize().into())),
            Ok(count) => hash.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn control(file: &File) -> Result<Control, DebError> {
    let mut deb = Deb::open(file, Limits::default())?;
    let text = deb.control()?.remove("control").ok_or(DebError::Missing { part: "the control file" })?;
    Control::parse(&text)
}

/// The package's files with those that its scripts would have made, and the rules that say the rest.
fn with_declarations(ingest: &Ingest<'_>, converted: &Converted) -> Result<(Taken, InstallRules)> {
    // It has no entries, so it can be read.
    let table = Table::parse("version = 0\npackage = []\n")?;
    let declared = declare::declare_by(converted, &table)?;
    for content in declared.contents() {
        ingest.write_bytes(content)?;
    }
    let mut builder = TreeBuilder::new();
    let mut insert = |path: &TreePath, entry: &Entry, attributes: &Attributes| {
        builder.insert(path.clone(), entry.clone(), attributes.clone()).map_err(ImportError::from)
    };
    for entry in declared.tree.entries() {
        // Directories that are only there as parents say nothing about the package's own.
        let own = converted.tree.get(entry.path.as_bytes());
        match own {
            Some(own) if entry.entry == Entry::Directory && entry.attributes.is_default() => {
                insert(&own.path, &own.entry, &own.attributes)?;
            }
            _ => insert(&entry.path, &entry.entry, &entry.attributes)?,
        }
    }
    let missing = converted.tree.entries().iter().filter(|own| declared.tree.get(own.path.as_bytes()).is_none());
    for own in missing {
        insert(&own.path, &own.entry, &own.attributes)?;
    }
    let tree = builder.finish().map_err(ImportError::from)?;
    let install = InstallRules {
        replaces_files_of: converted.record.install().map(|rules| rules.replaces_files_of.clone()).unwrap_or_default(),
        ..declared.record.install().cloned().unwrap_or_default()
    };
    let left_out = match &install.script {
        ScriptTier::Skipped(reasons) => reasons.iter().map(|reason| format!("its scripts: {reason}")).collect(),
        _ => Vec::new(),
    };
    Ok((Taken { tree, users: Vec::new(), groups: Vec::new(), left_out }, install))
}

fn metadata(converted: &Converted, options: &Options, install: InstallRules) -> Result<PackageMetadata, ImportError> {
    let given = converted.record.package().cloned().unwrap_or_default();
    let debian = |list: Vec<String>| list.iter().map(|clause| of_debian(clause)).collect::<Vec<_>>();
    let mut requires = debian(given.requires);
    requires.extend(clauses(&options.requires)?);
    Ok(PackageMetadata {
        requires,
        recommends: debian(given.recommends),
        // What it provides, it provides in its own domain: it answers to no name of Debian's.
        conflicts: debian(given.conflicts),
        breaks: debian(given.breaks),
        replaces: debian(given.replaces),
        essential: false,
        description: options.summary.clone().unwrap_or(given.description),
        licence: options.licence.clone().or(given.licence),
        origin: Some(Origin { deb: converted.deb, rule: RULE.to_owned() }),
        install,
        ..given
    })
}
