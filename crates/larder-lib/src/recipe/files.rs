//! Reading an image's own files.
//!
//! Every source is opened with `openat2(RESOLVE_BENEATH)` from a descriptor of the recipe's folder, and everything
//! below it by single components from the descriptor of its parent, never following a symlink. So the kernel keeps
//! what is read inside the folder, whatever is renamed meanwhile.
//!
//! The tree depends on names, contents, link targets and the owner's execute bit, and on nothing else: not on the
//! umask, times, owners, the locale or the order in which a directory is listed.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use larder_store::tree::TreeError;
use larder_store::{Attributes, Entry, ObjectDigest, Tree, TreeBuilder, TreePath};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, fstat, openat2, readlinkat, statat};
use rustix::io::Errno;
use thiserror::Error;

use super::{FILE_NAME, FileSource, IGNORE_NAME, Ignored, LOCK_NAME, Problem, Recipe, RecipeError};

/// Why whoever keeps the contents could not.
pub type ContentError = Box<dyn std::error::Error + Send + Sync>;

/// Keeps one content and says its digest and length. It is called once for each file, in the order of container paths.
pub type Keep<'a> = dyn FnMut(&mut dyn Read) -> Result<(ObjectDigest, u64), ContentError> + 'a;

/// What can be wrong with a file that a recipe names.
#[derive(Debug, Error)]
pub enum FileProblem {
    /// It isn't there.
    #[error("there is no such file or folder")]
    Missing,
    /// It is reached through a symlink, or a rename, that leads outside the recipe's folder.
    #[error("it leads outside the recipe's folder")]
    Outside,
    /// A symlink to an absolute path.
    #[error("it is a symlink to the absolute path {target:?}, which leads outside the recipe's folder")]
    AbsoluteLink {
        /// What it points to.
        target: String,
    },
    /// A symlink to something outside the folder that is copied.
    #[error("it is a symlink to {target:?}, which leads outside {folder:?}, the folder that is copied")]
    LinkOutside {
        /// What it points to.
        target: String,
        /// The source in `[files]`.
        folder: String,
    },
    /// A device, a socket or a named pipe.
    #[error("it is {kind}; an image holds files, folders and symlinks only")]
    Special {
        /// What it is, with its article.
        kind: &'static str,
    },
    /// Another source has already given something else at its path.
    #[error("it would be at /{path} in the container, and so would {other:?}")]
    Twice {
        /// The path in the container.
        path: TreePath,
        /// The other file.
        other: String,
    },
    /// It can't be read.
    #[error("it can't be read")]
    Read {
        /// The system's reason.
        source: io::Error,
    },
    /// The system can't keep the reading inside the folder.
    #[error("this system refuses openat2, without which a recipe's files can't be read safely")]
    NoOpenat2 {
        /// The system's reason.
        source: io::Error,
    },
    /// Its content could not be kept.
    #[error("its content can't be kept")]
    Keep {
        /// The keeper's reason.
        source: ContentError,
    },
    /// The files together, or its name or link, can't stand in a tree.
    #[error("{source}")]
    Tree {
        /// The rule.
        source: TreeError,
    },
}

impl FileProblem {
    /// What to do next.
    pub fn help(&self) -> Option<&'static str> {
        Some(match self {
            Self::Missing => "sources in [files] are relative to the recipe's folder: check the spelling",
            Self::Outside => "put a copy of it into the recipe's folder",
            Self::AbsoluteLink { .. } | Self::LinkOutside { .. } => {
                "make it a relative symlink to something in the same folder, or replace it by what it points to"
            }
            Self::Special { .. } => "remove it from the folder",
            Self::Twice { .. } => "remove one of the two, or give one another path in [files]",
            Self::Read { .. } => "check its permissions",
            Self::NoOpenat2 { .. } => "it needs Linux 5.6; inside a container, its seccomp profile must allow openat2",
            Self::Keep { .. } | Self::Tree { .. } => return None,
        })
    }
}

impl Recipe {
    /// Reads the files of `[files]` and gives their tree. Contents go to `keep` as streams, one at a time.
    ///
    /// Files become 0644 or, where their owner may execute them, 0755, and belong to root. Where the recipe's folder
    /// itself is a source, the recipe, its lock and its `.larderignore` stay out; so does, of every folder, what that says.
    ///
    /// # Errors
    /// [`Problem::File`] with the file's path, at the line of the recipe that names it; [`Problem::Unreadable`] for the folder.
    pub fn read_files(&self, keep: &mut Keep<'_>) -> Result<Tree, RecipeError> {
        read(&self.file, &self.files, keep)
    }
}

