//! What a build or test says: written to a file while it runs, kept for as long as nobody deletes it.
//!
//! Those of what has no name any more go with a garbage collection. In the folder `cache/logs` of the store the newest log of a package is
//! `<name>.log`, that of a test, of an image's or distribution's too, `<name>.test.log`, that of the last time that a package was made again
//! `<name>.again.log`, and that of scripts `<name>.script.log`, with `@` for the slashes of the name.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use larder_store::{Name, RefKind, Store};

use super::sandbox::PROMPT;
use crate::recipe::CommandLine;
use crate::{Error, Host, Result, container};

/// The longest log; a build that says more is stopped.
pub(super) const LONGEST: u64 = 256 << 20;
/// How many of its last lines an error shows, and of how many bytes each.
const LINES: usize = 30;
const LINE: usize = 200;
/// How much of a log's end is looked at.
const END: u64 = 64 << 10;

/// A log that is being written.
pub(crate) struct Log {
    file: File,
    path: PathBuf,
}

/// The end of a finished log.
pub(crate) struct Said(String);

/// Where logs are, in the store.
const FOLDER: &str = "cache/logs";

/// Of what a log is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Of {
    /// A build.
    Build,
    /// The test of what was built.
    Test,
    /// A build that is only compared.
    Again,
    /// Maintainer scripts, or a package's own.
    Script,
}

impl Of {
    /// All, longer ends first.
    const ALL: [Self; 4] = [Self::Script, Self::Again, Self::Test, Self::Build];

    fn end(self) -> &'static str {
        match self {
            Self::Build => ".log",
            Self::Test => ".test.log",
            Self::Again => ".again.log",
            Self::Script => ".script.log",
        }
    }
}

/// Where a package's log is kept.
pub(crate) fn path(host: &Host, package: &Name, of: Of) -> PathBuf {
    host.store.root().join(FOLDER).join(format!("{}{}", package.as_str().replace('/', "@"), of.end()))
}

/// Removes the logs of what has no name in the store.
///
/// # Errors
/// Names that can't be listed, a log that can't be removed.
pub fn sweep(store: &Store) -> Result<()> {
    let folder = store.root().join(FOLDER);
    let mut names = BTreeSet::new();
    for kind in [RefKind::Package, RefKind::Image, RefKind::Distribution] {
        names.extend(store.refs().names(kind)?);
    }
    for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
        let file = entry.file_name();
        let name = file.to_str().and_then(|file| Of::ALL.into_iter().find_map(|of| file.strip_suffix(of.end())));
        let Some(name) = name else {
            continue;
        };
        if !names.contains(&name.replace('@', "/")) {
            fs::remove_file(entry.path()).map_err(Error::io("remove", &entry.path()))?;
        }
    }
    Ok(())
}

impl Log {
    pub(crate) fn create(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        let path = folder.join(format!("log-{}", container::new_id()?));
        let file = File::options().read(true).append(true).create_new(true).open(&path);
        Ok(Self { file: file.map_err(Error::io("create", &path))?, path })
    }

    /// A stream that goes to it.
    pub(crate) fn stream(&self) -> Result<OwnedFd> {
        Ok(self.file.try_clone().map_err(Error::io("open", &self.path))?.into())
    }

    pub(super) fn is_too_long(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| metadata.len() > LONGEST)
    }

    /// Gives it its name, and reads its end.
    pub(crate) fn keep(&self, path: &Path) -> Result<(PathBuf, Said)> {
        let folder = path.parent().unwrap_or(path);
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        let said = self.end().map_err(Error::io("read", &self.path))?;
        fs::rename(&self.path, path).map_err(Error::io("rename a file to", path))?;
        Ok((path.to_owned(), Said(said)))
    }

    fn end(&self) -> std::io::Result<String> {
        let mut file = &self.file;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(END)))?;
        let mut bytes = Vec::new();
        file.take(END).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // Usually it has its name by now.
        let _ = fs::remove_file(&self.path);
    }
}

impl Said {
    /// The last lines, without what a terminal would do with them.
    pub(crate) fn last_lines(&self) -> Vec<String> {
        let lines: Vec<&str> = self.0.lines().collect();
        let plain = |line: &&str| -> String {
            line.chars().filter(|c| !c.is_control() || *c == '\t').take(LINE).collect::<String>().trim_end().to_owned()
        };
        lines[lines.len().saturating_sub(LINES)..].iter().map(plain).collect()
    }

    /// What ran last, as code: of a line for the shell the last command that it showed.
    pub(crate) fn command(&self, command: &CommandLine) -> String {
        match command {
            CommandLine::Shell(_) => self.last_command().unwrap_or_else(|| "the command".to_owned()),
            CommandLine::Program(_) => format!("`{command}`"),
        }
    }

    /// The last command that the shell showed, as code.
    fn last_command(&self) -> Option<String> {
        let line = self.0.lines().rev().find_map(|line| line.strip_prefix(PROMPT))?;
        let shown: String = line.chars().filter(|c| !c.is_control()).take(LINE).collect();
        Some(format!("`{}`", shown.trim()))
    }

    pub(super) fn names_a_full_disk(&self) -> bool {
        self.0.contains("No space left on device")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_log_says_what_failed() {
        let said = Said("larder$ make\ncc -c x.c\n+ inner\nlarder$ make \u{1b}[1minstall\nx: not found\n".to_owned());
        assert_eq!(said.last_command().as_deref(), Some("`make [1minstall`"));
        assert_eq!(said.last_lines().last().map(String::as_str), Some("x: not found"));
        assert_eq!(Said(String::new()).last_command(), None);
        let long = Said("y\n".repeat(100));
        assert_eq!(long.last_lines().len(), LINES);
    }
}
