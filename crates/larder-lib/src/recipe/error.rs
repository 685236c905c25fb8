//! What can be wrong with a recipe, where, and what to do next.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::FileProblem;
use super::values::ValueError;

/// A recipe that can't be used.
///
/// `Display` is one line: `FILE:LINE:COLUMN: what is wrong`. [`RecipeError::excerpt`] shows the line itself and
/// [`RecipeError::help`] says what to do.
#[derive(Debug)]
pub struct RecipeError {
    /// The recipe.
    pub file: PathBuf,
    /// Where in it; `None` when the whole file is meant.
    pub place: Option<Place>,
    /// What is wrong.
    pub problem: Box<Problem>,
}

/// A place in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// How many characters of the line are meant; at least 1.
    pub width: usize,
    /// The whole line.
    pub text: String,
}

/// What is wrong with a recipe.
#[derive(Debug, Error)]
pub enum Problem {
    /// There is no such file.
    #[error("there is no recipe here")]
    NoRecipe,
    /// The file can't be read.
    #[error("the recipe can't be read")]
    Unreadable {
        /// The system's reason.
        source: io::Error,
    },
    /// The file is larger than [`MAX_RECIPE`](super::MAX_RECIPE).
    #[error("the recipe is larger than 1 MiB")]
    TooLarge,
    /// The file isn't UTF-8.
    #[error("the recipe isn't UTF-8 text: byte {offset} is wrong")]
    NotText {
        /// The first wrong byte, from 0.
        offset: usize,
    },
    /// The text isn't TOML.
    #[error("this isn't TOML: {reason}")]
    NotToml {
        /// The parser's words.
        reason: String,
    },
    /// A table, or a key outside all tables, that no recipe has.
    #[error("a recipe has no table [{name}]")]
    UnknownTable {
        /// What was written.
        name: String,
        /// The tables that such a recipe has.
        tables: &'static [&'static str],
        /// The one that is nearest to what was written.
        nearest: Option<&'static str>,
    },
    /// A key that its table doesn't have.
    #[error("[{table}] has no key `{key}`")]
    UnknownKey {
        /// The table.
        table: String,
        /// What was written.
        key: String,
        /// The keys that it has.
        keys: &'static [&'static str],
        /// The one that is nearest to what was written.
        nearest: Option<&'static str>,
    },
    /// A key that its table doesn't have.
    #[error("{table} has no key `{key}`")]
    UnknownIn {
        /// The table.
        table: String,
        /// What was written.
        key: String,
        /// Its keys.
        keys: &'static [&'static str],
        /// The known key that is nearest to it.
        nearest: Option<&'static str>,
    },
    /// A key that must be in a table isn't.
    #[error("{table} has no `{key}`")]
    MissingIn {
        /// The table.
        table: String,
        /// The key.
        key: &'static str,
        /// What to write, for example.
        example: &'static str,
    },
    /// A key that stands outside of its table.
    #[error("`{key}` belongs in [{table}]")]
    Misplaced {
        /// The table.
        table: &'static str,
        /// What was written.
        key: String,
    },
    /// A key that must be there isn't.
    #[error("[{table}] has no `{key}`")]
    MissingKey {
        /// The table.
        table: String,
        /// The key.
        key: &'static str,
        /// What to write, for example.
        example: &'static str,
    },
    /// The table `[image]` isn't there.
    #[error("the recipe has no table [image]")]
    MissingImage,
    /// Two tables each say what the recipe is of.
    #[error("a recipe is of one thing, and this one has both [{first}] and [{second}]")]
    TwoKinds {
        /// The one.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// A table that a package must have isn't there.
    #[error("the recipe of a package has no table [{table}]")]
    MissingTable {
        /// The table.
        table: &'static str,
        /// What to write, for example.
        example: &'static str,
    },
    /// Keys that can't stand together, or of which one is needed.
    #[error("[{table}] says {found}; it must say one of {choices}")]
    Choice {
        /// The table.
        table: &'static str,
        /// What it says.
        found: String,
        /// What it may say.
        choices: &'static str,
    },
    /// A recipe of something else than was asked for.
    #[error("this is the recipe of {found}, and {wanted} is needed here")]
    OtherKind {
        /// What it is of, with its article.
        found: &'static str,
        /// What was wanted, with its article.
        wanted: &'static str,
    },
    /// Packages are to be looked up, and nothing says where.
    #[error("[image] has no `from`, so there is no distribution to take packages from")]
    MissingFrom,
    /// A link that would lie below another one.
    #[error("{path} lies below {above}, which is to be a link")]
    BelowLink {
        /// The link.
        path: String,
        /// The other one.
        above: String,
    },
    /// Something of `[install]` that is there twice.
    #[error("[install] has {what} twice")]
    Twice {
        /// What.
        what: String,
    },
    /// A link of an alternative that is to be another link as well.
    #[error("{path} is to be a link of the alternative {name:?}, and another one of [install] as well")]
    TwoLinks {
        /// The link.
        path: String,
        /// The alternative or follower.
        name: String,
    },
    /// `run` and `[actions] start` are both there.
    #[error("`start` of [actions] is what `run` of [image] says already")]
    TwoStarts,
    /// `[test]` without a command.
    #[error("[test] has no `run`")]
    TestWithoutCommand,
    /// The `.larderignore`.
    #[error("{}: {problem}", super::IGNORE_NAME)]
    Ignore {
        /// What is wrong with it.
        problem: super::IgnoreError,
    },
    /// A value of the wrong type.
    #[error("`{key}` must be {expected}, not {found}")]
    WrongType {
        /// The key.
        key: String,
        /// The type that is wanted, with its article.
        expected: &'static str,
        /// The type that is there, with its article.
        found: &'static str,
    },
    /// A value of the right type that breaks a rule.
    #[error("`{key}`: {value}")]
    BadValue {
        /// The key.
        key: String,
        /// The rule.
        value: ValueError,
    },
    /// A key of `[files]` that isn't a path in the container.
    #[error("{path:?} can't be a path in the container: {reason}")]
    BadTarget {
        /// What was written.
        path: String,
        /// The rule that it breaks.
        reason: String,
    },
    /// A value of `[files]` that isn't a path within the recipe's folder.
    #[error("{path:?} can't be a path within the recipe's folder: {reason}")]
    BadSource {
        /// What was written.
        path: String,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// A file that the recipe names, or one in a folder that it names.
    #[error("{path}: {problem}")]
    File {
        /// The file, relative to the recipe's folder.
        path: String,
        /// What is wrong with it.
        problem: FileProblem,
    },
}

impl Problem {
    /// What to do next.
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Self::NoRecipe => format!(
                "name a folder that holds a {}, or write one: docs/recipe.md shows how",
                super::FILE_NAME
            ),
            Self::Unreadable { .. } => "check the file's permissions".to_owned(),
            Self::TooLarge | Self::NotText { .. } => "check that this is the file you mean".to_owned(),
            Self::BadValue { value, .. } => return value.help(),
            Self::File { problem, .. } => return problem.help().map(str::to_owned),
            Self::UnknownTable { nearest: Some(nearest), .. } => format!("did you mean [{nearest}]?"),
            Self::UnknownTable { nearest: None, tables, .. } => {
                format!("the tables are {}", list(tables.iter().map(|t| format!("[{t}]"))))
            }
            Self::UnknownKey { nearest: Some(nearest), .. } => format!("did you mean `{nearest}`?"),
            Self::UnknownKey { nearest: None, keys, .. } => {
                format!("its keys are {}", list(keys.iter().map(|&key| format!("`{key}`"))))
            }
            Self::UnknownIn { nearest: Some(nearest), .. } => format!("did you mean `{nearest}`?"),
            Self::UnknownIn { keys, .. } => format!("its keys are {}", list(keys.iter().map(|key| format!("`{key}`")))),
            Self::MissingIn { example, .. } => format!("write, for example: {example}"),
            Self::Misplaced { table, key } => format!("move the line with `{key}` below the line [{table}]"),
            Self::MissingKey { example, .. } => format!("add a line such as: {example}"),
            Self::MissingImage => {
                "begin the recipe with the line [image], or [package] for something to build, then: name = \"example.com/web\""
                    .to_owned()
            }
            Self::TwoKinds { .. } => "put each into a folder of its own".to_owned(),
            Self::MissingTable { table, example } => format!("add the line [{table}], and below it such as: {example}"),
            Self::Choice { .. } => return None,
            Self::OtherKind { .. } => "name the folder of the other recipe".to_owned(),
            Self::MissingFrom => {
                "add a line such as: from = \"debian.org/bookworm\" (an image of your own files alone says base = \"none\")"
                    .to_owned()
            }
            Self::Twice { .. } | Self::TwoLinks { .. } => "leave one of the two out, or give it another path".to_owned(),
            Self::BelowLink { .. } => "write the path that it really has, behind the other link".to_owned(),
            Self::TwoStarts => "leave one of the two out".to_owned(),
            Self::TestWithoutCommand => "add a line such as: run = \"nginx -t\"".to_owned(),
            Self::Ignore { .. } => "its patterns are those of .gitignore: docs/recipe.md".to_owned(),
            Self::NotToml { .. } | Self::WrongType { .. } => return None,
            Self::BadTarget { .. } => "write it as an absolute path, such as \"/etc/nginx/nginx.conf\"".to_owned(),
            Self::BadSource { .. } => {
                "put the file into the recipe's folder and name it relative to that folder, such as \"site/index.html\""
                    .to_owned()
            }
        })
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

