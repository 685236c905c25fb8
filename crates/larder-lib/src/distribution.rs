//! `larder build` of a distribution: exact versions looked up, an image built and tested with them, and only then the name.

use std::collections::BTreeMap;
use std::time::Instant;

use larder_debian::progress::Progress;
use larder_debian::{Distribution, Refresh};
use larder_solver::{Base, PackageId, Root, Universe, Update};
use larder_store::fileset::{DistributionMetadata, ImageMetadata};
use larder_store::refs::{RefEntry, RefKind};
use larder_store::{FileSet, FileSetDigest, Kind, Metadata, Name, Tree};

use crate::assemble::{self, Draft, NewAsks, Prepared};
use crate::image::{self, PackageImport};
use crate::image_test::{self, Attempt};
use crate::provenance::{self, BuildFacts, BuildKind, Dependency, Signer, Subject};
use crate::recipe::distribution::TestImage;
use crate::recipe::{CommandLine, DistributionRecipe, Recipe, base_word};
use crate::solve::{self, Ask, Curated, Earlier, Source, solver_name};
use crate::{Error, Host, Result, contents, overrides, supply};

/// What a build of a distribution did.
#[derive(Debug)]
pub struct DistributionReport {
    /// Its name.
    pub name: Name,
    /// Its version.
    pub version: String,
    /// Its identity.
    pub digest: FileSetDigest,
    /// Who signed how it was made; nobody where that is empty.
    pub signed: Vec<Signer>,
    /// Whether the name stood for something else, or nothing, before.
    pub changed: bool,
    /// The packages that it pins, sorted by name.
    pub packages: Vec<PackageImport>,
    /// How many packages the test's image had.
    pub tested_with: usize,
    /// What was run in it.
    pub tests: Vec<CommandLine>,
    /// How many packages were fetched.
    pub fetched: usize,
    /// How many bytes that were.
    pub fetched_bytes: u64,
}

/// A version that a distribution lists and that isn't there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lacking {
    /// The package.
    pub name: Name,
    /// The version.
    pub version: String,
    /// The versions that are there.
    pub there_is: Vec<String>,
}

/// Builds a distribution. It gets its name when the image of its test has been built, and what it runs has ended with 0.
///
/// # Errors
/// A version that isn't there, a package that can't be fetched or converted, an image that can't be built, a test that fails. The name stands
/// for what it stood for before.
pub fn build(host: &Host, recipe: &DistributionRecipe, progress: &dyn Progress) -> Result<DistributionReport> {
    let begun = Instant::now();
    let _lease = host.store.lease()?;
    let shelves = Shelves::open(host, recipe, progress)?;
    let (sources, debian) = (shelves.find(recipe)?, shelves.debian.as_ref().map(|(name, _)| name));
    let supplied = supply::sources(host, debian, &sources, progress)?;
    let packages: Vec<PackageImport> = supplied.iter().map(|one| one.import.clone()).collect();
    let fetched: Vec<u64> = supplied.iter().filter_map(|one| one.fetched).collect();

    let ingest = host.store.begin()?;
    let tree = Tree::default();
    let record = FileSet {
        name: recipe.name.clone(),
        version: recipe.version.clone(),
        architecture: host.debian.architecture.clone(),
        time: image::own_time(&tree.digest()),
        tree: ingest.write_tree(&tree)?,
        imports: image::imports(&packages)?,
        metadata: Metadata::Distribution(DistributionMetadata {
            description: recipe.summary.clone(),
            homepage: recipe.homepage.clone(),
            from: recipe.from.clone(),
        }),
    };
    let digest = ingest.write_fileset(&record)?;
    let signed = provenance::record(host, &ingest, &facts(host, recipe, &record, begun))?.signed;
    let _lease = ingest.commit_leased()?;

    let curated = Curated::load(&host.store, &digest)?;
    let (tested_with, tests) = test(host, recipe, &curated, progress)?;

    let refs = host.store.refs();
    let before = refs.get(RefKind::Distribution, recipe.name.as_str())?.map(|found| found.current_entry().fileset);
    let changed = before != Some(digest);
    if changed {
        let (version, action) = (recipe.version.clone(), "build".to_owned());
        let entry = RefEntry { version, fileset: digest, at: host.now, action };
        refs.set(RefKind::Distribution, recipe.name.as_str(), entry)?;
    }
    Ok(DistributionReport {
        name: recipe.name.clone(),
        version: recipe.version.clone(),
        digest,
        signed,
        changed,
        packages,
        tested_with,
        tests,
        fetched: fetched.len(),
        fetched_bytes: fetched.iter().sum(),
    })
}

