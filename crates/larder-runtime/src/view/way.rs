//! What all ways share: making once, checking after each mount, removing.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use super::witness::Witness;
use super::{
    Exception, LayerEnd, Mounted, Prepared, Upper, View, ViewKindName, ViewRequest, ViewTree, Written, artefact,
};
use crate::error::RuntimeError;

/// The file of a work directory that says which view the writable layer belongs to; the kernel uses other names there.
const RECORD: &str = "view";

/// What a way makes a view from, and where.
#[derive(Clone, Copy)]
pub(crate) struct Making<'a> {
    /// The listing.
    pub(crate) tree: &'a ViewTree,
    /// The directory of objects.
    pub(crate) objects: &'a Path,
    /// The directory of prepared views, on one file system with `directory`.
    pub(crate) views: &'a Path,
    /// Where the view is written: empty, of mode 0700.
    pub(crate) directory: &'a Path,
    /// What will be written over it.
    pub(crate) written: Written,
}

/// What differs between ways; each is a [`View`] through it.
pub(crate) trait Way {
    const NAME: ViewKindName;
    const EXCEPTIONS: &'static [Exception];
    /// What the name of each artefact of this way begins with, whatever the writer's version.
    const PREFIX: &'static str;

    /// The name of the artefact that this writer makes here.
    fn artefact(&self, written: Written) -> Result<String, RuntimeError>;

    /// Writes the artefact.
    fn write(&self, making: &Making<'_>) -> Result<(), RuntimeError>;

    /// Brings what [`Way::write`] wrote to the disk, before it gets its final name.
    fn sync(&self, directory: &Path) -> Result<(), RuntimeError>;

    /// Mounts a finished artefact.
    fn layer(&self, artefact: &Path, objects: &Path, upper: Option<Upper<'_>>) -> Result<Mounted, RuntimeError>;

    /// Lets go of what only removed artefacts needed.
    fn removed(&self, _views: &Path) -> Result<(), RuntimeError> {
        Ok(())
    }
}

impl<W: Way> View for W {
    fn kind(&self) -> ViewKindName {
        W::NAME
    }

    fn find(&self, request: &ViewRequest<'_>) -> Result<Option<Prepared>, RuntimeError> {
        let path = artefact::place(request, &self.artefact(request.written)?)?;
        if !path.is_dir() {
            return Ok(None);
        }
        let witness = Witness::load(&path)?;
        Ok(Some(Prepared { kind: W::NAME, path, objects: request.objects.to_owned(), made: false, witness }))
    }

    fn prepare(&self, request: &ViewRequest<'_>) -> Result<Prepared, RuntimeError> {
        if let Some(found) = self.find(request)? {
            return Ok(found);
        }
        let path = artefact::place(request, &self.artefact(request.written)?)?;
        let tree = (request.tree)().map_err(RuntimeError::ViewListing)?;
        let (witness, made) = artefact::make(request.views, &path, |directory| {
            let witness = Witness::choose(&tree, request.objects)?;
            let ViewRequest { objects, views, written, .. } = *request;
            self.write(&Making { tree: &tree, objects, views, directory, written })?;
            self.sync(directory)?;
            Ok(witness)
        })?;
        Ok(Prepared { kind: W::NAME, path, objects: request.objects.to_owned(), made, witness })
    }

    fn mount(&self, prepared: &Prepared, upper: Option<Upper<'_>>) -> Result<Mounted, RuntimeError> {
        if prepared.kind != W::NAME {
            return Err(RuntimeError::OtherView { view: W::NAME, prepared: prepared.kind });
        }
        let used = match upper {
            Some(upper) if upper.end == LayerEnd::Kept => claim(prepared, upper)?,
            // One that is removed was made for this mount.
            _ => false,
        };
        let mount = self.layer(&prepared.path, &prepared.objects, upper)?;
        let Some(witness) = &prepared.witness else { return Ok(mount) };
        if used {
            // The container may have changed or removed the witness: the layers below are looked at without its writes.
            let below = self.layer(&prepared.path, &prepared.objects, None)?;
            witness.check(below.as_fd(), &prepared.objects, W::NAME)?;
        } else {
            witness.check(mount.as_fd(), &prepared.objects, W::NAME)?;
        }
        Ok(mount)
    }

    fn exceptions(&self) -> &'static [Exception] {
        W::EXCEPTIONS
    }

    fn remove(&self, views: &Path, key: &str) -> Result<(), RuntimeError> {
        artefact::remove(views, key, W::PREFIX)?;
        self.removed(views)
    }
}

/// Sees to it that a writable layer stays with the view that it was first written over: its work directory says which that is. Gives
/// whether the layer has something in it.
fn claim(prepared: &Prepared, upper: Upper<'_>) -> Result<bool, RuntimeError> {
    let part = |path: Option<&Path>| path.and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
    let artefact = part(Some(&prepared.path));
    let own = format!("{} {} {artefact}\n", prepared.kind, part(prepared.path.parent()));
    let used = !is_empty(upper.upperdir)?;
    let record = upper.workdir.join(RECORD);
    let refuse = |was: &str| RuntimeError::OtherUpper {
        upper: upper.upperdir.to_owned(),
        was: was.trim_end().to_owned(),
        view: own.trim_end().to_owned(),
    };
    let take = || fs::write(&record, &own).map(|()| false).map_err(RuntimeError::io("write", &record));
    match fs::read_to_string(&record) {
        Ok(was) if was == own => Ok(used),
        Ok(was) if used => Err(refuse(&was)),
        // Nothing was written over the other view: it may not even have been mounted, and this be the next way that is tried.
        Ok(_) => take(),
        Err(error) if error.kind() == io::ErrorKind::NotFound && used => Err(refuse("a view that is not known")),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(RuntimeError::io("read", &record)(error)),
        Err(_) => take(),
    }
}

fn is_empty(directory: &Path) -> Result<bool, RuntimeError> {
    let look = || -> io::Result<bool> { Ok(fs::read_dir(directory)?.next().transpose()?.is_none()) };
    look().map_err(RuntimeError::io("list", directory))
}
