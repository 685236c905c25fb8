//! `larder run`: from an image to a running container, in the foreground.
//!
//! A start that finds everything in place does little: it reads the name's ref, the image's record and what was kept of
//! its composition, writes down what the container needs, and launches. Plan, trees and composers are only looked at when
//! the view isn't cached.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use larder_debian::progress::Progress;
use larder_runtime::launch::{self, BindMount, Ended, Net, SpecOptions};
use larder_store::plan::Loaded;
use larder_store::{Content, FileSetDigest, Reference};

use crate::asks::{self, check, consent};
use crate::build::{self, BuildOptions};
use crate::compose::{self, Ready};
use crate::container::Process;
use crate::images::{self, Found};
use crate::recipe::FILE_NAME;
use crate::{Error, Host, Result, actions, container};

mod package;

pub use crate::container::{PackagePaths, collect};
pub use larder_runtime::launch::{BindMount as Mount, Exit, Limits, Net as Network, OtherRuntime, RuntimeKind};
pub use larder_runtime::view::ViewKindName;

/// Where name servers are listed, on the host and in containers.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// To be called first in `main`: where this process was started as a supervisor, does that work and never returns.
pub fn supervise() {
    launch::entry();
}

/// What is to be run.
#[derive(Debug, Clone)]
pub enum Target {
    /// The recipe in this folder, or this file.
    Recipe(PathBuf),
    /// An image, or a package of one's own or of a distribution.
    Image(Reference),
}

impl Target {
    /// Understands what a person typed: a folder with a recipe in it, or a name.
    ///
    /// # Errors
    /// It is neither.
    pub fn parse(host: &Host, text: &str) -> Result<Self> {
        let path = Path::new(text);
        if path.join(FILE_NAME).is_file() || (path.is_file() && path.extension().is_some_and(|e| e == "toml")) {
            return Ok(Self::Recipe(path.to_owned()));
        }
        match text.parse::<Reference>() {
            Ok(reference) => Ok(Self::Image(reference)),
            Err(_) if path.exists() => Ok(Self::Recipe(path.to_owned())),
            Err(_) => Err(Error::NoTarget { target: text.to_owned(), nearest: images::nearest(&host.store, text)? }),
        }
    }
}

/// How to run.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// The command; the image's own when empty.
    pub command: Vec<String>,
    /// The action whose command is run where none is given; `start` when absent.
    pub action: Option<String>,
    /// What the operator allows beyond the defaults, for this start.
    pub allow: BTreeSet<consent::Grant>,
    /// Variables, over the image's.
    pub env: BTreeMap<String, String>,
    /// The user, instead of the image's.
    pub user: Option<String>,
    /// The working directory, instead of the image's.
    pub workdir: Option<String>,
    /// What of the host the container sees.
    pub mounts: Vec<BindMount>,
    /// The network.
    pub net: Net,
    /// What the container may use of the machine.
    pub limits: Limits,
    /// Whether the workload gets a terminal of its own.
    pub terminal: bool,
    /// Whether packages' paths can be written.
    pub packages: PackagePaths,
    /// What runs the container, instead of the launcher's own init.
    pub runtime: Option<OtherRuntime>,
    /// The only way in which the view may be made, instead of the host's.
    pub view: Option<ViewKindName>,
}

/// Finds or makes what a target means: a recipe is built if need be; a name that no image has, but a package of one's own or of the
/// configured distribution, becomes an image of that package and what it needs.
///
/// # Errors
/// Whatever a build can fail with; a name that is neither an image nor a package.
pub fn image(host: &Host, target: &Target, progress: &dyn Progress) -> Result<Found> {
    match target {
        Target::Recipe(path) => match build::current(host, path)? {
            Some(found) => Ok(found),
            None => {
                let report = build::build(host, path, &BuildOptions::default(), progress)?;
                Ok(Found { record: host.store.fileset(&report.digest)?, digest: report.digest })
            }
        },
        Target::Image(reference) => match images::try_find(&host.store, reference)? {
            Some(found) => Ok(found),
            None => match package::image(host, reference, progress)? {
                Some(made) => Ok(made),
                None => images::find(&host.store, reference),
            },
        },
    }
}

