//! What a build says: written to a file while it runs, kept for as long as nobody deletes it.
//!
//! Those of packages without a name go with a garbage collection. The newest log of a package is `cache/logs/<name>.log` in the store, that of its test `cache/logs/<name>.test.log`, that
//! of the last time that it was made again `cache/logs/<name>.again.log`, that of scripts `cache/logs/<name>.script.log`, with `@` for the slashes of the name.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use larder_store::{Name, RefKind, Store};

use super::sandbox::PROMPT;
use crate::{Error, Host, Result, container};

/// The longest log; a build that says more is stopped.
pub(super) const LONGEST: u64 = 256 << 20;
/// How many of its last lines an error shows, and of how many bytes each.
const LINES: usize = 30;
const LINE: usize = 200;
/// How much of a log's end is looked at.
const END: u64 = 64 << 10;

/// A log that is being written.
pub(super) struct Log {
    file: File,
    path: PathBuf,
}

/// The end of a finished log.
pub(super) struct Said(String);

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

/// Removes the logs of packages that have no name in the store.
///
/// # Errors
/// Names that can't be listed, a log that can't be removed.
pub fn sweep(store: &Store) -> Result<()> {
    let folder = store.root().join(FOLDER);
    let names = store.refs().names(RefKind::Package)?;
    for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
        let file = entry.file_name();
        let name = file.to_str().and_then(|file| Of::ALL.into_iter().find_map(|of| file.strip_suffix(of.end())));
        let Some(name) = name else {
            continue;
        };
        if names.binary_search(&name.replace('@', "/")).is_err() {
            fs::remove_file(entry.path()).map_err(Error::io("remove", &entry.path()))?;
        }
    }
    Ok(())
}

impl Log {
    pub(super) fn create(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        let path = folder.join(format!("log-{}", container::new_id()?));
        let file = File::options().read(true).append(true).create_new(true).open(&path);
        Ok(Self { file: file.map_err(Error::io("create", &path))?, path })
    }

    /// A stream that goes to it.
    pub(super) fn stream(&self) -> Result<OwnedFd> {
        Ok(self.file.try_clone().map_err(Error::io("open", &self.path))?.into())
    }

    pub(super) fn is_too_long(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| metadata.len() > LONGEST)
    }

    /// Gives it its name, and reads its end.
    pub(super) fn keep(&self, path: &Path) -> Result<(PathBuf, Said)> {
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
    pub(super) fn last_lines(&self) -> Vec<String> {
        let lines: Vec<&str> = self.0.lines().collect();
        let plain = |line: &&str| -> String {
            line.chars().filter(|c| !c.is_control() || *c == '\t').take(LINE).collect::<String>().trim_end().to_owned()
        };
        lines[lines.len().saturating_sub(LINES)..].iter().map(plain).collect()
    }

    /// The last command that the shell showed, as code.
    pub(super) fn last_command(&self) -> Option<String> {
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
