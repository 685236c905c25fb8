//! From system calls to what they did to files.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use super::trace::{self, Call};
use super::{Id, Node, Op, Recording};

/// All calls that change files or make changes last, and those that say where the next write goes.
const TRACED: &str = "trace=open,openat,openat2,creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,\
                      unlink,unlinkat,rmdir,write,writev,pwrite64,pwritev,pwritev2,read,readv,lseek,ftruncate,truncate,\
                      fallocate,copy_file_range,sendfile,splice,fsync,fdatasync,syncfs,sync,sync_file_range,execve,chdir";

/// Where an open descriptor writes next.
#[derive(Clone, Copy, Default)]
struct Position {
    at: u64,
    append: bool,
}

struct Recorder<'a> {
    root: &'a Path,
    /// What relative paths are relative to.
    base: PathBuf,
    nodes: Vec<Node>,
    /// The files as the program sees them.
    live: Vec<Node>,
    ops: Vec<Op>,
    /// Files without a name, by what `strace` calls them.
    nameless: HashMap<String, Id>,
    /// Of which process a thread is: one that has executed a program has descriptors of its own.
    process: HashMap<u32, u32>,
    positions: HashMap<(u32, String), Position>,
    /// What a descriptor of a nameless file is called.
    called: HashMap<(u32, String), String>,
}

pub(super) fn record(command: &Command, root: &Path) -> Recording {
    let root = fs::canonicalize(root).expect("a folder");
    let base =
        command.get_current_dir().map_or_else(|| root.clone(), |folder| fs::canonicalize(folder).expect("a folder"));
    let mut nodes = Vec::new();
    load(&root, &mut nodes);
    let live = nodes.clone();
    let (calls, output) = trace::calls(command, &["-e", TRACED]);
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    let (nameless, process, positions, called, ops) = Default::default();
    let mut recorder = Recorder { root: &root, base, nodes, live, ops, nameless, process, positions, called };
    for call in &calls {
        recorder.take(call);
    }
    recorder.compare();
    Recording { nodes: recorder.nodes, ops: recorder.ops }
}

/// Reads what is there before.
fn load(path: &Path, nodes: &mut Vec<Node>) -> Id {
    let id = nodes.len();
    let metadata = fs::symlink_metadata(path).expect("metadata");
    if metadata.is_dir() {
        nodes.push(Node::Folder(BTreeMap::new()));
        for entry in fs::read_dir(path).expect("list") {
            let entry = entry.expect("entry");
            let inner = load(&entry.path(), nodes);
            let Node::Folder(names) = &mut nodes[id] else { continue };
            names.insert(entry.file_name().into_string().expect("UTF-8"), inner);
        }
    } else if metadata.is_symlink() {
        nodes.push(Node::Link(fs::read_link(path).expect("link").to_string_lossy().into_owned()));
    } else {
        nodes.push(Node::File(fs::read(path).expect("file")));
    }
    id
}

