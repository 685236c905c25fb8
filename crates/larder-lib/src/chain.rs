//! `larder verify`: from an image or a package along everything that was said of it, to what it was made from.
//!
//! image -> FileSets -> statements -> inputs -> sources. Each FileSet is an [`Item`], and what was looked at about it are its
//! [`Link`]s: its record and contents, the statement and who signed it, and then either the inputs that the statement names, or the
//! way back into the archive. What can't be looked at any more is said and fails nothing; what doesn't hold fails.

mod again;
mod archive;
mod made;
mod rebuild;
mod report;
mod source;

use std::collections::BTreeSet;

use larder_debian::distribution::Rechecker;
use larder_debian::progress::Progress;
use larder_store::index::Filter;
use larder_store::{FileSet, FileSetDigest, Name, ObjectDigest, RefKind, Reference, Selector, StoreError};
use rayon::prelude::*;

pub use report::{Item, Link, LinkKind, Report, State};

use crate::provenance::{self, ProvenanceError};
use crate::{Error, Host, Result, images};

/// How to verify.
#[derive(Debug, Clone, Copy, Default)]
pub struct VerifyOptions {
    /// Make everything again that can be made again, and compare.
    pub rebuild: bool,
    /// Ask the archive for what the cache doesn't have any more, and the addresses of sources for what isn't kept.
    pub fetch: bool,
    /// What was made and that nobody has signed fails.
    pub require_signed: bool,
}

/// Verifies an image, or a package of this host. What doesn't hold is in the report.
///
/// # Errors
/// No such image or package; a store, keys or an archive that can't be read.
pub fn verify(host: &Host, reference: &Reference, options: VerifyOptions, progress: &dyn Progress) -> Result<Report> {
    let (version, digest) = target(host, reference)?;
    let mut walk = Walk {
        host,
        options,
        progress,
        rechecker: Rechecker::new(&host.debian),
        seen: BTreeSet::new(),
        hashed: BTreeSet::new(),
        report: Report { items: Vec::new() },
        again: Vec::new(),
    };
    walk.fileset(&reference.name, &version, &digest, Place { of: None, need: Need::Required })?;
    if options.fetch {
        archive::fetch(&mut walk)?;
    }
    if options.rebuild {
        rebuild::rebuild(&mut walk)?;
    }
    Ok(walk.report)
}

/// What a reference means: an image's record, or else a package's.
///
/// # Errors
/// Neither is here.
pub fn target(host: &Host, reference: &Reference) -> Result<(String, FileSetDigest)> {
    let version = match &reference.selector {
        Selector::Version(version) => Some(version.as_str()),
        Selector::Latest | Selector::Digest(_) => None,
    };
    if images::history(&host.store, &reference.name)?.is_some() {
        match images::find(&host.store, reference) {
            Ok(found) => return Ok((found.record.version, found.digest)),
            // An image and a package may have one name, as in `larder run debian.org/redis-server`.
            Err(Error::NoRecord { .. }) => {}
            Err(Error::Store(error)) if is_damage(&error) => {
                if let Some(found) = damaged(host, reference)? {
                    return Ok(found);
                }
                return Err(error.into());
            }
            Err(error) => return Err(error),
        }
    }
    if reference.selector == Selector::Latest {
        // What the name stands for, which after a rollback isn't the newest.
        for kind in [RefKind::Package, RefKind::Distribution] {
            if let Some(found) = host.store.refs().get(kind, reference.name.as_str())? {
                let entry = found.current_entry();
                return Ok((entry.version.clone(), entry.fileset));
            }
        }
    }
    let filter = Filter { name: Some(&reference.name), version, ..Filter::default() };
    let mut found = host.store.index()?.filesets(filter)?;
    if let Selector::Digest(digest) = &reference.selector {
        found.retain(|each| each.digest == *digest);
    }
    found.sort_by(|a, b| larder_solver::compare(&a.version, &b.version));
    match found.pop() {
        Some(found) => Ok((found.version, found.digest)),
        // Says which images there are.
        None => images::find(&host.store, reference).map(|found| (found.record.version, found.digest)),
    }
}

/// An image whose record can't be read: what the reference says of it.
fn damaged(host: &Host, reference: &Reference) -> Result<Option<(String, FileSetDigest)>> {
    let history = images::history(&host.store, &reference.name)?;
    let entry = history.as_ref().and_then(|history| images::select(history, &reference.selector));
    Ok(entry.map(|entry| (entry.version.clone(), entry.fileset)))
}

fn is_damage(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Missing { .. }
            | StoreError::Damaged { .. }
            | StoreError::Record { .. }
            | StoreError::Tree { .. }
            | StoreError::Text { .. }
    )
}

/// Where a FileSet was found.
#[derive(Clone, Copy)]
struct Place {
    /// Whose import or input it is.
    of: Option<FileSetDigest>,
    need: Need,
}

/// Whether a FileSet must be here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    /// It is a part of what is verified.
    Required,
    /// Something was made with it, and works without it.
    Optional,
}

