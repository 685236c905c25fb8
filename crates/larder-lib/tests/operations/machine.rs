//! The machine that operations happen on: a store in a folder of its own, and an archive.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use larder_lib::build::{self, BuildOptions, BuildReport};
use larder_lib::debian::{Config, Mirrors};
use larder_lib::progress::Silent;
use larder_lib::{Host, Name, Result, Store};
use larder_store::FileSet;
use larder_store::fileset::ImageMetadata;
use larder_testkit::archive::{Archive, Compression, Deb};
use tempfile::TempDir;

/// An archive whose packages are for this architecture, but for one that is for all.
pub(crate) fn archive(architecture: &str) -> Archive {
    let deb = |name: &str| Deb::new(name, "1.0").architecture(architecture).compression(Compression::None);
    Archive::builder()
        .architecture(architecture)
        .package(deb("base-files").essential().file("usr/lib/os-release", "ID=debian\n"))
        .package(deb("shell").essential().symlink("usr/bin/sh", "dash").program("usr/bin/dash", "not a shell\n"))
        .package(deb("editor").depends("nano | vim").recommends("manual").program("usr/bin/editor", "edit\n"))
        .package(deb("nano").program("usr/bin/nano", "nano\n"))
        .package(deb("vim").program("usr/bin/vim", "vim\n"))
        .package(deb("manual").architecture("all").file("usr/share/manual/page", "read me\n"))
        .package(
            deb("httpd")
                .file("etc/httpd.conf", "listen 80\n")
                .script("postinst", "#!/bin/sh\nset -e\nadduser --system --group --no-create-home httpd\n"),
        )
        .package(deb("libgreet").file("usr/share/greet/words", "hello\n"))
        .package(deb("greeter").depends("libgreet").program("usr/bin/greet", "greet\n"))
        .build()
}

/// A machine of an architecture.
pub(crate) struct Machine {
    folder: TempDir,
    pub(crate) host: Host,
}

impl Machine {
    pub(crate) fn new(archive: &Archive, architecture: &str, now: u64) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mirrors = Mirrors::Explicit { main: archive.file_url(), security: None };
        let mut debian = Config::new(mirrors, folder.path().join("cache"), architecture);
        debian.keyrings = vec![archive.keyring()];
        let host = Host {
            store: Store::open(&folder.path().join("store")).expect("a store"),
            debian,
            distribution: Name::parse("debian.org/bookworm").expect("a name"),
            view: None,
            allow: BTreeMap::new(),
            keys: larder_lib::keys::Keys::none(),
            program: PathBuf::from("/nonexistent"),
            now,
        };
        Self { folder, host }
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file and its parents.
    pub(crate) fn write(&self, name: impl AsRef<Path>, content: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(&path, content).expect("a file");
        path
    }

    /// Writes the recipe of a folder and builds it.
    pub(crate) fn build(&self, folder: &str, recipe: &str) -> BuildReport {
        self.write(Path::new(folder).join("larder.toml"), recipe);
        self.try_build(folder, &BuildOptions::default()).expect("a build")
    }

    pub(crate) fn try_build(&self, folder: &str, options: &BuildOptions) -> Result<BuildReport> {
        build::build(&self.host, &self.path(folder), options, &Silent)
    }

    pub(crate) fn record(&self, report: &BuildReport) -> FileSet {
        self.host.store.fileset(&report.digest).expect("a record")
    }

    pub(crate) fn metadata(&self, report: &BuildReport) -> ImageMetadata {
        self.record(report).image().expect("an image").clone()
    }
}

/// A recipe's text from its keys of `[image]` and its files.
pub(crate) fn recipe(keys: &BTreeMap<&str, String>, files: &[(&str, &str)]) -> String {
    let lines = keys.iter().map(|(key, value)| format!("{key} = {value}\n"));
    let files = files.iter().map(|(target, source)| format!("{target:?} = {source:?}\n"));
    format!("[image]\n{}[files]\n{}", lines.collect::<String>(), files.collect::<String>())
}
