//! `larder debian capture`, and `captured` of an image: what a package's maintainer scripts leave, as the FileSet that stands in the place of
//! its declarations.
//!
//! What was captured of the same inputs before is taken from the store. Under the digest of all inputs stand a ref `capture-1/<digest>`,
//! which keeps nothing, and in `cache/captures` what is told about it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use larder_debian::ArchiveFile;
use larder_debian::capture::RULE;
use larder_debian::progress::Progress;
use larder_solver::{Base, Root};
use larder_store::fileset::{FilesMetadata, InstallRules, Override, ScriptTier};
use larder_store::json::Value;
use larder_store::refs::{RefEntry, RefKind};
use larder_store::{FileSet, FileSetDigest, Metadata, Name, ObjectDigest, Store, Tree, TreeBuilder};

use super::closure::{self, Among};
use super::error::CaptureError;
use super::scripts::{self, Files, Scripts};
use super::{Row, Taken, Work, report};
use crate::image::{self, PackageImport};
use crate::lock::{Lock, LockedCapture, LockedOrigin};
use crate::package::Phase;
use crate::package::log;
use crate::package::sandbox::{Job, Sandbox};
use crate::provenance::{self, BuildFacts, BuildKind, Dependency, Subject};
use crate::recipe::{CommandLine, Recipe};
use crate::selection::{self, Built, LockUse, Selection};
use crate::supply::{self, Supplied};
use crate::{Error, Host, Result, compose, solve};

/// How long scripts may take. The slowest of Debian's that were seen take a minute.
const TIMEOUT: Duration = Duration::from_secs(600);
/// Where what is told about captures is, in the store.
const FOLDER: &str = "cache/captures";
/// Where a package can have nothing, or has nothing but leftovers.
const MOUNTED: [&[u8]; 5] = [b"dev", b"packages", b"proc", b"sys", b"tmp"];
/// How many refusals a record holds.
const MOST_REFUSED: usize = 200;

/// What was captured of a package's scripts.
#[derive(Debug, Clone)]
pub struct Captured {
    /// The package.
    pub package: Name,
    /// Its version.
    pub version: String,
    /// The FileSet that stands in the place of its declarations.
    pub fileset: FileSetDigest,
    /// How many files and links it has.
    pub files: usize,
    /// Their contents, in bytes.
    pub bytes: u64,
    /// What became of each path.
    pub rows: Vec<Row>,
    /// Whether it was there already.
    pub cached: bool,
}

/// What is asked for.
pub(crate) struct Request<'a> {
    /// The package, among those of the image.
    pub(crate) package: &'a Supplied,
    /// All packages of the image.
    pub(crate) supplied: &'a [Supplied],
    /// The lock that says where they are in the archive.
    pub(crate) lock: &'a Lock,
    /// What the image has besides what it asks for.
    pub(crate) base: Base,
    /// What stands in for what.
    pub(crate) overrides: &'a [Override],
}

/// Captures what the scripts of a package of a distribution leave.
///
/// # Errors
/// No such package; what keeps it from being solved or fetched; [`CaptureError`]; scripts that fail.
pub fn of_name(host: &Host, from: &Name, root: &Root, progress: &dyn Progress) -> Result<Captured> {
    let _lease = host.store.lease()?;
    let recipe = Recipe::of_packages(from.clone(), vec![root.clone()])?;
    let Selection { lock, supplied, .. } =
        selection::select(host, &recipe, (&Built::default(), None), &LockUse::default(), progress)?;
    let package = find(&supplied, &root.name)?;
    let request = Request { package, supplied: &supplied, lock: &lock, base: Base::Essential, overrides: &[] };
    capture(host, &request, progress)
}

/// The package of an image that a short or full name means.
fn find<'a>(supplied: &'a [Supplied], name: &str) -> Result<&'a Supplied> {
    let is_it = |one: &&Supplied| one.import.name.as_str() == name || one.import.name.short() == name;
    let debians = |one: &&Supplied| one.import.name.domain() == larder_debian::convert::DOMAIN;
    let found: Vec<&Supplied> = supplied.iter().filter(is_it).collect();
    match (found.iter().copied().find(debians), found.first()) {
        (Some(found), _) => Ok(found),
        (None, Some(own)) => Err(CaptureError::NotDebians { package: own.import.name.clone() }.into()),
        (None, None) => {
            let names = supplied.iter().map(|one| one.import.name.short());
            let nearest = larder_solver::nearest_names(name, names);
            Err(CaptureError::NotInImage { name: name.to_owned(), nearest }.into())
        }
    }
}

