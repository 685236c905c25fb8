//! From what a build left in `$OUT` to a tree: no times, no owners, everything sorted.
//!
//! Whoever made the files is gone, and nobody else can reach the folder; so what is looked at stays as it is. It may still be
//! anything: links that lead out are kept as links and never followed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use larder_store::{Attributes, Entry, Ingest, Name, Tree, TreeBuilder, TreePath};

use super::error::{OutputProblem, PackageError};
use crate::recipe::package::{ALIASES, Glob, RESERVED};
use crate::{Error, Result};

/// Reads a folder into the store.
///
/// # Errors
/// [`PackageError::Output`] for what no package can have; a file that can't be read or kept.
pub(super) fn read(ingest: &Ingest<'_>, package: &Name, folder: &Path) -> Result<Tree> {
    // A file may have holes: how long it is was bounded by nothing yet.
    let found = rustix::fs::statvfs(folder).map_err(|error| Error::io("look at the disk of", folder)(error.into()))?;
    let room = found.f_bavail.saturating_mul(found.f_frsize);
    let mut reader = Reader { ingest, package, room, tree: TreeBuilder::new() };
    reader.walk(folder, b"")?;
    Ok(reader.tree.finish()?)
}

struct Reader<'a> {
    ingest: &'a Ingest<'a>,
    package: &'a Name,
    /// How many bytes more may be copied.
    room: u64,
    tree: TreeBuilder,
}

impl Reader<'_> {
    fn wrong(&self, path: &[u8], problem: OutputProblem) -> Error {
        let path = format!("/{}", String::from_utf8_lossy(path));
        PackageError::Output { package: self.package.clone(), path, problem }.into()
    }

    fn walk(&mut self, folder: &Path, inside: &[u8]) -> Result<()> {
        let failed = || Error::io("read", folder);
        // A folder that its owner closed is still ours to read.
        let mode = fs::symlink_metadata(folder).map_err(failed())?.permissions().mode();
        if mode & 0o500 != 0o500 {
            fs::set_permissions(folder, fs::Permissions::from_mode(mode | 0o700)).map_err(failed())?;
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(folder).map_err(failed())? {
            names.push(entry.map_err(failed())?.file_name());
        }
        names.sort();
        for name in names {
            let path =
                if inside.is_empty() { name.as_bytes().to_vec() } else { [inside, b"/", name.as_bytes()].concat() };
            self.entry(&folder.join(&name), path)?;
        }
        Ok(())
    }

    fn entry(&mut self, file: &Path, inside: Vec<u8>) -> Result<()> {
        let metadata = fs::symlink_metadata(file).map_err(Error::io("look at", file))?;
        let kind = metadata.file_type();
        let special = [
            (kind.is_fifo(), "a named pipe"),
            (kind.is_socket(), "a socket"),
            (kind.is_block_device() || kind.is_char_device(), "a device"),
        ];
        if let Some((_, kind)) = special.into_iter().find(|(is, _)| *is) {
            return Err(self.wrong(&inside, OutputProblem::Special(kind)));
        }
        let top = inside.split(|&b| b == b'/').next().unwrap_or_default();
        let is_one_of = |names: &[&str]| names.iter().any(|name| name.as_bytes() == top);
        if is_one_of(ALIASES) {
            return Err(self.wrong(&inside, OutputProblem::Alias));
        }
        if is_one_of(RESERVED) {
            return Err(self.wrong(&inside, OutputProblem::Reserved));
        }
        let mode = (metadata.mode() & 0o7777) as u16;
        if !kind.is_symlink() && mode & 0o6000 != 0 {
            return Err(self.wrong(&inside, OutputProblem::SetId(mode)));
        }
        let path = TreePath::new(inside.clone())
            .map_err(|error| self.wrong(&inside, OutputProblem::Path(error.reason.to_owned())))?;
        let (entry, attributes) = if kind.is_symlink() {
            let target = fs::read_link(file).map_err(Error::io("read", file))?;
            (Entry::Symlink { target: target.as_os_str().as_bytes().into() }, Attributes::default())
        } else if kind.is_dir() {
            (Entry::Directory, Attributes { mode: Some(mode), ..Attributes::default() })
        } else {
            let length = metadata.len();
            self.room =
                self.room.checked_sub(length).ok_or_else(|| self.wrong(&inside, OutputProblem::NoRoom(length)))?;
            let mut content = open(file, mode)?;
            let (digest, size) = self.ingest.write_object(&mut content, u64::MAX)?;
            let executable = mode & 0o100 != 0;
            (Entry::File { digest, size, executable }, Attributes { mode: Some(mode), ..Attributes::default() })
        };
        let is_directory = entry == Entry::Directory;
        self.tree
            .insert(path, entry, attributes)
            .map_err(|error| self.wrong(&inside, OutputProblem::Path(error.to_string())))?;
        if is_directory { self.walk(file, &inside) } else { Ok(()) }
    }
}

