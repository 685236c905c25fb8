//! What all ways share: making once, checking after each mount, removing.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use super::witness::Witness;
use super::{Exception, Prepared, Upper, View, ViewKindName, ViewRequest, ViewTree, artefact};
use crate::error::RuntimeError;

/// What differs between ways; each is a [`View`] through it.
pub(crate) trait Way {
    const NAME: ViewKindName;
    const EXCEPTIONS: &'static [Exception];
    /// What the name of each artefact of this way begins with, whatever the writer's version.
    const PREFIX: &'static str;

    /// The name of the artefact that this writer makes here.
    fn artefact(&self) -> Result<String, RuntimeError>;

    /// Writes the artefact into an empty directory of mode 0700.
    fn write(&self, tree: &ViewTree, directory: &Path) -> Result<(), RuntimeError>;

    /// Brings what [`Way::write`] wrote to the disk, before it gets its final name.
    fn sync(&self, directory: &Path) -> Result<(), RuntimeError>;

    /// Mounts a finished artefact.
    fn layer(&self, artefact: &Path, objects: &Path, upper: Option<Upper<'_>>) -> Result<OwnedFd, RuntimeError>;
}

impl<W: Way> View for W {
    fn kind(&self) -> ViewKindName {
        W::NAME
    }

    fn prepare(&self, request: &ViewRequest<'_>) -> Result<Prepared, RuntimeError> {
        let path = artefact::place(request, &self.artefact()?)?;
        let (witness, made) = if path.is_dir() {
            (Witness::load(&path)?, false)
        } else {
            let tree = (request.tree)().map_err(RuntimeError::ViewListing)?;
            artefact::make(request.views, &path, |directory| {
                let witness = Witness::choose(&tree, request.objects)?;
                self.write(&tree, directory)?;
                self.sync(directory)?;
                Ok(witness)
            })?
        };
        Ok(Prepared { kind: W::NAME, path, objects: request.objects.to_owned(), made, witness })
    }

    fn mount(&self, prepared: &Prepared, upper: Option<Upper<'_>>) -> Result<OwnedFd, RuntimeError> {
        if prepared.kind != W::NAME {
            return Err(RuntimeError::OtherView { view: W::NAME, prepared: prepared.kind });
        }
        let mount = self.layer(&prepared.path, &prepared.objects, upper)?;
        let Some(witness) = &prepared.witness else { return Ok(mount) };
        let used = match upper {
            Some(upper) => !is_empty(upper.upperdir)?,
            None => false,
        };
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
        artefact::remove(views, key, W::PREFIX)
    }
}

fn is_empty(directory: &Path) -> Result<bool, RuntimeError> {
    let look = || -> io::Result<bool> { Ok(fs::read_dir(directory)?.next().transpose()?.is_none()) };
    look().map_err(RuntimeError::io("list", directory))
}
