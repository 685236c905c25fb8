//! Another OCI runtime in the place of our init: `create`, `start`, and then its workload is waited for as ours would be.
//!
//! ```text
//! supervisor ──clone──► attendant: own mount namespace, reaper of orphans
//!                       └── RUNTIME create --bundle <container>/bundle   (ends; the container's PID 1 becomes the attendant's child)
//!                           RUNTIME start                                (ends)
//! ```
//! All of it is in the supervisor's PID namespace and in mount namespaces of its own, so it ends as our own containers do, whatever
//! is killed. There is no `delete`: the runtime's state is in the container's directory, its cgroups are in the record.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{Mode, OFlags, open};
use rustix::mount::MountAttrFlags;
use rustix::process::{set_child_subreaper, umask};
use serde::{Deserialize, Serialize};

use super::channel::{Channel, Failure, Message};
use super::identity::Identity;
use super::job::{Job, MapKind};
use super::ours::{FAILED, replace_stdio};
use super::resolve::RootDir;
use super::{cgroup, mounts, workload};
use crate::error::RuntimeError;
use crate::sys::mount::{Context, attach, detach};
use crate::sys::signal;
use crate::view::Mounted;

mod attend;
mod bundle;

use attend::attend;

/// The name of the container to its runtime, and of its state.
const NAME: &str = "container";
/// The socket that a terminal comes through, below the bundle: addresses of sockets are short.
const CONSOLE: &str = "console";

/// A runtime that takes an OCI bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RuntimeKind {
    /// The reference implementation, in Go.
    Runc,
    /// The one in C.
    Crun,
}

impl RuntimeKind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Runc, Self::Crun];

    /// The name of its program, and of Debian's package with it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Runc => "runc",
            Self::Crun => "crun",
        }
    }
}

/// A runtime and its program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherRuntime {
    /// Which it is.
    pub kind: RuntimeKind,
    /// Its program on the host.
    pub program: PathBuf,
}

/// The attendant's `main`, in the child of the supervisor's clone.
pub(super) fn main(job: &Job, runtime: &OtherRuntime, channel: &Channel, root_mount: &Mounted) -> ! {
    let attendant = Attendant { job, runtime };
    match attendant.start(channel, root_mount).and_then(|workload| attend(workload, channel)) {
        Ok(()) => std::process::exit(0),
        Err(error) => {
            channel.send(&Message::Failed(Failure::of(&error)));
            std::process::exit(FAILED)
        }
    }
}

struct Attendant<'a> {
    job: &'a Job,
    runtime: &'a OtherRuntime,
}

