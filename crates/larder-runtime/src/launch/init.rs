//! PID 1 of the container: builds the root, starts the workload, reaps, hands signals on.

use std::ffi::OsString;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};

use oci_spec::runtime::{Box as ConsoleSize, LinuxNamespaceType};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Gid, Mode, OFlags, Uid, fchown, open};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::umask;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::channel::{Channel, Failure, Message};
use super::identity::Identity;
use super::job::Job;
use super::ours::{FAILED, hide_memory, replace_stdio};
use super::resolve::{RootDir, Target, attach_at};
use super::seccomp::Filter;
use super::workload::Workload;
use super::{cgroup, own, privileges, root};
use crate::error::RuntimeError;
use crate::sys::clone::{end, fork};
use crate::sys::mount::{Recursive, clone_tree};
use crate::sys::{namespace, signal};

/// The init's `main`: the arguments are the numbers of the job, the channel, the lock and the socket to the supervisor.
pub(super) fn main(arguments: impl Iterator<Item = OsString>) -> ! {
    // The lock is only held.
    let Some([job, channel, _lock, place]) = own::descriptors(arguments) else { std::process::exit(FAILED) };
    let (channel, place) = (Channel(channel), Channel(place));
    match contain(job, &channel, &place) {
        Ok(()) => std::process::exit(0),
        Err(error) => {
            channel.send(&Message::Failed(Failure::of(&error)));
            std::process::exit(FAILED)
        }
    }
}

fn contain(job: OwnedFd, channel: &Channel, place: &Channel) -> Result<(), RuntimeError> {
    hide_memory()?;
    signal::block_all().map_err(RuntimeError::start("block signals"))?;
    let job = Job::read(job)?;
    let filter = Filter::for_spec(&job.spec)?;
    // Everything above is done beside the supervisor's work.
    if has_namespace(&job, LinuxNamespaceType::Network) {
        move_into_link_name_space(await_part(place)?.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(|error| RuntimeError::start("enter the container's network namespace")(error.into()))?;
    }
    let root = await_part(place)?;
    let workload = start(&job, channel, &root, &filter)?;
    drop(root);
    attend(&workload, channel)
}

/// The next of what the supervisor makes. Where it could not, it has said so, and there is nothing to start.
fn await_part(place: &Channel) -> Result<OwnedFd, RuntimeError> {
    let part = place.await_part().map_err(RuntimeError::start("hear from the supervisor"))?;
    Ok(part.unwrap_or_else(|| end(FAILED)))
}

/// The workload's process.
pub(super) struct Started {
    pub(super) pid: libc::pid_t,
    /// The container's side of its terminal, kept open: while nobody has it open its master reports a hang-up.
    #[expect(dead_code, reason = "held, not used")]
    pub(super) terminal: Option<OwnedFd>,
}

/// Builds everything and starts the workload.
fn start(job: &Job, channel: &Channel, root_mount: &OwnedFd, filter: &Filter) -> Result<Started, RuntimeError> {
    join_cgroups(job)?;
    let null = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| RuntimeError::start("open /dev/null")(error.into()))?;
    // Modes are as written here; the workload sets its own mask.
    umask(Mode::empty());
    name_host(job)?;
    let inside = root::assemble(job, root_mount)?;
    root::enter(&inside)?;
    root::restrict(job, &inside)?;
    let Some(process) = job.spec.process() else {
        return Err(RuntimeError::Specification("there is no process".to_owned()));
    };
    let identity = Identity::resolve(&inside, job.user.as_deref(), process.user())?;
    let terminal = if process.terminal().unwrap_or(false) {
        Some(Pty::open(&inside, &identity, process.console_size())?)
    } else {
        None
    };
    let workload = Workload {
        process,
        identity: &identity,
        map: job.map,
        filter,
        terminal: terminal.as_ref().map(|terminal| &terminal.container),
    };
    drop(inside);
    let pid = start_workload(&workload)?;
    replace_stdio(&null)?;
    let (master, container) = terminal.map(|terminal| (terminal.master, terminal.container)).unzip();
    channel.send(&Message::Started(master));
    privileges::keep_kill_only()?;
    Ok(Started { pid, terminal: container })
}

