//! Which kind of thing a recipe is of: the table that names it decides.

use std::path::Path;

use super::source::Source;
use super::{DistributionRecipe, PackageRecipe, Recipe, RecipeError, package, text_at};

/// A recipe of whatever kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Document {
    /// `[image]`: something to run.
    Image(Box<Recipe>),
    /// `[package]`: something to build.
    Package(Box<PackageRecipe>),
    /// `[distribution]`: packages that work together.
    Distribution(Box<DistributionRecipe>),
}

impl Document {
    /// Reads the recipe at `path`, which is a folder with a [`FILE_NAME`](super::FILE_NAME) in it or the file itself.
    ///
    /// # Errors
    /// A file that is missing, unreadable or too large, and whatever its kind's parser refuses.
    pub fn load(path: &Path) -> Result<Self, RecipeError> {
        let (file, text) = text_at(path)?;
        Self::parse(&file, &text)
    }

    /// Parses a recipe's text; `file` is where it came from.
    ///
    /// # Errors
    /// The first thing in the text that breaks a rule, with its place.
    pub fn parse(file: &Path, text: &str) -> Result<Self, RecipeError> {
        let document = Source { file, text }.document()?;
        if document.get_ref().get("package").is_some() {
            return package::parse(file, text).map(|recipe| Self::Package(Box::new(recipe)));
        }
        if document.get_ref().get("distribution").is_some() {
            return DistributionRecipe::parse(file, text).map(|recipe| Self::Distribution(Box::new(recipe)));
        }
        Recipe::parse(file, text).map(|recipe| Self::Image(Box::new(recipe)))
    }
}
