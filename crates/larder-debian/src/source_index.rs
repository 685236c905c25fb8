//! Source packages: what a suite's signed index of sources lists.
//!
//! An index `Sources` is read as a stream and nothing is made from it: it is asked for one package when a recipe's lock doesn't
//! name its files yet. Of its stanzas only the four fields are read that say which files a package has.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use larder_store::{Sha256Digest, TreePath};

use crate::error::DebianError;
use crate::index::{MAX_LIST, decoded};

/// A line may not be longer.
const MAX_LINE: u64 = 1 << 20;
/// A package may not have more files.
const MAX_FILES: usize = 64;
/// None may be larger.
const MAX_FILE: u64 = 16 << 30;

/// A source package, and what vouches for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePackage {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The suite that lists it.
    pub suite: String,
    /// SHA-256 of the suite's release file.
    pub release: Sha256Digest,
    /// Fingerprint of the certificate that signed that, upper-case hexadecimal.
    pub signer: String,
    /// SHA-256 of the index of sources, as fetched.
    pub index: Sha256Digest,
    /// Its files; one of them is the `.dsc`.
    pub files: Vec<SourceFile>,
}

/// A file of a source package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Its path in the archive: `pool/main/h/hello/hello_2.10-3.dsc`.
    pub path: String,
    /// Its length in bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Sha256Digest,
}

impl SourceFile {
    /// Its name without folders.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

/// The versions of a package that an index lists, each with its files.
pub(crate) type Listed = Vec<(String, Vec<SourceFile>)>;

/// Looks a package up in an index that was fetched (and verified) to `compressed`; `place` names the index in errors.
pub(crate) fn look_up(compressed: &Path, place: &str, package: &str) -> Result<Listed, DebianError> {
    read(decoded(compressed, place)?, package).map_err(|error| match error {
        Broken::Read(error) => DebianError::io("decompress", compressed)(error),
        Broken::Line(line, problem) => {
            DebianError::Syntax { place: place.to_owned(), line, problem: problem.to_owned() }
        }
    })
}

/// What ends reading.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The stream itself.
    Read(io::Error),
    /// A line that can't be.
    Line(usize, &'static str),
}

/// The fields of a stanza that matter here.
#[derive(Default)]
struct Stanza {
    package: String,
    version: String,
    directory: String,
    files: Vec<(Sha256Digest, u64, String)>,
}

/// Reads all stanzas about a package.
pub(crate) fn read(list: impl Read, package: &str) -> Result<Listed, Broken> {
    let mut input = BufReader::with_capacity(1 << 17, list.take(MAX_LIST));
    let mut found = Vec::new();
    let (mut stanza, mut line, mut number) = (Stanza::default(), Vec::new(), 0);
    let mut in_files = false;
    loop {
        line.clear();
        number += 1;
        let length = (&mut input).take(MAX_LINE).read_until(b'\n', &mut line).map_err(Broken::Read)?;
        let text = std::str::from_utf8(&line).map_err(|_| Broken::Line(number, "it is not UTF-8"))?;
        if length as u64 == MAX_LINE {
            return Err(Broken::Line(number, "it is too long"));
        }
        let text = text.trim_end();
        if text.is_empty() {
            let done = std::mem::take(&mut stanza);
            if done.package == package {
                found.push(finish(done).map_err(|problem| Broken::Line(number, problem))?);
            }
            if length == 0 {
                return Ok(found);
            }
            in_files = false;
            continue;
        }
        let wrong = |problem| Broken::Line(number, problem);
        if text.starts_with([' ', '\t']) {
            // Those of other packages are nobody's business.
            if in_files && stanza.package == package {
                stanza.files.push(file(text).map_err(wrong)?);
            }
            continue;
        }
        let (name, value) = text.split_once(':').ok_or(wrong("it is no field (there is no colon)"))?;
        let value = value.trim();
        in_files = name.eq_ignore_ascii_case("Checksums-Sha256");
        let field = match name.to_ascii_lowercase().as_str() {
            "package" => &mut stanza.package,
            "version" => &mut stanza.version,
            "directory" => &mut stanza.directory,
            _ => continue,
        };
        if !field.is_empty() {
            return Err(wrong("the field is there twice"));
        }
        value.clone_into(field);
    }
}

/// A line of the list of files: digest, size and name.
fn file(line: &str) -> Result<(Sha256Digest, u64, String), &'static str> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [digest, size, name] = words.as_slice() else { return Err("a file is digest, size and name") };
    let digest = Sha256Digest::from_hex(digest).map_err(|_| "the digest is not a SHA-256")?;
    let digits = size.bytes().all(|byte| byte.is_ascii_digit());
    let size = size.parse().ok().filter(|size| digits && *size <= MAX_FILE).ok_or("the size is absurd")?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._+~:%-".contains(&byte);
    if name.starts_with(['.', '-']) || !name.bytes().all(plain) || name.len() > 255 {
        return Err("the name of a file is none");
    }
    Ok((digest, size, (*name).to_owned()))
}