/// What an image wants to be captured.
pub(crate) struct Wanted<'a> {
    /// The packages, by short or full names.
    pub(crate) names: &'a [String],
    /// What the image has besides what it asks for.
    pub(crate) base: Base,
    /// What stands in for what.
    pub(crate) overrides: &'a [Override],
}

/// Captures what an image wants, and puts it in the place of the packages' declarations.
///
/// # Errors
/// A name that isn't among the packages; what [`capture`] fails with; another capture than the lock has.
pub(crate) fn apply(
    host: &Host,
    wanted: &Wanted<'_>,
    (lock, supplied): (&mut Lock, &mut [Supplied]),
    progress: &dyn Progress,
) -> Result<()> {
    let mut found: BTreeMap<Name, (PackageImport, LockedCapture)> = BTreeMap::new();
    for name in wanted.names {
        let package = find(supplied, name)?;
        let locked = package.locked.captured.as_ref();
        let kept = locked.filter(|locked| is_here(&host.store, locked));
        let capture = match kept {
            Some(locked) => locked.clone(),
            None => {
                let request = Request { package, supplied, lock, base: wanted.base, overrides: wanted.overrides };
                let captured = capture(host, &request, progress)?;
                let found = LockedCapture::of(&host.store, &captured.fileset)?;
                if let Some(locked) = locked.filter(|locked| locked.fileset != found.fileset) {
                    return Err(CaptureError::Differs {
                        package: captured.package,
                        locked: locked.fileset,
                        found: found.fileset,
                        differs: locked.difference(&found),
                    }
                    .into());
                }
                found
            }
        };
        let record = host.store.fileset(&capture.fileset)?;
        let declarations = Some((record.name, record.version, capture.fileset));
        found.insert(package.import.name.clone(), (PackageImport { declarations, ..package.import.clone() }, capture));
    }
    for one in &mut *supplied {
        one.locked.captured = None;
        if let Some((import, capture)) = found.remove(&one.import.name) {
            one.import = import;
            one.locked.captured = Some(capture);
        }
    }
    lock.packages = supplied.iter().map(|one| (one.import.name.clone(), one.locked.clone())).collect();
    Ok(())
}

fn is_here(store: &Store, locked: &LockedCapture) -> bool {
    store.has_fileset(&locked.fileset)
        && store.fileset(&locked.fileset).is_ok_and(|record| store.has_tree(&record.tree))
}

