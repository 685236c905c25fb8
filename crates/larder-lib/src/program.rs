//! Running a program of an image that isn't finished, for the composers that need one.
//!
//! It runs in a container of the image as it is so far: without network, with packages read-only, as the container's root, with an empty
//! folder for its output. Its result is only looked at when it has ended with 0.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use larder_debian::progress::Progress;
use larder_runtime::launch::{self, BindMount, Exit, SpecOptions};
use larder_runtime::view::ViewTree;
use larder_store::FileSetDigest;
use larder_store::plan::InstallPlan;

use crate::container::{self, PackagePaths, Place, Process};
use crate::{Error, Host, Result, view};

/// Where the container finds the folder for its output.
pub(crate) const OUTPUT: &str = "/run/larder-composer";

/// An image with everything that needs no program run.
pub(crate) struct Interim<'a> {
    /// What stands where.
    pub(crate) plan: &'a InstallPlan,
    /// What the other composers made: the key of its view.
    pub(crate) key: FileSetDigest,
    /// Makes the listing of its view.
    pub(crate) listing: &'a dyn Fn() -> Result<ViewTree>,
}

/// What is run.
pub(crate) struct Program {
    /// What it makes, for messages.
    pub(crate) what: &'static str,
    /// The program and its arguments.
    pub(crate) arguments: Vec<String>,
    /// Its whole environment.
    pub(crate) environment: Vec<String>,
    /// What it reads from its standard input.
    pub(crate) input: Vec<u8>,
}

/// Runs a program, and hands the folder of its output to `collect`; `prepare` may put something there before.
///
/// # Errors
/// A container that can't be started, a program that fails, what `prepare` and `collect` return.
pub(crate) fn run<T>(
    host: &Host,
    image: &Interim<'_>,
    program: &Program,
    prepare: impl FnOnce(&Path) -> Result<()>,
    collect: impl FnOnce(&Path) -> Result<T>,
    progress: &dyn Progress,
) -> Result<T> {
    let folder = Folder::new(host.store.root().join("tmp"))?;
    let output = folder.0.join("output");
    fs::create_dir(&output).map_err(Error::io("create", &output))?;
    prepare(&output)?;
    let spec = launch::specification(SpecOptions {
        args: program.arguments.clone(),
        env: program.environment.clone(),
        mounts: vec![BindMount { source: output.clone(), target: OUTPUT.into(), read_only: false }],
        ..SpecOptions::default()
    })?;
    let read_only = view::read_only_paths(image.plan);
    let digest = image.plan.sources[image.plan.image].digest;
    let place = Place { key: image.key, image: digest, read_only: &read_only, listing: image.listing };
    let (streams, said) = streams(&folder.0, &program.input)?;
    let process = Process {
        spec,
        user: Some("0:0".to_owned()),
        stop_signal: None,
        packages: PackagePaths::ReadOnly,
        runtime: None,
        view: host.view,
        streams: Some(streams),
        go_on: None,
        map: None,
        layer: None,
    };
    let ended = container::launch(host, &place, process, host.store.lease()?, progress);
    match ended?.exit {
        Exit::Code(0) => collect(&output),
        exit => Err(Error::ComposerProgram {
            program: program.arguments.first().cloned().unwrap_or_default(),
            what: program.what,
            source: io::Error::other(format!("{}: {}", how(exit), last_words(said).trim())),
        }),
    }
}

/// A stream that has nothing in it.
pub(crate) fn nothing() -> Result<std::os::fd::OwnedFd> {
    let path = Path::new("/dev/null");
    Ok(File::open(path).map_err(Error::io("open", path))?.into())
}

/// How a program ended, for messages.
pub(crate) fn how(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => format!("it ended with code {code}"),
        Exit::Signal(signal) => format!("signal {signal} killed it"),
    }
}

/// A folder that goes with its owner. Nobody else may enter it: without a user namespace the container's root is the
/// host's, and what it leaves here may be set-id.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    /// Makes it.
    pub(crate) fn new(parent: PathBuf) -> Result<Self> {
        let path = parent.join(format!("container-{}", container::new_id()?));
        fs::create_dir_all(&parent).map_err(Error::io("create", &parent))?;
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(Error::io("create", &path))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What can't be removed now goes with the next cleaning of `tmp`.
        let _ = larder_store::remove_tree(&self.0);
    }
}

/// The program's streams: its input from a file, its output to another, which is given too.
pub(crate) fn streams(folder: &Path, text: &[u8]) -> Result<(launch::Streams, File)> {
    let path = folder.join("streams");
    let failed = || Error::io("prepare", &path);
    let file =
        |name: &str| File::options().read(true).write(true).create_new(true).open(folder.join(name)).map_err(failed());
    let mut feed = file("input")?;
    feed.write_all(text).and_then(|()| feed.seek(SeekFrom::Start(0))).map_err(failed())?;
    let said = file("said")?;
    let again = || said.try_clone().map_err(failed());
    let streams = launch::Streams { input: feed.into(), output: again()?.into(), error: again()?.into() };
    Ok((streams, said))
}

/// The end of what a program said.
pub(crate) fn last_words(mut said: File) -> String {
    let mut text = Vec::new();
    let length = said.metadata().map_or(0, |metadata| metadata.len());
    let read =
        said.seek(SeekFrom::Start(length.saturating_sub(2000))).and_then(|_| said.take(2000).read_to_end(&mut text));
    read.map_or_else(|_| String::new(), |_| String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Found by an attack: a local user could start a set-user-id program that the container had written here.
    #[test]
    fn nobody_else_enters_the_folder() {
        let parent = tempfile::tempdir().expect("folder");
        let folder = Folder::new(parent.path().join("tmp")).expect("folder");
        assert_eq!(fs::metadata(&folder.0).expect("metadata").permissions().mode() & 0o777, 0o700);
    }
}
