//! `.larderignore`: what of the recipe's folder is no part of anything, in the syntax of `.gitignore`.
//!
//! There is one, in the recipe's folder, and its patterns are relative to that folder. It is looked at for what stands *in* a
//! folder that is copied: what the recipe names itself, file or folder, is meant.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use thiserror::Error;

/// Its name inside the recipe's folder.
pub const IGNORE_NAME: &str = ".larderignore";
/// The largest that is read.
const MAX: u64 = 1 << 20;

/// Why a `.larderignore` can't be used.
#[derive(Debug, Error)]
pub enum IgnoreError {
    /// It can't be read.
    #[error("it can't be read: {0}")]
    Read(std::io::Error),
    /// It is larger than a mebibyte.
    #[error("it is larger than 1 MiB")]
    TooLarge,
    /// It isn't UTF-8.
    #[error("it isn't UTF-8 text: byte {0} is wrong")]
    NotText(usize),
    /// A pattern that isn't one.
    #[error("line {line}: {reason}")]
    Pattern {
        /// The line, from 1.
        line: usize,
        /// The parser's words.
        reason: String,
    },
}

/// What is left out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ignored(Option<Gitignore>);

impl Ignored {
    /// Reads the file in the recipe's folder, where there is one.
    pub(crate) fn read(folder: BorrowedFd<'_>) -> Result<Self, IgnoreError> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let opened = match openat2(folder, IGNORE_NAME, flags, Mode::empty(), ResolveFlags::BENEATH) {
            Ok(opened) => File::from(opened),
            Err(Errno::NOENT) => return Ok(Self::default()),
            Err(error) => return Err(IgnoreError::Read(error.into())),
        };
        if !opened.metadata().map_err(IgnoreError::Read)?.is_file() {
            return Err(IgnoreError::Read(std::io::Error::other("it is no regular file")));
        }
        let mut bytes = Vec::new();
        opened.take(MAX + 1).read_to_end(&mut bytes).map_err(IgnoreError::Read)?;
        if bytes.len() as u64 > MAX {
            return Err(IgnoreError::TooLarge);
        }
        let text = std::str::from_utf8(&bytes).map_err(|error| IgnoreError::NotText(error.valid_up_to()))?;
        Self::parse(text)
    }

    /// Understands its text.
    pub(crate) fn parse(text: &str) -> Result<Self, IgnoreError> {
        let mut builder = GitignoreBuilder::new("");
        // An editor of another system begins the file with a mark.
        for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let wrong = |error: ignore::Error| IgnoreError::Pattern { line: index + 1, reason: error.to_string() };
            builder.add_line(None, line).map_err(wrong)?;
        }
        let rules = builder.build().map_err(|error| IgnoreError::Pattern { line: 1, reason: error.to_string() })?;
        Ok(Self((!rules.is_empty()).then_some(rules)))
    }

    /// Whether an entry of a copied folder is left out. `path` is relative to the recipe's folder; what stands in a folder that is left out is
    /// not asked about.
    pub(crate) fn covers(&self, path: &[u8], is_folder: bool) -> bool {
        let Some(rules) = &self.0 else { return false };
        rules.matched(Path::new(OsStr::from_bytes(path)), is_folder).is_ignore()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_gits() {
        let text = "# comment\n*.o\n/build/\nsite/*.tmp\n!keep.o\n**/cache\n\\#odd\n\n";
        let ignored = Ignored::parse(text).expect("patterns");
        for (path, is_folder, expected) in [
            ("a.o", false, true),
            ("site/deep/a.o", false, true),
            ("keep.o", false, false),
            ("site/keep.o", false, false),
            ("build", true, true),
            ("build", false, false),
            ("site/build", true, false),
            ("site/x.tmp", false, true),
            ("site/deep/x.tmp", false, false),
            ("site/deep/cache", true, true),
            ("#odd", false, true),
            ("comment", false, false),
        ] {
            assert_eq!(ignored.covers(path.as_bytes(), is_folder), expected, "{path}");
        }
        assert!(Ignored::parse("\n# nothing\n").expect("no patterns").0.is_none());
        assert!(ignored.covers(b"\xff.o", false), "names that aren't text");
    }

    #[test]
    fn a_wrong_pattern_is_told_with_its_line() {
        let error = Ignored::parse("*.o\n[z-a]\n").expect_err("a wrong pattern").to_string();
        assert!(error.starts_with("line 2: "), "{error}");
    }
}
