//! The system calls that a workload may make.
//!
//! Two filters, because two answers are wanted. The outer one allows a list and answers ENOSYS to everything else, so that a C
//! library falls back from calls that are newer than the list. The inner one answers EPERM to calls that are known and
//! refused, some of them by their arguments. Where both refuse, the kernel takes the number of the one installed last.

mod table;

use std::collections::BTreeMap;

use oci_spec::runtime::{LinuxSeccomp, LinuxSeccompAction, Spec};
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
        build().map(Self).map_err(|error| RuntimeError::Supervisor(format!("cannot build the system call filter: {error}")))
    }

    /// Puts the filters on this process, for good.
    pub(super) fn install(&self) -> Result<(), RuntimeError> {
        self.0.iter().try_for_each(|program| {
            install(program).map_err(RuntimeError::start("install the system call filter"))
        })
    }
}

/// Whether a specification's own entry means that nothing is filtered.
pub(super) fn is_none(seccomp: &LinuxSeccomp) -> bool {
    seccomp.default_action() == LinuxSeccompAction::ScmpActAllow
        && seccomp.syscalls().as_ref().is_none_or(Vec::is_empty)
}

fn build() -> Result<Vec<BpfProgram>, BackendError> {
    let architecture: TargetArch = std::env::consts::ARCH.try_into()?;
    let allowed: BTreeMap<i64, Vec<SeccompRule>> =
        table::ALLOWED.iter().chain(table::ALLOWED_HERE).map(|&call| (call, Vec::new())).collect();
    let outer =
        SeccompFilter::new(allowed, SeccompAction::Errno(libc::ENOSYS as u32), SeccompAction::Allow, architecture)?;
    let mut refused: BTreeMap<i64, Vec<SeccompRule>> =
        table::REFUSED.iter().chain(table::REFUSED_HERE).map(|&call| (call, Vec::new())).collect();
    refused.extend(refused_by_argument()?);
    let inner =
        SeccompFilter::new(refused, SeccompAction::Allow, SeccompAction::Errno(libc::EPERM as u32), architecture)?;
    Ok(vec![outer.try_into()?, inner.try_into()?])
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
        table::PERSONALITIES
            .iter()
            .map(|&known| one(0, SeccompCmpOp::Ne, known))
            .collect::<Result<Vec<_>, _>>()?,
    )?;
    let into_input = rule(one(1, SeccompCmpOp::Eq, libc::TIOCSTI as u64)?)?;
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
    fn no_call_is_in_two_lists() {
        let mut all: Vec<i64> = [table::ALLOWED, table::ALLOWED_HERE, table::REFUSED, table::REFUSED_HERE].concat();
        all.sort_unstable();
        let twice: Vec<_> = all.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
        assert_eq!(twice, Vec::<i64>::new());
    }
}
