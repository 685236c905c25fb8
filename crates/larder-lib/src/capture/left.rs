//! What one run of scripts left: each path judged, what is kept described. Nothing of it is written to the store here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use larder_debian::capture::{self, Databases, Verdict, What};
use larder_store::fileset::InstallRules;
use larder_store::{Attributes, Entry, Name, ObjectDigest, TreePath};

use super::error::CaptureError;
use super::layer::{self, Before, Change, Kind, Node};
use super::report::Finding;
use crate::view::Shown;
use crate::{Error, Result};

/// What all that is kept may have.
const MOST_BYTES: u64 = 1 << 30;
/// The largest of the files of users and of the package manager that is read.
const MAX_DATABASE: u64 = 4 << 20;
/// How many files of alternatives are read.
const MAX_ALTERNATIVES: usize = 10_000;

const NO_PLACE: &str = "no place that a package's scripts may fill";
const REMOVED: &str = "it was removed, and a package can only add and change";
pub(super) const DIFFERS: &str = "it is another each time the scripts are run: it holds a time, a number or a secret";

/// Whose scripts ran, and where.
pub(super) struct Scene<'a> {
    /// The package.
    pub(super) package: &'a Name,
    /// `name@version` of the package in the view.
    pub(super) own: String,
    /// What was there before.
    pub(super) before: Before<'a>,
    /// Whose everything was.
    pub(super) shown: &'a BTreeMap<TreePath, Shown>,
    /// The files of users and of the package manager as they were.
    pub(super) databases: Databases,
}

/// A path that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) entry: Entry,
    pub(super) attributes: Attributes,
    /// The package whose file it replaces.
    pub(super) replaces: Option<String>,
    /// Where its content is, if it is new.
    pub(super) content: Option<PathBuf>,
}

/// What scripts left.
#[derive(Debug)]
pub(super) struct Left {
    pub(super) kept: BTreeMap<TreePath, Kept>,
    /// Sorted by path.
    pub(super) findings: Vec<Finding>,
    /// Users, groups, alternatives and the like.
    pub(super) rules: InstallRules,
}

/// Reads the files of users and of the package manager from a folder; from what was there before where it has none.
///
/// # Errors
/// A file that can't be read.
pub(super) fn databases(upper: &Path, before: Option<&Databases>) -> Result<Databases> {
    let text = |path: &str, old: fn(&Databases) -> &String| -> Result<String> {
        let file = upper.join(path);
        match fs::symlink_metadata(&file) {
            Ok(found) if found.is_file() && found.len() <= MAX_DATABASE => {
                let text = fs::read(&file).map_err(Error::io("read", &file))?;
                Ok(String::from_utf8_lossy(&text).into_owned())
            }
            _ => Ok(before.map(old).cloned().unwrap_or_default()),
        }
    };
    let mut alternatives = before.map(|before| before.alternatives.clone()).unwrap_or_default();
    let folder = upper.join("var/lib/dpkg/alternatives");
    if fs::symlink_metadata(&folder).is_ok_and(|found| found.is_dir()) {
        for entry in fs::read_dir(&folder).map_err(Error::io("read", &folder))?.take(MAX_ALTERNATIVES) {
            let name = entry.map_err(Error::io("read", &folder))?.file_name();
            let Some(name) = name.to_str() else { continue };
            let found = text(&format!("var/lib/dpkg/alternatives/{name}"), |_| &EMPTY)?;
            alternatives.insert(name.to_owned(), found);
        }
    }
    Ok(Databases {
        passwd: text("etc/passwd", |old| &old.passwd)?,
        group: text("etc/group", |old| &old.group)?,
        shells: text(capture::SHELLS, |old| &old.shells)?,
        diversions: text("var/lib/dpkg/diversions", |old| &old.diversions)?,
        alternatives,
    })
}

static EMPTY: String = String::new();

/// Judges what is in a layer.
///
/// # Errors
/// [`CaptureError::TooMany`], [`CaptureError::TooLarge`]; a file that can't be read.
pub(super) fn read(scene: &Scene<'_>, upper: &Path) -> Result<Left> {
    let after = databases(upper, Some(&scene.databases))?;
    let owns = |path: &TreePath| scene.shown.get(path).is_some_and(|shown| shown.of == scene.own);
    let rules = capture::observed(&scene.databases, &after, &owns);
    let (users, groups) = (after.user_names(), after.group_names());
    let mut judge = Judge { scene, users, groups, bytes: 0, kept: BTreeMap::new() };
    let mut findings = Vec::new();
    for change in layer::changes(scene.package, upper, &scene.before)? {
        findings.push(judge.change(change)?);
    }
    Ok(Left { kept: judge.kept, findings, rules })
}

struct Judge<'a> {
    scene: &'a Scene<'a>,
    users: BTreeMap<u32, String>,
    groups: BTreeMap<u32, String>,
    bytes: u64,
    kept: BTreeMap<TreePath, Kept>,
}

/// Why something isn't kept.
type Refusal = String;

