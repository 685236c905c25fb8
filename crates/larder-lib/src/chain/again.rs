//! Making again what was made here, and comparing: images, distributions, and packages of one's own with what differs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use larder_store::json::{self, Value};
use larder_store::{FileSet, FileSetDigest, Lease, Name};

use super::State;
use crate::image::{self, PackageImport, declared_package};
use crate::package::{self, Again, NotAgain};
use crate::provenance::BuildKind;
use crate::provenance::statement::{Statement, build_type};
use crate::{Error, Host, Result};

/// How many differences are shown.
const SHOWN: usize = 20;

/// Makes packages again; those of one statement, a package and its splits, at once.
pub(super) struct Maker<'h> {
    host: &'h Host,
    progress: &'h dyn larder_debian::progress::Progress,
    made: BTreeMap<Vec<u8>, std::result::Result<Vec<Again>, State>>,
    /// Keeps what was made from being collected before it is compared.
    lease: Option<Lease>,
}

impl<'h> Maker<'h> {
    pub(super) fn new(host: &'h Host, progress: &'h dyn larder_debian::progress::Progress) -> Self {
        Self { host, progress, made: BTreeMap::new(), lease: None }
    }

    /// Makes what a statement says again, and compares one of its subjects.
    ///
    /// # Errors
    /// What has nothing to do with it.
    pub(super) fn compare(&mut self, statement: &Statement, name: &Name, wanted: &FileSetDigest) -> Result<State> {
        match statement.facts.kind {
            BuildKind::Package => {}
            BuildKind::Import => {
                let from = "what it was taken in from isn't kept here: take it in again, and compare the digest";
                return Ok(State::NotChecked(from.to_owned()));
            }
            kind => return Ok(State::NotChecked(format!("this larder can't make a {} again", build_type(kind)))),
        }
        let key = statement.encode();
        if !self.made.contains_key(&key) {
            if self.lease.is_none() {
                self.lease = Some(self.host.store.lease()?);
            }
            let made = match package::again(self.host, statement, self.progress) {
                Ok(made) => Ok(made),
                Err(NotAgain::Lacking(why)) => Err(State::NotChecked(why)),
                Err(NotAgain::Failed(why)) => Err(State::Broken(format!("it can't be built again: {why}"))),
                Err(NotAgain::Error(error)) => return Err(error),
            };
            self.made.insert(key.clone(), made);
        }
        let made = match &self.made[&key] {
            Ok(made) => made,
            Err(state) => return Ok(state.clone()),
        };
        let Some(again) = made.iter().find(|again| again.record.name == *name) else {
            return Ok(State::Broken("the same build makes no such package".to_owned()));
        };
        if again.record.digest() == *wanted {
            return Ok(State::Holds);
        }
        Ok(State::Broken(self.differences(wanted, again)?))
    }

    fn differences(&self, wanted: &FileSetDigest, again: &Again) -> Result<String> {
        let store = &self.host.store;
        let record = store.fileset(wanted)?;
        let found = package::compare(store, &store.tree(&record.tree)?, &again.tree)?;
        let mut text = format!("built again, it is {}", again.record.digest());
        if found.is_empty() {
            let members = members(&record, &again.record)?;
            _ = write!(text, ", with the same files; its record differs in {}", members.join(", "));
            return Ok(text);
        }
        text.push_str("; the first is what is here, the second what was built again:");
        for difference in found.iter().take(SHOWN) {
            _ = write!(text, "\n  {difference}");
        }
        if found.len() > SHOWN {
            _ = write!(text, "\n  and {} more", found.len() - SHOWN);
        }
        Ok(text)
    }
}

/// The members of two records that differ.
fn members(one: &FileSet, two: &FileSet) -> Result<Vec<String>> {
    let decode = |record: &FileSet| {
        // It was encoded a moment ago.
        json::decode(&record.encode()).map_err(|error| Error::Io {
            action: "read a record of",
            path: record.name.as_str().into(),
            source: std::io::Error::other(error.to_string()),
        })
    };
    let mut found = Vec::new();
    differ("", &decode(one)?, &decode(two)?, &mut found);
    Ok(found)
}

fn differ(name: &str, one: &Value, two: &Value, found: &mut Vec<String>) {
    match (one, two) {
        (Value::Object(a), Value::Object(b)) => {
            let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let full = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                match (a.get(key), b.get(key)) {
                    (Some(one), Some(two)) => differ(&full, one, two, found),
                    _ => found.push(full),
                }
            }
        }
        _ if one == two => {}
        _ => found.push(name.to_owned()),
    }
}

/// The record of an image or distribution, made again from what it imports, its own files and what it says.
pub(super) fn record_again(record: &FileSet) -> Result<FileSetDigest> {
    let declared = |name: &Name| {
        let import = record.imports.iter().find(|import| declared_package(&import.name) == Some(name.as_str()))?;
        Some((import.name.clone(), import.version.clone(), import.fileset))
    };
    let packages: Vec<_> = record
        .imports
        .iter()
        .filter(|import| declared_package(&import.name).is_none())
        .map(|import| PackageImport {
            name: import.name.clone(),
            version: import.version.clone(),
            package: import.fileset,
            declarations: declared(&import.name),
        })
        .collect();
    let imports = image::imports(&packages)?;
    Ok(FileSet { time: image::own_time(&record.tree), imports, ..record.clone() }.digest())
}
