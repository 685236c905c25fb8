//! Verification below the packages' own word: would what is in the image start?
//!
//! The solver believes what packages say they require. This module doesn't: it reads the programs themselves. For every
//! executable and library of a composed root it follows the interpreter (`PT_INTERP`, `#!`) and the needed libraries the
//! way the kernel and `ld.so` would, and it looks for links that the composition broke. What doesn't resolve is a
//! [`Finding`] that names the file, its package and the reason; where something on `PATH` needs it, the finding is a
//! [`Severity::Failure`].
//!
//! It is a pure function of the root and of the contents' bytes: nothing is executed, and only headers are read, never a
//! whole file. What it can't see is what programs do at run time: `dlopen`, `exec` of a name they compute, data files.
//!
//! `docs/recipe.md` describes the rules for users.

pub(crate) mod elf;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod libraries;
mod links;
mod root;
mod script;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::File;
use std::io;

use larder_store::{Entry, ObjectDigest, TreePath};
use rayon::prelude::*;
use thiserror::Error;

use crate::recipe::Base;
use elf::Elf;
use root::{Root, text};
use script::Script;

/// Where programs are looked up when the image's environment doesn't say.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What Debian's packages use without requiring it, because every Debian system has it. With `base = "none"` a script
/// that lacks one of these is the expected price, not a broken image.
const ASSUMED: &[&str] = &[
    "/bin/sh",
    "/bin/bash",
    "/bin/dash",
    "/bin/sed",
    "/usr/bin/sh",
    "/usr/bin/bash",
    "/usr/bin/dash",
    "/usr/bin/sed",
    "/usr/bin/awk",
    "/usr/bin/env",
    "/usr/bin/perl",
    "/bin/env",
    "/usr/bin/find",
    "/usr/bin/xargs",
];

/// One path of a composed root.
#[derive(Debug, Clone, Copy)]
pub struct RootEntry<'a> {
    /// Where.
    pub path: &'a TreePath,
    /// What.
    pub entry: &'a Entry,
    /// Whether any execute bit is set.
    pub executable: bool,
    /// Whose it is.
    pub owner: Owner<'a>,
}

/// Whose a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner<'a> {
    /// A package's: its name, perhaps with its version.
    Package(&'a str),
    /// A link that a package wanted made, by the package's name.
    MadeLink(&'a str),
    /// A composer's.
    Composer(&'a str),
    /// The image's own.
    Image,
}

/// What is verified.
pub struct Input<'a> {
    /// Every path of the composed root, in any order. `/packages` may be left out.
    pub entries: &'a [RootEntry<'a>],
    /// Whether some package of the image ships a path, whatever became of it in the root. This tells a link that the
    /// composition broke from one that points to a package that isn't there.
    pub ships: &'a (dyn Fn(&[u8]) -> bool + Sync),
    /// The image's environment; `PATH` and `LD_LIBRARY_PATH` matter.
    pub env: &'a BTreeMap<String, String>,
    /// The program that the image runs, if it names one.
    pub run: Option<&'a str>,
    /// The image's base.
    pub base: Base,
    /// Opens a content. Called by many threads at once, at most a few times for each content.
    pub open: &'a (dyn Fn(&ObjectDigest) -> io::Result<File> + Sync),
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What is wrong, failures first, then by path.
    pub findings: Vec<Finding>,
    /// How many programs and libraries were looked into.
    pub objects: usize,
    /// How many scripts were looked into.
    pub scripts: usize,
    /// How many links point to something that no package of the image has; dpkg would leave them dangling too.
    pub dangling: usize,
}

impl Report {
    /// Whether the image must not be built.
    pub fn failed(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Failure)
    }
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something on `PATH` can't start: the image must not be built.
    Failure,
    /// Something that may never be started can't start.
    Finding,
}

/// One thing that is wrong with an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The file that is wrong, with its leading slash.
    pub path: String,
    /// Whose it is: a package's name, a composer's, or `the image`.
    pub owner: String,
    /// What is wrong.
    pub reason: Reason,
    /// A program on `PATH` that can't start because of it, where that isn't the file itself.
    pub needed_by: Option<String>,
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The interpreter that its first line, or its `PT_INTERP`, names isn't in the image.
    Interpreter {
        /// The interpreter.
        interpreter: String,
    },
    /// Its interpreter is one that Debian's packages assume and that `base = "none"` leaves out.
    AssumedInterpreter {
        /// The interpreter.
        interpreter: String,
    },
    /// Its interpreter is in the image and can't run it: not executable, or for another machine.
    WrongInterpreter {
        /// The interpreter.
        interpreter: String,
    },
    /// The program that it asks `env` for isn't on `PATH`.
    Program {
        /// The program.
        program: String,
    },
    /// A library that it needs isn't where the loader looks.
    Library {
        /// The library, as the file names it.
        library: String,
        /// Where the image has a library of this name, out of the loader's sight.
        elsewhere: Option<String>,
    },
    /// It is a link to something that a package ships and that isn't in the root.
    BrokenLink {
        /// Where it points to, as far as that could be followed.
        target: String,
    },
    /// It is a link that leads in a circle.
    CircularLink,
    /// It says that it is a program or library, and isn't one that can be read.
    Malformed {
        /// What is wrong.
        reason: Cow<'static, str>,
    },
}

