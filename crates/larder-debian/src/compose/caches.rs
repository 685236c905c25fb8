//! The composers `gdk-pixbuf-loaders`, `glib-schemas` and `mime-database`: their pure part.
//!
//! Some libraries read one compiled file in the place of the many that packages bring. Without it they act as if the packages
//! weren't there: `gsettings` knows no schema, gdk-pixbuf no format that a module brings, and a file's type isn't known by its content.
//! On a host triggers would compile it; here the library's own program does, in a container, which this crate can't start. Here
//! is all the rest: what is to be made ([`work`]), what to run, checking what came out ([`Work::collect`]), and where it goes ([`place`]).
//!
//! | composer | reads | program | makes |
//! |---|---|---|---|
//! | `gdk-pixbuf-loaders` | modules in `usr/lib/*/gdk-pixbuf-2.0/2.10.0/loaders` | `gdk-pixbuf-query-loaders` beside them | `loaders.cache` beside their folder |
//! | `glib-schemas` | `usr/share/glib-2.0/schemas/*.xml`, `*.override` | `usr/lib/*/glib-2.0/glib-compile-schemas` | `gschemas.compiled` there |
//! | `mime-database` | `usr/share/mime/packages/*.xml` | `usr/bin/update-mime-database` | all else in `usr/share/mime` |
//!
//! An image that has the files but not the program has no library that reads them either, and gets nothing.
//!
//! A result is kept under a key of all imported packages, and of the image's own files where any lies in `/etc` or `/usr`: these are what
//! the program, its libraries and the loader read, so nobody's own library can write what another image then gets.
//!
//! Absent on purpose: what only saves time on first use (fontconfig's caches, icon caches, GIO's list of modules).

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::ops::Bound;
use std::path::{Path, PathBuf};

use larder_store::plan::{InstallPlan, Planned};
use larder_store::tree::Attributes;
use larder_store::{Entry, ObjectDigest, TreePath};
use rustix::fs::{Mode, OFlags, open};
use thiserror::Error;

use super::{ComposedEntry, ContentError, Contents, shown_time};

/// A made file larger than this is refused.
const MAX_MADE: u64 = 64 << 20;
/// More made files than this are refused.
const MOST_MADE: usize = 20_000;

const SCHEMAS: &str = "usr/share/glib-2.0/schemas";
const MIME: &str = "usr/share/mime";
const LOADERS: &str = "gdk-pixbuf-2.0/2.10.0";

/// What one composer has to do in an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// The composer's name in an image's record.
    pub composer: &'static str,
    /// What it makes, for people.
    pub what: &'static str,
    /// The program and its arguments. It reads nothing from its standard input, writes below the output folder, and exits with 0.
    pub arguments: Vec<String>,
    /// Its whole environment.
    pub environment: Vec<String>,
    /// What must lie in the output folder before it starts: paths there, and contents.
    pub needs: Vec<(String, ObjectDigest)>,
    /// 64 hexadecimal digits: equal keys have equal results.
    pub key: String,
    /// The folder of the root in which the results stand.
    folder: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Loaders,
    Schemas,
    Mime,
}

/// What a program made is not what it should be.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CacheError {
    /// A file can't be read.
    #[error("can't read {}", path.display())]
    Read {
        /// The file, on the host.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The program made something else, or nothing.
    #[error("the {what} that /{program} made are not as they should be: {reason}")]
    Malformed {
        /// What it was to make.
        what: &'static str,
        /// The program.
        program: String,
        /// What is wrong.
        reason: String,
    },
    /// The result can't be kept.
    #[error("can't keep the {what}")]
    Write {
        /// What was made.
        what: &'static str,
        /// Why.
        #[source]
        source: ContentError,
    },
}

/// What is to be made in an image, by the pinned composers alone. `output` is where the program finds its output folder.
pub fn work(plan: &InstallPlan, versions: &BTreeMap<String, u64>, output: &str) -> Vec<Work> {
    let all = [loaders(plan, output), schemas(plan, output), mime(plan, output)];
    let mut all: Vec<Work> = all.into_iter().flatten().collect();
    all.retain(|work| versions.get(work.composer) == Some(&1));
    for work in &mut all {
        work.key = key(plan, work);
    }
    all
}

fn loaders(plan: &InstallPlan, output: &str) -> Option<Work> {
    let program = find(plan, "usr/lib/", "/gdk-pixbuf-2.0/gdk-pixbuf-query-loaders")?;
    let library = program.strip_suffix("/gdk-pixbuf-2.0/gdk-pixbuf-query-loaders")?;
    let modules = files(plan, &format!("{library}/{LOADERS}/loaders"), &[".so"]);
    // Named one by one, so that the order of a directory means nothing.
    let mut arguments = vec![format!("/{program}"), "--update-cache".to_owned()];
    arguments.extend(modules.iter().map(|(path, _)| format!("/{path}")));
    let work = Work {
        composer: "gdk-pixbuf-loaders",
        what: "list of gdk-pixbuf's loaders",
        arguments,
        environment: vec![format!("GDK_PIXBUF_MODULE_FILE={output}/loaders.cache"), "LC_ALL=C.UTF-8".to_owned()],
        needs: Vec::new(),
        key: String::new(),
        folder: format!("{library}/{LOADERS}"),
        kind: Kind::Loaders,
    };
    (!modules.is_empty()).then_some(work)
}