/// A verification under way.
struct Walk<'h> {
    host: &'h Host,
    options: VerifyOptions,
    progress: &'h dyn Progress,
    rechecker: Rechecker<'h>,
    seen: BTreeSet<FileSetDigest>,
    hashed: BTreeSet<ObjectDigest>,
    report: Report,
    /// What can be made again: the item's number and how.
    again: Vec<(usize, rebuild::Again)>,
}

impl Walk<'_> {
    fn fileset(&mut self, name: &Name, version: &str, digest: &FileSetDigest, place: Place) -> Result<()> {
        if !self.seen.insert(*digest) {
            return Ok(());
        }
        let number = self.report.items.len();
        self.report.items.push(Item::new(name.clone(), version.to_owned(), *digest, place.of));
        let record = match self.host.store.fileset(digest) {
            Ok(record) => record,
            Err(StoreError::Missing { .. }) if place.need == Need::Optional => {
                self.say(number, LinkKind::Record, State::NotKept);
                return Ok(());
            }
            Err(error) if is_damage(&error) => {
                self.say(number, LinkKind::Record, State::broken(error));
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        self.report.items[number].kind = Some(record.kind());
        if record.name != *name || record.version != version {
            let found = format!("it is the record of {}@{}", record.name, record.version);
            self.say(number, LinkKind::Record, State::Broken(found));
            return Ok(());
        }
        self.say(number, LinkKind::Record, State::Holds);
        self.contents(number, &record)?;
        self.statements(number, digest, &record)?;
        // Whatever became of the statement: what else is wrong is to be said at the same time.
        for import in &record.imports {
            let place = Place { of: Some(*digest), need: Need::Required };
            self.fileset(&import.name, &import.version, &import.fileset, place)?;
        }
        Ok(())
    }

    fn say(&mut self, number: usize, kind: LinkKind, state: State) {
        self.report.items[number].links.push(Link { kind, state });
    }

    /// Reads every content of a FileSet and compares it with its digest.
    fn contents(&mut self, number: usize, record: &FileSet) -> Result<()> {
        let store = &self.host.store;
        let tree = match store.tree(&record.tree) {
            Err(error) if is_damage(&error) => {
                self.say(number, LinkKind::Contents, State::broken(error));
                return Ok(());
            }
            tree => tree?,
        };
        let wanted: Vec<_> = tree.files().filter(|(object, _)| !self.hashed.contains(object)).collect();
        let wrong = wanted.par_iter().filter_map(|(object, size)| match hash(store, object, *size) {
            Ok(true) => None,
            Ok(false) => Some(Ok(format!("the content {object} was altered"))),
            Err(error) if is_damage(&error) => Some(Ok(error.to_string())),
            Err(error) => Some(Err(error)),
        });
        let mut wrong = wrong.collect::<Result<Vec<String>, StoreError>>()?;
        wrong.sort();
        let more = match wrong.len() {
            0 => {
                self.hashed.extend(wanted.into_iter().map(|(object, _)| object));
                self.say(number, LinkKind::Contents, State::Holds);
                return Ok(());
            }
            1 => String::new(),
            count => format!(" (and {} more)", count - 1),
        };
        self.say(number, LinkKind::Contents, State::Broken(format!("{}{more}", wrong.swap_remove(0))));
        Ok(())
    }

    /// Finds out how a FileSet came about, and goes on from there.
    fn statements(&mut self, number: usize, digest: &FileSetDigest, record: &FileSet) -> Result<()> {
        let statements = match self.host.store.statements(digest) {
            Err(error) if is_damage(&error) => {
                self.say(number, LinkKind::Statement, State::broken(error));
                return Ok(());
            }
            statements => statements?,
        };
        let mut made = Vec::new();
        for statement in statements.iter().filter(|statement| statement.kind == provenance::MADE) {
            match provenance::judge(&self.host.keys, &record.name, digest, &statement.body)? {
                Ok(read) => made.push(read),
                Err(error) => {
                    let kind = match error {
                        ProvenanceError::UnknownKey { .. } | ProvenanceError::Altered { .. } => LinkKind::Signature,
                        _ => LinkKind::Statement,
                    };
                    self.say(number, kind, State::broken(error));
                    return Ok(());
                }
            }
        }
        if !made.is_empty() {
            return self.made(number, record, &made);
        }
        let archive = statements.iter().filter(|statement| statement.kind == provenance::KIND);
        let archive: Vec<_> = archive.map(provenance::from_archive).collect();
        if archive.is_empty() {
            let said = "there is none: nothing says where it came from".to_owned();
            self.say(number, LinkKind::Statement, State::Broken(said));
            return Ok(());
        }
        self.archive(number, record, archive)
    }
}

/// Whether a content has its digest and length.
fn hash(store: &larder_store::Store, object: &ObjectDigest, size: u64) -> Result<bool, StoreError> {
    let file = store.open_object(object)?;
    let path = store.object_path(object);
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(&file).map_err(|source| StoreError::Io { action: "read", path, source })?;
    Ok(hasher.count() == size && hasher.finalize().as_bytes() == object.as_bytes())
}