/// Reads files of the folder of a recipe, `recipe`, into a tree: `files` says which, and where they stand in the tree.
pub(crate) fn read(
    recipe: &Path,
    files: &BTreeMap<TreePath, FileSource>,
    keep: &mut Keep<'_>,
) -> Result<Tree, RecipeError> {
    if files.is_empty() {
        return Ok(Tree::default());
    }
    let fail = |place, problem| RecipeError::new(recipe, place, problem);
    let folder = File::open(super::folder_of(recipe)).map_err(|source| fail(None, Problem::Unreadable { source }))?;
    let ignored = Ignored::read(folder.as_fd()).map_err(|problem| fail(None, Problem::Ignore { problem }))?;
    let mut reader = Reader { folder: folder.as_fd(), ignored, keep, found: BTreeMap::new() };
    for (target, source) in files {
        reader
            .read(target, source)
            .map_err(|(path, problem)| fail(source.place.clone(), Problem::File { path, problem }))?;
    }
    let mut builder = TreeBuilder::new();
    for (path, (entry, source)) in reader.found {
        builder.insert(path, entry, Attributes::default()).map_err(|error| {
            fail(None, Problem::File { path: source, problem: FileProblem::Tree { source: error } })
        })?;
    }
    builder.finish().map_err(|error| {
        fail(None, Problem::File { path: "[files]".to_owned(), problem: FileProblem::Tree { source: error } })
    })
}

/// The path of the file that is wrong, as the recipe would name it, and why.
type Failure = (String, FileProblem);

struct Reader<'a, 'k> {
    folder: BorrowedFd<'a>,
    ignored: Ignored,
    keep: &'a mut Keep<'k>,
    found: BTreeMap<TreePath, (Entry, String)>,
}

/// A source that is a folder, while it is copied.
struct Copied<'a> {
    /// Its descriptor.
    root: BorrowedFd<'a>,
    /// As the recipe names it.
    name: &'a str,
    /// Whether it is the recipe's own folder.
    whole: bool,
}

/// A directory within a copied folder.
struct Place<'a> {
    directory: BorrowedFd<'a>,
    /// Its path in the copied folder; empty for that folder.
    inside: &'a [u8],
    /// Its path in the container.
    target: &'a TreePath,
}

const FILE: OFlags =
    OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::NOFOLLOW);

