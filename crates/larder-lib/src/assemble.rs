//! From packages and files to an image: the record, its plan, what composers add, verification, and last its name.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use larder_debian::progress::Progress;
use larder_store::fileset::ImageMetadata;
use larder_store::json::Value;
use larder_store::plan::{InstallPlan, Loaded, Overridden};
use larder_store::refs::{RefEntry, RefKind};
use larder_store::{FileSet, FileSetDigest, Name, Tree, TreeDigest, TreePath};

use crate::compose::{self, Composition};
use crate::image::{self, PackageImport};
use crate::provenance::{self, BuildFacts, BuildKind, Dependency, Signer, Subject};
use crate::verify::{self, Finding, Input, Owner, RootEntry, Severity};
use crate::view::{self, Packages};
use crate::{Error, Host, Result, actions, asks};

/// What an image is to be made of.
pub struct Draft<'a> {
    /// Its name.
    pub name: &'a Name,
    /// Its version.
    pub version: &'a str,
    /// Its architecture.
    pub architecture: &'a str,
    /// Its own files.
    pub tree: TreeDigest,
    /// Its packages.
    pub imports: &'a [PackageImport],
    /// What it runs, and how.
    pub metadata: ImageMetadata,
    /// What to call this in the image's history: `build`, `update`.
    pub action: &'a str,
    /// What becomes of asks that the name's record so far doesn't have.
    pub new_asks: NewAsks,
    /// What it was made of besides packages and files: the recipe.
    pub sources: Vec<Dependency>,
    /// When that began.
    pub begun: Instant,
}

/// What becomes of it when an image begins to ask for more of the host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NewAsks {
    /// It doesn't get its name.
    #[default]
    Refuse,
    /// The operator has accepted it.
    Accept,
}

/// An image in the store that has no name yet.
pub struct Prepared {
    /// Its identity.
    pub digest: FileSetDigest,
    /// Its record and tree.
    pub image: Arc<Loaded>,
    /// Who signed how it was made.
    pub signed: Vec<Signer>,
    /// What stands where in it.
    pub composition: Composition,
    /// What verification found that doesn't fail a build.
    pub findings: Vec<Finding>,
}

/// An image in the store, under its name.
pub struct Assembled {
    /// Its identity.
    pub digest: FileSetDigest,
    /// Its record.
    pub record: FileSet,
    /// Who signed how it was made.
    pub signed: Vec<Signer>,
    /// Whether the name stood for something else, or nothing, before.
    pub changed: bool,
    /// Paths with more than one claimant.
    pub overridden: Vec<OverrideLine>,
    /// What verification found that doesn't fail a build.
    pub findings: Vec<Finding>,
    /// Its plan, and what composers made.
    pub composition: Composition,
}

/// A path with more than one claimant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverrideLine {
    /// Where.
    pub path: TreePath,
    /// Whose file is seen.
    pub by: String,
    /// Whose is hidden.
    pub of: String,
}

/// Makes the image, verifies it, and only then gives it its name.
///
/// # Errors
/// Files that clash, composers that can't do their work, verification that fails.
pub fn assemble(host: &Host, draft: &Draft<'_>, progress: &dyn Progress) -> Result<Assembled> {
    let prepared = prepare(host, draft, progress)?;
    name(host, draft, prepared)
}

/// Makes the image and verifies it.
///
/// # Errors
/// As [`assemble`]; the image asks for more of the host than the record that its name stands for, and nobody has accepted that.
pub fn prepare(host: &Host, draft: &Draft<'_>, progress: &dyn Progress) -> Result<Prepared> {
    let Draft { name, version, architecture, tree, imports, metadata, .. } = draft;
    let record = image::record(name, version, architecture, *tree, imports, metadata.clone())?;
    let ingest = host.store.begin()?;
    let digest = ingest.write_fileset(&record)?;
    let facts = facts(host, (&digest, &record), draft.sources.clone(), draft.begun);
    let signed = provenance::record(host, &ingest, &facts)?.signed;
    ingest.commit()?;
    let image = Arc::new(Loaded { digest, tree: host.store.tree(&record.tree)?, record });
    let composition = compose::compose(host, &image, progress)?;
    if draft.new_asks == NewAsks::Refuse {
        refuse_new_asks(host, &composition.plan)?;
    }
    let findings = verified(host, &composition)?;
    Ok(Prepared { digest, image, signed, composition, findings })
}

fn refuse_new_asks(host: &Host, plan: &InstallPlan) -> Result<()> {
    let image = &plan.sources[plan.image];
    let new = asks::of_records(&image.record, imports(plan));
    let name = &image.record.name;
    let before = host.store.refs().get(RefKind::Image, name.as_str())?.map(|found| found.current_entry().fileset);
    let Some(before) = before.filter(|before| *before != image.digest && !asks::added(&[], &new).is_empty()) else {
        return Ok(());
    };
    // Of a damaged record nothing is known: then everything is new.
    let old = host.store.fileset(&before).ok().and_then(|old| asks::of_image(&host.store, &old).ok());
    let added = asks::added(&old.unwrap_or_default(), &new);
    if added.is_empty() { Ok(()) } else { Err(Error::NewAsks { name: name.clone(), asks: added }) }
}

/// The records of everything that an image imports.
fn imports(plan: &InstallPlan) -> impl Iterator<Item = &FileSet> {
    plan.sources.iter().enumerate().filter(|(at, _)| *at != plan.image).map(|(_, source)| &source.record)
}