fn schemas(plan: &InstallPlan, output: &str) -> Option<Work> {
    let program = find(plan, "usr/lib/", "/glib-2.0/glib-compile-schemas")?;
    let work = Work {
        composer: "glib-schemas",
        what: "compiled schemas of GSettings",
        arguments: vec![format!("/{program}"), format!("--targetdir={output}"), format!("/{SCHEMAS}")],
        environment: vec!["LC_ALL=C.UTF-8".to_owned()],
        needs: Vec::new(),
        key: String::new(),
        folder: SCHEMAS.to_owned(),
        kind: Kind::Schemas,
    };
    (!files(plan, SCHEMAS, &[".gschema.xml"]).is_empty()).then_some(work)
}

fn mime(plan: &InstallPlan, output: &str) -> Option<Work> {
    let program = find(plan, "usr/bin/update-mime-database", "")?;
    let sources = files(plan, &format!("{MIME}/packages"), &[".xml"]);
    let needs = sources.iter().filter_map(|(path, digest)| {
        let name = path.rsplit('/').next()?;
        Some((format!("packages/{name}"), *digest))
    });
    let work = Work {
        composer: "mime-database",
        what: "database of file types",
        arguments: vec![format!("/{program}"), output.to_owned()],
        // It would wait for the disk after each of a thousand files.
        environment: vec!["LC_ALL=C.UTF-8".to_owned(), "PKGSYSTEM_ENABLE_FSYNC=0".to_owned()],
        needs: needs.collect(),
        key: String::new(),
        folder: MIME.to_owned(),
        kind: Kind::Mime,
    };
    (!sources.is_empty()).then_some(work)
}

/// What stands at the paths that begin with these bytes, sorted.
fn beginning_with<'a>(plan: &'a InstallPlan, bytes: &'a str) -> impl Iterator<Item = (&'a TreePath, &'a Planned)> {
    let all = plan.entries.range::<[u8], _>((Bound::Included(bytes.as_bytes()), Bound::Unbounded));
    all.take_while(|(path, _)| path.as_bytes().starts_with(bytes.as_bytes()))
}

/// The first path with this beginning and end at which a regular file stands.
fn find(plan: &InstallPlan, beginning: &str, end: &str) -> Option<String> {
    let (path, _) = beginning_with(plan, beginning).find(|(path, planned)| {
        path.as_bytes().ends_with(end.as_bytes())
            && (end.is_empty() == (path.as_bytes() == beginning.as_bytes()))
            && matches!(planned.entry.entry, Entry::File { .. })
    })?;
    String::from_utf8(path.as_bytes().to_vec()).ok()
}

/// The regular files in a folder whose names end in one of these, sorted.
fn files(plan: &InstallPlan, folder: &str, ends: &[&str]) -> Vec<(String, ObjectDigest)> {
    let beginning = format!("{folder}/");
    let named = beginning_with(plan, &beginning).filter_map(|(path, planned)| {
        let path = std::str::from_utf8(path.as_bytes()).ok()?;
        let wanted = ends.iter().any(|end| path.ends_with(end)) && !path[beginning.len()..].contains('/');
        match planned.entry.entry {
            Entry::File { digest, .. } if wanted => Some((path.to_owned(), digest)),
            _ => None,
        }
    });
    named.collect()
}

fn key(plan: &InstallPlan, work: &Work) -> String {
    let mut text = format!("larder {} 1\n", work.composer);
    for word in work.arguments.iter().chain(&work.environment) {
        text.push_str(&format!("{word}\n"));
    }
    let imports: BTreeSet<String> = plan.packages.iter().map(|p| plan.sources[p.source].digest.to_string()).collect();
    imports.iter().for_each(|digest| text.push_str(&format!("{digest}\n")));
    let own = &plan.sources[plan.image].tree;
    let is_read = |path: &TreePath| {
        let path = path.as_bytes();
        !(path.starts_with(b"opt/") || path.starts_with(b"srv/") || path.starts_with(b"var/"))
    };
    if own.entries().iter().any(|entry| entry.entry != Entry::Directory && is_read(&entry.path)) {
        text.push_str(&own.digest().to_string());
    }
    ObjectDigest::of(text.as_bytes()).hex()
}

