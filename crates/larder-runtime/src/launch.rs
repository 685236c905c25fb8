//! Starting a container in the foreground and waiting for its end.
//!
//! ```text
//! caller of run() ──clone3──► supervisor: PID 1 of the OUTER pid namespace, own mount namespace (own user namespace for an
//!    │  ▲                     ordinary user). Makes and mounts the view, removes the container's directory at the end.
//!    │  │ one socket          └─clone3──► init: PID 1 of the INNER pid namespace (+ mnt, ipc, uts, cgroup, net)
//!    │  └── messages                      makes the network beside the view, builds the root; becomes a small program
//!    └───── life line                     of its own, which reaps and hands signals on
//!                                         └─clone3──► the workload: becomes the same small program, and what was asked for
//! ```
//!
//! # Invariants
//! - Killing any of our processes ends all of them. The supervisor dies with the thread that called [`run`] (parent-death signal) and sees
//!   the socket's hang-up; the end of a namespace's PID 1 kills every process in it, in the kernel.
//! - No mount is made in the caller's mount namespace, so none can be left there.
//! - A lock on `<container>/lock` is held by all of our processes of a container and not by the workload: a directory whose lock is
//!   free belongs to a dead container, and [`collect`] removes it.
//! - A container sees no process that runs the launcher's program, and executes it nowhere: before its workload begins, the init and what
//!   becomes the workload have executed a small program (`inside.rs`) in sealed memory. The init isn't dumpable either. The supervisor
//!   is in another PID namespace: no `/proc` of a container shows it.
//! - The supervisor and the init have one thread each. A caller with one thread becomes the supervisor by a clone alone, which keeps
//!   nothing open but what it is given. One with more has it executed, as with another runtime: between clone and exec
//!   its child makes system calls only. What is executed then is this same program, with [`WORD`] as first argument: its `main` calls
//!   [`entry`] before anything else.
//!
//! # Absent on purpose
//! OCI hooks, device cgroups, labels of security modules. [`Launch::runtime`] has the supervisor start another program on
//! the same specification in place of the init.

mod cgroup;
mod channel;
mod collect;
mod devices;
mod directory;
mod foreground;
mod foreign;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod identity;
mod idmap;
mod init;
mod inside;
mod job;
mod mounts;
mod ours;
mod own;
mod privileges;
mod probe;
mod resolve;
mod root;
mod seccomp;
mod spec;
mod supervisor;
mod terminal;
mod workload;

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use oci_spec::runtime::Spec;

use crate::sys::signal;
use crate::view::{ViewKindName, ViewRequest};

pub(crate) use foreground::try_user_namespace;

pub use collect::{Collected, collect};
pub use devices::{DeviceError, device};
pub use foreground::run;
pub use foreign::{OtherRuntime, RuntimeKind};
pub use idmap::{IdRange, MapTools, UserMap};
pub use privileges::{CAPABILITIES, can_give};
pub use probe::{Capabilities, probe, user_map};
pub use spec::{BindMount, DEFAULT_CAPABILITIES, Limits, Net, SpecOptions, specification};

/// The first argument that makes a program a supervisor.
pub const WORD: &str = "__larder-supervise";

/// What [`Launch::on_directory`] calls.
pub type OnDirectory<'a> = dyn Fn() -> Result<(), Box<dyn std::error::Error + Send + Sync>> + 'a;

/// What [`Launch::go_on`] asks.
pub type GoOn<'a> = dyn Fn() -> bool + 'a;

/// The workload's standard streams.
#[derive(Debug)]
pub struct Streams {
    /// Standard input.
    pub input: OwnedFd,
    /// Standard output.
    pub output: OwnedFd,
    /// Standard error.
    pub error: OwnedFd,
}

/// What [`Launch::on_view`] calls.
pub type OnView<'a> = dyn Fn(ViewKindName) + 'a;

