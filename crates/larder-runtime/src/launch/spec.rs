//! The specification that containers get unless someone decides otherwise. `docs/security.md` explains each choice.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use oci_spec::runtime::{
    Capability, LinuxBlockIo, LinuxBuilder, LinuxCapabilitiesBuilder, LinuxCpu, LinuxDevice, LinuxMemory,
    LinuxNamespaceBuilder, LinuxNamespaceType, LinuxPids, LinuxResources, Mount, MountBuilder, ProcessBuilder,
    RootBuilder, Spec, SpecBuilder, UserBuilder,
};

use crate::error::RuntimeError;

/// The capabilities of root in a container.
pub const DEFAULT_CAPABILITIES: &[Capability] = &[
    Capability::Chown,
    Capability::DacOverride,
    Capability::Fowner,
    Capability::Fsetid,
    Capability::Kill,
    Capability::NetBindService,
    Capability::Setgid,
    Capability::Setpcap,
    Capability::Setuid,
    Capability::SysChroot,
];

/// Hidden: what of `/proc` and `/sys` tells about the machine or reaches into it.
const MASKED: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// Visible, but not to be written.
const READ_ONLY: &[&str] = &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// What network a container has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Net {
    /// Its own, with nothing but the loopback interface.
    #[default]
    None,
    /// The host's, with everything that listens on it.
    Host,
}

/// A directory or file of the host that a container sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindMount {
    /// What is bound, on the host.
    pub source: PathBuf,
    /// Where, in the container; made when it is not there.
    pub target: PathBuf,
    /// Whether the container must not write to it.
    pub read_only: bool,
}

/// What [`specification`] asks.
#[derive(Debug, Clone, Default)]
pub struct SpecOptions {
    /// The program and its arguments.
    pub args: Vec<String>,
    /// Variables, `NAME=value`. PATH and HOME are added when they are missing.
    pub env: Vec<String>,
    /// The working directory; `/` when empty.
    pub cwd: PathBuf,
    /// Whether the workload gets a terminal of its own.
    pub terminal: bool,
    /// The container's host name.
    pub hostname: Option<String>,
    /// The network.
    pub net: Net,
    /// What of the host it sees.
    pub mounts: Vec<BindMount>,
    /// What it may use of the machine.
    pub limits: Limits,
    /// Capabilities that its workload has as whichever user it runs, besides [`DEFAULT_CAPABILITIES`] that root has: what was asked for, and
    /// allowed where it must be. Names without `CAP_`.
    pub capabilities: Vec<String>,
    /// Devices of the host that it has, besides those that every container has.
    pub devices: Vec<LinuxDevice>,
}

/// What a container may use of the machine. What is absent is not limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory, swap included.
    pub memory: Option<u64>,
    /// Thousandths of a CPU's time.
    pub milli_cpus: Option<u64>,
    /// Processes and threads at a time.
    pub pids: Option<u32>,
    /// Share of the disks' time, 10 to 1000, where others have 100.
    pub io_weight: Option<u16>,
}

impl Limits {
    /// Microseconds in which a CPU's time is counted: the kernel's own default.
    const CPU_PERIOD: u64 = 100_000;

    fn resources(&self) -> Option<LinuxResources> {
        if *self == Self::default() {
            return None;
        }
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let mut resources = LinuxResources::default();
        // The builders of the specification's types take only what their fields take.
        resources.set_memory(self.memory.map(|bytes| {
            let mut memory = LinuxMemory::default();
            memory.set_limit(Some(number(bytes))).set_swap(Some(number(bytes)));
            memory
        }));
        resources.set_cpu(self.milli_cpus.map(|cpus| {
            let mut cpu = LinuxCpu::default();
            cpu.set_quota(Some(number(cpus.saturating_mul(Self::CPU_PERIOD / 1000))))
                .set_period(Some(Self::CPU_PERIOD));
            cpu
        }));
        resources.set_pids(self.pids.map(|limit| {
            let mut pids = LinuxPids::default();
            pids.set_limit(i64::from(limit));
            pids
        }));
        resources.set_block_io(self.io_weight.map(|weight| {
            let mut io = LinuxBlockIo::default();
            io.set_weight(Some(weight));
            io
        }));
        Some(resources)
    }
}