/// Gives a prepared image its name.
///
/// # Errors
/// A store that can't be read or written.
pub fn name(host: &Host, draft: &Draft<'_>, prepared: Prepared) -> Result<Assembled> {
    let Prepared { digest, image, signed, composition, findings } = prepared;
    let (name, version, action) = (draft.name, draft.version.to_owned(), draft.action.to_owned());
    let refs = host.store.refs();
    let before = refs.get(RefKind::Image, name.as_str())?.map(|found| found.current_entry().fileset);
    let changed = before != Some(digest);
    if changed {
        refs.set(RefKind::Image, name.as_str(), RefEntry { version, fileset: digest, at: host.now, action })?;
    }
    let overridden = overridden(&composition.plan);
    let record = image.record.clone();
    Ok(Assembled { digest, signed, changed, overridden, findings, record, composition })
}

/// How an image was made, all of it: its imports, its own files and what they came from.
pub(crate) fn facts(
    host: &Host,
    (digest, record): (&FileSetDigest, &FileSet),
    sources: Vec<Dependency>,
    begun: Instant,
) -> BuildFacts {
    let imports = record.imports.iter().map(|import| {
        Dependency::FileSet(Subject {
            name: import.name.clone(),
            version: import.version.clone(),
            fileset: import.fileset,
        })
    });
    let files = (record.tree != Tree::default().digest()).then(|| Dependency::Source {
        uri: "larder:files".to_owned(),
        digests: BTreeMap::from([(provenance::TREE.to_owned(), record.tree.hex())]),
    });
    let metadata = record.image();
    let texts = |items: &[String]| items.iter().map(String::as_str).map(Value::from).collect::<Value>();
    let parameters = metadata.into_iter().flat_map(|metadata| {
        [
            ("base", Value::from(metadata.base.as_str())),
            ("from", metadata.from.iter().map(Name::as_str).map(Value::from).collect()),
            ("packages", texts(&metadata.packages)),
            ("recommends", metadata.recommends.into()),
        ]
    });
    let architecture = [("architecture", Value::from(record.architecture.as_str()))];
    BuildFacts {
        kind: BuildKind::Image,
        subjects: vec![Subject { name: record.name.clone(), version: record.version.clone(), fileset: *digest }],
        parameters: parameters.chain(architecture).map(|(key, value)| (key.to_owned(), value)).collect(),
        dependencies: sources.into_iter().chain(files).chain(imports).collect(),
        started: host.now,
        finished: host.now + begun.elapsed().as_secs(),
    }
}

/// Verifies a composed image; what doesn't fail it is the result.
fn verified(host: &Host, composition: &Composition) -> Result<Vec<Finding>> {
    let plan = &composition.plan;
    let metadata = plan.sources[plan.image].record.image().cloned().unwrap_or_default();
    let start = started(plan);
    let shown = view::shown(plan, &composition.files, Packages::Hidden)?;
    let image = plan.sources[plan.image].to_string();
    let entries: Vec<_> = shown
        .iter()
        .map(|(path, shown)| RootEntry {
            path,
            entry: &shown.entry.entry,
            executable: shown.entry.mode() & 0o111 != 0,
            owner: match shown.of.as_str() {
                of if of == image => Owner::Image,
                of if of.contains('@') && plan.is_made_link(path) => Owner::MadeLink(of),
                of if of.contains('@') => Owner::Package(of),
                of => Owner::Composer(of),
            },
        })
        .collect();
    let shipped: HashSet<&[u8]> = plan
        .packages
        .iter()
        .flat_map(|package| package.expanded.entries.keys().map(larder_store::TreePath::as_bytes))
        .collect();
    let report = verify::verify(&Input {
        entries: &entries,
        ships: &|path| shipped.contains(path),
        env: &metadata.env,
        run: start.as_deref(),
        base: image::base(&metadata),
        open: &|digest| {
            composition.basis.read.note(digest);
            host.store.open_object(digest).map_err(std::io::Error::other)
        },
    })?;
    let (fatal, findings): (Vec<_>, Vec<_>) =
        report.findings.into_iter().partition(|finding| finding.severity == Severity::Failure);
    if fatal.is_empty() { Ok(findings) } else { Err(Error::Verification { findings: fatal }) }
}

/// The program that `run` starts, the image's own or an inherited one.
fn started(plan: &InstallPlan) -> Option<String> {
    let image = &plan.sources[plan.image].record;
    let all = actions::of_records(image, imports(plan));
    let start = all.into_iter().find(|one| one.action == actions::START && one.in_effect);
    start.and_then(|start| start.command.into_iter().next())
}

/// What is news to the user: that a package's own declarations stand over its payload is not.
pub(crate) fn overridden(plan: &InstallPlan) -> Vec<OverrideLine> {
    let name = |source: usize| plan.sources[source].record.name.as_str();
    let news = |o: &&Overridden| image::declared_package(&plan.sources[o.by].record.name) != Some(name(o.of));
    let line = |o: &Overridden| OverrideLine {
        path: o.path.clone(),
        by: if o.by == plan.image { "the recipe".to_owned() } else { plan.sources[o.by].to_string() },
        of: plan.sources[o.of].to_string(),
    };
    plan.overridden.iter().filter(news).map(line).collect()
}
