//! `larder build`: from a recipe to an image.
//!
//! solve -> lock -> fetch -> verify -> convert -> assemble. A lock that matches the recipe is used as it is, so a second
//! build needs neither solver nor network. The lock is written only when everything else has succeeded. Where what an earlier
//! build found out still holds ([`kept`](crate::kept)), nothing is planned, composed or verified again.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use larder_debian::distribution::ArchiveFile;
use larder_debian::progress::Progress;
use larder_solver::Update;
use larder_store::fileset::ScriptTier;
use larder_store::refs::{RefEntry, RefKind};
use larder_store::{FileSet, FileSetDigest, Ingest, Name, Reference, Selector, Tree, TreeDigest};

pub use crate::assemble::OverrideLine;
use crate::assemble::{self, Assembled, Draft};
use crate::compose::{self, Composition};
use crate::image;
use crate::images::{self, Found};
use crate::kept::{self, Asked, Earlier, Kept};
use crate::lock::{Change, Lock, LockedDeclarations, LockedDistribution, LockedOrigin, LockedPackage, LockedSuite};
use crate::obtain::{self, Obtained};
use crate::provenance::{self, BuildFacts, Dependency, Signer};
use crate::recipe::Recipe;
use crate::solve::{self, Wanted};
use crate::verify::Finding;
use crate::{Error, Host, Result};

/// How to build.
#[derive(Debug, Clone, Default)]
pub struct BuildOptions {
    /// Use the lock as it is, and fail if there is none or it doesn't match the recipe.
    pub locked: bool,
    /// Which locked packages may move to newer versions.
    pub update: Update,
}

/// What a build did.
#[derive(Debug)]
pub struct BuildReport {
    /// The image's name.
    pub name: Name,
    /// Its version.
    pub version: String,
    /// Its identity.
    pub digest: FileSetDigest,
    /// Who signed how it was made; nobody where that is empty.
    pub signed: Vec<Signer>,
    /// Whether the name stood for something else, or nothing, before.
    pub changed: bool,
    /// Its packages, sorted by name.
    pub packages: Vec<BuiltPackage>,
    /// What became of the packages since the lock was last written.
    pub changes: Vec<(Name, Change)>,
    /// How many packages were fetched.
    pub fetched: usize,
    /// How many bytes that were.
    pub fetched_bytes: u64,
    /// Where the image's own files, or a declared replacement, took a package's place.
    pub overridden: Vec<OverrideLine>,
    /// What verification found that does not fail a build.
    pub findings: Vec<Finding>,
}

/// A package of a built image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltPackage {
    /// Its name.
    pub name: Name,
    /// Its version.
    pub version: String,
    /// Its identity.
    pub digest: FileSetDigest,
    /// What became of its maintainer scripts.
    pub tier: ScriptTier,
}

impl BuiltPackage {
    /// The tier as a word.
    pub fn tier_word(&self) -> &'static str {
        crate::contents::tier_word(&self.tier)
    }

    /// What its scripts do that is left out.
    pub fn skipped(&self) -> &[String] {
        match &self.tier {
            ScriptTier::Skipped(reasons) => reasons,
            ScriptTier::None | ScriptTier::Declared | ScriptTier::Captured(_) => &[],
        }
    }
}

