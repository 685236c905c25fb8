//! PID 1 of the outer PID namespace.

use std::ffi::OsString;
use std::fs::DirBuilder;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use oci_spec::runtime::LinuxNamespaceType;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::CWD;
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use super::channel::{Answer, Channel, Failure, Message};
use super::job::{Job, JobRoot, contents};
use super::{directory, foreign, init};
use crate::error::RuntimeError;
use crate::sys::clone::{adopt, fork};
use crate::sys::mount::{AttributeChange, Recursive, clone_tree, set_attributes};
use crate::sys::signal;
use crate::view::{self, LayerEnd, Upper, ViewKindName, ViewRequest, wire};

/// The exit code of a process of ours that failed; the launcher has heard why.
pub(super) const FAILED: i32 = 125;

/// The supervisor's `main`: the arguments are the numbers of the job, the channel and the lock.
pub(super) fn main(mut arguments: impl Iterator<Item = OsString>) -> ! {
    let mut descriptor = || -> Option<OwnedFd> { adopt(arguments.next()?.to_str()?.parse().ok()?).ok() };
    // The lock is only held.
    let (Some(job), Some(channel), Some(_lock)) = (descriptor(), descriptor(), descriptor()) else {
        // Somebody typed the private word.
        std::process::exit(FAILED)
    };
    let channel = Channel(channel);
    let result = supervise(job, &channel);
    if let Err(error) = &result {
        channel.send(&Message::Failed(Failure::of(error)));
    }
    std::process::exit(if result.is_ok() { 0 } else { FAILED })
}

fn supervise(job: OwnedFd, channel: &Channel) -> Result<(), RuntimeError> {
    signal::block_all().map_err(RuntimeError::start("block signals"))?;
    let job = Job::read(job)?;
    if let JobRoot::Remove = job.root {
        directory::empty(&job.container_dir).map_err(RuntimeError::io("remove", &job.container_dir))?;
        channel.send(&Message::Ended(0));
        return Ok(());
    }
    let result = contain(&job, channel);
    // Files of mapped ids can be removed in this user namespace only. The launcher removes the directory itself.
    let _ = directory::empty(&job.container_dir);
    result
}

fn contain(job: &Job, channel: &Channel) -> Result<(), RuntimeError> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(|error| RuntimeError::start("make the mounts private")(error.into()))?;
    make_directory(&job.container_dir.join("root"))?;
    let root = make_root(job, channel)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|error| RuntimeError::start("hide the supervisor's memory")(error.into()))?;
    let child = start_init(job, channel, &root)?;
    drop(root);
    let_go_of_stdio()?;
    let status = watch(child, channel)?;
    // The init has told the workload's end. One that was killed could not.
    if libc::WIFSIGNALED(status) {
        channel.send(&Message::Ended(status));
    }
    Ok(())
}

/// Starts what runs the workload: our own init, or the attendant of another OCI runtime.
fn start_init(job: &Job, channel: &Channel, root: &OwnedFd) -> Result<libc::pid_t, RuntimeError> {
    if let Some(runtime) = &job.runtime {
        let failed = RuntimeError::start("make a mount namespace for the runtime");
        return match fork(libc::CLONE_NEWNS as u64).map_err(failed)? {
            Some(child) => Ok(child),
            None => foreign::main(job, runtime, channel, root),
        };
    }
    match fork(namespaces(job)?).map_err(RuntimeError::start("make the container's namespaces"))? {
        Some(child) => Ok(child),
        None => init::main(job, channel, root),
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
            LinuxNamespaceType::Network => libc::CLONE_NEWNET,
            // Its root is the cgroup of who makes it: with limits the init makes it, where it has joined.
            LinuxNamespaceType::Cgroup if !job.cgroups.is_empty() => 0,
            LinuxNamespaceType::Cgroup => libc::CLONE_NEWCGROUP,
            // These two are always made; the user namespace is the supervisor's.
            LinuxNamespaceType::Pid | LinuxNamespaceType::Mount | LinuxNamespaceType::User => 0,
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

fn make_root(job: &Job, channel: &Channel) -> Result<OwnedFd, RuntimeError> {
    let read_only = job.spec.root().as_ref().and_then(|root| root.readonly()).unwrap_or(false);
    match &job.root {
        JobRoot::Directory(path) => {
            let failed = || RuntimeError::start(format!("bind {} as the container's root", path.display()));
            let tree = clone_tree(CWD, path, Recursive::Yes).map_err(failed())?;
            if read_only {
                let change = AttributeChange { set: libc::MOUNT_ATTR_RDONLY, ..AttributeChange::default() };
                set_attributes(tree.as_fd(), c"", change, Recursive::No).map_err(failed())?;
            }
            Ok(tree)
        }
        JobRoot::View { key, objects, views } => {
            let list = || match channel.await_tree() {
                Ok(tree) => Ok(tree),
                Err(error) => Err(Box::new(error).into()),
            };
            let request = ViewRequest { tree: &list, key, objects, views };
            let (upper, work) = (job.container_dir.join("upper"), job.container_dir.join("work"));
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
) -> Result<(ViewKindName, OwnedFd), RuntimeError> {
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

/// Puts `null` in the place of standard input, output and error.
pub(super) fn replace_stdio(null: &OwnedFd) -> Result<(), RuntimeError> {
    let failed = |error: rustix::io::Errno| RuntimeError::start("let go of standard input and output")(error.into());
    rustix::stdio::dup2_stdin(null).map_err(failed)?;
    rustix::stdio::dup2_stdout(null).map_err(failed)?;
    rustix::stdio::dup2_stderr(null).map_err(failed)
}

/// Waits for the init, handing signals on. Gives its raw status.
fn watch(init: libc::pid_t, channel: &Channel) -> Result<i32, RuntimeError> {
    let queue = signal::Queue::open().map_err(RuntimeError::start("read signals"))?;
    loop {
        // Children first: one may have ended before the queue was there.
        while let Some((pid, status)) = signal::reap() {
            if pid == init {
                return Ok(status);
            }
        }
        let mut fds = [PollFd::new(queue.fd(), PollFlags::IN), PollFd::new(channel, PollFlags::empty())];
        match poll(&mut fds, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(RuntimeError::start("wait for the container")(error.into())),
        }
        let gone = fds[1].revents().intersects(PollFlags::HUP | PollFlags::ERR);
        if gone {
            signal::send(init, libc::SIGKILL);
            return Ok(signal::wait_for(init).unwrap_or(libc::SIGKILL));
        }
        while let Some(number) = queue.next() {
            if number != libc::SIGCHLD {
                signal::send(init, number);
            }
        }
    }
}