fn finish(stanza: Stanza) -> Result<(String, Vec<SourceFile>), &'static str> {
    let Stanza { version, directory, files, .. } = stanza;
    if larder_store::name::check_version(&version).is_err() {
        return Err("the stanza that ends here has no version that is one");
    }
    // The archive's other folders are for indexes.
    if !directory.starts_with("pool/") || TreePath::try_from(directory.as_str()).is_err() {
        return Err("the stanza that ends here has no folder that is one");
    }
    let descriptions = files.iter().filter(|(_, _, name)| name.ends_with(".dsc")).count();
    if descriptions != 1 || files.len() > MAX_FILES {
        return Err("the stanza that ends here has not one .dsc, or too many files");
    }
    let mut names: Vec<&String> = files.iter().map(|(_, _, name)| name).collect();
    names.sort();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err("the stanza that ends here has a file twice");
    }
    let file = |(sha256, size, name): (Sha256Digest, u64, String)| SourceFile {
        path: format!("{directory}/{name}"),
        size,
        sha256,
    };
    Ok((version, files.into_iter().map(file).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANZAS: &str = include_str!("../../../fuzz/seeds/source-index/hello");

    #[test]
    fn the_files_of_one_package_are_found() {
        let found = read(STANZAS.as_bytes(), "hello").expect("an index");
        let [(version, files)] = &found[..] else { panic!("{found:?}") };
        assert_eq!(version, "2.10-3");
        let names: Vec<_> = files.iter().map(SourceFile::name).collect();
        assert_eq!(names, ["hello_2.10-3.dsc", "hello_2.10.orig.tar.gz", "hello_2.10-3.debian.tar.xz"]);
        assert_eq!(files[1].path, "pool/main/h/hello/hello_2.10.orig.tar.gz");
        assert_eq!(files[1].size, 725_946);
        assert_eq!(read(STANZAS.as_bytes(), "hallo").expect("an index"), []);
    }

    #[test]
    fn what_no_index_has_is_refused() {
        for (from, to) in [
            ("Version: 2.10-3\n", ""),
            ("Directory: pool/main/h/hello\n", "Directory: ../../etc\n"),
            ("Directory: pool/main/h/hello\n", "Directory: pool/../../etc\n"),
            ("Directory: pool/main/h/hello\n", "Directory: dists/bookworm\n"),
            ("hello_2.10-3.dsc", "../hello_2.10-3.dsc"),
            ("hello_2.10-3.dsc", "-x.dsc"),
            ("hello_2.10-3.dsc", "hello_2.10-3.desc"),
            ("hello_2.10.orig.tar.gz", "hello_2.10-3.debian.tar.xz"),
            (" 725946 ", " 99999999999999 "),
            (" 725946 ", " +725946 "),
            (" 725946 ", " "),
            ("Package: hello\n", "Package: hello\nPackage: hello\n"),
            ("Directory:", "Directory"),
        ] {
            assert!(STANZAS.contains(from), "{from}");
            assert!(read(STANZAS.replace(from, to).as_bytes(), "hello").is_err(), "{from} -> {to}");
        }
    }
}
