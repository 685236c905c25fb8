//! The sandbox: a container of an image that has no name, with nothing in it but the declared packages, a copy of the sources and `$OUT`.
//!
//! ```text
//! /            the view of the build's packages, read-only but for /etc, /var and the container's own layer
//! /build       the sources; the working directory and HOME
//! /out         $OUT
//! ```
//! It has no network, one host name, one user, one locale and one time. It is used once: with its end all of its processes are gone, and
//! so are its folders, which were in the store's `tmp`. As an ordinary user it has one number only, whatever range the user has: so what
//! it leaves belongs to the user and can be read.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, lchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use larder_debian::progress::Progress;
use larder_runtime::RuntimeError;
use larder_runtime::launch::{self, BindMount, Exit, Limits, SpecOptions, Streams, UserMap};
use larder_runtime::view::ViewKindName;
use larder_store::fileset::install::{GroupRule, UserRule};
use larder_store::fileset::{FilesMetadata, ImageMetadata, InstallRules};
use larder_store::plan::Loaded;
use larder_store::{FileSet, FileSetDigest, Import, Metadata, Name, Tree};
use oci_spec::runtime::{PosixRlimitBuilder, PosixRlimitType, Spec};

use super::error::{PackageError, Phase, Stop};
use super::log::Log;
use super::source::{self, Sources};
use super::watch::Watch;
use crate::compose::Composition;
use crate::container::{self, PackagePaths, Place, Process};
use crate::image::{self, PackageImport};
use crate::images::Found;
use crate::program::{Folder, how, nothing};
use crate::provenance::{self, BuildFacts, BuildKind, Subject};
use crate::recipe::CommandLine;
use crate::{Error, Host, Result, compose, run};

/// The image of a sandbox, in records and messages.
const SANDBOX: &str = "host.internal/sandbox";
/// What gives the sandbox its user.
pub(super) const USER_PACKAGE: &str = "host.internal/sandbox-user";
/// The host name inside.
const HOSTNAME: &str = "larder-build";
/// The user inside, and its number: one that Debian reserves and nobody gives out, so that no user of the host can reach into a build that
/// root runs.
const USER: &str = "build";
const UID: u32 = 65_000;
/// Where things are inside.
const BUILD: &str = "/build";
const OUT: &str = "/out";
/// How many processes a build may have at a time.
const PROCESSES: u32 = 4096;
/// What the shell shows before each command.
pub(crate) const PROMPT: &str = "larder$ ";

/// An image without a name, ready to be started.
pub(crate) struct Sandbox {
    image: Found,
    /// Whether it was said that there are no cgroups.
    told: Cell<bool>,
}

/// What is run in a sandbox.
pub(crate) struct Job<'a> {
    /// For messages: the package with its version.
    pub(crate) package: String,
    /// Building or testing.
    pub(crate) phase: Phase,
    /// What to run.
    pub(crate) command: &'a CommandLine,
    /// Variables besides the fixed ones.
    pub(crate) env: Vec<(String, String)>,
    /// After which time it is killed.
    pub(crate) timeout: Duration,
    /// Where what it says is kept.
    pub(crate) log: PathBuf,
}

/// The folders of one use of a sandbox.
pub(super) struct Workshop {
    folder: Folder,
}

impl Workshop {
    /// Lays the sources out for a build.
    pub(super) fn new(host: &Host, sources: &Sources) -> Result<Self> {
        let workshop = Self { folder: Folder::new(host.store.root().join("tmp"))? };
        for folder in [workshop.build(), workshop.out()] {
            fs::create_dir(&folder).map_err(Error::io("create", &folder))?;
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).map_err(Error::io("create", &folder))?;
        }
        source::lay_out(host, sources, &workshop.build())?;
        if own_map() == UserMap::Host {
            give(&workshop.build())?;
            give(&workshop.out())?;
        }
        Ok(workshop)
    }

    fn build(&self) -> PathBuf {
        self.folder.0.join("build")
    }

    /// What became of `$OUT`.
    pub(super) fn out(&self) -> PathBuf {
        self.folder.0.join("out")
    }

    fn mounts(&self) -> Vec<BindMount> {
        let mount = |source, target: &str| BindMount { source, target: target.into(), read_only: false };
        vec![mount(self.build(), BUILD), mount(self.out(), OUT)]
    }
}