/// Builds the recipe at `path` (its folder, or the file itself).
///
/// # Errors
/// A recipe or lock that can't be used, no answer of the solver, an archive that can't be read or trusted, a package that
/// can't be converted, files that clash, and whatever verification refuses. The store keeps what was finished; the
/// image's name and the lock are as before.
pub fn build(host: &Host, path: &Path, options: &BuildOptions, progress: &dyn Progress) -> Result<BuildReport> {
    let begun = Instant::now();
    let recipe = Recipe::load(path)?;
    let lock_file = recipe.lock_file();
    let text = Lock::read(&lock_file)?;
    let _lease = host.store.lease()?;
    let earlier = Earlier::find(host, &recipe.name)?;
    // First of all, so that a file that isn't there is said before anything is fetched.
    let ingest = host.store.begin()?;
    let (tree, tree_digest) = own_tree(&recipe, &ingest, earlier.as_ref())?;
    if let (Some(earlier), Some(lock), Update::None) = (&earlier, &text, &options.update)
        && let Some(record) = earlier.again(host, Asked { recipe: &recipe, lock }, &tree, tree_digest)
    {
        let facts = assemble::facts(host, &record, vec![source(&recipe)], begun);
        return rebuild(host, earlier, (record, &facts), ingest);
    }
    ingest.commit()?;
    let old = text.as_deref().map(|text| Lock::parse(&lock_file, text)).transpose()?;
    let (lock, obtained) = packages(host, &recipe, old.as_ref(), options, progress)?;

    let imports: Vec<_> = obtained.iter().map(|o| o.import.clone()).collect();
    let draft = Draft {
        name: &recipe.name,
        version: &recipe.version,
        architecture: &lock.architecture,
        tree: tree_digest,
        imports: &imports,
        metadata: image::metadata(&recipe),
        action: if options.update == Update::None { "build" } else { "update" },
        sources: vec![source(&recipe)],
        begun,
    };
    let assembled = assemble::assemble(host, draft, progress)?;
    let locked = lock.to_text();
    if !options.locked {
        lock.save(&lock_file)?;
    }
    let is_saved = !options.locked || text.as_ref() == Some(&locked);
    let empty = Lock { packages: BTreeMap::new(), ..lock.clone() };
    let changes = Lock::diff(old.as_ref().unwrap_or(&empty), &lock).changes;
    let (composition, report) = report(host, assembled, &obtained, changes)?;
    let asked = Asked { recipe: &recipe, lock: &locked };
    let kept = kept::of_build(host, asked, &composition, report.packages.clone(), report.findings.clone());
    if let Some(kept) = kept.filter(|_| is_saved) {
        kept.write(&host.store, &composition.composed)?;
    }
    Ok(report)
}

/// Builds an image to which an earlier build's answers apply: what is new is its record and own files.
fn rebuild(
    host: &Host,
    earlier: &Earlier,
    (record, facts): (FileSet, &BuildFacts),
    ingest: Ingest<'_>,
) -> Result<BuildReport> {
    let digest = record.digest();
    let changed = digest != earlier.digest;
    if changed {
        ingest.write_fileset(&record)?;
    }
    let signed = provenance::record(host, &ingest, facts)?;
    if changed {
        let (plan, composed) = earlier.composed(&record);
        let composed = ingest.write_fileset(&composed)?;
        let (version, action) = (record.version.clone(), "build".to_owned());
        let entry = RefEntry { version, fileset: digest, at: host.now, action };
        host.store.refs().set_committing(RefKind::Image, record.name.as_str(), entry, ingest)?;
        // Caches, which a build that is killed before need not have.
        compose::keep(host, &plan, &digest, &earlier.ready(composed))?;
        earlier.kept.write(&host.store, &composed)?;
    } else {
        ingest.commit()?;
    }
    let Kept { packages, overridden, findings, .. } = earlier.kept.clone();
    Ok(BuildReport {
        name: record.name,
        version: record.version,
        digest,
        signed,
        changed,
        packages,
        changes: Vec::new(),
        fetched: 0,
        fetched_bytes: 0,
        overridden,
        findings,
    })
}