/// A content that could not be read.
#[derive(Debug, Error)]
#[error("can't read {path} of {owner}")]
pub struct VerifyError {
    /// The file, with its leading slash.
    pub path: String,
    /// Whose it is.
    pub owner: String,
    /// The system's reason.
    pub source: io::Error,
}

/// The name by which programs find a library; `None` for a file that has none, or that can't be read as one.
///
/// # Errors
/// A file that can't be read.
pub(crate) fn soname(file: &File) -> io::Result<Option<String>> {
    Ok(elf::read(file)?.ok().flatten().and_then(|elf| elf.soname))
}

/// Verifies a composed root.
///
/// # Errors
/// A content that can't be read. Whatever is wrong with what was read is in the report.
pub fn verify(input: &Input<'_>) -> Result<Report, VerifyError> {
    let root = Root::new(input);
    let programs = Programs::read(input, &root)?;
    let mut report = Report::default();
    let mut found = Found::default();
    programs.check_scripts(input, &root, &mut found);
    libraries::check(input, &root, &programs, &mut found)?;
    report.dangling = links::check(&root, input, &mut found);
    report.objects = programs.elf.len();
    report.scripts = programs.scripts.len();
    report.findings = found.into_sorted(&root);
    Ok(report)
}

/// The programs of a root: what each file says of itself. By the index of its entry.
struct Programs {
    elf: BTreeMap<usize, Elf>,
    scripts: BTreeMap<usize, Script>,
    malformed: Vec<(usize, &'static str)>,
    /// The files that a name on `PATH` leads to, each with that name.
    on_path: BTreeMap<usize, String>,
    /// The file that the image runs.
    run: Option<usize>,
}

enum Content {
    Elf(Elf),
    Script(Script),
    Malformed(&'static str),
    Other,
}

impl Programs {
    fn read(input: &Input<'_>, root: &Root<'_>) -> Result<Self, VerifyError> {
        let candidates: Vec<_> = input
            .entries
            .iter()
            .enumerate()
            .filter_map(|(index, entry)| match entry.entry {
                Entry::File { digest, .. } if is_candidate(entry) => Some((index, digest)),
                _ => None,
            })
            .collect();
        let mut contents: HashMap<ObjectDigest, Vec<usize>> = HashMap::new();
        for (index, digest) in candidates {
            contents.entry(*digest).or_default().push(index);
        }
        let read = contents.into_par_iter().map(|(digest, indices)| {
            let first = &input.entries[indices[0]];
            let content = read_content(input, &digest).map_err(|source| VerifyError {
                path: text(first.path.as_bytes()),
                owner: owner(first.owner).to_owned(),
                source,
            })?;
            Ok((indices, content))
        });
        let mut all = Self {
            elf: BTreeMap::new(),
            scripts: BTreeMap::new(),
            malformed: Vec::new(),
            on_path: root.on_path(),
            run: input.run.and_then(|program| root.program(program)),
        };
        for (indices, content) in read.collect::<Result<Vec<_>, _>>()? {
            for index in indices {
                match &content {
                    Content::Elf(elf) => _ = all.elf.insert(index, elf.clone()),
                    // A `#!` line means something to the kernel only where the file can be executed.
                    Content::Script(script) if input.entries[index].executable => {
                        all.scripts.insert(index, script.clone());
                    }
                    Content::Malformed(reason) => all.malformed.push((index, *reason)),
                    Content::Script(_) | Content::Other => {}
                }
            }
        }
        Ok(all)
    }

