//! The caller's side of a container: starts the supervisor, hands signals and terminal input on, waits for the end.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use oci_spec::runtime::{BoxBuilder, Spec};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::pipe::{PipeFlags, pipe_with};

use super::cgroup::Leaf;
use super::channel::{Answer, Channel, Message, pair};
use super::directory::Directory;
use super::job::{Job, JobRoot, sealed};
use super::own::OwnProgram;
use super::terminal::{Terminal, own_size};
use super::{Ended, Exit, GoOn, Launch, Root, Streams, UserMap, supervisor};
use crate::error::RuntimeError;
use crate::sys::clone::{Gate, Spawn, fork, has_one_thread, spawn};
use crate::sys::signal;
use crate::view::{ViewKindName, ViewRequest, Written, wire};

/// How often [`Launch::go_on`] is asked.
const ASKED_EVERY: Duration = Duration::from_millis(200);

/// Signal handlers belong to the process, so one container is run at a time.
static RUNNING: Mutex<()> = Mutex::new(());

/// Runs a container and waits for its end.
///
/// Standard input, output and error are the workload's as they are (with `process.terminal` they are a pseudo-terminal of the container, and
/// this process copies to and from it with its own terminal in raw mode). Until it returns, signals such as TERM, INT and HUP
/// that reach this process are handed to the workload, TERM as [`Launch::stop_signal`]. One container runs at a time in a process; a second call waits.
///
/// # Errors
/// The container could not be started or was lost. [`RuntimeError::exit_code`] has the usual code for a command's end.
/// Nothing is left of the container then.
pub fn run(launch: Launch<'_>) -> Result<Ended, RuntimeError> {
    let _running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    let stop = launch.stop_signal.as_deref().map_or(Ok(libc::SIGTERM), stop_number)?;
    let Launch { program, mut spec, root, container_dir, on_directory, read_only_paths, writable, user, map, .. } =
        launch;
    let runtime = launch.runtime;
    let (view, on_view, layer) = (launch.view, launch.on_view, launch.layer);
    let (streams, go_on) = (launch.streams.map(above_standard).transpose()?, launch.go_on);
    super::spec::check(&spec)?;
    let terminal = spec.process().as_ref().and_then(|process| process.terminal()).unwrap_or(false);
    if terminal {
        tell_size(&mut spec)?;
    }
    let mut job = Job {
        spec,
        program: resolve_program(program)?,
        root: match root {
            Root::View(request) => JobRoot::View {
                key: request.key.to_owned(),
                objects: request.objects.to_owned(),
                views: request.views.to_owned(),
                written: if writable { Written::Anything } else { request.written },
            },
            Root::Directory(path) => JobRoot::Directory(path.to_owned()),
        },
        container_dir,
        read_only_paths: if writable { Vec::new() } else { read_only_paths },
        user,
        map: map.kind(),
        cgroups: Vec::new(),
        runtime,
        view: view.map(|kind| kind.as_str().to_owned()),
        layer,
    };
    let directory = Directory::create(&job.container_dir)?;
    if let Some(Err(source)) = on_directory.map(|call| call()) {
        directory.remove();
        return Err(RuntimeError::Refused { source });
    }
    let made = match job.runtime {
        None => Leaf::create(directory.path(), &job.spec),
        Some(_) => Leaf::expect(directory.path(), &job.spec),
    };
    let leaf = match made {
        Ok(leaf) => leaf,
        Err(error) => {
            directory.remove();
            return Err(error);
        }
    };
    leaf.join().clone_into(&mut job.cgroups);
    let result = (|| {
        let catcher = signal::Catcher::start().map_err(RuntimeError::start("catch signals"))?;
        let begin = Begin { map: &map, leaf: Some(&leaf), streams: streams.as_ref() };
        let supervisor = Supervisor::start(&job, &directory, &begin)?;
        let listing = match root {
            Root::View(request) => Some(request),
            Root::Directory(_) => None,
        };
        let usual = job.map.usual_view();
        let tell = |kind: ViewKindName| on_view.filter(|_| kind != usual).iter().for_each(|call| call(kind));
        let outcome = Outcome::default();
        Conversation { supervisor, catcher, stop, terminal, listing, go_on, on_view: &tell, outcome }.hold()
    })();
    let memory_kills = leaf.memory_kills();
    // Usually the supervisor has emptied it; after a failure it is ours to do.
    directory.remove();
    result.map(|ended| Ended { memory_kills, ..ended })
}