/// Gives a folder with all in it to the sandbox's user.
fn give(path: &Path) -> Result<()> {
    lchown(path, Some(UID), Some(UID)).map_err(Error::io("give away", path))?;
    if path.symlink_metadata().map_err(Error::io("look at", path))?.is_dir() {
        for entry in fs::read_dir(path).map_err(Error::io("read", path))? {
            give(&entry.map_err(Error::io("read", path))?.path())?;
        }
    }
    Ok(())
}

/// Root's numbers are the host's; everybody else is the one user of the sandbox.
fn own_map() -> UserMap {
    match launch::user_map() {
        UserMap::Host => UserMap::Host,
        UserMap::Single | UserMap::Range { .. } => UserMap::Single,
    }
}

/// The FileSet that gives the sandbox its user.
///
/// # Errors
/// None: its name is one.
pub(super) fn user() -> Result<FileSet> {
    Ok(FileSet {
        name: Name::parse(USER_PACKAGE)?,
        version: "1".to_owned(),
        architecture: "all".to_owned(),
        time: 0,
        tree: Tree::default().digest(),
        imports: Vec::new(),
        metadata: Metadata::Files(FilesMetadata { install: user_rules() }),
    })
}

/// How the FileSet with the sandbox's user came to be: by the rule alone.
fn user_facts(host: &Host, user: &FileSet) -> BuildFacts {
    BuildFacts {
        kind: BuildKind::Package,
        subjects: vec![Subject { name: user.name.clone(), version: user.version.clone(), fileset: user.digest() }],
        parameters: BTreeMap::from([("rule".to_owned(), super::RULE.into())]),
        dependencies: Vec::new(),
        started: host.now,
        finished: host.now,
    }
}

impl Sandbox {
    /// Puts packages together to an image without a name.
    ///
    /// # Errors
    /// Packages that can't be put together; a store that can't be written.
    pub(super) fn new(
        host: &Host,
        packages: &[PackageImport],
        metadata: ImageMetadata,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let ingest = host.store.begin()?;
        ingest.write_tree(&Tree::default())?;
        let user = user()?;
        let user_digest = ingest.write_fileset(&user)?;
        provenance::record(host, &ingest, &user_facts(host, &user))?;
        let mut imports = packages.to_vec();
        let declarations = None;
        imports.push(PackageImport { name: user.name, version: user.version, package: user_digest, declarations });
        let _kept = ingest.commit_leased()?;
        Self::with(host, (&imports, &Tree::default()), metadata, progress)
    }

