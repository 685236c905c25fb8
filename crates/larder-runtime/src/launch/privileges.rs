//! Capabilities: what the workload keeps, and what the init needs.

use std::collections::HashSet;

use oci_spec::runtime::{Capability, LinuxCapabilities};
use rustix::io::Errno;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set, clear_ambient_capability_set,
    configure_capability_in_ambient_set, remove_capability_from_bounding_set, set_capabilities,
};

use crate::error::RuntimeError;

/// The names of the capabilities, `CAP_` left off; the number of each is its place.
pub const CAPABILITIES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// The capability sets of a workload.
#[derive(Debug, Clone, Copy)]
pub(super) struct Privileges {
    bounding: CapabilitySet,
    effective: CapabilitySet,
    permitted: CapabilitySet,
    inheritable: CapabilitySet,
    ambient: CapabilitySet,
}

impl Privileges {
    /// The sets of the specification; a set that is not given is empty.
    pub(super) fn of(specified: Option<&LinuxCapabilities>) -> Self {
        let set = |list: Option<&HashSet<Capability>>| list.map_or(CapabilitySet::empty(), bits);
        Self {
            bounding: set(specified.and_then(|sets| sets.bounding().as_ref())),
            effective: set(specified.and_then(|sets| sets.effective().as_ref())),
            permitted: set(specified.and_then(|sets| sets.permitted().as_ref())),
            inheritable: set(specified.and_then(|sets| sets.inheritable().as_ref())),
            ambient: set(specified.and_then(|sets| sets.ambient().as_ref())),
        }
    }

    /// Takes everything else out of the bounding set; before the change of user.
    pub(super) fn bound(&self) -> Result<(), RuntimeError> {
        for number in 0..64 {
            let capability = CapabilitySet::from_bits_retain(1 << number);
            if self.bounding.contains(capability) {
                continue;
            }
            match remove_capability_from_bounding_set(capability) {
                Ok(()) => {}
                // The kernel knows no more.
                Err(Errno::INVAL) => break,
                Err(error) => return Err(RuntimeError::start("trim the bounding set")(error.into())),
            }
        }
        Ok(())
    }

    /// Sets the others; after the change of user. An ordinary user keeps the ambient capabilities only, and by default has none.
    pub(super) fn apply(&self, uid: u32) -> Result<(), RuntimeError> {
        let failed = |error: Errno| RuntimeError::start("set the capabilities")(error.into());
        clear_ambient_capability_set().map_err(failed)?;
        let (effective, permitted) =
            if uid == 0 { (self.effective, self.permitted) } else { (self.ambient, self.ambient) };
        let inheritable = self.inheritable | self.ambient;
        set_capabilities(None, CapabilitySets { effective, permitted, inheritable }).map_err(failed)?;
        for capability in self.ambient.iter() {
            configure_capability_in_ambient_set(capability, true).map_err(failed)?;
        }
        Ok(())
    }

    /// Whether anything has to survive a change of user.
    pub(super) fn has_ambient(&self) -> bool {
        !self.ambient.is_empty()
    }
}

/// Whether containers of a caller with these ids can have a capability, by its name without `CAP_`: root hands on what it has itself, and
/// the owner of a user namespace has all that the kernel knows, over that namespace.
pub fn can_give(name: &str, map: &super::UserMap) -> bool {
    let Some(number) = CAPABILITIES.iter().position(|known| *known == name) else { return false };
    let capability = CapabilitySet::from_bits_retain(1 << number);
    let Ok(bounding) = capability_is_in_bounding_set(capability) else { return false };
    let own = || capabilities(None).is_ok_and(|sets| sets.permitted.contains(capability));
    *map != super::UserMap::Host || (bounding && own())
}

fn bits(list: &HashSet<Capability>) -> CapabilitySet {
    let number = |capability: &Capability| CAPABILITIES.iter().position(|name| *name == capability.to_string());
    list.iter()
        .filter_map(number)
        .fold(CapabilitySet::empty(), |set, number| set | CapabilitySet::from_bits_retain(1 << number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_kernels_numbers() {
        for (name, flag) in [
            (Capability::Chown, CapabilitySet::CHOWN),
            (Capability::SysAdmin, CapabilitySet::SYS_ADMIN),
            (Capability::NetBindService, CapabilitySet::NET_BIND_SERVICE),
            (Capability::Setfcap, CapabilitySet::SETFCAP),
            (Capability::CheckpointRestore, CapabilitySet::CHECKPOINT_RESTORE),
        ] {
            assert_eq!(bits(&HashSet::from([name])), flag, "{name}");
        }
        for name in CAPABILITIES {
            let parsed: Capability = name.parse().expect(name);
            assert_eq!(parsed.to_string(), name);
        }
        for capability in super::super::DEFAULT_CAPABILITIES {
            assert_eq!(bits(&HashSet::from([*capability])).iter().count(), 1, "{capability}");
        }
    }
}
