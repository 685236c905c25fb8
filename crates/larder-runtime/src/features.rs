//! What this host's kernel can do, found out by trying and never from its version: distributions carry changes back, leave parts out and
//! forbid others.
//!
//! A probe says what the *host* can do. What a container may use of it is another question, which the system call filter
//! answers: [`Feature::refused_inside`].

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::mount::{FsOpenFlags, fsopen};
use thiserror::Error;

use crate::error::RuntimeError;
use crate::launch;
use crate::sys::seccomp::call;

/// Where the kernel lists the file systems that it has at present.
const FILE_SYSTEMS: &str = "/proc/filesystems";

/// An ability of a kernel.
#[derive(Debug)]
pub struct Feature {
    /// Its name in recipes and records.
    pub name: &'static str,
    /// What it is, for people.
    pub meaning: &'static str,
    /// Whether the filter of containers refuses it, whatever the host can do.
    pub refused_inside: bool,
    probe: Probe,
}

/// Why a host doesn't have a feature.
#[derive(Debug, Error)]
pub enum Absence {
    /// The kernel was asked, and answered.
    #[error("the kernel answers: {0}")]
    Kernel(io::Error),
    /// A file system that isn't there now, and that only root could load.
    #[error("the kernel hasn't loaded it (as root: modprobe {module})")]
    NotLoaded {
        /// The module that probably has it.
        module: &'static str,
    },
    /// A device that can't be opened.
    #[error("{} can't be opened: {source}", path.display())]
    Device {
        /// The device.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A file system of the kernel's own that nobody mounted.
    #[error("it isn't mounted")]
    NotMounted,
    /// Namespaces are forbidden.
    #[error("{0}")]
    Namespaces(RuntimeError),
}

#[derive(Debug)]
enum Probe {
    /// A file system: `fsopen` finds and loads it.
    FileSystem { name: &'static str, module: &'static str },
    /// A device that answers when it is opened.
    Device(&'static str),
    /// A system call with arguments that it refuses, and how it refuses where it is there; `None`: it succeeds.
    Call { number: i64, arguments: [u64; 3], refusal: Option<i32> },
    /// A user namespace, made and left.
    UserNamespace,
    /// A mount of cgroups of version 2.
    Cgroup2,
    /// A file that is there with the feature.
    File(&'static str),
}

/// Every feature that can be asked for, by name.
pub const FEATURES: &[Feature] = &[
    Feature {
        name: "cgroup2",
        meaning: "cgroups of version 2 are mounted",
        refused_inside: false,
        probe: Probe::Cgroup2,
    },
    Feature {
        name: "erofs",
        meaning: "the read-only file system EROFS",
        refused_inside: false,
        probe: Probe::FileSystem { name: "erofs", module: "erofs" },
    },
    Feature {
        name: "fuse",
        meaning: "file systems in user space",
        refused_inside: false,
        probe: Probe::FileSystem { name: "fuse", module: "fuse" },
    },
    Feature {
        name: "io_uring",
        meaning: "asynchronous I/O through rings",
        refused_inside: true,
        // It looks at whether it is allowed, then at the parameters.
        probe: Probe::Call { number: libc::SYS_io_uring_setup, arguments: [0; 3], refusal: Some(libc::EFAULT) },
    },
    Feature {
        name: "ipv6",
        meaning: "the internet protocol of version 6",
        refused_inside: false,
        probe: Probe::File("/proc/net/if_inet6"),
    },
    Feature {
        name: "kvm",
        meaning: "virtual machines with the processor's help",
        refused_inside: false,
        probe: Probe::Device("/dev/kvm"),
    },
    Feature {
        name: "landlock",
        meaning: "programs that lock themselves in",
        refused_inside: false,
        // With this flag it gives the version of its interface.
        probe: Probe::Call { number: libc::SYS_landlock_create_ruleset, arguments: [0, 0, 1], refusal: None },
    },
    Feature {
        name: "overlayfs",
        meaning: "the layering file system overlay",
        refused_inside: false,
        probe: Probe::FileSystem { name: "overlay", module: "overlay" },
    },
    Feature {
        name: "seccomp",
        meaning: "filters of system calls",
        refused_inside: false,
        probe: Probe::Call {
            number: libc::SYS_seccomp,
            arguments: [libc::SECCOMP_SET_MODE_FILTER as u64, 0, 0],
            refusal: Some(libc::EFAULT),
        },
    },
    Feature {
        name: "tun",
        meaning: "network interfaces made by programs",
        refused_inside: false,
        probe: Probe::Device("/dev/net/tun"),
    },
    Feature {
        name: "userns",
        meaning: "user namespaces for the caller",
        refused_inside: true,
        probe: Probe::UserNamespace,
    },
];

/// The feature of that name.
pub fn find(name: &str) -> Option<&'static Feature> {
    FEATURES.iter().find(|feature| feature.name == name)
}

impl Feature {
    /// Whether this host has it. Some probes start a short process or have the kernel load a module.
    ///
    /// # Errors
    /// Why it hasn't.
    pub fn probe(&self) -> Result<(), Absence> {
        match &self.probe {
            Probe::FileSystem { name, module } => file_system(name, module),
            Probe::Device(path) => device(path),
            Probe::Call { number, arguments, refusal } => match (call(*number, *arguments), refusal) {
                (Ok(_), None) => Ok(()),
                (Err(answer), Some(refusal)) if answer == *refusal => Ok(()),
                (Err(answer), _) => Err(Absence::Kernel(io::Error::from_raw_os_error(answer))),
                (Ok(_), Some(_)) => Err(Absence::Kernel(io::ErrorKind::InvalidData.into())),
            },
            Probe::UserNamespace => launch::try_user_namespace().map_err(Absence::Namespaces),
            Probe::Cgroup2 => cgroup2(),
            Probe::File(path) => fs::metadata(path).map(drop).map_err(Absence::Kernel),
        }
    }
}

fn file_system(name: &str, module: &'static str) -> Result<(), Absence> {
    match fsopen(name, FsOpenFlags::FSOPEN_CLOEXEC) {
        Ok(_) => Ok(()),
        // Only root may ask. What is there now can be seen by everybody.
        Err(Errno::PERM) => {
            let listed = fs::read_to_string(FILE_SYSTEMS).map_err(Absence::Kernel)?;
            let there = listed.lines().any(|line| line.split_whitespace().last() == Some(name));
            if there { Ok(()) } else { Err(Absence::NotLoaded { module }) }
        }
        Err(error) => Err(Absence::Kernel(error.into())),
    }
}

fn device(path: &str) -> Result<(), Absence> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = open(path, flags, Mode::empty());
    opened.map(drop).map_err(|error| Absence::Device { path: path.into(), source: error.into() })
}

fn cgroup2() -> Result<(), Absence> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(Absence::Kernel)?;
    // After the dash: type, source, options.
    let kind = |line: &str| line.split_once(" - ").and_then(|(_, rest)| rest.split(' ').next()) == Some("cgroup2");
    if mounts.lines().any(kind) { Ok(()) } else { Err(Absence::NotMounted) }
}

