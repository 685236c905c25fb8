//! The last steps before the workload: limits, identity, privileges, filter, and the program that executes it.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use oci_spec::runtime::{PosixRlimit, PosixRlimitType, Process};
use rustix::fs::{Access, AtFlags, CWD, FileType, Mode, accessat};
use rustix::io::Errno;
use rustix::process::{Gid, Resource, Rlimit, Uid, chdir, getcwd, setrlimit, setsid, umask};
use rustix::thread::{
    set_keep_capabilities, set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

use super::channel::Channel;
use super::identity::Identity;
use super::idmap::write_single;
use super::inside::Inside;
use super::job::MapKind;
use super::ours::with_own_proc;
use super::privileges::Privileges;
use super::seccomp::Filter;
use crate::error::RuntimeError;
use crate::sys::{clone, namespace, signal};

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// `PIPEFS_MAGIC` of `linux/magic.h`.
const PIPE_FS: rustix::fs::FsWord = 0x5049_5045;

/// A program of the container and how it is to run.
pub(super) struct Workload<'a> {
    pub(super) process: &'a Process,
    pub(super) identity: &'a Identity,
    pub(super) map: MapKind,
    pub(super) filter: &'a Filter,
    /// The container's side of a pseudo-terminal.
    pub(super) terminal: Option<&'a OwnedFd>,
    /// What it is executed by.
    pub(super) inside: &'a Inside,
    /// The way to the launcher.
    pub(super) channel: &'a Channel,
    /// Where a byte can be read once PID 1 is what the workload may see.
    pub(super) gate: BorrowedFd<'a>,
}

impl Workload<'_> {
    /// Becomes the program. Comes back only with a reason why not.
    pub(super) fn execute(&self) -> RuntimeError {
        match self.prepare() {
            Ok(()) => self.replace(),
            Err(error) => error,
        }
    }

    fn prepare(&self) -> Result<(), RuntimeError> {
        let failed = |what: &str| {
            let what = what.to_owned();
            move |error: rustix::io::Errno| RuntimeError::start(what)(error.into())
        };
        // A session of its own: it can't put characters into the input of the caller's terminal.
        setsid().map_err(failed("make a session"))?;
        if let Some(terminal) = self.terminal {
            rustix::process::ioctl_tiocsctty(terminal).map_err(failed("take the terminal"))?;
            rustix::stdio::dup2_stdin(terminal).map_err(failed("take the terminal"))?;
            rustix::stdio::dup2_stdout(terminal).map_err(failed("take the terminal"))?;
            rustix::stdio::dup2_stderr(terminal).map_err(failed("take the terminal"))?;
        }
        clone::close_on_exec_from(3).map_err(RuntimeError::start("close what is not the workload's"))?;
        for limit in self.process.rlimits().iter().flatten() {
            set_limit(limit)?;
        }
        if let Some(score) = self.process.oom_score_adj() {
            let path = "/proc/self/oom_score_adj";
            let write = || std::fs::write(path, score.to_string()).map_err(RuntimeError::start("set the OOM score"));
            with_own_proc(write)?;
        }
        umask(Mode::from_raw_mode(self.process.user().umask().unwrap_or(0o022)));
        give_streams(self.identity);
        self.become_user()?;
        let directory = self.process.cwd();
        let directory = if directory.as_os_str().is_empty() { Path::new("/") } else { directory };
        chdir(directory)
            .map_err(failed(&format!("enter the working directory {} of the container", directory.display())))?;
        // A link below /proc may lead to a directory that the caller has open: from there the whole host could be reached.
        if !getcwd(Vec::new()).is_ok_and(|path| path.to_bytes().starts_with(b"/")) {
            let directory = directory.display();
            return Err(RuntimeError::Specification(format!(
                "the working directory {directory} leads outside of the container"
            )));
        }
        signal::reset_all();
        if self.process.no_new_privileges().unwrap_or(false) {
            set_no_new_privs(true).map_err(failed("set no_new_privs"))?;
            self.filter.install()?;
        }
        Ok(())
    }

    fn become_user(&self) -> Result<(), RuntimeError> {
        let Identity { uid, gid, groups, .. } = self.identity;
        let step = || format!("become user {uid} and group {gid} of the container");
        if self.map == MapKind::Single && (*uid, *gid) != (0, 0) {
            // The one mapped user is root of the namespace that the mounts were made in; in one more it has the wanted number.
            namespace::unshare_user().map_err(RuntimeError::start(step()))?;
            with_own_proc(|| write_single("/proc/self", 0, 0, (*uid, *gid)))?;
        }
        let privileges = Privileges::of(self.process.capabilities().as_ref());
        privileges.bound()?;
        // Without no_new_privs the filter needs a right that goes with the change of user.
        if !self.process.no_new_privileges().unwrap_or(false) {
            self.filter.install()?;
        }
        let failed = |error: rustix::io::Errno| RuntimeError::start(step())(error.into());
        if self.map != MapKind::Single {
            let groups: Vec<Gid> = groups.iter().map(|&group| Gid::from_raw(group)).collect();
            set_thread_groups(&groups).map_err(failed)?;
        }
        set_keep_capabilities(privileges.has_ambient()).map_err(failed)?;
        let (uid_raw, gid_raw) = (Uid::from_raw(*uid), Gid::from_raw(*gid));
        set_thread_res_gid(gid_raw, gid_raw, gid_raw).map_err(failed)?;
        set_thread_res_uid(uid_raw, uid_raw, uid_raw).map_err(failed)?;
        privileges.apply(*uid)
    }

    /// Becomes the program that is to become the workload's, when PID 1 lets it.
    fn replace(&self) -> RuntimeError {
        let arguments = self.process.args().as_deref().unwrap_or_default();
        let Some(name) = arguments.first() else {
            return RuntimeError::Specification("there is no program to run".to_owned());
        };
        let environment = environment(self.process, self.identity);
        let texts = |list: &[String]| -> Option<Vec<CString>> {
            list.iter().map(|text| CString::new(text.as_bytes()).ok()).collect()
        };
        let (Some(argv), Some(envp)) = (texts(arguments), texts(&environment)) else {
            return RuntimeError::Specification("an argument or variable has a NUL byte".to_owned());
        };
        let path = environment.iter().find_map(|text| text.strip_prefix("PATH=")).unwrap_or(PATH);
        match find(name, path) {
            Ok(program) => self.inside.become_workload((&program, &argv), &envp, self.channel.as_fd(), self.gate),
            Err(error) => error,
        }
    }
}

