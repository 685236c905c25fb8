//! The composer `python-bytecode`: its pure part.
//!
//! Python starts in a quarter of the time when its library is compiled. Only the image's own interpreter writes the
//! bytecode that it reads, so compiling takes a container, which this crate can't start. Here is all the rest: what
//! is to be compiled ([`work`]), what to run and feed it ([`Work::arguments`], [`Work::input`]), the key under which
//! a package's result is kept ([`Batch::key`]), checking what came out ([`collect`]), and where it goes ([`place`]).
//!
//! One result is a function of the interpreter's FileSet, the package's FileSet and this composer's version, so it is
//! kept once and serves every image. It therefore reads the package's files below `/packages`, where nothing
//! overrides them, and says `/usr/…` where the code remembers its file name; each package is compiled in a process of
//! its own, forked from one that has compiled nothing, because `marshal` writes references by how often an object
//! happens to be used in the process.
//!
//! Compiled are the standard library and `dist-packages`, at the default level of optimisation. Files of the image's
//! own are not: they change with every build. The bytecode is checked by time and size (PEP 552, flags 0), so an
//! edited file is compiled anew. The time is the one that the file shows in the view: that of its FileSet.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use larder_store::plan::InstallPlan;
use larder_store::tree::Attributes;
use larder_store::{Entry, ObjectDigest, TreePath};
use rustix::fs::{Mode, OFlags, open, openat};
use thiserror::Error;

use super::{ComposedEntry, ContentError, Contents, shown_time};

/// The composer's name in an image's record.
pub const COMPOSER: &str = "python-bytecode";
/// Its version.
const VERSION: u64 = 1;
/// Source files larger than this are left to be compiled when they are used.
const MAX_SOURCE: u64 = 8 << 20;
/// Bytecode larger than this is refused.
const MAX_BYTECODE: u64 = 64 << 20;
const HEADER: usize = 16;
const PROGRAM: &str = include_str!("python/compile.py");

/// What one interpreter of the image compiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// The interpreter, such as `usr/bin/python3.11`.
    pub interpreter: TreePath,
    /// What it calls its bytecode, such as `cpython-311`.
    pub tag: String,
    /// One for each package with files to compile, sorted by the package's mount path.
    pub batches: Vec<Batch>,
}

/// What is compiled of one package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// 64 hexadecimal digits: equal keys have equal results.
    pub key: String,
    /// The package, as an index into the plan's `sources`.
    pub source: usize,
    /// Where it is visible whole, below `packages`.
    pub mount: TreePath,
    /// The time that its files show.
    pub time: u64,
    /// Its files as the root shows them, sorted, with their sizes.
    pub files: Vec<(TreePath, u64)>,
}

/// What was compiled is not what it should be.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BytecodeError {
    /// A file can't be read.
    #[error("can't read {}", path.display())]
    Read {
        /// The file, on the host.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is no bytecode of its source.
    #[error("the bytecode of /{path} is not as it should be: {reason}")]
    Malformed {
        /// The source file.
        path: TreePath,
        /// What is wrong.
        reason: &'static str,
    },
    /// The bytecode can't be kept.
    #[error("can't keep the bytecode of /{path}")]
    Write {
        /// The source file.
        path: TreePath,
        /// Why.
        #[source]
        source: ContentError,
    },
}

