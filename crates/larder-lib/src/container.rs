//! One container: what it is made from, what keeps its content in place, its start and end.

use std::cell::Cell;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use larder_debian::progress::Progress;
use larder_runtime::launch::{self, Ended, GoOn, Launch, OtherRuntime, Streams, UserMap};
use larder_runtime::view::{ViewKindName, ViewRequest, ViewTree, Written};
use larder_store::{Content, FileSetDigest, Lease, Root as Needed, Roots};
use oci_spec::runtime::Spec;

use crate::{Error, Host, Result};

/// Whether a container can write to the paths that packages own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PackagePaths {
    /// They are read-only.
    #[default]
    ReadOnly,
    /// Writes go to the container's own layer.
    Writable,
}

/// What a container is made from.
pub(crate) struct Place<'a> {
    /// Composers' outputs: the key of the view.
    pub(crate) key: FileSetDigest,
    /// The image.
    pub(crate) image: FileSetDigest,
    /// The paths that are bound read-only.
    pub(crate) read_only: &'a [String],
    /// Makes the listing of the view, where it isn't cached.
    pub(crate) listing: &'a dyn Fn() -> Result<ViewTree>,
}

/// What a container does.
pub(crate) struct Process<'a> {
    /// Program, arguments, environment and the like.
    pub(crate) spec: Spec,
    /// As whom; the container's root when absent.
    pub(crate) user: Option<String>,
    /// The signal that asks it to end; `SIGTERM` when absent.
    pub(crate) stop_signal: Option<String>,
    /// Whether it can write to the paths that packages own.
    pub(crate) packages: PackagePaths,
    /// What runs it, instead of the launcher's own init.
    pub(crate) runtime: Option<OtherRuntime>,
    /// The only way in which its view may be made; the first that works when absent.
    pub(crate) view: Option<ViewKindName>,
    /// Its standard streams; this process's own when absent.
    pub(crate) streams: Option<Streams>,
    /// Says whether it may go on; always when absent.
    pub(crate) go_on: Option<&'a GoOn<'a>>,
    /// Whose ids it has: those that are usual for the caller when absent.
    pub(crate) map: Option<UserMap>,
    /// The folder in which its writable layer stays; it goes with the container when absent.
    pub(crate) layer: Option<PathBuf>,
}

/// Launches a container and waits for its end. What it needs is written down before anything is looked up, so that no
/// collection can take it away; the lease is given up then, because a collection must not wait for a container's end.
pub(crate) fn launch(
    host: &Host,
    place: &Place<'_>,
    process: Process<'_>,
    lease: Lease,
    progress: &dyn Progress,
) -> Result<Ended> {
    let Process { spec, user, stop_signal, packages, runtime, view, streams, go_on, map, layer } = process;
    let id = new_id()?;
    let key = place.key.hex();
    let (objects, views) = (host.store.objects_dir(), host.store.views_dir());
    let written = match packages {
        PackagePaths::ReadOnly => Written::OutsidePackages,
        PackagePaths::Writable => Written::Anything,
    };
    let listing = || (place.listing)().map_err(|error| Box::new(error) as Box<dyn std::error::Error + Send + Sync>);
    let needs: Roots = [place.image, place.key].map(|digest| Needed::Content(Content::FileSet(digest))).into();
    let lease = Cell::new(Some(lease));
    let on_directory = || {
        host.store.write_container_roots(&id, &needs)?;
        drop(lease.take());
        Ok(())
    };
    Ok(launch::run(Launch {
        program: Some(host.program.clone()),
        spec,
        root: launch::Root::View(ViewRequest { tree: &listing, key: &key, objects: &objects, views: &views, written }),
        container_dir: host.store.containers_dir().join(&id),
        on_directory: Some(&on_directory),
        read_only_paths: place.read_only.iter().map(|path| Path::new("/").join(path)).collect(),
        writable: packages == PackagePaths::Writable,
        user,
        stop_signal,
        map: map.unwrap_or_else(launch::user_map),
        runtime,
        view,
        streams,
        go_on,
        layer,
        on_view: Some(&|kind| progress.note(&unusual(kind))),
    })?)
}

/// What a person should know about a view that isn't made in the usual way.
fn unusual(kind: ViewKindName) -> String {
    let how = match kind {
        ViewKindName::Erofs => "an EROFS image",
        ViewKindName::ErofsLoop => "an EROFS image on a loop device",
        ViewKindName::Stubs => "stubs on the disk",
        ViewKindName::Checkout => "a checkout: hard links, to copies where the file system can't share",
        ViewKindName::Symlink => {
            "symbolic links: a program that looks beside itself finds its own package only, and writes are kept in memory"
        }
    };
    format!("the image is shown through {how} (--view {kind}; docs/views.md)")
}

/// Removes what containers that were killed have left.
///
/// # Errors
/// A folder that can't be read.
pub fn collect(host: &Host) -> Result<()> {
    launch::collect(&host.store.containers_dir(), Some(&host.program), &launch::user_map())?;
    Ok(())
}

/// A container's id: 12 hexadecimal digits from the kernel's random numbers.
pub(crate) fn new_id() -> Result<String> {
    let path = Path::new("/dev/urandom");
    let mut bytes = [0; 6];
    File::open(path).and_then(|mut file| file.read_exact(&mut bytes)).map_err(|source| Error::Io {
        action: "read",
        path: path.to_owned(),
        source,
    })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
