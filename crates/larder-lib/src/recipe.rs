//! The recipe, `larder.toml`: what a person writes to say what an image is.
//!
//! A recipe is parsed once, here, into types that can't be wrong. Whatever it breaks is an error that points at the
//! line. The files that it names are read by [`Recipe::read_files`] and never through a path that leads outside its
//! folder. `docs/recipe.md` describes every key.
//!
//! Absent on purpose: variables, includes, conditions and shell. A recipe says what, not how.

mod actions;
pub mod distribution;
mod document;
mod error;
pub(crate) mod files;
mod host;
mod ignore;
pub mod package;
mod packages;
mod parse;
mod source;
#[cfg(test)]
mod tests;
mod values;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use larder_store::fileset::{Actions, Override};
use larder_store::name::NameError;
use larder_store::{Name, Sha256Digest, TreePath};

pub use actions::{CommandLine, TestTable};
pub use distribution::DistributionRecipe;
pub use document::Document;
pub use error::{Place, Problem, RecipeError};
pub use files::{ContentError, FileProblem, Keep};
pub use host::{HostTable, HostValueError};
pub(crate) use ignore::Ignored;
pub use ignore::{IGNORE_NAME, IgnoreError};
pub use larder_solver::{Base, Root};
pub use package::PackageRecipe;
pub use packages::PackagePath;
pub use values::{EnvironmentName, StopSignal, UserSpec, ValueError, WorkDir, base_word};

/// The recipe's name inside its folder.
pub const FILE_NAME: &str = "larder.toml";
/// The lock's name inside the recipe's folder.
pub const LOCK_NAME: &str = "larder.lock";
/// The largest recipe that is read.
pub const MAX_RECIPE: u64 = 1 << 20;

/// A recipe of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// The file that it was read from.
    pub file: PathBuf,
    /// SHA-256 of its text, for statements about what was made of it.
    pub text: Sha256Digest,
    /// The image's name.
    pub name: Name,
    /// The image's version ([`check_version`](larder_store::name::check_version)).
    pub version: String,
    /// The distributions in which short names are looked up, a set: sorted. Not empty whenever there is something to look up.
    pub from: Vec<Name>,
    /// What is imported besides the named packages and what they require.
    pub base: Base,
    /// The packages, a set: sorted, without repetition, each with its constraints in one order.
    pub packages: Vec<Root>,
    /// Packages of Debian's whose maintainer scripts' work is captured, a set: short names, sorted.
    pub captured: Vec<String>,
    /// Packages whose recipes are beside this one, and are built first.
    pub paths: Vec<PackagePath>,
    /// Which packages stand in for others, a set: sorted.
    pub overrides: Vec<Override>,
    /// Whether recommended packages are imported too.
    pub recommends: bool,
    /// The program and its arguments; empty when the image has no default command.
    pub run: Vec<String>,
    /// Variables of the process's environment.
    pub env: BTreeMap<EnvironmentName, String>,
    /// As whom to run; root when absent.
    pub user: Option<UserSpec>,
    /// The directory to start in; `/` when absent.
    pub workdir: Option<WorkDir>,
    /// The signal that asks the program to end; `SIGTERM` when absent.
    pub stop_signal: Option<StopSignal>,
    /// Free-form words about the image, for people and tools.
    pub labels: BTreeMap<String, String>,
    /// Where its documentation is: a set of addresses, instead of those of its packages.
    pub documentation: Vec<String>,
    /// What it asks of the host.
    pub host: HostTable,
    /// What can be done with it when it runs, besides [`Recipe::run`], which is its `start`.
    pub actions: Actions,
    /// What must pass before it gets its name.
    pub test: Option<TestTable>,
    /// The image's own files: path in the container -> path within the folder (`.` is the folder itself).
    pub files: BTreeMap<TreePath, FileSource>,
}

/// Where a file or folder of `[files]` comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSource {
    /// Relative to the recipe's folder, without `..`; `.` is the folder itself.
    pub path: String,
    /// Where the recipe says so, for errors.
    pub place: Option<Place>,
}

impl Recipe {
    /// Reads the recipe at `path`, which is a folder with a [`FILE_NAME`] in it or the file itself.
    ///
    /// # Errors
    /// A file that is missing, unreadable or too large, and whatever [`Recipe::parse`] refuses.
    pub fn load(path: &Path) -> Result<Self, RecipeError> {
        let (file, text) = text_at(path)?;
        Self::parse(&file, &text)
    }