/// Starts a container of an image and waits for its end.
///
/// # Errors
/// Nothing to run, an image that can't be composed, or a container that can't be started.
pub fn start(host: &Host, image: &Found, options: &RunOptions, progress: &dyn Progress) -> Result<Ended> {
    let metadata = image.record.image().cloned().unwrap_or_default();
    let name = || format!("{}@{}", image.record.name, image.record.version);
    let (architecture, here) = (&image.record.architecture, &host.debian.architecture);
    if architecture != here && architecture != "all" {
        return Err(Error::OtherArchitecture { image: name(), architecture: architecture.clone(), host: here.clone() });
    }
    let args = arguments(host, image, options)?;
    let mut env = metadata.env;
    env.extend(options.env.clone());
    let mut mounts = options.mounts.clone();
    mounts.extend(resolver(host, image, options)?);
    let lease = host.store.lease()?;
    let ready = ready(host, image, progress)?;
    let given = given(host, image, &ready, options, progress)?;
    let devices = given.devices.iter().map(|path| launch::device(path.as_ref())).collect::<Result<_, _>>();
    let devices = devices.map_err(|source| Error::Device { source })?;
    let spec = launch::specification(SpecOptions {
        args,
        env: env.iter().map(|(name, value)| format!("{name}={value}")).collect(),
        cwd: options.workdir.clone().or(metadata.workdir).unwrap_or_default().into(),
        terminal: options.terminal,
        hostname: Some(package::shown_name(&image.record).to_owned()),
        net: options.net,
        mounts,
        limits: options.limits,
        capabilities: given.capabilities,
        devices,
    })?;
    if options.packages == PackagePaths::Writable {
        progress.note("the container can write to the paths of its packages, in a layer of its own");
    }
    let listing = || compose::compose(host, &load(host, image.digest)?, progress)?.listing();
    let place =
        container::Place { key: ready.composed, image: image.digest, read_only: &ready.read_only, listing: &listing };
    let user = options.user.clone().or(metadata.user);
    let process = Process {
        spec,
        user,
        stop_signal: metadata.stop_signal,
        packages: options.packages,
        runtime: options.runtime.clone(),
        view: options.view.or(host.view),
        streams: None,
        go_on: None,
        map: None,
        layer: None,
    };
    container::launch(host, &place, process, lease, progress)
}

/// What is run: what the caller says, or the command of an action.
fn arguments(host: &Host, image: &Found, options: &RunOptions) -> Result<Vec<String>> {
    if !options.command.is_empty() {
        return Ok(options.command.clone());
    }
    let run = image.record.image().map(|metadata| metadata.run.clone()).unwrap_or_default();
    match options.action.as_deref() {
        None | Some(actions::START) if !run.is_empty() => Ok(run),
        Some(action) => actions::command(&host.store, &image.record, action),
        None => actions::command(&host.store, &image.record, actions::START).map_err(|error| match error {
            Error::NoAction { image, .. } => Error::NothingToRun { image },
            other => other,
        }),
    }
}

/// What the container gets of what is asked, once the host has it and the operator allows it.
fn given(
    host: &Host,
    image: &Found,
    ready: &Ready,
    options: &RunOptions,
    progress: &dyn Progress,
) -> Result<consent::Given> {
    let name = || format!("{}@{}", image.record.name, image.record.version);
    let all = asks::of_start(&host.store, &image.record, &ready.composed)?;
    let allowed = consent::Allowed { flags: &options.allow, configured: host.allow.get(&image.record.name) };
    if all.is_empty() && options.allow.is_empty() {
        return Ok(consent::Given::default());
    }
    let map = launch::user_map();
    let mut lacks = check::lacking(&all, options.limits.memory, &map)?;
    let asked = |asking: &asks::Asking| all.iter().any(|other| other.ask == asking.ask);
    let unasked: Vec<_> = allowed.as_asks().into_iter().filter(|asking| !asked(asking)).collect();
    lacks.extend(check::lacking(&unasked, None, &map)?);
    if !lacks.is_empty() {
        return Err(Error::HostLacks { image: name(), lacks });
    }
    let missing = allowed.missing(&all);
    if !missing.is_empty() {
        return Err(Error::NotAllowed { image: name(), name: image.record.name.clone(), asks: missing });
    }
    for asking in check::refused_inside(&all) {
        progress.note(&format!("{asking}: the host has it, and the system call filter of containers refuses it"));
    }
    let given = consent::Given::of(&all, allowed);
    if map != launch::UserMap::Host && given.beyond.iter().any(|grant| matches!(grant, consent::Grant::Capability(_))) {
        progress.note("an ordinary user's container has its capabilities over its own namespaces only");
    }
    Ok(given)
}

/// With the host's network a container asks the host's name servers, unless the image or the caller says otherwise.
fn resolver(host: &Host, image: &Found, options: &RunOptions) -> Result<Option<BindMount>> {
    let (source, target) = (PathBuf::from(RESOLV_CONF), PathBuf::from(RESOLV_CONF));
    let said = options.mounts.iter().any(|mount| target.starts_with(&mount.target));
    if options.net != Net::Host || said || !source.is_file() {
        return Ok(None);
    }
    let own = host.store.tree(&image.record.tree)?.get(&RESOLV_CONF.as_bytes()[1..]).is_some();
    Ok((!own).then_some(BindMount { source, target, read_only: true }))
}

pub(crate) fn ready(host: &Host, image: &Found, progress: &dyn Progress) -> Result<Ready> {
    if let Some(ready) = compose::ready(&host.store, &image.record)? {
        return Ok(ready);
    }
    compose::compose(host, &load(host, image.digest)?, progress)?;
    let kept = compose::ready(&host.store, &image.record)?;
    kept.ok_or_else(|| larder_store::StoreError::Missing { what: Content::FileSet(image.digest) }.into())
}

pub(crate) fn load(host: &Host, digest: FileSetDigest) -> Result<Arc<Loaded>> {
    let record = host.store.fileset(&digest)?;
    let tree = host.store.tree(&record.tree)?;
    Ok(Arc::new(Loaded { digest, record, tree }))
}
