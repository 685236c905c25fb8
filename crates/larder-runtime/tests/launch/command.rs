//! A command line for the launcher alone: what this test binary does when it is called with [`WORD`].

use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use larder_runtime::launch::{
    self, BindMount, Launch, Net, OtherRuntime, Root, RuntimeKind, SpecOptions, UserMap, specification,
};
use larder_runtime::view::{RootAttributes, ViewEntry, ViewKind, ViewKindName, ViewRequest, ViewTree, Written};
use oci_spec::runtime::Capability;

/// The first argument that makes this binary a launcher.
pub(crate) const WORD: &str = "__launch";

#[derive(Default)]
struct Options {
    spec: SpecOptions,
    containers: PathBuf,
    id: String,
    directory: Option<PathBuf>,
    store: PathBuf,
    files: PathBuf,
    key: String,
    user: Option<String>,
    stop_signal: Option<String>,
    read_only: Vec<PathBuf>,
    writable: bool,
    read_only_root: bool,
    show_view: bool,
    single: bool,
    runtime: Option<OtherRuntime>,
    /// More than the default ones.
    capabilities: Vec<String>,
    view: Option<ViewKindName>,
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Options {
    let mut options = Options { id: format!("c{}", std::process::id()), key: "00ff".into(), ..Options::default() };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().expect("a value");
        match argument.as_str() {
            "--containers" => options.containers = value().into(),
            "--id" => options.id = value(),
            "--directory" => options.directory = Some(value().into()),
            "--store" => options.store = value().into(),
            "--files" => options.files = value().into(),
            "--key" => options.key = value(),
            "--user" => options.user = Some(value()),
            "--stop-signal" => options.stop_signal = Some(value()),
            "--env" => options.spec.env.push(value()),
            "--workdir" => options.spec.cwd = value().into(),
            "--hostname" => options.spec.hostname = Some(value()),
            "--memory" => options.spec.limits.memory = Some(value().parse().expect("bytes")),
            "--milli-cpus" => options.spec.limits.milli_cpus = Some(value().parse().expect("a number")),
            "--pids" => options.spec.limits.pids = Some(value().parse().expect("a number")),
            "--io-weight" => options.spec.limits.io_weight = Some(value().parse().expect("a number")),
            "--net-host" => options.spec.net = Net::Host,
            "--mount" => {
                let text = value();
                let parts: Vec<&str> = text.split(':').collect();
                options.spec.mounts.push(BindMount {
                    source: parts[0].into(),
                    target: parts[1].into(),
                    read_only: parts.get(2) == Some(&"ro"),
                });
            }
            "--read-only" => options.read_only.push(value().into()),
            "--writable" => options.writable = true,
            "--read-only-root" => options.read_only_root = true,
            "--terminal" => options.spec.terminal = true,
            "--runtime" => {
                let program = PathBuf::from(value());
                let kind = RuntimeKind::ALL.into_iter().find(|kind| program.ends_with(kind.name())).expect("a runtime");
                options.runtime = Some(OtherRuntime { kind, program });
            }
            "--capability" => options.capabilities.push(value()),
            "--view" => options.view = Some(ViewKindName::parse(&value()).expect("the name of a way")),
            "--single" => options.single = true,
            "--show-view" => options.show_view = true,
            "--" => options.spec.args = arguments.by_ref().collect(),
            other => panic!("unknown option {other}"),
        }
    }
    options
}