/// Captures what the scripts of a package leave, or takes what was captured before.
///
/// # Errors
/// [`CaptureError`]; scripts that fail, hang or fill the disk; an archive or store that can't be used.
pub(crate) fn capture(host: &Host, request: &Request<'_>, progress: &dyn Progress) -> Result<Captured> {
    let begun = Instant::now();
    let import = &request.package.import;
    let LockedOrigin::Archive(archive) = &request.package.locked.origin else {
        return Err(CaptureError::NotDebians { package: import.name.clone() }.into());
    };
    let packages: Vec<PackageImport> = request.supplied.iter().map(|one| one.import.clone()).collect();
    let among = Among { packages: &packages, base: request.base, overrides: request.overrides };
    let asked = [Root::any(solve::solver_name(&import.name))];
    let mut seen = closure::closure(host, &asked, among, &format!("{}@{}", import.name, import.version))?;
    let key = key(host, import, &archive.sha256.hex(), &seen);
    if let Some(captured) = kept(host, import, &key)? {
        return Ok(captured);
    }
    super::check_caller(&import.name)?;
    let Some(distribution) = &request.lock.distribution else {
        return Err(CaptureError::NotDebians { package: import.name.clone() }.into());
    };
    let mut files = vec![supply::archive_file(request.lock, &import.name, &request.package.locked, archive)];
    files.extend(asking(host, request, &seen)?);
    solve::locate(host, &distribution.name, &mut files)?;
    let scripts = Scripts::fetch(host, &Files { package: &files[0], asking: &files[1..] }, progress)?;
    if scripts.is_empty() {
        let (package, version) = (import.name.clone(), import.version.clone());
        return Err(CaptureError::NoScripts { package, version }.into());
    }
    // Scripts are to do what they do on a machine that has never seen the package: what would be declared isn't there.
    for other in seen.iter_mut().filter(|other| other.name == import.name) {
        other.declarations = None;
    }
    let ingest = host.store.begin()?;
    let files = scripts.lay_out(&ingest)?;
    let _laid_out = ingest.commit_leased()?;
    let roots = [Root::any(import.name.short())];
    let metadata = image::bare_metadata(&distribution.name, request.base, &roots);
    let sandbox = Sandbox::with(host, (&seen, &files), metadata, progress)?;
    let dpkg = seen.iter().find(|one| one.name.short() == "dpkg").map(|one| one.version.as_str());
    let command = CommandLine::Shell(scripts.command());
    let job = Job {
        package: format!("{}@{}", import.name, import.version),
        phase: Phase::Configure,
        command: &command,
        env: scripts.environment(dpkg),
        timeout: TIMEOUT,
        log: log::path(host, &import.name, log::Of::Script),
    };
    let task = progress.start(&format!("configure {}@{} in a sandbox", import.name, import.version), None);
    let ingest = host.store.begin()?;
    let work =
        Work { sandbox: &sandbox, package: &import.name, shown_as: format!("{}@{}", import.name, import.version), job };
    let taken = super::take(host, &ingest, &work, progress);
    progress.finish(task);
    let taken = taken?;
    for content in scripts.declared().contents() {
        ingest.write_bytes(content)?;
    }
    let (record, tree) = fileset(host, import, &scripts, &taken)?;
    ingest.write_tree(&tree)?;
    let fileset = ingest.write_fileset(&record)?;
    let facts = facts(host, &record, request, (&sandbox, &key), begun);
    provenance::record(host, &ingest, &facts)?;
    let _lease = ingest.commit_leased()?;
    let text = report::encode(&taken.rows);
    keep(host, &key, &record, &text)?;
    Ok(told(import, fileset, &tree, taken.rows, false))
}

/// The files of the other packages that may ask questions through debconf.
fn asking(host: &Host, request: &Request<'_>, seen: &[PackageImport]) -> Result<Vec<ArchiveFile>> {
    let mut files = Vec::new();
    for import in seen.iter().filter(|import| import.name != request.package.import.name) {
        let supplied = request.supplied.iter().find(|one| one.import.name == import.name);
        let Some(Supplied { locked, .. }) = supplied else { continue };
        if let LockedOrigin::Archive(archive) = &locked.origin
            && scripts::asks(&host.store.fileset(&import.package)?)
        {
            files.push(supply::archive_file(request.lock, &import.name, locked, archive));
        }
    }
    Ok(files)
}

/// The digest of all inputs, as the key of refs.
fn key(host: &Host, package: &PackageImport, deb: &str, seen: &[PackageImport]) -> String {
    let mut text = format!("{RULE}\n{}\n{}\n", env!("CARGO_PKG_VERSION"), host.debian.architecture);
    let _ = writeln!(text, "{} sha256:{deb}", package.name);
    for PackageImport { name, package, declarations, .. } in seen {
        let declarations = declarations.as_ref().map(|(_, _, digest)| digest.to_string()).unwrap_or_default();
        let _ = writeln!(text, "{name} {package} {declarations}");
    }
    format!("{}/{}", RULE.replace('/', "-"), ObjectDigest::of(text.as_bytes()).hex())
}

fn told_file(store: &Store, key: &str) -> PathBuf {
    store.root().join(FOLDER).join(key.rsplit('/').next().unwrap_or(key))
}

