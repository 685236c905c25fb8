//! Opening one suite: its release file from the mirror or the cache, then its indexes.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use larder_store::Sha256Digest;

use super::cached::{Folder, Seen, State, prune};
use super::{AbsentSuite, SuiteEvidence};
use crate::config::{Config, Refresh};
use crate::error::{DebianError, ReleaseRefusal};
use crate::fetch::transport::{Failure, Reply, Transport, Validators, read_problem};
use crate::fetch::{Item, cache, download};
use crate::index::{self, Index};
use crate::progress::Progress;
use crate::release::{Keyring, MAX_SIZE, Release, seconds};
use crate::source_index::{self, SourcePackage};
use crate::sources::{KeySource, Mirror, Part, Place, locate};

/// A suite with its release file, and its indexes once they are opened.
#[derive(Debug)]
pub(super) struct Suite {
    pub(super) name: String,
    pub(super) release: Release,
    /// Addresses of all its mirrors, the one that answered first.
    pub(super) mirrors: Vec<String>,
    checked: u64,
    /// What was opened, to be taken by the universe.
    pub(super) indexes: Vec<(Sha256Digest, Index)>,
    lists: Vec<Sha256Digest>,
    pending: Option<Pending>,
}

/// A state that the mirror has just given. It takes the place of the cached one when its indexes are there too, so that a
/// mirror which fails in between leaves a whole state behind.
struct Pending {
    folder: Folder,
    /// The release file, unless it is unchanged.
    bytes: Option<Vec<u8>>,
    state: State,
    /// The cached state.
    previous: Option<Box<Suite>>,
    _lock: File,
}

impl Pending {
    fn commit(mut self, lists: &[Sha256Digest]) -> Result<(), DebianError> {
        if let Some(bytes) = &self.bytes {
            self.folder.write_release(bytes)?;
        }
        self.state.lists = lists.iter().map(Sha256Digest::hex).collect();
        self.folder.write_state(&self.state)
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Suite {
    pub(super) fn evidence(&self) -> SuiteEvidence {
        SuiteEvidence {
            suite: self.name.clone(),
            origin: self.release.origin.clone(),
            codename: self.release.codename.clone(),
            release: self.release.digest,
            date: self.release.date,
            valid_until: self.release.valid_until,
            signer: self.release.signer.clone(),
            indexes: self.lists.clone(),
            mirror: self.mirrors.first().cloned().unwrap_or_default(),
            checked: self.checked,
        }
    }
}

impl Suite {
    /// The versions of a source package that the suite's indexes list.
    pub(super) fn sources(
        &self,
        config: &Config,
        package: &str,
        progress: &dyn Progress,
    ) -> Result<Vec<SourcePackage>, DebianError> {
        let transport = Transport::new(config);
        let mut found = Vec::new();
        for component in &config.components {
            let Some((path, listed)) = self.release.source_index(component) else { continue };
            let form = path.rsplit_once('.').map_or("plain", |(_, form)| form);
            let kept = config.cache.join("lists").join(format!("{}.{form}", listed.sha256.hex()));
            cache::make_folder(&config.cache.join("lists"))?;
            let urls = list_urls(self, &path, &listed.sha256);
            let what = format!("the list of sources of {}", self.name);
            let item = Item { urls: &urls, size: listed.size, sha256: listed.sha256, path: &kept, what: &what };
            download(&transport, config.retry, &item, progress)?;
            let place = format!("{}/dists/{}/{path}", self.mirrors[0], self.name);
            let versions = source_index::look_up(&kept, &place, package)?;
            found.extend(versions.into_iter().map(|(version, files)| SourcePackage {
                name: package.to_owned(),
                version,
                suite: self.name.clone(),
                release: self.release.digest,
                signer: self.release.signer.clone(),
                index: listed.sha256,
                files,
            }));
        }
        Ok(found)
    }
}

/// Whether a distribution can be without a suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Required,
    Optional,
}

pub(super) enum Found {
    Suite(Box<Suite>),
    Absent(AbsentSuite),
}

pub(super) struct Opener<'a> {
    config: &'a Config,
    transport: Transport,
    refresh: Refresh,
    progress: &'a dyn Progress,
    /// Keyrings that were read, by their places: the suites of a distribution mostly share one.
    keyrings: Mutex<Vec<(Vec<KeySource>, Arc<Keyring>)>>,
    /// Hosts that did not answer: a suite that can do without is not kept waiting for them again.
    down: Mutex<Vec<String>>,
}

