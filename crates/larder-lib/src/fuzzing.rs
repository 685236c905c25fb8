//! What the fuzz targets call: each takes any bytes and panics where something that must hold doesn't.

use std::path::Path;

use larder_store::json;

use crate::config::Settings;
use crate::keys::{PublicKey, SecretKey};
use crate::lock::{Lock, LockDiff};
use crate::provenance::envelope::Envelope;
use crate::provenance::statement::Statement;
use crate::recipe::package::{PackageRecipe, Requirement, SourceSpec};
use crate::recipe::{Document, Recipe};

pub use crate::deep::fuzzing::{compiled, described, jar};
pub use crate::import::fuzzing::layers;
pub use crate::verify::fuzzing::{elf, shebang};

/// A recipe is refused with a place that can be shown, or names only paths within its folder and outside of what is the
/// kernel's.
pub fn recipe(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Document::parse(Path::new("recipe/larder.toml"), text) {
        Err(error) => {
            assert!(error.to_string().starts_with("recipe/larder.toml"));
            _ = (error.excerpt(), error.help());
        }
        Ok(Document::Package(recipe)) => package(&recipe),
        Ok(Document::Distribution(recipe)) => {
            assert!(!recipe.packages.is_empty());
            assert!(recipe.packages.iter().all(|(name, version)| name.mount_path(version).is_ok()));
        }
        Ok(Document::Image(recipe)) => {
            let recipe: &Recipe = &recipe;
            assert_eq!(recipe.solver_inputs(), recipe.solver_inputs());
            assert!(recipe.paths.iter().all(|beside| !beside.path.starts_with('/') && !beside.path.is_empty()));
            assert!(
                recipe.overrides.iter().all(|stated| stated.of != stated.by && stated.forced.as_deref() != Some(""))
            );
            assert!(recipe.run.iter().all(|word| !word.contains('\0')));
            for (target, source) in &recipe.files {
                let top = target.as_bytes().split(|&b| b == b'/').next().unwrap_or_default();
                assert!(![b"packages".as_slice(), b"proc", b"sys", b"dev"].contains(&top));
                assert!(!source.path.starts_with('/') && !source.path.split('/').any(|part| part == ".."));
            }
        }
    }
}

/// A zip archive of sources ([`crate::package`]).
pub fn zip(bytes: &[u8]) {
    crate::package::fuzz_zip(bytes);
}

/// What a package says of itself can be written into its record, and its sources are in its folder.
fn package(recipe: &PackageRecipe) {
    if let Some(SourceSpec::Path(source)) = &recipe.source {
        assert!(!source.path.starts_with('/') && !source.path.split('/').any(|part| part == ".."));
    }
    for requirement in &recipe.relations.requires {
        assert!(requirement.parts().iter().all(|part| Requirement::from_part(&recipe.name, part).is_some()));
    }
    for split in recipe.splits.values() {
        assert!(!split.paths.is_empty());
        _ = split.paths.iter().filter(|glob| glob.matches(b"usr/include/a.h")).count();
    }
    assert!(!recipe.build.run.contains('\0') && recipe.build.timeout.as_secs() > 0);
}

/// A lock is refused, or is the same when written and read again.
pub fn lock(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let file = Path::new("larder.lock");
    match Lock::parse(file, text) {
        Err(error) => assert!(error.to_string().starts_with("larder.lock")),
        Ok(lock) => {
            let written = lock.to_text();
            let again = Lock::parse(file, &written).expect("what was written is a lock");
            assert_eq!(again, lock);
            assert_eq!(again.to_text(), written);
            assert_eq!(Lock::diff(&lock, &again), LockDiff::default());
        }
    }
}

/// A configuration is refused, or says where an absolute store is.
pub fn settings(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Settings::parse(Path::new("config.toml"), text) {
        Err(error) => assert!(error.to_string().starts_with("the configuration config.toml")),
        Ok(settings) => assert!(settings.root.is_none_or(|root| root.is_absolute())),
    }
}

/// An envelope is refused, or is the same when written and read again; and so is the statement that it holds, or that the bytes
/// are.
pub fn envelope(bytes: &[u8]) {
    let statement = |bytes: &[u8]| {
        if let Ok(statement) = Statement::decode(bytes) {
            assert_eq!(statement.encode(), bytes);
            assert!(!statement.facts.subjects.is_empty() && statement.is_same(&statement));
        }
    };
    statement(bytes);
    let Ok(value) = json::decode(bytes) else { return };
    if let Ok(envelope) = Envelope::from_json(&value) {
        assert_eq!(envelope.to_json(), value);
        statement(&envelope.payload);
    }
}

/// A key is refused with the file's name, or is the same when written and read again.
pub fn key(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let file = Path::new("key.pem");
    match PublicKey::from_pem(file, text) {
        Err(error) => assert!(error.to_string().starts_with("key.pem is no public key: ")),
        Ok(key) => assert_eq!(PublicKey::from_pem(file, &key.to_pem()).expect("what was written is a key"), key),
    }
    if let Err(error) = SecretKey::parse(file, text) {
        assert!(!error.to_string().is_empty());
    }
}

#[cfg(test)]
mod tests {
    use larder_testkit::hostile::feed;

    #[test]
    fn what_people_write_is_refused_with_a_place() {
        feed("lock", 2000, super::lock);
        feed("recipe", 3000, super::recipe);
        feed("settings", 3000, super::settings);
    }

    #[test]
    fn what_is_signed_is_read_in_one_form() {
        feed("envelope", 3000, super::envelope);
        feed("key", 3000, super::key);
    }

    #[test]
    fn programs_are_read_within_their_bounds() {
        feed("elf", 8000, super::elf);
        feed("shebang", 8000, super::shebang);
    }

    #[test]
    fn layers_are_applied_or_refused() {
        feed("layers", 4000, super::layers);
        feed("zip", 4000, super::zip);
    }

    #[test]
    fn what_is_compiled_in_is_read_within_bounds() {
        feed("compiled", 4000, super::compiled);
        feed("described", 4000, super::described);
        feed("jar", 4000, super::jar);
    }
}