fn open(file: &Path, mode: u16) -> Result<File> {
    if mode & 0o400 == 0 {
        let readable = fs::Permissions::from_mode(u32::from(mode) | 0o400);
        fs::set_permissions(file, readable).map_err(Error::io("read", file))?;
    }
    let no_follow = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    File::options().read(true).custom_flags(no_follow).open(file).map_err(Error::io("read", file))
}

/// Divides a tree: each file goes to the first split that names it, and the rest, first in the answer, is the package's own. A folder goes
/// where its files go; an empty one to the split that names it.
///
/// # Errors
/// [`PackageError::EmptySplit`].
pub(super) fn divide<'s>(
    tree: &Tree,
    package: &Name,
    splits: impl Iterator<Item = (&'s str, &'s [Glob])> + Clone,
) -> Result<(Tree, BTreeMap<String, Tree>)> {
    let of = |path: &TreePath| splits.clone().find(|(_, globs)| globs.iter().any(|glob| glob.matches(path.as_bytes())));
    let mut parts: BTreeMap<Option<&str>, TreeBuilder> = BTreeMap::new();
    let is_empty = |path: &TreePath| {
        let start = [path.as_bytes(), b"/"].concat();
        let next = tree.entries().partition_point(|entry| entry.path.as_bytes() < start.as_slice());
        tree.entries().get(next).is_none_or(|entry| !entry.path.as_bytes().starts_with(&start))
    };
    let mut folders = Vec::new();
    for entry in tree.entries() {
        if entry.entry == Entry::Directory && !is_empty(&entry.path) {
            if !entry.attributes.is_default() {
                folders.push(entry);
            }
            continue;
        }
        let part = of(&entry.path).map(|(end, _)| end);
        parts.entry(part).or_default().insert(entry.path.clone(), entry.entry.clone(), entry.attributes.clone())?;
    }
    // A folder with a mode of its own has it wherever something in it is.
    for folder in folders {
        for part in parts.values_mut() {
            let within = tree
                .entries()
                .iter()
                .any(|entry| entry.path.is_below(folder.path.as_bytes()) && part.get(entry.path.as_bytes()).is_some());
            if within {
                part.insert(folder.path.clone(), folder.entry.clone(), folder.attributes.clone())?;
            }
        }
    }
    let mut own = Tree::default();
    let mut others = BTreeMap::new();
    for (end, part) in parts {
        match end {
            None => own = part.finish()?,
            Some(end) => drop(others.insert(end.to_owned(), part.finish()?)),
        }
    }
    if let Some((end, globs)) = splits.clone().find(|(end, _)| !others.contains_key(*end)) {
        let patterns = format!("[{}]", globs.iter().map(|glob| format!("\"{glob}\"")).collect::<Vec<_>>().join(", "));
        return Err(PackageError::EmptySplit { package: package.clone(), split: end.to_owned(), patterns }.into());
    }
    Ok((own, others))
}

/// Adds the sources' licences to what was built, below `usr/share/doc/<package>`, where the build didn't put any there itself.
pub(super) fn with_licences(built: &Tree, sources: &Tree, package: &Name) -> Result<Tree> {
    const NAMES: [&str; 5] = ["COPYING", "COPYRIGHT", "LICENCE", "LICENSE", "NOTICE"];
    let folder = format!("usr/share/doc/{}", package.short());
    let is_licence = |name: &str| {
        let upper = name.to_ascii_uppercase();
        NAMES.iter().any(|known| {
            upper.strip_prefix(known).is_some_and(|rest| rest.is_empty() || !rest.as_bytes()[0].is_ascii_alphanumeric())
        })
    };
    let mut tree = TreeBuilder::new();
    for entry in built.entries() {
        tree.insert(entry.path.clone(), entry.entry.clone(), entry.attributes.clone())?;
    }
    for entry in sources.entries() {
        let Entry::File { digest, size, .. } = &entry.entry else { continue };
        let Ok(name) = std::str::from_utf8(entry.path.as_bytes()) else { continue };
        if name.contains('/') || !is_licence(name) {
            continue;
        }
        let Ok(path) = TreePath::try_from(format!("{folder}/{name}").as_str()) else { continue };
        let blocked = path
            .ancestors()
            .any(|above| tree.get(above.as_bytes()).is_some_and(|(entry, _)| *entry != Entry::Directory));
        if tree.get(path.as_bytes()).is_none() && !blocked {
            tree.insert(path, Entry::File { digest: *digest, size: *size, executable: false }, Attributes::default())?;
        }
    }
    Ok(tree.finish()?)
}
