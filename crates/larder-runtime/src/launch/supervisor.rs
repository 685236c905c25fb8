//! PID 1 of the outer PID namespace.

use std::ffi::OsString;
use std::fs::{DirBuilder, File};
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use oci_spec::runtime::LinuxNamespaceType;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::CWD;
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::process::{Signal, set_parent_process_death_signal, setsid};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

use super::channel::{Answer, Channel, Failure, Message, pair};
use super::job::{Job, JobRoot, contents};
use super::ours::{FAILED, hide_memory, replace_stdio};
use super::own;
use super::{OtherRuntime, Streams, directory, foreign, init};
use crate::error::RuntimeError;
use crate::sys::clone::{close_all_but, end, fork};
use crate::sys::mount::{AttributeChange, Recursive, clone_tree, set_attributes};
use crate::sys::signal;
use crate::view::{self, LayerEnd, Mounted, Upper, ViewKindName, ViewRequest, wire};

/// What a supervisor holds.
struct Kept<'a> {
    /// Its way to the launcher.
    channel: &'a Channel,
    /// The container's lock.
    lock: BorrowedFd<'a>,
    /// Where a byte can be read once the ids are mapped.
    gate: Option<File>,
}

/// The supervisor's `main`, executed: the arguments are the numbers of the job, the channel and the lock.
pub(super) fn main(arguments: impl Iterator<Item = OsString>) -> ! {
    let Some([job, channel, lock]) = own::descriptors(arguments) else { std::process::exit(FAILED) };
    let channel = Channel(channel);
    let kept = Kept { channel: &channel, lock: lock.as_fd(), gate: None };
    let result = signal::block_all()
        .map_err(RuntimeError::start("block signals"))
        .and_then(|_| Job::read(job))
        .and_then(|job| supervise(&job, kept));
    std::process::exit(tell(&channel, result))
}

/// The supervisor's `main` in a clone of the launcher, in which all signals are blocked. The gate is the pipe that its end waits at, both ends.
pub(super) fn cloned(
    job: &Job,
    channel: Channel,
    lock: &File,
    gate: Option<(OwnedFd, OwnedFd)>,
    streams: Option<&Streams>,
) -> ! {
    // While it is open here the launcher's end would not be seen.
    let gate = gate.map(|(read, _write)| File::from(read));
    // A panic ends here: what the launcher was doing is not for its clone to go on with.
    let done = catch_unwind(AssertUnwindSafe(|| {
        let result = prepare((&channel, lock), gate.as_ref(), streams).and_then(|()| {
            let kept = Kept { channel: &channel, lock: lock.as_fd(), gate };
            supervise(job, kept)
        });
        tell(&channel, result)
    }));
    end(done.unwrap_or(FAILED))
}

/// Makes a clone of the launcher a process of its own that dies with it.
fn prepare(
    (channel, lock): (&Channel, &File),
    gate: Option<&File>,
    streams: Option<&Streams>,
) -> Result<(), RuntimeError> {
    let failed = |error: rustix::io::Errno| RuntimeError::start("prepare the supervisor's process")(error.into());
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(failed)?;
    setsid().map_err(failed)?;
    if let Some(streams) = streams {
        dup2_stdin(&streams.input).map_err(failed)?;
        dup2_stdout(&streams.output).map_err(failed)?;
        dup2_stderr(&streams.error).map_err(failed)?;
    }
    // What the launcher has open for others, such as a directory of the host, is no business of a container.
    let kept: Vec<BorrowedFd<'_>> = [channel.as_fd(), lock.as_fd()].into_iter().chain(gate.map(AsFd::as_fd)).collect();
    close_all_but(&kept).map_err(RuntimeError::start("close what is not the supervisor's"))
}

/// Tells the launcher of a failure, and gives the exit code.
fn tell(channel: &Channel, result: Result<(), RuntimeError>) -> i32 {
    match result {
        Ok(()) => 0,
        Err(error) => {
            channel.send(&Message::Failed(Failure::of(&error)));
            FAILED
        }
    }
}

fn supervise(job: &Job, kept: Kept<'_>) -> Result<(), RuntimeError> {
    if let JobRoot::Remove = job.root {
        await_ids(kept.gate)?;
        directory::empty(&job.container_dir).map_err(RuntimeError::io("remove", &job.container_dir))?;
        kept.channel.send(&Message::Ended(0));
        return Ok(());
    }
    let result = contain(job, kept);
    // Files of mapped ids can be removed in this user namespace only. The launcher removes the directory itself.
    let _ = directory::empty(&job.container_dir);
    result
}

/// Waits until the launcher has had this process's ids mapped.
fn await_ids(gate: Option<File>) -> Result<(), RuntimeError> {
    match gate {
        Some(mut gate) => gate.read_exact(&mut [0]).map_err(RuntimeError::start("wait for the map of ids")),
        None => Ok(()),
    }
}