/// A release file that was verified with the keys of one mirror.
struct Verified {
    release: Release,
    mirror: String,
}

impl<'a> Opener<'a> {
    pub(super) fn new(config: &'a Config, refresh: Refresh, progress: &'a dyn Progress) -> Self {
        Self {
            config,
            transport: Transport::new(config),
            refresh,
            progress,
            keyrings: Mutex::default(),
            down: Mutex::default(),
        }
    }

    fn keyring(&self, name: &str, places: &[KeySource]) -> Result<Arc<Keyring>, DebianError> {
        let mut known = self.keyrings.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, keyring)) = known.iter().find(|(other, _)| other == places) {
            return Ok(Arc::clone(keyring));
        }
        let keyring = Arc::new(Keyring::load(name, places)?);
        known.push((places.to_vec(), Arc::clone(&keyring)));
        Ok(keyring)
    }

    /// Opens a suite that the distribution can be without.
    pub(super) fn suite(&self, name: &str, part: Part) -> Result<Found, DebianError> {
        match self.release(name, part, Need::Optional)? {
            Found::Suite(suite) => self.indexes(*suite, Need::Optional),
            absent @ Found::Absent(_) => Ok(absent),
        }
    }

    /// Finds a suite's release file: the cached one where it is recent enough, else the mirror's.
    pub(super) fn release(&self, name: &str, part: Part, need: Need) -> Result<Found, DebianError> {
        let place = locate(self.config, name, part)?;
        let folder = Folder::new(&self.config.cache, name);
        let state = folder.read_state();
        if !self.is_due(&state)
            && let Some(found) = self.remembered(&place, name, &folder, &state)?
        {
            return Ok(found);
        }
        let lock = folder.lock()?;
        // Another process may have refreshed it while this one waited.
        let now_state = folder.read_state();
        if now_state != state
            && !self.is_due(&now_state)
            && let Some(found) = self.remembered(&place, name, &folder, &now_state)?
        {
            return Ok(found);
        }
        self.refreshed(&place, name, (folder, lock), &now_state, need)
    }

    fn is_due(&self, state: &State) -> bool {
        let now = seconds(self.config.now);
        match self.refresh {
            Refresh::Never => false,
            Refresh::Always => true,
            // A time in the future comes from a clock that was wrong.
            Refresh::IfOlder(age) => state.checked > now || now - state.checked > age.as_secs(),
        }
    }

    /// What the cache has, without asking the mirror.
    fn remembered(
        &self,
        place: &Place,
        name: &str,
        folder: &Folder,
        state: &State,
    ) -> Result<Option<Found>, DebianError> {
        if let Some(verified) = self.cached(place, name, folder, state)? {
            if let Err(reason) = verified.release.check(name, self.config.now, None) {
                if !matches!(reason, ReleaseRefusal::Expired { .. }) || self.refresh != Refresh::Never {
                    return Ok(None);
                }
                self.progress.note(&format!("the cached state of {name} is old: {reason}"));
            }
            return Ok(Some(Found::Suite(Box::new(suite(place, name, verified, state.checked)))));
        }
        let absent = state.absent.clone().filter(|_| state.mirror == place.mirrors[0].url);
        Ok(absent.map(|reason| Found::Absent(AbsentSuite { suite: name.to_owned(), reason })))
    }

    /// The cached release file, verified again with the keys that are trusted now; nothing when it no longer holds.
    fn cached(
        &self,
        place: &Place,
        name: &str,
        folder: &Folder,
        state: &State,
    ) -> Result<Option<Verified>, DebianError> {
        let Some(bytes) = folder.read_release()? else { return Ok(None) };
        // The keys of the mirror it came from, if it is still configured.
        let from = place.mirrors.iter().find(|mirror| mirror.url == state.mirror).unwrap_or(&place.mirrors[0]);
        let keyring = self.keyring(name, &from.keys)?;
        match Release::open(&bytes, &keyring, self.config.now) {
            Ok(release) => Ok(Some(Verified { release, mirror: from.url.clone() })),
            Err(reason) => {
                self.progress.note(&format!("the cached release file of {name} is not used: {reason}"));
                Ok(None)
            }
        }
    }

    /// Asks the mirrors, one after the other.
    fn refreshed(
        &self,
        place: &Place,
        name: &str,
        (folder, lock): (Folder, File),
        state: &State,
        need: Need,
    ) -> Result<Found, DebianError> {
        let cached = self.cached(place, name, &folder, state)?;
        let usable = cached.as_ref().is_some_and(|cached| cached.release.check(name, self.config.now, None).is_ok());
        let can_wait = usable && self.refresh != Refresh::Always;
        let mut failure = None;
        for mirror in &place.mirrors {
            if can_wait && self.is_down(mirror) {
                continue;
            }
            // Whoever has something to go on with should not wait long for a mirror that is away.
            let attempts = if can_wait { self.config.retry.attempts.min(2) } else { self.config.retry.attempts };
            match self.ask(mirror, name, state, cached.as_ref(), attempts) {
                Ok((release, bytes, fresh)) => {
                    let verified = Verified { release, mirror: mirror.url.clone() };
                    let mut found = suite(place, name, verified, fresh.checked);
                    let previous =
                        cached.filter(|_| usable).map(|cached| Box::new(suite(place, name, cached, state.checked)));
                    found.pending = Some(Pending { folder, bytes, state: fresh, previous, _lock: lock });
                    return Ok(Found::Suite(Box::new(found)));
                }
                // A refusal is final: going on to another mirror would let one that is attacked pass unseen.
                Err(
                    error @ (DebianError::Release { .. }
                    | DebianError::NoKeyring { .. }
                    | DebianError::BadKeyring { .. }),
                ) => {
                    return Err(error);
                }
                Err(error) => {
                    if matches!(error, DebianError::Unreachable { .. } | DebianError::Offline { .. }) {
                        self.down.lock().unwrap_or_else(PoisonError::into_inner).push(host(&mirror.url).to_owned());
                    }
                    failure = Some(error);
                }
            }
        }
        match (cached, failure) {
            (Some(verified), None) => Ok(Found::Suite(Box::new(suite(place, name, verified, state.checked)))),
            (Some(verified), Some(failure)) => self.fall_back(place, name, verified, state, failure),
            (None, Some(failure)) => self.without(place, name, &folder, need, failure),
            (None, None) => Err(DebianError::Offline { what: format!("the suite {name}") }),
        }
    }

    fn is_down(&self, mirror: &Mirror) -> bool {
        let down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        down.iter().any(|each| each == host(&mirror.url))
    }

    /// Uses the cached state when the mirror can't be reached and the caller accepts that.
    fn fall_back(
        &self,
        place: &Place,
        name: &str,
        verified: Verified,
        state: &State,
        failure: DebianError,
    ) -> Result<Found, DebianError> {
        if self.refresh == Refresh::Always {
            return Err(failure);
        }
        if let Err(reason) = verified.release.check(name, self.config.now, None) {
            self.progress.note(&format!("the cached state of {name} can't stand in: {reason}"));
            return Err(failure);
        }
        self.progress.note(&format!("{name} is used as it was cached: {failure}"));
        Ok(Found::Suite(Box::new(suite(place, name, verified, state.checked))))
    }

    /// A suite that is neither on the mirror nor in the cache.
    fn without(
        &self,
        place: &Place,
        name: &str,
        folder: &Folder,
        need: Need,
        failure: DebianError,
    ) -> Result<Found, DebianError> {
        let mirror = &place.mirrors[0].url;
        let missing = match &failure {
            DebianError::Missing { .. } => true,
            DebianError::Refused { .. } => place.derived,
            _ => false,
        };
        if need == Need::Required || !missing {
            return Err(match failure {
                DebianError::Missing { url, .. } => {
                    DebianError::NoSuchSuite { suite: name.to_owned(), mirror: mirror.clone(), url }
                }
                other => other,
            });
        }
        let reason = if place.derived {
            format!("no mirror is configured for it, and {mirror} does not have it")
        } else {
            format!("the mirror {mirror} does not have it")
        };
        self.progress.note(&format!("{name} is not read: {reason}"));
        let checked = seconds(self.config.now);
        folder.write_state(&State {
            mirror: mirror.clone(),
            checked,
            absent: Some(reason.clone()),
            ..State::default()
        })?;
        Ok(Found::Absent(AbsentSuite { suite: name.to_owned(), reason }))
    }

    /// Asks one mirror: the release, its bytes unless it is unchanged, and the state to remember.
    fn ask(
        &self,
        mirror: &Mirror,
        name: &str,
        state: &State,
        cached: Option<&Verified>,
        attempts: u32,
    ) -> Result<(Release, Option<Vec<u8>>, State), DebianError> {
        let keyring = self.keyring(name, &mirror.keys)?;
        let url = format!("{}/dists/{name}/InRelease", mirror.url);
        let known = match cached {
            Some(_) if state.mirror == mirror.url => state.validators.clone(),
            _ => Validators::default(),
        };
        let refuse = |reason| DebianError::Release { url: url.clone(), reason: Box::new(reason) };
        let (bytes, validators) = self.read(&url, &known, attempts)?;
        let release = match (&bytes, cached) {
            (None, Some(cached)) => cached.release.clone(),
            (bytes, _) => {
                let bytes = bytes.as_deref().unwrap_or_default();
                let release = Release::open(bytes, &keyring, self.config.now).map_err(refuse)?;
                let seen = Seen(&self.config.cache).newest(&release, name);
                release.check(name, self.config.now, seen).map_err(refuse)?;
                Seen(&self.config.cache).remember(&release, name)?;
                release
            }
        };
        release.check(name, self.config.now, None).map_err(refuse)?;
        let checked = seconds(self.config.now);
        Ok((release, bytes, State { mirror: mirror.url.clone(), checked, validators, ..State::default() }))
    }

    /// Reads a release file; no bytes when it is unchanged.
    fn read(&self, url: &str, known: &Validators, most: u32) -> Result<(Option<Vec<u8>>, Validators), DebianError> {
        let mut pause = self.config.retry.pause;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let problem = match self.read_once(url, known) {
                Ok(read) => return Ok(read),
                Err(Failure::Lasting(error)) => return Err(error),
                Err(Failure::Status(status @ (404 | 410))) => {
                    return Err(DebianError::Missing { url: url.to_owned(), status });
                }
                Err(Failure::Status(status @ (408 | 429 | 500..=599))) => {
                    format!("the mirror answered with status {status}")
                }
                Err(Failure::Status(status)) => return Err(DebianError::Refused { url: url.to_owned(), status }),
                Err(Failure::Passing(problem)) => problem,
            };
            if attempts >= most.max(1) {
                return Err(DebianError::Unreachable {
                    url: url.to_owned(),
                    problem,
                    attempts,
                    received: 0,
                    total: None,
                });
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_secs(10));
        }
    }

    fn read_once(&self, url: &str, known: &Validators) -> Result<(Option<Vec<u8>>, Validators), Failure> {
        let body = match self.transport.get(url, 0, known)? {
            Reply::Unchanged => return Ok((None, known.clone())),
            Reply::Body(body) => body,
        };
        let mut bytes = Vec::new();
        let read = body.reader.take(MAX_SIZE + 1).read_to_end(&mut bytes);
        read.map_err(|error| Failure::Passing(read_problem(&error)))?;
        if bytes.len() as u64 > MAX_SIZE {
            let offered = bytes.len() as u64;
            return Err(Failure::Lasting(DebianError::WrongSize { url: url.to_owned(), expected: MAX_SIZE, offered }));
        }
        if body.total.is_some_and(|total| total != bytes.len() as u64) {
            return Err(Failure::Passing("the connection ended early".to_owned()));
        }
        Ok((Some(bytes), body.validators))
    }

    /// Opens the indexes of a suite, fetching and building those that are missing, and keeps the state that they belong to.
    pub(super) fn indexes(&self, mut suite: Suite, need: Need) -> Result<Found, DebianError> {
        let pending = suite.pending.take();
        let name = suite.name.clone();
        match (self.open_indexes(suite, need), pending) {
            (Ok(found), pending) => {
                if let Some(pending) = pending {
                    let changed = pending.bytes.is_some();
                    let lists = match &found {
                        Found::Suite(suite) => suite.lists.as_slice(),
                        Found::Absent(_) => &[],
                    };
                    pending.commit(lists)?;
                    if changed {
                        prune(&self.config.cache);
                    }
                }
                Ok(found)
            }
            (Err(error @ (DebianError::Unreachable { .. } | DebianError::Missing { .. })), Some(pending))
                if self.refresh != Refresh::Always =>
            {
                let Some(previous) = pending.previous else { return Err(error) };
                self.progress
                    .note(&format!("{name} is used as it was cached, because its lists did not come: {error}"));
                self.open_indexes(*previous, need)
            }
            (Err(error), _) => Err(error),
        }
    }

    fn open_indexes(&self, mut suite: Suite, need: Need) -> Result<Found, DebianError> {
        let architecture = &self.config.architecture;
        for component in &self.config.components {
            let listed = suite.release.package_indexes(component, architecture);
            if listed.is_empty() && need == Need::Required {
                let offered = offered(&suite.release);
                return Err(DebianError::NoIndex {
                    suite: suite.name,
                    component: component.clone(),
                    architecture: architecture.clone(),
                    offered,
                });
            }
            for (path, listed) in listed {
                let form = path.rsplit_once('.').map_or("plain", |(_, form)| form);
                let kept = self.config.cache.join("lists").join(format!("{}.{form}", listed.sha256.hex()));
                let index = index::open_or_build(&self.config.cache.join("indexes"), &listed.sha256, || {
                    cache::make_folder(&self.config.cache.join("lists"))?;
                    let urls = list_urls(&suite, &path, &listed.sha256);
                    let what = format!("the package list of {}", suite.name);
                    let item = Item { urls: &urls, size: listed.size, sha256: listed.sha256, path: &kept, what: &what };
                    download(&self.transport, self.config.retry, &item, self.progress)?;
                    Ok((kept, format!("{}/dists/{}/{path}", suite.mirrors[0], suite.name)))
                })?;
                suite.lists.push(listed.sha256);
                suite.indexes.push((listed.sha256, index));
            }
        }
        if suite.indexes.is_empty() {
            let reason = format!("it has no packages for {architecture}");
            return Ok(Found::Absent(AbsentSuite { suite: suite.name, reason }));
        }
        Ok(Found::Suite(Box::new(suite)))
    }
}