/// Forks, and waits until the child has become the workload.
fn start_workload(workload: &Workload<'_>) -> Result<libc::pid_t, RuntimeError> {
    let failed = RuntimeError::start("start the workload's process");
    let (read, write) = match pipe_with(PipeFlags::CLOEXEC) {
        Ok(ends) => ends,
        Err(error) => return Err(failed(error.into())),
    };
    match fork(0, None).map_err(failed)? {
        None => {
            let failure = Failure::of(&workload.execute());
            // A failure has a JSON form, and the init reads to the end.
            let _ = rustix::io::write(&write, &serde_json::to_vec(&failure).unwrap_or_default());
            end(FAILED)
        }
        Some(pid) => {
            drop(write);
            let mut words = Vec::new();
            std::fs::File::from(read).read_to_end(&mut words).map_err(RuntimeError::start("hear from the workload"))?;
            if words.is_empty() {
                return Ok(pid);
            }
            signal::wait_for(pid);
            let failure = serde_json::from_slice::<Failure>(&words);
            Err(failure.map_or_else(
                |_| RuntimeError::Supervisor("the workload did not start".to_owned()),
                Failure::into_error,
            ))
        }
    }
}

/// Reaps and hands signals on until the workload ends, and tells how.
pub(super) fn attend(workload: &Started, channel: &Channel) -> Result<(), RuntimeError> {
    let queue = signal::Queue::open().map_err(RuntimeError::start("read signals"))?;
    loop {
        while let Some((pid, status)) = signal::reap() {
            if pid == workload.pid {
                channel.send(&Message::Ended(status));
                return Ok(());
            }
        }
        match poll(&mut [PollFd::new(queue.fd(), PollFlags::IN)], None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(RuntimeError::start("wait for the workload")(error.into())),
        }
        while let Some(number) = queue.next() {
            if number != libc::SIGCHLD {
                signal::send(workload.pid, number);
            }
        }
    }
}

/// Goes where the container's limits are, before anything of the container is made.
fn join_cgroups(job: &Job) -> Result<(), RuntimeError> {
    for path in &job.cgroups {
        cgroup::join(path)?;
    }
    if !job.cgroups.is_empty() && has_namespace(job, LinuxNamespaceType::Cgroup) {
        namespace::unshare_cgroup().map_err(RuntimeError::start("make the container's cgroup namespace"))?;
    }
    Ok(())
}

/// Whether the container has such a namespace of its own.
pub(super) fn has_namespace(job: &Job, kind: LinuxNamespaceType) -> bool {
    let listed = job.spec.linux().as_ref().and_then(|linux| linux.namespaces().as_deref()).unwrap_or_default();
    listed.iter().any(|namespace| namespace.typ() == kind)
}

/// Gives the container its name: the one asked for, else its id.
fn name_host(job: &Job) -> Result<(), RuntimeError> {
    if !has_namespace(job, LinuxNamespaceType::Uts) {
        return Ok(());
    }
    let id = job.container_dir.file_name().unwrap_or_default().to_string_lossy();
    let name = job.spec.hostname().as_deref().unwrap_or(&id);
    // The kernel's limit.
    let bytes = &name.as_bytes()[..name.len().min(64)];
    rustix::system::sethostname(bytes)
        .map_err(|error| RuntimeError::start(format!("set the host name {name:?}"))(error.into()))
}

/// A pseudo-terminal of the container's own devpts.
struct Pty {
    master: OwnedFd,
    container: OwnedFd,
}

impl Pty {
    fn open(root: &RootDir, identity: &Identity, size: Option<ConsoleSize>) -> Result<Self, RuntimeError> {
        let failed = |error: rustix::io::Errno| RuntimeError::start("open a terminal in the container")(error.into());
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let master = open("/dev/pts/ptmx", flags, Mode::empty()).map_err(failed)?;
        unlockpt(&master).map_err(failed)?;
        if let Some(size) = size {
            let (rows, columns) = (size.height() as u16, size.width() as u16);
            let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
            tcsetwinsize(&master, size).map_err(failed)?;
        }
        let container = ioctl_tiocgptpeer(&master, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
            .map_err(failed)?;
        // Without a range of ids it is the one user's anyway.
        let _ = fchown(&container, Some(Uid::from_raw(identity.uid)), None::<Gid>);
        let console = || RuntimeError::start("bind /dev/console in the container");
        let name = rustix::pty::ptsname(&master, Vec::new()).map_err(failed)?;
        let tree = clone_tree(rustix::fs::CWD, name.as_c_str(), Recursive::No).map_err(console())?;
        let target = root.target(std::path::Path::new("/dev/console"), Target::File).map_err(console())?;
        attach_at(tree, target).map_err(console())?;
        Ok(Self { master, container })
    }
}
