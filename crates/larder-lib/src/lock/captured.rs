//! What was captured of a package's scripts, as a lock pins it: by digest, and file by file, so that people see in a difference what
//! changed, and a capture that came out otherwise can be told apart.

use std::collections::BTreeSet;

use larder_debian::capture::RULE;
use larder_store::{Entry, FileSetDigest, Store};

use crate::Result;

/// What was captured of a package's scripts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedCapture {
    /// The FileSet that stands in the place of the package's declarations.
    pub fileset: FileSetDigest,
    /// The rule by which it was captured, such as `capture/1`.
    pub rule: String,
    /// Its files, one a line: path, mode, owner and group, content.
    pub files: Vec<String>,
}

impl LockedCapture {
    /// What is pinned of a FileSet.
    ///
    /// # Errors
    /// A store that doesn't have it.
    pub fn of(store: &Store, fileset: &FileSetDigest) -> Result<Self> {
        let record = store.fileset(fileset)?;
        let tree = store.tree(&record.tree)?;
        let line = |entry: &larder_store::tree::TreeEntry| {
            let name = |name: &Option<String>| name.clone().unwrap_or_else(|| "root".to_owned());
            let content = match &entry.entry {
                Entry::Directory => "folder".to_owned(),
                Entry::Symlink { target } => format!("-> {}", crate::capture::shown_target(target)),
                Entry::File { digest, .. } => digest.to_string(),
            };
            let path = crate::capture::shown_path(entry.path.as_bytes());
            let attributes = &entry.attributes;
            let (owner, group) = (name(&attributes.owner), name(&attributes.group));
            format!("{path} {:04o} {owner}:{group} {content}", entry.mode())
        };
        let is_told =
            |entry: &&larder_store::tree::TreeEntry| entry.entry != Entry::Directory || !entry.attributes.is_default();
        let files = tree.entries().iter().filter(is_told).map(line).collect();
        Ok(Self { fileset: *fileset, rule: RULE.to_owned(), files })
    }

    /// The first thing in which another capture differs, in words.
    pub(crate) fn difference(&self, other: &Self) -> String {
        let (then, now): (BTreeSet<&str>, BTreeSet<&str>) =
            (self.files.iter().map(String::as_str).collect(), other.files.iter().map(String::as_str).collect());
        let path = |line: &str| line.split(' ').next().unwrap_or(line).to_owned();
        let has = |lines: &BTreeSet<&str>, wanted: &str| lines.iter().any(|line| path(line) == wanted);
        match then.symmetric_difference(&now).next() {
            Some(line) => match path(line) {
                first if !has(&now, &first) => format!("{first} is missing"),
                first if !has(&then, &first) => format!("{first} is new"),
                first => format!("{first} is another"),
            },
            None if self.rule != other.rule => format!("it was captured by {}, and this is {}", self.rule, other.rule),
            None => "its files are the same, what its record says isn't".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_file_that_differs_is_named() {
        let capture = |files: &[&str]| LockedCapture {
            fileset: FileSetDigest::of(b""),
            rule: RULE.to_owned(),
            files: files.iter().map(|&line| line.to_owned()).collect(),
        };
        let then = capture(&["/etc/a 0644 root:root 1", "/etc/b 0644 root:root 1"]);
        let difference = |files: &[&str]| then.difference(&capture(files));
        assert_eq!(difference(&["/etc/a 0644 root:root 2", "/etc/b 0644 root:root 1"]), "/etc/a is another");
        assert_eq!(difference(&["/etc/a 0644 root:root 1"]), "/etc/b is missing");
        assert_eq!(
            difference(&["/etc/a 0644 root:root 1", "/etc/a+ 0644 root:root 1", "/etc/b 0644 root:root 1"]),
            "/etc/a+ is new"
        );
        assert!(difference(&["/etc/a 0644 root:root 1", "/etc/b 0644 root:root 1"]).contains("record"));
        assert!(then.difference(&LockedCapture { rule: "capture/0".to_owned(), ..then.clone() }).contains("capture/0"));
    }
}
