//! The recipe of a distribution: which versions of which packages, and the image that must work with them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use larder_solver::Relation;
use larder_store::{Name, Sha256Digest};
use toml::de::DeTable;

use super::packages::recipe_path;
use super::source::Source;
use super::values::{self, ValueError};
use super::{Base, CommandLine, PackagePath, Place, Problem, RecipeError, Root};

const TABLES: &[&str] = &["distribution", "test"];
const KEYS: &[&str] = &["name", "version", "summary", "homepage", "from", "packages"];
const TEST_KEYS: &[&str] = &["image", "packages", "base", "run"];

/// A recipe of a distribution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DistributionRecipe {
    /// The file that it was read from.
    pub file: PathBuf,
    /// The digest of the recipe's text.
    pub text: Sha256Digest,
    /// The distribution's name.
    pub name: Name,
    /// Its version.
    pub version: String,
    /// One line.
    pub summary: String,
    /// The project's page.
    pub homepage: Option<String>,
    /// The distributions that its packages come from, a set: sorted. Packages of one's own may come from the store alone.
    pub from: Vec<Name>,
    /// Its packages, each with its one version.
    pub packages: BTreeMap<Name, String>,
    /// What must work before it gets its name.
    pub test: DistributionTest,
}

/// An image that is built with a distribution, and what is run in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DistributionTest {
    /// The image.
    pub image: TestImage,
    /// The command that must end with 0; the image's action `validate` where there is none.
    pub run: Option<CommandLine>,
}

/// The image of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TestImage {
    /// One with a recipe of its own beside this one.
    Recipe(PackagePath),
    /// These packages and nothing else.
    Packages {
        /// The packages.
        packages: Vec<Root>,
        /// What is there besides.
        base: Base,
    },
}

impl DistributionRecipe {
    /// Parses a recipe's text. `file` is where it came from.
    ///
    /// # Errors
    /// The first thing in the text that breaks a rule, with its place.
    pub fn parse(file: &Path, text: &str) -> Result<Self, RecipeError> {
        Source { file, text }.distribution()
    }

    /// The folder that holds the recipe.
    pub fn folder(&self) -> &Path {
        match self.file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        }
    }
}

