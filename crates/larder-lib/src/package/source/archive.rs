//! A source that is fetched as one file: kept as it is, or unpacked where its name says that it is an archive.

use std::collections::BTreeMap;
use std::fs::File;

use larder_debian::deb::{DebError, Kind};
use larder_debian::progress::Progress;
use larder_debian::{fetch as client, tarball};
use larder_store::{Attributes, Entry, Ingest, Sha256Digest, TreeBuilder, TreePath};

use super::Sources;
use super::publisher::{Publisher, Signed};
use super::zip::{self, ZipError};
use crate::package::PackageError;
use crate::{Error, Host, Result, image};

/// The ends of names by which archives are known.
const SUFFIXES: &[&str] = &[".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.zst", ".tzst", ZIP];
const ZIP: &str = ".zip";
/// Archives that are known and can't be unpacked.
const UNKNOWN: &[&str] = &[".tar.bz2", ".tbz2", ".tar.lz", ".7z", ".rar"];

/// By which its address says that a file is an archive; empty for a file that is kept as it is.
pub(super) fn suffix(url: &str) -> &'static str {
    let name = file_name(url);
    SUFFIXES
        .iter()
        .filter(|suffix| name.len() > suffix.len() && name.ends_with(**suffix))
        .max_by_key(|s| s.len())
        .copied()
        .unwrap_or("")
}

fn file_name(url: &str) -> &str {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    path.rsplit('/').find(|part| !part.is_empty()).unwrap_or(path)
}

pub(super) fn fetch(
    host: &Host,
    ingest: &Ingest<'_>,
    (url, sha256): (&str, &Sha256Digest),
    by: Option<(String, Publisher)>,
    progress: &dyn Progress,
) -> Result<Sources> {
    let name = file_name(url);
    if let Some(suffix) = UNKNOWN.iter().find(|suffix| name.ends_with(**suffix)) {
        let reason = format!("archives that end in {suffix} aren't known; .tar.gz, .tar.xz, .tar.zst and .zip are");
        return Err(PackageError::Archive { source_name: url.to_owned(), reason }.into());
    }
    let path = file(host, (url, sha256), progress)?;
    let signed = by.map(|(uri, publisher)| {
        let signer = publisher.check(host, url, &path)?;
        Ok::<_, Error>(Signed { uri, publisher, signer })
    });
    let signed = signed.transpose()?;
    let mut file = File::open(&path).map_err(Error::io("open", &path))?;
    let sources = match suffix(url) {
        "" => {
            let (digest, size) = ingest.write_object(&mut file, u64::MAX)?;
            let mut tree = TreeBuilder::new();
            let path = TreePath::try_from(name).map_err(larder_store::tree::TreeError::from)?;
            tree.insert(path, Entry::File { digest, size, executable: false }, Attributes::default())?;
            let tree = tree.finish()?;
            let time = image::own_time(&tree.digest());
            Sources { tree, time, signed: None }
        }
        ZIP => unzip(ingest, url, &file)?,
        suffix => unpack(ingest, url, suffix, file)?,
    };
    // The store has it now; a file that stays is only a file in the cache.
    let _ = std::fs::remove_file(&path);
    Ok(Sources { signed, ..sources })
}

/// Fetches a file into the cache.
///
/// # Errors
/// [`PackageError::SourceDigest`]; [`PackageError::NotFetched`].
pub(crate) fn file(
    host: &Host,
    (url, sha256): (&str, &Sha256Digest),
    progress: &dyn Progress,
) -> Result<std::path::PathBuf> {
    client::fetch_source(&host.debian, url, sha256, progress).map_err(|error| match error {
        larder_debian::DebianError::SourceDigest { url, expected, received } => {
            PackageError::SourceDigest { url, expected, received }.into()
        }
        source => PackageError::NotFetched { url: url.to_owned(), source: Box::new(source) }.into(),
    })
}