impl Attendant<'_> {
    /// Gives the workload's process.
    fn start(&self, channel: &Channel, root_mount: &Mounted) -> Result<libc::pid_t, RuntimeError> {
        set_child_subreaper(Some(rustix::process::getpid()))
            .map_err(|error| RuntimeError::start("become the reaper of orphans")(error.into()))?;
        umask(Mode::from_raw_mode(0o022));
        let root = self.prepare_root(root_mount)?;
        let Some(process) = self.job.spec.process() else {
            return Err(RuntimeError::Specification("there is no process".to_owned()));
        };
        let identity = Identity::resolve(&root, self.job.user.as_deref(), process.user())?;
        if self.job.map == MapKind::Single && (identity.uid, identity.gid) != (0, 0) {
            return Err(self.unable(
                "without a range of ids in /etc/subuid and /etc/subgid it runs the container's root only; \
                 ask for --user 0, or leave --runtime out",
            ));
        }
        self.hide_unified()?;
        let terminal = process.terminal().unwrap_or(false);
        let listener = self.write_bundle(&bundle::specification(self.job, self.runtime.kind, &identity)?, terminal)?;
        drop(root);
        let pid_file = self.path("pid");
        let mut arguments = vec!["create", "--bundle", ".", "--pid-file", "../pid"];
        if terminal {
            arguments.extend(["--console-socket", CONSOLE]);
        }
        arguments.push(NAME);
        workload::give_streams(&identity);
        self.call(&arguments, Streams::Workload)?;
        let pid = fs::read_to_string(&pid_file).map_err(RuntimeError::io("read", &pid_file))?;
        let pid = pid.trim().parse().map_err(|_| self.unable("it wrote no process number"))?;
        let master = match listener {
            Some(listener) => Some(self.take_terminal(&listener)?),
            None => None,
        };
        if let Err(error) = self.call(&["start", NAME], Streams::None) {
            signal::send(pid, libc::SIGKILL);
            return Err(error);
        }
        let null = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
            .map_err(|error| RuntimeError::start("open /dev/null")(error.into()))?;
        replace_stdio(&null)?;
        channel.send(&Message::Started(master));
        Ok(pid)
    }

    /// Attaches the root, with what is read-only in it, and a `/proc` of this PID namespace: the runtime looks itself up there.
    fn prepare_root(&self, root_mount: &Mounted) -> Result<RootDir, RuntimeError> {
        let proc = Context::open("proc")?.mount(MountAttrFlags::empty())?;
        attach(proc.as_fd(), Path::new("/proc")).map_err(RuntimeError::start("mount /proc for the runtime"))?;
        let at = self.path("root");
        attach(root_mount.as_fd(), &at).map_err(RuntimeError::start("attach the container's root"))?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root =
            RootDir(open(&at, flags, Mode::empty()).map_err(|error| RuntimeError::io("open", &at)(error.into()))?);
        let specified = self.job.spec.mounts().as_deref().unwrap_or_default();
        mounts::make_mount_points(&root, specified)?;
        mounts::make_read_only(&root, &self.job.read_only_paths, specified)?;
        Ok(root)
    }

    /// crun refuses a host with cgroups of both versions, unless it doesn't see those of version 2.
    fn hide_unified(&self) -> Result<(), RuntimeError> {
        let Some(at) = cgroup::hybrid_mount().filter(|_| self.runtime.kind == RuntimeKind::Crun) else { return Ok(()) };
        detach(&at).map_err(|_| {
            self.unable(
                "it refuses hosts with cgroups of both versions (hybrid), and an ordinary user can't hide one of them from it; \
                 use --runtime runc, or leave --runtime out",
            )
        })
    }

    fn write_bundle(
        &self,
        spec: &oci_spec::runtime::Spec,
        terminal: bool,
    ) -> Result<Option<UnixListener>, RuntimeError> {
        for name in ["bundle", "state"] {
            let path = self.path(name);
            DirBuilder::new().mode(0o700).create(&path).map_err(RuntimeError::io("create", &path))?;
        }
        let bundle = self.path("bundle");
        let config = bundle.join("config.json");
        let text = serde_json::to_vec_pretty(spec).map_err(|error| RuntimeError::Specification(error.to_string()))?;
        fs::write(&config, text).map_err(RuntimeError::io("write", &config))?;
        if !terminal {
            return Ok(None);
        }
        rustix::process::chdir(&bundle).map_err(|error| RuntimeError::io("enter", &bundle)(error.into()))?;
        UnixListener::bind(CONSOLE).map(Some).map_err(RuntimeError::io("make", &bundle.join(CONSOLE)))
    }

    fn take_terminal(&self, listener: &UnixListener) -> Result<OwnedFd, RuntimeError> {
        let (stream, _) = listener.accept().map_err(RuntimeError::start("take the container's terminal"))?;
        let (_, master) =
            Channel(stream.into()).receive_bytes().map_err(RuntimeError::start("take the container's terminal"))?;
        master.ok_or_else(|| self.unable("it sent no terminal"))
    }

    /// Runs the runtime's program to its end.
    fn call(&self, arguments: &[&str], streams: Streams) -> Result<(), RuntimeError> {
        let log = self.path("log");
        let mut command = Command::new(&self.runtime.program);
        command.arg("--root").arg(self.path("state")).arg("--log").arg(&log).arg("--log-format").arg("json");
        if self.runtime.kind == RuntimeKind::Crun && !cgroup::limited(&self.job.spec) {
            command.arg("--cgroup-manager=disabled");
        }
        command.args(arguments).current_dir(self.path("bundle"));
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        if let Streams::None = streams {
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        }
        let status = command.status().map_err(RuntimeError::io("execute", &self.runtime.program))?;
        if status.success() {
            return Ok(());
        }
        let text = fs::read_to_string(&log).unwrap_or_default();
        Err(self.explain(
            &bundle::last_message(&text).unwrap_or_else(|| format!("it ended with {status} and said nothing")),
        ))
    }

    /// What the runtime said, as an error of ours where it is one.
    fn explain(&self, said: &str) -> RuntimeError {
        let program = self.job.spec.process().as_ref().and_then(|process| process.args().as_ref()?.first().cloned());
        let program = program.unwrap_or_default();
        let lower = said.to_lowercase();
        let about_program = lower.contains("open executable") || (lower.contains("exec") && said.contains(&program));
        if about_program && ["not found", "no such file"].iter().any(|words| lower.contains(words)) {
            return RuntimeError::ProgramNotFound(program);
        }
        if about_program && lower.contains("permission denied") {
            return RuntimeError::ProgramNotExecutable { program, source: io::Error::from_raw_os_error(libc::EACCES) };
        }
        self.unable(said)
    }

    fn unable(&self, why: &str) -> RuntimeError {
        RuntimeError::Supervisor(format!("{} can't run the container: {why}", self.runtime.kind.name()))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.job.container_dir.join(name)
    }
}

/// Whose streams a call of the runtime has.
#[derive(Clone, Copy)]
enum Streams {
    /// Those that the workload will have.
    Workload,
    None,
}