    /// Parses a recipe's text. `file` is where it came from: it names the file in errors, and its parent is the
    /// recipe's folder.
    ///
    /// # Errors
    /// The first thing in the text that breaks a rule, with its place.
    pub fn parse(file: &Path, text: &str) -> Result<Self, RecipeError> {
        parse::recipe(file, text)
    }

    /// The recipe of an image of packages and nothing else, which nobody wrote and nobody can name.
    ///
    /// # Errors
    /// None: its name is one.
    pub(crate) fn of_packages(from: Name, packages: Vec<Root>) -> Result<Self, NameError> {
        let of = (Name::parse("host.internal/packages")?, "1".to_owned());
        Ok(Self::bare(of, vec![from], packages))
    }

    /// The recipe of an image of that name and version that is its packages and the base.
    pub(crate) fn bare((name, version): (Name, String), from: Vec<Name>, packages: Vec<Root>) -> Self {
        Self {
            file: PathBuf::from(FILE_NAME),
            text: Sha256Digest::from_bytes([0; 32]),
            name,
            version,
            from,
            base: Base::Essential,
            packages,
            captured: Vec::new(),
            paths: Vec::new(),
            overrides: Vec::new(),
            recommends: false,
            run: Vec::new(),
            env: BTreeMap::new(),
            user: None,
            workdir: None,
            stop_signal: None,
            labels: BTreeMap::new(),
            documentation: Vec::new(),
            host: HostTable::default(),
            actions: Actions::new(),
            test: None,
            files: BTreeMap::new(),
        }
    }

    /// The folder that holds the recipe; sources of [`Recipe::files`] are relative to it.
    pub fn folder(&self) -> &Path {
        folder_of(&self.file)
    }

    /// Where the recipe's lock is.
    pub fn lock_file(&self) -> PathBuf {
        self.folder().join(LOCK_NAME)
    }

    /// Takes in the packages whose recipes were built: from here on they are asked for by their names.
    pub fn with_built<'a>(&mut self, built: impl IntoIterator<Item = &'a Name>) {
        self.packages.extend(built.into_iter().map(|name| Root::any(name.as_str())));
        self.packages.sort_by_cached_key(ToString::to_string);
        self.packages.dedup();
        self.paths.clear();
    }

    /// What the solver is asked, as lines in a fixed order. The lock remembers them, so that it can say what in the
    /// recipe changed after it was written. Everything that can't change the set of packages is absent.
    pub fn solver_inputs(&self) -> Vec<String> {
        let mut lines = vec![format!("base {}", base_word(self.base))];
        lines.extend(self.from.iter().map(|from| format!("from {from}")));
        lines.extend(self.packages.iter().map(|root| format!("package {root}")));
        lines.extend(self.overrides.iter().map(|Override { of, by, forced }| match forced {
            None => format!("override {of} by {by}"),
            Some(reason) => format!("override {of} by {by}, forced: {reason}"),
        }));
        lines.extend(self.captured.iter().map(|name| format!("captured {name}")));
        if self.recommends {
            lines.push("recommends".to_owned());
        }
        lines
    }
}

/// The folder that holds a recipe.
fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// The file that `path`, a folder or the recipe itself, means, and its text.
fn text_at(path: &Path) -> Result<(PathBuf, String), RecipeError> {
    let file = if path.is_dir() { path.join(FILE_NAME) } else { path.to_owned() };
    let text = read_text(&file).map_err(|problem| RecipeError::new(&file, None, problem))?;
    Ok((file, text))
}

fn read_text(file: &Path) -> Result<String, Problem> {
    let unreadable = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Problem::NoRecipe,
        _ => Problem::Unreadable { source },
    };
    let mut bytes = Vec::new();
    // A named pipe must not keep the build waiting for somebody to write a recipe into it.
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let opened = File::options().read(true).custom_flags(nonblocking).open(file).map_err(unreadable)?;
    if !opened.metadata().map_err(unreadable)?.is_file() {
        return Err(unreadable(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file")));
    }
    opened.take(MAX_RECIPE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_RECIPE {
        return Err(Problem::TooLarge);
    }
    String::from_utf8(bytes).map_err(|error| Problem::NotText { offset: error.utf8_error().valid_up_to() })
}
