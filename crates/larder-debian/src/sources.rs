//! Where the archive is: the machine's apt sources.
//!
//! apt reads `sources.list` and `sources.list.d/*.list` (one line a source) and `sources.list.d/*.sources` (deb822), and so
//! do we, from a folder that the caller names. Only the mirror and the keyring are taken from there; `Trusted: yes` is
//! not honoured, because nothing unsigned is ever used. [`locate()`] then picks the mirrors for one
//! suite; no address is built in.

mod deb822;
mod list;
mod locate;

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::DebianError;

#[cfg(any(test, fuzzing))]
pub(crate) use deb822::parse as parse_deb822;
#[cfg(any(test, fuzzing))]
pub(crate) use list::parse as parse_list;
pub use locate::{KeySource, Mirror, Part, Place, locate};

/// One enabled binary source (`deb`) of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// File and line, for messages.
    pub place: String,
    /// Addresses, without a slash at the end.
    pub uris: Vec<String>,
    /// Suites, as written.
    pub suites: Vec<String>,
    /// Components; empty for a flat repository.
    pub components: Vec<String>,
    /// Architectures it is limited to; empty means all.
    pub architectures: Vec<String>,
    /// Keys it is limited to.
    pub signed_by: Option<SignedBy>,
}

/// The `Signed-By` option of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignedBy {
    /// Keyring files.
    Files(Vec<PathBuf>),
    /// An armoured key written in the source itself.
    Inline(String),
    /// Fingerprints of keys in the system's keyrings.
    Fingerprints(Vec<String>),
}

impl SignedBy {
    /// Reads the value of the option: absolute paths, fingerprints or an armoured key.
    fn parse(value: &str) -> Option<Self> {
        if value.contains("-----BEGIN PGP PUBLIC KEY BLOCK-----") {
            let lines: Vec<&str> =
                value.lines().map(str::trim).map(|line| if line == "." { "" } else { line }).collect();
            return Some(Self::Inline(lines.join("\n").trim_start().to_owned() + "\n"));
        }
        let words: Vec<&str> = value.split([' ', '\t', '\n', ',']).filter(|word| !word.is_empty()).collect();
        if words.is_empty() {
            return None;
        }
        if words.iter().all(|word| word.starts_with('/')) {
            return Some(Self::Files(words.into_iter().map(PathBuf::from).collect()));
        }
        // A mark alone stays as it is, and is no key's fingerprint. Without it the source would be limited to nothing that can be named.
        let fingerprint = |word: &str| match word.trim_end_matches('!') {
            "" => word.to_owned(),
            print => print.to_ascii_uppercase(),
        };
        Some(Self::Fingerprints(words.into_iter().map(fingerprint).collect()))
    }
}

/// Reads all enabled binary sources of an apt folder (normally `/etc/apt`), in apt's order. A folder without sources gives
/// none.
///
/// # Errors
/// A file that can't be read, or that apt could not read either.
pub fn read(apt: &Path) -> Result<Vec<Source>, DebianError> {
    let mut files = vec![apt.join("sources.list")];
    let parts = apt.join("sources.list.d");
    match fs::read_dir(&parts) {
        Ok(entries) => {
            let mut found = Vec::new();
            for entry in entries {
                found.push(entry.map_err(DebianError::io("list", &parts))?.path());
            }
            found.sort();
            files.append(&mut found);
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(DebianError::io("list", &parts)(error)),
    }
    let mut sources = Vec::new();
    for file in files {
        let parse = match file.extension().and_then(|extension| extension.to_str()) {
            Some("list") => list::parse,
            Some("sources") => deb822::parse,
            _ => continue,
        };
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(DebianError::io("read", &file)(error)),
        };
        for mut source in parse(&text, &file.display().to_string())? {
            source.uris = expand_mirror_lists(apt, source.uris)?;
            sources.push(source);
        }
    }
    Ok(sources)
}

/// Replaces `mirror+file:` addresses by those that the file lists, and takes the slash from the end of all. A path below
/// `/etc/apt` is looked up in the given folder.
fn expand_mirror_lists(apt: &Path, uris: Vec<String>) -> Result<Vec<String>, DebianError> {
    let mut all = Vec::new();
    for uri in uris {
        let listed = uri.strip_prefix("mirror+file:").or_else(|| uri.strip_prefix("mirror:file:"));
        let Some(listed) = listed else {
            all.push(uri.trim_end_matches('/').to_owned());
            continue;
        };
        let path = Path::new("/").join(listed.trim_start_matches('/'));
        let path = path.strip_prefix("/etc/apt").map_or_else(|_| path.clone(), |rest| apt.join(rest));
        let text = fs::read_to_string(&path).map_err(DebianError::io("read", &path))?;
        for line in text.lines() {
            let address = line.split_whitespace().next().unwrap_or_default();
            if !address.is_empty() && !address.starts_with('#') {
                all.push(address.trim_end_matches('/').to_owned());
            }
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
