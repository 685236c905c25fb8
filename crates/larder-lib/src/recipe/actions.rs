//! `[actions]`, what can be done with what a recipe makes, and `[test]`, what must pass before it gets its name. Both tables
//! are the same in every kind of recipe.

use std::fmt;
use std::ops::Range;

use larder_store::Name;
use larder_store::fileset::{ACTIONS, Actions};
use toml::de::DeTable;

use super::source::{Source, Value};
use super::{Problem, RecipeError, Root, ValueError, values};

/// The keys of `[test]`.
const TEST_KEYS: &[&str] = &["run", "with"];

/// Something to run, as a recipe writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandLine {
    /// A line for the shell, which ends with the first command of it that fails and shows each before it runs.
    Shell(String),
    /// A program and its arguments; not empty.
    Program(Vec<String>),
}

impl CommandLine {
    /// The program and its arguments, the shell for a line.
    pub fn words(&self) -> Vec<String> {
        match self {
            Self::Shell(line) => ["/bin/sh", "-exc", line].map(str::to_owned).into(),
            Self::Program(words) => words.clone(),
        }
    }
}

impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shell(line) => f.write_str(line.trim()),
            Self::Program(words) => f.write_str(&words.join(" ")),
        }
    }
}

/// What `[test]` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestTable {
    /// What must end with 0.
    pub run: CommandLine,
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

    /// Reads `[test]`, whose first line is at `place`. Short names of `with` are looked up in `from`.
    pub(super) fn test(
        &self,
        place: Range<usize>,
        table: &DeTable<'_>,
        from: &[Name],
    ) -> Result<TestTable, RecipeError> {
        self.only_keys("test", table, TEST_KEYS)?;
        let Some(run) = table.get("run") else { return Err(self.error(place, Problem::TestWithoutCommand)) };
        let run = self.command_line("run", run)?;
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

    /// A line for the shell, or a program and its arguments.
    pub(super) fn command_line(&self, key: &'static str, value: &Value<'_>) -> Result<CommandLine, RecipeError> {
        if !value.get_ref().is_str() && !value.get_ref().is_array() {
            return Err(self.wrong_type(key, "a line for the shell or a list of strings", value));
        }
        if value.get_ref().is_array() {
            return Ok(CommandLine::Program(self.command(key, value)?));
        }
        let (line, range) = self.string(key, value)?;
        match line.trim() {
            "" => Err(self.bad(key, range, ValueError::Empty)),
            _ => Ok(CommandLine::Shell(self.without_nul(key, line, range)?)),
        }
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
