//! A source of known digest and unknown size, such as an archive that a project publishes.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::thread;

use larder_store::Sha256Digest;
use sha2::{Digest as _, Sha256};

use super::transport::{Failure, Reply, Transport, Validators, read_problem};
use super::{Item, cache, download};
use crate::config::Config;
use crate::error::DebianError;
use crate::progress::{Progress, Task};
use crate::source_index::SourceFile;

/// The largest source that is fetched.
const LARGEST: u64 = 16 << 30;

/// Fetches a file into the cache, whole, and returns its path. It has the digest, or there is no file.
///
/// # Errors
/// [`DebianError::SourceDigest`] for other bytes; what keeps an address from being read.
pub fn fetch_source(
    config: &Config,
    url: &str,
    sha256: &Sha256Digest,
    progress: &dyn Progress,
) -> Result<PathBuf, DebianError> {
    let folder = config.cache.join("sources");
    cache::make_folder(&folder)?;
    let path = folder.join(sha256.hex());
    if path.exists() {
        // A name is given to whole files only, but a loss of power may have left another content.
        if digest_of(&path)? == *sha256 {
            return Ok(path);
        }
        fs::remove_file(&path).map_err(DebianError::io("remove", &path))?;
    }
    let transport = Transport::new(config);
    patiently(config, url, || attempt(&transport, (url, sha256), &path, progress))?;
    Ok(path)
}

/// Fetches the files of a source package into the cache, each from the first mirror that has it; gives their paths in the same order.
///
/// # Errors
/// A file that no mirror has with its size and digest.
pub fn fetch_source_files(
    config: &Config,
    mirrors: &[String],
    files: &[SourceFile],
    progress: &dyn Progress,
) -> Result<Vec<PathBuf>, DebianError> {
    let folder = config.cache.join("sources");
    cache::make_folder(&folder)?;
    let transport = Transport::new(config);
    let one = |file: &SourceFile| {
        let urls: Vec<String> = mirrors.iter().map(|mirror| format!("{mirror}/{}", file.path)).collect();
        let path = folder.join(file.sha256.hex());
        let item = Item { urls: &urls, size: file.size, sha256: file.sha256, path: &path, what: file.name() };
        download(&transport, config.retry, &item, progress).map(|()| path.clone())
    };
    files.iter().map(one).collect()
}

/// Reads a small file of unknown digest, such as a signature.
///
/// # Errors
/// [`DebianError::WrongSize`] for one that is longer than `limit`; what keeps an address from being read.
pub fn fetch_small(config: &Config, url: &str, limit: u64) -> Result<Vec<u8>, DebianError> {
    let transport = Transport::new(config);
    patiently(config, url, || {
        let body = match transport.get(url, 0, &Validators::default())? {
            Reply::Body(body) => body,
            Reply::Unchanged => return Err(Failure::Status(304)),
        };
        let mut bytes = Vec::new();
        let read = body.reader.take(limit + 1).read_to_end(&mut bytes);
        read.map_err(|error| Failure::Passing(read_problem(&error)))?;
        let size = bytes.len() as u64;
        if size > limit {
            return Err(Failure::Lasting(DebianError::WrongSize {
                url: url.to_owned(),
                expected: limit,
                offered: size,
            }));
        }
        match body.total.is_some_and(|total| size < total) {
            true => Err(Failure::Passing("the connection ended early".to_owned())),
            false => Ok(bytes),
        }
    })
}

/// Tries again what may pass.
fn patiently<T>(config: &Config, url: &str, mut attempt: impl FnMut() -> Result<T, Failure>) -> Result<T, DebianError> {
    let mut attempts = 0;
    let mut pause = config.retry.pause;
    loop {
        attempts += 1;
        let problem = match attempt() {
            Ok(done) => return Ok(done),
            Err(Failure::Lasting(error)) => return Err(error),
            Err(Failure::Status(status @ (404 | 410))) => {
                return Err(DebianError::Missing { url: url.to_owned(), status });
            }
            Err(Failure::Status(status @ (408 | 429 | 500..=599))) => {
                format!("the server answered with status {status}")
            }
            Err(Failure::Status(status)) => return Err(DebianError::Refused { url: url.to_owned(), status }),
            Err(Failure::Passing(problem)) => problem,
        };
        if attempts >= config.retry.attempts.max(1) {
            return Err(DebianError::Unreachable { url: url.to_owned(), problem, attempts, received: 0, total: None });
        }
        thread::sleep(pause);
        pause *= 2;
    }
}

fn digest_of(path: &std::path::Path) -> Result<Sha256Digest, DebianError> {
    let mut file = File::open(path).map_err(DebianError::io("open", path))?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(DebianError::io("read", path))? {
            0 => return Ok(Sha256Digest::from_bytes(digest.finalize().into())),
            count => digest.update(&buffer[..count]),
        }
    }
}

fn attempt(
    transport: &Transport,
    (url, sha256): (&str, &Sha256Digest),
    path: &std::path::Path,
    progress: &dyn Progress,
) -> Result<(), Failure> {
    let failed = |action| {
        let path = path.to_owned();
        move |error: std::io::Error| Failure::Lasting(DebianError::io(action, &path)(error))
    };
    let mut body = match transport.get(url, 0, &Validators::default())? {
        Reply::Body(body) => body,
        Reply::Unchanged => return Err(Failure::Status(304)),
    };
    let folder = path.parent().unwrap_or(path);
    let mut part = tempfile::NamedTempFile::new_in(folder).map_err(failed("create"))?;
    let mut task = Task::start(progress, &format!("fetch {url}"), body.total);
    let (mut digest, mut size) = (Sha256::new(), 0_u64);
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = match body.reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Failure::Passing(read_problem(&error))),
        };
        size += count as u64;
        if size > LARGEST {
            let offered = size;
            return Err(Failure::Lasting(DebianError::WrongSize { url: url.to_owned(), expected: LARGEST, offered }));
        }
        part.write_all(&buffer[..count]).map_err(failed("write"))?;
        digest.update(&buffer[..count]);
        task.reached(size.min(body.total.unwrap_or(size)));
    }
    if body.total.is_some_and(|total| size < total) {
        return Err(Failure::Passing("the connection ended early".to_owned()));
    }
    let received = Sha256Digest::from_bytes(digest.finalize().into());
    if received != *sha256 {
        let (url, expected) = (url.to_owned(), *sha256);
        return Err(Failure::Lasting(DebianError::SourceDigest { url, expected, received }));
    }
    part.persist(path).map_err(|error| failed("rename a file to")(error.error))?;
    Ok(())
}