/// Runs a container, or with `--collect CONTAINERS` removes dead ones.
pub(crate) fn main(mut arguments: impl Iterator<Item = String>) -> ExitCode {
    let first = arguments.next().unwrap_or_default();
    if first == "--probe" {
        println!("{:#?}", launch::probe());
        return ExitCode::SUCCESS;
    }
    if first == "--collect" {
        let containers = arguments.next().expect("a directory");
        let collected = launch::collect(Path::new(&containers), None, &launch::probe().map()).expect("collect");
        println!("{collected:?}");
        return if collected.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let options = parse(std::iter::once(first).chain(arguments));
    let mut spec = match specification(options.spec) {
        Ok(spec) => spec,
        Err(error) => return fail(&error),
    };
    if options.read_only_root {
        spec.root_mut().as_mut().expect("a root").set_readonly(Some(true));
    }
    for name in &options.capabilities {
        let process = spec.process_mut().as_mut().expect("a process");
        let mut sets = process.capabilities().clone().expect("capabilities");
        let capability: Capability = serde_json::from_value(format!("CAP_{name}").into()).expect("a capability");
        let more = |set: &Option<HashSet<Capability>>| {
            Some(set.iter().flatten().copied().chain([capability]).collect::<HashSet<_>>())
        };
        let (bounding, effective, permitted) = (more(sets.bounding()), more(sets.effective()), more(sets.permitted()));
        sets.set_bounding(bounding).set_effective(effective).set_permitted(permitted);
        process.set_capabilities(Some(sets));
    }
    let map = if options.single { UserMap::Single } else { launch::user_map() };
    let (objects, views) = (options.store.join("objects"), options.store.join("views"));
    let list = || Ok(list(&options.files, &objects));
    let root = match &options.directory {
        Some(directory) => Root::Directory(directory),
        None => {
            let (key, written) = (options.key.as_str(), Written::Anything);
            Root::View(ViewRequest { tree: &list, key, objects: &objects, views: &views, written })
        }
    };
    let launched = launch::run(Launch {
        program: None,
        spec,
        root,
        container_dir: options.containers.join(&options.id),
        on_directory: None,
        read_only_paths: options.read_only,
        writable: options.writable,
        user: options.user,
        stop_signal: options.stop_signal,
        map,
        runtime: options.runtime,
        view: options.view,
        streams: None,
        go_on: None,
        layer: None,
        on_view: Some(&|kind| eprintln!("unusual: {kind}")),
    });
    match launched {
        Ok(ended) => {
            if ended.memory_kills > 0 {
                eprintln!("killed for its memory");
            }
            if options.show_view {
                eprintln!("view: {:?}", ended.view);
            }
            ExitCode::from(ended.exit.code())
        }
        Err(error) => fail(&error),
    }
}

fn fail(error: &larder_runtime::RuntimeError) -> ExitCode {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    if let Some(remedy) = error.remedy() {
        text = format!("{text} (remedy: {remedy})");
    }
    eprintln!("launch: {text}");
    ExitCode::from(error.exit_code())
}

/// The listing of a directory, its contents kept as objects under names that are as good as digests here.
fn list(files: &Path, objects: &Path) -> ViewTree {
    let mut entries = Vec::new();
    walk(files, files, objects, &mut entries);
    ViewTree::new(RootAttributes { mode: 0o755, uid: 0, gid: 0, mtime: 1 }, entries).expect("a listing")
}

fn walk(base: &Path, directory: &Path, objects: &Path, entries: &mut Vec<ViewEntry>) {
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        let meta = path.symlink_metadata().expect("metadata");
        let kind = if meta.is_dir() {
            walk(base, &path, objects, entries);
            ViewKind::Directory
        } else if meta.is_symlink() {
            let target = std::fs::read_link(&path).expect("a link");
            ViewKind::Symlink { target: target.as_os_str().as_bytes().to_vec() }
        } else {
            let content = std::fs::read(&path).expect("a file");
            ViewKind::File { object: keep(&content, objects), size: content.len() as u64 }
        };
        let relative = path.strip_prefix(base).expect("a path below");
        let mode = if meta.is_symlink() { 0o777 } else { (meta.permissions().mode() & 0o7777) as u16 };
        entries.push(ViewEntry {
            path: relative.as_os_str().as_bytes().to_vec(),
            kind,
            mode,
            uid: 0,
            gid: 0,
            mtime: meta.mtime() as u64,
            xattrs: Vec::new(),
        });
    }
}

fn keep(content: &[u8], objects: &Path) -> [u8; 32] {
    let mut hasher = DefaultHasher::new();
    hasher.write(content);
    let mut name = [0_u8; 32];
    name[..8].copy_from_slice(&hasher.finish().to_be_bytes());
    let text: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
    let directory = objects.join(&text[..2]);
    std::fs::create_dir_all(&directory).expect("a directory");
    let path = directory.join(&text[2..]);
    if !path.exists() {
        std::fs::write(&path, content).expect("an object");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o444)).expect("a mode");
    }
    name
}
