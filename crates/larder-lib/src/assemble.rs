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
use crate::{Error, Host, Result};

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
    /// What it was made of besides packages and files: the recipe.
    pub sources: Vec<Dependency>,
    /// When that began.
    pub begun: Instant,
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
pub fn assemble(host: &Host, draft: Draft<'_>, progress: &dyn Progress) -> Result<Assembled> {
    let Draft { name, version, architecture, tree, imports, metadata, action, sources, begun } = draft;
    let record = image::record(name, version, architecture, tree, imports, metadata)?;
    let ingest = host.store.begin()?;
    let digest = ingest.write_fileset(&record)?;
    let signed = provenance::record(host, &ingest, &facts(host, &record, sources, begun))?;
    ingest.commit()?;

    let image = Arc::new(Loaded { digest, tree: host.store.tree(&record.tree)?, record });
    let composition = compose::compose(host, &image, progress)?;
    let findings = verified(host, &composition)?;

    let refs = host.store.refs();
    let before = refs.get(RefKind::Image, name.as_str())?.map(|found| found.current_entry().fileset);
    let changed = before != Some(digest);
    if changed {
        let entry = RefEntry { version: version.to_owned(), fileset: digest, at: host.now, action: action.to_owned() };
        refs.set(RefKind::Image, name.as_str(), entry)?;
    }
    let overridden = overridden(&composition.plan);
    let record = image.record.clone();
    Ok(Assembled { digest, signed, changed, overridden, findings, record, composition })
}

/// How an image was made, all of it: its imports, its own files and what they came from.
pub(crate) fn facts(host: &Host, record: &FileSet, sources: Vec<Dependency>, begun: Instant) -> BuildFacts {
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
        subjects: vec![Subject {
            name: record.name.clone(),
            version: record.version.clone(),
            fileset: record.digest(),
        }],
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
        run: metadata.run.first().map(String::as_str),
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
