//! Where the cgroup file systems of this machine are, and this process in them.
//!
//! ```text
//! /proc/self/mountinfo   … <root> <mount point> <options> … - cgroup2 <source> <options>
//!                        … <root> <mount point> <options> … - cgroup  <source> rw,cpu,cpuacct
//! /proc/self/cgroup      0::<path>          version 2
//!                        4:memory:<path>    version 1
//! ```
//! A host has version 2 only, version 1 only, or both ("hybrid"): then each controller is in one of them.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A tree of cgroups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hierarchy {
    /// Its highest cgroup that is visible here.
    pub(super) top: PathBuf,
    /// The cgroup of this process.
    pub(super) own: PathBuf,
}

impl Hierarchy {
    /// The process's cgroup, the one around it, and so on up to the top.
    pub(super) fn upwards(&self) -> impl Iterator<Item = &Path> {
        self.own.ancestors().take_while(|path| path.starts_with(&self.top))
    }
}

/// Where a controller is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// In this tree of version 1.
    Old(&'a Hierarchy),
    /// If anywhere, in this tree of version 2.
    New(&'a Hierarchy),
    /// In a tree that isn't visible here.
    Hidden,
}

/// All trees of cgroups.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Hierarchies {
    unified: Option<Hierarchy>,
    /// By the name of a controller; several may be of one tree.
    old: Vec<(String, Option<Hierarchy>)>,
}

impl Hierarchies {
    /// Those of this process.
    pub(super) fn of_this_process() -> io::Result<Self> {
        Ok(Self::parse(&read_whole("/proc/self/mountinfo")?, &read_whole("/proc/self/cgroup")?))
    }

    /// Understands the texts of `/proc/self/mountinfo` and `/proc/self/cgroup`.
    pub(super) fn parse(mountinfo: &str, own: &str) -> Self {
        let mounts: Vec<Mount> = mountinfo.lines().filter_map(Mount::parse).collect();
        let mut found = Self::default();
        for line in own.lines() {
            let mut parts = line.splitn(3, ':');
            let (Some(number), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
                continue;
            };
            if number == "0" {
                found.unified = mounts.iter().filter(|mount| mount.unified).find_map(|mount| mount.hierarchy(path));
                continue;
            }
            for controller in controllers.split(',') {
                let has = |mount: &&Mount| !mount.unified && mount.options.split(',').any(|word| word == controller);
                let hierarchy = mounts.iter().filter(has).find_map(|mount| mount.hierarchy(path));
                found.old.push((controller.to_owned(), hierarchy));
            }
        }
        found
    }

    /// Every tree that is visible here.
    pub(super) fn all(&self) -> impl Iterator<Item = &Hierarchy> {
        self.old.iter().filter_map(|(_, tree)| tree.as_ref()).chain(&self.unified)
    }

    /// Whether there are trees of version 1.
    pub(super) fn has_old(&self) -> bool {
        self.old.iter().any(|(_, tree)| tree.is_some())
    }

    /// The tree of version 2.
    pub(super) fn unified(&self) -> Option<&Hierarchy> {
        self.unified.as_ref()
    }

    /// Where a controller is, by its name in version 1 and in version 2.
    pub(super) fn find(&self, old: &str, new: &str) -> Found<'_> {
        let listed = self.old.iter().find(|(name, _)| name == old);
        match (listed, &self.unified) {
            (Some((_, Some(hierarchy))), _) => Found::Old(hierarchy),
            (None, Some(hierarchy)) if hierarchy.has_controller(new) => Found::New(hierarchy),
            (None, Some(hierarchy)) if self.old.is_empty() => Found::New(hierarchy),
            _ => Found::Hidden,
        }
    }
}

impl Hierarchy {
    fn has_controller(&self, name: &str) -> bool {
        let listed = fs::read_to_string(self.top.join("cgroup.controllers")).unwrap_or_default();
        listed.split_whitespace().any(|word| word == name)
    }
}

/// Reads a file of the kernel in few calls: for each it makes the text anew, and it tells no size.
fn read_whole(path: &str) -> io::Result<String> {
    let mut text = String::with_capacity(16 * 1024);
    fs::File::open(path)?.read_to_string(&mut text)?;
    Ok(text)
}

/// A mounted tree of cgroups.
struct Mount {
    /// The cgroup that is seen at the mount point.
    root: String,
    at: PathBuf,
    unified: bool,
    options: String,
}

