//! What a build says: written to a file while it runs, kept for as long as nobody deletes it.
//!
//! Those of packages without a name go with a garbage collection. The newest log of a package is `cache/logs/<name>.log` in the store, those of its test and of scripts end in `.test.log` and `.script.log`; `@` stands for the
//! slashes of the name.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use larder_store::{Name, RefKind, Store};

use super::error::Phase;
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

/// Where a package's log is kept.
pub(crate) fn path(host: &Host, package: &Name, phase: Phase) -> PathBuf {
    let end = match phase {
        Phase::Build => BUILD_END,
        Phase::Test => TEST_END,
        Phase::Configure | Phase::Install => SCRIPT_END,
    };
    host.store.root().join(FOLDER).join(format!("{}{end}", package.as_str().replace('/', "@")))
}

const BUILD_END: &str = ".log";
const TEST_END: &str = ".test.log";
/// Longer ones first.
const ENDS: [&str; 3] = [SCRIPT_END, TEST_END, BUILD_END];
const SCRIPT_END: &str = ".script.log";

/// Removes the logs of packages that have no name in the store.
///
/// # Errors
/// Names that can't be listed, a log that can't be removed.
pub fn sweep(store: &Store) -> Result<()> {
    let folder = store.root().join(FOLDER);
    let names = store.refs().names(RefKind::Package)?;
    for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
        let file = entry.file_name();
        let Some(name) = file.to_str().and_then(|file| ENDS.iter().find_map(|end| file.strip_suffix(end))) else {
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
