//! What is remembered of a suite between processes.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use larder_store::Sha256Digest;
use sha2::{Digest as _, Sha256};

use crate::error::DebianError;
use crate::fetch::cache::{lock, make_folder, write_whole};
use crate::fetch::transport::Validators;
use crate::release::Release;

/// When and where a suite was asked for, and with what result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct State {
    /// The mirror that answered last.
    pub(super) mirror: String,
    /// When, in seconds since 1970.
    pub(super) checked: u64,
    pub(super) validators: Validators,
    /// Why the suite is not there, when it is not.
    pub(super) absent: Option<String>,
    /// SHA-256 of the package lists that belong to it, in hexadecimal.
    pub(super) lists: Vec<String>,
}

/// A suite's folder in the cache.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(cache: &Path, suite: &str) -> Self {
        Self(cache.join("suites").join(suite))
    }

    /// Keeps other processes from refreshing the suite.
    pub(super) fn lock(&self) -> Result<fs::File, DebianError> {
        make_folder(&self.0)?;
        lock(&self.0.join("lock"))
    }

    pub(super) fn in_release(&self) -> PathBuf {
        self.0.join("InRelease")
    }

    pub(super) fn read_release(&self) -> Result<Option<Vec<u8>>, DebianError> {
        let path = self.in_release();
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(DebianError::io("read", &path)(error)),
        }
    }

    /// Writes the release file, and once more under its digest: there it stays while something in the store rests on it.
    pub(super) fn write_release(&self, bytes: &[u8]) -> Result<(), DebianError> {
        if let Some(cache) = self.0.parent().and_then(Path::parent) {
            write_whole(&kept_release(cache, &Sha256Digest::from_bytes(Sha256::digest(bytes).into())), bytes)?;
        }
        write_whole(&self.in_release(), bytes)
    }

    /// The remembered state; nothing when there is none or it can't be read. When it was asked for, and what the mirror then
    /// called the release, is only known while the release file is the one that was answered: each of the two is written in a
    /// step of its own, and after a loss of power the newer state may stand beside the older release, which the mirror
    /// would then call unchanged for ever.
    pub(super) fn read_state(&self) -> State {
        let mut state = State::default();
        let mut release = None;
        let text = fs::read_to_string(self.0.join("state")).unwrap_or_default();
        for (name, value) in text.lines().filter_map(|line| line.split_once('=')) {
            let value = value.to_owned();
            match name {
                "mirror" => state.mirror = value,
                "checked" => state.checked = value.parse().unwrap_or(0),
                "etag" => state.validators.etag = Some(value),
                "modified" => state.validators.modified = Some(value),
                "absent" => state.absent = Some(value),
                "list" => state.lists.push(value),
                "release" => release = Some(value),
                _ => {}
            }
        }
        if release != self.release_digest() {
            (state.checked, state.validators) = (0, Validators::default());
        }
        state
    }

    /// The digest of the release file, in hexadecimal.
    fn release_digest(&self) -> Option<String> {
        let bytes = self.read_release().ok()??;
        Some(Sha256Digest::from_bytes(Sha256::digest(&bytes).into()).hex())
    }

    pub(super) fn write_state(&self, state: &State) -> Result<(), DebianError> {
        let mut text = format!("mirror={}\nchecked={}\n", state.mirror, state.checked);
        for (name, value) in
            [("etag", &state.validators.etag), ("modified", &state.validators.modified), ("absent", &state.absent)]
        {
            if let Some(value) = value.as_ref().filter(|value| !value.contains('\n')) {
                text.push_str(&format!("{name}={value}\n"));
            }
        }
        for list in &state.lists {
            text.push_str(&format!("list={list}\n"));
        }
        if let Some(digest) = self.release_digest() {
            text.push_str(&format!("release={digest}\n"));
        }
        write_whole(&self.0.join("state"), text.as_bytes())
    }
}

/// Where a release file is kept that vouches for something.
pub(super) fn kept_release(cache: &Path, digest: &Sha256Digest) -> PathBuf {
    cache.join("releases").join(digest.hex())
}

