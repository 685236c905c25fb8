//! Parallel, resumable downloads.
//!
//! A file is fetched to `<name>.part`, hashed as it arrives, and renamed when its size and SHA-256 are those that the
//! signed index lists; so a file under its own name in the cache was whole once. A process that ends at any moment leaves
//! only the `.part`, and the next one asks the mirror for the rest. Two processes that want the same file take turns by a
//! lock on the `.part`.

pub(crate) mod cache;
mod download;
mod source;
pub(crate) mod transport;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::archive_file::ArchiveFile;
use crate::config::Config;
use crate::error::DebianError;
use crate::progress::Progress;

pub(crate) use download::{Item, download};
pub use source::{fetch_small, fetch_source, fetch_source_files};
use transport::Transport;

/// Fetches packages into the cache and returns their paths, in the order asked for.
///
/// Files that are cached already are verified and used without the network.
///
/// # Errors
/// The first failure; what arrived until then stays in the cache and is resumed the next time.
pub fn fetch_all(config: &Config, files: &[ArchiveFile], progress: &dyn Progress) -> Result<Vec<PathBuf>, DebianError> {
    let paths = Mutex::new(vec![PathBuf::new(); files.len()]);
    fetch_each(config, files, progress, &|number, path| {
        if let Some(slot) = paths.lock().unwrap_or_else(PoisonError::into_inner).get_mut(number) {
            path.clone_into(slot);
        }
        Ok::<(), DebianError>(())
    })?;
    Ok(paths.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Fetches packages into the cache and calls `each` with a file's number and path as soon as it is there, from several
/// threads at once, so that what comes next need not wait for the last download.
///
/// # Errors
/// The first failure of a download or of `each`; no further file is begun then.
pub fn fetch_each<E: From<DebianError> + Send>(
    config: &Config,
    files: &[ArchiveFile],
    progress: &dyn Progress,
    each: &(impl Fn(usize, &Path) -> Result<(), E> + Sync),
) -> Result<(), E> {
    let folder = config.cache.join("debs");
    cache::make_folder(&folder)?;
    let transport = Transport::new(config);
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let failed: Mutex<Option<(usize, E)>> = Mutex::new(None);
    let one = |file: &ArchiveFile, number: usize| -> Result<(), E> {
        let path = folder.join(format!("{}.deb", file.sha256.hex()));
        let what = format!("{} {}", file.name, file.version);
        let item = Item { urls: &file.urls, size: file.size, sha256: file.sha256, path: &path, what: &what };
        download(&transport, config.retry, &item, progress)?;
        each(number, &path)
    };
    thread::scope(|scope| {
        for _ in 0..config.connections.clamp(1, files.len().max(1)) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(file) = files.get(number) else { break };
                    if let Err(error) = one(file, number) {
                        stop.store(true, Ordering::Relaxed);
                        let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                        // Of several failures the first file's is told, whatever the timing.
                        if failed.as_ref().is_none_or(|(earlier, _)| number < *earlier) {
                            *failed = Some((number, error));
                        }
                    }
                }
            });
        }
    });
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some((_, error)) => Err(error),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
