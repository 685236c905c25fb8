//! What is in an image, read from records alone: nothing is opened, mounted or unpacked.

use larder_store::fileset::{InstallRules, ScriptTier};
use larder_store::{FileSet, Import, Store};

use crate::image::declared_package;
use crate::{Error, Result};

/// A package of an image.
#[derive(Debug, Clone)]
pub struct ImagePackage {
    /// How the image imports it.
    pub import: Import,
    /// Its record.
    pub record: FileSet,
    /// The record of its declarations, where it has any.
    pub declarations: Option<FileSet>,
}

impl ImagePackage {
    /// The short name: `nginx-light` of `debian.org/nginx-light`.
    pub fn short(&self) -> &str {
        self.import.name.short()
    }

    /// What became of its maintainer scripts.
    pub fn tier(&self) -> &ScriptTier {
        let rules = self.declarations.as_ref().and_then(FileSet::install).or_else(|| self.record.install());
        static NONE: ScriptTier = ScriptTier::None;
        rules.map_or(&NONE, |rules| &rules.script)
    }

    /// Whether it says that its files go before another package's.
    pub fn replaces_files_of(&self, other: &FileSet) -> bool {
        let domain = self.import.name.domain();
        // A short name is of the package's own domain.
        let is_other = |name: &String| match name.contains('/') {
            true => *name == other.name.as_str(),
            false => domain == other.name.domain() && name == other.name.path(),
        };
        self.rules().flat_map(|rules| &rules.replaces_files_of).any(is_other)
    }

    /// The rules that hold for it: its own, and those of its declarations.
    pub fn rules(&self) -> impl Iterator<Item = &InstallRules> {
        self.record.install().into_iter().chain(self.declarations.as_ref().and_then(FileSet::install))
    }
}

/// The word for a tier in listings.
pub fn tier_word(tier: &ScriptTier) -> &'static str {
    match tier {
        ScriptTier::None => "none",
        ScriptTier::Declared => "declared",
        ScriptTier::Captured(_) => "captured",
        ScriptTier::Skipped(_) => "skipped",
    }
}

/// The packages of an image, sorted by name. Imports that are no packages are left out.
///
/// # Errors
/// A record that is missing or damaged.
pub fn packages(store: &Store, image: &FileSet) -> Result<Vec<ImagePackage>> {
    let mut packages = Vec::new();
    let mut declarations = Vec::new();
    for import in &image.imports {
        let record = store.fileset(&import.fileset)?;
        match declared_package(&import.name) {
            Some(package) => declarations.push((package.to_owned(), record)),
            None if record.package().is_some() => {
                packages.push(ImagePackage { import: import.clone(), record, declarations: None });
            }
            None => {}
        }
    }
    for (name, record) in declarations {
        let about = packages.iter_mut().find(|package| package.import.name.as_str() == name);
        let package = about.ok_or_else(|| Error::StrayDeclarations { package: name })?;
        package.declarations = Some(record);
    }
    packages.sort_by(|a, b| a.import.name.cmp(&b.import.name));
    Ok(packages)
}