impl Mount {
    fn parse(line: &str) -> Option<Self> {
        let (place, kind) = line.split_once(" - ")?;
        let mut kind = kind.split(' ');
        let unified = match kind.next()? {
            "cgroup2" => true,
            "cgroup" => false,
            _ => return None,
        };
        let mut place = place.split(' ').skip(3);
        let (root, at) = (unescape(place.next()?), unescape(place.next()?));
        Some(Self { root, at: at.into(), unified, options: kind.nth(1).unwrap_or_default().to_owned() })
    }

    /// The tree with a process whose cgroup is `path`; `None` where the mount doesn't show that cgroup.
    fn hierarchy(&self, path: &str) -> Option<Hierarchy> {
        let below = Path::new(path).strip_prefix(&self.root).ok()?;
        if below.components().any(|part| part == std::path::Component::ParentDir) {
            return None;
        }
        // Joining an empty path would add a slash.
        let own = if below.as_os_str().is_empty() { self.at.clone() } else { self.at.join(below) };
        Some(Hierarchy { top: self.at.clone(), own })
    }
}

/// Undoes the octal escapes of white space and backslashes.
fn unescape(text: &str) -> String {
    let mut plain = text.to_owned();
    for (escape, character) in [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")] {
        plain = plain.replace(escape, character);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw";
    const OWN_HYBRID: &str = "\
9:name=systemd:/
4:memory:/user.slice/x:y
2:cpu,cpuacct:/
8:pids:/
0::/user.slice";

    fn hierarchy(top: &str, own: &str) -> Hierarchy {
        Hierarchy { top: top.into(), own: own.into() }
    }

    #[test]
    fn a_hybrid_host_has_each_controller_in_one_tree() {
        let found = Hierarchies::parse(HYBRID, OWN_HYBRID);
        let memory = hierarchy("/sys/fs/cgroup/memory", "/sys/fs/cgroup/memory/user.slice/x:y");
        assert_eq!(found.find("memory", "memory"), Found::Old(&memory));
        let cpu = hierarchy("/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/cpu,cpuacct");
        assert_eq!(found.find("cpu", "cpu"), Found::Old(&cpu));
        assert_eq!(found.find("pids", "pids"), Found::Hidden, "it is a tree of version 1 that isn't mounted");
        assert_eq!(found.find("blkio", "no-such"), Found::Hidden, "version 2 doesn't have it either");
        let unified = hierarchy("/sys/fs/cgroup/unified", "/sys/fs/cgroup/unified/user.slice");
        assert_eq!(found.unified(), Some(&unified));
        let upwards: Vec<_> = unified.upwards().collect();
        let expected = ["/sys/fs/cgroup/unified/user.slice", "/sys/fs/cgroup/unified"].map(Path::new);
        assert_eq!(upwards, expected);
    }

    #[test]
    fn a_host_of_version_2_has_everything_there() {
        let found = Hierarchies::parse(
            "25 1 0:22 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot",
            "0::/user.slice/user-1000.slice/session-3.scope\n",
        );
        let own = hierarchy("/sys/fs/cgroup", "/sys/fs/cgroup/user.slice/user-1000.slice/session-3.scope");
        assert_eq!(found.find("blkio", "io"), Found::New(&own));
        assert_eq!(own.upwards().count(), 4);
    }

    #[test]
    fn a_host_of_version_1_has_no_other() {
        let found =
            Hierarchies::parse("30 1 0:25 / /sys/fs/cgroup\\040a/memory rw - cgroup cgroup rw,memory", "4:memory:/a\n");
        let memory = hierarchy("/sys/fs/cgroup a/memory", "/sys/fs/cgroup a/memory/a");
        assert_eq!(found.find("memory", "memory"), Found::Old(&memory));
        assert_eq!(found.find("cpu", "cpu"), Found::Hidden);
        assert_eq!(found.unified(), None);
    }

    #[test]
    fn a_mount_of_a_part_is_counted_from_there() {
        let own = "4:memory:/docker/1f/inner\n";
        let mount = |root: &str| format!("30 1 0:25 {root} /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory");
        let found = Hierarchies::parse(&mount("/docker/1f"), own);
        let memory = hierarchy("/sys/fs/cgroup/memory", "/sys/fs/cgroup/memory/inner");
        assert_eq!(found.find("memory", "memory"), Found::Old(&memory));
        assert_eq!(Hierarchies::parse(&mount("/docker/2e"), own).find("memory", "memory"), Found::Hidden);
        let outside = Hierarchies::parse(&mount("/"), "4:memory:/../other\n");
        assert_eq!(outside.find("memory", "memory"), Found::Hidden, "it is outside of this cgroup namespace");
    }
}