/// What is to be compiled in an image; empty where it has no interpreter.
pub fn work(plan: &InstallPlan) -> Vec<Work> {
    let interpreters = plan.entries.iter().filter_map(|(path, planned)| {
        let minor = std::str::from_utf8(path.as_bytes().strip_prefix(b"usr/bin/python3.")?).ok()?;
        let number = !minor.is_empty() && minor.bytes().all(|b| b.is_ascii_digit());
        let file = matches!(planned.entry.entry, Entry::File { .. }) && planned.source != plan.image;
        (number && file).then_some((path, planned.source, minor))
    });
    let work = interpreters.map(|(path, source, minor)| {
        let tag = format!("cpython-3{minor}");
        let folders = [
            format!("usr/lib/python3.{minor}/"),
            format!("usr/local/lib/python3.{minor}/dist-packages/"),
            "usr/lib/python3/dist-packages/".to_owned(),
        ];
        let batches = plan.packages.iter().filter_map(|package| {
            let files: Vec<(TreePath, u64)> = package
                .expanded
                .entries
                .iter()
                .filter(|(path, _)| wanted(path.as_bytes(), &folders))
                .filter_map(|(path, planned)| match planned.entry.entry {
                    Entry::File { size, .. } if size <= MAX_SOURCE => Some((path.clone(), size)),
                    _ => None,
                })
                .collect();
            let loaded = &plan.sources[package.source];
            let text = format!("larder {COMPOSER} {VERSION} {tag} {} {}", plan.sources[source].digest, loaded.digest);
            let key = ObjectDigest::of(text.as_bytes()).hex();
            let (mount, time) = (package.mount.clone(), loaded.record.time);
            (!files.is_empty()).then_some(Batch { key, source: package.source, mount, time, files })
        });
        let batches = batches.collect();
        Work { interpreter: path.clone(), tag, batches }
    });
    work.filter(|work| !work.batches.is_empty()).collect()
}

fn wanted(path: &[u8], folders: &[String]) -> bool {
    path.ends_with(b".py") && folders.iter().any(|folder| path.starts_with(folder.as_bytes()))
}

impl Work {
    /// The program and its arguments, to be run in the image with [`Work::environment`] alone, without network, from
    /// any folder.
    ///
    /// It reads [`Work::input`] from its standard input, runs up to `jobs` processes, writes below the output folder
    /// that the input names, and exits with 0. A file that is no valid Python is left out; some packages ship such
    /// files on purpose.
    pub fn arguments(&self, jobs: usize) -> Vec<String> {
        let mut arguments = vec![format!("/{}", self.interpreter)];
        // -E would leave PYTHONHASHSEED unread.
        arguments.extend(["-S", "-s", "-B", "-W", "ignore", "-c", PROGRAM].map(str::to_owned));
        arguments.push(jobs.max(1).to_string());
        arguments
    }

    /// The whole environment of the program.
    pub fn environment() -> [(&'static str, &'static str); 2] {
        [("LC_ALL", "C.UTF-8"), ("PYTHONHASHSEED", "0")]
    }

    /// What the program reads: the output folder, then for each batch its key, time and files.
    ///
    /// `root` is the folder in which the program finds `packages/…`: empty in a container. The output of a batch is
    /// in the folder `output/KEY`, its files numbered from 0.
    pub fn input(batches: &[&Batch], root: &str, output: &str) -> Vec<u8> {
        let mut fields: Vec<Vec<u8>> = vec![output.as_bytes().to_vec()];
        for batch in batches {
            fields.extend(
                [&batch.key, &batch.time.to_string(), &batch.files.len().to_string()].map(|f| f.clone().into_bytes()),
            );
            for (path, _) in &batch.files {
                fields.push([root.as_bytes(), b"/", batch.mount.as_bytes(), b"/", path.as_bytes()].concat());
                fields.push([b"/", path.as_bytes()].concat());
            }
        }
        fields.join(&0)
    }
}