impl Work {
    fn malformed(&self, reason: impl Into<String>) -> CacheError {
        let program = self.arguments.first().map_or("", |path| path.trim_start_matches('/')).to_owned();
        CacheError::Malformed { what: self.what, program, reason: reason.into() }
    }

    /// Reads and checks what the program left in a folder of the host, and keeps its contents. The result is by place in the root.
    ///
    /// The folder was written by a program of the image: links in it are refused.
    ///
    /// # Errors
    /// Something that isn't what was to be made, or can't be read or kept.
    pub fn collect(&self, output: &Path, contents: &dyn Contents) -> Result<BTreeMap<TreePath, Entry>, CacheError> {
        let mut all = BTreeMap::new();
        for name in self.made(output)? {
            let bytes = self.read(&output.join(&name))?;
            self.check(&name, &bytes)?;
            let place = TreePath::new(format!("{}/{name}", self.folder)).map_err(|e| self.malformed(e.to_string()))?;
            let digest = contents.write(&bytes).map_err(|source| CacheError::Write { what: self.what, source })?;
            all.insert(place, Entry::File { digest, size: bytes.len() as u64, executable: false });
        }
        Ok(all)
    }

    /// The names of the files that were to be made, in the output folder.
    fn made(&self, output: &Path) -> Result<Vec<String>, CacheError> {
        match self.kind {
            Kind::Loaders => return Ok(vec!["loaders.cache".to_owned()]),
            Kind::Schemas => return Ok(vec!["gschemas.compiled".to_owned()]),
            Kind::Mime => {}
        }
        let mut names = Vec::new();
        for (name, is_folder) in self.list(output)? {
            if is_folder && name != "packages" {
                let inside = self.list(&output.join(&name))?.into_iter().filter(|(_, is_folder)| !is_folder);
                names.extend(inside.map(|(file, _)| format!("{name}/{file}")));
            } else if !is_folder {
                names.push(name);
            }
            if names.len() > MOST_MADE {
                return Err(self.malformed("they are too many"));
            }
        }
        if !names.iter().any(|name| name == "mime.cache") {
            return Err(self.malformed("there is no mime.cache"));
        }
        names.sort_unstable();
        Ok(names)
    }

    /// The names in a folder that is no link, each with whether it's a folder.
    fn list(&self, folder: &Path) -> Result<Vec<(String, bool)>, CacheError> {
        let failed = |source: io::Error| CacheError::Read { path: folder.to_owned(), source };
        if !folder.symlink_metadata().map_err(failed)?.is_dir() {
            return Err(self.malformed(format!("{} is no folder", folder.display())));
        }
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().into_string().map_err(|_| self.malformed("a name is not UTF-8"))?;
            names.push((name, entry.file_type().map_err(failed)?.is_dir()));
        }
        Ok(names)
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, CacheError> {
        let failed = |source: io::Error| CacheError::Read { path: path.to_owned(), source };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(open(path, flags, Mode::empty()).map_err(|e| failed(e.into()))?);
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(self.malformed(format!("{} is no regular file", path.display())));
        }
        let mut bytes = Vec::new();
        file.take(MAX_MADE + 1).read_to_end(&mut bytes).map_err(failed)?;
        match bytes.len() as u64 {
            0..=MAX_MADE => Ok(bytes),
            _ => Err(self.malformed("they are larger than 64 MiB")),
        }
    }

    /// Each format by how it begins.
    fn check(&self, name: &str, bytes: &[u8]) -> Result<(), CacheError> {
        let good = match (self.kind, name) {
            (Kind::Loaders, _) => bytes.starts_with(b"# GdkPixbuf Image Loader Modules file"),
            (Kind::Schemas, _) => bytes.starts_with(b"GVariant"),
            // Major and minor version, big-endian.
            (Kind::Mime, "mime.cache") => bytes.starts_with(&[0, 1, 0]),
            (Kind::Mime, _) => true,
        };
        if good { Ok(()) } else { Err(self.malformed(format!("{name} begins otherwise"))) }
    }
}

/// Where results go in an image: at their places, unless the plan has something there. Sorted by path, with the directories that they need.
pub fn place(plan: &InstallPlan, work: &Work, results: &BTreeMap<TreePath, Entry>) -> Vec<ComposedEntry> {
    let composed = |path: TreePath, entry: Entry| {
        let (attributes, time) = (Attributes::default(), shown_time(&entry));
        ComposedEntry { path, entry, attributes, composer: work.composer, time }
    };
    let mut directories = BTreeSet::new();
    let mut all = Vec::new();
    for (path, entry) in results.iter().filter(|(path, _)| !plan.entries.contains_key(*path)) {
        directories.extend(path.ancestors().filter(|above| !plan.entries.contains_key(above)));
        all.push(composed(path.clone(), entry.clone()));
    }
    all.extend(directories.into_iter().map(|path| composed(path, Entry::Directory)));
    all.sort_by(|a, b| a.path.cmp(&b.path));
    all
}