    /// Puts packages and files together to an image without a name; the files' contents must be in the store.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(crate) fn with(
        host: &Host,
        (packages, files): (&[PackageImport], &Tree),
        metadata: ImageMetadata,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let ingest = host.store.begin()?;
        let tree = ingest.write_tree(files)?;
        let name = Name::parse(SANDBOX)?;
        let record = image::record(&name, "1", &host.debian.architecture, tree, packages, metadata)?;
        let digest = ingest.write_fileset(&record)?;
        ingest.commit()?;
        let image = Found { digest, record };
        if compose::ready(&host.store, &image.record)?.is_none() {
            let tree = host.store.tree(&image.record.tree)?;
            let loaded = Arc::new(Loaded { digest, record: image.record.clone(), tree });
            compose::compose(host, &loaded, progress)?;
        }
        Ok(Self { image, told: Cell::new(false) })
    }

    /// What it is, by the digest of its image: equal for equal packages.
    pub(super) fn digest(&self) -> FileSetDigest {
        self.image.digest
    }

    /// Every FileSet that is in it.
    pub(crate) fn mounted(&self) -> &[Import] {
        &self.image.record.imports
    }

    /// What stands where in it before anything runs.
    ///
    /// # Errors
    /// A store that can't be read.
    pub(crate) fn composition(&self, host: &Host, progress: &dyn Progress) -> Result<Composition> {
        compose::compose(host, &run::load(host, self.image.digest)?, progress)
    }

    /// Runs a build in it.
    ///
    /// # Errors
    /// [`PackageError::Failed`] and [`PackageError::Stopped`]; a container that can't be started.
    pub(super) fn build(
        &self,
        host: &Host,
        workshop: &Workshop,
        job: &Job<'_>,
        time: u64,
        progress: &dyn Progress,
    ) -> Result<()> {
        let mut env = job.env.clone();
        env.extend(fixed_environment(time));
        let options = SpecOptions {
            args: job.command.words(),
            env: written(env),
            cwd: BUILD.into(),
            hostname: Some(HOSTNAME.to_owned()),
            mounts: workshop.mounts(),
            ..SpecOptions::default()
        };
        let who = Who { user: format!("{UID}:{UID}"), map: Some(own_map()), layer: None };
        self.run(host, job, &options, &who, progress).map(drop)
    }

    /// Runs a test in it: as the container's root, in its usual place.
    ///
    /// # Errors
    /// As [`Self::build`].
    pub(super) fn test(&self, host: &Host, job: &Job<'_>, progress: &dyn Progress) -> Result<()> {
        let mut env = job.env.clone();
        env.extend([("LC_ALL", "C.UTF-8"), ("TZ", "UTC"), ("PS4", PROMPT)].map(owned));
        let options = SpecOptions {
            args: job.command.words(),
            env: written(env),
            hostname: Some(HOSTNAME.to_owned()),
            ..SpecOptions::default()
        };
        self.run(host, job, &options, &Who { user: "0:0".to_owned(), map: None, layer: None }, progress).map(drop)
    }

    /// Runs scripts in it that may write anywhere, as the container's root. What they wrote is left in the folder `layer`. Gives the way in
    /// which the view was made.
    ///
    /// # Errors
    /// As [`Self::build`].
    pub(crate) fn configure(
        &self,
        host: &Host,
        job: &Job<'_>,
        layer: &Path,
        progress: &dyn Progress,
    ) -> Result<Option<ViewKindName>> {
        let mut env = job.env.clone();
        env.extend([("HOME", "/root"), ("LC_ALL", "C.UTF-8"), ("TZ", "UTC"), ("PS4", PROMPT)].map(owned));
        let options = SpecOptions {
            args: job.command.words(),
            env: written(env),
            hostname: Some(HOSTNAME.to_owned()),
            ..SpecOptions::default()
        };
        let who = Who { user: "0:0".to_owned(), map: None, layer: Some(layer) };
        self.run(host, job, &options, &who, progress)
    }

    /// Opens a shell in it, with this process's terminal or streams.
    ///
    /// # Errors
    /// A container that can't be started.
    pub(super) fn shell(
        &self,
        host: &Host,
        workshop: &Workshop,
        (options, time): (&super::ShellOptions, u64),
        progress: &dyn Progress,
    ) -> Result<Exit> {
        let mut env = options.env.clone();
        env.extend(fixed_environment(time));
        let mut args = vec!["/bin/sh".to_owned()];
        match options.command.as_slice() {
            [] => {}
            command => args.clone_from(&command.to_vec()),
        }
        let spec = launch::specification(SpecOptions {
            args,
            env: written(env),
            cwd: BUILD.into(),
            terminal: options.terminal,
            hostname: Some(HOSTNAME.to_owned()),
            mounts: workshop.mounts(),
            ..SpecOptions::default()
        })?;
        let process = Process {
            spec: bounded(spec, false)?,
            user: Some(format!("{UID}:{UID}")),
            stop_signal: None,
            packages: PackagePaths::ReadOnly,
            runtime: None,
            view: host.view,
            streams: None,
            go_on: None,
            map: Some(own_map()),
            layer: None,
        };
        Ok(self.launch(host, process, progress)?.exit)
    }

    fn run(
        &self,
        host: &Host,
        job: &Job<'_>,
        options: &SpecOptions,
        who: &Who<'_>,
        progress: &dyn Progress,
    ) -> Result<Option<ViewKindName>> {
        let log = Log::create(&host.store.root().join("tmp"))?;
        let watch = Watch::new(host, &log, job.timeout)?;
        let mut limits = machine_limits();
        let ended = loop {
            let spec = launch::specification(SpecOptions { limits, ..options.clone() })?;
            let process = Process {
                spec: bounded(spec, limits.pids.is_some())?,
                user: Some(who.user.clone()),
                stop_signal: None,
                packages: if who.layer.is_some() { PackagePaths::Writable } else { PackagePaths::ReadOnly },
                runtime: None,
                view: host.view,
                streams: Some(Streams { input: nothing()?, output: log.stream()?, error: log.stream()? }),
                go_on: Some(&|| watch.may_go_on()),
                map: who.map.clone(),
                layer: who.layer.map(Path::to_owned),
            };
            match self.launch(host, process, progress) {
                Err(Error::Runtime(RuntimeError::Limit { .. })) if limits != Limits::default() => {
                    if !self.told.replace(true) {
                        // The kernel counts no processes of the host's root.
                        let (what, also) = match job.phase {
                            Phase::Build | Phase::Unpack => ("memory isn't limited", ", its processes are"),
                            Phase::Test | Phase::Configure | Phase::Install => {
                                ("memory and number of processes aren't limited", "")
                            }
                        };
                        progress.note(&format!("no cgroup can be made here: the sandbox's {what}{also}"));
                    }
                    limits = Limits::default();
                }
                ended => break ended,
            }
        };
        let stopped = watch.stopped.take();
        let (kept, said) = log.keep(&job.log)?;
        let ended = ended?;
        let (phase, package) = (job.phase, job.package.clone());
        let last = said.last_lines();
        let full = watch.is_full();
        match (stopped, ended.exit) {
            (Some(reason), _) => Err(PackageError::Stopped { phase, package, reason, last, log: kept }.into()),
            (None, Exit::Code(0)) => Ok(ended.view),
            // It was faster than the watch.
            (None, _) if full.is_some_and(|_| said.names_a_full_disk()) => {
                let reason = full.unwrap_or(Stop::Disk { left: 0, needed: 0 });
                Err(PackageError::Stopped { phase, package, reason, last, log: kept }.into())
            }
            (None, exit) => {
                let memory = if ended.memory_kills > 0 { "; the kernel killed processes for their memory" } else { "" };
                let how = format!("{}{memory}", how(exit).trim_start_matches("it "));
                let command = said.command(job.command);
                Err(PackageError::Failed { phase, package, command, how, last, log: kept }.into())
            }
        }
    }

    fn launch(&self, host: &Host, process: Process<'_>, progress: &dyn Progress) -> Result<launch::Ended> {
        let lease = host.store.lease()?;
        let ready = run::ready(host, &self.image, progress)?;
        let listing = || compose::compose(host, &run::load(host, self.image.digest)?, progress)?.listing();
        let place =
            Place { key: ready.composed, image: self.image.digest, read_only: &ready.read_only, listing: &listing };
        container::launch(host, &place, process, lease, progress)
    }
}