impl Judge<'_> {
    fn change(&mut self, change: Change) -> Result<Finding> {
        let Change { path: raw, how, node } = change;
        let finding = |verdict, reason: &str, pattern| Finding {
            path: raw.clone(),
            how,
            verdict,
            reason: reason.to_owned(),
            pattern,
        };
        let path = match TreePath::new(raw.clone()) {
            Ok(path) => path,
            Err(error) => return Ok(finding(Verdict::Refused, error.reason, None)),
        };
        let is_folder = node.as_ref().is_some_and(|node| node.kind == Kind::Directory);
        let what = if is_folder { What::Directory } else { What::Other };
        let of = self.scene.shown.get(&path).map(|shown| shown.of.as_str());
        let listed = capture::judge(&path, what)?;
        let pattern = listed.map(|listed| listed.pattern);
        if let Some(listed) = listed.filter(|listed| listed.verdict != Verdict::Kept) {
            return Ok(finding(listed.verdict, listed.reason, pattern));
        }
        let is_own = of == Some(self.scene.own.as_str());
        match (of, node) {
            // What composers make bears their name alone.
            (Some(composer), _) if !composer.contains('@') => {
                Ok(finding(Verdict::Made, "a composer makes it of all packages", None))
            }
            (_, None) => Ok(finding(Verdict::Refused, REMOVED, None)),
            _ if listed.is_none() && !is_own => Ok(finding(Verdict::Refused, NO_PLACE, None)),
            (_, Some(node)) => match self.keep(&path, node, of)? {
                Err(refusal) => Ok(finding(Verdict::Refused, &refusal, None)),
                Ok(kept) => {
                    let reason = kept.replaces.as_ref().map(|of| format!("it takes the place of {of}'s"));
                    let reason = reason.unwrap_or_default();
                    self.kept.insert(path, kept);
                    Ok(finding(Verdict::Kept, &reason, pattern))
                }
            },
        }
    }

    /// Describes what is to be kept, or says why it may not be.
    fn keep(&mut self, path: &TreePath, node: Node, of: Option<&str>) -> Result<Result<Kept, Refusal>> {
        let refuse = |reason: &str| Ok(Err(reason.to_owned()));
        let was = self.scene.shown.get(path).map(|shown| &shown.entry.entry);
        if was == Some(&Entry::Directory) && node.kind != Kind::Directory {
            return refuse("it stands in a folder's place");
        }
        let is_unchanged = matches!(node.kind, Kind::Same { .. }) && of == Some(self.scene.own.as_str());
        let is_file = matches!(node.kind, Kind::File { .. } | Kind::Same { .. });
        if is_file && !is_unchanged {
            if node.mode & 0o6000 != 0 {
                return refuse("it is set-user-id or set-group-id");
            }
            if node.capability.is_some() {
                return refuse("it has file capabilities");
            }
        }
        let (owner, group) = match (self.user(node.uid), self.group(node.gid)) {
            (Ok(owner), Ok(group)) => (owner, group),
            (Err(refusal), _) | (_, Err(refusal)) => return Ok(Err(refusal)),
        };
        let executable = node.mode & 0o100 != 0;
        let (entry, content) = match node.kind {
            Kind::Special(what) => return Ok(Err(format!("it is {what}"))),
            Kind::Directory => (Entry::Directory, None),
            Kind::Symlink(target) => (Entry::Symlink { target: target.into() }, None),
            Kind::Same { object, size } => (Entry::File { digest: object, size, executable }, None),
            Kind::File { at, size } => {
                self.bytes = self.bytes.saturating_add(size);
                if self.bytes > MOST_BYTES {
                    return Err(CaptureError::TooLarge {
                        package: self.scene.package.clone(),
                        path: super::shown_path(path.as_bytes()),
                        size,
                        limit: MOST_BYTES,
                    }
                    .into());
                }
                if let Some(what) = capture::look(&mut layer::open(&at)?).map_err(Error::io("read", &at))? {
                    return refuse(what);
                }
                let (digest, size) = ObjectDigest::of_reader(&mut layer::open(&at)?).map_err(Error::io("read", &at))?;
                (Entry::File { digest, size, executable }, Some(at))
            }
        };
        let is_link = matches!(entry, Entry::Symlink { .. });
        let xattrs = node.capability.map(|value| (b"security.capability".as_slice().into(), value.into()));
        let attributes =
            Attributes { mode: (!is_link).then_some(node.mode), owner, group, xattrs: xattrs.into_iter().collect() };
        // Of a folder the last script has the last word; nothing of another's is hidden by it.
        let others = of.filter(|of| *of != self.scene.own && entry != Entry::Directory);
        let replaces = others
            .and_then(|of| of.split_once('@'))
            .map(|(name, _)| name.strip_suffix("/declarations").unwrap_or(name).to_owned());
        Ok(Ok(Kept { entry, attributes, replaces, content }))
    }

    fn user(&self, uid: u32) -> Result<Option<String>, Refusal> {
        match uid {
            0 => Ok(None),
            uid => self
                .users
                .get(&uid)
                .cloned()
                .map(Some)
                .ok_or_else(|| format!("its owner is number {uid}, which is nobody's")),
        }
    }

    fn group(&self, gid: u32) -> Result<Option<String>, Refusal> {
        match gid {
            0 => Ok(None),
            gid => self
                .groups
                .get(&gid)
                .cloned()
                .map(Some)
                .ok_or_else(|| format!("its group is number {gid}, which is nobody's")),
        }
    }
}