fn unpack(ingest: &Ingest<'_>, url: &str, suffix: &str, file: File) -> Result<Sources> {
    let mut entries: BTreeMap<TreePath, Entry> = BTreeMap::new();
    let mut links: Vec<(TreePath, TreePath)> = Vec::new();
    let mut time = 0;
    let compression = match suffix {
        ".tgz" => ".gz",
        ".txz" => ".xz",
        ".tzst" => ".zst",
        other => other.strip_prefix(".tar").unwrap_or(""),
    };
    tarball::walk::<Error>(file, compression, &mut |header, content| {
        let wrong = |problem| {
            let path = String::from_utf8_lossy(&header.path).into_owned();
            Error::from(PackageError::ArchiveEntry { source_name: url.to_owned(), path, problem })
        };
        let normal = |path: &[u8]| -> Result<Option<TreePath>> {
            let path = path.strip_prefix(b"./").unwrap_or(path);
            let path = path.strip_suffix(b"/").unwrap_or(path);
            if path.is_empty() || path == b"." {
                return Ok(None);
            }
            TreePath::new(path).map(Some).map_err(|error| wrong(error.reason))
        };
        let Some(path) = normal(&header.path)? else { return Ok(()) };
        time = time.max(header.mtime);
        let entry = match &header.kind {
            Kind::Directory => Entry::Directory,
            Kind::File => {
                let (digest, size) = ingest.write_object(content, header.size)?;
                Entry::File { digest, size, executable: header.mode & 0o100 != 0 }
            }
            Kind::Symlink(target) => Entry::Symlink { target: target.clone().into() },
            Kind::HardLink(target) => {
                let target = normal(target)?.ok_or_else(|| wrong("a hard link to the archive's root"))?;
                links.push((path, target));
                return Ok(());
            }
            Kind::Special => return Err(wrong("a device or a named pipe")),
        };
        match entries.insert(path, entry.clone()) {
            Some(before) if before != entry => Err(wrong("twice and with different content")),
            _ => Ok(()),
        }
    })
    .map_err(|error| match error {
        Error::Deb(reason) => unreadable(url, &reason),
        other => other,
    })?;
    for (path, target) in links {
        let linked = entries.get(&target).filter(|entry| matches!(entry, Entry::File { .. })).cloned();
        let problem = "a hard link to something that isn't in the archive";
        let name = path.to_string();
        let entry =
            linked.ok_or_else(|| PackageError::ArchiveEntry { source_name: url.to_owned(), path: name, problem })?;
        entries.insert(path, entry);
    }
    Ok(Sources { tree: stripped(entries)?, time, signed: None })
}

fn unzip(ingest: &Ingest<'_>, url: &str, file: &File) -> Result<Sources> {
    let length = file.metadata().map_err(Error::io("look at", std::path::Path::new(url)))?.len();
    let reader = rawzip::FileReader::from(file.try_clone().map_err(Error::io("open", std::path::Path::new(url)))?);
    let unpacked = zip::read(reader, length, &mut |content, most| ingest.write_object(content, most));
    let zip::Unpacked { entries, time } = unpacked.map_err(|error| match error {
        ZipError::Archive(reason) => PackageError::Archive { source_name: url.to_owned(), reason }.into(),
        ZipError::Entry { path, problem } => {
            PackageError::ArchiveEntry { source_name: url.to_owned(), path, problem }.into()
        }
        ZipError::Store(error) => Error::Store(error),
    })?;
    Ok(Sources { tree: stripped(entries)?, time, signed: None })
}

fn unreadable(url: &str, reason: &DebError) -> Error {
    let mut text = reason.to_string();
    let mut cause = std::error::Error::source(reason);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    PackageError::Archive { source_name: url.to_owned(), reason: text }.into()
}

/// The entries as a tree. Where all of them are in one folder, as archives of sources usually have it, that folder is left out.
fn stripped(entries: BTreeMap<TreePath, Entry>) -> Result<larder_store::Tree> {
    let top = |path: &TreePath| path.as_bytes().split(|&b| b == b'/').next().unwrap_or_default().to_vec();
    let first = entries.keys().next().map(top);
    let one_folder = first.filter(|first| {
        entries.iter().all(|(path, entry)| {
            top(path) == *first && (path.as_bytes() != first.as_slice() || *entry == Entry::Directory)
        })
    });
    let mut tree = TreeBuilder::new();
    for (path, entry) in entries {
        let path = match &one_folder {
            None => path,
            Some(top) if path.as_bytes().len() == top.len() => continue,
            Some(top) => {
                TreePath::new(&path.as_bytes()[top.len() + 1..]).map_err(larder_store::tree::TreeError::from)?
            }
        };
        tree.insert(path, entry, Attributes::default())?;
    }
    Ok(tree.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_are_known_by_their_names() {
        for (url, expected) in [
            ("https://example.com/hello-2.12.tar.gz", ".tar.gz"),
            ("https://example.com/hello.tgz?download=1", ".tgz"),
            ("https://example.com/hello.tar", ".tar"),
            ("https://example.com/hello-1.zip", ".zip"),
            ("https://example.com/hello-2.12/", ""),
            ("https://example.com/.tar.gz", ""),
            ("https://example.com/hello.c", ""),
        ] {
            assert_eq!(suffix(url), expected, "{url}");
        }
    }

    #[test]
    fn one_folder_is_left_out() {
        let path = |text: &str| TreePath::try_from(text).expect("a path");
        let link = || Entry::Symlink { target: (*b"x").into() };
        let tree = |paths: &[&str]| {
            let entries = paths.iter().map(|text| {
                (path(text.trim_end_matches('/')), if text.ends_with('/') { Entry::Directory } else { link() })
            });
            let tree = stripped(entries.collect()).expect("a tree");
            tree.entries().iter().map(|entry| entry.path.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(tree(&["a/", "a/b", "a/c/", "a/c/d"]), ["b", "c", "c/d"]);
        assert_eq!(tree(&["a/b", "a/c"]), ["b", "c"]);
        assert_eq!(tree(&["a/b", "c"]), ["a", "a/b", "c"]);
        assert_eq!(tree(&["a"]), ["a"]);
    }
}