fn stop_number(name: &str) -> Result<i32, RuntimeError> {
    signal::by_name(name).ok_or_else(|| RuntimeError::Specification(format!("the stop signal {name:?}")))
}

/// Puts the size of this process's terminal into the specification, unless it has one.
fn tell_size(spec: &mut Spec) -> Result<(), RuntimeError> {
    let (Some(process), Some(size)) = (spec.process_mut(), own_size()) else { return Ok(()) };
    if process.console_size().is_none() {
        let size = BoxBuilder::default().height(u64::from(size.ws_row)).width(u64::from(size.ws_col)).build();
        process.set_console_size(Some(size.map_err(|error| RuntimeError::Specification(error.to_string()))?));
    }
    Ok(())
}

/// The program as a path that a new mount namespace resolves to the same file.
pub(super) fn resolve_program(program: Option<PathBuf>) -> Result<PathBuf, RuntimeError> {
    match program {
        Some(path) => Ok(path),
        None => std::env::current_exe().map_err(RuntimeError::start("find the running program")),
    }
}

/// Streams under numbers above those that they will have, so that putting one in its place doesn't overwrite another.
fn above_standard(streams: Streams) -> Result<Streams, RuntimeError> {
    let above = |fd: OwnedFd| match fd.as_raw_fd() {
        0..=2 => rustix::io::fcntl_dupfd_cloexec(&fd, 3),
        _ => Ok(fd),
    };
    (|| Ok(Streams { input: above(streams.input)?, output: above(streams.output)?, error: above(streams.error)? }))()
        .map_err(|error: rustix::io::Errno| RuntimeError::start("hand streams to the container")(error.into()))
}

/// How a supervisor begins.
pub(super) struct Begin<'a> {
    /// The ids of its namespace.
    pub(super) map: &'a UserMap,
    /// The cgroup that it is born in.
    pub(super) leaf: Option<&'a Leaf>,
    /// Its standard streams, which become the workload's; this process's own when absent.
    pub(super) streams: Option<&'a Streams>,
}

/// A running supervisor.
pub(super) struct Supervisor {
    pid: libc::pid_t,
    channel: Channel,
}

impl Supervisor {
    /// Starts the supervisor of `job`: a clone of this process, or the program executed anew where that can't be, because this process
    /// has other threads or because a container of another runtime may be shown the supervisor.
    pub(super) fn start(job: &Job, directory: &Directory, begin: &Begin<'_>) -> Result<Self, RuntimeError> {
        let &Begin { map, leaf, streams } = begin;
        let (channel, theirs) = pair().map_err(RuntimeError::start("make a socket"))?;
        // Where ids are mapped from outside the supervisor waits for that.
        let gate = (*map != UserMap::Host).then(|| pipe_with(PipeFlags::CLOEXEC)).transpose();
        let gate = gate.map_err(|error| RuntimeError::start("make a pipe")(error.into()))?;
        let mut namespaces = libc::CLONE_NEWPID | libc::CLONE_NEWNS;
        if *map != UserMap::Host {
            namespaces |= libc::CLONE_NEWUSER;
        }
        let (namespaces, cgroup) = (namespaces as u64, leaf.and_then(Leaf::fd));
        let clone = job.runtime.is_none() && has_one_thread();
        let file = if clone { None } else { Some(job.seal()?) };
        let mask = signal::block_all().map_err(RuntimeError::start("block signals"))?;
        let started = match &file {
            None => match fork(namespaces, cgroup) {
                Ok(None) => supervisor::cloned(job, theirs, directory.lock(), gate, streams),
                Ok(Some(pid)) => Ok(pid),
                Err(error) => Err(error),
            },
            Some(file) => OwnProgram {
                program: &job.program,
                inherit: &[file.as_fd(), theirs.as_fd(), directory.lock().as_fd()],
                namespaces,
                wait_for: gate.as_ref().map(|(read, write)| Gate { read: read.as_fd(), write: write.as_fd() }),
                report: theirs.as_fd(),
                streams: streams.map(|streams| [streams.input.as_fd(), streams.output.as_fd(), streams.error.as_fd()]),
                cgroup,
            }
            .start(),
        };
        mask.restore();
        let pid = started.map_err(|source| refused(source, map))?;
        let supervisor = Self { pid, channel };
        let Some((read, write)) = gate else { return Ok(supervisor) };
        drop(read);
        map.write(pid)?;
        // A child that is gone is noticed on the channel.
        let _ = File::from(write).write_all(b"\n");
        Ok(supervisor)
    }