/// What was captured of the same inputs, if all of it is there.
fn kept(host: &Host, package: &PackageImport, key: &str) -> Result<Option<Captured>> {
    let found = host.store.refs().get(RefKind::Conversion, key)?.map(|found| found.current_entry().fileset);
    let Some(digest) = found.filter(|digest| host.store.has_fileset(digest)) else { return Ok(None) };
    let told_of = compose::read_sealed(&told_file(&host.store, key)).and_then(|text| report::decode(&text));
    let Some(rows) = told_of else { return Ok(None) };
    let record = host.store.fileset(&digest)?;
    let tree = host.store.tree(&record.tree)?;
    Ok(Some(told(package, digest, &tree, rows, true)))
}

fn keep(host: &Host, key: &str, record: &FileSet, text: &str) -> Result<()> {
    let folder = host.store.root().join(FOLDER);
    fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
    compose::write_sealed(&told_file(&host.store, key), text)?;
    let (version, fileset, action) = (record.version.clone(), record.digest(), "capture".to_owned());
    host.store.refs().set(RefKind::Conversion, key, RefEntry { version, fileset, at: host.now, action })?;
    Ok(())
}

fn told(package: &PackageImport, fileset: FileSetDigest, tree: &Tree, rows: Vec<Row>, cached: bool) -> Captured {
    let files = tree.entries().iter().filter(|entry| entry.entry != larder_store::Entry::Directory).count();
    let (package, version) = (package.name.clone(), package.version.clone());
    Captured { package, version, fileset, files, bytes: tree.content_bytes(), rows, cached }
}

/// The FileSet: what is declared, over it what was captured.
fn fileset(host: &Host, package: &PackageImport, scripts: &Scripts, taken: &Taken) -> Result<(FileSet, Tree)> {
    let no_fileset = |problem: String| Error::from(CaptureError::NoFileSet { package: package.name.clone(), problem });
    let declared = scripts.declared();
    let mut tree = TreeBuilder::new();
    let ours: BTreeSet<_> = taken.tree.entries().iter().map(|entry| &entry.path).collect();
    let blocked = |path: &larder_store::TreePath| {
        path.ancestors().any(|above| {
            taken.tree.get(above.as_bytes()).is_some_and(|found| found.entry != larder_store::Entry::Directory)
        })
    };
    let is_plain = |entry: &larder_store::TreeEntry| {
        entry.entry == larder_store::Entry::Directory && entry.attributes.is_default()
    };
    // What a script seems to make where the kernel or Larder mounts something, running it has shown to be nothing.
    let is_mounted = |path: &larder_store::TreePath| MOUNTED.iter().any(|top| path.is_below(top));
    let declared_entries = declared.tree.entries().iter().filter(|entry| {
        !blocked(&entry.path)
            && !is_mounted(&entry.path)
            && (!ours.contains(&entry.path) || taken.tree.get(entry.path.as_bytes()).is_some_and(is_plain))
    });
    for entry in declared_entries {
        let inserted = tree.insert(entry.path.clone(), entry.entry.clone(), entry.attributes.clone());
        inserted.map_err(|error| no_fileset(error.to_string()))?;
    }
    for entry in taken.tree.entries() {
        if tree.get(entry.path.as_bytes()).is_none() {
            let inserted = tree.insert(entry.path.clone(), entry.entry.clone(), entry.attributes.clone());
            inserted.map_err(|error| no_fileset(error.to_string()))?;
        }
    }
    let tree = tree.finish().map_err(|error| no_fileset(error.to_string()))?;
    let package_record = host.store.fileset(&package.package)?;
    let number = RULE.rsplit('/').next().unwrap_or(RULE);
    let record = FileSet {
        name: Name::parse(&format!("{}/declarations", package.name))?,
        version: format!("{}+captured{number}", package.version),
        architecture: host.debian.architecture.clone(),
        time: package_record.time,
        tree: tree.digest(),
        imports: Vec::new(),
        metadata: Metadata::Files(FilesMetadata { install: rules(declared.record.install(), taken) }),
    };
    // The rules are the record's to judge: names, numbers, fields.
    FileSet::decode(&record.encode()).map_err(|error| no_fileset(error.to_string()))?;
    Ok((record, tree))
}

