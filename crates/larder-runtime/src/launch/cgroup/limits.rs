//! Limits: from the specification's `linux.resources` to what is written into the files of a cgroup.

use std::fs;
use std::path::Path;

use oci_spec::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxResources};

use crate::error::RuntimeError;

/// The init is in the cgroup too, and isn't what the caller counts.
const OWN_PROCESSES: i64 = 1;

/// Microseconds; the kernel's own default.
const CPU_PERIOD: u64 = 100_000;

/// A limit of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// Bytes; with swap, also bytes, when that is limited.
    Memory { bytes: i64, with_swap: Option<i64> },
    /// Microseconds of CPU in each period of as many.
    Cpu { quota: i64, period: u64 },
    /// Processes and threads.
    Pids(i64),
    /// Share of the disks' time: 10 to 1000, where others have 100.
    IoWeight(u16),
}

/// Files of which the first that is there gets its value.
pub(super) struct Setting {
    pub(super) files: Vec<(&'static str, String)>,
    /// Whether one must be there.
    pub(super) required: bool,
}

impl Setting {
    fn required(file: &'static str, value: impl ToString) -> Self {
        Self { files: vec![(file, value.to_string())], required: true }
    }

    fn if_there(file: &'static str, value: impl ToString) -> Self {
        Self { files: vec![(file, value.to_string())], required: false }
    }
}

impl Limit {
    /// The limits that a specification asks for. "Unlimited" is none.
    pub(super) fn all(resources: Option<&LinuxResources>) -> Result<Vec<Self>, RuntimeError> {
        let Some(resources) = resources else { return Ok(Vec::new()) };
        check(resources)?;
        let memory = resources.memory().as_ref().and_then(|memory| {
            let bytes = memory.limit().filter(|&bytes| bytes > 0)?;
            Some(Self::Memory { bytes, with_swap: memory.swap().filter(|&bytes| bytes > 0) })
        });
        let cpu = resources.cpu().as_ref().and_then(|cpu| {
            let quota = cpu.quota().filter(|&quota| quota > 0)?;
            Some(Self::Cpu { quota, period: cpu.period().unwrap_or(CPU_PERIOD) })
        });
        let pids = resources.pids().map(|pids| pids.limit()).filter(|&limit| limit > 0).map(Self::Pids);
        let weight = resources.block_io().as_ref().and_then(LinuxBlockIo::weight).filter(|&weight| weight > 0);
        Ok([memory, cpu, pids, weight.map(Self::IoWeight)].into_iter().flatten().collect())
    }

    /// What it is, as a phrase after "can't set".
    pub(super) fn phrase(&self) -> String {
        match self {
            Self::Memory { bytes, .. } => format!("the memory limit of {bytes} bytes"),
            Self::Cpu { quota, period } => {
                format!("the limit of {} CPUs", (*quota as f64 / *period as f64 * 1000.0).round() / 1000.0)
            }
            Self::Pids(limit) => format!("the limit of {limit} processes"),
            Self::IoWeight(weight) => format!("the I/O weight {weight}"),
        }
    }

    /// Its controller's names in version 1 and version 2.
    pub(super) const fn controller(&self) -> (&'static str, &'static str) {
        match self {
            Self::Memory { .. } => ("memory", "memory"),
            Self::Cpu { .. } => ("cpu", "cpu"),
            Self::Pids(_) => ("pids", "pids"),
            Self::IoWeight(_) => ("blkio", "io"),
        }
    }

    /// What is written in a cgroup of version 1, in this order.
    pub(super) fn old_settings(&self) -> Vec<Setting> {
        match *self {
            Self::Memory { bytes, with_swap } => {
                let swap = with_swap.map(|bytes| Setting::if_there("memory.memsw.limit_in_bytes", bytes));
                [Some(Setting::required("memory.limit_in_bytes", bytes)), swap].into_iter().flatten().collect()
            }
            Self::Cpu { quota, period } => {
                vec![Setting::required("cpu.cfs_period_us", period), Setting::required("cpu.cfs_quota_us", quota)]
            }
            Self::Pids(limit) => vec![pids(limit)],
            Self::IoWeight(weight) => {
                let files = ["blkio.bfq.weight", "blkio.weight"].map(|file| (file, weight.to_string()));
                vec![Setting { files: files.into(), required: true }]
            }
        }
    }