/// The image that a recipe would become, if that is what its name stands for already and nothing has to be done: the lock
/// matches, every package is here, and the files are the same.
///
/// # Errors
/// A recipe or lock that can't be used, or a store that can't be read or written.
pub fn current(host: &Host, path: &Path) -> Result<Option<Found>> {
    let recipe = Recipe::load(path)?;
    let lock_file = recipe.lock_file();
    let Some(text) = Lock::read(&lock_file)? else { return Ok(None) };
    let earlier = Earlier::find(host, &recipe.name)?;
    let ingest = host.store.begin()?;
    let (tree, tree_digest) = own_tree(&recipe, &ingest, earlier.as_ref())?;
    let again = earlier.as_ref().and_then(|earlier| {
        earlier.again(host, Asked { recipe: &recipe, lock: &text }, &tree, tree_digest).map(|record| (earlier, record))
    });
    if let Some((earlier, record)) = again {
        let digest = record.digest();
        return Ok((digest == earlier.digest).then_some(Found { digest, record }));
    }
    let lock = Lock::parse(&lock_file, &text)?;
    if lock.architecture != host.debian.architecture || lock.check(&recipe).is_err() {
        return Ok(None);
    }
    let reference = Reference { name: recipe.name.clone(), selector: Selector::Latest };
    let Some(found) = images::try_find(&host.store, &reference)? else { return Ok(None) };
    let mut imports = Vec::with_capacity(lock.packages.len());
    for package in lock.packages.values() {
        match obtain::known(host, &package.origin.sha256)? {
            Some(import) if import.package == package.fileset => imports.push(import),
            _ => return Ok(None),
        }
    }
    let metadata = image::metadata(&recipe);
    let record = image::record(&recipe.name, &recipe.version, &lock.architecture, tree_digest, &imports, metadata)?;
    Ok((record.digest() == found.digest).then_some(found))
}

/// The recipe itself, as a source.
fn source(recipe: &Recipe) -> Dependency {
    let digests = BTreeMap::from([("sha256".to_owned(), recipe.text.hex())]);
    Dependency::Source { uri: crate::recipe::FILE_NAME.to_owned(), digests }
}

/// Reads the recipe's own files into the store. What of them the earlier image has needn't be synced again.
fn own_tree(recipe: &Recipe, ingest: &Ingest<'_>, earlier: Option<&Earlier>) -> Result<(Tree, TreeDigest)> {
    if let Some(earlier) = earlier {
        ingest.lasts(&earlier.digest, &earlier.tree);
    }
    let tree = recipe.read_files(&mut |content| Ok(ingest.write_object(content, u64::MAX)?))?;
    let digest = ingest.write_tree(&tree)?;
    Ok((tree, digest))
}

/// Reports what became of an image; its composition is for whoever wants to keep what the build found out.
pub(crate) fn report(
    host: &Host,
    assembled: Assembled,
    obtained: &[Obtained],
    changes: Vec<(Name, Change)>,
) -> Result<(Composition, BuildReport)> {
    let Assembled { digest, record, signed, changed, overridden, findings, composition } = assembled;
    let packages = crate::contents::packages(&host.store, &record)?;
    let fetched: Vec<_> = obtained.iter().filter(|o| o.fetched).collect();
    let report = BuildReport {
        digest,
        signed,
        changed,
        packages: packages
            .iter()
            .map(|package| BuiltPackage {
                name: package.import.name.clone(),
                version: package.import.version.clone(),
                digest: package.import.fileset,
                tier: package.tier().clone(),
            })
            .collect(),
        changes,
        fetched: fetched.len(),
        fetched_bytes: fetched.iter().map(|o| o.file.size).sum(),
        overridden,
        findings,
        name: record.name,
        version: record.version,
    };
    Ok((composition, report))
}

