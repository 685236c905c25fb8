//! Which owners the process that writes a view can give.

use std::fs;
use std::path::Path;

use rustix::fs::{Gid, Uid};
use rustix::thread::CapabilitySet;

use crate::error::RuntimeError;

/// The users and groups of this process's user namespace. An id outside the map becomes the process's own.
pub(crate) struct Owners {
    uids: Ids,
    gids: Ids,
    /// 16 hexadecimal digits that differ between maps, and between those that may and may not give capabilities.
    pub(crate) fingerprint: String,
}

/// The users or the groups of a user namespace.
struct Ids {
    ranges: Vec<(u32, u32)>,
    own: u32,
}

impl Owners {
    /// Those of this process.
    pub(crate) fn here() -> Result<Self, RuntimeError> {
        let uid_map = read_map("/proc/self/uid_map")?;
        let gid_map = read_map("/proc/self/gid_map")?;
        let uids = Ids { ranges: ranges(&uid_map), own: rustix::process::geteuid().as_raw() };
        let gids = Ids { ranges: ranges(&gid_map), own: rustix::process::getegid().as_raw() };
        // Where it can't be asked, setting a capability will tell.
        let own = rustix::thread::capabilities(None).map(|sets| sets.effective).unwrap_or(CapabilitySet::empty());
        let may_give = if own.contains(CapabilitySet::SETFCAP) { "" } else { "/no capabilities" };
        let mut hasher = blake3::Hasher::new();
        for part in [&uid_map, "/", &gid_map, "/", &uids.own.to_string(), "/", &gids.own.to_string(), may_give] {
            hasher.update(part.as_bytes());
        }
        let fingerprint = hasher.finalize().to_hex()[..16].to_owned();
        Ok(Self { uids, gids, fingerprint })
    }

    /// The owner and group of new files.
    pub(crate) fn own(&self) -> (u32, u32) {
        (self.uids.own, self.gids.own)
    }

    /// The owner and group that a file with these gets.
    pub(crate) fn possible(&self, uid: u32, gid: u32) -> (u32, u32) {
        (self.uids.possible(uid), self.gids.possible(gid))
    }

    /// The owner and group to set; none where a new file has them already.
    pub(crate) fn to_set(&self, uid: u32, gid: u32) -> (Option<Uid>, Option<Gid>) {
        let (uid, gid) = self.possible(uid, gid);
        let other_uid = (uid != self.uids.own).then(|| Uid::from_raw(uid));
        let other_gid = (gid != self.gids.own).then(|| Gid::from_raw(gid));
        (other_uid, other_gid)
    }
}

impl Ids {
    fn possible(&self, id: u32) -> u32 {
        let mapped = self.ranges.iter().any(|&(first, count)| id >= first && id - first < count);
        if mapped { id } else { self.own }
    }
}

fn read_map(path: &str) -> Result<String, RuntimeError> {
    fs::read_to_string(path).map_err(RuntimeError::io("read", Path::new(path)))
}

/// The first id inside and the length of each line `<inside> <outside> <length>`.
fn ranges(map: &str) -> Vec<(u32, u32)> {
    let range = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let first = fields.next()?.parse().ok()?;
        let length = fields.nth(1)?.parse().ok()?;
        Some((first, length))
    };
    map.lines().filter_map(range).collect()
}