impl Source<'_> {
    fn distribution(&self) -> Result<DistributionRecipe, RecipeError> {
        let document = self.document()?;
        let document = document.get_ref();
        self.only(document, "a distribution's recipe", TABLES)?;
        let Some((header, table)) = document.get_key_value("distribution") else {
            let (table, example) = ("a distribution's recipe".to_owned(), "[distribution]");
            return Err(RecipeError::new(self.file, None, Problem::MissingIn { table, key: "distribution", example }));
        };
        let header = header.span();
        let table = self.table("distribution", table)?;
        self.only(table, "[distribution]", KEYS)?;
        let missing = |key, example| {
            self.error(header.clone(), Problem::MissingIn { table: "[distribution]".to_owned(), key, example })
        };
        let from = self.from(table)?;
        let text = |key: &'static str| table.get(key).map(|value| self.string(key, value)).transpose();
        let Some((_, test)) = document.get_key_value("test") else {
            return Err(missing("[test]", "[test], and below it: packages = [\"hello\"], run = [\"hello\"]"));
        };
        Ok(DistributionRecipe {
            file: self.file.to_owned(),
            text: self.digest(),
            name: self
                .parsed(table, "name", values::own_name)?
                .ok_or_else(|| missing("name", "name = \"example.com/stack\""))?,
            version: self
                .parsed(table, "version", values::version)?
                .ok_or_else(|| missing("version", "version = \"1.0\""))?,
            summary: self.line(text("summary")?)?.unwrap_or_default(),
            homepage: self.line(text("homepage")?)?,
            packages: self.pinned(table, &header)?,
            test: self.distribution_test(self.table("test", test)?, &from)?,
            from,
        })
    }

    /// A text of one line.
    fn line(&self, text: Option<(&str, Range<usize>)>) -> Result<Option<String>, RecipeError> {
        match text {
            Some((text, range)) if text.contains(char::is_control) => {
                Err(self.bad("summary", range, ValueError::SeveralLines))
            }
            other => Ok(other.map(|(text, _)| text.trim().to_owned())),
        }
    }

    /// `packages`: full names, each with one exact version.
    fn pinned(&self, table: &DeTable<'_>, header: &Range<usize>) -> Result<BTreeMap<Name, String>, RecipeError> {
        let example = "packages = [\"debian.org/nginx-light =1.22.1-9\"]";
        let missing = |range| {
            self.error(range, Problem::MissingIn { table: "[distribution]".to_owned(), key: "packages", example })
        };
        let Some(value) = table.get("packages") else { return Err(missing(header.clone())) };
        let mut packages = BTreeMap::new();
        for item in self.strings("packages", value)? {
            let (text, range) = item?;
            let root = larder_solver::parse_root(text).map_err(ValueError::from);
            let root = root.map_err(|source| self.bad("packages", range.clone(), source))?;
            let name = values::name(&root.name).map_err(|source| self.bad("packages", range.clone(), source))?;
            let version = match root.constraints.as_slice() {
                [(Relation::Equal, version)] => {
                    values::version(version.as_str()).map_err(|source| self.bad("packages", range.clone(), source))?
                }
                _ => return Err(self.bad("packages", range, ValueError::NotExact { text: text.to_owned() })),
            };
            if packages.insert(name.clone(), version).is_some() {
                return Err(self.bad("packages", range, ValueError::Twice { name }));
            }
        }
        if packages.is_empty() {
            return Err(missing(value.span()));
        }
        Ok(packages)
    }

    fn distribution_test(&self, table: &DeTable<'_>, from: &[Name]) -> Result<DistributionTest, RecipeError> {
        self.only(table, "[test]", TEST_KEYS)?;
        let run = table.get("run").map(|value| self.command_line("run", value)).transpose()?;
        let image = match (table.get("image"), table.get("packages")) {
            (Some(image), None) => {
                let (text, range) = self.string("image", image)?;
                let path = recipe_path(text)
                    .map_err(|reason| ValueError::RecipePath { text: text.to_owned(), reason })
                    .map_err(|source| self.bad("image", range.clone(), source))?;
                TestImage::Recipe(PackagePath { path, place: Place::new(self.text, range) })
            }
            (None, Some(value)) => {
                // The distribution itself is one of those in which short names are looked up, so that nothing is cut.
                let (packages, paths) = self.packages("packages", table, from)?;
                if let Some(path) = paths.first() {
                    return Err(RecipeError::new(
                        self.file,
                        Some(path.place.clone()),
                        Problem::WrongType { key: "packages[]".to_owned(), expected: "a string", found: "a table" },
                    ));
                }
                if run.is_none() {
                    let (table, example) = ("[test]".to_owned(), "run = [\"nginx\", \"-t\"]");
                    return Err(self.error(value.span(), Problem::MissingIn { table, key: "run", example }));
                }
                let base = self.parsed(table, "base", values::base)?.unwrap_or(Base::Essential);
                TestImage::Packages { packages, base }
            }
            _ => {
                let (table, key) = ("[test]".to_owned(), "image` or `packages");
                let example = "image = \"test\", the folder of an image's recipe, or packages = [\"hello\"] (not both)";
                return Err(RecipeError::new(self.file, None, Problem::MissingIn { table, key, example }));
            }
        };
        Ok(DistributionTest { image, run })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[distribution]\nname = \"example.com/stack\"\nversion = \"1.0\"\nfrom = \"debian.org/bookworm\"\n\
                        packages = [\"example.com/hello =2\", \"debian.org/git = 1:2.39\"]\n\
                        [test]\npackages = [\"hello\"]\nrun = [\"hello\"]\n";

    fn parse(text: &str) -> Result<DistributionRecipe, RecipeError> {
        DistributionRecipe::parse(Path::new("stack/larder.toml"), text)
    }

    #[test]
    fn versions_are_exact() {
        let recipe = parse(GOOD).expect("recipe");
        let packages: Vec<_> = recipe.packages.iter().map(|(name, version)| format!("{name} {version}")).collect();
        assert_eq!(packages, ["debian.org/git 1:2.39", "example.com/hello 2"]);
        assert_eq!(recipe.test.run, Some(CommandLine::Program(vec!["hello".to_owned()])));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (from, to, expected) in [
            (
                "example.com/hello =2",
                "example.com/hello",
                "5:13: `packages`: \"example.com/hello\" names no exact version",
            ),
            ("example.com/hello =2", "example.com/hello >=2", "names no exact version"),
            ("example.com/hello =2", "hello =2", "isn't a name"),
            ("example.com/hello =2", "debian.org/git =2", "debian.org/git is there twice"),
            ("example.com/hello =2", "example.com/hello =2 3", "is not a version"),
            ("[test]\npackages = [\"hello\"]\nrun = [\"hello\"]\n", "", "[distribution] has no `[test]`"),
            ("run = [\"hello\"]\n", "", "[test] has no `run`"),
            ("packages = [\"hello\"]\n", "", "[test] has no `image` or `packages`"),
            ("packages = [\"hello\"]\n", "image = \"/test\"\n", "\"/test\" can't be the folder of a recipe"),
            ("example.com/stack", "debian.org/stack", "can't be a name of your own"),
            ("version = \"1.0\"\n", "", "[distribution] has no `version`"),
            ("from =", "form =", "[distribution] has no key `form`"),
            ("[test]", "[tset]", "has no key `tset`"),
        ] {
            let error = parse(&GOOD.replacen(from, to, 1)).expect_err(to);
            assert!(error.to_string().contains(expected), "{error}\n  should contain\n{expected}");
        }
    }
}
