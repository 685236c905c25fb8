//! The declared tier: what a package's maintainer scripts would have done on a fresh installation, as data.
//!
//! Scripts are read, never run. Three sources are joined, a later one over an earlier:
//!
//! 1. `preinst install` and `postinst configure`, followed symbolically (`walk`): alternatives, users and groups,
//!    diversions, directories, owners and modes, links and copies of the package's own files;
//! 2. payload that declares: sysusers.d and tmpfiles.d (`units`);
//! 3. the reviewed table ([`Table`]), for scripts that can't be followed or that would do what a container doesn't want.
//!
//! The result is the declarations FileSet: directories, seed files and links in its Tree, rules in its metadata. It is
//! a function of the `.deb` and of the table's version alone. A package whose scripts do nothing that matters has none.
//!
//! Absent on purpose: `prerm` and `postrm` (nothing is ever removed in place), `config` (debconf), triggers (composers
//! derive what they would), and everything that computes: keys, databases, configuration from the machine it runs on.

mod build;
mod commands;
mod effects;
mod shell;
mod table;
mod units;
mod walk;

use std::sync::LazyLock;

use larder_store::fileset::ScriptTier;
use larder_store::{FileSet, Metadata, Tree};

use crate::DebianError;
use crate::convert::Converted;
use effects::Effects;
pub use table::Table;
use table::TableEntry;

/// Counts every change of the table and of how scripts and payload are followed. With the `.deb`'s digest it's the key under
/// which declarations can be kept.
pub const TABLE_VERSION: u32 = 1;

/// How many reasons a record holds.
const MOST_REASONS: usize = 12;

/// What a package's scripts come to: a FileSet of kind Files, to be written by the caller.
#[derive(Debug, Clone)]
pub struct Declared {
    /// The declarations: name `debian.org/<package>/declarations`, version `<package version>+table<N>`.
    pub record: FileSet,
    /// Directories, seed files and links.
    pub tree: Tree,
    contents: Vec<Vec<u8>>,
}

impl Declared {
    /// The contents that the Tree names beyond those of the package itself.
    pub fn contents(&self) -> impl Iterator<Item = &[u8]> {
        self.contents.iter().map(Vec::as_slice)
    }

    /// What became of the scripts.
    pub fn tier(&self) -> &ScriptTier {
        match &self.record.metadata {
            Metadata::Files(files) => &files.install.script,
            _ => &ScriptTier::None,
        }
    }
}

/// Derives a package's declarations by the table that this version of Larder comes with.
///
/// # Errors
/// A table entry that doesn't fit the package. Scripts that aren't understood are no error: the tier says so.
pub fn declare(converted: &Converted) -> Result<Declared, DebianError> {
    static BUILT_IN: LazyLock<Result<Table, String>> =
        LazyLock::new(|| Table::built_in().map_err(|error| error.to_string()));
    let table = BUILT_IN.as_ref().map_err(|problem| DebianError::Declaration {
        package: converted.record.name.short().to_owned(),
        problem: problem.clone(),
    })?;
    declare_by(converted, table)
}

/// Derives a package's declarations by another table.
///
/// # Errors
/// As [`declare`].
pub fn declare_by(converted: &Converted, table: &Table) -> Result<Declared, DebianError> {
    let package = converted.record.name.short();
    let entry = table.entry(package, &converted.record.version);
    let reviewed = entry.map_or(Ok(Effects::default()), |entry| entry.effects(package, &converted.tree))?;
    let (tier, mut effects) = derive(converted, entry, &reviewed);
    effects.overlay(reviewed.clone());
    match build::build(converted, effects, tier) {
        Ok(declared) => Ok(declared),
        // What scripts and payload ask for, no Tree or record can hold: a user of an impossible name, a path below a file.
        Err(problem) => {
            let reason = format!("what it asks for can't be declared: {problem}");
            build::build(converted, reviewed, ScriptTier::Skipped(vec![reason]))
        }
    }
    .map_err(|problem| DebianError::Declaration { package: package.to_owned(), problem })
}

/// What scripts and payload ask for, and what becomes of the scripts when the table's effects are added.
fn derive(converted: &Converted, entry: Option<&TableEntry>, reviewed: &Effects) -> (ScriptTier, Effects) {
    let package = converted.record.name.short();
    let architecture = converted.record.architecture.as_str();
    let subject = walk::Subject { package, architecture, tree: &converted.tree, texts: &converted.texts };
    let mut effects = Effects::default();
    let mut reasons = Vec::new();
    let followed: &[&str] = if entry.is_none_or(|entry| entry.follow()) { &["preinst", "postinst"] } else { &[] };
    for script in followed {
        if let Some(text) = converted.scripts.get(*script) {
            reasons.extend(walk::follow(subject, script, text, &mut effects));
        }
    }
    if entry.is_none_or(|entry| entry.units()) {
        units::read(&converted.texts, &converted.tree, &mut effects);
    }
    if entry.is_some_and(TableEntry::replaces_script) {
        reasons.clear();
    }
    let tier = match (reasons.is_empty(), effects.is_empty() && reviewed.is_empty()) {
        (false, _) => {
            let more = reasons.len().saturating_sub(MOST_REASONS);
            reasons.truncate(MOST_REASONS);
            if more > 0 {
                reasons.push(format!("… and {more} more"));
            }
            reasons.sort();
            ScriptTier::Skipped(reasons)
        }
        (true, false) => ScriptTier::Declared,
        (true, true) => ScriptTier::None,
    };
    (tier, effects)
}