impl Reader<'_, '_> {
    fn read(&mut self, target: &TreePath, source: &FileSource) -> Result<(), Failure> {
        let name = &source.path;
        let fail = |errno| (name.clone(), problem(errno));
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        // A look without opening comes first: opening a device can do something.
        let look = openat2(self.folder, name.as_str(), OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), beneath)
            .map_err(fail)?;
        let seen = fstat(&look).map_err(fail)?;
        let kind = FileType::from_raw_mode(seen.st_mode);
        if let Some(kind) = special(kind) {
            return Err((name.clone(), FileProblem::Special { kind }));
        }
        let flags = FILE.difference(OFlags::NOFOLLOW);
        let opened = openat2(self.folder, name.as_str(), flags, Mode::empty(), beneath).map_err(fail)?;
        if kind != FileType::Directory {
            return self.file(opened, target.clone(), name.clone());
        }
        let own = fstat(self.folder).map_err(fail)?;
        let whole = (own.st_dev, own.st_ino) == (seen.st_dev, seen.st_ino);
        self.add(target.clone(), Entry::Directory, name.clone())?;
        let copied = Copied { root: opened.as_fd(), name, whole };
        self.walk(&copied, &Place { directory: opened.as_fd(), inside: b"", target })
    }

    fn walk(&mut self, copied: &Copied<'_>, place: &Place<'_>) -> Result<(), Failure> {
        for name in names(place.directory).map_err(|errno| (copied.path(place.inside), problem(errno)))? {
            let bytes = name.as_bytes();
            if copied.whole
                && place.inside.is_empty()
                && [FILE_NAME, LOCK_NAME, IGNORE_NAME].iter().any(|own| own.as_bytes() == bytes)
            {
                continue;
            }
            let inside = if place.inside.is_empty() { bytes.to_vec() } else { [place.inside, b"/", bytes].concat() };
            let source = copied.path(&inside);
            let fail = |errno| (source.clone(), problem(errno));
            let target = TreePath::new([place.target.as_bytes(), b"/", bytes].concat())
                .map_err(|error| (source.clone(), FileProblem::Tree { source: error.into() }))?;
            let stat = statat(place.directory, &name, AtFlags::SYMLINK_NOFOLLOW).map_err(fail)?;
            let kind = FileType::from_raw_mode(stat.st_mode);
            if self.ignored.covers(&copied.bytes(&inside), kind == FileType::Directory) {
                continue;
            }
            if let Some(kind) = special(kind) {
                return Err((source, FileProblem::Special { kind }));
            }
            if kind == FileType::Symlink {
                let link = readlinkat(place.directory, &name, Vec::new()).map_err(fail)?.into_bytes();
                copied.check_link(place.inside, &link).map_err(|problem| (source.clone(), problem))?;
                self.add(target, Entry::Symlink { target: link.into() }, source)?;
                continue;
            }
            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
            let opened = openat2(place.directory, &name, FILE, Mode::empty(), resolve).map_err(fail)?;
            if kind == FileType::Directory {
                self.add(target.clone(), Entry::Directory, source)?;
                self.walk(copied, &Place { directory: opened.as_fd(), inside: &inside, target: &target })?;
            } else {
                self.file(opened, target, source)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, opened: OwnedFd, target: TreePath, source: String) -> Result<(), Failure> {
        let stat = fstat(&opened).map_err(|errno| (source.clone(), problem(errno)))?;
        if let Some(kind) = special(FileType::from_raw_mode(stat.st_mode)) {
            // What was looked at has been replaced meanwhile.
            return Err((source, FileProblem::Special { kind }));
        }
        let mut watched = Watched { file: File::from(opened), failed: None };
        let kept = (self.keep)(&mut watched);
        let (digest, size) = match (kept, watched.failed) {
            (_, Some(error)) => return Err((source, FileProblem::Read { source: error })),
            (Err(error), None) => return Err((source, FileProblem::Keep { source: error })),
            (Ok(kept), None) => kept,
        };
        let executable = stat.st_mode & 0o100 != 0;
        self.add(target, Entry::File { digest, size, executable }, source)
    }

    fn add(&mut self, path: TreePath, entry: Entry, source: String) -> Result<(), Failure> {
        if let Some((before, other)) = self.found.get(&path) {
            if *before == Entry::Directory && entry == Entry::Directory {
                return Ok(());
            }
            return Err((source, FileProblem::Twice { path, other: other.clone() }));
        }
        self.found.insert(path, (entry, source));
        Ok(())
    }
}

impl Copied<'_> {
    fn path(&self, inside: &[u8]) -> String {
        match String::from_utf8_lossy(inside) {
            inside if inside.is_empty() => self.name.to_owned(),
            inside if self.name == "." => inside.into_owned(),
            inside => format!("{}/{inside}", self.name),
        }
    }

    /// The same as bytes.
    fn bytes(&self, inside: &[u8]) -> Vec<u8> {
        if self.name == "." { inside.to_vec() } else { [self.name.as_bytes(), b"/", inside].concat() }
    }

    /// A link is kept word for word, so its words must stay inside what is copied, and so must where they lead.
    fn check_link(&self, directory: &[u8], link: &[u8]) -> Result<(), FileProblem> {
        let target = || String::from_utf8_lossy(link).into_owned();
        if link.starts_with(b"/") {
            return Err(FileProblem::AbsoluteLink { target: target() });
        }
        let outside = || FileProblem::LinkOutside { target: target(), folder: self.name.to_owned() };
        let path = [directory, b"/", link].concat();
        let mut depth = 0_usize;
        for component in path.split(|&b| b == b'/') {
            match component {
                b"" | b"." => {}
                b".." => depth = depth.checked_sub(1).ok_or_else(outside)?,
                _ => depth += 1,
            }
        }
        let path = OsStr::from_bytes(path.strip_prefix(b"/").unwrap_or(&path));
        match openat2(self.root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::BENEATH) {
            Err(Errno::XDEV) => Err(outside()),
            // A dangling link, or one that nobody may follow here, may mean something in the container.
            _ => Ok(()),
        }
    }
}

fn names(directory: BorrowedFd<'_>) -> Result<Vec<CString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let name = entry?.file_name().to_owned();
        if !matches!(name.as_bytes(), b"." | b"..") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn special(kind: FileType) -> Option<&'static str> {
    match kind {
        FileType::RegularFile | FileType::Directory | FileType::Symlink => None,
        FileType::Fifo => Some("a named pipe"),
        FileType::Socket => Some("a socket"),
        FileType::CharacterDevice | FileType::BlockDevice => Some("a device"),
        FileType::Unknown => Some("of an unknown kind"),
    }
}

fn problem(errno: Errno) -> FileProblem {
    match errno {
        Errno::NOENT | Errno::NOTDIR => FileProblem::Missing,
        Errno::XDEV => FileProblem::Outside,
        Errno::NOSYS => FileProblem::NoOpenat2 { source: errno.into() },
        _ => FileProblem::Read { source: errno.into() },
    }
}

/// A file that remembers its own error, so that reading and keeping can be told apart.
struct Watched {
    file: File,
    failed: Option<io::Error>,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer).inspect_err(|error| {
            if error.kind() != io::ErrorKind::Interrupted {
                let copy = error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error);
                self.failed = Some(copy);
            }
        })
    }
}
