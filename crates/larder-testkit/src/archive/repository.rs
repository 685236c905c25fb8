//! The archive's folders: pool, indexes, signed release files.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::deb::{Compression, Deb, compress};
use super::key::Key;
use super::server::Server;

/// What an archive is to hold.
#[derive(Debug, Clone)]
pub struct ArchiveBuilder {
    suite: String,
    alias: String,
    origin: String,
    architecture: String,
    main: Vec<Deb>,
    sources: Vec<Source>,
    updates: Vec<Deb>,
    security: Vec<Deb>,
    with_updates: bool,
    with_security: bool,
    date: SystemTime,
    valid_until: Option<SystemTime>,
    by_hash: bool,
    forms: Vec<Compression>,
    key: Option<Key>,
}

impl ArchiveBuilder {
    /// Names the suite: codename and moving name (`bookworm`, `stable` unless said otherwise).
    #[must_use]
    pub fn suite(mut self, codename: &str, alias: &str) -> Self {
        (self.suite, self.alias) = (codename.to_owned(), alias.to_owned());
        self
    }

    /// Sets the architecture of the indexes (amd64).
    #[must_use]
    pub fn architecture(mut self, architecture: &str) -> Self {
        architecture.clone_into(&mut self.architecture);
        self
    }

    /// Adds a package to the suite itself.
    #[must_use]
    pub fn package(mut self, deb: Deb) -> Self {
        self.main.push(deb);
        self
    }

    /// Adds several packages to the suite itself.
    #[must_use]
    pub fn packages(mut self, debs: impl IntoIterator<Item = Deb>) -> Self {
        self.main.extend(debs);
        self
    }

    /// Adds a source package to the suite itself.
    #[must_use]
    pub fn source(mut self, source: Source) -> Self {
        self.sources.push(source);
        self
    }

    /// Adds a package to `<suite>-updates`.
    #[must_use]
    pub fn update(mut self, deb: Deb) -> Self {
        self.updates.push(deb);
        self
    }

    /// Adds a package to `<suite>-security`.
    #[must_use]
    pub fn security(mut self, deb: Deb) -> Self {
        self.security.push(deb);
        self
    }

    /// Leaves out `<suite>-updates`.
    #[must_use]
    pub fn without_updates(mut self) -> Self {
        self.with_updates = false;
        self
    }

    /// Leaves out `<suite>-security`.
    #[must_use]
    pub fn without_security(mut self) -> Self {
        self.with_security = false;
        self
    }

    /// Sets the Date of the release files (now, less an hour).
    #[must_use]
    pub fn date(mut self, date: SystemTime) -> Self {
        self.date = date;
        self
    }

    /// Gives the release files a Valid-Until.
    #[must_use]
    pub fn valid_until(mut self, time: SystemTime) -> Self {
        self.valid_until = Some(time);
        self
    }

    /// Offers indexes by name only.
    #[must_use]
    pub fn without_by_hash(mut self) -> Self {
        self.by_hash = false;
        self
    }

    /// Sets the forms of the package indexes (xz and gz).
    #[must_use]
    pub fn index_forms(mut self, forms: &[Compression]) -> Self {
        self.forms = forms.to_vec();
        self
    }

    /// Signs with this key rather than a new one.
    #[must_use]
    pub fn key(mut self, key: Key) -> Self {
        self.key = Some(key);
        self
    }

    /// Makes the archive in a new temporary folder.
    #[must_use]
    pub fn build(mut self) -> Archive {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let key = self.key.take().unwrap_or_default();
        fs::write(folder.path().join("keyring.gpg"), key.public()).expect("a file");
        let archive = Archive { folder, key, suite: self.suite.clone() };
        archive.write(&self);
        archive
    }
}

/// A source package: its files, besides a `.dsc` that is made of them.
#[derive(Debug, Clone)]
pub struct Source {
    name: String,
    version: String,
    files: Vec<(String, Vec<u8>)>,
}

impl Source {
    /// A source package without files.
    #[must_use]
    pub fn new(name: &str, version: &str) -> Self {
        Self { name: name.to_owned(), version: version.to_owned(), files: Vec::new() }
    }

    /// Adds a file.
    #[must_use]
    pub fn file(mut self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.files.push((name.to_owned(), content.as_ref().to_vec()));
        self
    }

