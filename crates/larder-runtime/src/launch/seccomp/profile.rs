//! The same filter in the words of an OCI specification, for other runtimes.
//!
//! It differs where those words can't say what our own programs do: what is refused by its arguments answers ENOSYS, and arguments are
//! compared in all 64 bits where the kernel reads 32 of them.

use oci_spec::OciSpecError;
use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArgBuilder, LinuxSeccompBuilder, LinuxSeccompOperator,
    LinuxSyscall, LinuxSyscallBuilder,
};

use super::table::{self, Call};

/// A condition on one argument: its place, the operator, the value, and for a masked comparison what is left of it.
type Condition = (usize, LinuxSeccompOperator, u64, Option<u64>);

/// The launcher's own filter as a profile.
pub(in crate::launch) fn profile() -> Result<LinuxSeccomp, OciSpecError> {
    let conditional = ["clone", "unshare", "socket", "socketpair", "personality", "ioctl"];
    let names = |lists: [&[Call]; 2]| -> Vec<String> {
        lists
            .concat()
            .iter()
            .map(|call| call.name().to_owned())
            .filter(|name| !conditional.contains(&&**name))
            .collect()
    };
    let allow = |names: Vec<String>| rule(LinuxSeccompAction::ScmpActAllow, names, &[]);
    let mut calls = vec![
        allow(names([table::ALLOWED, table::ALLOWED_HERE]))?,
        rule(LinuxSeccompAction::ScmpActErrno, names([table::REFUSED, table::REFUSED_HERE]), &[])?,
    ];
    let mut when = |names: &[&str], condition: Condition| -> Result<(), OciSpecError> {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        calls.push(rule(LinuxSeccompAction::ScmpActAllow, names, &[condition])?);
        Ok(())
    };
    let namespaces = table::NAMESPACE_FLAGS.iter().fold(0, |all, flag| all | flag);
    // The lowest byte of clone's flags is the signal of the child's end.
    when(&["clone"], (0, LinuxSeccompOperator::ScmpCmpMaskedEq, namespaces & !0xff, Some(0)))?;
    when(&["unshare"], (0, LinuxSeccompOperator::ScmpCmpMaskedEq, namespaces, Some(0)))?;
    // What lies between the refused families, and beside them.
    let [low, high] = [table::REFUSED_FAMILIES[0], table::REFUSED_FAMILIES[1]];
    when(&["socket", "socketpair"], (0, LinuxSeccompOperator::ScmpCmpLt, low, None))?;
    for between in low + 1..high {
        when(&["socket", "socketpair"], (0, LinuxSeccompOperator::ScmpCmpEq, between, None))?;
    }
    when(&["socket", "socketpair"], (0, LinuxSeccompOperator::ScmpCmpGt, high, None))?;
    for &known in table::PERSONALITIES {
        when(&["personality"], (0, LinuxSeccompOperator::ScmpCmpEq, known, None))?;
    }
    when(&["ioctl"], (1, LinuxSeccompOperator::ScmpCmpNe, libc::TIOCSTI, None))?;
    LinuxSeccompBuilder::default()
        .default_action(LinuxSeccompAction::ScmpActErrno)
        .default_errno_ret(libc::ENOSYS as u32)
        .architectures(vec![if cfg!(target_arch = "aarch64") { Arch::ScmpArchAarch64 } else { Arch::ScmpArchX86_64 }])
        .syscalls(calls)
        .build()
}

fn rule(action: LinuxSeccompAction, names: Vec<String>, args: &[Condition]) -> Result<LinuxSyscall, OciSpecError> {
    let args: Result<Vec<_>, _> = args
        .iter()
        .map(|&(index, op, value, masked)| {
            let arg = LinuxSeccompArgBuilder::default().index(index).op(op).value(value);
            match masked {
                Some(left) => arg.value_two(left).build(),
                None => arg.build(),
            }
        })
        .collect();
    let call = LinuxSyscallBuilder::default().names(names).action(action).args(args?);
    match action {
        LinuxSeccompAction::ScmpActErrno => call.errno_ret(libc::EPERM as u32).build(),
        _ => call.build(),
    }
}
