//! Finding the libraries that a program needs, as glibc's `ld.so` does.
//!
//! Libraries are loaded breadth first, and one that is loaded already serves everybody who asks for its name. A name
//! without a slash is looked for in: `DT_RPATH` of the object that asks and of those that loaded it (unless it has a
//! `DT_RUNPATH`), `LD_LIBRARY_PATH`, its `DT_RUNPATH`, the folders of `/etc/ld.so.conf`, the default folders. Libraries of
//! another class or machine are passed over. See ld.so(8).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;

use larder_store::Entry;
use rayon::prelude::*;

use super::elf::{Elf, Kind};
use super::root::text;
use super::{Found, Input, Programs, Reason, Root, Severity, VerifyError, owner};

/// The largest configuration file of the loader that is read.
const MAX_CONFIGURATION: u64 = 64 << 10;
/// How deep configuration files may include one another.
const MAX_INCLUDES: usize = 8;
/// How many files of it are read. Files that include each other would be read for ever.
const MAX_CONFIGURATIONS: usize = 256;

/// Debian's names of the machines: ELF machine, class (1 is 32 bits), folder below `lib`, `$PLATFORM`.
const MACHINES: &[(u16, u8, &str, &str)] = &[
    (62, 2, "x86_64-linux-gnu", "x86_64"),
    (62, 1, "x86_64-linux-gnux32", "x86_64"),
    (3, 1, "i386-linux-gnu", "i686"),
    (183, 2, "aarch64-linux-gnu", "aarch64"),
    (40, 1, "arm-linux-gnueabihf", "v7l"),
    (21, 2, "powerpc64le-linux-gnu", "powerpc64le"),
    (22, 2, "s390x-linux-gnu", "s390x"),
    (243, 2, "riscv64-linux-gnu", "riscv64"),
];

/// Adds a finding for each interpreter and library that doesn't resolve.
pub(super) fn check(
    input: &Input<'_>,
    root: &Root<'_>,
    programs: &Programs,
    found: &mut Found,
) -> Result<(), VerifyError> {
    let loader = Loader::new(input, root, programs)?;
    let started: Vec<_> = programs.elf.iter().filter(|(_, elf)| elf.interpreter.is_some()).collect();
    let loads: Vec<_> = started.par_iter().map(|&(&index, elf)| (index, elf, loader.load(index))).collect();
    let mut reached = BTreeSet::new();
    for (index, elf, load) in loads {
        let name = programs.on_path.get(&index).cloned();
        let must = name.is_some() || programs.run == Some(index);
        let name = must.then(|| name.unwrap_or_else(|| text(root.entries[index].path.as_bytes())));
        let severity = if must { Severity::Failure } else { Severity::Finding };
        if let Some(reason) = loader.interpreter(elf) {
            found.add(index, reason, None, severity);
        }
        reached.extend(load.objects);
        loader.report(load.missing, &name, found);
    }
    // What no program loads by itself is a plugin, or a library for a program that isn't there.
    for &index in programs.elf.keys().filter(|index| !reached.contains(index)) {
        loader.report(loader.load(index).missing, &None, found);
    }
    Ok(())
}

/// What a program loads.
struct Load {
    /// Every object, the program first.
    objects: Vec<usize>,
    /// The names that don't resolve, each with the object that asks.
    missing: Vec<(usize, String)>,
}

struct Loader<'a> {
    root: &'a Root<'a>,
    elf: &'a BTreeMap<usize, Elf>,
    /// `LD_LIBRARY_PATH` of the image.
    environment: Vec<String>,
    /// What the configured and default folders hold: by name, in the folders' order.
    configured: HashMap<&'a [u8], Vec<usize>>,
    /// Every library of the root, by file name and by soname.
    anywhere: HashMap<(Kind, &'a [u8]), usize>,
}

