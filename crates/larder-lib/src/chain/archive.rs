//! What came from an archive: the record against its `.deb`, and the way back to the key that signed the release.

use std::collections::BTreeMap;

use larder_debian::Refresh;
use larder_debian::distribution::Link as ArchiveLink;
use larder_solver::Universe as _;
use larder_store::{FileSet, Name};

use super::rebuild::Again;
use super::{LinkKind, State, Walk};
use crate::image::declared_package;
use crate::provenance::FromArchive;
use crate::{Error, Result, solve};

impl Walk<'_> {
    /// Follows the statements about a FileSet that was converted. The same file may have been listed by several releases: one
    /// chain that holds is enough, and one that is broken spoils all.
    pub(super) fn archive(
        &mut self,
        number: usize,
        record: &FileSet,
        statements: Vec<Option<FromArchive>>,
    ) -> Result<()> {
        let Some(statements) = statements.into_iter().collect::<Option<Vec<_>>>() else {
            let said = "the statement about the archive can't be understood".to_owned();
            self.say(number, LinkKind::Statement, State::Broken(said));
            return Ok(());
        };
        self.say(number, LinkKind::Statement, State::Holds);
        if let Some(wrong) = statements.iter().find_map(|said| other(record, said)) {
            self.say(number, LinkKind::Deb, State::Broken(wrong));
            return Ok(());
        }
        self.say(number, LinkKind::Deb, State::Holds);
        let (mut list, mut release) = (State::NotKept, State::NotKept);
        for said in &statements {
            if said.is_pinned() {
                if list == State::NotKept {
                    let pinned = "a lock has pinned the file; which list had it isn't known".to_owned();
                    (list, release) = (State::NotChecked(pinned.clone()), State::NotChecked(pinned));
                }
                continue;
            }
            let again = self.rechecker.recheck(&said.file)?;
            list = join(list, again.list);
            release = join(release, again.release);
        }
        self.say(number, LinkKind::List, list);
        self.say(number, LinkKind::Release, release);
        if let Some(said) = statements.into_iter().next()
            && (self.options.rebuild || self.options.fetch)
        {
            self.again.push((number, Again::Converted(Box::new(said))));
        }
        Ok(())
    }
}

fn join(before: State, link: ArchiveLink) -> State {
    match (before, link) {
        (broken @ State::Broken(_), _) => broken,
        (_, ArchiveLink::Broken(reason)) => State::broken(reason),
        (State::Holds, _) | (_, ArchiveLink::Holds) => State::Holds,
        (before, ArchiveLink::NotKept) => before,
    }
}

/// How a record isn't what a statement says that it was made from.
fn other(record: &FileSet, said: &FromArchive) -> Option<String> {
    let package = format!("{}/{}", larder_debian::convert::DOMAIN, said.file.name);
    let is_declared = declared_package(&record.name);
    let name = is_declared.unwrap_or(record.name.as_str());
    if package != name {
        return Some(format!("the statement is about {package}, and the record is that of {}", record.name));
    }
    if is_declared.is_some() {
        return said.table.is_none().then(|| "the statement is about a package, and not about declarations".to_owned());
    }
    if record.version != said.file.version {
        return Some(format!(
            "the statement is about version {}, and the record is {}",
            said.file.version, record.version
        ));
    }
    match record.package().and_then(|package| package.origin.as_ref()) {
        None => Some("the statement names a .deb, and the record was converted from none".to_owned()),
        Some(origin) if origin.deb != said.file.sha256 => {
            Some(format!("the statement names {}, and the record was converted from {}", said.file.sha256, origin.deb))
        }
        Some(origin) if origin.rule != said.rule => {
            Some(format!("the statement names the rule {}, and the record was converted by {}", said.rule, origin.rule))
        }
        Some(_) => None,
    }
}

/// Asks the archive, as it is today, for every file whose list or release isn't kept here.
pub(super) fn fetch(walk: &mut Walk<'_>) -> Result<()> {
    let mut wanted: BTreeMap<Name, Vec<(usize, FromArchive)>> = BTreeMap::new();
    for (number, again) in &walk.again {
        let Again::Converted(said) = again else { continue };
        let item = &walk.report.items[*number];
        let holds = |kind| item.links.iter().any(|link| link.kind == kind && link.state == State::Holds);
        if !(holds(LinkKind::List) && holds(LinkKind::Release)) {
            wanted.entry(said.distribution.clone()).or_default().push((*number, (**said).clone()));
        }
    }
    for (name, files) in wanted {
        let distribution = match solve::distribution(walk.host, &name, Refresh::Always, walk.progress) {
            Ok(distribution) => distribution,
            Err(Error::UnknownDistribution { name }) => {
                for (number, _) in files {
                    let said = State::NotChecked(format!("no archive serves {name}"));
                    walk.say(number, LinkKind::Archive, said);
                }
                continue;
            }
            Err(error) => return Err(error),
        };
        for (number, said) in files {
            let candidates =
                distribution.candidates(&said.file.name).into_iter().map(|id| distribution.archive_file(id));
            let same = |file: &larder_debian::ArchiveFile| {
                (&file.version, &file.architecture) == (&said.file.version, &said.file.architecture)
            };
            let state = match candidates.filter(same).map(|file| file.sha256).collect::<Vec<_>>().as_slice() {
                [] => State::NotChecked(format!("{name} has moved on, and lists another version")),
                files if files.contains(&said.file.sha256) => State::Holds,
                [other, ..] => State::Broken(format!("{name} lists another file of this version: {other}")),
            };
            walk.say(number, LinkKind::Archive, state);
        }
    }
    Ok(())
}