/// Two runs as one.
#[derive(Debug)]
pub(super) struct Joined {
    /// What both left alike, and what became of everything.
    pub(super) left: Left,
    /// What was refused, as a record says it: the same whenever the scripts are run.
    pub(super) refused: Vec<String>,
}

/// Joins two runs of the same scripts. What differs between them would differ on every host, and is refused.
pub(super) fn join(first: Left, second: &Left) -> Joined {
    let described = |kept: &Kept| (kept.entry.clone(), kept.attributes.clone());
    let differs = |path: &TreePath| first.kept.get(path).map(described) != second.kept.get(path).map(described);
    let differing: BTreeSet<TreePath> =
        first.kept.keys().chain(second.kept.keys()).filter(|path| differs(path)).cloned().collect();
    let is_differing =
        |finding: &Finding| TreePath::new(finding.path.clone()).is_ok_and(|path| differing.contains(&path));
    let has =
        |left: &Left, path: &[u8]| left.findings.binary_search_by(|found| found.path.as_slice().cmp(path)).is_ok();
    let refusal = |finding: &Finding, in_both: bool| match in_both || finding.pattern.is_some() {
        true => finding.refusal(),
        // A name that is another one each time.
        false => {
            let folder = finding.path.iter().rposition(|&b| b == b'/').map_or(0, |at| at);
            format!("{}/*: {}", super::shown_path(&finding.path[..folder]).trim_end_matches('/'), finding.reason)
        }
    };
    let mut findings: Vec<Finding> = first.findings.clone();
    findings
        .extend(second.findings.iter().filter(|finding| is_differing(finding) && !has(&first, &finding.path)).cloned());
    for finding in findings.iter_mut().filter(|finding| is_differing(finding)) {
        *finding = Finding { verdict: Verdict::Refused, reason: DIFFERS.to_owned(), pattern: None, ..finding.clone() };
    }
    findings.sort_by(|a, b| a.path.cmp(&b.path));
    let refused = findings.iter().chain(&second.findings).filter(|finding| finding.verdict == Verdict::Refused);
    let refused = refused.map(|finding| refusal(finding, has(&first, &finding.path) && has(second, &finding.path)));
    let refused: BTreeSet<String> = refused.collect();
    let mut kept = first.kept;
    kept.retain(|path, _| !differing.contains(path));
    Joined { left: Left { kept, findings, rules: first.rules }, refused: refused.into_iter().collect() }
}

#[cfg(test)]
mod tests {
    use super::super::layer::How;
    use super::*;

    fn left(files: &[(&str, &str)], refused: &[&str]) -> Left {
        let kept: BTreeMap<TreePath, Kept> = files
            .iter()
            .map(|(path, text)| {
                let entry = Entry::File {
                    digest: ObjectDigest::of(text.as_bytes()),
                    size: text.len() as u64,
                    executable: false,
                };
                let kept = Kept { entry, attributes: Attributes::default(), replaces: None, content: None };
                (TreePath::try_from(*path).expect("path"), kept)
            })
            .collect();
        let finding = |path: &str, verdict, reason: &str| Finding {
            path: path.into(),
            how: How::Added,
            verdict,
            reason: reason.to_owned(),
            pattern: None,
        };
        let mut findings: Vec<_> = files.iter().map(|(path, _)| finding(path, Verdict::Kept, "")).collect();
        findings.extend(refused.iter().map(|path| finding(path, Verdict::Refused, NO_PLACE)));
        findings.sort_by(|a, b| a.path.cmp(&b.path));
        Left { kept, findings, rules: InstallRules::default() }
    }

    /// Passwords that scripts make up, times, and names with a process's number in them.
    #[test]
    fn what_differs_between_two_runs_is_refused_in_the_same_words_each_time() {
        let first = left(&[("etc/same", "a"), ("etc/password", "one"), ("var/lib/x/1234", "")], &["usr/tmp1"]);
        let second = left(&[("etc/same", "a"), ("etc/password", "two"), ("var/lib/x/5678", "")], &["usr/tmp2"]);
        let expected =
            [format!("/etc/password: {DIFFERS}"), format!("/usr/*: {NO_PLACE}"), format!("/var/lib/x/*: {DIFFERS}")];
        for (first, second) in [(&first, &second), (&second, &first)] {
            let copy = Left { kept: first.kept.clone(), findings: first.findings.clone(), rules: first.rules.clone() };
            let joined = join(copy, second);
            assert_eq!(joined.refused, expected);
            assert_eq!(joined.left.kept.keys().map(ToString::to_string).collect::<Vec<_>>(), ["etc/same"]);
            let refused = joined.left.findings.iter().filter(|finding| finding.verdict == Verdict::Refused);
            assert_eq!(refused.count(), 4);
        }
    }
}
