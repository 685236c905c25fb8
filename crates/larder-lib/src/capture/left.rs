//! What one run of scripts left: each path judged, what is kept described. Nothing of it is written to the store here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use larder_debian::capture::{self, Databases, Verdict, What};
use larder_store::fileset::InstallRules;
use larder_store::{Attributes, Entry, Name, ObjectDigest, TreePath};
use rustix::fs::{Dir, Mode, OFlags, ResolveFlags};

use super::error::CaptureError;
use super::layer::{self, Before, Change, How, Kind, Node};
use super::report::Finding;
use crate::solve::is_debians;
use crate::view::Shown;
use crate::{Error, Result};

/// What all that is kept may have.
const MOST_BYTES: u64 = 1 << 30;
/// The largest of the files of users and of the package manager that is read.
const MAX_DATABASE: u64 = 4 << 20;
/// How many files of alternatives are read, how large each may be, and all together.
const MAX_ALTERNATIVES: usize = 10_000;
const MAX_ALTERNATIVE: u64 = 64 << 10;
const MAX_ALL_ALTERNATIVES: usize = 16 << 20;

const ALTERNATIVES: &str = "var/lib/dpkg/alternatives";
const DIVERSIONS: &str = "var/lib/dpkg/diversions";

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

/// Reads the files of users and of the package manager from a layer; where it has none, they are what they were before.
///
/// # Errors
/// A layer that can't be read.
fn databases(upper: &Path, before: &Databases) -> Result<Databases> {
    let layer = File::open(upper).map_err(Error::io("open", upper))?;
    let read = |path: &str, old: &String| text(&layer, path, MAX_DATABASE).unwrap_or_else(|| old.clone());
    let mut room = MAX_ALL_ALTERNATIVES;
    let mut alternatives = before.alternatives.clone();
    let folder = beneath(&layer, ALTERNATIVES, OFlags::DIRECTORY);
    for entry in folder.and_then(|folder| Dir::read_from(folder).ok()).into_iter().flatten().take(MAX_ALTERNATIVES) {
        let Some(name) = entry.ok().and_then(|entry| entry.file_name().to_str().ok().map(str::to_owned)) else {
            continue;
        };
        let found = text(&layer, &format!("{ALTERNATIVES}/{name}"), MAX_ALTERNATIVE).unwrap_or_default();
        room = room.saturating_sub(found.len());
        if room == 0 {
            break;
        }
        if !found.is_empty() {
            alternatives.insert(name, found);
        }
    }
    Ok(Databases {
        passwd: read("etc/passwd", &before.passwd),
        group: read("etc/group", &before.group),
        shells: read(capture::SHELLS, &before.shells),
        diversions: read(DIVERSIONS, &before.diversions),
        alternatives,
    })
}

/// A file of a layer, if it is one and no larger than that.
fn text(layer: &File, path: &str, limit: u64) -> Option<String> {
    let file = File::from(beneath(layer, path, OFlags::NONBLOCK)?);
    let found = file.metadata().ok().filter(|found| found.is_file() && found.len() <= limit)?;
    let mut bytes = Vec::new();
    file.take(found.len()).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Opens what is in a layer, and nothing else: a script may have put a link to anywhere in the place of any folder.
fn beneath(layer: &File, path: &str, flags: OFlags) -> Option<OwnedFd> {
    let flags = flags | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    rustix::fs::openat2(layer, path, flags, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS).ok()
}

/// Judges what is in a layer.
///
/// # Errors
/// [`CaptureError::TooMany`], [`CaptureError::TooLarge`]; a file that can't be read.
pub(super) fn read(scene: &Scene<'_>, upper: &Path) -> Result<Left> {
    let after = databases(upper, &scene.databases)?;
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
        let was_set_id = self.scene.shown.get(path).map_or(0, |shown| shown.entry.mode()) & 0o6000;
        // Debian's scripts give its own programs their bits; nobody else's may.
        let may_gain = is_debians(self.scene.package) || node.mode & 0o6000 & !was_set_id == 0;
        let is_unchanged = matches!(node.kind, Kind::Same { .. }) && of == Some(self.scene.own.as_str()) && may_gain;
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
            let folder = same_each_time(&finding.path, &|path| has(&first, path) == has(second, path));
            format!("{}/*: {}", super::shown_path(folder).trim_end_matches('/'), finding.reason)
        }
    };
    let (rules, unsteady) = same_rules(&first.rules, &second.rules);
    let mut findings: Vec<Finding> = first.findings.clone();
    findings
        .extend(second.findings.iter().filter(|finding| is_differing(finding) && !has(&first, &finding.path)).cloned());
    for finding in findings.iter_mut().filter(|finding| is_differing(finding)) {
        *finding = Finding { verdict: Verdict::Refused, reason: DIFFERS.to_owned(), pattern: None, ..finding.clone() };
    }
    findings.extend(unsteady);
    findings.sort_by(|a, b| a.path.cmp(&b.path));
    let refused = findings.iter().chain(&second.findings).filter(|finding| finding.verdict == Verdict::Refused);
    let refused = refused.map(|finding| refusal(finding, has(&first, &finding.path) && has(second, &finding.path)));
    let refused: BTreeSet<String> = refused.collect();
    let mut kept = first.kept;
    kept.retain(|path, _| !differing.contains(path));
    Joined { left: Left { kept, findings, rules }, refused: refused.into_iter().collect() }
}