    /// The channel to it.
    pub(super) fn channel(&self) -> &Channel {
        &self.channel
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        // Everything that it started dies with it. It has usually ended already.
        signal::send(self.pid, libc::SIGKILL);
        signal::wait_for(self.pid);
    }
}

/// Makes a user namespace as an ordinary user's container has, and leaves it at once.
pub(crate) fn try_user_namespace() -> Result<(), RuntimeError> {
    try_namespaces(false)
}

/// Makes the namespaces of a container, and ends at once: whether the kernel allows it, and if not why.
pub(super) fn try_namespaces(root: bool) -> Result<(), RuntimeError> {
    let map = if root { UserMap::Host } else { UserMap::Single };
    let mut namespaces = libc::CLONE_NEWPID | libc::CLONE_NEWNS;
    if !root {
        namespaces |= libc::CLONE_NEWUSER;
    }
    let (channel, theirs) = pair().map_err(RuntimeError::start("make a socket"))?;
    let mask = signal::block_all().map_err(RuntimeError::start("block signals"))?;
    let pipe = pipe_with(PipeFlags::CLOEXEC).map_err(io::Error::from);
    let started = pipe.and_then(|(read, write)| {
        spawn(&Spawn {
            program: c"/",
            arguments: &[],
            namespaces: namespaces as u64,
            inherit: &[],
            // Nothing is ever written: the child ends.
            wait_for: Some(Gate { read: read.as_fd(), write: write.as_fd() }),
            report: theirs.as_fd(),
            streams: None,
            cgroup: None,
        })
    });
    mask.restore();
    let supervisor = Supervisor { pid: started.map_err(|source| refused(source, &map))?, channel };
    signal::wait_for(supervisor.pid);
    std::mem::forget(supervisor);
    Ok(())
}

fn refused(source: io::Error, map: &UserMap) -> RuntimeError {
    let (what, remedy) = match (map, source.raw_os_error()) {
        (UserMap::Host, Some(libc::EPERM)) => {
            ("make namespaces", "this root lacks CAP_SYS_ADMIN; inside another container, start that one privileged")
        }
        (_, Some(libc::EPERM)) => (
            "make a user namespace",
            "the system forbids it to ordinary users: see the sysctls kernel.unprivileged_userns_clone and \
             kernel.apparmor_restrict_unprivileged_userns, or the seccomp profile of the container this runs in",
        ),
        (_, Some(libc::ENOSPC)) => ("make a user namespace", "the sysctl user.max_user_namespaces is reached"),
        _ => ("make namespaces", ""),
    };
    RuntimeError::Start { what: what.to_owned(), remedy, source }
}

#[derive(Default)]
struct Outcome {
    status: Option<i32>,
    failure: Option<RuntimeError>,
    view: Option<ViewKindName>,
    stopped: bool,
}

/// Everything that goes on until the supervisor closes its end.
struct Conversation<'a> {
    supervisor: Supervisor,
    catcher: signal::Catcher,
    /// What the workload gets for TERM.
    stop: i32,
    terminal: bool,
    listing: Option<ViewRequest<'a>>,
    go_on: Option<&'a GoOn<'a>>,
    on_view: &'a dyn Fn(ViewKindName),
    outcome: Outcome,
}