/// What is declared and what was seen; of two rules about one thing the declared one, which knows more.
fn rules(declared: Option<&InstallRules>, taken: &Taken) -> InstallRules {
    let debians = format!("{}/", larder_debian::convert::DOMAIN);
    let short = |name: &String| name.strip_prefix(&debians).unwrap_or(name).to_owned();
    let seen = InstallRules { replaces_files_of: taken.replaces.iter().map(short).collect(), ..taken.rules.clone() };
    let script = ScriptTier::Captured(bounded(&taken.refused));
    InstallRules { script, ..joined(declared.cloned().unwrap_or_default(), &seen) }
}

/// Rules with more rules about other things.
pub(crate) fn joined(mut rules: InstallRules, more: &InstallRules) -> InstallRules {
    fn join<T: Clone, K: Ord>(into: &mut Vec<T>, from: &[T], key: impl Fn(&T) -> K) {
        let known: BTreeSet<K> = into.iter().map(&key).collect();
        into.extend(from.iter().filter(|rule| !known.contains(&key(rule))).cloned());
        into.sort_by_key(key);
    }
    join(&mut rules.users, &more.users, |rule| rule.name.clone());
    join(&mut rules.groups, &more.groups, |rule| rule.name.clone());
    join(&mut rules.alternatives, &more.alternatives, |rule| (rule.name.clone(), rule.path.clone()));
    join(&mut rules.diversions, &more.diversions, |rule| rule.path.clone());
    join(&mut rules.shells, &more.shells, String::clone);
    join(&mut rules.replaces_files_of, &more.replaces_files_of, String::clone);
    rules
}

/// As many refusals as a record may have.
pub(crate) fn bounded(refused: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = refused.iter().take(MOST_REFUSED).cloned().collect();
    if refused.len() > MOST_REFUSED {
        lines.push("… and more".to_owned());
    }
    lines.sort();
    lines
}

/// Everything that is known about a capture: every FileSet of the sandbox and the `.deb` that the scripts are from.
fn facts(
    host: &Host,
    record: &FileSet,
    request: &Request<'_>,
    (sandbox, key): (&Sandbox, &str),
    begun: Instant,
) -> BuildFacts {
    let (name, version, fileset) = (record.name.clone(), record.version.clone(), record.digest());
    let mounted = sandbox.mounted().iter().map(|import| {
        let (name, version, fileset) = (import.name.clone(), import.version.clone(), import.fileset);
        Dependency::FileSet(Subject { name, version, fileset })
    });
    let mut dependencies: Vec<Dependency> = mounted.collect();
    if let LockedOrigin::Archive(archive) = &request.package.locked.origin {
        let digests = BTreeMap::from([("sha256".to_owned(), archive.sha256.hex())]);
        dependencies.push(Dependency::Source { uri: archive.path.clone(), digests });
    }
    let text = |text: &str| Value::String(text.to_owned());
    let parameters = BTreeMap::from([
        ("architecture".to_owned(), text(&host.debian.architecture)),
        ("inputs".to_owned(), text(&format!("blake3:{}", key.rsplit('/').next().unwrap_or_default()))),
        ("package".to_owned(), text(request.package.import.name.as_str())),
        ("rule".to_owned(), text(RULE)),
        ("version".to_owned(), text(&request.package.import.version)),
    ]);
    BuildFacts {
        kind: BuildKind::Capture,
        subjects: vec![Subject { name, version, fileset }],
        parameters,
        dependencies,
        started: host.now,
        finished: host.now + begun.elapsed().as_secs(),
    }
}

/// Removes what is told of captures that the store doesn't have any more.
///
/// # Errors
/// A file that can't be removed.
pub(crate) fn sweep(store: &Store) -> Result<()> {
    for entry in fs::read_dir(store.root().join(FOLDER)).into_iter().flatten().flatten() {
        let key = format!("{}/{}", RULE.replace('/', "-"), entry.file_name().to_string_lossy());
        let found = store.refs().get(RefKind::Conversion, &key).ok().flatten();
        if !found.is_some_and(|found| store.has_fileset(&found.current_entry().fileset)) {
            fs::remove_file(entry.path()).map_err(Error::io("remove", &entry.path()))?;
        }
    }
    Ok(())
}
