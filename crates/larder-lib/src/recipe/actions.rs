//! `[actions]`, what can be done with what a recipe makes, and `[test]`, what must pass before it gets its name. Both tables
//! are the same in every kind of recipe.

use larder_store::Name;
use larder_store::fileset::{ACTIONS, Actions};
use toml::de::DeTable;

use super::source::{Source, Value};
use super::{RecipeError, Root, ValueError, values};

/// The keys of `[test]`.
const TEST_KEYS: &[&str] = &["run", "with"];

/// What `[test]` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TestTable {
    /// The program and its arguments.
    pub run: Vec<String>,
    /// The packages that are there for the test alone: a set, as those of the image are.
    pub with: Vec<Root>,
}

impl Source<'_> {
    /// Reads `[actions]`.
    pub(super) fn actions(&self, table: &DeTable<'_>) -> Result<Actions, RecipeError> {
        self.only_keys("actions", table, ACTIONS)?;
        let known = ACTIONS.iter().filter_map(|&action| Some((action, table.get(action)?)));
        known.map(|(action, value)| Ok((action.to_owned(), self.command(action, value)?))).collect()
    }

    /// Reads `[test]`. Short names of `with` are looked up in `from`.
    pub(super) fn test(&self, table: &DeTable<'_>, from: Option<&Name>) -> Result<TestTable, RecipeError> {
        self.only_keys("test", table, TEST_KEYS)?;
        let run = table.get("run").map_or(Ok(Vec::new()), |value| self.command("run", value))?;
        let mut with = Vec::new();
        if let Some(value) = table.get("with") {
            for item in self.strings("with", value)? {
                let (text, range) = item?;
                with.push(values::root(text, from).map_err(|source| self.bad("with", range, source))?);
            }
        }
        with.sort_by_cached_key(ToString::to_string);
        with.dedup();
        Ok(TestTable { run, with })
    }

    /// A program and its arguments.
    pub(super) fn command(&self, key: &'static str, value: &Value<'_>) -> Result<Vec<String>, RecipeError> {
        let words = self
            .strings(key, value)?
            .map(|item| {
                let (text, range) = item?;
                self.without_nul(key, text, range)
            })
            .collect::<Result<Vec<_>, _>>()?;
        match words.first() {
            Some(program) if !program.is_empty() => Ok(words),
            _ => Err(self.bad(key, value.span(), ValueError::EmptyCommand)),
        }
    }
}