impl Conversation<'_> {
    fn hold(mut self) -> Result<Ended, RuntimeError> {
        let mut terminal: Option<Terminal> = None;
        loop {
            let (heard, signalled) = self.wait(terminal.as_mut())?;
            if !self.outcome.stopped && self.go_on.is_some_and(|go_on| !go_on()) {
                self.outcome.stopped = true;
                signal::send(self.supervisor.pid, libc::SIGKILL);
            }
            if signalled {
                for number in self.catcher.take() {
                    match &terminal {
                        Some(terminal) if number == libc::SIGWINCH => terminal.follow_size(),
                        // Until there is a workload it waits in the supervisor's queue.
                        _ if number == libc::SIGTERM => signal::send(self.supervisor.pid, self.stop),
                        _ => signal::send(self.supervisor.pid, number),
                    }
                }
            }
            if !heard {
                continue;
            }
            match self.supervisor.channel.receive()? {
                Some(Message::Started(master)) => {
                    if let (true, Some(master)) = (self.terminal, master) {
                        terminal = Some(Terminal::start(master)?);
                    }
                }
                Some(Message::View(kind)) => {
                    self.outcome.view = Some(kind);
                    (self.on_view)(kind);
                }
                Some(Message::WantTree) => {
                    // Listing may take long, and is the caller's own work: its signals are the caller's too.
                    self.catcher.pause();
                    self.give_tree();
                    self.catcher.resume();
                }
                Some(Message::Ended(status)) => self.outcome.status = Some(status),
                Some(Message::Failed(failure)) => {
                    // The first reason is the cause; one that this side knows better stands.
                    self.outcome.failure.get_or_insert_with(|| failure.into_error());
                }
                None => break,
            }
        }
        if let Some(terminal) = terminal {
            terminal.finish();
        }
        let Outcome { status, failure, view, stopped } = self.outcome;
        let ended = |exit| Ended { exit, view, memory_kills: 0, stopped };
        match (failure, status) {
            _ if stopped => Ok(ended(Exit::Signal(libc::SIGKILL as u8))),
            (Some(failure), _) => Err(failure),
            (None, Some(status)) => Ok(ended(Exit::from_status(status))),
            (None, None) => Err(RuntimeError::Lost),
        }
    }

    /// Waits until the supervisor or a signal wants something, copying terminal input and output meanwhile.
    fn wait(&self, terminal: Option<&mut Terminal>) -> Result<(bool, bool), RuntimeError> {
        let mut fds =
            vec![PollFd::new(&self.supervisor.channel, PollFlags::IN), PollFd::new(self.catcher.fd(), PollFlags::IN)];
        if let Some(terminal) = &terminal {
            terminal.poll_for(&mut fds);
        }
        let pause = self.go_on.and_then(|_| rustix::event::Timespec::try_from(ASKED_EVERY).ok());
        match poll(&mut fds, pause.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(RuntimeError::start("wait for the container")(error.into())),
        }
        let ready: Vec<PollFlags> = fds.iter().map(PollFd::revents).collect();
        if let Some(terminal) = terminal {
            terminal.copy(&ready[2..]);
        }
        Ok((!ready[0].is_empty(), !ready[1].is_empty()))
    }

    fn give_tree(&mut self) {
        let channel = self.supervisor.channel();
        let Some(request) = &self.listing else { return channel.answer(&Answer::NoTree) };
        let file: Result<OwnedFd, RuntimeError> =
            (request.tree)().map_err(RuntimeError::ViewListing).and_then(|tree| {
                sealed("larder-tree", &wire::encode(&tree))
                    .map_err(RuntimeError::start("hand the listing to the supervisor"))
            });
        match file {
            Ok(fd) => channel.answer(&Answer::Tree(fd)),
            Err(error) => {
                channel.answer(&Answer::NoTree);
                self.outcome.failure = Some(error);
            }
        }
    }
}
