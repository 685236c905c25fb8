//! Looking after a build while it runs: its time, the disk and its log.

use std::cell::Cell;
use std::path::Path;
use std::time::{Duration, Instant};

use super::error::Stop;
use super::log::{LONGEST, Log};
use crate::{Error, Host, Result};

/// Looks whether a build takes too long, fills the disk or says too much.
pub(crate) struct Watch<'a> {
    store: &'a Path,
    log: &'a Log,
    limit: Duration,
    begin: Instant,
    /// How many bytes of the disk must stay free.
    reserve: u64,
    pub(crate) stopped: Cell<Option<Stop>>,
}

impl<'a> Watch<'a> {
    /// Of a disk a twentieth stays free, at most 1 GiB; of one that is fuller already, half of what is free.
    pub(crate) fn new(host: &'a Host, log: &'a Log, limit: Duration) -> Result<Self> {
        let store = host.store.root();
        let (total, free) = disk(store).map_err(Error::io("look at the disk of", store))?;
        let reserve = (total / 20).min(1 << 30).min(free / 2);
        Ok(Self { store, log, limit, begin: Instant::now(), reserve, stopped: Cell::new(None) })
    }

    pub(crate) fn may_go_on(&self) -> bool {
        let stop = if self.begin.elapsed() > self.limit {
            Some(Stop::Timeout(self.limit))
        } else if self.log.is_too_long() {
            Some(Stop::Log(LONGEST))
        } else {
            self.is_full()
        };
        self.stopped.set(stop);
        stop.is_none()
    }

    pub(super) fn is_full(&self) -> Option<Stop> {
        let (_, left) = disk(self.store).ok()?;
        (left < self.reserve).then_some(Stop::Disk { left, needed: self.reserve })
    }
}

/// All bytes of a file system, and those that are free for its users.
fn disk(path: &Path) -> std::io::Result<(u64, u64)> {
    let found = rustix::fs::statvfs(path)?;
    Ok((found.f_blocks.saturating_mul(found.f_frsize), found.f_bavail.saturating_mul(found.f_frsize)))
}
