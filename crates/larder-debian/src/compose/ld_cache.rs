//! The composer `ld.so.cache`: the dynamic linker's cache and the links named after sonames, as `ldconfig` would
//! write them.
//!
//! Which directories: those of `/etc/ld.so.conf`, in its order, then Debian's built-in ones; a directory reached by
//! two names counts under the first. In each, files and links named like libraries are read, and of those with one
//! soname the newest file stays (`ldconfig` of glibc 2.36; the format is in [`mod@format`]). `glibc-hwcaps`
//! subdirectories are honoured; the older hardware subdirectories, which glibc 2.37 dropped and no Debian package
//! uses, are not.
//!
//! The cache is the same on every host: it depends on file names and ELF headers alone.

use std::collections::BTreeSet;

use super::{ComposeError, Draft};
use larder_store::Entry;

mod conf;
mod elf;
mod format;

use format::Library;

/// Debian's built-in directories: the architecture's own, then the plain ones.
const PLAIN: [&str; 2] = ["lib", "usr/lib"];

/// A directory to be searched.
#[derive(Debug)]
struct Directory {
    /// As the configuration names it, without leading slash: what the cache shows.
    shown: Vec<u8>,
    /// Where it really is.
    real: Vec<u8>,
    /// Of a `glibc-hwcaps` subdirectory: its name.
    hwcaps: Option<Vec<u8>>,
}

/// A library found in a directory.
#[derive(Debug)]
struct Found {
    name: Vec<u8>,
    soname: Vec<u8>,
    flags: i32,
    is_link: bool,
}

pub(super) fn compose(draft: &mut Draft<'_>) -> Result<(), ComposeError> {
    let mut libraries = Vec::new();
    let mut links = Vec::new();
    for directory in directories(draft)? {
        for found in search(draft, &directory)? {
            // The name in the cache is the soname, so that it goes through the link; a hardware directory has no such
            // links.
            let name = if directory.hwcaps.is_some() { &found.name } else { &found.soname };
            libraries.push(Library {
                path: [b"/", &directory.shown[..], b"/", name].concat(),
                soname: found.soname.clone(),
                flags: found.flags,
                hwcaps: directory.hwcaps.clone(),
            });
            let link = [&directory.real[..], b"/", &found.soname].concat();
            if directory.hwcaps.is_none() && !found.is_link && draft.at(&link).is_none() {
                links.push((link, found.name));
            }
        }
    }
    if libraries.is_empty() {
        return Ok(());
    }
    for (link, name) in links {
        draft.link(&link, &name)?;
    }
    draft.file("etc/ld.so.cache", &format::encode(libraries))
}

/// All directories in the order of their search.
fn directories(draft: &Draft<'_>) -> Result<Vec<Directory>, ComposeError> {
    let mut wanted = conf::directories(draft)?;
    for plain in PLAIN {
        let multiarch = draft.resolve(plain.as_bytes()).map(|real| draft.names(&real)).unwrap_or_default();
        let multiarch = multiarch.into_iter().filter(|name| is_multiarch(name));
        wanted.extend(multiarch.map(|name| [plain.as_bytes(), b"/", &name].concat()));
    }
    wanted.extend(PLAIN.map(|plain| plain.as_bytes().to_vec()));

    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for shown in wanted {
        let Some(real) = draft.resolve(&shown) else { continue };
        if !matches!(draft.at(&real), Some(Entry::Directory)) || !seen.insert(real.clone()) {
            continue;
        }
        let hwcaps = [&real[..], b"/glibc-hwcaps"].concat();
        let subdirectories: Vec<_> = draft.names(&hwcaps);
        all.push(Directory { shown: shown.clone(), real, hwcaps: None });
        for name in subdirectories {
            let real = [&hwcaps[..], b"/", &name].concat();
            if matches!(draft.at(&real), Some(Entry::Directory)) {
                let shown = [&shown[..], b"/glibc-hwcaps/", &name].concat();
                all.push(Directory { shown, real, hwcaps: Some(name) });
            }
        }
    }
    Ok(all)
}

/// Whether a directory of `/usr/lib` is one of the architectures that Debian builds in, such as `x86_64-linux-gnu`.
fn is_multiarch(name: &[u8]) -> bool {
    matches!(name, b"x86_64-linux-gnu" | b"aarch64-linux-gnu")
}

/// The libraries of one directory, one for each soname.
fn search(draft: &Draft<'_>, directory: &Directory) -> Result<Vec<Found>, ComposeError> {
    let mut all: Vec<Found> = Vec::new();
    for name in draft.names(&directory.real) {
        if !is_library_name(&name) {
            continue;
        }
        let path = [&directory.real[..], b"/", &name].concat();
        let Some(file) = draft.open(&path)? else { continue };
        let Some(header) = elf::read(&file).map_err(|source| draft.unreadable(&path, source))? else { continue };
        let mut is_link = matches!(draft.at(&path), Some(Entry::Symlink { .. }));
        let mut soname = header.soname.unwrap_or_else(|| name.clone());
        if is_link {
            // A link that is neither its library's soname nor the `.so` that the static linker reads counts as a file.
            is_link = name == soname || (name.ends_with(b".so") && soname.starts_with(&name));
            if is_link {
                soname.clone_from(&name);
            }
        }
        let found = Found { name, soname, flags: header.flags, is_link };
        match all.iter_mut().find(|other| other.soname == found.soname) {
            None => all.push(found),
            Some(other) => {
                let newer = found.is_link == other.is_link && format::compare_names(&other.name, &found.name).is_lt();
                if (!found.is_link && other.is_link) || newer {
                    *other = found;
                }
            }
        }
    }
    Ok(all)
}

/// `lib*.so*` and `ld-*.so*`, but no temporary file of dpkg's or prelink's.
fn is_library_name(name: &[u8]) -> bool {
    let library = name.starts_with(b"lib") || name.starts_with(b"ld-");
    let temporary = [b".dpkg-new".as_slice(), b".dpkg-tmp", b".#prelink#"].iter().any(|end| name.ends_with(end));
    library && !temporary && memchr::memmem::find(name, b".so").is_some()
}