/// The packages of a recipe, in the store, with the lock that says so.
fn packages(
    host: &Host,
    recipe: &Recipe,
    old: Option<&Lock>,
    options: &BuildOptions,
    progress: &dyn Progress,
) -> Result<(Lock, Vec<Obtained>)> {
    let wanted = &host.debian.architecture;
    if let Some(lock) = old.filter(|lock| options.locked && lock.architecture != *wanted) {
        let (locked, wanted) = (lock.architecture.clone(), wanted.clone());
        return Err(Error::LockArchitecture { file: recipe.lock_file(), locked, wanted });
    }
    let matching = old.filter(|lock| lock.architecture == *wanted).map(|lock| (lock, lock.check(recipe)));
    match matching {
        Some((lock, Ok(()))) if options.update == Update::None => return from_lock(host, lock, progress),
        Some((_, Err(mismatch))) if options.locked => {
            return Err(Error::LockMismatch { file: recipe.lock_file(), mismatch });
        }
        None if options.locked => return Err(Error::NoLock { file: recipe.lock_file() }),
        _ => {}
    }
    let empty = Lock {
        architecture: host.debian.architecture.clone(),
        asked: recipe.solver_inputs(),
        distribution: None,
        packages: BTreeMap::new(),
    };
    let Some(from) = &recipe.from else { return Ok((empty, Vec::new())) };
    let wanted = Wanted {
        from,
        roots: &recipe.packages,
        base: recipe.base,
        recommends: recipe.recommends,
        locked: old.map(Lock::versions).unwrap_or_default(),
        update: options.update.clone(),
    };
    let solved = solve::solve(host, &wanted, progress)?;
    let obtained = obtain::obtain(host, from, &solved.files, progress)?;
    let suites = solved.evidence.suites.iter().map(|suite| LockedSuite {
        name: suite.suite.clone(),
        release: suite.release,
        date: suite.date,
        key: suite.signer.clone(),
    });
    let lock = Lock {
        distribution: Some(LockedDistribution { name: from.clone(), suites: suites.collect() }),
        packages: obtained.iter().map(|o| (o.import.name.clone(), locked(o))).collect(),
        ..empty
    };
    Ok((lock, obtained))
}

fn locked(obtained: &Obtained) -> LockedPackage {
    LockedPackage {
        version: obtained.import.version.clone(),
        architecture: obtained.file.architecture.clone(),
        fileset: obtained.import.package,
        declarations: obtained.import.declarations.as_ref().map(|(_, _, fileset)| LockedDeclarations {
            fileset: *fileset,
            table: larder_debian::declare::TABLE_VERSION,
        }),
        rule: larder_debian::convert::RULE.to_owned(),
        origin: LockedOrigin {
            path: obtained.file.filename.clone(),
            size: obtained.file.size,
            sha256: obtained.file.sha256,
        },
    }
}

/// Takes the packages from a lock: from the store, or by the lock's own digests from the archive.
fn from_lock(host: &Host, lock: &Lock, progress: &dyn Progress) -> Result<(Lock, Vec<Obtained>)> {
    let newest = lock.distribution.as_ref().map(|distribution| distribution.suites.as_slice()).unwrap_or_default();
    let mut files = Vec::with_capacity(lock.packages.len());
    for (name, package) in &lock.packages {
        if package.rule != larder_debian::convert::RULE {
            return Err(Error::UnknownRule { package: name.clone(), rule: package.rule.clone() });
        }
        files.push(ArchiveFile {
            name: name.short().to_owned(),
            version: package.version.clone(),
            architecture: package.architecture.clone(),
            urls: Vec::new(),
            filename: package.origin.path.clone(),
            size: package.origin.size,
            sha256: package.origin.sha256,
            suite: newest.first().map(|suite| suite.name.clone()).unwrap_or_default(),
            release: newest.first().map_or(package.origin.sha256, |suite| suite.release),
            index: package.origin.sha256,
            signer: newest.first().map(|suite| suite.key.clone()).unwrap_or_default(),
        });
    }
    let Some(distribution) = &lock.distribution else { return Ok((lock.clone(), Vec::new())) };
    solve::locate(host, &distribution.name, &mut files)?;
    let obtained = obtain::obtain(host, &distribution.name, &files, progress)?;
    let mut lock = lock.clone();
    for found in &obtained {
        let Some(package) = lock.packages.get_mut(&found.import.name) else { continue };
        if package.fileset != found.import.package {
            return Err(Error::LockDigest {
                package: found.import.name.clone(),
                locked: package.fileset,
                found: found.import.package,
            });
        }
        // A newer table changes no package; `--locked` builds report it through the lock's differences.
        *package = locked(found);
    }
    Ok((lock, obtained))
}
