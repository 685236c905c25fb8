//! What went into a package, as its build saw it.

use std::collections::BTreeMap;
use std::time::Duration;

use larder_solver::Root;
use larder_store::json::Value;

use super::sandbox::Sandbox;
use super::source::publisher::Signed;
use super::source::{Pin, Sources, debian};
use super::{BuiltPart, RULE};
use crate::Host;
use crate::lock::LockedSource;
use crate::provenance::{BuildFacts, BuildKind, Dependency, Subject};
use crate::recipe::package::PackageRecipe;

/// What a build was made from.
pub(super) struct Inputs<'a> {
    /// The digest of all of it, as a key of refs.
    pub(super) key: &'a str,
    /// Its sources.
    pub(super) pin: Option<&'a Pin>,
    /// The packages that were asked for.
    pub(super) with: &'a [Root],
    /// What the lock says of the source package, if they are one.
    pub(super) debian: Option<&'a LockedSource>,
    /// Where it was built.
    pub(super) sandbox: &'a Sandbox,
    /// What became of them.
    pub(super) sources: &'a Sources,
}

/// Everything that is known about a build. It is complete: every FileSet that the sandbox's image imports is listed, and so is the source.
pub(super) fn facts(
    host: &Host,
    recipe: &PackageRecipe,
    inputs: &Inputs<'_>,
    parts: &[BuiltPart],
    took: Duration,
) -> BuildFacts {
    let subject =
        |part: &BuiltPart| Subject { name: part.name.clone(), version: part.version.clone(), fileset: part.digest };
    let mounted = inputs.sandbox.mounted().iter().map(|import| Subject {
        name: import.name.clone(),
        version: import.version.clone(),
        fileset: import.fileset,
    });
    let mut dependencies: Vec<Dependency> = mounted.map(Dependency::FileSet).collect();
    dependencies.extend(inputs.pin.iter().flat_map(|pin| pin.dependencies.clone()));
    dependencies.extend(inputs.sources.signed.iter().flat_map(Signed::dependencies));
    let text = BTreeMap::from([("sha256".to_owned(), recipe.text.hex())]);
    dependencies.push(Dependency::Source { uri: crate::recipe::FILE_NAME.to_owned(), digests: text });
    let text = |text: &str| Value::String(text.to_owned());
    let env = recipe.build.env.iter().map(|(name, value)| (name.to_string(), text(value)));
    let with = inputs.with.iter().map(|root| text(&root.to_string())).collect();
    let script = recipe.script.iter().map(|script| ("script".to_owned(), text(script)));
    let mut parameters = BTreeMap::from([
        ("architecture".to_owned(), text(&host.debian.architecture)),
        ("env".to_owned(), Value::object(env)),
        ("from".to_owned(), recipe.build.from.iter().map(|from| text(from.as_str())).collect()),
        ("inputs".to_owned(), text(&format!("blake3:{}", inputs.key.rsplit('/').next().unwrap_or_default()))),
        ("rule".to_owned(), text(RULE)),
        ("run".to_owned(), text(&recipe.build.run)),
        ("source_date_epoch".to_owned(), Value::Integer(i64::try_from(inputs.sources.time).unwrap_or(i64::MAX))),
        ("with".to_owned(), Value::Array(with)),
    ]);
    parameters.extend(inputs.debian.map(|locked| ("deb-src".to_owned(), debian::parameter(locked))));
    parameters.extend(script);
    BuildFacts {
        kind: BuildKind::Package,
        subjects: parts.iter().map(subject).collect(),
        parameters,
        dependencies,
        started: host.now,
        finished: host.now + took.as_secs(),
    }
}
