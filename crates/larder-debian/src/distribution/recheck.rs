//! What vouched for a package, checked again from what the cache still has.
//!
//! A statement beside the package names a `.deb`, the package list that listed it, and the release file that vouched for that
//! list. The archive replaces the latter two four times a day. The cache keeps each release file that something rests on, and the lists
//! of a week; so the signature can always be checked again, and the whole chain for a while.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use larder_store::Sha256Digest;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::cached::{Folder, kept_release};
use crate::archive_file::ArchiveFile;
use crate::config::Config;
use crate::error::{DebianError, ReleaseRefusal};
use crate::index::{self, Index};
use crate::release::{Keyring, Release};
use crate::source_index::{self, SourceFile};
use crate::sources::{Part, locate};

/// What became of a link of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// It holds.
    Holds,
    /// The cache doesn't have it any more.
    NotKept,
    /// It doesn't hold.
    Broken(ChainBreak),
}

/// Why a link doesn't hold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChainBreak {
    /// A package list has other bytes than its name says.
    #[error("the package list {list} was altered in the cache")]
    List {
        /// The list that it should be.
        list: Sha256Digest,
    },
    /// A package list doesn't list the package.
    #[error("the package list {list} doesn't list {package} {version}")]
    NotListed {
        /// The list.
        list: Sha256Digest,
        /// The package.
        package: String,
        /// Its version.
        version: String,
    },
    /// A package list lists another file under the name and version.
    #[error("the package list {list} lists another file: {listed}")]
    OtherFile {
        /// The list.
        list: Sha256Digest,
        /// The file that it lists.
        listed: Sha256Digest,
    },
    /// A release file has other bytes than its name says.
    #[error("the release file {release} was altered in the cache")]
    Altered {
        /// The release file that it should be.
        release: Sha256Digest,
    },
    /// The release file's signature doesn't hold.
    #[error("the release file {release} is refused: {reason}")]
    Release {
        /// The release file.
        release: Sha256Digest,
        /// Why.
        reason: ReleaseRefusal,
    },
    /// Another key than the statement names has signed the release.
    #[error("the release file {release} is signed by {found}")]
    OtherSigner {
        /// The release file.
        release: Sha256Digest,
        /// Who signed it.
        found: String,
    },
    /// The release file doesn't vouch for the list.
    #[error("the release file {release} doesn't list the package list {list}")]
    OtherList {
        /// The release file.
        release: Sha256Digest,
        /// The list.
        list: Sha256Digest,
    },
}

/// What could be checked again about one package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rechecked {
    /// That the package list lists the `.deb`.
    pub list: Link,
    /// That the release file lists the package list, and is signed by the key that the statement names.
    pub release: Link,
}

/// What a statement says of a source package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceClaim {
    /// Its name.
    pub package: String,
    /// Its version.
    pub version: String,
    /// The suite that listed it.
    pub suite: String,
    /// SHA-256 of that suite's release file.
    pub release: Sha256Digest,
    /// Fingerprint of the certificate that signed it.
    pub signer: String,
    /// SHA-256 of the index of sources.
    pub index: Sha256Digest,
    /// Its files, by their paths in the archive.
    pub files: Vec<(String, Sha256Digest)>,
}

/// A release file whose signature holds, or why the link is broken.
type Opened = Result<Release, ChainBreak>;

/// Checks packages again. What it has read is kept for the next.
#[derive(Debug)]
pub struct Rechecker<'c> {
    config: &'c Config,
    lists: BTreeMap<Sha256Digest, Result<Option<Index>, ChainBreak>>,
    releases: BTreeMap<(String, Sha256Digest), Option<Opened>>,
}

impl<'c> Rechecker<'c> {
    /// Checks by what is in this cache and the keys that are trusted now.
    pub fn new(config: &'c Config) -> Self {
        Self { config, lists: BTreeMap::new(), releases: BTreeMap::new() }
    }

    /// Checks what vouched for a file.
    ///
    /// # Errors
    /// I/O; no keyring.
    pub fn recheck(&mut self, file: &ArchiveFile) -> Result<Rechecked, DebianError> {
        Ok(Rechecked { list: self.listed(file)?, release: self.vouched(file)? })
    }

    /// Checks what vouched for a source package.
    ///
    /// # Errors
    /// I/O; no keyring.
    pub fn recheck_source(&mut self, source: &SourceClaim) -> Result<Rechecked, DebianError> {
        let release = self.vouched_by((&source.suite, &source.release), (&source.index, &source.signer))?;
        Ok(Rechecked { list: self.listed_source(source)?, release })
    }

    fn listed_source(&self, source: &SourceClaim) -> Result<Link, DebianError> {
        let list = source.index;
        let Some(path) = self.find(&list)? else { return Ok(Link::NotKept) };
        if digest(&path)? != list {
            return Ok(Link::Broken(ChainBreak::List { list }));
        }
        let found = source_index::look_up(&path, &path.display().to_string(), &source.package)?;
        let (package, version) = (source.package.clone(), source.version.clone());
        let Some((_, files)) = found.into_iter().find(|(found, _)| *found == version) else {
            return Ok(Link::Broken(ChainBreak::NotListed { list, package, version }));
        };
        let is_claimed = |file: &&SourceFile| source.files.contains(&(file.path.clone(), file.sha256));
        Ok(match files.iter().find(|file| !is_claimed(file)) {
            Some(other) => Link::Broken(ChainBreak::OtherFile { list, listed: other.sha256 }),
            None if files.len() == source.files.len() => Link::Holds,
            None => Link::Broken(ChainBreak::NotListed { list, package, version }),
        })
    }