impl<'a> Loader<'a> {
    fn new(input: &Input<'a>, root: &'a Root<'a>, programs: &'a Programs) -> Result<Self, VerifyError> {
        let mut folders = Vec::new();
        let mut left = MAX_CONFIGURATIONS;
        configuration(input, root, b"etc/ld.so.conf", MAX_INCLUDES, &mut left, &mut folders)?;
        for (_, _, triplet, _) in MACHINES {
            folders.extend([format!("lib/{triplet}"), format!("usr/lib/{triplet}")]);
        }
        folders.extend(["lib64", "usr/lib64", "lib", "usr/lib"].map(str::to_owned));
        let mut order: HashMap<Vec<u8>, usize> = HashMap::new();
        for folder in folders {
            if let Some(path) = root.directory(folder.as_bytes()) {
                let next = order.len();
                order.entry(path).or_insert(next);
            }
        }
        let mut configured: HashMap<_, Vec<(usize, usize)>> = HashMap::new();
        for entry in root.entries.iter().filter(|entry| !matches!(entry.entry, Entry::Directory)) {
            let path = entry.path.as_bytes();
            let Some(end) = path.iter().rposition(|&b| b == b'/') else { continue };
            if let Some(&rank) = order.get(&path[..end])
                && let Some(index) = root.file(path).filter(|index| programs.elf.contains_key(index))
            {
                configured.entry(&path[end + 1..]).or_default().push((rank, index));
            }
        }
        let configured = configured.into_iter().map(|(name, mut found)| {
            found.sort_unstable();
            (name, found.into_iter().map(|(_, index)| index).collect())
        });
        let mut anywhere = HashMap::new();
        for (&index, elf) in &programs.elf {
            anywhere.entry((elf.kind, root.entries[index].path.file_name())).or_insert(index);
            if let Some(soname) = &elf.soname {
                anywhere.entry((elf.kind, soname.as_bytes())).or_insert(index);
            }
        }
        let environment = input.env.get("LD_LIBRARY_PATH").map_or("", String::as_str);
        Ok(Self {
            root,
            elf: &programs.elf,
            environment: environment.split([':', ';']).filter(|f| f.starts_with('/')).map(str::to_owned).collect(),
            configured: configured.collect(),
            anywhere,
        })
    }

    /// What is wrong with a program's interpreter.
    fn interpreter(&self, elf: &Elf) -> Option<Reason> {
        let interpreter = elf.interpreter.clone()?;
        match self.root.file(interpreter.as_bytes()) {
            None => Some(Reason::Interpreter { interpreter }),
            Some(index) if self.elf.get(&index).is_some_and(|found| found.kind == elf.kind) => None,
            Some(_) => Some(Reason::WrongInterpreter { interpreter }),
        }
    }

    fn report(&self, missing: Vec<(usize, String)>, program: &Option<String>, found: &mut Found) {
        for (index, library) in missing {
            let elsewhere = self.anywhere.get(&(self.elf[&index].kind, library.as_bytes()));
            let elsewhere = elsewhere.map(|&index| text(self.root.entries[index].path.as_bytes()));
            match program {
                Some(program) => {
                    let reason = Reason::Library { library, elsewhere };
                    found.add(index, reason, Some(program.clone()), Severity::Failure);
                }
                // Whoever loads a plugin has loaded, or knows where to find, what it needs.
                None if elsewhere.is_some() => {}
                None => found.add(index, Reason::Library { library, elsewhere }, None, Severity::Finding),
            }
        }
    }

    fn load(&self, program: usize) -> Load {
        let mut load = Load { objects: vec![program], missing: Vec::new() };
        // By the position in `objects`: who loaded it, and the folder that it was found in.
        let mut loaders: Vec<(Option<usize>, Vec<u8>)> = vec![(None, folder(self.path(program)))];
        let mut loaded: BTreeSet<&str> = BTreeSet::new();
        let mut here: BTreeSet<usize> = BTreeSet::from([program]);
        let interpreter = self.elf[&program].interpreter.as_deref();
        if let Some(interpreter) = interpreter {
            loaded.extend(interpreter.rsplit('/').next());
            // musl's loader is its C library too.
            loaded.extend(interpreter.contains("/ld-musl-").then_some("libc.so"));
            let index = self.root.file(interpreter.as_bytes());
            loaded.extend(index.and_then(|index| self.elf.get(&index)?.soname.as_deref()));
        }
        loaded.extend(self.elf[&program].soname.as_deref());
        let mut next = 0;
        while next < load.objects.len() {
            let object = load.objects[next];
            for name in &self.elf[&object].needed {
                if loaded.contains(name.as_str()) {
                    continue;
                }
                let chain = std::iter::successors(Some(next), |&at| loaders[at].0).map(|at| (load.objects[at], at));
                let chain: Vec<_> = chain.map(|(index, at)| (&self.elf[&index], loaders[at].1.as_slice())).collect();
                let Some((index, folder)) = self.find(name, &chain) else {
                    load.missing.push((object, name.clone()));
                    loaded.insert(name);
                    continue;
                };
                loaded.insert(name);
                loaded.extend(self.elf[&index].soname.as_deref());
                if here.insert(index) {
                    load.objects.push(index);
                    loaders.push((Some(next), folder));
                }
            }
            next += 1;
        }
        load
    }