/// Makes a specification with the strict defaults.
///
/// # Errors
/// An option can't be written in a specification: a relative mount target or one with `..`, no arguments.
pub fn specification(options: SpecOptions) -> Result<Spec, RuntimeError> {
    if options.args.is_empty() {
        return Err(RuntimeError::Specification("there is no program to run".to_owned()));
    }
    let asked: HashSet<Capability> =
        options.capabilities.iter().map(|name| name.parse().map_err(refuse)).collect::<Result<_, _>>()?;
    let capabilities: HashSet<Capability> = DEFAULT_CAPABILITIES.iter().copied().chain(asked.iter().copied()).collect();
    let capabilities = LinuxCapabilitiesBuilder::default()
        .bounding(capabilities.clone())
        .effective(capabilities.clone())
        .permitted(capabilities)
        .inheritable(asked.clone())
        .ambient(asked)
        .build()
        .map_err(refuse)?;
    let cwd = if options.cwd.as_os_str().is_empty() { PathBuf::from("/") } else { options.cwd };
    let process = ProcessBuilder::default()
        .args(options.args)
        .env(options.env)
        .cwd(cwd)
        .terminal(options.terminal)
        .user(UserBuilder::default().uid(0_u32).gid(0_u32).build().map_err(refuse)?)
        .capabilities(capabilities)
        .rlimits(Vec::new())
        .no_new_privileges(true)
        .build()
        .map_err(refuse)?;
    let mut namespaces = vec![
        LinuxNamespaceType::Pid,
        LinuxNamespaceType::Mount,
        LinuxNamespaceType::Ipc,
        LinuxNamespaceType::Uts,
        LinuxNamespaceType::Cgroup,
    ];
    let mut sysctl = HashMap::new();
    if options.net == Net::None {
        namespaces.push(LinuxNamespaceType::Network);
        // There is nobody else whose ports these could be.
        sysctl.insert("net.ipv4.ip_unprivileged_port_start".to_owned(), "0".to_owned());
    }
    let namespaces: Result<Vec<_>, _> =
        namespaces.into_iter().map(|kind| LinuxNamespaceBuilder::default().typ(kind).build()).collect();
    let mut linux = LinuxBuilder::default()
        .namespaces(namespaces.map_err(refuse)?)
        .masked_paths(texts(MASKED))
        .readonly_paths(texts(READ_ONLY))
        .sysctl(sysctl)
        .build()
        .map_err(refuse)?;
    linux.set_resources(options.limits.resources());
    linux.set_devices(Some(options.devices).filter(|devices| !devices.is_empty()));
    let mut mounts = default_mounts()?;
    for mount in &options.mounts {
        mounts.push(bind(mount)?);
    }
    let mut spec = SpecBuilder::default()
        .version("1.0.2")
        .root(RootBuilder::default().path("rootfs").readonly(false).build().map_err(refuse)?)
        .process(process)
        .mounts(mounts)
        .linux(linux)
        .build()
        .map_err(refuse)?;
    spec.set_hostname(options.hostname);
    Ok(spec)
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|&text| text.to_owned()).collect()
}

fn refuse(error: impl std::fmt::Display) -> RuntimeError {
    RuntimeError::Specification(error.to_string())
}

fn default_mounts() -> Result<Vec<Mount>, RuntimeError> {
    [
        ("/proc", "proc", &["nosuid", "noexec", "nodev"][..]),
        ("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        ("/dev/pts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
        ("/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev", "mode=1777"]),
        ("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        ("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        // Runtimes such as Java's read their limits here. A host without version 2, or a shared /sys, has no place for it.
        ("/sys/fs/cgroup", "cgroup", &["nosuid", "noexec", "nodev", "ro", "nofail"]),
    ]
    .into_iter()
    .map(|(target, kind, options)| {
        MountBuilder::default()
            .destination(target)
            .typ(kind)
            .source(kind)
            .options(texts(options))
            .build()
            .map_err(refuse)
    })
    .collect()
}

fn bind(mount: &BindMount) -> Result<Mount, RuntimeError> {
    check_target(&mount.target)?;
    let mut options = texts(&["rbind", "nosuid", "nodev"]);
    if mount.read_only {
        options.push("ro".to_owned());
    }
    MountBuilder::default()
        .destination(&mount.target)
        .typ("bind")
        .source(&mount.source)
        .options(options)
        .build()
        .map_err(refuse)
}

fn check_target(target: &Path) -> Result<(), RuntimeError> {
    let shown = target.display();
    if !target.is_absolute() {
        return Err(RuntimeError::Specification(format!("the mount target {shown} is not an absolute path")));
    }
    if target.components().any(|part| part == std::path::Component::ParentDir) {
        return Err(RuntimeError::Specification(format!("the mount target {shown} has \"..\" in it")));
    }
    if target.file_name().is_none() {
        return Err(RuntimeError::Specification("a mount can't replace the container's root".to_owned()));
    }
    Ok(())
}

/// Refuses what the launcher would have to ignore.
pub(super) fn check(spec: &Spec) -> Result<(), RuntimeError> {
    let refuse = |what: &str| Err(RuntimeError::Specification(format!("{what}: this launcher does not do it")));
    if spec.hooks().is_some() {
        return refuse("hooks");
    }
    let Some(process) = spec.process() else {
        return Err(RuntimeError::Specification("there is no process".to_owned()));
    };
    if process.args().as_ref().is_none_or(Vec::is_empty) {
        return Err(RuntimeError::Specification("there is no program to run".to_owned()));
    }
    if process.apparmor_profile().is_some() || process.selinux_label().is_some() {
        return refuse("labels of security modules");
    }
    for mount in spec.mounts().iter().flatten() {
        check_target(mount.destination())?;
    }
    super::cgroup::check(spec)?;
    super::devices::check(spec)?;
    let Some(linux) = spec.linux() else { return Ok(()) };
    if linux.uid_mappings().as_ref().is_some_and(|maps| !maps.is_empty()) {
        return refuse("id maps (the launch has its own)");
    }
    if linux.seccomp().as_ref().is_some_and(|seccomp| !super::seccomp::is_none(seccomp)) {
        return refuse("another system call filter");
    }
    Ok(())
}