    fn listed(&mut self, file: &ArchiveFile) -> Result<Link, DebianError> {
        let list = file.index;
        if !self.lists.contains_key(&list) {
            let opened = self.open(&list)?;
            self.lists.insert(list, opened);
        }
        let index = match self.lists.get(&list) {
            Some(Ok(Some(index))) => index,
            Some(Err(broken)) => return Ok(Link::Broken(broken.clone())),
            Some(Ok(None)) | None => return Ok(Link::NotKept),
        };
        let mut other = None;
        for number in index.candidates(&file.name) {
            let (info, location) = (index.package(number), index.location(number));
            if (info.version, info.architecture) != (file.version.as_str(), file.architecture.as_str()) {
                continue;
            }
            if (location.sha256, location.size) == (file.sha256, file.size) {
                return Ok(Link::Holds);
            }
            other = Some(location.sha256);
        }
        Ok(Link::Broken(match other {
            Some(listed) => ChainBreak::OtherFile { list, listed },
            None => ChainBreak::NotListed { list, package: file.name.clone(), version: file.version.clone() },
        }))
    }

    /// The index that was made from a list, if the list is still here with its bytes.
    fn open(&self, list: &Sha256Digest) -> Result<Result<Option<Index>, ChainBreak>, DebianError> {
        let Some(path) = self.find(list)? else { return Ok(Ok(None)) };
        if digest(&path)? != *list {
            return Ok(Err(ChainBreak::List { list: *list }));
        }
        let url = path.display().to_string();
        index::open_or_build(&self.config.cache.join("indexes"), list, || Ok((path, url))).map(|index| Ok(Some(index)))
    }

    fn find(&self, list: &Sha256Digest) -> Result<Option<PathBuf>, DebianError> {
        let (folder, hex) = (self.config.cache.join("lists"), list.hex());
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            entries => entries.map_err(DebianError::io("list", &folder))?,
        };
        for entry in entries {
            let path = entry.map_err(DebianError::io("list", &folder))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            // Not what is still on its way.
            if name.strip_prefix(&hex).is_some_and(|form| form.starts_with('.') && !form.ends_with(".part")) {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    fn vouched(&mut self, file: &ArchiveFile) -> Result<Link, DebianError> {
        self.vouched_by((&file.suite, &file.release), (&file.index, &file.signer))
    }

    /// Whether a suite's release file lists a list, and is signed by a key.
    fn vouched_by(
        &mut self,
        (suite, wanted): (&str, &Sha256Digest),
        (list, signer): (&Sha256Digest, &str),
    ) -> Result<Link, DebianError> {
        let release = *wanted;
        let key = (suite.to_owned(), release);
        if !self.releases.contains_key(&key) {
            let opened = self.release(suite, &release)?;
            self.releases.insert(key.clone(), opened);
        }
        let opened = match self.releases.get(&key) {
            Some(Some(Ok(opened))) => opened,
            Some(Some(Err(broken))) => return Ok(Link::Broken(broken.clone())),
            Some(None) | None => return Ok(Link::NotKept),
        };
        if opened.signer != signer {
            return Ok(Link::Broken(ChainBreak::OtherSigner { release, found: opened.signer.clone() }));
        }
        if !opened.files.values().any(|listed| listed.sha256 == *list) {
            return Ok(Link::Broken(ChainBreak::OtherList { release, list: *list }));
        }
        Ok(Link::Holds)
    }

    /// A release file that is kept, judged by the keys that are trusted for its suite now.
    fn release(&self, suite: &str, wanted: &Sha256Digest) -> Result<Option<Opened>, DebianError> {
        // The name comes from a statement, and stands in a path.
        if super::check_name(suite).is_err() {
            return Ok(None);
        }
        let folder = Folder::new(&self.config.cache, suite);
        let path = kept_release(&self.config.cache, wanted);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            bytes => Some(bytes.map_err(DebianError::io("read", &path))?),
        };
        let is_wanted = |bytes: &[u8]| Sha256::digest(bytes)[..] == wanted.as_bytes()[..];
        let bytes = match bytes {
            Some(bytes) if is_wanted(&bytes) => bytes,
            Some(_) => return Ok(Some(Err(ChainBreak::Altered { release: *wanted }))),
            None => match folder.read_release()?.filter(|bytes| is_wanted(bytes)) {
                Some(bytes) => bytes,
                None => return Ok(None),
            },
        };
        let part = if suite.ends_with("-security") { Part::Security } else { Part::Main };
        let place = locate(self.config, suite, part)?;
        let state = folder.read_state();
        let from = place.mirrors.iter().find(|mirror| mirror.url == state.mirror).or(place.mirrors.first());
        let Some(from) = from else { return Ok(None) };
        let keyring = Keyring::load(suite, &from.keys)?;
        let opened = Release::open(&bytes, &keyring, self.config.now);
        Ok(Some(opened.map_err(|reason| ChainBreak::Release { release: *wanted, reason })))
    }
}

/// SHA-256 of a file.
fn digest(path: &Path) -> Result<Sha256Digest, DebianError> {
    let mut hasher = Sha256::new();
    let mut file = File::open(path).map_err(DebianError::io("open", path))?;
    let mut buffer = vec![0; 128 << 10];
    loop {
        match file.read(&mut buffer).map_err(DebianError::io("read", path))? {
            0 => return Ok(Sha256Digest::from_bytes(hasher.finalize().into())),
            length => hasher.update(&buffer[..length]),
        }
    }
}