fn contain(job: &Job, kept: Kept<'_>) -> Result<(), RuntimeError> {
    let Kept { channel, lock, gate } = kept;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(|error| RuntimeError::start("make the mounts private")(error.into()))?;
    let (child, place) = match &job.runtime {
        None => {
            // It begins while the ids are mapped.
            let (child, place) = start_init(job, channel, lock)?;
            await_ids(gate)?;
            place.say_go();
            place.hand_over(make_root(job, channel)?.as_fd());
            (child, Some(place))
        }
        Some(runtime) => {
            await_ids(gate)?;
            make_directory(&job.container_dir.join("root"))?;
            (start_attendant(job, runtime, channel, &make_root(job, channel)?)?, None)
        }
    };
    let_go_of_stdio()?;
    let status = Watch { job, child, channel, place }.until_the_end()?;
    // The init has told the workload's end. One that was killed could not.
    if libc::WIFSIGNALED(status) {
        channel.send(&Message::Ended(status));
    }
    Ok(())
}

/// Starts our own init, which waits for its root on the socket that is given with its id.
fn start_init(job: &Job, channel: &Channel, lock: BorrowedFd<'_>) -> Result<(libc::pid_t, Channel), RuntimeError> {
    let (place, theirs) = pair().map_err(RuntimeError::start("make a socket"))?;
    match fork(namespaces(job)?, None).map_err(RuntimeError::start("make the container's namespaces"))? {
        Some(child) => Ok((child, place)),
        None => init::cloned(job, &init::Given { channel, lock, place: theirs }),
    }
}

/// Starts the attendant of another OCI runtime.
fn start_attendant(
    job: &Job,
    runtime: &OtherRuntime,
    channel: &Channel,
    root: &Mounted,
) -> Result<libc::pid_t, RuntimeError> {
    let failed = RuntimeError::start("make a mount namespace for the runtime");
    match fork(libc::CLONE_NEWNS as u64, None).map_err(failed)? {
        Some(child) => Ok(child),
        None => foreign::main(job, runtime, channel, root),
    }
}

/// The `CLONE_NEW*` flags of the container's own namespaces.
fn namespaces(job: &Job) -> Result<u64, RuntimeError> {
    let mut flags = (libc::CLONE_NEWPID | libc::CLONE_NEWNS) as u64;
    let listed = job.spec.linux().as_ref().and_then(|linux| linux.namespaces().as_deref()).unwrap_or_default();
    for namespace in listed {
        if namespace.path().is_some() {
            return Err(RuntimeError::Specification("joining a namespace by its path".to_owned()));
        }
        flags |= match namespace.typ() {
            LinuxNamespaceType::Ipc => libc::CLONE_NEWIPC,
            LinuxNamespaceType::Uts => libc::CLONE_NEWUTS,
            // Its root is the cgroup of who makes it: with limits the init makes it, where it has joined.
            LinuxNamespaceType::Cgroup if !job.cgroups.is_empty() => 0,
            LinuxNamespaceType::Cgroup => libc::CLONE_NEWCGROUP,
            // These two are always made; the users' is the supervisor's; the network is made where it goes on beside the view.
            LinuxNamespaceType::Pid | LinuxNamespaceType::Mount => 0,
            LinuxNamespaceType::User | LinuxNamespaceType::Network => 0,
            other @ LinuxNamespaceType::Time => {
                return Err(RuntimeError::Specification(format!("a namespace of type {other}")));
            }
        } as u64;
    }
    Ok(flags)
}

fn make_directory(path: &Path) -> Result<(), RuntimeError> {
    DirBuilder::new().mode(0o755).create(path).map_err(RuntimeError::io("create", path))?;
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755))
        .map_err(RuntimeError::io("change the mode of", path))
}

/// Makes the root, the last thing that is done before a process of the container could be there.
fn make_root(job: &Job, channel: &Channel) -> Result<Mounted, RuntimeError> {
    let root = open_root(job, channel)?;
    hide_memory()?;
    Ok(root)
}

