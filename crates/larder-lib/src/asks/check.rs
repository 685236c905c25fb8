//! Whether a host has what is asked. Everything is looked at before anything is said.

use std::fmt;
use std::path::Path;

use larder_runtime::features;
use larder_runtime::launch::{self, UserMap};
use larder_store::fileset::KernelVersion;

use super::{Ask, Asking, strongest};
use crate::{Result, size};

/// Something that a host doesn't have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// What is asked, and by whom.
    pub asking: Asking,
    /// What the host has instead.
    pub has: String,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.asking, self.has)
    }
}

/// What of the asks this host doesn't have. `limit` is what the container may have of the memory.
///
/// # Errors
/// A host that can't be looked at.
pub(crate) fn lacking(all: &[Asking], limit: Option<u64>, map: &UserMap) -> Result<Vec<Lack>> {
    let mut lacks = Vec::new();
    for asking in strongest(all) {
        let has = match &asking.ask {
            Ask::Kernel(oldest) => kernel(*oldest),
            Ask::Memory(bytes) => memory(*bytes, limit)?,
            Ask::Feature(name) => feature(name),
            Ask::Capability(name) => {
                let given = launch::can_give(name, map);
                (!given).then(|| "neither this kernel nor the caller has it to give".to_owned())
            }
            Ask::Device(path) => {
                let why = |error| format!("this host can't give it: {error}");
                launch::device(Path::new(path)).err().map(why)
            }
        };
        lacks.extend(has.map(|has| Lack { asking: asking.clone(), has }));
    }
    Ok(lacks)
}

fn kernel(oldest: KernelVersion) -> Option<String> {
    let release = features::kernel_release();
    match version(&release) {
        Some(version) if version >= oldest => None,
        _ => Some(format!("this host runs {release}")),
    }
}

/// The numbers that a release begins with: `6.1.0-18-amd64`, `6.18-rc1`.
fn version(release: &str) -> Option<KernelVersion> {
    let end = release.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(release.len());
    let numbers: Vec<&str> = release[..end].split('.').filter(|part| !part.is_empty()).take(3).collect();
    numbers.join(".").parse().ok()
}

fn memory(bytes: u64, limit: Option<u64>) -> Result<Option<String>> {
    let there = features::memory()?;
    Ok(match limit {
        _ if there < bytes => Some(format!("this host has {}", size::write(there))),
        Some(limit) if limit < bytes => Some(format!("--memory limits the container to {}", size::write(limit))),
        _ => None,
    })
}

fn feature(name: &str) -> Option<String> {
    match features::find(name) {
        None => Some("this larder doesn't know how to probe it".to_owned()),
        Some(feature) => feature.probe().err().map(|absence| format!("this host hasn't: {absence}")),
    }
}

/// The features that the host has and that no container can use.
pub(crate) fn refused_inside(all: &[Asking]) -> Vec<&Asking> {
    let refused = |name: &str| features::find(name).is_some_and(|feature| feature.refused_inside);
    all.iter().filter(|asking| matches!(&asking.ask, Ask::Feature(name) if refused(name))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_begin_with_a_version() {
        let read = |release: &str| version(release).map(|version| version.to_string());
        for (release, expected) in [
            ("6.1.0-18-amd64", "6.1"),
            ("6.18.44", "6.18.44"),
            ("6.18-rc1", "6.18"),
            ("5.10.0.1-custom", "5.10"),
            ("4.19.", "4.19"),
        ] {
            assert_eq!(read(release).as_deref(), Some(expected), "{release}");
        }
        assert_eq!(read("weird"), None);
    }

    #[test]
    fn everything_that_is_missing_is_said() {
        let ask = |kind: &str, value: &str| Asking {
            ask: Ask::parse(kind, value).expect("an ask"),
            by: vec!["example.com/a@1".to_owned()],
        };
        let all = [
            ask("kernel", ">=2.6"),
            ask("kernel", ">=999.0"),
            ask("memory", "8000t"),
            ask("feature", "teleport"),
            ask("feature", "seccomp"),
            ask("capability", "FLY"),
            ask("device", "/dev/larder-none"),
            ask("device", "/dev/null"),
        ];
        let lacks: Vec<_> =
            lacking(&all, None, &UserMap::Single).expect("a host").iter().map(ToString::to_string).collect();
        assert_eq!(lacks.len(), 5, "{lacks:#?}");
        assert!(lacks[0].starts_with("kernel >=999.0, asked for by example.com/a@1: this host runs "), "{lacks:?}");
        assert!(lacks[1].contains("memory 8000t") && lacks[1].contains("this host has "), "{lacks:?}");
        assert_eq!(
            lacks[2],
            "feature teleport, asked for by example.com/a@1: this larder doesn't know how to probe it"
        );
        assert!(lacks[4].contains("it has no /dev/larder-none"), "{lacks:?}");
        let limited = lacking(&[ask("memory", "64m")], Some(32 << 20), &UserMap::Single).expect("a host");
        assert_eq!(limited[0].has, "--memory limits the container to 32m");
    }
}