/// The file of a program: the first of that name in `path` that this user may execute, or the one that has a path of its own.
fn find(name: &str, path: &str) -> Result<CString, RuntimeError> {
    let candidates: Vec<String> = if name.contains('/') {
        vec![name.to_owned()]
    } else {
        let beside = |folder: &str| if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
        path.split(':').map(beside).collect()
    };
    let mut reason = None;
    for candidate in candidates {
        match executable(Path::new(&candidate)) {
            // It came from texts without NUL.
            Ok(()) => return CString::new(candidate).map_err(|_| RuntimeError::ProgramNotFound(name.to_owned())),
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(Errno::ACCESS) => reason = Some(Errno::ACCESS),
            Err(error) => {
                reason = Some(error);
                break;
            }
        }
    }
    Err(match reason {
        Some(error) => RuntimeError::ProgramNotExecutable { program: name.to_owned(), source: error.into() },
        None => RuntimeError::ProgramNotFound(name.to_owned()),
    })
}

/// What the kernel would say of executing a file before it looks into it.
fn executable(path: &Path) -> Result<(), Errno> {
    let found = rustix::fs::stat(path)?;
    if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
        return Err(Errno::ACCESS);
    }
    accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS)
}

/// Gives the workload's user the pipes that are its standard streams, so that programs which open `/dev/stdout` by name
/// can. Anonymous pipes only: a file or a named pipe belongs to somebody on the host.
pub(super) fn give_streams(identity: &Identity) {
    let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    for stream in [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()] {
        if rustix::fs::fstatfs(stream).is_ok_and(|found| found.f_type == PIPE_FS) {
            // Where it is refused, the program can still use the stream that it has.
            let _ = rustix::fs::fchown(stream, Some(uid), Some(gid));
        }
    }
}

/// The variables of a process, with those that every program expects.
pub(super) fn environment(process: &Process, identity: &Identity) -> Vec<String> {
    let mut environment = process.env().clone().unwrap_or_default();
    let mut default = |name: &str, value: &str| {
        if !environment.iter().any(|text| text.strip_prefix(name).is_some_and(|rest| rest.starts_with('='))) {
            environment.push(format!("{name}={value}"));
        }
    };
    default("PATH", PATH);
    default("HOME", identity.home.as_deref().unwrap_or("/"));
    if process.terminal().unwrap_or(false) {
        default("TERM", "xterm");
    }
    environment
}

fn set_limit(limit: &PosixRlimit) -> Result<(), RuntimeError> {
    let resource = match limit.typ() {
        PosixRlimitType::RlimitCpu => Resource::Cpu,
        PosixRlimitType::RlimitFsize => Resource::Fsize,
        PosixRlimitType::RlimitData => Resource::Data,
        PosixRlimitType::RlimitStack => Resource::Stack,
        PosixRlimitType::RlimitCore => Resource::Core,
        PosixRlimitType::RlimitRss => Resource::Rss,
        PosixRlimitType::RlimitNproc => Resource::Nproc,
        PosixRlimitType::RlimitNofile => Resource::Nofile,
        PosixRlimitType::RlimitMemlock => Resource::Memlock,
        PosixRlimitType::RlimitAs => Resource::As,
        PosixRlimitType::RlimitLocks => Resource::Locks,
        PosixRlimitType::RlimitSigpending => Resource::Sigpending,
        PosixRlimitType::RlimitMsgqueue => Resource::Msgqueue,
        PosixRlimitType::RlimitNice => Resource::Nice,
        PosixRlimitType::RlimitRtprio => Resource::Rtprio,
        PosixRlimitType::RlimitRttime => Resource::Rttime,
    };
    let value = |value: u64| (value != libc::RLIM_INFINITY).then_some(value);
    let wanted = Rlimit { current: value(limit.soft()), maximum: value(limit.hard()) };
    setrlimit(resource, wanted)
        .map_err(|error| RuntimeError::start(format!("set the limit {}", limit.typ()))(error.into()))
}
