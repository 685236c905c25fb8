//! One file of known size and digest.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use larder_store::Sha256Digest;
use sha2::{Digest as _, Sha256};

use super::transport::{Failure, Reply, Transport, Validators, read_problem};
use crate::config::Retry;
use crate::error::DebianError;
use crate::progress::{Progress, Task};

/// However much arrives each time, a file is not asked for more often than this.
const MOST_ATTEMPTS: u32 = 50;
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What to fetch, and where to.
pub(crate) struct Item<'a> {
    /// Addresses of the same file, the preferred first.
    pub(crate) urls: &'a [String],
    pub(crate) size: u64,
    pub(crate) sha256: Sha256Digest,
    /// The final path; `.part` is appended meanwhile.
    pub(crate) path: &'a Path,
    /// For people.
    pub(crate) what: &'a str,
}

/// Fetches a file unless it is there already, whole.
pub(crate) fn download(
    transport: &Transport,
    retry: Retry,
    item: &Item<'_>,
    progress: &dyn Progress,
) -> Result<(), DebianError> {
    if present(item, progress)? {
        return Ok(());
    }
    let Some(mut part) = Part::open(item)? else { return Ok(()) };
    let mut task = Task::start(progress, &format!("fetch {}", item.what), Some(item.size));
    let mut last = DebianError::Offline { what: item.what.to_owned() };
    for url in item.urls {
        match part.fetch(transport, retry, item, url, &mut task) {
            Ok(()) => return part.keep(item),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Whether the final file is there with the right content. One that is not is removed.
fn present(item: &Item<'_>, progress: &dyn Progress) -> Result<bool, DebianError> {
    let mut file = match File::open(item.path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(DebianError::io("open", item.path)(error)),
    };
    let (digest, size) = hash(&mut file, item.path)?;
    if size == item.size && finish(digest) == item.sha256 {
        return Ok(true);
    }
    progress.note(&format!("the cached file of {} is damaged and is fetched again", item.what));
    fs::remove_file(item.path).map_err(DebianError::io("remove", item.path))?;
    Ok(false)
}

fn hash(file: &mut File, path: &Path) -> Result<(Sha256, u64), DebianError> {
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut size = 0;
    loop {
        let count = file.read(&mut buffer).map_err(DebianError::io("read", path))?;
        if count == 0 {
            return Ok((digest, size));
        }
        digest.update(&buffer[..count]);
        size += count as u64;
    }
}

fn finish(digest: Sha256) -> Sha256Digest {
    Sha256Digest::from_bytes(digest.finalize().into())
}

/// The growing file, locked.
struct Part {
    file: File,
    path: PathBuf,
    digest: Sha256,
    have: u64,
    /// Whether some of it is from an earlier process, and so may be anything.
    inherited: bool,
}

impl Part {
    /// Opens and locks the `.part` file and reads what it holds; `None` when another process finished the file meanwhile.
    fn open(item: &Item<'_>) -> Result<Option<Self>, DebianError> {
        let mut name = item.path.as_os_str().to_owned();
        name.push(".part");
        let path = PathBuf::from(name);
        loop {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
                .map_err(DebianError::io("create", &path))?;
            file.lock().map_err(DebianError::io("lock", &path))?;
            if item.path.exists() {
                let _ = fs::remove_file(&path);
                return Ok(None);
            }
            // Whoever held the lock before may have renamed or removed the file that was opened here.
            let same = match (file.metadata(), fs::metadata(&path)) {
                (Ok(opened), Ok(named)) => (opened.dev(), opened.ino()) == (named.dev(), named.ino()),
                _ => false,
            };
            if same {
                let (digest, have) = hash(&mut file, &path)?;
                return Ok(Some(Self { file, path, digest, have, inherited: have > 0 }));
            }
        }
    }

    fn reset(&mut self) -> Result<(), DebianError> {
        self.file.set_len(0).map_err(DebianError::io("shorten", &self.path))?;
        self.file.seek(SeekFrom::Start(0)).map_err(DebianError::io("write", &self.path))?;
        (self.digest, self.have, self.inherited) = (Sha256::new(), 0, false);
        Ok(())
    }

    /// Fetches what is missing from one address, again and again while that may help.
    fn fetch(
        &mut self,
        transport: &Transport,
        retry: Retry,
        item: &Item<'_>,
        url: &str,
        task: &mut Task<'_>,
    ) -> Result<(), DebianError> {
        let mut fruitless = 0;
        let mut attempts = 0;
        let mut pause = retry.pause;
        loop {
            let before = self.have;
            attempts += 1;
            let problem = match self.attempt(transport, item, url, task) {
                Ok(()) if finish(self.digest.clone()) == item.sha256 => return Ok(()),
                Ok(()) => {
                    let received = finish(self.digest.clone());
                    let (received_size, inherited) = (self.have, self.inherited);
                    self.reset()?;
                    if inherited {
                        // The beginning came from elsewhere: only a whole download says whether the mirror is wrong.
                        continue;
                    }
                    return Err(DebianError::Mismatch {
                        url: url.to_owned(),
                        expected_size: item.size,
                        expected: item.sha256,
                        received_size,
                        received,
                    });
                }
                Err(Failure::Lasting(error)) => return Err(error),
                Err(Failure::Status(416)) => {
                    self.reset()?;
                    "the mirror has no such range".to_owned()
                }
                Err(Failure::Status(status @ (408 | 429 | 500..=599))) => {
                    format!("the mirror answered with status {status}")
                }
                Err(Failure::Status(status @ (404 | 410))) => {
                    return Err(DebianError::Missing { url: url.to_owned(), status });
                }
                Err(Failure::Status(status)) => return Err(DebianError::Refused { url: url.to_owned(), status }),
                Err(Failure::Passing(problem)) => problem,
            };
            if self.have > before {
                (fruitless, pause) = (0, retry.pause);
            }
            fruitless += 1;
            if fruitless >= retry.attempts.max(1) || attempts >= MOST_ATTEMPTS {
                let (received, total) = (self.have, Some(item.size));
                return Err(DebianError::Unreachable { url: url.to_owned(), problem, attempts, received, total });
            }
            thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// One request; good when all bytes are there.
    fn attempt(
        &mut self,
        transport: &Transport,
        item: &Item<'_>,
        url: &str,
        task: &mut Task<'_>,
    ) -> Result<(), Failure> {
        if self.have > item.size {
            self.reset().map_err(Failure::Lasting)?;
        }
        task.reached(self.have);
        if self.have == item.size {
            return Ok(());
        }
        let mut body = match transport.get(url, self.have, &Validators::default())? {
            Reply::Body(body) => body,
            Reply::Unchanged => return Err(Failure::Status(304)),
        };
        let wrong_size =
            |offered| Failure::Lasting(DebianError::WrongSize { url: url.to_owned(), expected: item.size, offered });
        if let Some(offered) = body.total.filter(|total| *total != item.size) {
            return Err(wrong_size(offered));
        }
        if body.start != self.have {
            self.reset().map_err(Failure::Lasting)?;
            if body.start != 0 {
                return Err(Failure::Passing("the mirror sent another range than was asked for".to_owned()));
            }
        }
        let mut buffer = vec![0; 1 << 16];
        loop {
            let count = match body.reader.read(&mut buffer) {
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Failure::Passing(read_problem(&error))),
            };
            if count == 0 {
                break;
            }
            if self.have + count as u64 > item.size {
                let offered = self.have + count as u64;
                self.reset().map_err(Failure::Lasting)?;
                return Err(wrong_size(offered));
            }
            let written = self.file.write_all(&buffer[..count]);
            written.map_err(|error| Failure::Lasting(DebianError::io("write", &self.path)(error)))?;
            self.digest.update(&buffer[..count]);
            self.have += count as u64;
            task.reached(self.have);
        }
        if self.have < item.size {
            return Err(Failure::Passing("the connection ended early".to_owned()));
        }
        Ok(())
    }

    /// Gives the finished file its name.
    fn keep(self, item: &Item<'_>) -> Result<(), DebianError> {
        fs::rename(&self.path, item.path).map_err(DebianError::io("rename a file to", item.path))
    }
}