impl Recorder<'_> {
    fn take(&mut self, call: &Call) {
        if !call.succeeded() {
            return;
        }
        let result = call.result.split([' ', '<']).next().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        match call.name.as_str() {
            "execve" => _ = self.process.insert(call.thread, call.thread),
            "open" | "creat" => self.open(call, self.path(&self.base, &call.string(0)), 1),
            "openat" => self.open(call, self.path_at(call, 0), 2),
            "mkdir" => self.make_folder(self.path(&self.base, &call.string(0))),
            "mkdirat" => self.make_folder(self.path_at(call, 0)),
            "symlink" => self.link(call.string(0), self.path(&self.base, &call.string(1))),
            "symlinkat" => self.link(call.string(0), self.path_at(call, 1)),
            "rename" => self.rename(self.path(&self.base, &call.string(0)), self.path(&self.base, &call.string(1))),
            "renameat" | "renameat2" => {
                assert!(!call.arguments.get(4).is_some_and(|flags| flags.contains("EXCHANGE")), "{call:?}");
                self.rename(self.path_at(call, 0), self.path_at(call, 2));
            }
            "link" => {
                let what = self.find(&self.path(&self.base, &call.string(0)));
                self.name(what, self.path(&self.base, &call.string(1)));
            }
            "linkat" => self.link_at(call),
            "unlink" | "rmdir" => self.unname(self.path(&self.base, &call.string(0))),
            "unlinkat" => self.unname(self.path_at(call, 0)),
            "write" => self.write(call, None, result),
            "pwrite64" => self.write(call, Some(call.arguments[3].parse().expect("an offset")), result),
            "read" => self.position(call, |position| position.at += result),
            "lseek" => self.position(call, |position| position.at = result),
            "ftruncate" => {
                let size = call.arguments[1].parse().expect("a size");
                if let Some(file) = self.descriptor(call, 0) {
                    self.apply(Op::Resize { file, size });
                }
            }
            "fsync" | "fdatasync" => {
                if let Some(id) = self.descriptor(call, 0) {
                    let folder = matches!(self.live[id], Node::Folder(_));
                    self.apply(if folder { Op::SyncNames { folder: id } } else { Op::SyncContent { file: id } });
                }
            }
            "syncfs" if self.descriptor(call, 0).is_some() => self.apply(Op::SyncAll),
            "sync" => self.apply(Op::SyncAll),
            // Of others' files, or to others' files.
            "chdir" | "syncfs" | "openat2" => {}
            // A file grows by it, but SQLite's and the C library's uses write afterwards.
            "fallocate" => assert!(self.descriptor(call, 0).is_none(), "the model doesn't know {call:?}"),
            _ => {
                let touched = (0..call.arguments.len()).any(|number| self.descriptor(call, number).is_some());
                assert!(!touched || call.name == "readv", "the model doesn't know {call:?}");
            }
        }
    }

    /// The absolute path of an argument and the folder before it.
    fn path_at(&self, call: &Call, number: usize) -> PathBuf {
        let base = call.descriptor(number).map_or_else(|| self.base.clone(), |(path, _)| PathBuf::from(path));
        self.path(&base, &call.string(number + 1))
    }

    fn path(&self, base: &Path, path: &[u8]) -> PathBuf {
        let joined = base.join(String::from_utf8_lossy(path).as_ref());
        let mut plain = PathBuf::new();
        for part in joined.components() {
            match part {
                Component::ParentDir => _ = plain.pop(),
                Component::CurDir => {}
                part => plain.push(part),
            }
        }
        plain
    }

    /// What the program sees under a path; links are not followed.
    fn find(&self, path: &Path) -> Option<Id> {
        let mut id = 0;
        for part in path.strip_prefix(self.root).ok()? {
            let Node::Folder(names) = &self.live[id] else { return None };
            id = *names.get(part.to_str()?)?;
        }
        Some(id)
    }

    fn parent(&self, path: &Path) -> Option<(Id, String)> {
        Some((self.find(path.parent()?)?, path.file_name()?.to_str()?.to_owned()))
    }

    fn key(&self, call: &Call, text: &str) -> (u32, String) {
        let number = text.split('<').next().unwrap_or_default();
        (self.process.get(&call.thread).copied().unwrap_or(0), number.to_owned())
    }

    /// What an open descriptor stands for, if that is below the folder.
    fn descriptor(&self, call: &Call, number: usize) -> Option<Id> {
        let (path, removed) = call.descriptor(number)?;
        if removed { self.nameless.get(&path).copied() } else { self.find(Path::new(&path)) }
    }

    fn open(&mut self, call: &Call, path: PathBuf, flags: usize) {
        let flags = &call.arguments[flags];
        let key = self.key(call, &call.result);
        self.positions.insert(key.clone(), Position { at: 0, append: flags.contains("O_APPEND") });
        if !path.starts_with(self.root) {
            return;
        }
        if flags.contains("O_TMPFILE") {
            let (name, _) = call.returned().expect("strace -y");
            self.called.insert(key, name.clone());
            let id = self.add(Node::File(Vec::new()));
            self.nameless.insert(name, id);
        } else if self.find(&path).is_none() && flags.contains("O_CREAT") {
            self.make(path, Node::File(Vec::new()));
        } else if let Some(file) = self.find(&path).filter(|_| flags.contains("O_TRUNC")) {
            self.apply(Op::Resize { file, size: 0 });
        }
    }

    fn add(&mut self, node: Node) -> Id {
        self.nodes.push(node.clone());
        self.live.push(node);
        self.live.len() - 1
    }

    fn make(&mut self, path: PathBuf, node: Node) {
        if self.parent(&path).is_some() {
            let id = self.add(node);
            self.name(Some(id), path);
        }
    }

    fn make_folder(&mut self, path: PathBuf) {
        if path.starts_with(self.root) && self.find(&path).is_none() {
            let id = self.add(Node::Folder(BTreeMap::new()));
            self.name(Some(id), path);
        }
    }

    fn link(&mut self, target: Vec<u8>, path: PathBuf) {
        self.make(path, Node::Link(String::from_utf8_lossy(&target).into_owned()));
    }

    fn link_at(&mut self, call: &Call) {
        let from = self.path_at(call, 0);
        let to = self.path_at(call, 2);
        let number = from.to_str().and_then(|path| path.strip_prefix("/proc/self/fd/"));
        let what = match number {
            // The descriptor itself is meant.
            _ if call.string(1).is_empty() => self.descriptor(call, 0),
            Some(number) => self.called.get(&self.key(call, number)).and_then(|name| self.nameless.get(name)).copied(),
            None => self.find(&from),
        };
        self.name(what, to);
    }

    fn name(&mut self, what: Option<Id>, path: PathBuf) {
        // Two threads that meet: the call that made the folder is told only when it has returned, and the other's first.
        if let Some(folder) = path.parent()
            && what.is_some()
            && self.find(folder).is_none()
        {
            self.make_folder(folder.to_owned());
        }
        if let (Some(what), Some((folder, name))) = (what, self.parent(&path)) {
            self.apply(Op::Name { folder, name, what });
        }
    }

    fn unname(&mut self, path: PathBuf) {
        if let (Some(_), Some((folder, name))) = (self.find(&path), self.parent(&path)) {
            self.apply(Op::Unname { folder, name });
        }
    }

    fn rename(&mut self, from: PathBuf, to: PathBuf) {
        let (Some(what), Some(from), Some(to)) = (self.find(&from), self.parent(&from), self.parent(&to)) else {
            return;
        };
        self.apply(Op::Rename { from, to, what });
    }

    fn position(&mut self, call: &Call, change: impl FnOnce(&mut Position)) {
        let key = self.key(call, &call.arguments[0]);
        change(self.positions.entry(key).or_default());
    }

    fn write(&mut self, call: &Call, at: Option<u64>, count: u64) {
        if call.arguments[0].starts_with("1<") && self.process.get(&call.thread).is_none_or(|id| *id == self.first()) {
            self.ops.push(Op::Said(call.string(1)));
        }
        let Some(file) = self.descriptor(call, 0) else { return };
        let Node::File(content) = &self.live[file] else { return };
        let size = content.len() as u64;
        let key = self.key(call, &call.arguments[0]);
        let position = self.positions.entry(key).or_default();
        let start = at.unwrap_or(if position.append { size } else { position.at });
        if at.is_none() {
            position.at = start + count;
        }
        let mut bytes = call.string(1);
        bytes.truncate(count as usize);
        self.apply(Op::Write { file, at: start, bytes });
    }

    /// The program itself, and not one that it started.
    fn first(&self) -> u32 {
        self.process.keys().copied().min().unwrap_or(0)
    }

    fn apply(&mut self, op: Op) {
        super::disk::apply(&mut self.live, &op);
        self.ops.push(op);
    }

    /// What the program really left must be what was recorded, or the model has missed something.
    fn compare(&self) {
        let mut real = Vec::new();
        load(self.root, &mut real);
        let (mut expected, mut found) = (BTreeMap::new(), BTreeMap::new());
        flatten(&self.live, 0, String::new(), &mut expected);
        flatten(&real, 0, String::new(), &mut found);
        // SQLite's shared memory is written without system calls, and begins anew after a crash.
        let differs = |path: &&String| !path.ends_with("-shm") && expected.get(*path) != found.get(*path);
        let wrong: Vec<_> = expected.keys().chain(found.keys()).filter(differs).collect();
        assert!(wrong.is_empty(), "the recording has missed something about {wrong:?}");
    }
}

fn flatten(nodes: &[Node], id: Id, path: String, into: &mut BTreeMap<String, Vec<u8>>) {
    match &nodes[id] {
        Node::File(bytes) => _ = into.insert(path, bytes.clone()),
        Node::Link(target) => _ = into.insert(path, target.clone().into_bytes()),
        Node::Folder(names) => {
            names.iter().for_each(|(name, id)| flatten(nodes, *id, format!("{path}/{name}"), into));
            into.insert(path + "/", Vec::new());
        }
    }
}