/// Scheme and host of an address.
fn host(url: &str) -> &str {
    let after = url.find("://").map_or(0, |at| at + 3);
    url[after..].find('/').map_or(url, |at| &url[..after + at])
}

fn suite(place: &Place, name: &str, verified: Verified, checked: u64) -> Suite {
    let mut mirrors = vec![verified.mirror];
    mirrors.extend(
        place.mirrors.iter().map(|mirror| mirror.url.clone()).filter(|url| *url != mirrors[0]).collect::<Vec<_>>(),
    );
    Suite {
        name: name.to_owned(),
        release: verified.release,
        mirrors,
        checked,
        indexes: Vec::new(),
        lists: Vec::new(),
        pending: None,
    }
}

/// Addresses of a package list: by digest where the mirror offers that, so that a mirror which is just being updated does
/// not mix two states; and by name.
fn list_urls(suite: &Suite, path: &str, digest: &Sha256Digest) -> Vec<String> {
    let mut urls = Vec::new();
    for mirror in &suite.mirrors {
        let dist = format!("{mirror}/dists/{}", suite.name);
        if let Some((folder, _)) = path.rsplit_once('/').filter(|_| suite.release.by_hash) {
            urls.push(format!("{dist}/{folder}/by-hash/SHA256/{}", digest.hex()));
        }
        urls.push(format!("{dist}/{path}"));
    }
    urls
}

/// Which components and architectures a release has package lists for.
fn offered(release: &Release) -> Vec<String> {
    let mut offered: Vec<String> = release
        .files
        .keys()
        .filter_map(|path| {
            let (folder, file) = path.rsplit_once('/')?;
            let (component, architecture) = folder.split_once("/binary-")?;
            (file.starts_with("Packages") && !architecture.contains('/')).then(|| format!("{component}/{architecture}"))
        })
        .collect();
    offered.dedup();
    offered
}