/// As whom something runs.
struct Who<'a> {
    user: String,
    map: Option<UserMap>,
    /// Where what it writes stays; with one it may write anywhere.
    layer: Option<&'a Path>,
}

fn user_rules() -> InstallRules {
    let user = UserRule {
        name: USER.to_owned(),
        uid: Some(UID),
        group: USER.to_owned(),
        home: BUILD.to_owned(),
        shell: "/bin/sh".to_owned(),
        comment: String::new(),
        supplementary: Vec::new(),
    };
    let group = GroupRule { name: USER.to_owned(), gid: Some(UID) };
    InstallRules { users: vec![user], groups: vec![group], ..InstallRules::default() }
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// What every build finds in its environment, whatever its recipe says.
fn fixed_environment(time: u64) -> Vec<(String, String)> {
    let mut fixed: Vec<_> =
        [("HOME", BUILD), ("LC_ALL", "C.UTF-8"), ("OUT", OUT), ("PS4", PROMPT), ("TZ", "UTC")].map(owned).into();
    fixed.push(("SOURCE_DATE_EPOCH".to_owned(), time.to_string()));
    fixed
}

/// Variables as a process has them; of two with one name the later holds.
fn written(variables: Vec<(String, String)>) -> Vec<String> {
    let last: std::collections::BTreeMap<_, _> = variables.into_iter().collect();
    last.iter().map(|(name, value)| format!("{name}={value}")).collect()
}

/// Bounds that need no cgroup; a build gives them on to all that it starts. The one on processes counts those of all sandboxes, whose user is
/// one: it stands in only where no cgroup counts each sandbox's own.
fn bounded(mut spec: Spec, is_counted: bool) -> Result<Spec> {
    let limit = |kind, value: u64| {
        let made = PosixRlimitBuilder::default().typ(kind).soft(value).hard(value).build();
        made.map_err(|error| RuntimeError::Specification(error.to_string()))
    };
    let mut limits = vec![limit(PosixRlimitType::RlimitCore, 0)?];
    if !is_counted {
        limits.push(limit(PosixRlimitType::RlimitNproc, PROCESSES.into())?);
    }
    if let Some(process) = spec.process_mut() {
        process.set_rlimits(Some(limits));
    }
    Ok(spec)
}

/// What a build may have of the machine: all but an eighth of its memory.
fn machine_limits() -> Limits {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total =
        text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Limits { memory: total.map(|kilobytes| kilobytes * 1024 / 8 * 7), pids: Some(PROCESSES), ..Limits::default() }
}