/// How a distribution was made: its packages, and the recipe that lists them.
fn facts(host: &Host, recipe: &DistributionRecipe, record: &FileSet, begun: Instant) -> BuildFacts {
    let subject =
        |name: &Name, version: &str, fileset| Subject { name: name.clone(), version: version.to_owned(), fileset };
    let imports = record.imports.iter().map(|one| Dependency::FileSet(subject(&one.name, &one.version, one.fileset)));
    let digests = BTreeMap::from([("sha256".to_owned(), recipe.text.hex())]);
    let source = Dependency::Source { uri: crate::recipe::FILE_NAME.to_owned(), digests };
    BuildFacts {
        kind: BuildKind::Distribution,
        subjects: vec![subject(&record.name, &record.version, record.digest())],
        parameters: BTreeMap::from([("architecture".to_owned(), record.architecture.as_str().into())]),
        dependencies: std::iter::once(source).chain(imports).collect(),
        started: host.now,
        finished: host.now + begun.elapsed().as_secs(),
    }
}

/// Where packages are looked for.
struct Shelves<'a> {
    host: &'a Host,
    debian: Option<(Name, Distribution)>,
    curated: Vec<Curated>,
}

impl<'a> Shelves<'a> {
    fn open(host: &'a Host, recipe: &DistributionRecipe, progress: &dyn Progress) -> Result<Self> {
        let mut shelves = Self { host, debian: None, curated: Vec::new() };
        for name in &recipe.from {
            if !solve::is_debians(name) {
                let found = Curated::find(&host.store, name)?;
                shelves.curated.push(found.ok_or_else(|| Error::UnknownDistribution { name: name.clone() })?);
                continue;
            }
            if let Some((first, _)) = &shelves.debian {
                return Err(Error::TwoSuites { first: first.clone(), second: name.clone() });
            }
            let refresh = if host.debian.offline { Refresh::Never } else { Refresh::IfOlder(solve::FRESH) };
            shelves.debian = Some((name.clone(), solve::distribution(host, name, refresh, progress)?));
        }
        Ok(shelves)
    }

    /// Each package that the recipe lists, in its order.
    fn find(&self, recipe: &DistributionRecipe) -> Result<Vec<Source>> {
        let (mut sources, mut lacking) = (Vec::new(), Vec::new());
        for (name, version) in &recipe.packages {
            match self.one(name, version)? {
                Ok(source) => sources.push(source),
                Err(there_is) => lacking.push(Lacking { name: name.clone(), version: version.clone(), there_is }),
            }
        }
        if lacking.is_empty() {
            return Ok(sources);
        }
        Err(Error::DistributionLacks { distribution: recipe.name.clone(), lacking })
    }

    /// The package of that version, or the versions that are there.
    fn one(&self, name: &Name, version: &str) -> Result<std::result::Result<Source, Vec<String>>> {
        let mut there_is = Vec::new();
        for distribution in &self.curated {
            let Some(import) = distribution.get(name) else { continue };
            if import.version == version {
                return Ok(Ok(Source::Store { import: import.clone(), distribution: None }));
            }
            there_is.push(import.version.clone());
        }
        if let Some((_, suite)) = self.debian.as_ref().filter(|_| solve::is_debians(name)) {
            let candidates = suite.candidates(solver_name(name));
            let of = |id: &PackageId| suite.package(*id).version;
            if let Some(id) = candidates.iter().find(|id| of(id) == version) {
                return Ok(Ok(Source::Archive(suite.archive_file(*id))));
            }
            there_is.extend(candidates.iter().map(|id| of(id).to_owned()));
        }
        if let Some(history) = self.host.store.refs().get(RefKind::Package, name.as_str())? {
            let current = Some(history.current_entry()).filter(|entry| entry.version == version);
            let newest = || history.entries.iter().rev().find(|entry| entry.version == version);
            if let Some(entry) = current.or_else(newest) {
                let (name, version, package) = (name.clone(), version.to_owned(), entry.fileset);
                let import = PackageImport { name, version, package, declarations: None };
                return Ok(Ok(Source::Store { import, distribution: None }));
            }
            there_is.extend(history.entries.iter().map(|entry| entry.version.clone()));
        }
        there_is.sort_by(|a, b| larder_solver::compare(b, a));
        there_is.dedup();
        Ok(Err(there_is))
    }
}