    /// What is written in a cgroup of version 2, in this order.
    pub(super) fn new_settings(&self) -> Vec<Setting> {
        match *self {
            Self::Memory { bytes, with_swap } => {
                let swap = with_swap.map(|both| Setting::if_there("memory.swap.max", (both - bytes).max(0)));
                [Some(Setting::required("memory.max", bytes)), swap].into_iter().flatten().collect()
            }
            Self::Cpu { quota, period } => vec![Setting::required("cpu.max", format!("{quota} {period}"))],
            Self::Pids(limit) => vec![pids(limit)],
            Self::IoWeight(weight) => {
                let scaled = format!("default {}", scaled_weight(weight));
                let files = vec![("io.bfq.weight", weight.to_string()), ("io.weight", scaled)];
                vec![Setting { files, required: true }]
            }
        }
    }
}

fn pids(limit: i64) -> Setting {
    Setting::required("pids.max", limit.saturating_add(OWN_PROCESSES))
}

/// From 10..=1000 to the 1..=10000 of `io.weight`, with 100 for 100: as systemd does, and unlike a straight line, which
/// would give a container of weight 100 nine times the share of its neighbours without one.
fn scaled_weight(weight: u16) -> u32 {
    let weight = u32::from(weight);
    if weight <= 100 { weight.max(1) } else { 100 + (weight - 100) * (10_000 - 100) / (1000 - 100) }
}

/// Whether weights change anything on this machine: a disk's scheduler has to look at them. `block` is `/sys/block`, `top` the tree
/// of cgroups.
pub(super) fn weights_count(block: &Path, top: &Path) -> bool {
    let disks = fs::read_dir(block).into_iter().flatten().flatten();
    let scheduler = |disk: fs::DirEntry| fs::read_to_string(disk.path().join("queue/scheduler")).unwrap_or_default();
    let cost = fs::read_to_string(top.join("io.cost.qos")).unwrap_or_default();
    cost.contains("enable=1") || disks.map(scheduler).any(|text| text.contains("[bfq]"))
}

/// Refuses what would have to be ignored.
fn check(resources: &LinuxResources) -> Result<(), RuntimeError> {
    let mut rest = resources.clone();
    if let Some(memory) = resources.memory() {
        let known = LinuxMemory::default();
        let mut other = *memory;
        other.set_limit(known.limit()).set_swap(known.swap());
        if other == known {
            rest.set_memory(None);
        }
    }
    if let Some(cpu) = resources.cpu() {
        let mut other = cpu.clone();
        other.set_quota(None).set_period(None);
        if other == LinuxCpu::default() {
            rest.set_cpu(None);
        }
    }
    if let Some(io) = resources.block_io() {
        let mut other = io.clone();
        other.set_weight(None);
        if other == LinuxBlockIo::default() {
            rest.set_block_io(None);
        }
    }
    rest.set_pids(None);
    // What is left has a JSON form without the absent parts.
    let left = serde_json::to_value(&rest).ok().and_then(|value| value.as_object().cloned()).unwrap_or_default();
    match left.keys().next() {
        None => Ok(()),
        Some(part) => Err(RuntimeError::Specification(format!(
            "limits of {part} other than a memory limit, a CPU quota, a number of processes and an I/O weight: this launcher does not do it"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resources(json: &str) -> LinuxResources {
        serde_json::from_str(json).unwrap()
    }

    fn written(settings: &[Setting]) -> Vec<(&str, &str)> {
        settings.iter().flat_map(|setting| &setting.files).map(|(file, value)| (*file, value.as_str())).collect()
    }

    #[test]
    fn a_specification_becomes_files() {
        let all = Limit::all(Some(&resources(
            r#"{"memory":{"limit":67108864,"swap":67108864},"cpu":{"quota":50000,"period":100000},"pids":{"limit":9},"blockIO":{"weight":500}}"#,
        )))
        .unwrap();
        let old: Vec<Setting> = all.iter().flat_map(Limit::old_settings).collect();
        assert_eq!(
            written(&old),
            [
                ("memory.limit_in_bytes", "67108864"),
                ("memory.memsw.limit_in_bytes", "67108864"),
                ("cpu.cfs_period_us", "100000"),
                ("cpu.cfs_quota_us", "50000"),
                ("pids.max", "10"),
                ("blkio.bfq.weight", "500"),
                ("blkio.weight", "500"),
            ]
        );
        let new: Vec<Setting> = all.iter().flat_map(Limit::new_settings).collect();
        assert_eq!(
            written(&new),
            [
                ("memory.max", "67108864"),
                ("memory.swap.max", "0"),
                ("cpu.max", "50000 100000"),
                ("pids.max", "10"),
                ("io.bfq.weight", "500"),
                ("io.weight", "default 4500"),
            ]
        );
    }

    #[test]
    fn unlimited_is_no_limit() {
        let none = resources(
            r#"{"memory":{"limit":-1,"swap":-1},"cpu":{"quota":-1},"pids":{"limit":-1},"blockIO":{"weight":0}}"#,
        );
        assert_eq!(Limit::all(Some(&none)).unwrap(), []);
        assert_eq!(Limit::all(None).unwrap(), []);
    }

    #[test]
    fn what_would_be_ignored_is_refused() {
        for (text, part) in [
            (r#"{"memory":{"limit":1,"reservation":1}}"#, "memory"),
            (r#"{"cpu":{"shares":2}}"#, "cpu"),
            (r#"{"cpu":{"cpus":"0"}}"#, "cpu"),
            (r#"{"blockIO":{"leafWeight":10}}"#, "blockIO"),
            (r#"{"devices":[{"allow":false,"access":"rwm"}]}"#, "devices"),
            (r#"{"unified":{"memory.high":"1"}}"#, "unified"),
        ] {
            let refused = Limit::all(Some(&resources(text))).unwrap_err().to_string();
            assert!(refused.contains(&format!("limits of {part} ")), "{refused}");
        }
    }

    #[test]
    fn the_middle_of_the_weights_stays_the_middle() {
        assert_eq!([10, 50, 100, 500, 1000].map(scaled_weight), [10, 50, 100, 4500, 10_000]);
    }

    #[test]
    fn a_weight_counts_where_a_scheduler_looks_at_it() {
        let folder = tempfile::tempdir().unwrap();
        let (block, top) = (folder.path().join("block"), folder.path().join("top"));
        fs::create_dir_all(block.join("vda/queue")).unwrap();
        fs::create_dir_all(&top).unwrap();
        fs::write(block.join("vda/queue/scheduler"), "[none] mq-deadline bfq\n").unwrap();
        assert!(!weights_count(&block, &top));
        fs::write(block.join("vda/queue/scheduler"), "none mq-deadline [bfq]\n").unwrap();
        assert!(weights_count(&block, &top));
        fs::remove_file(block.join("vda/queue/scheduler")).unwrap();
        fs::write(top.join("io.cost.qos"), "254:0 enable=1 ctrl=auto\n").unwrap();
        assert!(weights_count(&block, &top));
    }
}
