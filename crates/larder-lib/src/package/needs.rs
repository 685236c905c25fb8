//! What built programs need: the libraries of `DT_NEEDED`, and the interpreters of programs and scripts.
//!
//! Each must be in the package itself, in one that it requires, or in the base, which is never named. Names of libraries are looked up
//! without folders: where the loader looks is for the image's own verification to say.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;

use larder_store::{Entry, FileSet, Name, ObjectDigest, Store, Tree};

use super::error::Missing;
use crate::image::PackageImport;
use crate::verify::{self, Linked};
use crate::{Error, Result};

/// A package that was built, before it has a record.
pub(super) struct Part<'a> {
    /// Its name.
    pub(super) name: &'a Name,
    /// Its files.
    pub(super) tree: &'a Tree,
    /// The packages that it requires, by full name.
    pub(super) requires: BTreeSet<&'a str>,
    /// The packages of the same build whose files it may use.
    pub(super) uses: Vec<&'a Tree>,
}

/// Something that a file needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    /// A library by its name.
    Library(String),
    /// A program by its path, without the leading slash.
    Program(String),
    /// A program that `env` is asked for.
    Named(String),
}

/// Finds what no requirement provides.
///
/// # Errors
/// A content that can't be read.
pub(super) fn missing(store: &Store, parts: &[Part<'_>], sandbox: &[PackageImport]) -> Result<Vec<Missing>> {
    let mut open = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        let own = Paths::of(std::iter::once(part.tree).chain(part.uses.iter().copied()));
        for (file, needs) in needs_of(store, part.tree)? {
            let needs: BTreeSet<Need> = needs.into_iter().filter(|need| !own.has(need)).collect();
            open.extend(needs.into_iter().map(|need| (number, file.clone(), need)));
        }
    }
    if open.is_empty() {
        return Ok(Vec::new());
    }
    // Only now the packages of the sandbox are looked through.
    let wanted: BTreeSet<&Need> = open.iter().map(|(_, _, need)| need).collect();
    let mut providers: BTreeMap<Need, Vec<(Name, bool)>> = BTreeMap::new();
    for import in sandbox {
        let record: FileSet = store.fileset(&import.package)?;
        let essential = record.package().is_some_and(|package| package.essential);
        let paths = Paths::of(std::iter::once(&store.tree(&record.tree)?));
        for need in wanted.iter().filter(|need| paths.has(need)) {
            providers.entry((*need).clone()).or_default().push((import.name.clone(), essential));
        }
    }
    let mut missing = Vec::new();
    for (number, file, need) in &open {
        let part = &parts[*number];
        let there = providers.get(need).map(Vec::as_slice).unwrap_or_default();
        if there.iter().any(|(name, essential)| *essential || part.requires.contains(name.as_str())) {
            continue;
        }
        missing.push(Missing {
            part: part.name.clone(),
            file: format!("/{file}"),
            needs: need.shown(),
            providers: there.iter().map(|(name, _)| name.clone()).collect(),
        });
    }
    missing.sort();
    Ok(missing)
}

impl Need {
    fn shown(&self) -> String {
        match self {
            Self::Library(name) | Self::Named(name) => name.clone(),
            Self::Program(path) => format!("/{path}"),
        }
    }
}

/// What a set of trees has to offer.
#[derive(Default)]
struct Paths {
    files: BTreeSet<Vec<u8>>,
    names: BTreeSet<Vec<u8>>,
}

impl Paths {
    fn of<'a>(trees: impl Iterator<Item = &'a Tree>) -> Self {
        let mut paths = Self::default();
        for entry in trees.flat_map(Tree::entries).filter(|entry| entry.entry != Entry::Directory) {
            paths.names.insert(entry.path.file_name().to_vec());
            paths.files.insert(entry.path.as_bytes().to_vec());
        }
        paths
    }

    fn has(&self, need: &Need) -> bool {
        match need {
            Need::Library(name) => self.names.contains(name.as_bytes()),
            Need::Program(path) => self.files.contains(path.as_bytes()),
            Need::Named(name) => ["usr/bin", "usr/sbin", "usr/local/bin"]
                .iter()
                .any(|folder| self.files.contains(format!("{folder}/{name}").as_bytes())),
        }
    }
}

/// What each file of a tree needs.
fn needs_of(store: &Store, tree: &Tree) -> Result<Vec<(String, Vec<Need>)>> {
    let mut all = Vec::new();
    for entry in tree.entries() {
        let Entry::File { digest, .. } = &entry.entry else { continue };
        if !verify::may_be_linked(&entry.path, entry.mode() & 0o111 != 0) {
            continue;
        }
        let read = |digest: &ObjectDigest| -> io::Result<Linked> {
            let file: File = store.open_object(digest).map_err(io::Error::other)?;
            verify::linked(&file)
        };
        let path = store.object_path(digest);
        let needs = match read(digest).map_err(Error::io("read", &path))? {
            Linked::Program { interpreter, libraries } => {
                let interpreter = interpreter.map(|path| Need::Program(merged(&path)));
                interpreter.into_iter().chain(libraries.into_iter().map(library)).collect()
            }
            Linked::Script { env_program: Some(program), .. } if !program.contains('/') => vec![Need::Named(program)],
            Linked::Script { interpreter, .. } => vec![Need::Program(merged(&interpreter))],
            Linked::Neither => continue,
        };
        all.push((entry.path.to_string(), needs));
    }
    Ok(all)
}

fn library(name: String) -> Need {
    if name.contains('/') { Need::Program(merged(&name)) } else { Need::Library(name) }
}

/// The path of a program as packages have it: Debian's `/bin` and the like are `/usr/bin`.
fn merged(path: &str) -> String {
    let path = path.trim_start_matches('/');
    let top = path.split('/').next().unwrap_or_default();
    match top {
        "bin" | "sbin" | "lib" | "lib32" | "lib64" | "libx32" => format!("usr/{path}"),
        _ => path.to_owned(),
    }
}