/// The running kernel's release as it calls itself: `6.1.0-18-amd64`.
pub fn kernel_release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// The machine's memory in bytes.
///
/// # Errors
/// The kernel doesn't say.
pub fn memory() -> Result<u64, RuntimeError> {
    let path = Path::new("/proc/meminfo");
    let text = fs::read_to_string(path).map_err(RuntimeError::io("read", path))?;
    let kib =
        text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse::<u64>().ok());
    let unknown = || RuntimeError::io("find the memory in", path)(io::ErrorKind::InvalidData.into());
    kib.map(|kib| kib * 1024).ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_sorted_and_have_names_that_records_take() {
        let names: Vec<_> = FEATURES.iter().map(|feature| feature.name).collect();
        assert!(names.is_sorted(), "{names:?}");
        let fine = |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        assert!(names.iter().all(|name| fine(name) && find(name).is_some()));
    }

    /// What the tests themselves need is there: a probe that always fails would be seen here.
    #[test]
    fn what_every_supported_host_has_is_found() {
        find("seccomp").expect("a feature").probe().expect("filters of system calls");
        assert!(memory().expect("memory") > 1 << 26);
        assert!(kernel_release().split('.').count() >= 2);
    }

    #[test]
    fn what_no_host_has_is_absent_with_the_kernels_reason() {
        let none = Feature {
            name: "none",
            meaning: "",
            refused_inside: false,
            probe: Probe::Call { number: 9999, arguments: [0; 3], refusal: Some(libc::EFAULT) },
        };
        assert!(matches!(none.probe(), Err(Absence::Kernel(error)) if error.raw_os_error() == Some(libc::ENOSYS)));
        assert!(matches!(device("/dev/larder-none"), Err(Absence::Device { .. })));
        let absent = file_system("larder-none", "larder-none").expect_err("no such file system");
        assert!(matches!(absent, Absence::Kernel(_) | Absence::NotLoaded { .. }), "{absent}");
    }

    /// Whatever the probes find, they find the same twice, and leave nothing behind.
    #[test]
    fn probes_can_be_repeated() {
        for feature in FEATURES {
            assert_eq!(feature.probe().is_ok(), feature.probe().is_ok(), "{}", feature.name);
        }
    }
}
