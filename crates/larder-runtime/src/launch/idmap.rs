//! How the ids of a container become the host's.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::job::MapKind;
use crate::error::RuntimeError;

/// A run of ids of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdRange {
    /// The first id.
    pub first: u32,
    /// How many.
    pub count: u32,
}

/// How a container's user and group ids become the host's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserMap {
    /// They are the host's: no user namespace. For root.
    Host,
    /// The caller is the container's root, or the one user that the container runs as; no other id exists in it.
    Single,
    /// The caller is the container's root, and ids from 1 on are those that `/etc/subuid` and `/etc/subgid` give to the caller.
    Range {
        /// The caller's user ids.
        uids: IdRange,
        /// The caller's group ids.
        gids: IdRange,
        /// The set-id programs that write the maps.
        tools: MapTools,
    },
}

/// Where `newuidmap` and `newgidmap` are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapTools {
    /// `newuidmap`.
    pub uid: PathBuf,
    /// `newgidmap`.
    pub gid: PathBuf,
}

impl UserMap {
    pub(super) fn kind(&self) -> MapKind {
        match self {
            Self::Host => MapKind::Host,
            Self::Single => MapKind::Single,
            Self::Range { .. } => MapKind::Range,
        }
    }

    /// Writes the maps of the user namespace of `pid`, a child that waits for them.
    pub(super) fn write(&self, pid: libc::pid_t) -> Result<(), RuntimeError> {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        match self {
            Self::Host => Ok(()),
            Self::Single => write_single(&format!("/proc/{pid}"), uid, gid, (0, 0)),
            Self::Range { uids, gids, tools } => {
                // Side by side: each is a program start.
                let first = start(&tools.uid, pid, uid, *uids)?;
                let second = start(&tools.gid, pid, gid, *gids)?;
                finish(&tools.uid, first)?;
                finish(&tools.gid, second)
            }
        }
    }
}

/// Maps one user and group of the parent namespace to `inside` of the user namespace of the process at `process` (`/proc/<pid>`).
pub(super) fn write_single(process: &str, uid: u32, gid: u32, inside: (u32, u32)) -> Result<(), RuntimeError> {
    let write = |name: &str, text: String| {
        let path = PathBuf::from(format!("{process}/{name}"));
        std::fs::write(&path, text).map_err(RuntimeError::io("write", &path))
    };
    write("setgroups", "deny".to_owned())?;
    write("uid_map", format!("{} {uid} 1\n", inside.0))?;
    write("gid_map", format!("{} {gid} 1\n", inside.1))
}

fn start(tool: &Path, pid: libc::pid_t, own: u32, range: IdRange) -> Result<Child, RuntimeError> {
    Command::new(tool)
        .args([pid.to_string(), "0".into(), own.to_string(), "1".into()])
        .args(["1".into(), range.first.to_string(), range.count.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .env_clear()
        .spawn()
        .map_err(RuntimeError::io("start", tool))
}

fn finish(tool: &Path, child: Child) -> Result<(), RuntimeError> {
    let output = child.wait_with_output().map_err(RuntimeError::io("wait for", tool))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(RuntimeError::IdMapRefused { tool: tool.to_owned(), said: said.trim().to_owned() })
}