    fn check_scripts(&self, input: &Input<'_>, root: &Root<'_>, found: &mut Found) {
        for &(index, reason) in &self.malformed {
            found.add(index, Reason::Malformed { reason: reason.into() }, None, Severity::Finding);
        }
        for (&index, script) in &self.scripts {
            let on_path = self.on_path.contains_key(&index) || self.run == Some(index);
            let severity = if on_path { Severity::Failure } else { Severity::Finding };
            let interpreter = script.interpreter.clone();
            match root.file(interpreter.as_bytes()) {
                None if !interpreter.starts_with('/') => {
                    // The kernel would look below the working directory, so nobody can say.
                    found.add(index, Reason::Interpreter { interpreter }, None, Severity::Finding);
                }
                None if input.base == Base::None && ASSUMED.contains(&interpreter.as_str()) => {
                    // What the image runs, and what its author put there, is not Debian's price to pay.
                    let own = root.entries[index].owner == Owner::Image;
                    let expected = self.run != Some(index) && !own;
                    let severity = if expected { Severity::Finding } else { severity };
                    found.add(index, Reason::AssumedInterpreter { interpreter }, None, severity);
                }
                None => found.add(index, Reason::Interpreter { interpreter }, None, severity),
                Some(target) if !root.entries[target].executable => {
                    found.add(index, Reason::WrongInterpreter { interpreter }, None, severity);
                }
                Some(_) => {
                    if let Some(program) = &script.env_program
                        && root.program(program).is_none()
                    {
                        let program = program.clone();
                        found.add(index, Reason::Program { program }, None, Severity::Finding);
                    }
                }
            }
        }
    }
}

/// Whether a file can be a program or a library, by its name and mode; its content decides.
fn is_candidate(entry: &RootEntry<'_>) -> bool {
    !entry.path.as_bytes().starts_with(b"packages/") && may_be_linked(entry.path, entry.executable)
}

/// What a file needs to be started or loaded, from its first bytes and headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Linked {
    /// An ELF program or library.
    Program {
        /// The path of its interpreter.
        interpreter: Option<String>,
        /// The names of the libraries that it needs.
        libraries: Vec<String>,
    },
    /// A script.
    Script {
        /// Its interpreter.
        interpreter: String,
        /// The program that `env` is asked for.
        env_program: Option<String>,
    },
    /// Neither, or something malformed.
    Neither,
}

/// Whether a file can be a program or a library, by its path and mode.
pub(crate) fn may_be_linked(path: &TreePath, executable: bool) -> bool {
    let name = path.file_name();
    // Detached debug information has the headers of its program without what they point to.
    let debug = path.as_bytes().starts_with(b"usr/lib/debug/");
    !debug && (executable || name.ends_with(b".so") || name.windows(4).any(|part| part == b".so."))
}

/// Reads what a file needs.
///
/// # Errors
/// A file that can't be read.
pub(crate) fn linked(file: &File) -> io::Result<Linked> {
    Ok(match content(file)? {
        Content::Elf(elf) => Linked::Program { interpreter: elf.interpreter, libraries: elf.needed },
        Content::Script(Script { interpreter, env_program }) => Linked::Script { interpreter, env_program },
        Content::Malformed(_) | Content::Other => Linked::Neither,
    })
}

fn read_content(input: &Input<'_>, digest: &ObjectDigest) -> io::Result<Content> {
    content(&(input.open)(digest)?)
}

fn content(file: &File) -> io::Result<Content> {
    let mut head = [0; 512];
    let length = elf::read_at(file, 0, &mut head)?;
    let head = &head[..length];
    if head.starts_with(b"\x7fELF") {
        return Ok(match elf::read(file)? {
            Ok(Some(elf)) => Content::Elf(elf),
            Ok(None) => Content::Other,
            Err(reason) => Content::Malformed(reason),
        });
    }
    Ok(script::parse(head).map_or(Content::Other, Content::Script))
}

/// The findings, each reason once for a file.
#[derive(Default)]
struct Found {
    all: BTreeMap<(usize, Reason), (Severity, Option<String>)>,
}

impl Found {
    /// `needed_by` is the index of the program on `PATH` for which it matters.
    fn add(&mut self, index: usize, reason: Reason, needed_by: Option<String>, severity: Severity) {
        let slot = self.all.entry((index, reason)).or_insert((severity, needed_by.clone()));
        if severity < slot.0 {
            *slot = (severity, needed_by);
        }
    }

    fn into_sorted(self, root: &Root<'_>) -> Vec<Finding> {
        let mut findings: Vec<_> = self
            .all
            .into_iter()
            .map(|((index, reason), (severity, needed_by))| {
                let entry = &root.entries[index];
                let path = text(entry.path.as_bytes());
                let needed_by = needed_by.filter(|by| *by != path);
                Finding { severity, path, owner: owner(entry.owner).to_owned(), reason, needed_by }
            })
            .collect();
        findings.sort_by(|a, b| (a.severity, &a.path, &a.reason).cmp(&(b.severity, &b.path, &b.reason)));
        findings
    }
}

fn owner(owner: Owner<'_>) -> &str {
    match owner {
        Owner::Package(name) | Owner::MadeLink(name) | Owner::Composer(name) => name,
        Owner::Image => "the image",
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.path, self.owner, self.reason)?;
        match &self.needed_by {
            Some(program) => write!(f, "; {program} needs it"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interpreter { interpreter } => write!(f, "its interpreter {interpreter} isn't in the image"),
            Self::AssumedInterpreter { interpreter } => {
                write!(f, "its interpreter {interpreter} is left out by base = \"none\"")
            }
            Self::WrongInterpreter { interpreter } => write!(f, "its interpreter {interpreter} can't run it"),
            Self::Program { program } if program.contains('/') => {
                write!(f, "it asks env for {program}, which isn't in the image")
            }
            Self::Program { program } => write!(f, "it asks env for {program}, which isn't on PATH"),
            Self::Library { library, elsewhere: None } => write!(f, "it needs {library}, which isn't in the image"),
            Self::Library { library, elsewhere: Some(place) } => {
                write!(f, "it needs {library}, which is at {place}, where it isn't looked for")
            }
            Self::BrokenLink { target } => write!(f, "it points to {target}, which isn't in the image"),
            Self::CircularLink => write!(f, "it leads in a circle"),
            Self::Malformed { reason } => write!(f, "it is malformed: {reason}"),
        }
    }
}