/// Reads and checks what the program left of one batch in a folder of the host, and keeps its contents.
///
/// Returns the bytecode by its place, such as `usr/lib/python3.11/__pycache__/abc.cpython-311.pyc`. The folder was
/// written by a program of the image: links in it are refused, and nothing but the numbered files is looked at.
///
/// # Errors
/// A file that is no bytecode of its source, or can't be read or kept.
pub fn collect(
    work: &Work,
    batch: &Batch,
    output: &Path,
    contents: &dyn Contents,
) -> Result<BTreeMap<TreePath, Entry>, BytecodeError> {
    let folder = output.join(&batch.key);
    let failed = |path: &Path, source: std::io::Error| BytecodeError::Read { path: path.to_owned(), source };
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = open(&folder, flags | OFlags::DIRECTORY, Mode::empty()).map_err(|e| failed(&folder, e.into()))?;
    let mut all = BTreeMap::new();
    for (index, (path, size)) in batch.files.iter().enumerate() {
        let name = index.to_string();
        let file = match openat(&directory, &name, flags | OFlags::NONBLOCK, Mode::empty()) {
            Err(rustix::io::Errno::NOENT) => continue,
            opened => File::from(opened.map_err(|e| failed(&folder.join(&name), e.into()))?),
        };
        let malformed = |reason| BytecodeError::Malformed { path: path.clone(), reason };
        let metadata = file.metadata().map_err(|e| failed(&folder.join(&name), e))?;
        if !metadata.is_file() {
            return Err(malformed("it is no regular file"));
        }
        let mut bytes = Vec::new();
        file.take(MAX_BYTECODE + 1).read_to_end(&mut bytes).map_err(|e| failed(&folder.join(&name), e))?;
        check(&bytes, batch.time, *size).map_err(malformed)?;
        let Some(place) = bytecode_path(path, &work.tag) else { continue };
        let digest = contents.write(&bytes).map_err(|source| BytecodeError::Write { path: path.clone(), source })?;
        all.insert(place, Entry::File { digest, size: bytes.len() as u64, executable: false });
    }
    Ok(all)
}

/// PEP 552: magic ended by CR LF, flags 0 (checked by time), time and size of the source modulo 2^32; then a code
/// object.
fn check(bytes: &[u8], time: u64, size: u64) -> Result<(), &'static str> {
    if bytes.len() as u64 > MAX_BYTECODE {
        return Err("it is larger than 64 MiB");
    }
    let Some(header) = bytes.get(..HEADER) else { return Err("it is shorter than its header") };
    let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    if header[2..4] != *b"\r\n" {
        return Err("it has no magic number");
    }
    if word(4) != 0 {
        return Err("it isn't checked by time");
    }
    // Python compares both modulo 2^32 as well.
    if word(8) != time as u32 || word(12) != size as u32 {
        return Err("it is of a source with another time or size");
    }
    let code_object = bytes.get(HEADER).is_some_and(|kind| kind & 0x7f == b'c');
    if code_object { Ok(()) } else { Err("it holds no code") }
}

/// `a/b.py` -> `a/__pycache__/b.TAG.pyc`.
fn bytecode_path(source: &TreePath, tag: &str) -> Option<TreePath> {
    let name = source.file_name().strip_suffix(b".py")?;
    let folder = source.parent().map(|parent| [parent.as_bytes(), b"/"].concat()).unwrap_or_default();
    TreePath::new([&folder, b"__pycache__/".as_slice(), name, b".", tag.as_bytes(), b".pyc"].concat()).ok()
}

/// Where a batch's results go in an image: beside those of the package's files that the image shows, unless the plan
/// has something there. Sorted by path, with the directories that they need.
pub fn place(
    plan: &InstallPlan,
    work: &Work,
    batch: &Batch,
    results: &BTreeMap<TreePath, Entry>,
) -> Vec<ComposedEntry> {
    let shown =
        |path: &TreePath| plan.entries.get(path).is_some_and(|p| p.source == batch.source && p.moved_from.is_none());
    let composed = |path: TreePath, entry: Entry| {
        let (attributes, time) = (Attributes::default(), shown_time(&entry));
        ComposedEntry { path, entry, attributes, composer: COMPOSER, time }
    };
    let mut directories = BTreeSet::new();
    let mut all = Vec::new();
    for path in batch.files.iter().map(|(path, _)| path).filter(|path| shown(path)) {
        let Some(place) = bytecode_path(path, &work.tag) else { continue };
        let Some(entry) = results.get(&place) else { continue };
        if !plan.entries.contains_key(&place) {
            directories.extend(place.parent().filter(|parent| !plan.entries.contains_key(parent)));
            all.push(composed(place, entry.clone()));
        }
    }
    all.extend(directories.into_iter().map(|path| composed(path, Entry::Directory)));
    all.sort_by(|a, b| a.path.cmp(&b.path));
    all
}