    /// Writes the files below an archive's root, and gives the stanza of the index.
    fn write(&self, root: &Path) -> String {
        let Self { name, version, files } = self;
        let sums = |files: &[(String, Vec<u8>)]| -> String {
            let line = |(name, bytes): &(String, Vec<u8>)| {
                format!(" {} {} {name}\n", hex::encode(Sha256::digest(bytes)), bytes.len())
            };
            files.iter().map(line).collect()
        };
        let description =
            format!("Format: 1.0\nSource: {name}\nVersion: {version}\nChecksums-Sha256:\n{}", sums(files));
        let mut all = vec![(format!("{name}_{version}.dsc"), description.into_bytes())];
        all.extend(files.clone());
        let directory = format!("pool/main/{name}");
        for (name, bytes) in &all {
            save(&root.join(&directory).join(name), bytes);
        }
        format!("Package: {name}\nVersion: {version}\nDirectory: {directory}\nChecksums-Sha256:\n{}\n", sums(&all))
    }
}

/// A signed archive on disk; the folder goes when it is dropped.
#[derive(Debug)]
pub struct Archive {
    folder: TempDir,
    key: Key,
    suite: String,
}

impl Archive {
    /// Begins to describe an archive.
    #[must_use]
    pub fn builder() -> ArchiveBuilder {
        ArchiveBuilder {
            suite: "bookworm".to_owned(),
            alias: "stable".to_owned(),
            origin: "Debian".to_owned(),
            architecture: "amd64".to_owned(),
            main: Vec::new(),
            sources: Vec::new(),
            updates: Vec::new(),
            security: Vec::new(),
            with_updates: true,
            with_security: true,
            date: SystemTime::now() - Duration::from_secs(3600),
            valid_until: None,
            by_hash: true,
            forms: vec![Compression::Xz, Compression::Gzip],
            key: None,
        }
    }

    /// Replaces the content by a new state, signed with the same key. The pool keeps what it has.
    pub fn publish(&mut self, state: ArchiveBuilder) {
        for part in ["debian", "debian-security"] {
            let dists = self.root().join(part).join("dists");
            if dists.exists() {
                fs::remove_dir_all(dists).expect("a folder of ours");
            }
        }
        self.suite.clone_from(&state.suite);
        self.write(&state);
    }

    /// The folder that holds `debian` and `debian-security`.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// A keyring with the archive's key.
    #[must_use]
    pub fn keyring(&self) -> PathBuf {
        self.root().join("keyring.gpg")
    }

    /// The archive's key.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The address of the main mirror as files: `file:///…/debian`.
    #[must_use]
    pub fn file_url(&self) -> String {
        format!("file://{}/debian", self.root().display())
    }

    /// Serves the archive over HTTP on the loopback address.
    #[must_use]
    pub fn serve(&self) -> Server {
        Server::start(self.root())
    }

    /// Makes a folder like `/etc/apt` whose sources name these mirrors (of [`Archive::file_url`] or [`Server::url`]) and
    /// this archive's keyring.
    #[must_use]
    pub fn apt(&self, mirror: &str) -> PathBuf {
        let apt = self.root().join("apt");
        fs::create_dir_all(apt.join("sources.list.d")).expect("a folder");
        let (suite, keyring) = (&self.suite, self.keyring());
        let stanza = |uri: &str, suites: &str| {
            format!("Types: deb\nURIs: {uri}\nSuites: {suites}\nComponents: main\nSigned-By: {}\n\n", keyring.display())
        };
        let text = stanza(mirror, &format!("{suite} {suite}-updates"))
            + &stanza(&format!("{mirror}-security"), &format!("{suite}-security"));
        fs::write(apt.join("sources.list.d/debian.sources"), text).expect("a file");
        apt
    }

    /// The release file of a suite (`bookworm`, `bookworm-updates`, `bookworm-security`).
    #[must_use]
    pub fn in_release(&self, suite: &str) -> PathBuf {
        let part = if suite.ends_with("-security") { "debian-security" } else { "debian" };
        self.root().join(part).join("dists").join(suite).join("InRelease")
    }

    /// Changes the signed text of a suite and signs it again with any key.
    pub fn resign(&self, suite: &str, key: &Key, change: impl FnOnce(String) -> String) {
        let path = self.in_release(suite);
        let text = fs::read_to_string(path.with_file_name("Release")).expect("a release file");
        fs::write(path, key.sign(&change(text))).expect("a file");
    }