/// The folder of a path that has another name each time, or is in a folder that has: what is above the first such name.
fn same_each_time<'p>(path: &'p [u8], is_in_both_or_none: &dyn Fn(&[u8]) -> bool) -> &'p [u8] {
    let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    let end = ends.chain([path.len()]).find(|end| !is_in_both_or_none(&path[..*end])).unwrap_or(path.len());
    let folder = path[..end].iter().rposition(|&byte| byte == b'/').unwrap_or(0);
    &path[..folder]
}

/// The rules that both runs gave, and a refusal for each kind of which one gave others.
fn same_rules(first: &InstallRules, second: &InstallRules) -> (InstallRules, Vec<Finding>) {
    fn both<T: Clone + PartialEq>(first: &[T], second: &[T], file: &'static str, refused: &mut Vec<Finding>) -> Vec<T> {
        let both: Vec<T> = first.iter().filter(|rule| second.contains(rule)).cloned().collect();
        if both.len() != first.len() || both.len() != second.len() {
            refused.push(Finding {
                path: file.trim_start_matches('/').into(),
                how: How::Changed,
                verdict: Verdict::Refused,
                reason: format!("lines of it are others each time: {DIFFERS}"),
                // It is named whether or not it was found in both.
                pattern: Some(file),
            });
        }
        both
    }
    let mut refused = Vec::new();
    let rules = InstallRules {
        users: both(&first.users, &second.users, "/etc/passwd", &mut refused),
        groups: both(&first.groups, &second.groups, "/etc/group", &mut refused),
        shells: both(&first.shells, &second.shells, "/etc/shells", &mut refused),
        diversions: both(&first.diversions, &second.diversions, "/var/lib/dpkg/diversions", &mut refused),
        alternatives: both(&first.alternatives, &second.alternatives, "/var/lib/dpkg/alternatives", &mut refused),
        ..first.clone()
    };
    (rules, refused)
}

#[cfg(test)]
mod tests {
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

    /// Found by an attack: a script that put a link in the place of `/etc` had the host's users declared.
    #[test]
    fn nothing_outside_of_the_layer_is_read() {
        let host = tempfile::tempdir().expect("folder");
        std::fs::write(host.path().join("passwd"), "spy:x:7:7::/:/bin/sh\n").expect("write");
        std::fs::create_dir(host.path().join("alternatives")).expect("folder");
        std::fs::write(host.path().join("alternatives/spy"), "auto\n").expect("write");
        let upper = tempfile::tempdir().expect("folder");
        std::os::unix::fs::symlink(host.path(), upper.path().join("etc")).expect("link");
        std::fs::create_dir_all(upper.path().join("var/lib")).expect("folder");
        std::os::unix::fs::symlink(host.path(), upper.path().join("var/lib/dpkg")).expect("link");
        let before = Databases { passwd: "root:x:0:0:root:/root:/bin/sh\n".to_owned(), ..Databases::default() };
        let after = databases(upper.path(), &before).expect("databases");
        assert_eq!((after.passwd, after.alternatives.len()), (before.passwd, 0));
        // A pipe in a file's place keeps nobody waiting.
        let upper = tempfile::tempdir().expect("folder");
        std::fs::create_dir(upper.path().join("etc")).expect("folder");
        let pipe = upper.path().join("etc/passwd");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, Mode::RUSR, 0).expect("pipe");
        assert!(databases(upper.path(), &Databases::default()).expect("databases").passwd.is_empty());
    }

    /// Passwords that scripts make up, times, and names with a process's number in them.
    #[test]
    fn what_differs_between_two_runs_is_refused_in_the_same_words_each_time() {
        let first = left(
            &[("etc/same", "a"), ("etc/password", "one"), ("var/lib/x/1234", ""), ("var/y/12", ""), ("var/y/12/f", "")],
            &["usr/tmp1"],
        );
        let second = left(
            &[("etc/same", "a"), ("etc/password", "two"), ("var/lib/x/5678", ""), ("var/y/34", ""), ("var/y/34/f", "")],
            &["usr/tmp2"],
        );
        let expected = [
            format!("/etc/password: {DIFFERS}"),
            format!("/usr/*: {NO_PLACE}"),
            format!("/var/lib/x/*: {DIFFERS}"),
            format!("/var/y/*: {DIFFERS}"),
        ];
        for (first, second) in [(&first, &second), (&second, &first)] {
            let copy = Left { kept: first.kept.clone(), findings: first.findings.clone(), rules: first.rules.clone() };
            let joined = join(copy, second);
            assert_eq!(joined.refused, expected);
            assert_eq!(joined.left.kept.keys().map(ToString::to_string).collect::<Vec<_>>(), ["etc/same"]);
            let refused = joined.left.findings.iter().filter(|finding| finding.verdict == Verdict::Refused);
            assert_eq!(refused.count(), 8);
        }
    }

    #[test]
    fn rules_that_differ_between_two_runs_are_refused() {
        let rules = |shells: &[&str]| InstallRules {
            shells: shells.iter().map(|shell| (*shell).to_owned()).collect(),
            ..InstallRules::default()
        };
        let (first, second) =
            (Left { rules: rules(&["/bin/a", "/bin/1"]), ..left(&[], &[]) }, rules(&["/bin/a", "/bin/2"]));
        let joined = join(first, &Left { rules: second, ..left(&[], &[]) });
        assert_eq!(joined.left.rules, rules(&["/bin/a"]));
        assert_eq!(joined.refused.len(), 1);
        assert!(
            joined.refused[0].starts_with("/etc/shells: ") && joined.refused[0].ends_with(DIFFERS),
            "{:?}",
            joined.refused
        );
    }
}
