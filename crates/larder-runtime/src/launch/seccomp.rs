//! The system calls that a workload may make.
//!
//! Two filters. The outer one answers by the call's number: it allows a list, answers EPERM to calls that are known and refused, and
//! ENOSYS to everything else, so that a C library falls back from calls that are newer than the list. The inner one answers
//! EPERM to some of the allowed ones by their arguments.

#[cfg(test)]
mod docker;
mod profile;
mod search;
mod table;

use std::collections::BTreeMap;

use oci_spec::runtime::{LinuxSeccomp, LinuxSeccompAction, Spec};
pub(super) use profile::profile;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use crate::error::RuntimeError;
use crate::sys::seccomp::install;

/// The compiled filters of a workload, in the order in which they are installed.
pub(super) struct Filter(Vec<BpfProgram>);

impl Filter {
    /// The filter for a specification: ours, or none where it says so.
    pub(super) fn for_spec(spec: &Spec) -> Result<Self, RuntimeError> {
        let own = spec.linux().as_ref().and_then(|linux| linux.seccomp().as_ref());
        if own.is_some_and(is_none) {
            return Ok(Self(Vec::new()));
        }
        build()
            .map(Self)
            .map_err(|error| RuntimeError::Supervisor(format!("can't build the system call filter: {error}")))
    }

    /// Puts the filters on this process, for good.
    pub(super) fn install(&self) -> Result<(), RuntimeError> {
        self.0
            .iter()
            .try_for_each(|program| install(program).map_err(RuntimeError::start("install the system call filter")))
    }
}

/// Whether a specification's own entry means that nothing is filtered.
pub(super) fn is_none(seccomp: &LinuxSeccomp) -> bool {
    seccomp.default_action() == LinuxSeccompAction::ScmpActAllow
        && seccomp.syscalls().as_ref().is_none_or(Vec::is_empty)
}

fn build() -> Result<Vec<BpfProgram>, BackendError> {
    let architecture: TargetArch = std::env::consts::ARCH.try_into()?;
    let allowed = table::ALLOWED.iter().chain(table::ALLOWED_HERE).map(|call| (call.number, search::ALLOW));
    let refused = table::REFUSED.iter().chain(table::REFUSED_HERE).map(|call| (call.number, search::REFUSE));
    let outer = search::program(allowed.chain(refused));
    let refused: BTreeMap<i64, Vec<SeccompRule>> = refused_by_argument()?.into_iter().collect();
    let inner =
        SeccompFilter::new(refused, SeccompAction::Allow, SeccompAction::Errno(libc::EPERM as u32), architecture)?;
    Ok(vec![outer, inner.try_into()?])
}

fn refused_by_argument() -> Result<Vec<(i64, Vec<SeccompRule>)>, BackendError> {
    let one = |index, operator, value| -> Result<SeccompCondition, BackendError> {
        SeccompCondition::new(index, SeccompCmpArgLen::Dword, operator, value)
    };
    let rule = |condition| SeccompRule::new(vec![condition]);
    // New namespaces are the way to most of the kernel that a container has no business with.
    let namespaces = table::NAMESPACE_FLAGS
        .iter()
        .map(|&flag| rule(one(0, SeccompCmpOp::MaskedEq(flag), flag)?))
        .collect::<Result<Vec<_>, _>>()?;
    let families = table::REFUSED_FAMILIES
        .iter()
        .map(|&family| rule(one(0, SeccompCmpOp::Eq, family)?))
        .collect::<Result<Vec<_>, _>>()?;
    let personality = SeccompRule::new(
        table::PERSONALITIES.iter().map(|&known| one(0, SeccompCmpOp::Ne, known)).collect::<Result<Vec<_>, _>>()?,
    )?;
    let into_input = rule(one(1, SeccompCmpOp::Eq, libc::TIOCSTI)?)?;
    Ok(vec![
        (libc::SYS_clone, namespaces.clone()),
        (libc::SYS_unshare, namespaces),
        (libc::SYS_socket, families.clone()),
        (libc::SYS_socketpair, families),
        (libc::SYS_personality, vec![personality]),
        (libc::SYS_ioctl, vec![into_input]),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filters_fit_the_kernels_limit() {
        for program in build().unwrap() {
            assert!(program.len() < 4096, "{}", program.len());
        }
    }

    #[test]
    fn the_kernel_answers_as_the_lists_say() {
        use crate::sys::seccomp::call;
        // A filter belongs to a thread and is inherited by those that it starts.
        let checks = std::thread::spawn(|| {
            rustix::thread::set_no_new_privs(true).unwrap();
            Filter(build().unwrap()).install().unwrap();
            for (name, number, arguments, answer) in [
                ("add_key", libc::SYS_add_key, [0; 3], Err(libc::EPERM)),
                ("bpf", libc::SYS_bpf, [0; 3], Err(libc::EPERM)),
                ("mount", libc::SYS_mount, [0; 3], Err(libc::EPERM)),
                ("io_uring_setup", libc::SYS_io_uring_setup, [0; 3], Err(libc::EPERM)),
                ("unshare nothing", libc::SYS_unshare, [0; 3], Ok(0)),
                ("unshare a user namespace", libc::SYS_unshare, [libc::CLONE_NEWUSER as u64, 0, 0], Err(libc::EPERM)),
                ("clone a user namespace", libc::SYS_clone, [libc::CLONE_NEWUSER as u64 | 17, 0, 0], Err(libc::EPERM)),
                ("clone3", libc::SYS_clone3, [0; 3], Err(libc::ENOSYS)),
                ("a call of the future", 9999, [0; 3], Err(libc::ENOSYS)),
                ("socket AF_ALG", libc::SYS_socket, [38, 5, 0], Err(libc::EPERM)),
                ("socket AF_VSOCK", libc::SYS_socket, [40, 1, 0], Err(libc::EPERM)),
                ("personality without randomisation", libc::SYS_personality, [0x4_0000, 0, 0], Err(libc::EPERM)),
                ("personality, asked", libc::SYS_personality, [0xffff_ffff, 0, 0], Ok(0)),
                ("ioctl TIOCSTI", libc::SYS_ioctl, [0, libc::TIOCSTI, 0], Err(libc::EPERM)),
                // With more above the 32 bits that the kernel reads.
                ("ioctl TIOCSTI, widened", libc::SYS_ioctl, [0, libc::TIOCSTI | 1 << 32, 0], Err(libc::EPERM)),
                ("socket AF_UNIX of no type", libc::SYS_socket, [1, 0, 0], Err(libc::ESOCKTNOSUPPORT)),
            ] {
                assert_eq!(call(number, arguments), answer, "{name}");
            }
            assert_eq!(std::thread::spawn(|| 7).join().unwrap(), 7, "the C library falls back to clone");
        });
        checks.join().unwrap();
    }

    #[test]
    fn no_call_is_in_two_lists() {
        let all = [table::ALLOWED, table::ALLOWED_HERE, table::REFUSED, table::REFUSED_HERE].concat();
        let mut all: Vec<i64> = all.iter().map(|call| call.number).collect();
        all.sort_unstable();
        let twice: Vec<_> = all.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
        assert_eq!(twice, Vec::<i64>::new());
    }
}