/// What to run.
pub struct Launch<'a> {
    /// The program that is executed as supervisor where a clone can't be: one whose `main` calls [`entry`] first. `None`: the running program.
    pub program: Option<PathBuf>,
    /// The OCI runtime specification, such as [`specification`] makes.
    ///
    /// Understood: `process` (arguments, environment, working directory, user, capabilities, resource limits, no_new_privs, terminal,
    /// OOM score), `hostname`, `root.readonly`, `mounts`, and of `linux` the namespaces, devices (bound from the host's `/dev`), masked and
    /// read-only paths, sysctls, and of
    /// `resources` memory (`limit`, `swap`), CPU (`quota`, `period`), processes and I/O weight. A limit that can't be set is an error.
    /// The launcher's own system call filter is used unless `linux.seccomp` is given with a default action of "allow" and
    /// no rules, which means none. Anything else that would loosen or restrict the container is refused.
    pub spec: Spec,
    /// What the container sees as `/`.
    pub root: Root<'a>,
    /// The container's directory, `containers/<id>`; it must not exist. Made here, and removed at the container's end.
    pub container_dir: PathBuf,
    /// Called once the container's directory is there and locked, before anything of the view is looked at: the place to write
    /// down, in that directory, what the container needs. What it returns as an error ends the launch.
    pub on_directory: Option<&'a OnDirectory<'a>>,
    /// Paths of the container that are bound read-only over the writable root; those that are not there are left out.
    pub read_only_paths: Vec<PathBuf>,
    /// Leaves [`Launch::read_only_paths`] writable.
    pub writable: bool,
    /// `user[:group]`, by name or number, looked up in the container; goes before the specification's numbers.
    pub user: Option<String>,
    /// The signal that asks the workload to end, such as `SIGQUIT`: what it gets when TERM reaches this process. TERM when absent.
    pub stop_signal: Option<String>,
    /// How the container's user ids become the host's.
    pub map: UserMap,
    /// Another OCI runtime that runs the container, in the place of this crate's own init. What it does otherwise: its workload is
    /// PID 1 of the container, the limits are its own to set, and the system call filter is the nearest that a specification can say.
    pub runtime: Option<OtherRuntime>,
    /// The only way in which the view may be made. `None`: the first that works.
    pub view: Option<ViewKindName>,
    /// The workload's standard streams. `None`: those of this process.
    pub streams: Option<Streams>,
    /// Asked several times a second while the container runs: at the first `false` all of it is killed, and [`Ended::stopped`] says so.
    pub go_on: Option<&'a GoOn<'a>>,
    /// An empty folder of the caller's in which the writable layer is made and stays when the container has ended: what was written as
    /// `upper`, in the kernel's own form, to be read and never to be mounted again. `None`: it goes with the container.
    pub layer: Option<PathBuf>,
    /// Called before the workload runs where the view isn't made in the way that is usual for this kind of user.
    pub on_view: Option<&'a OnView<'a>>,
}

/// What a container sees as `/`.
#[derive(Clone, Copy)]
pub enum Root<'a> {
    /// A view, with a writable layer of the container's own unless `root.readonly`. Its listing is asked for in this process.
    View(ViewRequest<'a>),
    /// A directory of the host, bound as it is: writes go to it unless `root.readonly`.
    Directory(&'a std::path::Path),
}

/// How a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The workload ended with this code.
    Code(u8),
    /// A signal killed it.
    Signal(u8),
}

impl Exit {
    /// The code that a shell would show: 128 + the signal's number for a killed workload.
    pub fn code(self) -> u8 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128_u8.wrapping_add(signal),
        }
    }

    fn from_status(status: i32) -> Self {
        if libc::WIFSIGNALED(status) {
            Self::Signal(libc::WTERMSIG(status) as u8)
        } else {
            Self::Code(libc::WEXITSTATUS(status) as u8)
        }
    }
}

/// A container's end, and how it was run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// How the workload ended.
    pub exit: Exit,
    /// The way its view was made; `None` for [`Root::Directory`].
    pub view: Option<ViewKindName>,
    /// How many of its processes the kernel killed because it had reached its memory limit.
    pub memory_kills: u64,
    /// Whether it was killed because [`Launch::go_on`] said so.
    pub stopped: bool,
}

/// To be called first in `main` of a program that calls [`run`]: where the program was started as a supervisor this does
/// that work and does not come back. Elsewhere it sees to it that this process can wait for its children, whatever its caller ignores.
pub fn entry() {
    signal::keep_ends_of_children();
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|word| word == WORD) {
        supervisor::main(arguments)
    }
}
