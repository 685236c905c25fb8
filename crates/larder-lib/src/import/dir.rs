//! A folder, as the root of a package.
//!
//! It is opened once; everything below is opened by single components from the descriptor of its parent, never following a symlink. So
//! nothing outside is read, whatever is renamed meanwhile. Links are kept word for word: they mean something in the container, and not here.
//!
//! Write permission for group and others is the umask's and isn't kept, except in sticky directories.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use larder_store::{Entry, Ingest};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat2, readlinkat, statat};
use rustix::io::Errno;

use super::nodes::{CAPABILITY, Collected, Node, Place, Who, check_alias, check_privileges, place};
use super::owners::{self, Roots};
use super::{Draft, ImportError, Imported, InstallRules, Options, Source, io, package, time};
use crate::host::architecture;
use crate::{Error, Host, Result};

/// The largest file that is taken in.
const MAX_FILE: u64 = 64 << 30;
/// The largest value of a file's capabilities.
const MAX_CAPABILITY: usize = 64;

const OPEN: OFlags =
    OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::NOFOLLOW);

pub(super) fn from_dir(host: &Host, folder: &Path, options: &Options) -> Result<Imported> {
    options.check()?;
    let version = options.version()?.to_owned();
    let metadata = options.metadata(InstallRules::default())?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::DIRECTORY;
    let root = match rustix::fs::open(folder, flags, Mode::empty()) {
        Err(Errno::NOTDIR) => return Err(ImportError::NoFolder { path: folder.display().to_string() }.into()),
        root => root.map_err(|errno| io("open", folder)(errno.into()))?,
    };
    let ingest = host.store.begin()?;
    let mut reader = Reader { ingest: &ingest, options, folder, found: Collected::default(), left_out: Vec::new() };
    reader.walk(root.as_fd(), b"")?;
    let Reader { found, left_out, .. } = reader;
    // What a user made is theirs in the folder, and root's in the package.
    let roots =
        Roots::from([0, rustix::process::geteuid().as_raw().into(), rustix::process::getegid().as_raw().into()]);
    let mut taken = owners::settle(&ingest, found.nodes, options.owners, &roots)?;
    taken.left_out = left_out;
    let metadata = super::PackageMetadata {
        install: InstallRules { users: taken.users.clone(), groups: taken.groups.clone(), ..InstallRules::default() },
        ..metadata
    };
    let draft = Draft {
        name: &options.name,
        version: &version,
        architecture: options.architecture.as_deref().unwrap_or_else(|| architecture()),
        time: time(&taken.tree),
        metadata,
    };
    let source = Source::folder(folder, &taken.tree.digest());
    package(host, ingest, draft, taken, source)
}

struct Reader<'a, 's> {
    ingest: &'a Ingest<'s>,
    options: &'a Options,
    folder: &'a Path,
    found: Collected,
    left_out: Vec<String>,
}

impl Reader<'_, '_> {
    fn walk(&mut self, directory: BorrowedFd<'_>, inside: &[u8]) -> Result<()> {
        for name in names(directory).map_err(|errno| self.failed("list", inside, errno))? {
            let bytes = name.as_bytes();
            let raw = if inside.is_empty() { bytes.to_vec() } else { [inside, b"/", bytes].concat() };
            let stat = statat(directory, &name, AtFlags::SYMLINK_NOFOLLOW);
            let stat = stat.map_err(|errno| self.failed("look at", &raw, errno))?;
            self.entry(directory, &name, &raw, &stat)?;
        }
        Ok(())
    }

    fn entry(&mut self, directory: BorrowedFd<'_>, name: &CString, raw: &[u8], stat: &Stat) -> Result<()> {
        let place = place(raw)?;
        if let Place::Reserved(path, top) = place {
            // An empty mount point is part of every root; what is in one isn't.
            if path.parent().is_none() && FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                let empty = self
                    .open(directory, name, raw)
                    .and_then(|opened| names(opened.as_fd()).map_err(|errno| self.failed("list", raw, errno)))?;
                if empty.is_empty() {
                    self.left_out.push(format!("/{path}: the kernel or Larder makes it"));
                    return Ok(());
                }
            }
            return Err(ImportError::Reserved { path, top }.into());
        }
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                if let Place::At(path) = place {
                    let node = node(Entry::Directory, stat);
                    self.put(path, node)?;
                }
                let opened = self.open(directory, name, raw)?;
                self.walk(opened.as_fd(), raw)
            }
            FileType::Symlink => {
                let target = readlinkat(directory, name, Vec::new());
                let target = target.map_err(|errno| self.failed("read", raw, errno))?.into_bytes();
                match place {
                    Place::At(path) => self.put(path, node(Entry::Symlink { target: target.into() }, stat)),
                    _ => Ok(check_alias(raw, Some(&target))?),
                }
            }
            FileType::RegularFile => match place {
                Place::At(path) => {
                    let opened = self.open(directory, name, raw)?;
                    self.file(opened, path, raw)
                }
                _ => Ok(check_alias(raw, Some(b""))?),
            },
            _ => match place {
                Place::At(path) => Err(ImportError::Special { path }.into()),
                _ => Ok(check_alias(raw, Some(b""))?),
            },
        }
    }

    fn file(&mut self, opened: OwnedFd, path: larder_store::TreePath, raw: &[u8]) -> Result<()> {
        let stat = fstat(&opened).map_err(|errno| self.failed("look at", raw, errno))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            // What was looked at has been replaced meanwhile.
            return Err(ImportError::Special { path }.into());
        }
        let mut value = [0; MAX_CAPABILITY];
        let capability = match rustix::fs::fgetxattr(&opened, c"security.capability", &mut value) {
            Ok(length) => Some(value[..length].to_vec()),
            Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::NOSYS) => None,
            Err(errno) => return Err(self.failed("look at", raw, errno)),
        };
        let (digest, size) = self.ingest.write_object(&mut File::from(opened), MAX_FILE)?;
        let executable = stat.st_mode & 0o100 != 0;
        let mut node = node(Entry::File { digest, size, executable }, &stat);
        node.xattrs.extend(capability.map(|value| (CAPABILITY.into(), value.into())));
        self.put(path, node)
    }

    fn put(&mut self, path: larder_store::TreePath, node: Node) -> Result<()> {
        check_privileges(&path, &node.entry, node.mode, &node.xattrs, self.options.privileges)?;
        match self.found.nodes.get(&path) {
            Some(before) if before.entry != Entry::Directory || node.entry != Entry::Directory => {
                Err(ImportError::Collision { path }.into())
            }
            _ => Ok(self.found.add(path, node)?),
        }
    }

    fn open(&self, directory: BorrowedFd<'_>, name: &CString, raw: &[u8]) -> Result<OwnedFd> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        openat2(directory, name, OPEN, Mode::empty(), resolve).map_err(|errno| self.failed("open", raw, errno))
    }

    fn failed(&self, action: &'static str, raw: &[u8], errno: Errno) -> Error {
        use std::os::unix::ffi::OsStrExt as _;
        let path: PathBuf = self.folder.join(std::ffi::OsStr::from_bytes(raw));
        io(action, &path)(errno.into())
    }
}

fn node(entry: Entry, stat: &Stat) -> Node {
    let mode = (stat.st_mode & 0o7777) as u16;
    let mode = if mode & 0o1000 != 0 { mode } else { mode & !0o022 };
    let who = |id: u32| Who { id: id.into(), name: Vec::new() };
    Node { entry, mode, owner: who(stat.st_uid), group: who(stat.st_gid), xattrs: Default::default() }
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