/// Removes the release files that nothing rests on: neither what a suite is now, nor what `needed` names. It is asked only if there are
/// others than the suites' own. What can't be removed stays.
///
/// # Errors
/// As of `needed`.
pub fn sweep_releases<E>(cache: &Path, needed: impl FnOnce() -> Result<BTreeSet<Sha256Digest>, E>) -> Result<(), E> {
    let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten().collect::<Vec<_>>();
    let current: BTreeSet<String> =
        entries(&cache.join("suites")).iter().filter_map(|suite| Folder(suite.path()).release_digest()).collect();
    let named = |path: &Path| path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    let mut others: Vec<PathBuf> = entries(&cache.join("releases")).iter().map(fs::DirEntry::path).collect();
    others.retain(|path| named(path).is_none_or(|name| !current.contains(&name)));
    if others.is_empty() {
        return Ok(());
    }
    let needed = needed()?;
    for path in others {
        let is_needed = named(&path).and_then(|name| Sha256Digest::from_hex(&name).ok());
        if is_needed.is_none_or(|digest| !needed.contains(&digest)) {
            let _ = fs::remove_file(path);
        }
    }
    Ok(())
}

/// Removes package lists and indexes that no suite's state names and that are older than a week. The age keeps what another
/// process is about to use, or uses for another architecture. What can't be removed stays.
pub(super) fn prune(cache: &Path) {
    const WEEK: Duration = Duration::from_secs(7 * 86_400);
    let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten().collect::<Vec<_>>();
    let mut used = BTreeSet::new();
    for suite in entries(&cache.join("suites")) {
        used.extend(Folder(suite.path()).read_state().lists);
    }
    for entry in ["lists", "indexes"].into_iter().flat_map(|name| entries(&cache.join(name))) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let unused = name.split('.').next().is_none_or(|digest| !used.contains(digest));
        let age = entry.metadata().and_then(|metadata| metadata.modified()).ok().and_then(|time| time.elapsed().ok());
        if unused && age.is_some_and(|age| age > WEEK) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The newest Date seen of each suite. The key is what the release says it is, so that another mirror of the same archive
/// is held to the same Date; and also the name it was asked for by, so that `stable` does not fall back to the release before.
pub(super) struct Seen<'a>(pub(super) &'a Path);

impl Seen<'_> {
    fn paths(&self, release: &Release, asked: &str) -> [PathBuf; 2] {
        [release.codename.as_str(), asked].map(|name| {
            let identity = format!("{}\n{}\n{name}\n", release.origin, release.label);
            let digest = Sha256Digest::from_bytes(Sha256::digest(identity.as_bytes()).into());
            self.0.join("seen").join(digest.hex())
        })
    }

    /// The newest Date known, in seconds since 1970.
    pub(super) fn newest(&self, release: &Release, asked: &str) -> Option<u64> {
        let read = |path: &PathBuf| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
        self.paths(release, asked).iter().filter_map(read).max()
    }

    pub(super) fn remember(&self, release: &Release, asked: &str) -> Result<(), DebianError> {
        if self.newest(release, asked).is_some_and(|newest| newest > release.date) {
            return Ok(());
        }
        for path in self.paths(release, asked) {
            write_whole(&path, format!("{}\n", release.date).as_bytes())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After a loss of power the newer state stood beside the older release file: the mirror was asked whether the newer one
    /// had changed, and updates found nothing from then on.
    #[test]
    fn a_state_belongs_to_one_release_file() {
        let cache = tempfile::tempdir().expect("folder");
        let folder = Folder::new(cache.path(), "bookworm");
        let validators = Validators { etag: Some("\"2\"".to_owned()), modified: None };
        let state = State { mirror: "http://mirror".to_owned(), checked: 7, validators, ..State::default() };
        folder.write_state(&state).expect("a suite that is not there has a state too");
        assert_eq!(folder.read_state(), state);
        folder.write_release(b"newer").expect("release");
        assert_eq!((folder.read_state().checked, folder.read_state().validators), (0, Validators::default()));
        folder.write_state(&state).expect("state");
        assert_eq!(folder.read_state(), state);
        folder.write_release(b"older").expect("release");
        assert_eq!((folder.read_state().checked, folder.read_state().validators), (0, Validators::default()));
        assert_eq!(folder.read_state().mirror, state.mirror, "whose keys to take is still known");
    }
}