    /// The path of a package's file below the root: `debian/pool/main/hello/hello_1.0_amd64.deb`.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn deb_path(&self, name: &str, version: &str) -> PathBuf {
        let beginning = format!("{name}_{}_", version.split_once(':').map_or(version, |(_, rest)| rest));
        for part in ["debian", "debian-security"] {
            let folder = self.root().join(part).join("pool/main").join(name);
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.file_name().to_string_lossy().starts_with(&beginning) {
                    return entry.path();
                }
            }
        }
        panic!("no file of {name} {version}");
    }

    fn write(&self, state: &ArchiveBuilder) {
        let suite = &state.suite;
        self.write_suite(state, "debian", suite, &state.alias, &state.main);
        if state.with_updates {
            let alias = format!("{}-updates", state.alias);
            self.write_suite(state, "debian", &format!("{suite}-updates"), &alias, &state.updates);
        }
        if state.with_security {
            let alias = format!("{}-security", state.alias);
            self.write_suite(state, "debian-security", &format!("{suite}-security"), &alias, &state.security);
        }
    }

    fn write_suite(&self, state: &ArchiveBuilder, part: &str, codename: &str, alias: &str, debs: &[Deb]) {
        let root = self.root().join(part);
        let mut index = String::new();
        for deb in debs {
            let filename = format!("pool/main/{}/{}", deb.name(), deb.file_name());
            let bytes = deb.build();
            save(&root.join(&filename), &bytes);
            let stanza = deb.stanza();
            let (head, description) = stanza.split_at(stanza.rfind("Description:").expect("it has one"));
            index.push_str(&format!(
                "{head}Filename: {filename}\nSize: {}\nSHA256: {}\n{description}\n",
                bytes.len(),
                hex::encode(Sha256::digest(&bytes)),
            ));
        }
        let dist = root.join("dists").join(codename);
        let architecture = &state.architecture;
        let mut list = String::new();
        let plain = format!("main/binary-{architecture}/Packages");
        list.push_str(&format!(" {} {} {plain}\n", hex::encode(Sha256::digest(index.as_bytes())), index.len()));
        for form in &state.forms {
            let path = match form {
                Compression::None => plain.clone(),
                Compression::Gzip => format!("{plain}.gz"),
                Compression::Xz => format!("{plain}.xz"),
                Compression::Zstd => format!("{plain}.zst"),
            };
            let bytes = compress(index.as_bytes(), *form);
            let digest = hex::encode(Sha256::digest(&bytes));
            list.push_str(&format!(" {digest} {} {path}\n", bytes.len()));
            save(&dist.join(&path), &bytes);
            if state.by_hash {
                save(&dist.join(format!("main/binary-{architecture}/by-hash/SHA256/{digest}")), &bytes);
            }
        }
        if part == "debian" && codename == state.suite && !state.sources.is_empty() {
            let index: String = state.sources.iter().map(|source| source.write(&root)).collect();
            let bytes = compress(index.as_bytes(), Compression::Xz);
            let (digest, path) = (hex::encode(Sha256::digest(&bytes)), "main/source/Sources.xz");
            list.push_str(&format!(" {digest} {} {path}\n", bytes.len()));
            save(&dist.join(path), &bytes);
            save(&dist.join(format!("main/source/by-hash/SHA256/{digest}")), &bytes);
        }
        let mut release = format!(
            "Origin: {}\nLabel: {}\nSuite: {alias}\nCodename: {codename}\nDate: {}\n",
            state.origin,
            state.origin,
            date(state.date)
        );
        if let Some(time) = state.valid_until {
            release.push_str(&format!("Valid-Until: {}\n", date(time)));
        }
        if state.by_hash {
            release.push_str("Acquire-By-Hash: yes\n");
        }
        release.push_str(&format!(
            "No-Support-for-Architecture-all: Packages\nArchitectures: all {architecture}\nComponents: main\nDescription: a test\nSHA256:\n{list}"
        ));
        save(&dist.join("Release"), release.as_bytes());
        save(&dist.join("InRelease"), &self.key.sign(&release));
    }
}

fn date(time: SystemTime) -> String {
    httpdate::fmt_http_date(time).replace("GMT", "UTC")
}

fn save(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().expect("a path below the root")).expect("a folder");
    fs::write(path, bytes).expect("a file");
}