    /// Finds what the first of a chain of objects asks for; the others are those that loaded it, each with its folder.
    fn find(&self, name: &str, chain: &[(&Elf, &[u8])]) -> Option<(usize, Vec<u8>)> {
        let (elf, origin) = *chain.first()?;
        if name.contains('/') {
            let path = expand(name, elf.kind, origin);
            return self.of_kind(path.as_bytes(), elf.kind).map(|index| (index, folder(path.as_bytes())));
        }
        let in_folder = |list: &'_ str, kind: Kind, origin: &[u8]| {
            let folder = expand(list, kind, origin);
            let index = self.of_kind(format!("{folder}/{name}").as_bytes(), elf.kind)?;
            Some((index, folder.trim_start_matches('/').as_bytes().to_vec()))
        };
        let rpath = chain.iter().filter(|_| elf.runpath.is_empty());
        rpath
            .flat_map(|(asker, origin)| asker.rpath.iter().map(move |list| (list, asker.kind, *origin)))
            .chain(self.environment.iter().map(|list| (list, elf.kind, origin)))
            .chain(elf.runpath.iter().map(|list| (list, elf.kind, origin)))
            .find_map(|(list, kind, origin)| in_folder(list, kind, origin))
            .or_else(|| {
                let configured = self.configured.get(name.as_bytes()).filter(|_| !elf.no_default)?;
                let index = *configured.iter().find(|index| self.elf[index].kind == elf.kind)?;
                Some((index, folder(self.path(index))))
            })
    }

    fn of_kind(&self, path: &[u8], kind: Kind) -> Option<usize> {
        self.root.file(path).filter(|index| self.elf.get(index).is_some_and(|elf| elf.kind == kind))
    }

    fn path(&self, index: usize) -> &[u8] {
        self.root.entries[index].path.as_bytes()
    }
}

/// `$ORIGIN`, `$LIB` and `$PLATFORM`, with braces or without.
fn expand(text: &str, kind: Kind, origin: &[u8]) -> String {
    if !text.contains('$') {
        return text.to_owned();
    }
    let machine = MACHINES.iter().find(|(machine, class, ..)| (*machine, *class) == (kind.machine, kind.class));
    let (triplet, platform) = machine.map_or(("", ""), |(_, _, triplet, platform)| (*triplet, *platform));
    let origin = format!("/{}", String::from_utf8_lossy(origin));
    let mut text = text.to_owned();
    for (name, value) in [("ORIGIN", origin), ("LIB", format!("lib/{triplet}")), ("PLATFORM", platform.to_owned())] {
        text = text.replace(&format!("${{{name}}}"), &value).replace(&format!("${name}"), &value);
    }
    text
}

fn folder(path: &[u8]) -> Vec<u8> {
    let path = path.strip_prefix(b"/").unwrap_or(path);
    path.iter().rposition(|&b| b == b'/').map_or(Vec::new(), |end| path[..end].to_vec())
}

/// The folders of `/etc/ld.so.conf` and what it includes, in order.
fn configuration(
    input: &Input<'_>,
    root: &Root<'_>,
    path: &[u8],
    depth: usize,
    left: &mut usize,
    folders: &mut Vec<String>,
) -> Result<(), VerifyError> {
    let Some(index) = root.file(path) else { return Ok(()) };
    let entry = &root.entries[index];
    let Entry::File { digest, .. } = entry.entry else { return Ok(()) };
    let Some(rest) = left.checked_sub(1) else { return Ok(()) };
    *left = rest;
    let mut bytes = Vec::new();
    (input.open)(digest).and_then(|file| file.take(MAX_CONFIGURATION).read_to_end(&mut bytes)).map_err(|source| {
        VerifyError { path: text(entry.path.as_bytes()), owner: owner(entry.owner).to_owned(), source }
    })?;
    for line in String::from_utf8_lossy(&bytes).lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let mut words = line.split([' ', '\t', ',', ':']).filter(|word| !word.is_empty());
        match line.split_whitespace().next() {
            Some("include") if depth > 0 => {
                for pattern in words.skip(1) {
                    for path in matching(root, pattern) {
                        configuration(input, root, &path, depth - 1, left, folders)?;
                    }
                }
            }
            Some("include" | "hwcap") => {}
            _ => folders.extend(words.by_ref().filter(|word| word.starts_with('/')).map(|word| {
                let folder = word.split('=').next().unwrap_or(word);
                folder.to_owned()
            })),
        }
    }
    Ok(())
}

/// The files that a pattern means: one `*` in its last component, as everybody writes it, or none.
fn matching(root: &Root<'_>, pattern: &str) -> Vec<Vec<u8>> {
    let absolute = pattern.strip_prefix('/').map_or_else(|| format!("etc/{pattern}"), str::to_owned);
    let (directory, pattern) = absolute.rsplit_once('/').unwrap_or(("", &absolute));
    let Some((start, end)) = pattern.split_once('*') else { return vec![absolute.into_bytes()] };
    let Some(directory) = root.directory(directory.as_bytes()) else { return Vec::new() };
    let fits = |name: &&[u8]| {
        name.len() >= start.len() + end.len() && name.starts_with(start.as_bytes()) && name.ends_with(end.as_bytes())
    };
    let names = root.list(&directory);
    names.into_iter().filter(fits).map(|name| [&directory, &b"/"[..], name].concat()).collect()
}
