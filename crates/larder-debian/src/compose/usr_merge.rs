//! The composer `usr-merge`: the aliases of merged-`/usr`, and the directories that every container needs.
//!
//! `/bin`, `/sbin` and `/lib` are always links into `/usr`; `/lib64`, `/lib32`, `/libx32` and `/libo32` are where
//! `/usr` has the directory. Packages are converted with everything below these names moved, so anything still below
//! one is a file of the image's own, and an error that names its place. The directories are base-files' and the
//! kernel's mount points, so that they are there with `base = "none"` as well.

use larder_store::Entry;
use larder_store::tree::Attributes;

use super::{ComposeError, Draft, draft};

/// Links that are there in every container.
const ALWAYS: [&str; 3] = ["bin", "lib", "sbin"];
/// Links that are there where `/usr` has the directory.
const WHERE_PRESENT: [&str; 4] = ["lib32", "lib64", "libo32", "libx32"];

/// Directories with their modes, where these aren't 0755.
const DIRECTORIES: &[(&str, Option<u16>)] = &[
    ("boot", None),
    ("dev", None),
    ("etc", None),
    ("home", None),
    ("media", None),
    ("mnt", None),
    ("opt", None),
    ("proc", None),
    ("root", Some(0o700)),
    ("run", None),
    ("run/lock", Some(0o1777)),
    ("srv", None),
    ("sys", None),
    ("tmp", Some(0o1777)),
    ("usr/bin", None),
    ("usr/lib", None),
    ("usr/local/bin", None),
    ("usr/local/lib", None),
    ("usr/local/sbin", None),
    ("usr/local/share", None),
    ("usr/sbin", None),
    ("usr/share", None),
    ("var/cache", None),
    ("var/lib", None),
    ("var/log", None),
    ("var/opt", None),
    ("var/spool", None),
    ("var/tmp", Some(0o1777)),
];

/// Links outside `/usr` that Debian has in every system.
const LINKS: [(&str, &str); 2] = [("var/lock", "/run/lock"), ("var/run", "/run")];

pub(super) fn compose(draft: &mut Draft<'_>) -> Result<(), ComposeError> {
    let wanted = WHERE_PRESENT.into_iter().filter(|name| draft.at(format!("usr/{name}").as_bytes()).is_some());
    for alias in ALWAYS.into_iter().chain(wanted.collect::<Vec<_>>()) {
        if let Some(planned) = draft.below(alias.as_bytes()) {
            let package = draft::owner(&draft.plan().sources[planned.source]);
            return Err(ComposeError::BelowAlias { path: planned.entry.path.clone(), package, alias });
        }
        draft.alias(alias, &format!("usr/{alias}"))?;
    }
    for &(path, mode) in DIRECTORIES {
        draft.directory(path, Attributes { mode, ..Attributes::default() })?;
    }
    for (path, target) in LINKS {
        // A package with something below keeps its directory; an empty one gives way.
        let free = match draft.at(path.as_bytes()) {
            None => true,
            Some(Entry::Directory) => draft.below(path.as_bytes()).is_none(),
            Some(_) => false,
        };
        if free {
            draft.alias(path, target)?;
        }
    }
    Ok(())
}
