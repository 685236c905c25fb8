//! The specification as another runtime gets it: with everything in it that our own launcher adds while it runs.

use std::path::Path;

use oci_spec::runtime::{LinuxDeviceCgroup, LinuxNamespaceType, LinuxResources, Mount, RootBuilder, Spec};

use super::super::identity::Identity;
use super::super::job::{Job, MapKind};
use super::super::{cgroup, seccomp, workload};
use super::RuntimeKind;
use crate::error::RuntimeError;

/// Completes the job's specification for a runtime.
pub(super) fn specification(job: &Job, kind: RuntimeKind, identity: &Identity) -> Result<Spec, RuntimeError> {
    let refuse = |error: oci_spec::OciSpecError| RuntimeError::Specification(error.to_string());
    let mut spec = job.spec.clone();
    let read_only = spec.root().as_ref().and_then(|root| root.readonly()).unwrap_or(false);
    let root =
        RootBuilder::default().path(job.container_dir.join("root")).readonly(read_only).build().map_err(refuse)?;
    spec.set_root(Some(root));
    let id = job.container_dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let has = |spec: &Spec, wanted: LinuxNamespaceType| {
        let namespaces = spec.linux().as_ref().and_then(|linux| linux.namespaces().as_deref()).unwrap_or_default();
        namespaces.iter().any(|namespace| namespace.typ() == wanted)
    };
    if spec.hostname().is_none() && has(&spec, LinuxNamespaceType::Uts) {
        spec.set_hostname(Some(id));
    }
    if let Some(process) = spec.process_mut() {
        let environment = workload::environment(process, identity);
        process.set_env(Some(environment));
        let user = process.user_mut();
        user.set_uid(identity.uid).set_gid(identity.gid);
        if job.map != MapKind::Single {
            user.set_additional_gids(Some(identity.groups.clone()));
        }
        let capabilities = process.capabilities().clone().filter(|_| identity.uid != 0);
        if let Some(mut capabilities) = capabilities {
            // Runtimes give what is listed to any user; ours gives it to root.
            let kept = capabilities.ambient().clone().unwrap_or_default();
            capabilities.set_effective(Some(kept.clone())).set_permitted(Some(kept));
            process.set_capabilities(Some(capabilities));
        }
    }
    let shared_network = job.map != MapKind::Host && !has(&spec, LinuxNamespaceType::Network);
    if let Some(list) = spec.mounts_mut() {
        let mounts = std::mem::take(list);
        *list = mounts.into_iter().filter_map(|mount| translate(mount, job.map, shared_network)).collect();
    }
    let Some(linux) = spec.linux_mut() else { return Ok(spec) };
    if linux.seccomp().as_ref().is_none_or(|own| !seccomp::is_none(own)) {
        linux.set_seccomp(Some(seccomp::profile().map_err(refuse)?));
    } else {
        linux.set_seccomp(None);
    }
    if job.map == MapKind::Host {
        linux.set_cgroups_path(Some(cgroup::path_for_runtime(&job.container_dir)));
        // Without a first rule that denies, runtimes allow all devices.
        if kind == RuntimeKind::Runc || linux.resources().is_some() {
            let mut deny = LinuxDeviceCgroup::default();
            deny.set_allow(false).set_access(Some("rwm".to_owned()));
            let mut resources = linux.resources().clone().unwrap_or_else(LinuxResources::default);
            let given = linux.devices().as_ref().into_iter().flatten().map(LinuxDeviceCgroup::from);
            resources.set_devices(Some(std::iter::once(deny).chain(given).collect()));
            linux.set_resources(Some(resources));
        }
    } else if linux.resources().is_some() {
        linux.set_cgroups_path(Some(cgroup::path_for_runtime(&job.container_dir)));
    }
    Ok(spec)
}

/// A mount with the options that every runtime knows; `None` for one that can be done without and doesn't work here.
fn translate(mut mount: Mount, map: MapKind, shared_network: bool) -> Option<Mount> {
    let kind = mount.typ().clone().unwrap_or_default();
    let mut options = mount.options().clone().unwrap_or_default();
    if options.iter().any(|option| option == "nofail") {
        if map != MapKind::Host {
            return None;
        }
        options.retain(|option| option != "nofail");
    }
    if kind == "devpts" && map == MapKind::Single {
        // No group but the user's own exists.
        options.retain(|option| !option.starts_with("gid="));
    }
    if kind == "sysfs" && shared_network {
        // The network is the host's, and with it the right to see /sys.
        mount.set_typ(Some("bind".to_owned())).set_source(Some(Path::new("/sys").to_owned()));
        options.insert(0, "rbind".to_owned());
    }
    mount.set_options(Some(options));
    Some(mount)
}

/// The last message of a log of JSON lines.
pub(super) fn last_message(log: &str) -> Option<String> {
    let message = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(line.get("msg")?.as_str()?.trim().to_owned())
    };
    log.lines().rev().find_map(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_message_is_the_reason() {
        let log =
            "{\"level\":\"warning\",\"msg\":\"first\"}\nno json\n{\"level\":\"error\",\"msg\":\"why not\\n\"}\n\n";
        assert_eq!(last_message(log).as_deref(), Some("why not"));
        assert_eq!(last_message(""), None);
    }
}
