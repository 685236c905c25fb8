//! PID 1 of the container: builds the root, starts the workload, and becomes the program that reaps and hands signals on.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use oci_spec::runtime::{Box as ConsoleSize, LinuxNamespaceType};
use rustix::fs::{Gid, Mode, OFlags, Uid, fchown, open};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Signal, set_parent_process_death_signal, setsid, umask};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::channel::{Channel, Failure, Message};
use super::identity::Identity;
use super::inside::Inside;
use super::job::Job;
use super::ours::{FAILED, hide_memory, replace_stdio};
use super::resolve::{RootDir, Target, attach_at};
use super::seccomp::Filter;
use super::workload::Workload;
use super::{cgroup, root};
use crate::error::RuntimeError;
use crate::sys::clone::{close_all_but, end, fork};
use crate::sys::mount::{Recursive, clone_tree};
use crate::sys::{namespace, net};

/// What the init is given by the supervisor, which it is a clone of.
pub(super) struct Given<'a> {
    /// Its way to the launcher.
    pub(super) channel: &'a Channel,
    /// The container's lock, which is only held.
    pub(super) lock: BorrowedFd<'a>,
    /// The socket to the supervisor, which sees by it that the init ends.
    pub(super) place: Channel,
}

/// The init's `main`, in a clone of the supervisor in which all signals are blocked.
pub(super) fn cloned(job: &Job, given: &Given<'_>) -> ! {
    // A panic ends here: what the supervisor was doing is not for its clone to go on with.
    let done = catch_unwind(AssertUnwindSafe(|| {
        let error = contain(job, given);
        given.channel.send(&Message::Failed(Failure::of(&error)));
    }));
    drop(done);
    end(FAILED)
}

/// Makes the container and becomes its attendant. Comes back with a failure only.
fn contain(job: &Job, given: &Given<'_>) -> RuntimeError {
    match prepare(given).and_then(|()| start(job, given)) {
        Ok(ready) => ready.attend(given),
        Err(error) => error,
    }
}

/// Makes this clone a process of its own that dies with the supervisor.
fn prepare(given: &Given<'_>) -> Result<(), RuntimeError> {
    let failed = |error: rustix::io::Errno| RuntimeError::start("prepare the container's init")(error.into());
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(failed)?;
    setsid().map_err(failed)?;
    close_all_but(&[given.channel.as_fd(), given.lock, given.place.as_fd()])
        .map_err(RuntimeError::start("close what is not the init's"))?;
    hide_memory()
}

/// The workload's process, which waits at a gate, and what attends it.
struct Ready {
    inside: Inside,
    workload: libc::pid_t,
    gate: OwnedFd,
    /// The container's side of its terminal, kept open: while nobody has it open its master reports a hang-up.
    terminal: Option<OwnedFd>,
}

impl Ready {
    /// Becomes the program that lets the workload go, reaps, hands signals on, and tells of the end. Comes back with a failure only.
    fn attend(&self, given: &Given<'_>) -> RuntimeError {
        let used = [given.channel.as_fd(), self.gate.as_fd(), given.place.as_fd()];
        let held: Vec<BorrowedFd<'_>> =
            [given.lock].into_iter().chain(self.terminal.as_ref().map(AsFd::as_fd)).collect();
        self.inside.attend(self.workload, used, &held)
    }
}

/// Builds everything, up to the workload's process.
fn start(job: &Job, given: &Given<'_>) -> Result<Ready, RuntimeError> {
    // What needs nothing of the supervisor's is done beside its work, which is the view.
    let filter = Filter::for_spec(&job.spec)?;
    let inside = Inside::make(&job.container_dir)?;
    let hear = || RuntimeError::start("hear from the supervisor");
    if !given.place.await_go().map_err(hear())? {
        end(FAILED);
    }
    if has_namespace(job, LinuxNamespaceType::Network) {
        namespace::unshare_net().map_err(RuntimeError::start("make the container's network namespace"))?;
        net::loopback_up().map_err(RuntimeError::start("bring the loopback interface up"))?;
    }
    let Some(root_mount) = given.place.await_root().map_err(hear())? else { end(FAILED) };
    join_cgroups(job)?;
    let null = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| RuntimeError::start("open /dev/null")(error.into()))?;
    // Modes are as written here; the workload sets its own mask.
    umask(Mode::empty());
    name_host(job)?;
    let root = root::assemble(job, &root_mount)?;
    drop(root_mount);
    root::enter(&root)?;
    root::restrict(job, &root)?;
    let Some(process) = job.spec.process() else {
        return Err(RuntimeError::Specification("there is no process".to_owned()));
    };
    let identity = Identity::resolve(&root, job.user.as_deref(), process.user())?;
    let terminal = if process.terminal().unwrap_or(false) {
        Some(Pty::open(&root, &identity, process.console_size())?)
    } else {
        None
    };
    drop(root);
    let (read, gate) =
        pipe_with(PipeFlags::CLOEXEC).map_err(|error| RuntimeError::start("make a pipe")(error.into()))?;
    let workload = Workload {
        process,
        identity: &identity,
        map: job.map,
        filter: &filter,
        terminal: terminal.as_ref().map(|terminal| &terminal.container),
        inside: &inside,
        channel: given.channel,
        gate: read.as_fd(),
    };
    let pid = start_workload(&workload)?;
    replace_stdio(&null)?;
    let (master, container) = terminal.map(|terminal| (terminal.master, terminal.container)).unzip();
    given.channel.send(&Message::Started(master));
    Ok(Ready { inside, workload: pid, gate, terminal: container })
}

/// Forks; the child goes on to the gate by itself, and tells the launcher where it can't.
fn start_workload(workload: &Workload<'_>) -> Result<libc::pid_t, RuntimeError> {
    match fork(0, None).map_err(RuntimeError::start("start the workload's process"))? {
        Some(pid) => Ok(pid),
        None => {
            let failure = Failure::of(&workload.execute());
            workload.channel.send(&Message::Failed(failure));
            end(FAILED)
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