impl RecipeError {
    pub(crate) fn new(file: &Path, place: Option<Place>, problem: Problem) -> Self {
        Self { file: file.to_owned(), place, problem: Box::new(problem) }
    }

    /// What to do next.
    pub fn help(&self) -> Option<String> {
        self.problem.help()
    }

    /// The line that is meant, marked, in three lines of plain text; empty when the whole file is meant.
    pub fn excerpt(&self) -> String {
        self.place.as_ref().map(Place::excerpt).unwrap_or_default()
    }
}

impl std::error::Error for RecipeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The problem's own words are in `Display` already.
        match &*self.problem {
            Problem::File { problem, .. } => problem.source(),
            problem => problem.source(),
        }
    }
}

impl fmt::Display for RecipeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(place) = &self.place {
            write!(f, "{}:{}:", place.line, place.column)?;
        }
        write!(f, " {}", self.problem)
    }
}

impl Place {
    /// The place of a byte range in a text. A range that spans lines is cut at the end of its first line.
    pub(crate) fn new(text: &str, range: Range<usize>) -> Self {
        let start = floor(text, range.start);
        let end = floor(text, range.end.max(start));
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        Self {
            line: text[..line_start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            width: text[start..end.min(line_end).max(start)].chars().count().max(1),
            text: text[line_start..line_end].trim_end().to_owned(),
        }
    }

    /// The line with its number, and a mark below what is meant.
    pub fn excerpt(&self) -> String {
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        // Tabs stay tabs, so that the mark stands below what it marks on any terminal.
        let indent: String =
            self.text.chars().take(self.column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        format!("{gutter} |\n{number} | {}\n{gutter} | {indent}{}", self.text, "^".repeat(self.width))
    }
}

fn floor(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0)
}