fn open_root(job: &Job, channel: &Channel) -> Result<Mounted, RuntimeError> {
    let read_only = job.spec.root().as_ref().and_then(|root| root.readonly()).unwrap_or(false);
    match &job.root {
        JobRoot::Directory(path) => {
            let failed = || RuntimeError::start(format!("bind {} as the container's root", path.display()));
            let tree = clone_tree(CWD, path, Recursive::Yes).map_err(failed())?;
            if read_only {
                let change = AttributeChange { set: libc::MOUNT_ATTR_RDONLY, ..AttributeChange::default() };
                set_attributes(tree.as_fd(), c"", change, Recursive::No).map_err(failed())?;
            }
            Ok(tree.into())
        }
        JobRoot::View { key, objects, views, written } => {
            let list = || match channel.await_tree() {
                Ok(tree) => Ok(tree),
                Err(error) => Err(Box::new(error).into()),
            };
            let request = ViewRequest { tree: &list, key, objects, views, written: *written };
            let folder = job.layer.as_ref().unwrap_or(&job.container_dir);
            let (upper, work) = (folder.join("upper"), folder.join("work"));
            let upper = if read_only {
                None
            } else {
                make_directory(&upper)?;
                make_directory(&work)?;
                Some(Upper { upperdir: &upper, workdir: &work, end: LayerEnd::Removed })
            };
            let (kind, mount) = mount_view(&request, upper, job)?;
            channel.send(&Message::View(kind));
            Ok(mount)
        }
        JobRoot::Remove => Err(RuntimeError::Specification("nothing to run".to_owned())),
    }
}

/// Makes the view the way that was asked for, else the one that usually works for this kind of user, else the first that works. An image
/// is made before it is known to work, because a loop device takes the same one; of stubs, which cost more, only those that are
/// there are tried before a small sample tells which way works.
fn mount_view(
    request: &ViewRequest<'_>,
    upper: Option<Upper<'_>>,
    job: &Job,
) -> Result<(ViewKindName, Mounted), RuntimeError> {
    if let Some(wanted) = job.view.as_deref().and_then(ViewKindName::parse) {
        let way = view::probe_among(&[wanted], request.views)?;
        return Ok((wanted, way.mount(&way.prepare(request)?, upper)?));
    }
    let usual = job.map.usual_view();
    let way = view::by_name(usual);
    let prepared = if usual == ViewKindName::Erofs { Some(way.prepare(request)?) } else { way.find(request)? };
    if let Some(prepared) = prepared {
        match way.mount(&prepared, upper) {
            Ok(mount) => return Ok((usual, mount)),
            Err(RuntimeError::Mount { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let way = view::probe(request.views)?;
    Ok((way.kind(), way.mount(&way.prepare(request)?, upper)?))
}

impl Channel {
    /// Asks the launcher for the listing of the view.
    fn await_tree(&self) -> Result<view::ViewTree, RuntimeError> {
        self.send(&Message::WantTree);
        match self.await_answer().map_err(RuntimeError::start("ask for the listing of the view"))? {
            Answer::Tree(fd) => {
                wire::decode(&contents(fd).map_err(RuntimeError::start("read the listing of the view"))?)
            }
            Answer::NoTree => Err(RuntimeError::Supervisor("the launcher could not list the view".to_owned())),
        }
    }
}

/// Standard input, output and error belong to the workload: a reader of its output must see the end when the workload closes it.
fn let_go_of_stdio() -> Result<(), RuntimeError> {
    use rustix::fs::{Mode, OFlags, open};
    let null = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| RuntimeError::start("open /dev/null")(error.into()))?;
    replace_stdio(&null)
}

/// Waiting for the end of the container's init.
struct Watch<'a> {
    job: &'a Job,
    child: libc::pid_t,
    channel: &'a Channel,
    /// The socket to our own init, which hangs up when that begins to end.
    place: Option<Channel>,
}

impl Watch<'_> {
    /// Waits, handing signals on. Gives the raw status.
    fn until_the_end(mut self) -> Result<i32, RuntimeError> {
        let queue = signal::Queue::open().map_err(RuntimeError::start("read signals"))?;
        loop {
            // Children first: one may have ended before the queue was there.
            while let Some((pid, status)) = signal::reap() {
                if pid == self.child {
                    return Ok(status);
                }
            }
            let mut fds = vec![PollFd::new(queue.fd(), PollFlags::IN), PollFd::new(self.channel, PollFlags::empty())];
            fds.extend(self.place.as_ref().map(|place| PollFd::new(place, PollFlags::empty())));
            match poll(&mut fds, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(RuntimeError::start("wait for the container")(error.into())),
            }
            let gone =
                |fd: Option<&PollFd<'_>>| fd.is_some_and(|fd| fd.revents().intersects(PollFlags::HUP | PollFlags::ERR));
            let (launcher_gone, init_ends) = (gone(fds.get(1)), gone(fds.get(2)));
            if launcher_gone {
                signal::send(self.child, libc::SIGKILL);
                return Ok(signal::wait_for(self.child).unwrap_or(libc::SIGKILL));
            }
            if init_ends {
                // While the kernel takes its namespaces apart. What its processes still do meanwhile is removed afterwards.
                self.place = None;
                let _ = directory::empty(&self.job.container_dir);
            }
            while let Some(number) = queue.next() {
                if number != libc::SIGCHLD {
                    signal::send(self.child, number);
                }
            }
        }
    }
}