/// Builds the test's image and runs its commands; gives the number of its packages, and the commands.
fn test(
    host: &Host,
    recipe: &DistributionRecipe,
    curated: &Curated,
    progress: &dyn Progress,
) -> Result<(usize, Vec<CommandLine>)> {
    let failed = |source| Error::DistributionImage { distribution: recipe.name.clone(), source: Box::new(source) };
    let prepared = test_image(host, recipe, curated, progress).map_err(failed)?;
    let packages = contents::packages(&host.store, &prepared.image.record)?;
    let metadata = prepared.image.record.image().cloned().unwrap_or_default();
    let tests: Vec<CommandLine> = match (&recipe.test.run, metadata.actions.get("validate")) {
        (Some(run), _) => vec![run.clone()],
        (None, Some(own)) => vec![CommandLine::Program(own.clone())],
        (None, None) => {
            let of_packages = packages.iter().filter_map(|package| package.record.package()?.actions.get("validate"));
            of_packages.cloned().map(CommandLine::Program).collect()
        }
    };
    if tests.is_empty() {
        return Err(Error::NothingToTest { distribution: recipe.name.clone() });
    }
    for command in &tests {
        let (of, version, kind) = (&recipe.name, recipe.version.as_str(), Kind::Distribution);
        let attempt = Attempt { of, version, kind, image: &prepared, command, user: None };
        image_test::attempt(host, &attempt, progress)?;
    }
    Ok((packages.len(), tests))
}

fn test_image(
    host: &Host,
    recipe: &DistributionRecipe,
    curated: &Curated,
    progress: &dyn Progress,
) -> Result<Prepared> {
    let ingest = host.store.begin()?;
    let mut from = recipe.from.clone();
    from.push(recipe.name.clone());
    from.sort();
    let (name, mut roots, base, tree, image) = match &recipe.test.image {
        TestImage::Packages { packages, base } => {
            let name = Name::parse(&format!("{}/test", recipe.name))?;
            (name, packages.clone(), *base, ingest.write_tree(&Tree::default())?, None)
        }
        TestImage::Recipe(path) => {
            let image = Recipe::load(&recipe.folder().join(&path.path))?;
            let tree = image.read_files(&mut |content| Ok(ingest.write_object(content, u64::MAX)?))?;
            let tree = ingest.write_tree(&tree)?;
            from.clone_from(&image.from);
            (image.name.clone(), image.packages.clone(), image.base, tree, Some(image))
        }
    };
    ingest.commit()?;
    if !from.contains(&recipe.name) {
        return Err(Error::TestWithout { distribution: recipe.name.clone(), image: name });
    }
    roots.sort_by_cached_key(Root::to_string);
    let ask = Ask {
        from: &from,
        roots: &roots,
        base,
        recommends: image.as_ref().is_some_and(|image| image.recommends),
        earlier: &Earlier::default(),
        update: Update::None,
        built: &BTreeMap::new(),
        overrides: image.as_ref().map_or(&[], |image| &image.overrides),
        unpublished: Some(curated),
    };
    let choice = solve::choose(host, &ask, progress)?;
    let supplied = supply::choice(host, &choice, progress)?;
    overrides::check(host, &choice, &supplied, progress)?;
    let imports: Vec<_> = supplied.into_iter().map(|one| one.import).collect();
    let metadata = match &image {
        Some(image) => image::metadata(image, &choice.roots),
        None => bare(from, base, &choice.roots),
    };
    let version = image.as_ref().map_or(recipe.version.as_str(), |image| &image.version);
    let architecture = &host.debian.architecture;
    let draft = Draft {
        name: &name,
        version,
        architecture,
        tree,
        imports: &imports,
        metadata,
        action: "test",
        sources: Vec::new(),
        begun: Instant::now(),
        new_asks: NewAsks::Accept,
    };
    assemble::prepare(host, &draft, progress)
}

fn bare(from: Vec<Name>, base: Base, roots: &[Root]) -> ImageMetadata {
    ImageMetadata {
        from,
        base: base_word(base).to_owned(),
        packages: roots.iter().map(ToString::to_string).collect(),
        composers: larder_debian::compose::current_versions(),
        ..ImageMetadata::default()
    }
}
